/* pipeline/cli/loop_items.h
 * Private to the loop: training sequences of a recipe, owned together. */
#ifndef PIPELINE_CLI_LOOP_ITEMS_H
#define PIPELINE_CLI_LOOP_ITEMS_H

#include "pipeline/cli/loop.h"

struct loop_sequences {
    struct train_sequence *list; /* pair losses: chosen, rejected, chosen, ... */
    uint32_t count;
    uint32_t per_item; /* 1, or 2 for pairs */
};

/* Items of a recipe, at most material->items_max, drawn by the loop's seed; written to
 * the store as a bullet set of `run_id`. */
RT_CHECKED rt_status loop_items_make(struct loop *loop,
                                     const struct loop_material *material,
                                     const struct loop_recipe *recipe, const char *run_id,
                                     struct loop_sequences *out);
void loop_items_free(struct loop_sequences *s);

/* The start of a recipe: random A and B = 0, or the low-rank fit over the inputs of
 * full's traces of 332 random problems. */
RT_CHECKED rt_status loop_start_make(struct loop *loop,
                                     const struct loop_material *material,
                                     const struct loop_recipe *recipe,
                                     struct fmt_adapter **out);

#endif

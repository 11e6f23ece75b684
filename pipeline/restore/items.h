/* pipeline/restore/items.h
 * Private to the loop: training items of a recipe, and where its adapter starts. */
#ifndef PIPELINE_RESTORE_ITEMS_H
#define PIPELINE_RESTORE_ITEMS_H

#include "pipeline/run/sequences.h"
#include "pipeline/restore/training.h"
#include "pipeline/restore/curate.h"

/* Candidates of one kind and what was chosen from them. */
struct loop_set {
    enum loop_items items;
    struct pipe_pool pool;
    struct pipe_candidate *all;
    uint32_t *problem; /* of each candidate, index in the mined split */
    uint32_t count;
    struct pipe_curated curated;
};

/* Candidates of `items` from faults and answers, screened and chosen: at most
 * material->items_max. */
RT_CHECKED rt_status loop_set_make(struct loop *loop,
                                   const struct loop_material *material,
                                   enum loop_items items, struct loop_set *out);
void loop_set_deinit(struct loop_set *set);
/* All candidates as rows of `run_id`, those not chosen with their reason. */
RT_CHECKED rt_status loop_set_store(struct loop *loop, const struct loop_set *set,
                                    enum train_loss loss, const char *run_id);
/* The chosen ones as token sequences; end_id of loop_end_id. */
RT_CHECKED rt_status loop_set_sequences(struct loop *loop, uint32_t end_id,
                                        const struct loop_material *material,
                                        const struct loop_set *set,
                                        struct loop_sequences *out);

/* The start of a recipe: random A and B = 0, or the low-rank fit over the inputs of
 * full's traces of 332 random problems. */
RT_CHECKED rt_status loop_start_make(struct loop *loop,
                                     const struct loop_material *material,
                                     const struct loop_recipe *recipe,
                                     struct fmt_adapter **out);

#endif

/* pipeline/restore/items.h
 * Private to the loop: training items of a recipe, and where its adapter starts. */
#ifndef PIPELINE_RESTORE_ITEMS_H
#define PIPELINE_RESTORE_ITEMS_H

#include "pipeline/run/sequences.h"
#include "pipeline/restore/training.h"
#include "pipeline/restore/curate.h"

/* Candidates of one kind and what was chosen from them. */
struct pipe_item_set {
    enum pipe_item_source items;
    struct pipe_pool pool;
    struct pipe_candidate *all;
    uint32_t *problem; /* of each candidate, index in the mined split */
    uint32_t count;
    struct pipe_curated curated;
};

/* Candidates of `items` from faults and answers, screened and chosen: at most
 * material->items_max. */
RT_CHECKED rt_status pipe_item_set_make(struct pipe_session *session,
                                        const struct pipe_material *material,
                                        enum pipe_item_source items,
                                        struct pipe_item_set *out);
void pipe_item_set_deinit(struct pipe_item_set *set);
/* All candidates as rows of `run_id`, those not chosen with their reason. */
RT_CHECKED rt_status pipe_item_set_store(struct pipe_session *session,
                                         const struct pipe_item_set *set,
                                         enum train_loss loss, const char *run_id);
/* The chosen ones as token sequences; end_id of pipe_end_id. */
RT_CHECKED rt_status pipe_item_set_sequences(struct pipe_session *session,
                                             uint32_t end_id,
                                             const struct pipe_material *material,
                                             const struct pipe_item_set *set,
                                             struct pipe_sequences *out);
/* Of PIPE_ITEMS_FAULT: gives the tokens of the faulty step of full's answer to candidate
 * `at`, which was added last, PIPE_STEP_WEIGHT times the weight of the others; of an answer of
 * fewer steps those of its last one. Of PIPE_ITEMS_FAULT_OTHER: those of another step of the
 * same answer, pipe_control_step of the session's seed and `at`, any step being eligible; an
 * answer of one step stays as it is. Of other kinds: nothing. */
enum { PIPE_STEP_WEIGHT = 4 };
RT_CHECKED rt_status pipe_item_weigh_step(struct pipe_session *session,
                                          const struct pipe_item_set *set, uint32_t at,
                                          const struct pipe_answer *answer,
                                          struct pipe_sequences *sequences);

/* Of each lost answer with a faulty step quant's first right continuation from before that step,
 * by the number of its sample, of 16 drawn at most: material->own. What is there of the same
 * seed and model is not drawn again. Nothing of it is stored: another command draws it again,
 * to the same texts. */
RT_CHECKED rt_status pipe_item_draw_own(struct pipe_session *session,
                                        const struct pipe_material *material);

/* Makes of such a pair an item without a rejected side: all that follows the prefix, which is
 * only read. NULL: nothing follows, and the item is dropped. */
RT_CHECKED rt_status pipe_item_prefer_rest(struct pipe_session *session,
                                           struct pipe_pool *pool, const char *rest,
                                           struct pipe_candidate *candidate);

/* The start of a recipe: random A and B = 0, or the low-rank fit over the inputs of
 * full's traces of 332 random problems. */
RT_CHECKED rt_status pipe_start_make(struct pipe_session *session,
                                     const struct pipe_material *material,
                                     const struct pipe_restore_recipe *recipe,
                                     struct fmt_adapter **out);

#endif

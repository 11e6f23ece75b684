/* store/store_review.h
 * Faults as people and outside judges see them, and what they decided. */
#ifndef STORE_STORE_REVIEW_H
#define STORE_STORE_REVIEW_H

#include "store/store.h"

/* One step of one answer whose verdict may be reviewed. */
struct store_review_step {
    const char *fault_id, *gen_id, *problem_id, *question, *output;
    int32_t named; /* step of the verdict, -1: none */
    const char *category, *review;
    double confidence;
    uint32_t index, char_start, char_end; /* of this step, bytes of output */
};
typedef rt_status store_review_fn(void *user, const struct store_review_step *step);

/* Every step of the answers that a locate run has verdicts for, by problem, answer and step. An
 * answer without stored steps is one step. */
RT_CHECKED rt_status store_each_review_step(struct store *store, const char *run_id,
                                            store_review_fn *fn, void *user);
/* The newest locate run, or the one with this id; empty: there is none. */
RT_CHECKED rt_status store_find_review_run(struct store *store, const char *id,
                                           char run_id[STORE_ID]);
/* review: confirmed, rejected or auto. */
RT_CHECKED rt_status store_put_review(struct store *store, const char *fault_id,
                                      const char *review, const char *reviewer);

enum { STORE_VOTE_ABSTAINS = -2, STORE_VOTE_NONE_WRONG = -1 };
/* One judge's vote on a verdict. step: from 0, or one of the values above. */
struct store_vote {
    const char *fault_id, *judge;
    int32_t step;
};
typedef rt_status store_vote_fn(void *user, const struct store_vote *vote);
/* The stored votes on the verdicts of a locate run, by fault and judge. */
RT_CHECKED rt_status store_each_vote(struct store *store, const char *run_id,
                                     store_vote_fn *fn, void *user);
/* Takes the place of an earlier vote of that judge on that fault. */
RT_CHECKED rt_status store_put_vote(struct store *store, const struct store_vote *vote);
RT_CHECKED rt_status store_drop_vote(struct store *store, const char *fault_id,
                                     const char *judge);
/* The votes on the verdict of an answer decide nothing any more: drops its `vote` row, and its
 * review is `auto` again if votes had set it. */
RT_CHECKED rt_status store_drop_majority(struct store *store, const char *run_id,
                                         const char *gen_id, const char *fault_id);

#endif

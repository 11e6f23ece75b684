/* pipeline/locate/score_labelled.h
 * How good locators are on labelled solutions, as ProcessBench counts it: exact accuracy on
 * those with a fault, accuracy on those without, and the harmonic mean of the two (F1).
 * Beside it: within one step, how often a step is named, precision of what is named, and the
 * mean signed distance. Intervals: bootstrap over problems, 2,000 draws, 95 %. */
#ifndef PIPELINE_LOCATE_SCORE_LABELLED_H
#define PIPELINE_LOCATE_SCORE_LABELLED_H

#include "pipeline/locate/labelled.h"
#include "pipeline/stats/statistics.h"

struct pipe_locator_score {
    uint32_t faulty, exact, near_one,
        named;            /* records with a fault; of these: exact step,
                                              within one step, any step named */
    uint32_t clean, kept; /* records without one; of these: none named */
    double offset;        /* mean of named less true step */
    double f1;            /* 0 .. 1 */
    struct pipe_interval f1_interval, exact_interval, precision_interval;
};

/* said[i]: the step named in record i, -1: none. `known`: whoever uses the locator knows if
 * the final answer is right, so nothing is named where it is. */
RT_CHECKED rt_status pipe_locator_score(struct rt_ctx *ctx,
                                        const struct pipe_labelled_set *set,
                                        const int32_t *said, bool known, uint64_t seed,
                                        struct pipe_locator_score *out);
/* The same over the records of one kind, null: all. */
RT_CHECKED rt_status pipe_locator_score_kind(struct rt_ctx *ctx,
                                             const struct pipe_labelled_set *set,
                                             const int32_t *said, bool known,
                                             const char *kind, uint64_t seed,
                                             struct pipe_locator_score *out);

#endif

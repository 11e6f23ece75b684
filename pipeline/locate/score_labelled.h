/* pipeline/locate/score_labelled.h
 * How good locators are on labelled solutions, as ProcessBench counts it: exact accuracy on
 * those with a fault, accuracy on those without, and the harmonic mean of the two (F1).
 * Beside it: within one step, how often a step is named, precision of what is named, and the
 * mean signed distance. Intervals: bootstrap over problems, 2,000 draws, 95 %. The
 * draws of a seed are the same for every locator on the same records, so the difference of
 * two locators is a paired one. */
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
    double more;          /* f1 less that of the baseline; 0: there is no baseline */
    struct pipe_interval f1_interval, exact_interval, precision_interval,
        more_interval; /* of the differences, draw by draw */
};

/* What is scored. */
struct pipe_locator_asked {
    const int32_t *said;    /* by record: the step named, -1: none; borrowed */
    const int32_t *against; /* the same of a baseline; null: there is none */
    bool known;             /* whoever uses them knows if the final answer is right, so
                               nothing is named where it is */
    const char *kind;       /* records of this kind only; null: all */
    uint64_t seed;
};
RT_CHECKED rt_status pipe_locator_score(struct rt_ctx *ctx,
                                        const struct pipe_labelled_set *set,
                                        const struct pipe_locator_asked *asked,
                                        struct pipe_locator_score *out);

#endif

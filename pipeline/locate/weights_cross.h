/* pipeline/locate/weights_cross.h
 * Whether fitted weights hold on generators of text that they were not fitted on: each
 * generator is left out once, with all of its sets, the weights are fitted on the rest, and the
 * verdict is held against the known first faulty steps of these sets. */
#ifndef PIPELINE_LOCATE_WEIGHTS_CROSS_H
#define PIPELINE_LOCATE_WEIGHTS_CROSS_H

#include "pipeline/locate/weights_fit.h"
#include "pipeline/stats/statistics.h"

/* What one locator, or the verdict, said in the cases of a set. Intervals: Wilson, 95 %. */
struct pipe_cross_row {
    const char *set;              /* borrowed from the cases */
    const char *locator;          /* static; "verdict" for the verdict */
    uint32_t total, named, right; /* cases; of these: any step, the faulty step named */
    double precision, recall;     /* right per named, per case; 0 of none */
    struct pipe_interval precision_interval, recall_interval;
};
typedef void pipe_cross_row_fn(void *user, const struct pipe_cross_row *row);

/* Rows of at most 64 sets, in order of appearance: the locators that name a step, then the
 * verdict. `all`: weights fitted on all cases, which serve where there is but one generator.
 * RT_ERR_INPUT: more generators than pipe_weights_fit takes. */
RT_CHECKED rt_status pipe_weights_cross(struct rt_ctx *ctx,
                                        const struct pipe_cases *cases,
                                        const double all[PIPE_SIGNS],
                                        pipe_cross_row_fn *fn, void *user);

#endif

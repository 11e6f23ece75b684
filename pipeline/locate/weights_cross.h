/* pipeline/locate/weights_cross.h
 * Whether fitted weights hold on generators of text that they were not fitted on: each
 * generator is left out once, with all of its sets, the weights are fitted on the rest, and the
 * verdict is held against the known first faulty steps of these sets. */
#ifndef PIPELINE_LOCATE_WEIGHTS_CROSS_H
#define PIPELINE_LOCATE_WEIGHTS_CROSS_H

#include "pipeline/locate/confidence_fit.h"
#include "pipeline/stats/statistics.h"

/* What one locator, or the verdict, said in the cases of a set. Intervals: Wilson, 95 %. */
struct pipe_cross_row {
    char set[80];        /* name, cut to this; "demo: asked" for all cases of the
                                     confidence of a generator */
    const char *locator; /* static; "verdict" for the verdict; "surest 0.9" and "surest
                                     0.8" for as many of its steps, the surest first, without
                                     its own abstaining */
    uint32_t total, named, right; /* cases; of these: any step, the faulty step named */
    double precision, recall;     /* right per named, per case; 0 of none */
    struct pipe_interval precision_interval, recall_interval;
};
typedef void pipe_cross_row_fn(void *user, const struct pipe_cross_row *row);

/* Rows of at most 64 sets, in order of appearance: the locators that name a step, then the
 * verdict; then the generators by themselves, with the surest. `all` and `sures`: fitted on
 * all cases, which serve where there is but one generator; the verdict abstains below the least
 * confidence of `sures`. RT_ERR_INPUT: more generators than pipe_weights_fit takes. */
RT_CHECKED rt_status pipe_weights_cross(struct rt_ctx *ctx,
                                        const struct pipe_cases *cases,
                                        const double all[PIPE_SIGNS],
                                        const double sures[PIPE_SURES],
                                        pipe_cross_row_fn *fn, void *user);

#endif

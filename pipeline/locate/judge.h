/* pipeline/locate/judge.h
 * How good a locator is, against a judge that knows the first fault. All with Wilson
 * intervals. A fault that the judge cannot place is left out by the caller. */
#ifndef PIPELINE_LOCATE_JUDGE_H
#define PIPELINE_LOCATE_JUDGE_H

#include "pipeline/stats/statistics.h"

struct pipe_judged {
    uint32_t total;      /* faults judged */
    uint32_t located;    /* the locator named a step */
    uint32_t right;      /* it named the judge's step */
    uint32_t within_one; /* it named that step or a neighbour */
    double offset_mean;  /* named less true step, over those located; late is positive */
    struct pipe_interval precision; /* right / located */
    struct pipe_interval recall;    /* right / total */
    struct pipe_interval coverage;  /* located / total */
};

/* `named[i]` is the locator's step or -1, `truth[i]` the judge's (-1: not counted). */
void pipe_judge(const int32_t *named, const int32_t *truth, uint32_t count,
                struct pipe_judged *out);
/* What is left if only the surest are named, ceil(share * judged) of them, the first of equal
 * confidence first: kept[i] is named[i] or -1. */
RT_CHECKED rt_status pipe_judge_surest(struct rt_ctx *ctx, const int32_t *named,
                                       const double *confidence, const int32_t *truth,
                                       uint32_t count, double share, int32_t *kept);

#endif

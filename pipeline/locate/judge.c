/* pipeline/locate/judge.c
 * Counts how often a locator names the judge's step, with Wilson intervals. */
#include "pipeline/locate/judge.h"

#include <math.h>
#include <stdlib.h>

void pipe_judge(const int32_t *named, const int32_t *truth, uint32_t count,
                struct pipe_judged *out)
{
    struct pipe_judged j = { 0 };
    double offset = 0.0;
    for (uint32_t i = 0; i < count; i++) {
        if (truth[i] < 0)
            continue;
        j.total++;
        if (named[i] < 0)
            continue;
        const int32_t away = named[i] - truth[i];
        j.located++;
        j.right += away == 0;
        j.within_one += away >= -1 && away <= 1;
        offset += away;
    }
    if (j.located)
        j.offset_mean = offset / j.located;
    j.precision = pipe_wilson(j.right, j.located);
    j.recall = pipe_wilson(j.right, j.total);
    j.coverage = pipe_wilson(j.located, j.total);
    *out = j;
}

struct said {
    double confidence;
    uint32_t at;
};

static int surest_first(const void *a, const void *b)
{
    const struct said *x = a, *y = b;
    const int sure = (x->confidence < y->confidence) - (x->confidence > y->confidence);
    return sure ? sure : (x->at > y->at) - (x->at < y->at);
}

rt_status pipe_judge_surest(struct rt_ctx *ctx, const int32_t *named,
                            const double *confidence, const int32_t *truth,
                            uint32_t count, double share, int32_t *kept)
{
    uint32_t judged = 0, surer = 0;
    struct said *list = rt_alloc(ctx, count, sizeof *list);
    if (!list)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "locate: no memory");
    for (uint32_t i = 0; i < count; i++) {
        list[i] = (struct said){ confidence[i], i };
        judged += truth[i] >= 0;
    }
    const double most = ceil(share * judged - 1e-9);
    qsort(list, count, sizeof *list, surest_first);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t at = list[i].at;
        kept[at] = surer < most ? named[at] : -1;
        surer += truth[at] >= 0 && named[at] >= 0;
    }
    rt_free(list);
    return RT_OK;
}

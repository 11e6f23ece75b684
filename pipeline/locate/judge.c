/* pipeline/locate/judge.c
 * Counts how often a locator names the judge's step, with Wilson intervals. */
#include "pipeline/locate/judge.h"

#include <math.h>

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

void pipe_judge_surest(const int32_t *named, const double *confidence,
                       const int32_t *truth, uint32_t count, double share, int32_t *kept)
{
    uint32_t judged = 0;
    for (uint32_t i = 0; i < count; i++)
        judged += truth[i] >= 0;
    const double most = ceil(share * judged - 1e-9);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t surer = 0;
        for (uint32_t k = 0; k < count; k++)
            surer += truth[k] >= 0 && named[k] >= 0 &&
                     (confidence[k] > confidence[i] ||
                      (k < i && confidence[k] == confidence[i]));
        kept[i] = surer < most ? named[i] : -1;
    }
}

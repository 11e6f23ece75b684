/* pipeline/locate/judge.c
 * Counts how often a locator names the judge's step, with Wilson intervals. */
#include "pipeline/locate/judge.h"

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

/* pipeline/bench/bench_measure.c
 * Checking, warming up, measuring: when to stop each. */
#include "pipeline/bench/bench_measure.h"

#include <math.h>

enum { BLOCK_MIN = 4 };

/* Runs one sample into `list` and adds its seconds. */
static rt_status take(const struct pipe_bench_subject *subject,
                      struct pipe_bench_sample *list, uint32_t *count, double *seconds)
{
    const rt_status st = subject->run(subject->user, &list[*count]);
    if (st == RT_OK)
        *seconds += list[(*count)++].seconds;
    return st;
}

static rt_status block_median(struct rt_ctx *ctx, const struct pipe_bench_sample *s,
                              uint32_t n, double *out)
{
    struct pipe_bench_stats stats;
    double *wall = rt_alloc(ctx, n, sizeof *wall);
    if (!wall)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for %u samples", n);
    for (uint32_t i = 0; i < n; i++)
        wall[i] = s[i].wall_ns;
    const rt_status st = pipe_bench_stats_of(ctx, wall, n, &stats);
    rt_free(wall);
    *out = stats.median;
    return st;
}

static rt_status warm_up(struct rt_ctx *ctx, const struct pipe_bench_budget *budget,
                         const struct pipe_bench_subject *subject,
                         struct pipe_bench_series *out)
{
    rt_status st = RT_OK;
    double spent = 0, before = NAN;
    while (spent < budget->warm_seconds && out->warm_count < budget->samples_max) {
        const uint32_t first = out->warm_count;
        const double goal = fmin(2 * spent, budget->warm_seconds);
        do {
            TRY(take(subject, out->warm, &out->warm_count, &spent));
        } while (out->warm_count < budget->samples_max &&
                 (out->warm_count - first < BLOCK_MIN || spent < goal) &&
                 spent < budget->warm_seconds);
        double median = NAN;
        if (out->warm_count - first < BLOCK_MIN)
            break; /* a cap: too few to tell */
        TRY(block_median(ctx, out->warm + first, out->warm_count - first, &median));
        out->warm_steady = fabs(median - before) <= 0.02 * before;
        if (out->warm_steady)
            break;
        before = median;
    }

fail:
    return st;
}

rt_status pipe_bench_measure(struct rt_ctx *ctx, const struct pipe_bench_budget *budget,
                             const struct pipe_bench_subject *subject,
                             struct pipe_bench_series *out)
{
    rt_status st;
    double spent = 0;
    *out = (struct pipe_bench_series){ 0 };
    TRY(subject->check(subject->user, &out->check));
    if (!out->check.good)
        return RT_OK;
    out->warm = rt_alloc(ctx, budget->samples_max, sizeof *out->warm);
    out->measured = rt_alloc(ctx, budget->samples_max, sizeof *out->measured);
    if (!out->warm || !out->measured) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for %u samples",
                     budget->samples_max);
        goto fail;
    }
    TRY(warm_up(ctx, budget, subject, out));
    do {
        TRY(take(subject, out->measured, &out->count, &spent));
    } while (out->count < budget->samples_max && spent < budget->seconds_max &&
             (spent < budget->seconds || out->count < PIPE_BENCH_SAMPLES_MIN));
    return RT_OK;

fail:
    return st;
}

void pipe_bench_series_deinit(struct pipe_bench_series *s)
{
    rt_free(s->warm);
    rt_free(s->measured);
    *s = (struct pipe_bench_series){ 0 };
}

rt_status pipe_bench_series_stats(struct rt_ctx *ctx, const struct pipe_bench_series *s,
                                  bool wall, struct pipe_bench_stats *out)
{
    double *values = rt_alloc(ctx, s->count, sizeof *values);
    if (!values)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for %u samples", s->count);
    for (uint32_t i = 0; i < s->count; i++)
        values[i] = wall ? s->measured[i].wall_ns : s->measured[i].device_ns;
    const rt_status st = pipe_bench_stats_of(ctx, values, s->count, out);
    rt_free(values);
    return st;
}

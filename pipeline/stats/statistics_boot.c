/* pipeline/stats/statistics_boot.c
 * Bootstrap over problems, drawn by counter. */
#include "pipeline/stats/statistics.h"

#include "runtime/base/philox.h"

#include <math.h>
#include <stdlib.h>

static const double TAIL = 0.025;

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The q-quantile of sorted values, interpolated between neighbours. */
static double quantile(const double *sorted, uint32_t count, double q)
{
    const double at = q * (count - 1);
    const uint32_t below = (uint32_t)at;
    if (below + 1 >= count)
        return sorted[count - 1];
    return sorted[below] + (at - below) * (sorted[below + 1] - sorted[below]);
}

/* Sorts the values. */
static struct pipe_interval percentile(double *values, uint32_t count)
{
    qsort(values, count, sizeof *values, by_value);
    return (struct pipe_interval){ quantile(values, count, TAIL),
                                   quantile(values, count, 1.0 - TAIL) };
}

/* Problem i of draw d: a function of (seed, d, i) alone. */
static uint32_t draw_problem(uint32_t i, uint32_t draw, uint32_t n, uint64_t seed)
{
    const uint32_t word =
        philox_word(i, draw, 0x626f6f74u, 0, (uint32_t)seed, (uint32_t)(seed >> 32));
    return (uint32_t)(((uint64_t)word * n) >> 32);
}

/* Sums of one resample. */
static void resample(const double *full, const double *quant, const double *arm,
                     uint32_t n, uint32_t draw, uint64_t seed, double sum[3])
{
    sum[0] = sum[1] = sum[2] = 0.0;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t at = draw_problem(i, draw, n, seed);
        sum[0] += full[at];
        sum[1] += quant[at];
        sum[2] += arm[at];
    }
}

rt_status pipe_bootstrap_recovery(struct rt_ctx *ctx, const double *full,
                                  const double *quant, const double *arm, uint32_t n,
                                  uint32_t draws, uint64_t seed,
                                  struct pipe_recovery *out)
{
    *out = (struct pipe_recovery){ 0 };
    if (n == 0 || draws == 0)
        return rt_fail(ctx, RT_ERR_USAGE, "a bootstrap needs problems and draws");
    double *values = rt_alloc(ctx, (size_t)draws * 2, sizeof *values);
    if (!values)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for %u bootstrap draws",
                       draws);
    double *shares = values + draws, sum[3] = { 0 };
    for (uint32_t i = 0; i < n; i++) {
        sum[0] += full[i];
        sum[1] += quant[i];
        sum[2] += arm[i];
    }
    out->difference = (sum[2] - sum[1]) / n;
    out->share = sum[0] > sum[1] ? (sum[2] - sum[1]) / (sum[0] - sum[1]) : NAN;
    uint32_t defined = 0;
    for (uint32_t d = 0; d < draws; d++) {
        resample(full, quant, arm, n, d, seed, sum);
        values[d] = (sum[2] - sum[1]) / n;
        if (sum[0] > sum[1])
            shares[defined++] = (sum[2] - sum[1]) / (sum[0] - sum[1]);
    }
    out->undefined = draws - defined;
    out->difference_interval = percentile(values, draws);
    out->share_interval = (struct pipe_interval){ -INFINITY, INFINITY };
    if (defined > 0 && out->undefined < TAIL * draws)
        out->share_interval = percentile(shares, defined);
    rt_free(values);
    return RT_OK;
}

rt_status pipe_bootstrap_difference(struct rt_ctx *ctx, const double *base,
                                    const double *other, uint32_t n, uint32_t draws,
                                    uint64_t seed, double *difference,
                                    struct pipe_interval *interval)
{
    if (n == 0 || draws == 0)
        return rt_fail(ctx, RT_ERR_USAGE, "a bootstrap needs problems and draws");
    double *values = rt_alloc(ctx, draws, sizeof *values), whole = 0.0;
    if (!values)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for %u bootstrap draws",
                       draws);
    for (uint32_t i = 0; i < n; i++)
        whole += other[i] - base[i];
    for (uint32_t d = 0; d < draws; d++) {
        double sum = 0.0;
        for (uint32_t i = 0; i < n; i++) {
            const uint32_t at = draw_problem(i, d, n, seed);
            sum += other[at] - base[at];
        }
        values[d] = sum / n;
    }
    *difference = whole / n;
    *interval = percentile(values, draws);
    rt_free(values);
    return RT_OK;
}

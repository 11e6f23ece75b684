#include "pipeline/statistics.h"

#include "runtime/ref/philox.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* The normal quantile of 0.975, and the tail that it leaves. */
static const double Z = 1.959963984540054, TAIL = 0.025;

enum { BISECTIONS = 200 }; /* more than the bits of a double: ends by exhaustion */

static double clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

struct pipe_interval pipe_wilson(uint32_t k, uint32_t n)
{
    assert(k <= n);
    if (n == 0)
        return (struct pipe_interval){ 0.0, 1.0 };
    const double p = (double)k / n, z2n = Z * Z / n;
    const double middle = p + z2n / 2.0;
    const double half = Z * sqrt(p * (1.0 - p) / n + z2n / (4.0 * n));
    return (struct pipe_interval){
        .low = k == 0 ? 0.0 : clamp((middle - half) / (1.0 + z2n), 0.0, 1.0),
        .high = k == n ? 1.0 : clamp((middle + half) / (1.0 + z2n), 0.0, 1.0),
    };
}

/* log of P[X = k], X ~ Bin(n, p), 0 < p < 1. */
static double log_binomial(uint32_t k, uint32_t n, double p)
{
    return lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0) + k * log(p) +
           (n - k) * log1p(-p);
}

/* P[X <= k]: terms from k downwards, each from the one before. */
static double lower_tail(uint32_t k, uint32_t n, double p)
{
    double term = exp(log_binomial(k, n, p)), sum = term;
    for (uint32_t i = k; i > 0; i--) {
        term *= (double)i / (n - i + 1.0) * ((1.0 - p) / p);
        sum += term;
    }
    return sum;
}

/* The p at which P[X <= k] is TAIL: the upper bound of k of n, k < n. */
static double upper_bound(uint32_t k, uint32_t n)
{
    double low = (double)k / n, high = 1.0;
    for (int i = 0; i < BISECTIONS; i++) {
        const double middle = (low + high) / 2.0;
        if (middle >= 1.0 || lower_tail(k, n, middle) < TAIL)
            high = middle;
        else
            low = middle;
    }
    return low;
}

struct pipe_interval pipe_clopper_pearson(uint32_t k, uint32_t n)
{
    assert(k <= n);
    if (n == 0)
        return (struct pipe_interval){ 0.0, 1.0 };
    return (struct pipe_interval){
        .low = k == 0 ? 0.0 : 1.0 - upper_bound(n - k, n),
        .high = k == n ? 1.0 : upper_bound(k, n),
    };
}

double pipe_mcnemar_exact(uint32_t lost, uint32_t gained)
{
    const uint32_t least = lost < gained ? lost : gained;
    if (lost == gained)
        return 1.0;
    return fmin(1.0, 2.0 * lower_tail(least, lost + gained, 0.5));
}

double pipe_mcnemar_mid(uint32_t lost, uint32_t gained)
{
    const uint32_t least = lost < gained ? lost : gained, n = lost + gained;
    if (lost == gained)
        return 1.0;
    return fmin(1.0, 2.0 * lower_tail(least, n, 0.5) - exp(log_binomial(least, n, 0.5)));
}

/* Tango's score statistic for the difference `d`; falls as d grows. */
static double tango_score(double gained, double lost, double n, double d)
{
    const double a = 2.0 * n;
    const double b = -gained - lost + (2.0 * n - gained + lost) * d;
    const double c = -lost * d * (1.0 - d);
    const double root = sqrt(fmax(0.0, b * b - 4.0 * a * c));
    /* q: likeliest share of lost pairs under d; the stable one of two equal forms */
    const double q = b <= 0.0 ? (root - b) / (2.0 * a) : -2.0 * c / (root + b);
    const double above = gained - lost - n * d;
    const double variance = n * (2.0 * q + d * (1.0 - d));
    if (variance > 0.0)
        return above / sqrt(variance);
    return above > 0.0 ? INFINITY : above < 0.0 ? -INFINITY : 0.0;
}

struct pipe_interval pipe_tango(uint32_t gained, uint32_t lost, uint32_t n)
{
    assert(gained <= n && lost <= n - gained);
    struct pipe_interval out = { -1.0, 1.0 };
    if (n == 0)
        return out;
    const double estimate = ((double)gained - lost) / n;
    double low = -1.0, high = estimate;
    for (int i = 0; i < BISECTIONS; i++) {
        const double middle = (low + high) / 2.0;
        if (tango_score(gained, lost, n, middle) > Z)
            low = middle;
        else
            high = middle;
    }
    out.low = high;
    low = estimate;
    high = 1.0;
    for (int i = 0; i < BISECTIONS; i++) {
        const double middle = (low + high) / 2.0;
        if (tango_score(gained, lost, n, middle) < -Z)
            high = middle;
        else
            low = middle;
    }
    out.high = low;
    return out;
}

void pipe_paired_compare(const bool *base, const bool *other, uint32_t n,
                         struct pipe_paired *out)
{
    struct pipe_paired r = { .n = n };
    for (uint32_t i = 0; i < n; i++) {
        r.right_base += base[i];
        r.right_other += other[i];
        r.lost += base[i] && !other[i];
        r.gained += !base[i] && other[i];
    }
    if (n > 0)
        r.difference = ((double)r.gained - r.lost) / n;
    if (n > 1) {
        const double flips = (double)r.gained + r.lost;
        r.error =
            sqrt(fmax(0.0, flips - n * r.difference * r.difference) / (n - 1.0) / n);
    }
    r.interval = pipe_tango(r.gained, r.lost, n);
    r.p_exact = pipe_mcnemar_exact(r.lost, r.gained);
    r.p_mid = pipe_mcnemar_mid(r.lost, r.gained);
    *out = r;
}

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

static struct pipe_interval percentile(double *values, uint32_t count)
{
    qsort(values, count, sizeof *values, by_value);
    return (struct pipe_interval){ quantile(values, count, TAIL),
                                   quantile(values, count, 1.0 - TAIL) };
}

/* Sums of one resample. Problem i of draw d is a function of (seed, d, i) alone. */
static void resample(const double *full, const double *quant, const double *arm,
                     uint32_t n, uint32_t draw, uint64_t seed, double sum[3])
{
    sum[0] = sum[1] = sum[2] = 0.0;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t word =
            philox_word(i, draw, 0x626f6f74u, 0, (uint32_t)seed, (uint32_t)(seed >> 32));
        const uint32_t at = (uint32_t)(((uint64_t)word * n) >> 32);
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

struct ranked {
    double p;
    uint32_t at;
};

static int by_p(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->p != y->p)
        return x->p < y->p ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

rt_status pipe_holm(struct rt_ctx *ctx, const double *p, uint32_t count, double *adjusted)
{
    struct ranked *rank = rt_alloc(ctx, count, sizeof *rank);
    if (!rank)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for %u p-values", count);
    for (uint32_t i = 0; i < count; i++)
        rank[i] = (struct ranked){ p[i], i };
    qsort(rank, count, sizeof *rank, by_p);
    double highest = 0.0;
    for (uint32_t i = 0; i < count; i++) {
        highest = fmax(highest, fmin(1.0, rank[i].p * (count - i)));
        adjusted[rank[i].at] = highest;
    }
    rt_free(rank);
    return RT_OK;
}

double pipe_pass_at_k(uint32_t n, uint32_t c, uint32_t k)
{
    assert(c <= n && k <= n);
    if (n - c < k)
        return 1.0;
    double none = 1.0;
    for (uint32_t i = n - c + 1; i <= n; i++)
        none *= 1.0 - (double)k / i;
    return 1.0 - none;
}

void pipe_mean_error(const double *values, uint32_t n, double *mean, double *error)
{
    double sum = 0.0, squares = 0.0;
    for (uint32_t i = 0; i < n; i++)
        sum += values[i];
    *mean = n ? sum / n : 0.0;
    for (uint32_t i = 0; i < n; i++)
        squares += (values[i] - *mean) * (values[i] - *mean);
    *error = n > 1 ? sqrt(squares / (n - 1.0) / n) : 0.0;
}

/* pipeline/stats/statistics.c
 * Intervals, paired tests, pass@k and Holm's correction; the bootstrap is in
 * statistics_boot.c. */
#include "pipeline/stats/statistics.h"

#include "pipeline/stats/binomial.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* The normal quantile of 0.975, and the tail that it leaves. */
static const double Z = 1.959963984540054, TAIL = 0.025;

enum { BISECTIONS = 200 }; /* more than the bits of a double: ends by exhaustion */

/* Roots of (1 + z^2/n) x^2 - (2p + z^2/n) x + p^2: the larger as it is, the smaller from
 * their product, because there its own formula would cancel. */
static struct pipe_interval wilson(double k, double n)
{
    const double p = k / n, z2n = Z * Z / n;
    const double middle = p + z2n / 2.0;
    const double half = Z * sqrt(p * ((n - k) / n) / n + z2n / (4.0 * n));
    return (struct pipe_interval){ p * p / (middle + half),
                                   (middle + half) / (1.0 + z2n) };
}

struct pipe_interval pipe_wilson(uint32_t k, uint32_t n)
{
    assert(k <= n);
    assert(k <= n);
    if (n == 0)
        return (struct pipe_interval){ 0.0, 1.0 };
    if (k <= n / 2)
        return wilson(k, n);
    /* the mirror image keeps the digits of a bound near 1 */
    const struct pipe_interval wrong = wilson(n - k, n);
    return (struct pipe_interval){ 1.0 - wrong.high, 1.0 - wrong.low };
}

struct pipe_interval pipe_clopper_pearson(uint32_t k, uint32_t n)
{
    assert(k <= n);
    if (n == 0)
        return (struct pipe_interval){ 0.0, 1.0 };
    return (struct pipe_interval){
        .low = k == 0 ? 0.0 : pipe_binomial_low(k, n, TAIL),
        .high = k == n ? 1.0 : pipe_binomial_high(k, n, TAIL),
    };
}

double pipe_mcnemar_exact(uint32_t lost, uint32_t gained)
{
    const uint32_t least = lost < gained ? lost : gained;
    if (lost == gained)
        return 1.0;
    return fmin(1.0, 2.0 * pipe_binomial_lower(least, (uint64_t)lost + gained, 0.5, 0.5));
}

double pipe_mcnemar_mid(uint32_t lost, uint32_t gained)
{
    const uint32_t least = lost < gained ? lost : gained;
    const uint64_t n = (uint64_t)lost + gained;
    if (lost == gained)
        return 1.0;
    return fmin(1.0, 2.0 * pipe_binomial_lower(least, n, 0.5, 0.5) -
                         pipe_binomial_mass(least, n, 0.5, 0.5));
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
        /* n * the sum of squares about the mean, in whole numbers: exact */
        const uint64_t net = r.gained > r.lost ? r.gained - r.lost : r.lost - r.gained;
        const uint64_t squares = n * ((uint64_t)r.gained + r.lost) - net * net;
        r.error = sqrt((double)squares / n / n / (n - 1.0));
    }
    r.interval = pipe_tango(r.gained, r.lost, n);
    r.p_exact = pipe_mcnemar_exact(r.lost, r.gained);
    r.p_mid = pipe_mcnemar_mid(r.lost, r.gained);
    *out = r;
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
    if (k > n - c)
        return 1.0;
    /* C(n - c, k) / C(n, k) is symmetric in c and k: the shorter product of the two. A
     * sum of logarithms, so that a value near 0 keeps its digits. */
    const uint32_t few = c < k ? c : k, many = c < k ? k : c;
    double log_none = 0.0;
    for (uint32_t i = 0; i < few; i++)
        log_none += log1p(-(double)many / (n - i));
    return -expm1(log_none);
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

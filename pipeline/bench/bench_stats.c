/* pipeline/bench/bench_stats.c
 * The statistics and verdicts of bench_stats.h. */
#include "pipeline/bench/bench_stats.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Half width, relative to the median, of an interval that can say "same". */
#define SAME_WIDTH 0.05

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of sorted values. */
static double middle(const double *sorted, uint32_t n)
{
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

double pipe_bench_median(double *values, uint32_t n)
{
    qsort(values, n, sizeof *values, ascending);
    return middle(values, n);
}

uint32_t pipe_bench_rank(uint32_t n)
{
    /* Terms of the binomial tail in logarithms: n may be thousands. */
    double tail = 0;
    uint32_t k = 0;
    while (2 * k < n) {
        const double term = lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0);
        tail += exp(term - n * log(2.0));
        if (!(2 * tail <= 0.05))
            break;
        k++;
    }
    return k;
}

struct part {
    double median, low, high;
};

/* `sorted` is overwritten. */
static struct part part_of(const double *values, uint32_t n, double *sorted)
{
    memcpy(sorted, values, n * sizeof *values);
    qsort(sorted, n, sizeof *sorted, ascending);
    const uint32_t k = pipe_bench_rank(n), at = k ? k - 1 : 0;
    return (struct part){ middle(sorted, n), sorted[at], sorted[n - 1 - at] };
}

static bool is_steady(const double *values, uint32_t n, double *scratch)
{
    if (n < 4)
        return true; /* nothing can be seen; `covered` is false then */
    const struct part a = part_of(values, n / 2, scratch);
    const struct part b = part_of(values + n / 2, n - n / 2, scratch);
    const bool close = fabs(a.median - b.median) <= 0.02 * fmin(a.median, b.median);
    return close || (a.low <= b.high && b.low <= a.high);
}

rt_status pipe_bench_stats_of(struct rt_ctx *ctx, const double *values, uint32_t n,
                              struct pipe_bench_stats *out)
{
    double *scratch = rt_alloc(ctx, n, sizeof *scratch);
    *out = (struct pipe_bench_stats){ .n = n };
    if (!scratch)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for %u samples", n);
    out->steady = is_steady(values, n, scratch);
    const struct part all = part_of(values, n, scratch);
    out->median = all.median;
    out->low = all.low;
    out->high = all.high;
    out->covered = pipe_bench_rank(n) > 0;
    for (uint32_t i = 0; i < n; i++)
        scratch[i] = fabs(values[i] - out->median);
    out->mad = pipe_bench_median(scratch, n);
    const double spread = fmax(out->mad, 1e-3 * out->median);
    for (uint32_t i = 0; i < n; i++)
        out->outliers += 0.6745 * scratch[i] > 3.5 * spread;
    rt_free(scratch);
    return RT_OK;
}

/* ---- verdicts ---- */

/* What all passes of a side say together. */
struct side {
    double median, low, high; /* of the values; of all intervals together */
    double clock;
    bool steady, covered;
};

static struct side side_of(const struct pipe_bench_pass *p, uint32_t count)
{
    struct side s = {
        .low = INFINITY, .high = -INFINITY, .steady = true, .covered = true
    };
    double values[PIPE_BENCH_PASSES_MAX];
    assert(count > 0 && count <= PIPE_BENCH_PASSES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        s.low = fmin(s.low, p[i].low);
        s.high = fmax(s.high, p[i].high);
        s.clock += p[i].clock_mhz / count;
        s.steady = s.steady && p[i].steady;
        s.covered = s.covered && p[i].covered;
        values[i] = p[i].value;
    }
    s.median = pipe_bench_median(values, count);
    return s;
}

static bool apart(const struct side *a, const struct side *b)
{
    return a->high < b->low || b->high < a->low;
}

/* In values a clock cycle: whether the gap stays where both ran at one clock. */
static bool apart_in_cycles(struct side a, struct side b, bool rate)
{
    if (!(a.clock > 0) || !(b.clock > 0))
        return true;
    const double share = rate ? a.clock / b.clock : b.clock / a.clock;
    b.low *= share;
    b.high *= share;
    return apart(&a, &b);
}

static bool narrow(const struct side *s)
{
    return s->high - s->median <= SAME_WIDTH * s->median &&
           s->median - s->low <= SAME_WIDTH * s->median;
}

void pipe_bench_compare(const struct pipe_bench_pass *base, uint32_t base_count,
                        const struct pipe_bench_pass *now, uint32_t now_count,
                        const struct pipe_bench_conditions *conditions,
                        struct pipe_bench_comparison *out)
{
    const struct side a = side_of(base, base_count), b = side_of(now, now_count);
    const bool rate = conditions->higher_better;
    const double speed = rate ? b.median / a.median : a.median / b.median;
    *out = (struct pipe_bench_comparison){
        .verdict = PIPE_BENCH_UNCLEAR,
        .base = a.median,
        .now = b.median,
        .change = speed - 1,
        .clock_change = b.clock / a.clock - 1,
    };
    const bool differs = apart(&a, &b);
    const bool same =
        !differs && fabs(out->change) <= PIPE_BENCH_SAME && narrow(&a) && narrow(&b);
    if (!a.covered || !b.covered)
        out->reasons |= PIPE_BENCH_FEW_SAMPLES;
    if (!a.steady || !b.steady)
        out->reasons |= PIPE_BENCH_UNSTEADY;
    if (conditions->settings_differ)
        out->reasons |= PIPE_BENCH_ENV_DIFFERS;
    if (!differs && !same)
        out->reasons |= PIPE_BENCH_OVERLAP;
    if (fabs(out->clock_change) > PIPE_BENCH_CLOCK &&
        (!differs || !apart_in_cycles(a, b, rate)))
        out->reasons |= PIPE_BENCH_CLOCK_DRIFT;
    if (out->reasons == 0)
        out->verdict = same        ? PIPE_BENCH_IS_SAME
                       : speed > 1 ? PIPE_BENCH_FASTER
                                   : PIPE_BENCH_SLOWER;
    else if (conditions->env_differs)
        out->reasons |= PIPE_BENCH_ENV_DIFFERS;
}

const char *pipe_bench_verdict_name(enum pipe_bench_verdict verdict)
{
    static const char *const names[] = { "same",    "FASTER", "SLOWER",
                                         "unclear", "new",    "no time" };
    return names[verdict];
}

void pipe_bench_reasons_print(unsigned reasons, char *text, size_t size)
{
    static const char *const names[] = { "overlap", "unsteady", "clock-drift",
                                         "env-differs", "few-samples" };
    size_t used = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < RT_COUNT(names); i++)
        if (reasons >> i & 1 && used < size)
            used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "",
                                     names[i]);
}

/* ---- gates ---- */

rt_status pipe_bench_gate_parse(struct rt_ctx *ctx, const char *text,
                                struct pipe_bench_gate *out)
{
    static const char *const names[] = { "slower>", "invalid>", "unclear>" };
    for (size_t i = 0; i < RT_COUNT(names); i++) {
        const size_t length = strlen(names[i]);
        if (strncmp(text, names[i], length) != 0)
            continue;
        char *end = NULL;
        const double limit = strtod(text + length, &end);
        const bool percent = i == PIPE_BENCH_GATE_SLOWER;
        const char *rest = percent && *end == '%' ? end + 1 : end;
        if (end == text + length || *rest || !(limit >= 0) || isinf(limit))
            break;
        *out = (struct pipe_bench_gate){ (enum pipe_bench_gate_kind)i, limit };
        return RT_OK;
    }
    return rt_fail(ctx, RT_ERR_USAGE,
                   "--fail-if \"%.60s\": write \"slower>5%%\" (in per cent), "
                   "\"invalid>0\" or \"unclear>0\"",
                   text);
}

bool pipe_bench_gate_hits(const struct pipe_bench_gate *gate,
                          const struct pipe_bench_comparison *c)
{
    switch (gate->kind) {
    case PIPE_BENCH_GATE_SLOWER:
        return c->verdict == PIPE_BENCH_SLOWER && -100 * c->change > gate->limit;
    case PIPE_BENCH_GATE_INVALID:
        return c->verdict == PIPE_BENCH_INVALID;
    case PIPE_BENCH_GATE_UNCLEAR:
        return c->verdict == PIPE_BENCH_UNCLEAR;
    }
    return false;
}

/* pipeline/stats/line.c
 * A repair against plain models of the same bits per weight. */
#include "pipeline/stats/line.h"

#include <assert.h>
#include <math.h>

/* Bits are sums of sizes: two models of one grid differ by rounding at most. */
#define SAME_BITS 1e-9

bool pipe_line_through(const double *bits, const double *accuracy, uint32_t count,
                       uint32_t i)
{
    for (uint32_t k = 0; k < count; k++) {
        if (k == i || bits[k] > bits[i] + SAME_BITS || accuracy[k] < accuracy[i])
            continue;
        const bool equal = bits[k] >= bits[i] - SAME_BITS && accuracy[k] <= accuracy[i];
        if (!equal || k < i)
            return false;
    }
    return true;
}

void pipe_line_at(const double *bits, const double *accuracy, uint32_t count, double at,
                  struct pipe_line *out)
{
    out->below = out->above = -1;
    out->share = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!pipe_line_through(bits, accuracy, count, i))
            continue;
        if (bits[i] <= at + SAME_BITS) {
            if (out->below < 0 || bits[i] > bits[out->below])
                out->below = (int32_t)i;
        } else if (out->above < 0 || bits[i] < bits[out->above]) {
            out->above = (int32_t)i;
        }
    }
    if (out->below >= 0 && out->above >= 0)
        out->share =
            fmax(0, at - bits[out->below]) / (bits[out->above] - bits[out->below]);
}

static double mean_of(const uint8_t *right, uint32_t n)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += right[i];
    return n ? sum / n : 0;
}

/* The plain model of fewest bits that is at least as accurate. */
static int32_t rival_of(const double *bits, const double *accuracy, uint32_t count,
                        double wanted)
{
    int32_t best = -1;
    for (uint32_t i = 0; i < count; i++)
        if (accuracy[i] >= wanted && (best < 0 || bits[i] < bits[best]))
            best = (int32_t)i;
    return best;
}

static void fill_line(const struct pipe_line_model *plain, const struct pipe_line *line,
                      uint32_t n, double *base)
{
    const uint8_t *below = plain[line->below].right;
    const uint8_t *above = plain[line->above < 0 ? line->below : line->above].right;
    for (uint32_t i = 0; i < n; i++)
        base[i] = (1 - line->share) * below[i] + line->share * above[i];
}

rt_status pipe_line_compare(struct rt_ctx *ctx, const struct pipe_line_model *plain,
                            uint32_t count, const struct pipe_line_model *repair,
                            uint32_t n, struct pipe_line *out)
{
    rt_status st = RT_OK;
    double bits[PIPE_LINE_MAX] = { 0 }, accuracy[PIPE_LINE_MAX] = { 0 };
    assert(count <= PIPE_LINE_MAX);
    for (uint32_t i = 0; i < count; i++) {
        bits[i] = plain[i].bits;
        accuracy[i] = mean_of(plain[i].right, n);
    }
    *out = (struct pipe_line){ .difference = NAN, .interval = { NAN, NAN } };
    pipe_line_at(bits, accuracy, count, repair->bits, out);
    out->rival = rival_of(bits, accuracy, count, mean_of(repair->right, n));
    if (out->below < 0 || n == 0)
        return RT_OK;
    double *base = rt_alloc(ctx, n + 1u, sizeof *base);
    double *other = rt_alloc(ctx, n + 1u, sizeof *other);
    if (!base || !other) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "results: no memory");
        goto fail;
    }
    fill_line(plain, out, n, base);
    for (uint32_t i = 0; i < n; i++) {
        other[i] = repair->right[i];
        out->accuracy += base[i] / n;
    }
    TRY(pipe_bootstrap_difference(ctx, base, other, n, PIPE_BOOTSTRAP_DRAWS,
                                  PIPE_STATS_SEED, &out->difference, &out->interval));

fail:
    rt_free(base);
    rt_free(other);
    return st;
}

/* runtime/quant/awq.c
 * The search for factors of columns; ranges of groups are awq_ranges.c's. */
#include "runtime/quant/awq.h"

#include "runtime/quant/grid.h"
#include "runtime/quant/rtn.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

#define SMALLEST 1e-4 /* factor, and addend of a divisor */

static rt_status no_memory(struct rt_ctx *ctx, const struct quant_matrix *m)
{
    return rt_fail(ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory for '%s'", m->name);
}

static uint32_t sampled(const struct quant_matrix *m)
{
    return m->out < QUANT_AWQ_ROWS ? m->out : QUANT_AWQ_ROWS;
}

/* What the search works in: for the largest matrix of the group. */
struct search {
    struct rt_ctx *ctx;
    const struct quant_options *o;
    const struct quant_matrix *matrices;
    uint32_t count;
    const double *means;
    double *weights;          /* [in] mean share of the largest magnitude of the group */
    float *factors;           /* [in] under trial */
    float *scaled;            /* [QUANT_AWQ_ROWS][in] */
    struct quant_codes codes; /* of those */
};

static float largest_of(const float *w, uint32_t n)
{
    float most = 0;
    for (uint32_t i = 0; i < n; i++)
        most = fabsf(w[i]) > most ? fabsf(w[i]) : most;
    return most;
}

static void mean_weights(struct search *s)
{
    const uint32_t in = s->matrices->in, group = quant_group(s->o, in);
    uint64_t rows = 0;
    memset(s->weights, 0, in * sizeof *s->weights);
    for (uint32_t m = 0; m < s->count; m++)
        for (uint32_t r = 0; r < s->matrices[m].out; r++, rows++)
            for (uint32_t first = 0; first < in; first += group) {
                const uint32_t n = in - first < group ? in - first : group;
                const float *w = s->matrices[m].w + (size_t)r * in + first;
                const double most = (double)largest_of(w, n) + 1e-6;
                for (uint32_t k = 0; k < n; k++)
                    s->weights[first + k] += (double)fabsf(w[k]) / most;
            }
    for (uint32_t k = 0; k < in; k++)
        s->weights[k] /= (double)rows;
}

static void factors_of(struct search *s, double ratio)
{
    const uint32_t in = s->matrices->in;
    double low = DBL_MAX, high = 0;
    for (uint32_t k = 0; k < in; k++) {
        const double f =
            pow(s->means[k], ratio) / (pow(s->weights[k], 1 - ratio) + SMALLEST);
        const double kept = f > SMALLEST ? f : SMALLEST;
        s->factors[k] = (float)kept;
        low = kept < low ? kept : low;
        high = kept > high ? kept : high;
    }
    const double norm = sqrt(low * high);
    for (uint32_t k = 0; k < in; k++) {
        const float f = (float)((double)s->factors[k] / norm);
        s->factors[k] = isfinite(f) && f > 0 ? f : 1.0f;
    }
}

/* Ranges and codes, those of a trial or as they will be. */
static rt_status quantize(struct rt_ctx *ctx, const struct quant_options *o,
                          const struct quant_matrix *m, bool is_draft,
                          struct quant_codes *out)
{
    rt_status st;
    if (o->search)
        return quant_rtn(ctx, o, m, out);
    TRY(quant_awq_ranges(ctx, o, m, is_draft, out));
    quant_grid_codes(o, m, out);

fail:
    return st;
}

/* The error that rows of the matrices have, quantized with the factors. */
static rt_status error_of(struct search *s, double *out)
{
    rt_status st = RT_OK;
    const uint32_t in = s->matrices->in;
    *out = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        struct quant_matrix m = s->matrices[i];
        const uint64_t rows = sampled(&m), of = m.out;
        for (uint64_t r = 0; r < rows; r++)
            for (uint32_t k = 0; k < in; k++)
                s->scaled[r * in + k] = m.w[r * of / rows * in + k] * s->factors[k];
        m.w = s->scaled;
        m.out = (uint32_t)rows;
        m.divisors = s->factors;
        s->codes.objective = NAN;
        TRY(quantize(s->ctx, s->o, &m, true, &s->codes));
        if (isnan(s->codes.objective))
            TRY(quant_objective(s->ctx, s->o, &m, &s->codes, &s->codes.objective));
        *out += s->codes.objective * (double)of / (double)rows;
    }

fail:
    return st;
}

static rt_status run_search(struct search *s, float *best)
{
    rt_status st;
    double least, error;
    const uint32_t in = s->matrices->in;
    mean_weights(s);
    for (uint32_t k = 0; k < in; k++)
        s->factors[k] = best[k] = 1.0f;
    TRY(error_of(s, &least));
    for (int i = 0; i < QUANT_AWQ_RATIOS; i++) {
        factors_of(s, (double)i / QUANT_AWQ_RATIOS);
        TRY(error_of(s, &error));
        if (error < least) {
            least = error;
            memcpy(best, s->factors, in * sizeof *best);
        }
    }
    return RT_OK;

fail:
    return st;
}

rt_status quant_awq_scale(struct rt_ctx *ctx, const struct quant_options *o,
                          const struct quant_matrix *matrices, uint32_t count,
                          const double *means, float *factors)
{
    size_t rows = 0;
    const size_t in = matrices->in, groups = quant_groups(o, matrices->in);
    for (uint32_t m = 0; m < count; m++) {
        assert(matrices[m].in == in && matrices[m].moment && !matrices[m].divisors);
        rows = sampled(&matrices[m]) > rows ? sampled(&matrices[m]) : rows;
    }
    struct search s = { .ctx = ctx,
                        .o = o,
                        .matrices = matrices,
                        .count = count,
                        .means = means,
                        .weights = rt_alloc(ctx, in, sizeof *s.weights),
                        .factors = rt_alloc(ctx, in, sizeof *s.factors),
                        .scaled = rt_alloc(ctx, rows * in, sizeof *s.scaled),
                        .codes = { .codes = rt_alloc(ctx, rows * in, 1),
                                   .scales = rt_alloc(ctx, rows * groups, sizeof(float)),
                                   .zeros = rt_alloc(ctx, rows * groups, 1) } };
    const rt_status st = s.weights && s.factors && s.scaled && s.codes.codes &&
                                 s.codes.scales && s.codes.zeros
                             ? run_search(&s, factors)
                             : no_memory(ctx, matrices);
    rt_free(s.weights);
    rt_free(s.factors);
    rt_free(s.scaled);
    rt_free(s.codes.codes);
    rt_free(s.codes.scales);
    rt_free(s.codes.zeros);
    return st;
}

rt_status quant_awq(struct rt_ctx *ctx, const struct quant_options *o,
                    const struct quant_matrix *m, struct quant_codes *out)
{
    return quantize(ctx, o, m, false, out);
}

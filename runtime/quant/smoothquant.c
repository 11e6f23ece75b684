/* runtime/quant/smoothquant.c
 * The search for how much of the outliers of inputs goes into the weights. */
#include "runtime/quant/smoothquant.h"

#include "runtime/quant/gptq.h"
#include "runtime/quant/int8.h"
#include "runtime/quant/rtn.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define SMALLEST 1e-5

/* What the search works in: for the largest matrix of the group. */
struct search {
    struct rt_ctx *ctx;
    const struct quant_options *o;
    const struct quant_matrix *matrices;
    uint32_t count;
    double *largest; /* [in] of each column of all matrices */
    float *factors;  /* [in] under trial */
    float *scaled;   /* [out][in] */
    struct quant_codes codes;
};

static double at_least(double v)
{
    return v > SMALLEST ? v : SMALLEST;
}

static void find_largest(struct search *s)
{
    for (uint32_t m = 0; m < s->count; m++)
        for (size_t r = 0; r < s->matrices[m].out; r++)
            for (size_t k = 0; k < s->matrices[m].in; k++) {
                const double size =
                    fabs((double)s->matrices[m].w[r * s->matrices[m].in + k]);
                s->largest[k] = size > s->largest[k] ? size : s->largest[k];
            }
}

static void factors_of(struct search *s, double alpha)
{
    const struct quant_matrix *m = s->matrices;
    for (uint32_t k = 0; k < m->in; k++) {
        const double x = at_least((double)m->seen->maxima[k]);
        const double w = at_least(s->largest[k]);
        s->factors[k] = (float)at_least(pow(x, alpha) / pow(w, 1 - alpha));
    }
}

/* With the factors under trial. */
static rt_status error_of(struct search *s, double *out)
{
    rt_status st = RT_OK;
    struct quant_int8_token tokens[OBSERVE_SAMPLED] = { 0 };
    for (uint32_t i = 0; i < s->count; i++) {
        struct quant_matrix m = s->matrices[i];
        for (size_t r = 0; r < m.out; r++)
            for (size_t k = 0; k < m.in; k++)
                s->scaled[r * m.in + k] = m.w[r * m.in + k] * s->factors[k];
        m.w = s->scaled;
        m.divisors = s->factors;
        TRY(quant_rtn(s->ctx, s->o, &m, &s->codes));
        TRY(quant_int8_tokens(s->ctx, s->o, &m, &s->codes, tokens));
    }
    *out = quant_int8_relative(tokens, s->matrices->seen->sampled);

fail:
    return st;
}

static rt_status run_search(struct search *s, float *best)
{
    rt_status st;
    double least, error;
    const uint32_t in = s->matrices->in;
    find_largest(s);
    for (uint32_t k = 0; k < in; k++)
        s->factors[k] = best[k] = 1.0f;
    TRY(error_of(s, &least));
    for (int i = 1; i <= QUANT_SMOOTH_STEPS; i++) {
        factors_of(s, i / (QUANT_SMOOTH_STEPS + 1.0));
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

rt_status quant_smoothquant_scale(struct rt_ctx *ctx, const struct quant_options *o,
                                  const struct quant_matrix *matrices, uint32_t count,
                                  const double *means, float *factors)
{
    size_t rows = 0;
    const size_t in = matrices->in;
    (void)means;
    for (uint32_t m = 0; m < count; m++) {
        assert(matrices[m].in == in && matrices[m].seen && matrices[m].seen->maxima);
        rows = matrices[m].out > rows ? matrices[m].out : rows;
    }
    struct search s = { .ctx = ctx,
                        .o = o,
                        .matrices = matrices,
                        .count = count,
                        .largest = rt_alloc(ctx, in, sizeof *s.largest),
                        .factors = rt_alloc(ctx, in, sizeof *s.factors),
                        .scaled = rt_alloc(ctx, rows * in, sizeof *s.scaled),
                        .codes = { .codes = rt_alloc(ctx, rows * in, 1),
                                   .scales = rt_alloc(ctx, rows, sizeof(float)),
                                   .zeros = rt_alloc(ctx, rows, 1) } };
    const rt_status st =
        s.largest && s.factors && s.scaled && s.codes.codes && s.codes.scales &&
                s.codes.zeros
            ? run_search(&s, factors)
            : rt_fail(ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory for '%s'",
                      matrices->name);
    rt_free(s.largest);
    rt_free(s.factors);
    rt_free(s.scaled);
    rt_free(s.codes.codes);
    rt_free(s.codes.scales);
    rt_free(s.codes.zeros);
    return st;
}

rt_status quant_smoothquant(struct rt_ctx *ctx, const struct quant_options *o,
                            const struct quant_matrix *m, struct quant_codes *out)
{
    return o->nearest ? quant_rtn(ctx, o, m, out) : quant_gptq(ctx, o, m, out);
}

/* runtime/quant/gptq_factor.c
 * The order of visit and the factor, in double, by LAPACK. */
#include "runtime/quant/gptq_impl.h"

#include "runtime/base/blas.h"
#include "runtime/quant/grid.h"

#include <assert.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>

enum { TRIES = 4 };

rt_status quant_gptq_no_memory(struct rt_ctx *ctx, const struct quant_matrix *m)
{
    return rt_fail(ctx, RT_ERR_HOST_MEMORY,
                   "quantize: no host memory for the %u x %u moments of '%s'", m->in,
                   m->in, m->name);
}

/* ---- order ---- */

struct visit {
    double diagonal;
    uint32_t column;
};

/* Least activation first; of equals the later column, so that it is visited later. */
static int compare_visits(const void *a, const void *b)
{
    const struct visit *x = a, *y = b;
    if (x->diagonal != y->diagonal)
        return x->diagonal < y->diagonal ? -1 : 1;
    return x->column > y->column ? -1 : x->column < y->column;
}

static rt_status make_order(struct rt_ctx *ctx, const struct quant_options *o,
                            const struct quant_matrix *m, struct gptq_factor *f)
{
    const uint32_t in = m->in;
    struct visit *visits = rt_alloc(ctx, in, sizeof *visits);
    if (!visits)
        return quant_gptq_no_memory(ctx, m);
    for (uint32_t k = 0; k < in; k++) {
        const struct visit v = { f->diagonal[k], k };
        visits[o->natural_order ? in - 1 - k : k] = v;
    }
    if (!o->natural_order)
        qsort(visits, in, sizeof *visits, compare_visits);
    for (uint32_t r = 0; r < in; r++)
        f->column[r] = visits[r].column;
    rt_free(visits);
    return RT_OK;
}

/* ---- the factor ---- */

/* The lower triangle of H in the reverse order of visit, damped. */
static void load_moment(const struct quant_matrix *m, struct gptq_factor *f, double added)
{
    const uint32_t in = m->in;
    const double rows = m->moment->weight;
    const float *divisors = m->divisors;
    for (uint32_t r = 0; r < in; r++)
        f->at[f->column[r]] = r;
    for (uint32_t i = 0; i < in; i++) {
        const float *from = observe_moment_right(m->moment, i);
        const double by = rows * (divisors ? (double)divisors[i] : 1.0);
        const size_t r = f->at[i];
        for (uint32_t j = i; j < in; j++) {
            const size_t s = f->at[j];
            const double h = (double)from[j - i] / by;
            f->l[r < s ? r * in + s : s * in + r] =
                divisors ? h / (double)divisors[j] : h;
        }
    }
    for (uint32_t r = 0; r < in; r++)
        f->l[(size_t)r * in + r] += added;
    f->added = added;
}

/* *good false: not positive definite, however damped. */
static rt_status make_factor(struct rt_ctx *ctx, const struct quant_options *o,
                             const struct quant_matrix *m, struct gptq_factor *f,
                             bool *good)
{
    const uint32_t in = m->in;
    double mean = 0, damping = o->damping > 0 ? o->damping : QUANT_DAMPING;
    for (uint32_t k = 0; k < in; k++)
        mean += f->diagonal[k] / m->moment->weight / in;
    if (!isfinite(mean))
        return rt_fail(ctx, RT_ERR_INPUT,
                       "the inputs of '%s' are not finite on the calibration text: the "
                       "model's activations overflow there; use other text or another "
                       "model",
                       m->name);
    *good = false;
    for (int i = 0; i < TRIES && mean > 0 && !*good; i++, damping *= 10) {
        load_moment(m, f, damping * mean);
        rt_blas_threads((double)in * in * in / 3);
        *good = LAPACKE_dpotrf(LAPACK_COL_MAJOR, 'L', (int)in, f->l, (int)in) == 0;
    }
    return RT_OK;
}

/* ---- the whole ---- */

rt_status quant_factor_init(struct rt_ctx *ctx, const struct quant_options *o,
                            const struct quant_matrix *m, struct gptq_factor *f,
                            bool *good)
{
    rt_status st;
    const size_t in = m->in;
    *good = false;
    assert(m->moment && m->moment->in == m->in && m->moment->weight > 0);
    *f = (struct gptq_factor){ .column = rt_alloc(ctx, in, sizeof *f->column),
                               .diagonal = rt_alloc(ctx, in, sizeof *f->diagonal),
                               .l = rt_alloc(ctx, in * in, sizeof *f->l),
                               .at = rt_alloc(ctx, in, sizeof *f->at) };
    if (!f->column || !f->diagonal || !f->l || !f->at)
        return quant_gptq_no_memory(ctx, m);
    quant_diagonal(m, f->diagonal);
    TRY(make_order(ctx, o, m, f));
    TRY(make_factor(ctx, o, m, f, good));
    if (!*good)
        rt_log(ctx, RT_LOG_WARNING,
               "'%s': its inputs are zero or all alike on the calibration text; it is "
               "rounded to nearest; use more text",
               m->name);

fail:
    return st;
}

void quant_factor_deinit(struct gptq_factor *f)
{
    rt_free(f->column);
    rt_free(f->diagonal);
    rt_free(f->l);
    rt_free(f->at);
}

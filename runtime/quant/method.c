/* runtime/quant/method.c
 * The table of quantizers, what options are possible, and the error that all of them are
 * measured by. */
#include "runtime/quant/method.h"

#include "runtime/quant/awq.h"
#include "runtime/quant/gptq.h"
#include "runtime/quant/grid.h"
#include "runtime/quant/int8.h"
#include "runtime/quant/rtn.h"
#include "runtime/quant/smoothquant.h"

#include <cblas.h>
#include <string.h>

enum { CHUNK = 64 /* rows of a matrix, columns of H at once */ };

static const struct quant_method methods[] = {
#define METHOD(name, needs, scale, summary) \
    { #name, summary, needs, scale, quant_##name },
#include "runtime/quant/methods.def"
#undef METHOD
};

const struct quant_method *quant_method_at(uint32_t i)
{
    return i < RT_COUNT(methods) ? &methods[i] : NULL;
}

const struct quant_method *quant_method_find(const char *name)
{
    for (size_t i = 0; i < RT_COUNT(methods); i++)
        if (strcmp(methods[i].name, name) == 0)
            return &methods[i];
    return NULL;
}

const struct quant_method *quant_method_of(const struct quant_options *options)
{
    return options->method ? options->method : &methods[0];
}

rt_status quant_check(struct rt_ctx *ctx, const struct quant_options *o)
{
    if (o->bits != 2 && o->bits != 3 && o->bits != 4 && o->bits != 8)
        return rt_fail(ctx, RT_ERR_USAGE, "--bits %u: 2, 3, 4 or 8 is possible", o->bits);
    if (o->group % 32 != 0)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "--group %u: a multiple of 32, or 'row', is possible", o->group);
    if (o->inputs != QUANT_INPUTS_FLOATS && (o->bits != 8 || o->group || o->asymmetric))
        return rt_fail(ctx, RT_ERR_USAGE,
                       "activations of 8 bits need --bits 8 --group row, without --asym");
    if (o->method && o->method->quantize == quant_smoothquant &&
        o->inputs == QUANT_INPUTS_FLOATS)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "smoothquant is for activations of 8 bits: --activations dynamic "
                       "or static");
    if (!(o->damping >= 0 && o->damping <= 1))
        return rt_fail(ctx, RT_ERR_USAGE, "--damping %g: 0 to 1 is possible", o->damping);
    return RT_OK;
}

uint32_t quant_group(const struct quant_options *o, uint32_t in)
{
    return o->group ? o->group : in;
}

uint32_t quant_groups(const struct quant_options *o, uint32_t in)
{
    const uint32_t group = quant_group(o, in);
    return (in + group - 1) / group;
}

/* ---- the objective ---- */

void quant_moment_rows(const struct quant_matrix *m, uint32_t first, uint32_t count,
                       double *out)
{
    observe_moment_rows(m->moment, first, count, out);
    if (!m->divisors)
        return;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < m->in; j++)
            *out++ /= (double)m->divisors[first + i] * (double)m->divisors[j];
}

/* H is made a few columns at a time and meets all rows, so that it is read once. */
rt_status quant_output_error(struct rt_ctx *ctx, const struct quant_matrix *m,
                             const double *d, double *out)
{
    rt_status st = RT_OK;
    const size_t rows = m->out, in = m->in;
    double sum = 0;
    double *h = rt_alloc(ctx, CHUNK * in, sizeof *h);
    double *y = rt_alloc(ctx, rows * CHUNK, sizeof *y);
    if (!h || !y) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory to compare '%s'",
                     m->name);
        goto fail;
    }
    for (uint32_t k = 0; k < m->in; k += CHUNK) {
        const uint32_t n = m->in - k < CHUNK ? m->in - k : CHUNK;
        quant_moment_rows(m, k, n, h);
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)n, (int)in,
                    1, d, (int)in, h, (int)in, 0, y, (int)n);
        for (size_t r = 0; r < rows; r++)
            sum += cblas_ddot((int)n, d + r * in + k, 1, y + r * n, 1);
    }
    *out = sum / (double)m->moment->rows;

fail:
    rt_free(h);
    rt_free(y);
    return st;
}

rt_status quant_objective(struct rt_ctx *ctx, const struct quant_options *o,
                          const struct quant_matrix *m, const struct quant_codes *c,
                          double *out)
{
    if (o->inputs != QUANT_INPUTS_FLOATS && m->seen)
        return quant_int8_objective(ctx, o, m, c, out);
    const uint32_t groups = quant_groups(o, m->in), group = quant_group(o, m->in);
    double *d = rt_alloc(ctx, (size_t)m->out * m->in, sizeof *d);
    if (!d)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory for '%s'",
                       m->name);
    for (uint32_t r = 0; r < m->out; r++)
        for (uint32_t k = 0; k < m->in; k++) {
            const size_t at = (size_t)r * m->in + k, g = (size_t)r * groups + k / group;
            const float q = quant_grid_value(c->codes[at], c->scales[g], c->zeros[g]);
            d[at] = (double)m->w[at] - (double)q;
        }
    const rt_status st = quant_output_error(ctx, m, d, out);
    rt_free(d);
    return st;
}

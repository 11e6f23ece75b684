/* runtime/quant/method.c
 * The table of quantizers, what options are possible, and the error that all of them are
 * measured by. */
#include "runtime/quant/method.h"

#include "runtime/base/blas.h"
#include "runtime/quant/awq.h"
#include "runtime/quant/gptq.h"
#include "runtime/quant/grid.h"
#include "runtime/quant/int8.h"
#include "runtime/quant/rtn.h"
#include "runtime/quant/smoothquant.h"

#include <cblas.h>
#include <string.h>

enum { CHUNK = 1024 /* rows of a matrix at once */ };

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

bool quant_rounds_by_gptq(const struct quant_options *options)
{
    const struct quant_method *m = quant_method_of(options);
    return m->quantize == quant_gptq ||
           (m->quantize == quant_smoothquant && !options->nearest);
}

bool quant_device_measures(const struct quant_options *options)
{
    return options->device && quant_method_of(options)->quantize == quant_gptq &&
           !options->search && options->inputs == QUANT_INPUTS_FLOATS;
}

static rt_status check_int8(struct rt_ctx *ctx, const struct quant_options *o)
{
    if (o->bits != 8 || o->group || o->asymmetric)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "activations of 8 bits need --bits 8 --group row, without --asym");
    if (o->plan)
        return rt_fail(
            ctx, RT_ERR_USAGE,
            "activations of 8 bits need weights of 8 bits everywhere, so a plan "
            "of widths (--plan, --budget) has no place beside them");
    if (!(o->float_inputs >= 0 && o->float_inputs <= 1e6))
        return rt_fail(ctx, RT_ERR_USAGE,
                       "--float-inputs %g: 0 (none) to 1e6 is possible", o->float_inputs);
    return RT_OK;
}

rt_status quant_check(struct rt_ctx *ctx, const struct quant_options *o)
{
    if (o->bits != 2 && o->bits != 3 && o->bits != 4 && o->bits != 8)
        return rt_fail(ctx, RT_ERR_USAGE, "--bits %u: 2, 3, 4 or 8 is possible", o->bits);
    if (o->group % 32 != 0 && o->group != 16)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "--group %u: 16, a multiple of 32, or 'row' is possible",
                       o->group);
    if (o->inputs != QUANT_INPUTS_FLOATS) {
        const rt_status st = check_int8(ctx, o);
        if (st != RT_OK)
            return st;
    } else if (o->float_inputs != 0 ||
               (o->method && o->method->quantize == quant_smoothquant))
        return rt_fail(ctx, RT_ERR_USAGE,
                       "%s is for activations of 8 bits: --activations dynamic or static",
                       o->float_inputs != 0 ? "--float-inputs" : "smoothquant");
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

double quant_packed_bits(uint32_t out, uint32_t in, uint32_t bits, uint32_t group,
                         bool asymmetric)
{
    const uint32_t groups = group ? (in + group - 1) / group : 1;
    return out * ((double)in * bits + groups * (32.0 + (asymmetric ? bits : 0)));
}

/* ---- the objective ---- */

/* The panel of H from row `at` on, `height` rows, against `count` rows of d: what they
 * give with the columns of the panel itself, and twice what they give with those to its
 * right, whose other half lies below the diagonal. The diagonal tile holds both halves
 * only in an upper triangle, which is made whole in `tile`. */
static double panel_error(const struct quant_matrix *m, const float *d, uint32_t count,
                          uint32_t at, uint32_t height, const float *tile, float *y)
{
    const int in = (int)m->in, n = (int)height, rows = (int)count;
    const uint32_t right = at + height;
    double sum = 0;
    rt_blas_threads(2.0 * count * height * (m->in - at));
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, n, n, 1, d + at, in,
                tile, n, 0, y, n);
    if (right < m->in) {
        const float *h = observe_moment_right(m->moment, at) + height;
        const int ld = (int)(observe_moment_stride(m->moment, at));
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, n, in - (int)right, 2,
                    d + right, in, h, ld, 1, y, n);
    }
    for (uint32_t r = 0; r < count; r++)
        for (uint32_t k = 0; k < height; k++)
            sum +=
                (double)d[(size_t)r * m->in + at + k] * (double)y[(size_t)r * height + k];
    return sum;
}

/* Rows and columns [at, at + n) of H, both triangles. */
static void make_tile(const struct observe_moment *m, uint32_t at, uint32_t n,
                      float *tile)
{
    for (uint32_t i = 0; i < n; i++) {
        const float *row = observe_moment_right(m, at + i);
        for (uint32_t j = i; j < n; j++)
            tile[(size_t)i * n + j] = tile[(size_t)j * n + i] = row[j - i];
    }
}

rt_status quant_output_error(struct rt_ctx *ctx, const struct quant_matrix *m,
                             const float *d, double *out)
{
    rt_status st = RT_OK;
    double sum = 0;
    const uint32_t most = m->moment->height < m->in ? m->moment->height : m->in;
    float *tile = rt_alloc(ctx, (size_t)most * most, sizeof *tile);
    float *y = rt_alloc(ctx, (size_t)CHUNK * most, sizeof *y);
    if (!tile || !y) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory to compare '%s'",
                     m->name);
        goto fail;
    }
    for (uint32_t at = 0; at < m->in; at += most) {
        const uint32_t height = m->in - at < most ? m->in - at : most;
        make_tile(m->moment, at, height, tile);
        for (uint32_t r = 0; r < m->out; r += CHUNK)
            sum +=
                panel_error(m, d + (size_t)r * m->in,
                            m->out - r < CHUNK ? m->out - r : CHUNK, at, height, tile, y);
    }
    *out = sum / m->moment->weight;

fail:
    rt_free(tile);
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
    float *d = rt_alloc(ctx, (size_t)m->out * m->in, sizeof *d);
    if (!d)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory for '%s'",
                       m->name);
    for (uint32_t r = 0; r < m->out; r++)
        for (uint32_t k = 0; k < m->in; k++) {
            const size_t at = (size_t)r * m->in + k, g = (size_t)r * groups + k / group;
            d[at] = m->w[at] - quant_grid_value(c->codes[at], c->scales[g], c->zeros[g]);
            if (m->divisors)
                d[at] /= m->divisors[k];
        }
    const rt_status st = quant_output_error(ctx, m, d, out);
    rt_free(d);
    return st;
}

/* runtime/quant/int8.c
 * What rounding inputs and weights to 8 bits does to outputs, and the tensors of it. */
#include "runtime/quant/int8.h"

#include "runtime/quant/rtn.h"

#include <assert.h>
#include <cblas.h>
#include <math.h>

#define LEAST 0x1p-64f /* of a row whose scale is not 0; shaders/push.h: quantize */

uint32_t quant_int8_needs(const struct quant_options *o)
{
    return o->inputs == QUANT_INPUTS_FLOATS ? 0 : OBSERVE_MAXIMA | OBSERVE_SAMPLE;
}

float quant_int8_given(const struct quant_matrix *m)
{
    float most = 0;
    for (uint32_t k = 0; k < m->in; k++) {
        const float size = m->seen->maxima[k] / (m->divisors ? m->divisors[k] : 1);
        most = size > most ? size : most;
    }
    return most < LEAST ? 1 : most / 127.0f;
}

void quant_int8_row(const float *x, const float *divisors, uint32_t n, float given,
                    double *codes, float *scale)
{
    float most = 0;
    *scale = given;
    for (uint32_t k = 0; k < n; k++) {
        codes[k] = (double)(divisors ? x[k] / divisors[k] : x[k]);
        most = fabsf((float)codes[k]) > most ? fabsf((float)codes[k]) : most;
    }
    if (given == 0)
        *scale = most < LEAST ? 0 : most / 127.0f;
    for (uint32_t k = 0; k < n; k++) {
        const double code = *scale > 0 ? nearbyint(codes[k] / (double)*scale) : 0;
        codes[k] = code > 127 ? 127 : code < -128 ? -128 : code;
    }
}

/* ---- errors of tokens ---- */

/* [sampled][in] inputs, [out][in] a matrix, [sampled][out] products: doubles. */
struct product {
    double *x, *w, *wanted, *got;
    float *scales; /* [sampled] of rounded inputs */
};

static rt_status no_memory(struct rt_ctx *ctx, const struct quant_matrix *m)
{
    return rt_fail(ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory for '%s'", m->name);
}

static void deinit(struct product *p)
{
    rt_free(p->x);
    rt_free(p->w);
    rt_free(p->wanted);
    rt_free(p->got);
    rt_free(p->scales);
}

static rt_status init(struct rt_ctx *ctx, const struct quant_matrix *m, struct product *p)
{
    assert(m->seen && m->seen->sample && m->seen->in == m->in);
    const size_t count = m->seen->sampled, in = m->in, rows = m->out;
    *p = (struct product){ .x = rt_alloc(ctx, count * in, sizeof *p->x),
                           .w = rt_alloc(ctx, rows * in, sizeof *p->w),
                           .wanted = rt_alloc(ctx, count * rows, sizeof *p->wanted),
                           .got = rt_alloc(ctx, count * rows, sizeof *p->got),
                           .scales = rt_alloc(ctx, count, sizeof *p->scales) };
    return p->x && p->w && p->wanted && p->got && p->scales ? RT_OK : no_memory(ctx, m);
}

static void multiply(const struct product *p, uint32_t count,
                     const struct quant_matrix *m, double *y)
{
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)count, (int)m->out,
                (int)m->in, 1, p->x, (int)m->in, p->w, (int)m->in, 0, y, (int)m->out);
}

static void floats(struct product *p, const struct quant_matrix *m)
{
    const size_t in = m->in;
    for (size_t r = 0; r < m->seen->sampled; r++)
        for (size_t k = 0; k < in; k++) {
            const float x = m->seen->sample[r * in + k];
            p->x[r * in + k] = (double)(m->divisors ? x / m->divisors[k] : x);
        }
    for (size_t i = 0; i < m->out * in; i++)
        p->w[i] = (double)m->w[i];
    multiply(p, m->seen->sampled, m, p->wanted);
}

/* What is rounded in place of the floats. */
enum rounded { ROUNDED_INPUTS = 1, ROUNDED_WEIGHTS = 2 };

static void whole_numbers(struct product *p, const struct quant_options *o,
                          const struct quant_matrix *m, const struct quant_codes *c,
                          uint32_t rounded)
{
    const size_t in = m->in;
    const float given = o->inputs == QUANT_INPUTS_GIVEN ? quant_int8_given(m) : 0;
    for (size_t r = 0; r < m->seen->sampled; r++)
        if (rounded & ROUNDED_INPUTS)
            quant_int8_row(m->seen->sample + r * in, m->divisors, m->in, given,
                           p->x + r * in, &p->scales[r]);
        else
            p->scales[r] = 1;
    for (size_t i = 0; rounded & ROUNDED_WEIGHTS && i < m->out * in; i++)
        p->w[i] = (double)c->codes[i] - 128;
    multiply(p, m->seen->sampled, m, p->got);
}

static rt_status add_tokens(struct rt_ctx *ctx, const struct quant_options *o,
                            const struct quant_matrix *m, const struct quant_codes *c,
                            uint32_t rounded, struct quant_int8_token *tokens)
{
    rt_status st;
    bool finite = true;
    struct product p;
    const size_t count = m->seen->sampled, rows = m->out;
    TRY(init(ctx, m, &p));
    floats(&p, m);
    whole_numbers(&p, o, m, c, rounded);
    for (size_t t = 0; t < count; t++) {
        for (size_t r = 0; r < rows; r++) {
            const double scale = (double)p.scales[t] *
                                 (rounded & ROUNDED_WEIGHTS ? (double)c->scales[r] : 1);
            const double wanted = p.wanted[t * rows + r];
            const double d = wanted - p.got[t * rows + r] * scale;
            tokens[t].error += d * d;
            tokens[t].output += wanted * wanted;
        }
        finite = finite && isfinite(tokens[t].error);
    }
    if (!finite) /* weights are finite: quant_check_finite */
        st = rt_fail(ctx, RT_ERR_INPUT,
                     "'%s': the inputs of this matrix are not finite on the calibration "
                     "text; use other text or another device",
                     m->name);

fail:
    deinit(&p);
    return st;
}

rt_status quant_int8_tokens(struct rt_ctx *ctx, const struct quant_options *o,
                            const struct quant_matrix *m, const struct quant_codes *c,
                            struct quant_int8_token *tokens)
{
    return add_tokens(ctx, o, m, c, ROUNDED_INPUTS | ROUNDED_WEIGHTS, tokens);
}

double quant_int8_relative(const struct quant_int8_token *tokens, uint32_t count)
{
    double sum = 0;
    for (uint32_t t = 0; t < count; t++)
        sum += tokens[t].output > 0 ? tokens[t].error / tokens[t].output : 0;
    return sum / count;
}

rt_status quant_int8_objective(struct rt_ctx *ctx, const struct quant_options *o,
                               const struct quant_matrix *m, const struct quant_codes *c,
                               double *out)
{
    struct quant_int8_token tokens[OBSERVE_SAMPLED] = { 0 };
    const rt_status st = quant_int8_tokens(ctx, o, m, c, tokens);
    *out = 0;
    for (uint32_t t = 0; t < m->seen->sampled; t++)
        *out += tokens[t].error / m->seen->sampled;
    return st;
}

/* ---- inputs and weights apart ---- */

/* The cost of one matrix without factors in its weights, in the codes and values given. */
static rt_status add_costs(struct rt_ctx *ctx, const struct quant_options *o,
                           const struct quant_matrix *m, const float *factors,
                           struct quant_codes *codes, float *values,
                           struct quant_int8_token *inputs,
                           struct quant_int8_token *weights)
{
    rt_status st;
    struct quant_matrix scaled = *m;
    TRY(quant_rtn(ctx, o, m, codes));
    TRY(add_tokens(ctx, o, m, codes, ROUNDED_WEIGHTS, weights));
    for (size_t i = 0; i < (size_t)m->out * m->in; i++)
        values[i] = m->w[i] * (factors ? factors[i % m->in] : 1);
    scaled.w = values;
    scaled.divisors = factors;
    TRY(add_tokens(ctx, o, &scaled, NULL, ROUNDED_INPUTS, inputs));

fail:
    return st;
}

rt_status quant_int8_costs_of(struct rt_ctx *ctx, const struct quant_options *o,
                              const struct quant_matrix *m, uint32_t count,
                              const float *factors, struct quant_int8_costs *out)
{
    rt_status st;
    size_t rows = 0;
    struct quant_int8_token inputs[OBSERVE_SAMPLED] = { 0 };
    struct quant_int8_token weights[OBSERVE_SAMPLED] = { 0 };
    struct quant_options nearest = *o;
    nearest.search = false;
    *out = (struct quant_int8_costs){ 0 };
    for (uint32_t i = 0; i < count; i++)
        rows = m[i].out > rows ? m[i].out : rows;
    float *values = rt_alloc(ctx, rows * m->in, sizeof *values);
    struct quant_codes codes = { .codes = rt_alloc(ctx, rows * m->in, 1),
                                 .scales = rt_alloc(ctx, rows, sizeof(float)),
                                 .zeros = rt_alloc(ctx, rows, 1) };
    if (!values || !codes.codes || !codes.scales || !codes.zeros) {
        st = no_memory(ctx, m);
        goto fail;
    }
    for (uint32_t i = 0; i < count; i++)
        TRY(add_costs(ctx, &nearest, &m[i], factors, &codes, values, inputs, weights));
    out->inputs = quant_int8_relative(inputs, m->seen->sampled);
    out->weights = quant_int8_relative(weights, m->seen->sampled);

fail:
    rt_free(values);
    rt_free(codes.codes);
    rt_free(codes.scales);
    rt_free(codes.zeros);
    return st;
}

/* ---- tensors ---- */

rt_status quant_int8_pack(struct quant_writer *w, const struct quant_matrix *m,
                          const uint8_t *codes, float *scales)
{
    rt_status st;
    const size_t count = (size_t)m->out * m->in;
    TRY(quant_add_output(w, m->name, ".weight_scale", FMT_F32, m->out, 1, scales));
    uint8_t *bytes = rt_alloc(w->ctx, count, 1);
    if (!bytes)
        return quant_no_memory(w);
    for (size_t i = 0; i < count; i++)
        bytes[i] = codes[i] ^ 0x80u; /* two's complement */
    TRY(quant_add_output(w, m->name, ".weight", FMT_I8, m->out, m->in, bytes));
    if (w->options->inputs == QUANT_INPUTS_GIVEN) {
        float *scale = rt_alloc(w->ctx, 1, sizeof *scale);
        if (!scale)
            return quant_no_memory(w);
        *scale = quant_int8_given(m);
        TRY(quant_add_output(w, m->name, ".input_scale", FMT_F32, 1, 0, scale));
    }
    w->report->weights += count;
    w->report->matrices++;
    w->report->bits_per_weight += (double)m->out * (m->in * 8.0 + 32);
    return RT_OK;

fail:
    return st;
}

/* runtime/ref/ref_matmul.c
 * Twins of shaders/matmul/: products with weights in the layout of runtime/op/weight.h. */
#include "runtime/ref/ref.h"
#include "runtime/op/weight.h"

#include <string.h>

/* Rows are taken TILE at a time so that a weight is decoded once per tile; K in
 * blocks of BLOCK. Each sum still runs over k in order, in double. */
enum { TILE = 64, BLOCK = 256 };

static struct rt_weight_shape shape_of(uint32_t out_pad, uint32_t in_pad, uint32_t bits,
                                       uint32_t group, uint32_t form)
{
    return (struct rt_weight_shape){ .out = out_pad,
                                     .in = in_pad,
                                     .out_pad = out_pad,
                                     .in_pad = in_pad,
                                     .bits = bits,
                                     .group = group,
                                     .form = form };
}

void REF(embed)(const void *push, void *const *b)
{
    const struct embed_push *p = push;
    const uint32_t *ids = b[0], *codes = b[1];
    const float *scales = b[2];
    real *y = b[3];
    const struct rt_weight_shape s =
        shape_of((uint32_t)rt_round_up(p->part, RT_WEIGHT_OUT_PAD), p->in_pad, p->bits,
                 p->group, p->form);
    for (uint32_t r = 0; r < p->rows; r++) {
        const uint32_t id = (ids[r] < p->vocab ? ids[r] : 0) - p->row0;
        for (uint32_t k = 0; id < p->part && k < p->cols; k++)
            y[(size_t)r * p->ldy + k] = rt_weight_value(&s, codes, scales, id, k);
    }
}

static void decode_row(const struct rt_weight_shape *s, const uint32_t *codes,
                       const float *scales, uint32_t m, uint32_t k0, uint32_t n, float *w)
{
    for (uint32_t i = 0; i < n; i++)
        w[i] = rt_weight_value(s, codes, scales, m, k0 + i);
}

/* sum[r] += x[r][.] w[m][.] for the rows of a tile. */
static void accumulate(const struct rt_weight_shape *s, const uint32_t *codes,
                       const float *scales, uint32_t m, const real *x, uint32_t ldx,
                       uint32_t rows, double *sum)
{
    float w[BLOCK];
    for (uint32_t k0 = 0; k0 < s->in_pad; k0 += BLOCK) {
        const uint32_t n = s->in_pad - k0 < BLOCK ? s->in_pad - k0 : BLOCK;
        decode_row(s, codes, scales, m, k0, n, w);
        for (uint32_t r = 0; r < rows; r++) {
            const real *row = x + (size_t)r * ldx + k0;
            double part = 0;
            for (uint32_t i = 0; i < n; i++)
                part += (double)row[i] * w[i];
            sum[r] += part;
        }
    }
}

void REF(matmul)(const void *push, void *const *b)
{
    const struct matmul_push *p = push;
    const struct rt_weight_shape w =
        shape_of(p->out_pad, p->in_pad, p->bits, p->group, p->form);
    const struct rt_weight_shape up = shape_of(p->out_pad, p->rank, 32, 0, 0);
    const real *x = b[2], *u = b[3], *bias = b[5], *residual = b[6];
    real *y = b[7];
    for (uint32_t r0 = 0; r0 < p->rows; r0 += TILE) {
        const uint32_t rows = p->rows - r0 < TILE ? p->rows - r0 : TILE;
        for (uint32_t m = 0; m < p->out_pad; m++) {
            double sum[TILE] = { 0 };
            accumulate(&w, b[0], b[1], m, x + (size_t)r0 * p->ldx + p->offx, p->ldx, rows,
                       sum);
            if (p->flags & MATMUL_LORA) {
                const uint32_t part =
                    (m >= p->part1 ? 1u : 0u) + (m >= p->part2 ? 1u : 0u);
                accumulate(&up, b[4], NULL, m,
                           u + (size_t)r0 * p->ldu + (size_t)part * p->rank, p->ldu, rows,
                           sum);
            }
            for (uint32_t r = 0; r < rows; r++) {
                const size_t at = (size_t)(r0 + r) * p->ldy + p->offy + m;
                if (p->flags & MATMUL_BIAS)
                    sum[r] += bias[m];
                if (p->flags & MATMUL_RESIDUAL)
                    sum[r] += residual[at];
                y[at] = (real)sum[r];
            }
        }
    }
}

void REF(matmul_back)(const void *push, void *const *b)
{
    const struct matmul_back_push *p = push;
    const struct rt_weight_shape w =
        shape_of(p->out_pad, p->in_pad, p->bits, p->group, p->form);
    const struct rt_weight_shape a = shape_of(p->rank, p->in_pad, 32, 0, 0);
    const real *dy = b[2], *du = b[3];
    real *dx = b[5];
    for (uint32_t r = 0; r < p->rows; r++)
        for (uint32_t k0 = 0; k0 < p->in_pad; k0 += BLOCK) {
            const uint32_t n = p->in_pad - k0 < BLOCK ? p->in_pad - k0 : BLOCK;
            float row[BLOCK];
            double sum[BLOCK] = { 0 };
            for (uint32_t m = 0; m < p->out_pad; m++) {
                const double g = dy[(size_t)r * p->lddy + p->offdy + m];
                if (!(g != 0)) /* exact: nothing to add */
                    continue;
                decode_row(&w, b[0], b[1], m, k0, n, row);
                for (uint32_t i = 0; i < n; i++)
                    sum[i] += g * row[i];
            }
            for (uint32_t j = 0; j < p->rank; j++) {
                const double g = du[(size_t)r * p->lddu + j];
                decode_row(&a, b[4], NULL, j, k0, n, row);
                for (uint32_t i = 0; i < n; i++)
                    sum[i] += g * row[i];
            }
            real *out = dx + (size_t)r * p->lddx + p->offdx + k0;
            for (uint32_t i = 0; i < n; i++)
                out[i] = (real)(sum[i] + (p->accumulate ? (double)out[i] : 0.0));
        }
}

void REF(unpack)(const void *push, void *const *b)
{
    const struct unpack_push *p = push;
    const struct rt_weight_shape s =
        shape_of(p->out_pad, p->in_pad, p->bits, p->group, p->form);
    const struct rt_weight_shape out = shape_of(p->out_pad, p->in_pad, 32, 0, 0);
    memset(b[2], 0, rt_weight_code_bytes(&out));
    for (uint32_t m = 0; m < p->out_pad; m++)
        for (uint32_t k = 0; k < p->in_pad; k++) {
            const float value = rt_weight_value(&s, b[0], b[1], m, k);
            uint32_t word;
            memcpy(&word, &value, sizeof word);
            rt_weight_put_code(&out, b[2], m, k, word);
        }
}

void REF(outer)(const void *push, void *const *b)
{
    const struct outer_push *p = push;
    const real *x = b[0], *y = b[1];
    real *d = b[2];
    for (uint32_t i = 0; i < p->na; i++)
        for (uint32_t j0 = 0; j0 < p->nb; j0 += BLOCK) {
            const uint32_t n = p->nb - j0 < BLOCK ? p->nb - j0 : BLOCK;
            double sum[BLOCK] = { 0 };
            for (uint32_t r = 0; r < p->rows; r++) {
                const double g = x[(size_t)r * p->ldp + p->offp + i];
                const real *row = y + (size_t)r * p->ldq + p->offq + j0;
                for (uint32_t j = 0; j < n; j++)
                    sum[j] += g * row[j];
            }
            real *out = d + (size_t)i * p->ldd + j0;
            for (uint32_t j = 0; j < n; j++)
                out[j] =
                    (real)(p->scale * sum[j] + (p->accumulate ? (double)out[j] : 0.0));
        }
}

void REF(scale_back)(const void *push, void *const *b)
{
    const struct scale_back_push *p = push;
    const uint32_t *w = b[0], segments = p->in_pad / SCALE_SEGMENT;
    const real *x = b[1], *dy = b[2];
    real *d = b[3];
    const struct rt_weight_shape shape = shape_of(p->out_pad, p->in_pad, 32, 0, 0);
    for (uint32_t m = 0; m < p->out_pad; m++)
        for (uint32_t s = 0; s < segments; s++) {
            double sum[SCALE_SEGMENT] = { 0 }, all = 0, plain = 0;
            for (uint32_t r = 0; r < p->rows; r++) {
                const double g = dy[(size_t)r * p->lddy + p->offdy + m];
                const real *row = x + (size_t)r * p->ldx + p->offx + s * SCALE_SEGMENT;
                for (uint32_t i = 0; i < SCALE_SEGMENT; i++)
                    sum[i] += g * row[i];
            }
            for (uint32_t i = 0; i < SCALE_SEGMENT; i++) {
                all += sum[i] *
                       (double)rt_weight_value(&shape, w, NULL, m, s * SCALE_SEGMENT + i);
                plain += sum[i];
            }
            d[(size_t)m * segments + s] = (real)all;
            if (p->sums)
                d[(size_t)(p->out_pad + m) * segments + s] = (real)plain;
        }
}

void REF(pack)(const void *push, void *const *b)
{
    const struct pack_push *p = push;
    const struct rt_weight_shape s =
        shape_of((uint32_t)rt_round_up(p->m0 + p->n_out, 16), p->in_pad, 32, 0, 0);
    const real *src = b[0];
    uint32_t *codes = b[1];
    for (uint32_t i = 0; i < p->n_out; i++)
        for (uint32_t j = 0; j < p->n_in; j++) {
            const real v =
                p->transpose ? src[(size_t)j * p->lds + i] : src[(size_t)i * p->lds + j];
            const float value = (float)(p->scale * v);
            const uint32_t m = p->m0 + i, k = p->k0 + j;
            const size_t word =
                (((size_t)(m / 8) * rt_weight_texels(&s) + k / 4) * 8 + m % 8) * 4 +
                k % 4;
            memcpy(&codes[word], &value, sizeof value);
        }
}

/* runtime/ref/ref_w8a8.c
 * Twins of quantize and matmul_w8a8. Both are exact up to the sum of whole numbers; what
 * follows is rounded operation by operation, as the kernels do. */
#include "runtime/ref/ref.h"
#include "runtime/op/weight.h"

#include <math.h>
#include <string.h>

enum { TILE = 64, CODES = 16 /* of a texel */, LEAST = -64 };

/* Codes of a texel, bytes striped over its words. */
static void put_codes(uint32_t *texel, const int8_t *codes)
{
    memset(texel, 0, 16);
    for (uint32_t k = 0; k < CODES; k++)
        texel[k % 4] |= (uint32_t)(uint8_t)codes[k] << 8 * (k / 4);
}

/* The quotient of two floats in double is close enough to it that it rounds the same way:
 * it differs from a half by 2^-33 or more, or not at all. */
static int8_t code_of(float x, float scale)
{
    const double n = nearbyint((double)x / (double)scale);
    return (int8_t)(n > 127 ? 127 : n < -128 ? -128 : n);
}

static void quantize_row(const struct quantize_push *p, const real *x, float given,
                         uint32_t *q)
{
    float most = 0, scale = given;
    bool is_broken = false;
    for (uint32_t c = 0; c < p->cols; c++) {
        const float size = fabsf((float)x[c]);
        is_broken = is_broken || !isfinite(size);
        most = size > most ? size : most;
    }
    if (!p->given)
        scale = most < ldexpf(1, LEAST) ? 0 : most / 127.0f;
    for (uint32_t c = 0; c < p->cols; c += CODES) {
        int8_t codes[CODES] = { 0 };
        for (uint32_t k = 0; k < CODES && !is_broken && scale > 0; k++)
            codes[k] = code_of((float)x[c + k], scale);
        put_codes(q + c / 4, codes);
    }
    q += p->cols / 4;
    memset(q, 0, 16);
    if (is_broken)
        *q = 0x7fc00000u; /* NaN */
    else
        memcpy(q, &scale, sizeof scale);
}

void REF(quantize)(const void *push, void *const *b)
{
    const struct quantize_push *p = push;
    const real *x = b[0], *given = b[1];
    uint32_t *q = b[2];
    for (uint32_t r = 0; r < p->rows; r++)
        quantize_row(p, x + (size_t)r * p->ldx + p->offx, (float)given[0],
                     q + (size_t)r * p->ldq);
}

static struct rt_weight_shape shape_of(uint32_t out_pad, uint32_t in_pad, uint32_t bits,
                                       uint32_t form)
{
    return (struct rt_weight_shape){ .out = out_pad,
                                     .in = in_pad,
                                     .out_pad = out_pad,
                                     .in_pad = in_pad,
                                     .bits = bits,
                                     .form = form };
}

static int32_t sum_of(const struct rt_weight_shape *w, const uint32_t *codes,
                      const uint32_t *q, uint32_t m)
{
    int32_t sum = 0;
    for (uint32_t t = 0; t < w->in_pad / CODES; t++, q += 4) {
        const size_t at = ((size_t)(m / 8) * rt_weight_texels(w) + t) * 8 + m % 8;
        for (uint32_t k = 0; k < CODES; k++) {
            const uint32_t shift = 8 * (k / 4);
            const int32_t c = (int32_t)(codes[4 * at + k % 4] >> shift & 255u) - 128;
            sum += (int8_t)(q[k % 4] >> shift & 255u) * c;
        }
    }
    return sum;
}

/* The adapter's share: u row by a row of b. */
static double adapter_of(const struct matmul_w8a8_push *p, const uint32_t *b,
                         const real *u, uint32_t m)
{
    const struct rt_weight_shape up = shape_of(p->out_pad, p->rank, 32, 0);
    double sum = 0;
    u += ((m >= p->part1 ? 1u : 0u) + (m >= p->part2 ? 1u : 0u)) * p->rank;
    for (uint32_t k = 0; k < p->rank; k++)
        sum += (double)u[k] * (double)rt_weight_value(&up, b, NULL, m, k);
    return sum;
}

void REF(matmul_w8a8)(const void *push, void *const *b)
{
    const struct matmul_w8a8_push *p = push;
    const struct rt_weight_shape w = shape_of(p->out_pad, p->in_pad, 8, p->form);
    const uint32_t *codes = b[0], *q = b[2];
    const real *u = b[3], *bias = b[5], *residual = b[6];
    real *y = b[7];
    for (uint32_t m = 0; m < p->out_pad; m++) {
        /* The scale, by the value of a code one above the zero. */
        uint32_t one[4 * 8] = { 0 };
        struct rt_weight_shape first = shape_of(8, CODES, 8, p->form);
        const uint32_t *scales = (const uint32_t *)b[1] + (size_t)(m / 8) * 32;
        one[4 * (m % 8)] = 129;
        const float sw = rt_weight_value(&first, one, scales, m % 8, 0);
        for (uint32_t r = 0; r < p->rows; r++) {
            const uint32_t *row = q + (size_t)r * p->ldq;
            const int32_t sum = sum_of(&w, codes, row, m);
            const size_t at = (size_t)r * p->ldy + p->offy + m;
            float sx;
            memcpy(&sx, row + p->in_pad / 4, sizeof sx);
            if (p->flags & MATMUL_SUMS) {
                memcpy(&y[at], &sum, sizeof sum);
                continue;
            }
            real v = (real)sum;
            v *= (real)sx;
            v *= (real)sw;
            if (p->flags & MATMUL_LORA)
                v = (real)((double)v + adapter_of(p, b[4], u + (size_t)r * p->ldu, m));
            if (p->flags & MATMUL_BIAS)
                v += bias[m];
            if (p->flags & MATMUL_RESIDUAL)
                v += residual[at];
            y[at] = v;
        }
    }
}

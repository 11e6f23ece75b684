/* runtime/ref/ref_optim.c
 * Twins of shaders/optim/: gradient norm, clipping, AdamW (Loshchilov and Hutter,
 * arXiv 1711.05101), and scales of packed weights as parameters. */
#include "runtime/ref/ref.h"
#include "runtime/op/weight.h"

#include <math.h>
#include <string.h>

enum { SUMSQ_BLOCK = 1024 };

void REF(sumsq)(const void *push, void *const *b)
{
    const struct sumsq_push *p = push;
    const real *x = b[0];
    real *partial = b[1];
    for (uint32_t i = 0; i < p->count; i += SUMSQ_BLOCK) {
        double sum = 0;
        for (uint32_t j = i; j < p->count && j < i + SUMSQ_BLOCK; j++)
            sum += (double)x[j] * (double)x[j];
        partial[i / SUMSQ_BLOCK] = (real)sum;
    }
}

void REF(clip)(const void *push, void *const *b)
{
    const struct clip_push *p = push;
    const real *partial = b[0];
    real *state = b[1];
    double sum = 0;
    for (uint32_t i = 0; i < p->count; i++)
        sum += (double)partial[i];
    const double norm = sqrt(sum), factor = (double)p->max_norm / (norm + 1e-6);
    state[0] = (real)norm;
    state[1] = (real)(p->max_norm > 0 && factor < 1 ? factor : 1);
}

void REF(adamw)(const void *push, void *const *b)
{
    const struct adamw_push *p = push;
    const real *hyper = b[0], *state = b[1], *grad = b[2];
    real *w = b[3], *m = b[4], *v = b[5];
    const double lr = hyper[0], b1 = hyper[1], b2 = hyper[2], eps = hyper[3];
    for (uint32_t i = 0; i < p->count; i++) {
        const double g = (double)state[1] * (double)grad[i];
        m[i] = (real)(b1 * (double)m[i] + (1 - b1) * g);
        v[i] = (real)(b2 * (double)v[i] + (1 - b2) * g * g);
        const double kept = (double)w[i] - lr * (double)hyper[4] * (double)w[i];
        w[i] = (real)(kept - lr * ((double)m[i] / (double)hyper[5]) /
                                 (sqrt((double)v[i] / (double)hyper[6]) + eps));
    }
}

/* ---- scales ---- */

/* Rounded in float also where reals are doubles: the file has no other number. */
static real scale_of(real base, real parameter, uint32_t rounding)
{
    if (rounding == SCALE_F32)
        return base * parameter;
    const float v = (float)base * (float)parameter;
    return rounding == SCALE_F16 ? rt_half_to_float(rt_half_nearest(v))
                                 : rt_bf16_to_float(rt_bf16_nearest(v));
}

/* A whole zero. */
static real zero_of(real base, real parameter, uint32_t low, uint32_t high)
{
    const float at = (float)base;
    const float v = at + SCALE_ZERO_STEP * ((float)parameter - 1.0f);
    return fmaxf(fminf((float)low, at), fminf(fmaxf((float)high, at), rintf(v)));
}

/* Scale of block i, and behind all of them what belongs to it. */
struct scale_numbers {
    const real *base, *parameter;
    const uint32_t *sub;
    uint32_t out_pad, groups, per, blocks;
    uint32_t rounding, zeros, low, high;
};

static real scale_at(const struct scale_numbers *n, size_t i)
{
    return scale_of(n->base[i], n->parameter[i], n->rounding);
}

static real zero_at(const struct scale_numbers *n, size_t i)
{
    i += (size_t)n->out_pad * n->blocks;
    return n->zeros == SCALE_ZERO_WHOLE
               ? zero_of(n->base[i], n->parameter[i], n->low, n->high)
               : scale_at(n, i);
}

/* s and l of group g of row m; whether the file has the group. */
static bool sub_of(const struct scale_numbers *n, uint32_t m, uint32_t g, real *s,
                   real *l)
{
    const uint32_t word = n->per == 1 ? 0x10101 : n->sub[(size_t)m * n->groups + g];
    *s = (real)(int8_t)(word & 255);
    *l = (real)(word >> 8 & 255);
    return word >> 16 & 1;
}

static void fold_block(const struct scale_fold_push *p, const struct scale_numbers *n,
                       const real *d, uint32_t m, uint32_t b, real *grad)
{
    const uint32_t segments = p->in_pad / SCALE_SEGMENT;
    const uint32_t each = p->group ? p->group / SCALE_SEGMENT : segments;
    const size_t i = (size_t)m * n->blocks + b, z = i + (size_t)p->out_pad * n->blocks;
    const bool is_minimum =
        p->zeros == SCALE_ZERO_MINIMUM || p->zeros == SCALE_ZERO_PRODUCT;
    const double scale = scale_at(n, i), minimum = is_minimum ? zero_at(n, i) : 0;
    double sum = 0, of_zero = 0;
    for (uint32_t s = b * p->per * each; s < segments && s < (b + 1) * p->per * each;
         s++) {
        real s_g, l_g;
        sub_of(n, m, s / each, &s_g, &l_g);
        const double factor = p->zeros == SCALE_ZERO_PRODUCT ? -minimum * l_g : minimum;
        const double e = p->zeros == SCALE_ZERO_FIXED
                             ? 0
                             : (double)d[(size_t)(p->out_pad + m) * segments + s];
        sum += (double)d[(size_t)m * segments + s] - factor * e;
        of_zero += is_minimum ? factor * e : e;
    }
    grad[i] = scale == 0 ? 0 : (real)(sum * ((double)n->base[i] / scale));
    if (is_minimum)
        grad[z] = minimum == 0 ? 0 : (real)(of_zero * ((double)n->base[z] / minimum));
    else if (p->zeros == SCALE_ZERO_WHOLE)
        grad[z] = (real)(of_zero * -(double)SCALE_ZERO_STEP * scale);
}

void REF(scale_fold)(const void *push, void *const *b)
{
    const struct scale_fold_push *p = push;
    const struct scale_numbers n = { .base = b[1],
                                     .parameter = b[2],
                                     .sub = b[3],
                                     .out_pad = p->out_pad,
                                     .groups = p->groups,
                                     .per = p->per,
                                     .blocks = (p->groups + p->per - 1) / p->per,
                                     .rounding = p->rounding,
                                     .zeros = p->zeros };
    for (uint32_t m = 0; m < p->out_pad; m++)
        for (uint32_t block = 0; block < n.blocks; block++)
            fold_block(p, &n, b[0], m, block, b[4]);
}

/* Texel t of row m. */
static uint32_t *texel_at(const struct scale_pack_push *p, uint32_t *scales, uint32_t m,
                          uint32_t t)
{
    return scales + ((size_t)(m / RT_WEIGHT_BLOCK * p->texels + t) * RT_WEIGHT_BLOCK +
                     m % RT_WEIGHT_BLOCK) *
                        4;
}

/* Item i of `bits` bits of a row, in texels from `first` on. */
static void put_item(const struct scale_pack_push *p, uint32_t *scales, uint32_t m,
                     uint32_t first, uint32_t i, uint32_t bits, uint32_t value)
{
    const uint32_t bit = i % (128 / bits) * bits, mask = UINT32_MAX >> (32 - bits);
    uint32_t *word = texel_at(p, scales, m, first + i / (128 / bits)) + bit / 32;
    *word = (*word & ~(mask << bit % 32)) | value << bit % 32;
}

static uint32_t bits_of(real value, uint32_t rounding)
{
    const float v = (float)value;
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return rounding == SCALE_F16    ? rt_half_nearest(v)
           : rounding == SCALE_BF16 ? bits >> 16
                                    : bits;
}

/* Two floats per group. */
static void pack_pairs(const struct scale_pack_push *p, const struct scale_numbers *n,
                       uint32_t m, uint32_t *scales)
{
    for (uint32_t g = 0; g < p->groups; g++) {
        const size_t i = (size_t)m * n->blocks + g / p->per;
        real s, l;
        const bool exists = sub_of(n, m, g, &s, &l);
        put_item(p, scales, m, 0, 2 * g, 32, bits_of(scale_at(n, i) * s, SCALE_F32));
        if (p->zeros == SCALE_ZERO_FIXED)
            continue;
        real zero = zero_at(n, i);
        if (p->zeros == SCALE_ZERO_PRODUCT)
            zero = exists ? -(zero * l) : 0;
        put_item(p, scales, m, 0, 2 * g + 1, 32, bits_of(zero, SCALE_F32));
    }
}

/* One number per block, with its minimum in the upper half of a word, or zeros of 8 bits
 * behind. */
static void pack_numbers(const struct scale_pack_push *p, const struct scale_numbers *n,
                         uint32_t m, uint32_t *scales)
{
    const uint32_t form = p->form & RT_FORM_MASK;
    const bool is_word =
        form == RT_FORM_HALVES || form == RT_FORM_K32 || form == RT_FORM_K16_MIN;
    const uint32_t bits = is_word || p->rounding == SCALE_F32 ? 32 : 16;
    const uint32_t first =
        form == RT_FORM_K32                                                     ? 8
        : form == RT_FORM_K16 || form == RT_FORM_S32 || form == RT_FORM_K16_MIN ? 16
                                                                                : 0;
    const uint32_t from = first ? (p->groups + first - 1) / first : 0;
    for (uint32_t b = 0; b < n->blocks; b++) {
        const size_t i = (size_t)m * n->blocks + b;
        uint32_t v = bits_of(scale_at(n, i), p->rounding);
        v |= is_word ? bits_of(zero_at(n, i), p->rounding) << 16 : 0;
        put_item(p, scales, m, from, b, bits, v);
        if (p->zeros == SCALE_ZERO_WHOLE)
            put_item(p, scales, m, (n->blocks * bits + 127) / 128, b, 8,
                     (uint32_t)zero_at(n, i));
    }
}

void REF(scale_pack)(const void *push, void *const *b)
{
    const struct scale_pack_push *p = push;
    const struct scale_numbers n = { .base = b[0],
                                     .parameter = b[1],
                                     .sub = b[2],
                                     .out_pad = p->out_pad,
                                     .groups = p->groups,
                                     .per = p->per,
                                     .blocks = (p->groups + p->per - 1) / p->per,
                                     .rounding = p->rounding,
                                     .zeros = p->zeros,
                                     .low = p->low,
                                     .high = p->high };
    for (uint32_t m = 0; m < p->out_pad; m++)
        if ((p->form & RT_FORM_MASK) <= RT_FORM_OFFSET)
            pack_pairs(p, &n, m, b[3]);
        else
            pack_numbers(p, &n, m, b[3]);
}

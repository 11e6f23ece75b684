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

/* Groups whose scales share a texel. */
static uint32_t groups_of_texel(uint32_t form)
{
    form &= RT_FORM_MASK;
    return form <= RT_FORM_OFFSET                                ? 2
           : form == RT_FORM_FLOAT || form == RT_FORM_FLOAT_ZERO ? 4
                                                                 : 8;
}

void REF(scale_fold)(const void *push, void *const *b)
{
    const struct scale_fold_push *p = push;
    const real *d = b[0], *base = b[1], *parameter = b[2];
    real *grad = b[3];
    const uint32_t segments = p->in_pad / SCALE_SEGMENT;
    const uint32_t each = p->group ? p->group / SCALE_SEGMENT : segments;
    for (uint32_t m = 0; m < p->out_pad; m++)
        for (uint32_t g = 0; g < p->groups; g++) {
            const size_t i = (size_t)m * p->groups + g;
            const real scale = scale_of(base[i], parameter[i], p->rounding);
            double sum = 0;
            for (uint32_t s = g * each; s < segments && s < (g + 1) * each; s++)
                sum += d[(size_t)m * segments + s];
            grad[i] = scale == 0 ? 0 : (real)(sum * ((double)base[i] / (double)scale));
        }
}

void REF(scale_pack)(const void *push, void *const *b)
{
    const struct scale_pack_push *p = push;
    const real *base = b[0], *parameter = b[1];
    uint32_t *scales = b[2];
    const uint32_t each = groups_of_texel(p->form);
    for (uint32_t m = 0; m < p->out_pad; m++)
        for (uint32_t g = 0; g < p->groups; g++) {
            const size_t i = (size_t)m * p->groups + g;
            const float v = (float)scale_of(base[i], parameter[i], p->rounding);
            uint32_t *texel =
                scales +
                ((size_t)(m / RT_WEIGHT_BLOCK * p->texels + g / each) * RT_WEIGHT_BLOCK +
                 m % RT_WEIGHT_BLOCK) *
                    4;
            uint32_t bits;
            memcpy(&bits, &v, sizeof bits);
            if (each < 8) {
                texel[g % each * (4 / each)] = bits;
                continue;
            }
            bits = p->rounding == SCALE_F16 ? rt_half_nearest(v) : bits >> 16;
            const uint32_t shift = g % 2 * 16;
            texel[g % 8 / 2] = (texel[g % 8 / 2] & ~(0xffffu << shift)) | bits << shift;
        }
}

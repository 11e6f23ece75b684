/* runtime/quant/rtn.c
 * Rounds each group of a matrix to the nearest codes, symmetric or asymmetric. */
#include "runtime/quant/rtn.h"

#include <math.h>

rt_status quant_check(struct rt_ctx *ctx, const struct quant_options *o)
{
    if (o->bits != 2 && o->bits != 3 && o->bits != 4 && o->bits != 8)
        return rt_fail(ctx, RT_ERR_USAGE, "--bits %u: 2, 3, 4 or 8 is possible", o->bits);
    if (o->group % 32 != 0)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "--group %u: a multiple of 32, or 'row', is possible", o->group);
    return RT_OK;
}

static float clamp(float v, float low, float high)
{
    return v < low ? low : v > high ? high : v;
}

/* A scale that can divide: 1 for a group of zeros, also where the quotient underflows. */
static float positive(float scale)
{
    return scale > 0 ? scale : 1.0f;
}

static void group_symmetric(const float *w, uint32_t n, uint32_t bits, uint8_t *codes,
                            float *scale, uint8_t *zero)
{
    const float top = (float)((1u << (bits - 1)) - 1), middle = (float)(1u << (bits - 1));
    float most = 0;
    for (uint32_t i = 0; i < n; i++)
        most = fabsf(w[i]) > most ? fabsf(w[i]) : most;
    *scale = positive(most / top);
    *zero = (uint8_t)middle;
    for (uint32_t i = 0; i < n; i++)
        codes[i] = (uint8_t)(clamp(rintf(w[i] / *scale), -top, top) + middle);
}

static void group_asymmetric(const float *w, uint32_t n, uint32_t bits, uint8_t *codes,
                             float *scale, uint8_t *zero)
{
    const float top = (float)((1u << bits) - 1);
    float low = 0, high = 0;
    for (uint32_t i = 0; i < n; i++) {
        low = w[i] < low ? w[i] : low;
        high = w[i] > high ? w[i] : high;
    }
    *scale = positive((high - low) / top);
    const float z = clamp(rintf(-low / *scale), 0, top);
    *zero = (uint8_t)z;
    for (uint32_t i = 0; i < n; i++)
        codes[i] = (uint8_t)clamp(rintf(w[i] / *scale) + z, 0, top);
}

void quant_rtn(const float *w, uint32_t out, uint32_t in, const struct quant_options *o,
               uint8_t *codes, float *scales, uint8_t *zeros)
{
    const uint32_t group = o->group ? o->group : in;
    const uint32_t groups = (in + group - 1) / group;
    for (uint32_t r = 0; r < out; r++)
        for (uint32_t g = 0; g < groups; g++) {
            const uint32_t first = g * group;
            const uint32_t n = in - first < group ? in - first : group;
            const uint64_t at = (uint64_t)r * in + first, s = (uint64_t)r * groups + g;
            (o->asymmetric ? group_asymmetric : group_symmetric)(
                w + at, n, o->bits, codes + at, scales + s, zeros + s);
        }
}

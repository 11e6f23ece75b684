/* runtime/quant/grid.c
 * Scales, zeros and codes of one group, and the search for the range of a group. */
#include "runtime/quant/grid.h"

#include <math.h>

enum { CHUNK = 256 /* values that are rounded at once */ };

static float clamp(float v, float low, float high)
{
    return v < low ? low : v > high ? high : v;
}

/* A scale that can divide: 1 for a group of zeros, also where the quotient underflows. */
static float positive(float scale)
{
    return scale > 0 ? scale : 1.0f;
}

/* Steps from zero to the ends of a symmetric grid, and its lowest code, as signed codes.
 * Int8 products take 8 bits, whose ends are alike. */
static float half_steps(const struct quant_options *o)
{
    return o->bits < 8 ? (float)((1u << o->bits) - 1) / 2 : 127.0f;
}

static float symmetric_low(const struct quant_options *o)
{
    return o->bits < 8 ? -(float)(1u << (o->bits - 1)) : -127.0f;
}

static float symmetric_high(const struct quant_options *o)
{
    return (float)((1u << (o->bits - 1)) - 1);
}

void quant_grid_range(const float *v, uint32_t n, float *low, float *high)
{
    *low = *high = 0;
    for (uint32_t i = 0; i < n; i++) {
        *low = v[i] < *low ? v[i] : *low;
        *high = v[i] > *high ? v[i] : *high;
    }
}

void quant_grid_of(const struct quant_options *o, float low, float high, float *scale,
                   uint8_t *zero)
{
    if (o->asymmetric) {
        const float top = (float)((1u << o->bits) - 1);
        *scale = positive((high - low) / top);
        *zero = (uint8_t)clamp(rintf(-low / *scale), 0, top);
        return;
    }
    const float most = -low > high ? -low : high;
    *scale = positive(most / half_steps(o));
    *zero = (uint8_t)(1u << (o->bits - 1));
}

uint8_t quant_grid_code(const struct quant_options *o, float v, float scale, uint8_t zero)
{
    const float top = (float)((1u << o->bits) - 1);
    if (o->asymmetric)
        return (uint8_t)clamp(rintf(v / scale) + (float)zero, 0, top);
    return (uint8_t)(clamp(rintf(v / scale), symmetric_low(o), symmetric_high(o)) +
                     (float)zero);
}

/* Half to even below 2^22, without a call. */
static inline float nearest(float v)
{
    const float shift = 0x1.8p23f;
    return (v + shift) - shift;
}

/* Cutting a quotient to whole bounds before it is rounded gives what rounding first does. */
void quant_grid_values(const struct quant_options *o, const float *v, uint32_t n,
                       float scale, uint8_t zero, float *out)
{
    const float low = o->asymmetric ? -(float)zero : symmetric_low(o);
    const float high =
        o->asymmetric ? (float)((1u << o->bits) - 1) - (float)zero : symmetric_high(o);
    for (uint32_t i = 0; i < n; i++) {
        const float x = v[i] / scale, above = x < low ? low : x;
        out[i] = nearest(above > high ? high : above) * scale;
    }
}

static double error_of(const struct quant_options *o, const float *v, uint32_t n,
                       const double *weights, float scale, uint8_t zero)
{
    float q[CHUNK];
    double sum = 0;
    for (uint32_t at = 0; at < n; at += CHUNK) {
        const uint32_t count = n - at < CHUNK ? n - at : CHUNK;
        quant_grid_values(o, v + at, count, scale, zero, q);
        for (uint32_t i = 0; i < count; i++) {
            const double d = (double)v[at + i] - (double)q[i];
            sum += weights ? weights[at + i] * d * d : d * d;
        }
    }
    return sum;
}

void quant_grid_fit(const struct quant_options *o, const float *v, uint32_t n,
                    const double *weights, float *scale, uint8_t *zero)
{
    float low, high;
    quant_grid_range(v, n, &low, &high);
    quant_grid_of(o, low, high, scale, zero);
    if (!o->search)
        return;
    double least = error_of(o, v, n, weights, *scale, *zero);
    for (int i = 1; i < QUANT_SHRINKS && least > 0; i++) {
        const float p = (float)(1 - (1 - QUANT_SHRINK_MIN) * i / (QUANT_SHRINKS - 1));
        float s;
        uint8_t z;
        quant_grid_of(o, low * p, high * p, &s, &z);
        const double error = error_of(o, v, n, weights, s, z);
        if (error < least) {
            least = error;
            *scale = s;
            *zero = z;
        }
    }
}

void quant_diagonal(const struct quant_matrix *m, double *out)
{
    for (uint32_t i = 0; i < m->in; i++) {
        const double d = m->divisors ? (double)m->divisors[i] : 1.0;
        out[i] = (double)*observe_moment_right(m->moment, i) / (d * d);
    }
}

rt_status quant_grid_matrix(struct rt_ctx *ctx, const struct quant_options *o,
                            const struct quant_matrix *m, struct quant_codes *out)
{
    const uint32_t groups = quant_groups(o, m->in), group = quant_group(o, m->in);
    double *weights = NULL;
    if (o->search && m->moment) {
        weights = rt_alloc(ctx, m->in, sizeof *weights);
        if (!weights)
            return rt_fail(ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory");
        quant_diagonal(m, weights);
    }
    for (uint32_t r = 0; r < m->out; r++)
        for (uint32_t g = 0; g < groups; g++) {
            const uint32_t first = g * group;
            const uint32_t n = m->in - first < group ? m->in - first : group;
            const size_t at = (size_t)r * groups + g;
            quant_grid_fit(o, m->w + (size_t)r * m->in + first, n,
                           weights ? weights + first : NULL, out->scales + at,
                           out->zeros + at);
        }
    rt_free(weights);
    return RT_OK;
}

void quant_grid_codes(const struct quant_options *o, const struct quant_matrix *m,
                      struct quant_codes *out)
{
    const uint32_t groups = quant_groups(o, m->in), group = quant_group(o, m->in);
    for (uint32_t r = 0; r < m->out; r++)
        for (uint32_t k = 0; k < m->in; k++) {
            const size_t at = (size_t)r * m->in + k, g = (size_t)r * groups + k / group;
            out->codes[at] = quant_grid_code(o, m->w[at], out->scales[g], out->zeros[g]);
        }
}

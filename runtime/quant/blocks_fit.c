/* runtime/quant/blocks_fit.c
 * One group of a block: nearest levels, their error, and the scale and minimum that lose
 * least when nothing rounds them. */
#include "runtime/quant/blocks_impl.h"

#include <assert.h>
#include <float.h>
#include <math.h>

/* Loops run over BLOCKS_LANES neighbours at once, each with a sum of its own, so that a
 * compiler may use vectors without changing an order of sums. */
#define EACH_LANE for (uint32_t k = 0; k < BLOCKS_LANES; k++)

/* Added and taken away again, it rounds floats below 2^22 to whole numbers, ties to even. */
static const float ROUNDER = 12582912.0f;

/* Levels of IQ4_NL: of each eighth whole part from -128 on, where the nearest level
 * changes (128: nowhere), and those below and above. */
static const float near[32][3] = {
    { 128, -127, -127 },   { -115.5f, -127, -104 },
    { 128, -104, -104 },   { 128, -104, -104 },
    { -93.5f, -104, -83 }, { 128, -83, -83 },
    { -74, -83, -65 },     { 128, -65, -65 },
    { -57, -65, -49 },     { 128, -49, -49 },
    { -42, -49, -35 },     { 128, -35, -35 },
    { -28.5f, -35, -22 },  { 128, -22, -22 },
    { -16, -22, -10 },     { -4.5f, -10, 1 },
    { 7, 1, 13 },          { 128, 13, 13 },
    { 19, 13, 25 },        { 31.5f, 25, 38 },
    { 128, 38, 38 },       { 45.5f, 38, 53 },
    { 128, 53, 53 },       { 61, 53, 69 },
    { 128, 69, 69 },       { 79, 69, 89 },
    { 128, 89, 89 },       { 128, 89, 89 },
    { 101, 89, 113 },      { 128, 113, 113 },
    { 128, 113, 113 },     { 128, 113, 113 },
};

static float total(const float *lane)
{
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) +
           ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

static inline float uneven_level(float t)
{
    t = t > -128 ? t : -128;
    t = t < 127 ? t : 127;
    const float *part = near[(uint32_t)((t + 128) * 0.125f)];
    return part[t > part[0] ? 2 : 1];
}

static inline float even_level(float t, float bottom, float top)
{
    t = t > bottom ? t : bottom;
    t = t < top ? t : top;
    return (t + ROUNDER) - ROUNDER;
}

float quant_block_level(const struct quant_block_grid *g, float x, float inverse,
                        float minimum)
{
    return g->is_levels ? uneven_level(x * inverse)
                        : even_level((x + minimum) * inverse, g->bottom, g->top);
}

void quant_block_levels(const struct quant_block_grid *g, const float *restrict x,
                        float inverse, float minimum, float *restrict level)
{
    const float bottom = g->bottom, top = g->top;
    for (uint32_t i = 0; g->is_levels && i < g->size; i += BLOCKS_LANES)
        EACH_LANE
        {
            level[i + k] = uneven_level(x[i + k] * inverse);
        }
    for (uint32_t i = 0; !g->is_levels && i < g->size; i += BLOCKS_LANES)
        EACH_LANE
        {
            level[i + k] = even_level((x[i + k] + minimum) * inverse, bottom, top);
        }
}

struct quant_block_sums quant_block_sum(const struct quant_block_grid *g,
                                        const struct quant_block_group *group,
                                        const float *level)
{
    float l[BLOCKS_LANES] = { 0 }, ll[BLOCKS_LANES] = { 0 }, xl[BLOCKS_LANES] = { 0 };
    for (uint32_t i = 0; i < g->size; i += BLOCKS_LANES)
        EACH_LANE
        {
            const float wl = group->w[i + k] * level[i + k];
            l[k] += wl;
            ll[k] += wl * level[i + k];
            xl[k] += wl * group->x[i + k];
        }
    return (struct quant_block_sums){ total(l), total(ll), total(xl) };
}

float quant_block_error(const struct quant_block_grid *g,
                        const struct quant_block_group *group, float scale, float minimum,
                        float *level)
{
    float sum[BLOCKS_LANES] = { 0 };
    quant_block_levels(g, group->x, scale != 0 ? 1 / scale : 0, minimum, level);
    for (uint32_t i = 0; i < g->size; i += BLOCKS_LANES)
        EACH_LANE
        {
            const float d = group->x[i + k] - (scale * level[i + k] - minimum);
            sum[k] += group->w[i + k] * d * d;
        }
    return total(sum);
}

/* ---- the fit of a group ---- */

struct fit {
    float scale, minimum;
    float gain; /* by how much the error is below that of zeros */
};

/* Least squares over given levels. */
static struct fit solve(const struct quant_block_grid *g,
                        const struct quant_block_group *group, const float *level)
{
    const struct quant_block_sums s = quant_block_sum(g, group, level);
    struct fit f = { 0, 0, 0 };
    if (g->has_minimum) {
        const float det = group->sum_w * s.ll - s.l * s.l;
        if (det > 0) {
            f.scale = (group->sum_w * s.xl - group->sum_x * s.l) / det;
            f.minimum = (s.l * s.xl - s.ll * group->sum_x) / det;
            f.gain = f.scale * s.xl - f.minimum * group->sum_x;
        }
        if (det > 0 && (g->is_free || f.minimum >= 0))
            return f;
    }
    f = (struct fit){ 0, 0, 0 };
    if (s.ll > 0) {
        f.scale = s.xl / s.ll;
        f.gain = f.scale * s.xl;
    }
    return f;
}

/* With a minimum, levels that are all one higher fit as well: what is better by no more
 * than rounding errors is not taken, so that the least minimum of equals stays. */
static bool take_better(const struct quant_block_grid *g, struct fit *best, struct fit f)
{
    const float margin = g->has_minimum ? 4e-6f * fabsf(best->gain) : 0;
    if (!(f.gain > best->gain + margin) || (f.scale == 0 && best->scale != 0))
        return false;
    *best = f;
    return true;
}

static void try_range(const struct quant_block_grid *g,
                      const struct quant_block_group *group, float inverse, float minimum,
                      struct fit *best)
{
    float level[BLOCKS_GROUP_MAX];
    quant_block_levels(g, group->x, inverse, minimum, level);
    take_better(g, best, solve(g, group, level));
}

/* Levels for the best fit give a fit that is as good or better. */
static void repeat(const struct quant_block_grid *g,
                   const struct quant_block_group *group, struct fit *best)
{
    float level[BLOCKS_GROUP_MAX];
    for (int i = 0; i < 4 && best->scale != 0; i++) {
        quant_block_levels(g, group->x, 1 / best->scale, best->minimum, level);
        if (!take_better(g, best, solve(g, group, level)))
            return;
    }
}

static void fit_scale(const struct quant_block_grid *g,
                      const struct quant_block_group *group, bool plain, struct fit *best)
{
    float peak = 0;
    for (uint32_t i = 0; i < g->size; i++)
        peak = fabsf(group->x[i]) > fabsf(peak) ? group->x[i] : peak;
    if (peak == 0)
        return;
    best->scale = peak / g->bottom;
    if (plain)
        return;
    for (int side = 0; side < (g->bottom == -g->top ? 1 : 2); side++)
        for (int k = 0; k < g->tries; k++) {
            const float share = (float)k / (float)(g->tries - 1);
            const float bound = fabsf(side ? g->top : g->bottom) - g->before +
                                share * (g->before + g->beyond);
            try_range(g, group, (side ? bound : -bound) / peak, 0, best);
        }
    repeat(g, group, best);
}

static void fit_range(const struct quant_block_grid *g,
                      const struct quant_block_group *group, bool plain, struct fit *best)
{
    float low = group->x[0], high = group->x[0];
    for (uint32_t i = 1; i < g->size; i++) {
        low = group->x[i] < low ? group->x[i] : low;
        high = group->x[i] > high ? group->x[i] : high;
    }
    if (!g->is_free && low > 0)
        low = 0;
    const float range = high - low;
    best->scale = range / g->top;
    best->minimum = -low;
    if (plain || range == 0)
        return;
    for (int k = 0; k < g->tries; k++)
        for (int cut = 0; cut < 3; cut++) {
            /* Both ends give way, or one of them twice as much. */
            const float share = (float)k / (float)(g->tries - 1);
            const float levels = g->top - g->before + share * (g->before + g->beyond);
            const float outside = range * (1 - g->top / levels);
            const float from = low + outside * 0.5f * (float)cut;
            try_range(g, group, levels / range, from < 0 || g->is_free ? -from : 0, best);
        }
    repeat(g, group, best);
}

void quant_block_fit(const struct quant_block_grid *g,
                     const struct quant_block_group *group, bool plain, float *scale,
                     float *minimum)
{
    struct fit best = { 0, 0, -FLT_MAX };
    assert(g->size % BLOCKS_LANES == 0);
    (g->has_minimum ? fit_range : fit_scale)(g, group, plain, &best);
    *scale = best.scale;
    *minimum = best.minimum;
}

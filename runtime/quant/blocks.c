/* runtime/quant/blocks.c
 * Blocks of GGUF types from floats: groups are fitted one by one (blocks_fit.c), then the
 * numbers that they share are settled. */
#include "runtime/quant/blocks_impl.h"

#include "runtime/base/os.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROUNDS = 3 };

/* Columns that never saw an input still have a value: this share of the mean weight. */
static const float FLOOR = 1e-4f;
static const float LEAST_HALF = 5.9604645e-8f; /* 2^-24 */

/* Q8_0 leaves -128 out, as all writers do. */
static const struct quant_block_grid grids[] = {
    { FMT_BLOCK_ID_Q4_0, 1, 32, -8, 7, 8, 0, 0, 0, 1, 1, 0, 1.2f, 2.4f, 9 },
    { FMT_BLOCK_ID_Q5_0, 1, 32, -16, 15, 16, 0, 0, 0, 1, 1, 0, 1.2f, 2.4f, 9 },
    { FMT_BLOCK_ID_Q8_0, 1, 32, -127, 127, 128, 0, 0, 0, 1, 1, 0, 0.8f, 1.2f, 4 },
    { FMT_BLOCK_ID_Q4_1, 1, 32, 0, 15, 0, 0, 1, 1, 1, 1, 1, 1, 3, 6 },
    { FMT_BLOCK_ID_Q5_1, 1, 32, 0, 31, 0, 0, 1, 1, 1, 1, 1, 1, 3, 6 },
    { FMT_BLOCK_ID_IQ4_NL, 1, 32, -127, 113, 0, 1, 0, 0, 1, 1, 0, 20, 30, 9 },
    { FMT_BLOCK_ID_IQ4_XS, 8, 32, -127, 113, 0, 1, 0, 0, -32, 31, 0, 20, 30, 9 },
    { FMT_BLOCK_ID_Q2_K, 16, 16, 0, 3, 0, 0, 1, 0, 0, 15, 15, 1, 1.5f, 7 },
    { FMT_BLOCK_ID_Q3_K, 16, 16, -4, 3, 4, 0, 0, 0, -32, 31, 0, 1.2f, 1.6f, 8 },
    { FMT_BLOCK_ID_Q4_K, 8, 32, 0, 15, 0, 0, 1, 0, 0, 63, 63, 1, 3, 5 },
    { FMT_BLOCK_ID_Q5_K, 8, 32, 0, 31, 0, 0, 1, 0, 0, 63, 63, 1, 3, 5 },
    { FMT_BLOCK_ID_Q6_K, 16, 16, -32, 31, 32, 0, 0, 0, -128, 127, 0, 1, 2, 6 },
};

const struct quant_block_grid *quant_block_grid_of(const struct fmt_block_type *type)
{
    for (size_t i = 0; i < RT_COUNT(grids); i++)
        if (grids[i].id == type->id)
            return &grids[i];
    return NULL;
}

bool quant_blocks_can(const struct fmt_block_type *type)
{
    return type->id == FMT_BLOCK_ID_F32 || type->id == FMT_BLOCK_ID_F16 ||
           type->id == FMT_BLOCK_ID_BF16 || quant_block_grid_of(type);
}

static const uint32_t ids[] = {
    FMT_BLOCK_ID_F32,    FMT_BLOCK_ID_F16,  FMT_BLOCK_ID_BF16, FMT_BLOCK_ID_Q8_0,
    FMT_BLOCK_ID_Q6_K,   FMT_BLOCK_ID_Q5_K, FMT_BLOCK_ID_Q5_1, FMT_BLOCK_ID_Q5_0,
    FMT_BLOCK_ID_Q4_K,   FMT_BLOCK_ID_Q4_1, FMT_BLOCK_ID_Q4_0, FMT_BLOCK_ID_IQ4_NL,
    FMT_BLOCK_ID_IQ4_XS, FMT_BLOCK_ID_Q3_K, FMT_BLOCK_ID_Q2_K
};

const struct fmt_block_type *quant_blocks_find(const char *name)
{
    for (size_t i = 0; i < RT_COUNT(ids); i++) {
        const struct fmt_block_type *type = fmt_block_type_find(ids[i]);
        const size_t n = strlen(type->name);
        if (strlen(name) == n && os_same_caseless(type->name, name, n))
            return type;
    }
    return NULL;
}

const char *quant_blocks_names(char *buffer, size_t size)
{
    size_t n = 0;
    buffer[0] = '\0';
    for (size_t i = 0; i < RT_COUNT(ids) && n < size; i++)
        n += (size_t)snprintf(buffer + n, size - n, "%s%s", i ? ", " : "",
                              fmt_block_type_find(ids[i])->name);
    return buffer;
}

/* ---- a block ---- */

struct work {
    const struct quant_block_grid *grid;
    struct quant_block_group group[FMT_BLOCK_GROUPS_MAX];
    float scale[FMT_BLOCK_GROUPS_MAX], minimum[FMT_BLOCK_GROUPS_MAX]; /* the fits */
    int s[FMT_BLOCK_GROUPS_MAX], m[FMT_BLOCK_GROUPS_MAX]; /* multiples of the following */
    float d, dm;                                          /* halves */
    float level[FMT_BLOCK_MAX];
    float error[FMT_BLOCK_GROUPS_MAX];
};

static int clamped(float value, int low, int high)
{
    const float v = rintf(value);
    return v < (float)low ? low : v > (float)high ? high : (int)v;
}

/* The nearest half; of what is not 0, never 0. */
static float half_near(float value)
{
    const float half = rt_half_to_float(fmt_half_near(value));
    return half == 0 && value != 0 ? (value < 0 ? -LEAST_HALF : LEAST_HALF) : half;
}

static void start_sums(struct work *w, const float *x, const float *weight)
{
    const uint32_t size = w->grid->size;
    for (uint32_t g = 0; g < w->grid->groups; g++) {
        struct quant_block_group *group = &w->group[g];
        *group = (struct quant_block_group){ x + g * size, weight + g * size, 0, 0 };
        for (uint32_t i = 0; i < size; i++) {
            group->sum_w += group->w[i];
            group->sum_x += group->w[i] * group->x[i];
        }
    }
}

/* The block's numbers, such that the largest scale and minimum are in reach. */
static void share(struct work *w)
{
    const struct quant_block_grid *g = w->grid;
    float scale = 0, minimum = 0;
    for (uint32_t i = 0; i < g->groups; i++) {
        scale = fabsf(w->scale[i]) > fabsf(scale) ? w->scale[i] : scale;
        minimum = fabsf(w->minimum[i]) > fabsf(minimum) ? w->minimum[i] : minimum;
    }
    w->d = half_near(scale / (float)(g->low < 0 ? g->low : g->high));
    w->dm = g->has_minimum ? half_near(minimum / (float)g->minimum_high) : 0;
}

static float error_with(struct work *w, uint32_t g, int s, int m, float *level)
{
    return quant_block_error(w->grid, &w->group[g], w->d * (float)s, w->dm * (float)m,
                             level);
}

/* Multiples from the fits. */
static void start_multiples(struct work *w)
{
    const struct quant_block_grid *g = w->grid;
    for (uint32_t i = 0; i < g->groups; i++) {
        const bool is_shared = g->low != g->high;
        w->s[i] = !is_shared  ? 1
                  : w->d != 0 ? clamped(w->scale[i] / w->d, g->low, g->high)
                              : 0;
        w->m[i] = !g->has_minimum ? 0
                  : !is_shared    ? 1
                  : w->dm != 0    ? clamped(w->minimum[i] / w->dm, 0, g->minimum_high)
                                  : 0;
        w->error[i] = error_with(w, i, w->s[i], w->m[i], w->level + i * g->size);
    }
}

/* Each group by the best of the neighbours of its multiples. */
static void try_neighbours(struct work *w)
{
    const struct quant_block_grid *g = w->grid;
    float level[BLOCKS_GROUP_MAX];
    const int reach_m = g->has_minimum ? 1 : 0;
    for (uint32_t i = 0; i < g->groups; i++) {
        const int s = w->s[i], m = w->m[i];
        for (int ds = -1; ds <= 1; ds++)
            for (int dm = -reach_m; dm <= reach_m; dm++) {
                if ((ds == 0 && dm == 0) || s + ds < g->low || s + ds > g->high ||
                    m + dm < 0 || m + dm > g->minimum_high)
                    continue;
                const float error = error_with(w, i, s + ds, m + dm, level);
                if (error < w->error[i]) {
                    w->error[i] = error;
                    w->s[i] = s + ds;
                    w->m[i] = m + dm;
                    memcpy(w->level + i * g->size, level, g->size * sizeof *level);
                }
            }
    }
}

/* Least squares for both numbers over the levels and multiples that are. */
static void solve(const struct work *w, float *d, float *dm)
{
    double aa = 0, ab = 0, bb = 0, xa = 0, xb = 0;
    for (uint32_t i = 0; i < w->grid->groups; i++) {
        const struct quant_block_sums s =
            quant_block_sum(w->grid, &w->group[i], w->level + i * w->grid->size);
        const double a = w->s[i], b = w->m[i];
        aa += a * a * (double)s.ll;
        ab -= a * b * (double)s.l;
        bb += b * b * (double)w->group[i].sum_w;
        xa += a * (double)s.xl;
        xb -= b * (double)w->group[i].sum_x;
    }
    const double det = aa * bb - ab * ab;
    if (bb > 0 && det > 1e-9 * aa * bb) {
        *d = half_near((float)((bb * xa - ab * xb) / det));
        *dm = half_near((float)((aa * xb - ab * xa) / det));
    } else if (aa > 0) {
        *d = half_near((float)((xa - ab * (double)w->dm) / aa));
    }
}

static double total(const struct work *w)
{
    double sum = 0;
    for (uint32_t i = 0; i < w->grid->groups; i++)
        sum += (double)w->error[i];
    return sum;
}

/* Better numbers of the block for what the groups have. False: there are none. */
static bool improve(struct work *w)
{
    struct work next = *w;
    const struct quant_block_grid *g = w->grid;
    solve(w, &next.d, &next.dm);
    if ((next.d == w->d && next.dm == w->dm) || !isfinite(next.d) || !isfinite(next.dm) ||
        (!g->is_free && next.dm < 0))
        return false;
    for (uint32_t i = 0; i < g->groups; i++)
        next.error[i] =
            error_with(&next, i, next.s[i], next.m[i], next.level + i * g->size);
    if (!(total(&next) < total(w)))
        return false;
    *w = next;
    return true;
}

uint8_t quant_block_code(const struct fmt_block_type *type,
                         const struct quant_block_grid *g, float level)
{
    uint32_t code = 0;
    if (!g->is_levels)
        return (uint8_t)(int)(level + g->offset);
    while (rt_weight_level(type->form, code) != level) {
        code++;
        assert(code < 16);
    }
    return (uint8_t)code;
}

static void write_block(const struct fmt_block_type *type, const struct work *w,
                        uint8_t *out)
{
    struct fmt_block b;
    memset(&b, 0, sizeof b);
    for (uint32_t i = 0; i < type->block; i++)
        b.code[i] = quant_block_code(type, w->grid, w->level[i]);
    for (uint32_t g = 0; g < w->grid->groups; g++)
        b.scale[g] = (struct rt_weight_scale){ .d = fmt_half_near(w->d),
                                               .m = fmt_half_near(
                                                   w->grid->is_free ? -w->dm : w->dm),
                                               .s = (uint8_t)w->s[g],
                                               .l = (uint8_t)w->m[g] };
    fmt_block_join(type, &b, out);
}

static bool make_block(const struct fmt_block_type *type,
                       const struct quant_block_grid *grid, const float *x,
                       const float *weight, bool plain, uint8_t *out)
{
    struct work w = { .grid = grid };
    start_sums(&w, x, weight);
    for (uint32_t g = 0; g < grid->groups; g++)
        quant_block_fit(grid, &w.group[g], plain, &w.scale[g], &w.minimum[g]);
    share(&w);
    if (!isfinite(w.d) || !isfinite(w.dm))
        return false;
    start_multiples(&w);
    for (int i = 0; i < ROUNDS && !plain; i++) {
        if (grid->low != grid->high)
            try_neighbours(&w);
        if (!improve(&w))
            break;
    }
    write_block(type, &w, out);
    return true;
}

/* ---- a row ---- */

static void float_row(const struct fmt_block_type *type, const float *x, uint32_t count,
                      uint8_t *out)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        if (type->id == FMT_BLOCK_ID_F16)
            bits = fmt_half_near(x[i]);
        else if (type->id == FMT_BLOCK_ID_BF16)
            bits = rt_bf16_nearest(x[i]);
        for (uint32_t k = 0; k < type->bytes; k++)
            *out++ = (uint8_t)(bits >> (8 * k));
    }
}

/* Whether the last `count` values of the row fit the type. */
static bool floats_fit(const struct fmt_block_type *type, const float *x, uint32_t count)
{
    const float most = type->id == FMT_BLOCK_ID_F16    ? 65519.0f
                       : type->id == FMT_BLOCK_ID_BF16 ? 3.3895313e38f
                                                       : INFINITY;
    for (uint32_t i = 0; i < count; i++)
        if (!(fabsf(x[i]) <= most))
            return false;
    return true;
}

/* Weights of mean 1 for a block, none of them 0. */
static void weigh(const float *importance, uint32_t count, float *weight)
{
    float sum = 0;
    for (uint32_t i = 0; importance && i < count; i++)
        sum += importance[i];
    const float mean = sum / (float)count;
    const bool is_use = mean > 0 && isfinite(mean);
    for (uint32_t i = 0; i < count; i++)
        weight[i] = importance && is_use ? importance[i] / mean + FLOOR : 1;
}

bool quant_blocks_row(const struct fmt_block_type *type, const float *x,
                      const float *importance, uint32_t count, bool plain, uint8_t *out)
{
    float weight[FMT_BLOCK_MAX] = { 0 };
    const struct quant_block_grid *grid = quant_block_grid_of(type);
    if (!grid) {
        float_row(type, x, count, out);
        return floats_fit(type, x, count);
    }
    assert(type->block > 0 && count % type->block == 0);
    weigh(NULL, type->block, weight);
    for (uint32_t i = 0; i < count; i += type->block, out += type->bytes) {
        if (importance)
            weigh(importance + i, type->block, weight);
        if (!make_block(type, grid, x + i, weight, plain, out))
            return false;
    }
    return true;
}

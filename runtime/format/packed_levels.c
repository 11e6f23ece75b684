/* runtime/format/packed_levels.c
 * Packed matrices whose codes stand for floats: F8, and E2M1 of NVFP4 and MXFP4. The codes
 * of bitsandbytes are opened in packed_bitsandbytes.c. */
#include "runtime/format/packed_impl.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static bool is_pairs(const struct fmt_quantization *q)
{
    return q->present && (q->method == FMT_NVFP4 || q->method == FMT_MXFP4);
}

static bool is_bitsandbytes(const struct fmt_safetensors *file, const char *name)
{
    return fmt_part_of(file, name, ".weight.quant_state.bitsandbytes__nf4") ||
           fmt_part_of(file, name, ".weight.quant_state.bitsandbytes__fp4");
}

bool fmt_levels_exist(const struct fmt_safetensors *file,
                      const struct fmt_quantization *q, const char *name)
{
    const struct fmt_tensor *t = fmt_part_of(file, name, ".weight");
    return (t && fmt_dtype_is_f8(t->dtype)) || is_bitsandbytes(file, name) ||
           (is_pairs(q) && fmt_part_of(file, name, ".weight_packed"));
}

/* ---- scales ---- */

static uint32_t pieces(uint32_t n, uint32_t size)
{
    return (n + size - 1) / size;
}

static bool is_exponent(const struct fmt_tensor *t)
{
    return t->dtype == FMT_U8 || t->dtype == FMT_F8_E8M0;
}

static uint64_t scale_at(const struct fmt_packed *p, uint32_t row, uint32_t g)
{
    assert(row < p->out && g < p->groups);
    switch (p->place) {
    case FMT_SCALE_ONE:
        return 0;
    case FMT_SCALE_GROUPS:
        return (uint64_t)row * p->groups + g;
    case FMT_SCALE_BLOCKS:
        return (uint64_t)(row / p->block_rows) * p->groups + g;
    default:
        return ((uint64_t)row * p->in + (uint64_t)g * p->group) / p->block_rows;
    }
}

float fmt_levels_scale(const struct fmt_packed *p, uint32_t row, uint32_t g)
{
    float scale = 1;
    const uint64_t at = scale_at(p, row, g);
    const struct fmt_tensor *t = p->scales;
    if (!t)
        return 1;
    if (p->place == FMT_SCALE_LINE)
        return fmt_bitsandbytes_scale(p, at);
    assert(at < t->count);
    if (is_exponent(t))
        scale = t->data[at] == 255 ? NAN : ldexpf(1, t->data[at] - 127);
    else
        fmt_tensor_floats(t, at, 1, &scale);
    if (p->method == FMT_NVFP4)
        scale /= p->factor;
    return p->levels == RT_LEVELS_E2M1 ? scale / 2 : scale;
}

/* Sets the group of columns that share a scale, and takes the type that holds scales. */
static void take_groups(struct fmt_packed *p, uint32_t group)
{
    p->group = group && group < p->in ? group : p->in;
    p->groups = pieces(p->in, p->group);
    p->split = p->groups > 1 && p->group % 32 != 0 && p->group != 16;
    p->scale_dtype = FMT_F32;
    if (!p->scales || p->scales->dtype == FMT_BF16 || is_exponent(p->scales))
        p->scale_dtype = FMT_BF16;
}

/* Scales in blocks of rows and columns, or one. */
static rt_status open_blocks(const struct fmt_opener *o, const uint32_t *block,
                             struct fmt_packed *p)
{
    const struct fmt_tensor *t = p->scales;
    const bool kind = fmt_dtype_is_float(t->dtype) || is_exponent(t);
    p->place = block[0] ? FMT_SCALE_BLOCKS : FMT_SCALE_ONE;
    p->block_rows = block[0];
    take_groups(p, block[1]);
    if (block[0])
        return fmt_part_check(o, t, pieces(p->out, block[0]), p->groups, kind,
                              "a float type");
    return fmt_part_check(o, t, t->dims ? 1 : 0, 1, kind, "a float type");
}

/* Scales of groups or rows, or one. */
static rt_status open_groups(const struct fmt_opener *o, uint32_t group, bool kind,
                             const char *kinds, struct fmt_packed *p)
{
    const struct fmt_tensor *t = p->scales;
    take_groups(p, group);
    p->place = FMT_SCALE_GROUPS;
    if (t->count == 1 && p->groups == 1) {
        p->place = FMT_SCALE_ONE;
        return fmt_part_check(o, t, t->dims ? 1 : 0, 1, kind, kinds);
    }
    return fmt_part_check(o, t, p->out, p->groups, kind, kinds);
}

/* ---- floats of 8 bits ---- */

/* A scale that no configuration explains would be left out in silence. */
static rt_status check_no_scale(const struct fmt_opener *o)
{
    static const char *const known[] = { ".weight_scale", ".weight_scale_inv",
                                         ".scale_weight", ".weight_scale_2" };
    for (size_t i = 0; i < RT_COUNT(known); i++)
        if (fmt_part_of(o->file, o->name, known[i]))
            return rt_fail(o->ctx, RT_ERR_INPUT,
                           "'%s': tensor '%s%s' lies beside a matrix of F8, and the "
                           "quantization_config of config.json does not say what it "
                           "scales; get a folder whose config.json says it",
                           o->where, o->name, known[i]);
    return RT_OK;
}

static rt_status open_f8(const struct fmt_opener *o, const struct fmt_quantization *q,
                         struct fmt_packed *p)
{
    rt_status st;
    const struct fmt_tensor *t = p->codes;
    p->levels = t->dtype == FMT_F8_E4M3 ? RT_LEVELS_E4M3 : RT_LEVELS_E5M2;
    p->bits = p->stored = 8;
    TRY(fmt_part_size(o, t->dims ? t->shape[0] : 0, t->dims > 1 ? t->shape[1] : 0, p));
    TRY(fmt_part_check(o, t, p->out, p->in, true, ""));
    if (q->present && q->method == FMT_FP8) {
        TRY(fmt_part_find(o, ".weight_scale_inv", &p->scales));
        return open_blocks(o, q->block, p);
    }
    if (!q->present || (q->method != FMT_FLOAT_QUANTIZED && q->method != FMT_MXFP8)) {
        take_groups(p, 0);
        return check_no_scale(o);
    }
    TRY(fmt_part_find(o, ".weight_scale", &p->scales));
    if (q->method == FMT_MXFP8)
        return open_groups(o, 32, is_exponent(p->scales), "U8", p);
    if (q->block[0])
        return open_blocks(o, q->block, p);
    return open_groups(o, q->group, fmt_dtype_is_float(p->scales->dtype), "a float type",
                       p);

fail:
    return st;
}

/* ---- E2M1 ---- */

static rt_status open_factor(const struct fmt_opener *o, struct fmt_packed *p)
{
    rt_status st;
    const struct fmt_tensor *t;
    TRY(fmt_part_find(o, ".weight_global_scale", &t));
    TRY(fmt_part_check(o, t, t->dims ? 1 : 0, 1, t->dtype == FMT_F32, "F32"));
    fmt_tensor_floats(t, 0, 1, &p->factor);
    /* so that quotients of it are normal floats */
    if (!(p->factor >= 0x1p-100f && p->factor <= 0x1p100f))
        return rt_fail(o->ctx, RT_ERR_INPUT,
                       "'%s': tensor '%s' is %g, by which nothing can be divided; the "
                       "file is damaged, get it again",
                       o->where, t->name, (double)p->factor);

fail:
    return st;
}

static rt_status open_pairs(const struct fmt_opener *o, struct fmt_packed *p)
{
    rt_status st;
    TRY(fmt_part_find(o, ".weight_packed", &p->codes));
    const struct fmt_tensor *t = p->codes;
    const bool is_nv = p->method == FMT_NVFP4;
    p->levels = RT_LEVELS_E2M1;
    p->bits = p->stored = 4;
    TRY(fmt_part_size(o, t->dims ? t->shape[0] : 0, t->dims > 1 ? 2 * t->shape[1] : 0,
                      p));
    TRY(fmt_part_check(o, t, p->out, p->in / 2, t->dtype == FMT_U8, "U8"));
    TRY(fmt_part_find(o, ".weight_scale", &p->scales));
    if (is_nv)
        TRY(open_factor(o, p));
    t = p->scales;
    TRY(is_nv ? open_groups(o, 16, t->dtype == FMT_F8_E4M3, "F8_E4M3", p)
              : open_groups(o, 32, is_exponent(t), "U8", p));

fail:
    return st;
}

rt_status fmt_levels_open(const struct fmt_opener *o, const struct fmt_quantization *q,
                          struct fmt_packed *p)
{
    *p = (struct fmt_packed){ .method = q->method,
                              .codes = fmt_part_of(o->file, o->name, ".weight") };
    if (is_bitsandbytes(o->file, o->name)) {
        p->method = FMT_BITSANDBYTES;
        return fmt_bitsandbytes_open(o, p);
    }
    if (p->codes && fmt_dtype_is_f8(p->codes->dtype))
        return open_f8(o, q, p);
    return open_pairs(o, p);
}

/* ---- codes and values ---- */

void fmt_levels_codes(const struct fmt_packed *p, uint32_t first, uint32_t rows,
                      uint8_t *codes)
{
    const uint64_t from = (uint64_t)first * p->in, n = (uint64_t)rows * p->in;
    const bool high_first = p->place == FMT_SCALE_LINE;
    if (p->bits == 8) {
        memcpy(codes, p->codes->data + from, n);
        return;
    }
    for (uint64_t i = 0; i < n; i++) {
        const uint8_t pair = p->codes->data[(from + i) / 2];
        const bool high = ((from + i) % 2 == 0) == high_first;
        codes[i] = high ? pair >> 4 : pair & 15;
    }
}

void fmt_packed_values(const struct fmt_packed *p, uint32_t row, const uint8_t *codes,
                       float *values)
{
    const bool apart = p->split && p->place == FMT_SCALE_LINE;
    float scale = 0;
    assert(p->levels);
    for (uint32_t k = 0; k < p->in; k++) {
        const uint64_t at = (uint64_t)row * p->in + k;
        if (apart)
            scale = fmt_bitsandbytes_scale(p, at / p->block_rows);
        else if (k % p->group == 0)
            scale = fmt_levels_scale(p, row, k / p->group);
        values[k] = rt_weight_level(p->levels, codes[k]) * scale;
    }
}

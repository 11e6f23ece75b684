/* runtime/format/packed.c
 * Reads packed matrices of compressed-tensors, AWQ and GPTQ folders to codes, scales
 * and zero points. */
#include "runtime/format/packed_impl.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { SIZE_MAX_OF_MATRIX = 1 << 24, NAME_MAX_OF_TENSOR = 512 };

/* The tensors of each method, as suffixes of the matrix name. */
static const struct parts {
    const char *codes, *scales, *zeros, *order;
    bool across; /* scales lie [groups][out], else [out][groups] */
} parts[FMT_METHOD_COUNT] = {
    [FMT_PACK_QUANTIZED] = { ".weight_packed", ".weight_scale", ".weight_zero_point",
                             ".weight_g_idx", false },
    [FMT_INT_QUANTIZED] = { ".weight", ".weight_scale", ".weight_zero_point", NULL,
                            false },
    [FMT_AWQ] = { ".qweight", ".scales", ".qzeros", NULL, true },
    [FMT_GPTQ] = { ".qweight", ".scales", ".qzeros", ".g_idx", true },
    [FMT_GPTQ_V2] = { ".qweight", ".scales", ".qzeros", ".g_idx", true },
};

const struct fmt_tensor *fmt_part_of(const struct fmt_safetensors *file, const char *name,
                                     const char *suffix)
{
    char full[NAME_MAX_OF_TENSOR];
    snprintf(full, sizeof full, "%s%s", name, suffix);
    return fmt_safetensors_find(file, full);
}

bool fmt_packed_scales_across(const struct fmt_packed *p)
{
    return parts[p->method].across;
}

bool fmt_packed_exists(const struct fmt_safetensors *file,
                       const struct fmt_quantization *q, const char *name)
{
    if (fmt_part_of(file, name, ".weight_packed") || fmt_part_of(file, name, ".qweight"))
        return true;
    if (fmt_levels_exist(file, q, name))
        return true;
    const struct fmt_tensor *t = fmt_part_of(file, name, ".weight");
    return t && q->present && q->method == FMT_INT_QUANTIZED && t->dtype == FMT_I8;
}

rt_status fmt_part_find(const struct fmt_opener *o, const char *suffix,
                        const struct fmt_tensor **out)
{
    *out = fmt_part_of(o->file, o->name, suffix);
    if (*out)
        return RT_OK;
    return rt_fail(o->ctx, RT_ERR_INPUT,
                   "'%s': tensor '%s%s' is missing; the folder is incomplete or packed "
                   "otherwise than its quantization_config says",
                   o->where, o->name, suffix);
}

static bool is_words(const struct fmt_tensor *t)
{
    return t->dtype == FMT_I32 || t->dtype == FMT_U32;
}

/* For messages: "[3, 5]". */
static void shape_text(const struct fmt_tensor *t, char *out, size_t size)
{
    if (t->dims == 0)
        snprintf(out, size, "one number without dimensions");
    else if (t->dims > 2)
        snprintf(out, size, "of %u dimensions", t->dims);
    else
        snprintf(out, size, "[%llu, %llu]", (unsigned long long)t->shape[0],
                 (unsigned long long)(t->dims > 1 ? t->shape[1] : 1));
}

rt_status fmt_part_check(const struct fmt_opener *o, const struct fmt_tensor *t,
                         uint64_t rows, uint64_t cols, bool kind, const char *kinds)
{
    const uint64_t has_rows = t->dims ? t->shape[0] : 0;
    const uint64_t has_cols = t->dims > 1 ? t->shape[1] : 1;
    char has[64];
    shape_text(t, has, sizeof has);
    if (t->dims > 2 || has_rows != rows || has_cols != cols)
        return rt_fail(o->ctx, RT_ERR_INPUT,
                       "'%s': tensor '%s' is %s, [%llu, %llu] is expected; config.json "
                       "and the weights do not belong together",
                       o->where, t->name, has, (unsigned long long)rows,
                       (unsigned long long)cols);
    if (!kind)
        return rt_fail(o->ctx, RT_ERR_INPUT, "'%s': tensor '%s' is %s, %s is expected",
                       o->where, t->name, fmt_tensor_dtype(t), kinds);
    return RT_OK;
}

static uint32_t word_at(const struct fmt_tensor *t, uint64_t i)
{
    assert(4 * (i + 1) <= t->size);
    const uint8_t *p = t->data + 4 * i;
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* ---- sizes ---- */

rt_status fmt_part_size(const struct fmt_opener *o, uint64_t out, uint64_t in,
                        struct fmt_packed *p)
{
    if (out == 0 || in == 0 || out > SIZE_MAX_OF_MATRIX || in > SIZE_MAX_OF_MATRIX)
        return rt_fail(
            o->ctx, RT_ERR_INPUT,
            "'%s': tensor '%s' makes a matrix of %llu by %llu, which cannot be", o->where,
            p->codes->name, (unsigned long long)out, (unsigned long long)in);
    p->out = (uint32_t)out;
    p->in = (uint32_t)in;
    return RT_OK;
}

/* NAME.weight_shape: two whole numbers of 64 or 32 bits; absent: what the codes hold,
 * which only widths that divide a word tell. */
static rt_status compressed_sizes(const struct fmt_opener *o, const struct fmt_packed *p,
                                  uint64_t *out, uint64_t *in)
{
    const struct fmt_tensor *t = fmt_part_of(o->file, o->name, ".weight_shape");
    *out = p->codes->dims ? p->codes->shape[0] : 0;
    *in = p->codes->dims > 1 ? p->codes->shape[1] * (32 / p->stored) : 0;
    if (!t && 32 % p->stored != 0)
        return fmt_part_find(o, ".weight_shape", &t);
    if (!t)
        return RT_OK;
    const uint32_t step = t->dtype == FMT_I64 ? 2 : 1; /* words a number */
    const bool numbers = (t->dtype == FMT_I64 || t->dtype == FMT_I32) && t->count == 2;
    if (!numbers || (step == 2 && (word_at(t, 1) || word_at(t, 3))))
        return rt_fail(o->ctx, RT_ERR_INPUT, "'%s': tensor '%s' does not hold two sizes",
                       o->where, t->name);
    *out = word_at(t, 0);
    *in = word_at(t, step);
    return RT_OK;
}

static rt_status find_sizes(const struct fmt_opener *o, struct fmt_packed *p)
{
    const struct fmt_tensor *t = p->codes;
    uint64_t out = t->dims ? t->shape[0] : 0, in = t->dims > 1 ? t->shape[1] : 0;
    if (p->method == FMT_PACK_QUANTIZED) {
        const rt_status st = compressed_sizes(o, p, &out, &in);
        if (st != RT_OK)
            return st;
    } else if (p->method == FMT_AWQ) {
        const uint64_t words = in;
        in = out;
        out = words * 8;
    } else if (p->method != FMT_INT_QUANTIZED) {
        const uint64_t words = out;
        out = in;
        in = words * 32 / p->stored;
    }
    return fmt_part_size(o, out, in, p);
}

/* Words that n codes of a width take in compressed-tensors: as one stream of bits, or so
 * many whole codes per word. */
static uint32_t words_of(uint32_t n, uint32_t bits, bool dense)
{
    const uint32_t per = 32 / bits;
    return dense ? (uint32_t)(((uint64_t)n * bits + 31) / 32) : (n + per - 1) / per;
}

/* Whether codes are one stream of bits, as they are since 2026. The number of words tells.
 * Where it does not (few columns), the bits that whole codes leave over do. */
static bool is_dense(const struct fmt_packed *p)
{
    const struct fmt_tensor *t = p->codes;
    const uint64_t words = t->dims > 1 ? t->shape[1] : 1;
    const uint32_t used = 32 / p->stored * p->stored;
    if (used == 32 || words != words_of(p->in, p->stored, true))
        return false;
    if (words != words_of(p->in, p->stored, false))
        return true;
    for (uint64_t i = 0; 4 * (i + 1) <= t->size; i++)
        if (word_at(t, i) >> used)
            return true;
    return false;
}

/* Codes as [rows][columns] of their tensor. */
static rt_status check_codes(const struct fmt_opener *o, const struct fmt_packed *p)
{
    const struct fmt_tensor *t = p->codes;
    switch (p->method) {
    case FMT_PACK_QUANTIZED:
        return fmt_part_check(o, t, p->out, words_of(p->in, p->stored, p->dense),
                              is_words(t), "I32");
    case FMT_INT_QUANTIZED:
        return fmt_part_check(o, t, p->out, p->in, t->dtype == FMT_I8, "I8");
    case FMT_AWQ:
        return fmt_part_check(o, t, p->in, p->out / 8, is_words(t), "I32");
    default:
        return fmt_part_check(o, t, words_of(p->in, p->stored, true), p->out, is_words(t),
                              "I32");
    }
}

static rt_status check_scales(const struct fmt_opener *o, const struct fmt_packed *p)
{
    const struct fmt_tensor *t = p->scales;
    if (parts[p->method].across)
        return fmt_part_check(o, t, p->groups, p->out, fmt_dtype_is_float(t->dtype),
                              "a float type");
    if (t->count == 1) /* one for the whole matrix */
        return fmt_part_check(o, t, t->dims ? 1 : 0, 1, fmt_dtype_is_float(t->dtype),
                              "a float type");
    return fmt_part_check(o, t, p->out, p->groups, fmt_dtype_is_float(t->dtype),
                          "a float type");
}

/* The zero point of a whole matrix, which is not packed. */
static bool is_one_byte(const struct fmt_tensor *t)
{
    return t->dtype == FMT_I8 && t->count == 1;
}

static rt_status check_zeros(const struct fmt_opener *o, const struct fmt_packed *p)
{
    const struct fmt_tensor *t = p->zeros;
    switch (p->method) {
    case FMT_PACK_QUANTIZED:
        if (is_one_byte(t))
            return RT_OK;
        return fmt_part_check(o, t, words_of(p->out, p->stored, p->dense), p->groups,
                              is_words(t), "I32");
    case FMT_INT_QUANTIZED:
        return fmt_part_check(o, t, p->scales->dims ? p->scales->shape[0] : 0,
                              p->scales->dims > 1 ? p->scales->shape[1] : 1,
                              t->dtype == FMT_I8, "I8");
    case FMT_AWQ:
        return fmt_part_check(o, t, p->groups, p->out / 8, is_words(t), "I32");
    default:
        return fmt_part_check(o, t, p->groups, words_of(p->out, p->stored, true),
                              is_words(t), "I32");
    }
}

/* Whether the groups of columns are none: never set (-1, its value at the start), empty,
 * or of GPTQ without desc_act all 0 or -1. vLLM reads such files so; packed.h says it. */
static bool is_no_order(const struct fmt_packed *p, const struct fmt_quantization *q)
{
    const struct fmt_tensor *t = p->order;
    if (t->count == 0)
        return true;
    if (!is_words(t) || q->act_order)
        return false;
    uint64_t unset = 0, zero = 0;
    for (uint64_t k = 0; k < t->count; k++) {
        unset += word_at(t, k) == UINT32_MAX;
        zero += word_at(t, k) == 0;
    }
    if (p->method == FMT_PACK_QUANTIZED)
        return unset > 0;
    return unset == t->count || (zero == t->count && p->groups > 1);
}

/* Every group but the last is full: the device layout has no others. */
static rt_status check_order(const struct fmt_opener *o, const struct fmt_packed *p)
{
    rt_status st = fmt_part_check(o, p->order, p->in, 1, is_words(p->order), "I32");
    if (st != RT_OK)
        return st;
    uint32_t *count = rt_alloc(o->ctx, p->groups, sizeof *count);
    if (!count)
        return rt_fail(o->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", o->where);
    for (uint32_t k = 0; k < p->in; k++) {
        const uint32_t g = word_at(p->order, k);
        if (g >= p->groups || ++count[g] > p->group) {
            st = rt_fail(o->ctx, RT_ERR_INPUT,
                         "'%s': tensor '%s' puts column %u into group %d, which is %s; "
                         "there are %u groups of %u",
                         o->where, p->order->name, k, (int)g,
                         g < p->groups ? "full" : "none", p->groups, p->group);
            goto fail;
        }
    }
    for (uint32_t g = 0; g + 1 < p->groups; g++)
        if (count[g] != p->group) {
            st = rt_fail(o->ctx, RT_ERR_INPUT,
                         "'%s': tensor '%s' gives group %u %u columns, %u are expected",
                         o->where, p->order->name, g, count[g], p->group);
            goto fail;
        }

fail:
    rt_free(count);
    return st;
}

/* ---- zero points ---- */

/* Words that hold fields: the first, and the distance from one to the next. */
struct words {
    const struct fmt_tensor *tensor;
    uint64_t first, stride;
};

/* Field r of a stream of `bits`-bit fields, low bits first. */
static uint32_t field(struct words w, uint32_t r, uint32_t bits)
{
    assert(bits > 0 && bits < 32);
    const uint64_t bit = (uint64_t)r * bits, at = w.first + bit / 32 * w.stride;
    const uint32_t shift = bit % 32;
    uint32_t value = word_at(w.tensor, at) >> shift;
    if (shift + bits > 32)
        value |= word_at(w.tensor, at + w.stride) << (32 - shift);
    return value & ((1u << bits) - 1);
}

/* The same where words hold whole fields. */
static uint32_t whole_field(struct words w, uint32_t r, uint32_t bits)
{
    const uint32_t per = 32 / bits;
    return word_at(w.tensor, w.first + r / per * w.stride) >> (r % per * bits) &
           ((1u << bits) - 1);
}

uint32_t fmt_packed_shift(const struct fmt_packed *p)
{
    return (1u << (p->bits - 1)) - (1u << (p->stored - 1));
}

uint32_t fmt_awq_shift(uint32_t row)
{
    static const uint8_t nibble[8] = { 0, 4, 1, 5, 2, 6, 3, 7 };
    return 4u * nibble[row % 8];
}

uint32_t fmt_packed_zero(const struct fmt_packed *p, uint32_t row, uint32_t g)
{
    const uint32_t mask = (1u << p->bits) - 1;
    assert(row < p->out && g < p->groups);
    if (!p->zeros)
        return 1u << (p->bits - 1);
    const struct words along = { p->zeros, g, p->groups };
    switch (p->method) {
    case FMT_PACK_QUANTIZED:
        if (is_one_byte(p->zeros))
            return (p->zeros->data[0] + (1u << (p->bits - 1))) & mask;
        return (p->dense ? field : whole_field)(along, row, p->stored) +
               fmt_packed_shift(p);
    case FMT_INT_QUANTIZED:
        return p->zeros->data[p->zeros->count == 1 ? 0 : (uint64_t)row * p->groups + g] ^
               0x80u;
    case FMT_AWQ:
        return word_at(p->zeros, (uint64_t)g * (p->out / 8) + row / 8) >>
                   fmt_awq_shift(row) &
               mask;
    default:
        return (field((struct words){ p->zeros,
                                      (uint64_t)g * words_of(p->out, p->bits, true), 1 },
                      row, p->bits) +
                p->minus) &
               mask;
    }
}

/* A symmetric file has one zero point, the middle, so that its zero words tell v1 from
 * v2 whatever the label says; some tools wrote the wrong one. */
static void settle_version(struct fmt_packed *p)
{
    const uint32_t middle = 1u << (p->bits - 1), first = fmt_packed_zero(p, 0, 0);
    for (uint32_t g = 0; g < p->groups; g++)
        for (uint32_t r = 0; r < p->out; r++)
            if (fmt_packed_zero(p, r, g) != first)
                return;
    if (p->minus && first == middle + 1) {
        p->minus = 0;
        p->method = FMT_GPTQ_V2;
    } else if (!p->minus && first == middle - 1) {
        p->minus = 1;
        p->method = FMT_GPTQ;
    }
}

/* ---- opening ---- */

/* The next width that the device layout has. */
static uint32_t device_bits(uint32_t bits)
{
    return bits == 1 ? 2 : bits == 7 ? 8 : bits;
}

rt_status fmt_packed_open(struct rt_ctx *ctx, const char *where,
                          const struct fmt_safetensors *file,
                          const struct fmt_quantization *q, const char *name,
                          struct fmt_packed *p)
{
    rt_status st;
    const struct fmt_opener o = { ctx, where, file, name };
    const bool gptq = q->method == FMT_GPTQ || q->method == FMT_GPTQ_V2;
    if (fmt_levels_exist(file, q, name))
        return fmt_levels_open(&o, q, p);
    if (q->present && q->method >= FMT_FLOAT_QUANTIZED)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': '%s' is packed otherwise than its quantization_config (%s) "
                       "says",
                       where, name, fmt_method_name(q->method));
    if (!q->present)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': '%s' is packed but config.json has no quantization_config",
                       where, name);
    const struct parts *s = &parts[q->method];
    *p = (struct fmt_packed){ .method = q->method,
                              .bits = device_bits(q->bits),
                              .stored = q->bits,
                              .minus = q->method == FMT_GPTQ };
    TRY(fmt_part_find(&o, s->codes, &p->codes));
    TRY(fmt_part_find(&o, s->scales, &p->scales));
    p->scale_dtype = fmt_dtype_is_f8(p->scales->dtype) ? FMT_F32 : p->scales->dtype;
    if (q->method == FMT_AWQ || gptq || !q->symmetric)
        TRY(fmt_part_find(&o, s->zeros, &p->zeros));
    TRY(find_sizes(&o, p));
    p->group = q->group && q->group < p->in ? q->group : p->in;
    p->groups = (p->in + p->group - 1) / p->group;
    p->dense = q->method == FMT_PACK_QUANTIZED && is_dense(p);
    TRY(check_codes(&o, p));
    TRY(check_scales(&o, p));
    if (p->zeros)
        TRY(check_zeros(&o, p));
    p->order = s->order ? fmt_part_of(file, name, s->order) : NULL;
    if (p->order && is_no_order(p, q))
        p->order = NULL;
    if (p->order)
        TRY(check_order(&o, p));
    if (gptq && q->symmetric)
        settle_version(p);
    return RT_OK;

fail:
    return st;
}

float fmt_packed_scale(const struct fmt_packed *p, uint32_t row, uint32_t g,
                       uint16_t *half)
{
    float scale;
    assert(row < p->out && g < p->groups);
    if (p->levels)
        return fmt_levels_scale(p, row, g);
    const uint64_t at = p->scales->count == 1     ? 0
                        : parts[p->method].across ? (uint64_t)g * p->out + row
                                                  : (uint64_t)row * p->groups + g;
    fmt_tensor_floats(p->scales, at, 1, &scale);
    if (p->scales->dtype == FMT_F16)
        *half = (uint16_t)(p->scales->data[2 * at] | p->scales->data[2 * at + 1] << 8);
    return scale;
}

/* ---- columns ---- */

uint32_t fmt_packed_group(const struct fmt_packed *p, uint32_t k)
{
    return p->order ? word_at(p->order, k) : k / p->group;
}

bool fmt_packed_order(const struct fmt_packed *p, uint32_t *order)
{
    bool moved = false;
    for (uint32_t k = 0; k < p->in; k++) {
        order[k] = k;
        moved = moved || fmt_packed_group(p, k) != k / p->group;
    }
    if (!moved)
        return false;
    /* groups are few: one pass for each keeps their columns in position order */
    uint32_t at = 0;
    for (uint32_t g = 0; g < p->groups; g++)
        for (uint32_t k = 0; k < p->in; k++)
            if (word_at(p->order, k) == g)
                order[at++] = k;
    assert(at == p->in);
    return true;
}

/* ---- codes ---- */

static void gptq_codes(const struct fmt_packed *p, uint32_t first, uint32_t rows,
                       uint8_t *codes)
{
    const uint32_t mask = (1u << p->bits) - 1;
    for (uint32_t k = 0; k < p->in; k++) {
        const uint64_t bit = (uint64_t)k * p->bits, at = bit / 32 * p->out + first;
        const uint32_t shift = bit % 32;
        for (uint32_t r = 0; r < rows; r++) {
            uint32_t value = word_at(p->codes, at + r) >> shift;
            if (shift + p->bits > 32)
                value |= word_at(p->codes, at + p->out + r) << (32 - shift);
            codes[(uint64_t)r * p->in + k] = (uint8_t)(value & mask);
        }
    }
}

static void awq_codes(const struct fmt_packed *p, uint32_t first, uint32_t rows,
                      uint8_t *codes)
{
    for (uint32_t k = 0; k < p->in; k++)
        for (uint32_t r = 0; r < rows; r++) {
            const uint64_t at = (uint64_t)k * (p->out / 8) + (first + r) / 8;
            const uint32_t word = word_at(p->codes, at);
            codes[(uint64_t)r * p->in + k] =
                (uint8_t)(word >> fmt_awq_shift(first + r) & 15);
        }
}

/* Whole codes in each word. */
static void whole_codes(const struct fmt_packed *p, uint64_t word, uint8_t *codes)
{
    const uint32_t per = 32 / p->stored, mask = (1u << p->stored) - 1;
    const uint32_t shift = fmt_packed_shift(p);
    for (uint32_t k = 0; k < p->in; word++) {
        uint32_t bits = word_at(p->codes, word);
        for (uint32_t i = 0; i < per && k < p->in; i++, bits >>= p->stored)
            codes[k++] = (uint8_t)((bits & mask) + shift);
    }
}

/* One stream of bits. */
static void dense_codes(const struct fmt_packed *p, uint64_t word, uint8_t *codes)
{
    const uint32_t mask = (1u << p->stored) - 1, shift = fmt_packed_shift(p);
    uint64_t bits = 0;
    uint32_t held = 0; /* bits of `bits` that are not taken yet */
    for (uint32_t k = 0; k < p->in; k++) {
        if (held < p->stored) {
            bits |= (uint64_t)word_at(p->codes, word++) << held;
            held += 32;
        }
        codes[k] = (uint8_t)((bits & mask) + shift);
        bits >>= p->stored;
        held -= p->stored;
    }
}

static void compressed_codes(const struct fmt_packed *p, uint32_t first, uint32_t rows,
                             uint8_t *codes)
{
    const uint32_t words = words_of(p->in, p->stored, p->dense);
    for (uint32_t r = 0; r < rows; r++)
        (p->dense ? dense_codes : whole_codes)(p, (uint64_t)(first + r) * words,
                                               codes + (uint64_t)r * p->in);
}

static void byte_codes(const struct fmt_packed *p, uint32_t first, uint32_t rows,
                       uint8_t *codes)
{
    const uint8_t *from = p->codes->data + (uint64_t)first * p->in;
    for (uint64_t i = 0; i < (uint64_t)rows * p->in; i++)
        codes[i] = from[i] ^ 0x80;
}

void fmt_packed_codes(const struct fmt_packed *p, uint32_t first, uint32_t rows,
                      uint8_t *codes)
{
    assert((p->levels || first % 8 == 0) && first + rows <= p->out);
    if (p->levels)
        fmt_levels_codes(p, first, rows, codes);
    else if (p->method == FMT_PACK_QUANTIZED)
        compressed_codes(p, first, rows, codes);
    else if (p->method == FMT_INT_QUANTIZED)
        byte_codes(p, first, rows, codes);
    else if (p->method == FMT_AWQ)
        awq_codes(p, first, rows, codes);
    else
        gptq_codes(p, first, rows, codes);
}

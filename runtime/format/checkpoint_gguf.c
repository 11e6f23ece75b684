/* runtime/format/checkpoint_gguf.c
 * The tensors of a GGUF file as weights in the device layout, every value exactly:
 *   packed         the type's own bits and form (gguf_types.h)
 *   packed, wide   of 4 bits 4, else 8, with a float scale and zero a group; levels plus 128
 *                  as codes with zero 128, ternary ones of 2 bits with zero 1
 *   F16, F32; BF16 16 bits; 32 bits
 * Names are those
 * of Hugging Face; where tensors alone are asked for, the file's own names are known too
 * and have their rows in the file's order. */
#include "runtime/format/checkpoint_impl.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct fmt_gguf_tensor *tensor_of(const struct fmt_model *m,
                                               const char *name)
{
    char own[FMT_GGUF_NAME_MAX];
    const struct fmt_gguf_tensor *t =
        fmt_gguf_name(name, own) ? fmt_gguf_find(&m->gguf, own) : NULL;
    return t || !m->own_names ? t : fmt_gguf_find(&m->gguf, name);
}

static rt_status find(struct fmt_model *m, const char *name,
                      const struct fmt_gguf_tensor **out)
{
    *out = tensor_of(m, name);
    return *out ? RT_OK
                : rt_fail(m->ctx, RT_ERR_INPUT,
                          "'%s': tensor '%s' is missing; the file is incomplete or of "
                          "another architecture than it says",
                          m->path, name);
}

/* NAME.weight, or NAME where tensors alone were asked for. */
static rt_status find_matrix(struct fmt_model *m, const char *name,
                             const struct fmt_gguf_tensor **out)
{
    char full[512];
    snprintf(full, sizeof full, "%s.weight", name);
    if (m->own_names && !tensor_of(m, full))
        snprintf(full, sizeof full, "%s", name);
    const rt_status st = find(m, full, out);
    if (st != RT_OK)
        return st;
    const struct fmt_gguf_tensor *t = *out;
    if (t->dims != 2 || t->shape[0] == 0 || t->shape[1] == 0 ||
        t->shape[0] > UINT32_MAX || t->shape[1] > UINT32_MAX)
        return rt_fail(m->ctx, RT_ERR_INPUT, "'%s': tensor '%s' is no matrix", m->path,
                       t->name);
    if (t->factor != 1 && !fmt_block_has_factor(t->type))
        return rt_fail(m->ctx, RT_ERR_INPUT,
                       "'%s': tensor '%s' of type %s has a scale of its own beside it, "
                       "which is supported of NVFP4 only",
                       m->path, t->name, t->type->name);
    return RT_OK;
}

/* Where row `row` of a tensor lies in the file. */
static uint32_t row_of(const struct fmt_model *m, const char *name, uint32_t row)
{
    return m->arch ? fmt_gguf_row(m->arch, name, m->config.head_dim, row) : row;
}

static rt_status gguf_open(struct fmt_model *m, bool whole)
{
    rt_status st;
    TRY(fmt_gguf_open(m->ctx, m->path, &m->gguf));
    m->own_names = !whole;
    st = fmt_gguf_arch_find(&m->gguf, &m->arch);
    if (st != RT_OK && !whole) /* tensors of something else */
        return RT_OK;
    TRY(st);
    TRY(fmt_gguf_config(&m->gguf, &m->config));
    return RT_OK;

fail:
    return st;
}

static void gguf_close(struct fmt_model *m)
{
    fmt_gguf_close(&m->gguf);
}

static bool gguf_exists(const struct fmt_model *m, const char *name)
{
    return tensor_of(m, name) != NULL;
}

static uint64_t gguf_count(const struct fmt_model *m, const char *name)
{
    const struct fmt_gguf_tensor *t = tensor_of(m, name);
    return t ? t->count : 0;
}

/* Vectors of q and k have their rows in another order as the matrices do. */
static rt_status gguf_floats(struct fmt_model *m, const char *name, uint64_t count,
                             float *out)
{
    const struct fmt_gguf_tensor *t;
    const rt_status st = find(m, name, &t);
    if (st != RT_OK)
        return st;
    if (t->count != count)
        return rt_fail(m->ctx, RT_ERR_INPUT,
                       "'%s': tensor '%s' has %llu elements, %llu are expected", m->path,
                       t->name, (unsigned long long)t->count, (unsigned long long)count);
    const uint64_t columns = t->dims > 1 ? t->shape[0] : 1;
    for (uint64_t r = 0; r * columns < count; r++)
        fmt_gguf_floats(t, row_of(m, name, (uint32_t)r) * columns, columns,
                        out + r * columns);
    return RT_OK;
}

/* As it is in the file only where rows are not in another order. */
static bool gguf_at(const struct fmt_model *m, uint32_t i, struct fmt_tensor_info *info)
{
    static const struct {
        const char *type;
        enum fmt_dtype dtype;
    } floats[] = { { "F32", FMT_F32 }, { "F16", FMT_F16 }, { "BF16", FMT_BF16 } };
    if (i >= m->gguf.tensor_count)
        return false;
    const struct fmt_gguf_tensor *t = &m->gguf.tensors[i];
    if (!fmt_gguf_hf_name(t->name, info->name))
        info->name[0] = '\0';
    info->dims = t->dims;
    for (uint32_t d = 0; d < t->dims; d++)
        info->shape[d] = t->shape[t->dims - 1 - d];
    info->stored = t->data;
    info->stored_size = t->size;
    info->blocks = t->type->name;
    for (size_t k = 0; k < RT_COUNT(floats); k++)
        if (strcmp(t->type->name, floats[k].type) == 0) {
            info->dtype = floats[k].dtype;
            info->blocks = NULL;
            info->data = row_of(m, info->name, 1) == 1 ? t->data : NULL;
        }
    return true;
}

static bool gguf_has_head(const struct fmt_model *m)
{
    return gguf_exists(m, "lm_head.weight");
}

static uint64_t gguf_bytes(const struct fmt_model *m)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < m->gguf.tensor_count; i++)
        bytes += m->gguf.tensors[i].size;
    return bytes;
}

static rt_status gguf_size(struct fmt_model *m, const char *name, uint32_t *out,
                           uint32_t *in)
{
    const struct fmt_gguf_tensor *t;
    const rt_status st = find_matrix(m, name, &t);
    if (st == RT_OK) {
        *out = (uint32_t)t->shape[1];
        *in = (uint32_t)t->shape[0];
    }
    return st;
}

/* Whether codes can stand for themselves in the wide form too: those of 4 bits without
 * levels, and ternary ones, whose zero is 1. */
static bool is_plain(const struct fmt_block_type *type)
{
    const uint32_t levels = type->form & ~RT_FORM_MASK;
    return levels == RT_LEVELS_TERNARY || type->form == RT_FORM_TRITS ||
           (levels == RT_LEVELS_NONE && type->bits == 4);
}

static rt_status gguf_form(struct fmt_model *m, const char *name,
                           struct rt_weight_shape *shape)
{
    const struct fmt_gguf_tensor *t;
    const rt_status st = find_matrix(m, name, &t);
    if (st != RT_OK)
        return st;
    const struct fmt_block_type *type = t->type;
    if (!type->split) {
        const bool is_bf16 = type->id == FMT_BLOCK_ID_BF16;
        shape->bits = type->bytes == 2 && !(is_bf16 && m->wide) ? 16 : 32;
        shape->form = shape->bits == 16 && is_bf16 ? RT_FORM_BF16 : 0;
        return RT_OK;
    }
    shape->bits = type->bits;
    shape->form = type->form;
    shape->group = rt_weight_form_group(type->form);
    if (m->wide) {
        shape->bits = is_plain(type) ? type->bits : 8;
        shape->form = rt_weight_form_wide(type->form);
    }
    return RT_OK;
}

static rt_status gguf_stored(struct fmt_model *m, const char *name,
                             struct fmt_stored *out)
{
    const struct fmt_gguf_tensor *t;
    const rt_status st = find_matrix(m, name, &t);
    if (st == RT_OK) {
        snprintf(out->text, sizeof out->text, "%s", t->type->name);
        out->bits = 8.0 * (double)t->size;
        out->packed = t->type->split != NULL;
    }
    return st;
}

static rt_status gguf_scales(struct fmt_model *m, const char *name,
                             struct fmt_scales *out)
{
    const struct fmt_gguf_tensor *t;
    uint32_t scale, minima;
    const rt_status st = find_matrix(m, name, &t);
    if (st != RT_OK || !t->type->split)
        return st;
    if (!fmt_block_halves(t->type, &scale, &minima))
        return rt_fail(
            m->ctx, RT_ERR_INPUT,
            "'%s': tensor '%s' is %s, whose scales are not trained; types with a "
            "half per block are: Q8_0, Q4_0 to Q5_1, Q2_K to Q6_K, IQ4_NL, "
            "IQ4_XS",
            m->path, t->name, t->type->name);
    if (m->gguf.map_count != 1)
        return rt_fail(
            m->ctx, RT_ERR_INPUT,
            "'%s': a model in %u files, whose scales cannot be replaced; merge "
            "them into one first",
            m->path, m->gguf.map_count);
    snprintf(out->name, sizeof out->name, "%s", t->name);
    out->dtype = FMT_F16;
    out->blocks = true;
    out->block = t->type->block;
    out->groups = (uint32_t)(t->shape[0] / t->type->block);
    out->zeros = !minima                           ? FMT_ZEROS_FIXED
                 : t->type->form == RT_FORM_HALVES ? FMT_ZEROS_MINIMA
                                                   : FMT_ZEROS_SCALED;
    return RT_OK;
}

static rt_status gguf_order(struct fmt_model *m, const char *name, uint32_t in,
                            uint32_t *order, bool *moved)
{
    (void)m, (void)name, (void)in, (void)order, (void)moved;
    return RT_OK;
}

/* ---- rows ---- */

/* What a row is unpacked into. */
struct unpacking {
    const struct fmt_gguf_tensor *tensor;
    struct fmt_block block;
    uint8_t *codes; /* [in]: as the device has them */
    float *values;  /* [in]: of floats; else (scale, zero) of the groups */
};

/* Zero of the levels of a type as codes. */
static uint8_t level_zero(const struct fmt_block_type *type)
{
    return is_plain(type) ? 1 : 128;
}

static void take_codes(const struct fmt_block_type *type, const struct fmt_block *block,
                       bool as_levels, uint8_t *codes)
{
    memcpy(codes, block->code, type->block);
    for (uint32_t i = 0; as_levels && i < type->block; i++)
        codes[i] = (uint8_t)(level_zero(type) +
                             (int)rt_weight_level(type->form, block->code[i]));
}

/* A row of a block form: its blocks, or its levels and float scales. */
static rt_status put_block_row(struct fmt_model *m, struct unpacking *u, uint64_t from,
                               const struct rt_weight_shape *dest, uint32_t to,
                               uint32_t *codes, void *scales)
{
    const struct fmt_block_type *type = u->tensor->type;
    const uint32_t per = type->block / rt_weight_form_group(type->form);
    const uint32_t blocks = dest->in / type->block, zero = level_zero(type);
    const uint8_t *data = u->tensor->data + from * blocks * type->bytes;
    const bool is_wide = dest->form != type->form;
    for (uint32_t b = 0; b < blocks; b++, data += type->bytes) {
        int8_t level[FMT_BLOCK_MAX];
        float *scale = u->values + (size_t)b * per;
        fmt_block_split(type, data, 1, &u->block);
        rt_weight_block_split(type->form, &u->block.whole, level, scale);
        for (uint32_t i = 0; i < type->block; i++)
            u->codes[b * type->block + i] = (uint8_t)(level[i] + (int)zero);
        for (uint32_t i = 0; is_wide && i < per; i++)
            rt_weight_put_scale(dest, scales, to, b * per + i, scale[i], (float)zero);
        if (!is_wide)
            rt_weight_put_block(dest, codes, scales, to, b, &u->block.whole);
    }
    if (is_wide)
        rt_weight_put_row(dest, codes, to, u->codes, dest->in);
    return fmt_check_finite(m, u->tensor->name, u->values, (uint64_t)blocks * per);
}

/* Of a group's codes: a scale of 8 bits may be finite and its products not. */
static float greatest_level(const struct fmt_block_type *type, const uint8_t *codes,
                            uint32_t n)
{
    float greatest = 0;
    for (uint32_t i = 0; i < n; i++)
        greatest = fmaxf(greatest, fabsf(rt_weight_level(type->form, codes[i])));
    return greatest;
}

static rt_status put_packed_row(struct fmt_model *m, struct unpacking *u, uint64_t from,
                                const struct rt_weight_shape *dest, uint32_t to,
                                uint32_t *codes, void *scales)
{
    const struct fmt_block_type *type = u->tensor->type;
    const uint32_t group = dest->group, per = type->block / group;
    const bool is_wide = dest->form <= RT_FORM_OFFSET;
    const bool as_levels = is_wide && type->form > RT_FORM_MASK;
    const uint8_t *data = u->tensor->data + from * (dest->in / type->block) * type->bytes;
    for (uint32_t b = 0; b < dest->in / type->block; b++, data += type->bytes) {
        fmt_block_split(type, data, u->tensor->factor, &u->block);
        take_codes(type, &u->block, as_levels, u->codes + b * type->block);
        for (uint32_t i = 0; i < per; i++) {
            float *v = u->values + 2ull * (b * per + i);
            rt_weight_unpack_scale(type->form, type->bits, &u->block.scale[i], &v[0],
                                   &v[1]);
            if (as_levels)
                v[1] = level_zero(type);
            if (is_wide)
                rt_weight_put_scale(dest, scales, to, b * per + i, v[0], v[1]);
            else
                rt_weight_put_packed(dest, scales, to, b * per + i, &u->block.scale[i]);
            if ((type->form & RT_FORM_MASK) >= RT_FORM_E8M0)
                v[1] = v[0] * greatest_level(type, u->block.code + i * group, group);
        }
    }
    rt_weight_put_row(dest, codes, to, u->codes, dest->in);
    return fmt_check_finite(m, u->tensor->name, u->values, 2ull * (dest->in / group));
}

static rt_status put_float_row(struct fmt_model *m, struct unpacking *u, uint64_t from,
                               const struct rt_weight_shape *dest, uint32_t to,
                               uint32_t *codes)
{
    fmt_gguf_floats(u->tensor, from * dest->in, dest->in, u->values);
    const rt_status st = fmt_check_finite(m, u->tensor->name, u->values, dest->in);
    if (st == RT_OK)
        fmt_put_float_row(dest, codes, to, u->values,
                          u->tensor->data + 2 * from * dest->in);
    return st;
}

static rt_status gguf_load(struct fmt_model *m, const char *name,
                           const struct rt_weight_shape *dest, uint32_t row0,
                           uint32_t first, uint32_t rows, uint32_t *codes, void *scales)
{
    rt_status st;
    struct unpacking u = { 0 };
    char full[512];
    snprintf(full, sizeof full, "%s.weight", name); /* rows are told by it */
    TRY(find_matrix(m, name, &u.tensor));
    u.codes = rt_alloc(m->ctx, dest->in, 1);
    u.values = rt_alloc(m->ctx, dest->in, sizeof *u.values);
    if (!u.codes || !u.values) {
        st = rt_fail(m->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", m->path);
        goto fail;
    }
    rt_weight_put_grid(dest->form, scales);
    for (uint32_t r = 0; r < rows; r++) {
        const uint64_t from = row_of(m, full, first + r);
        if (u.tensor->type->split && rt_weight_is_blocks(u.tensor->type->form))
            TRY(put_block_row(m, &u, from, dest, row0 + r, codes, scales));
        else if (u.tensor->type->split)
            TRY(put_packed_row(m, &u, from, dest, row0 + r, codes, scales));
        else
            TRY(put_float_row(m, &u, from, dest, row0 + r, codes));
    }

fail:
    rt_free(u.codes);
    rt_free(u.values);
    return st;
}

static rt_status gguf_matrix(struct fmt_model *m, const char *name, uint32_t out,
                             uint32_t in, float *values)
{
    const struct fmt_gguf_tensor *t;
    char full[512];
    snprintf(full, sizeof full, "%s.weight", name);
    const rt_status st = find_matrix(m, name, &t);
    if (st != RT_OK)
        return st;
    for (uint32_t r = 0; r < out; r++)
        fmt_gguf_floats(t, (uint64_t)row_of(m, full, r) * in, in,
                        values + (uint64_t)r * in);
    return fmt_check_finite(m, t->name, values, (uint64_t)out * in);
}

static rt_status find_row(struct fmt_model *m, const char *name, uint32_t row,
                          const struct fmt_gguf_tensor **t, const uint8_t **data)
{
    char full[512];
    assert(m->source == &fmt_source_gguf);
    snprintf(full, sizeof full, "%s.weight", name);
    const rt_status st = find_matrix(m, name, t);
    if (st != RT_OK)
        return st;
    const uint64_t bytes = (*t)->shape[0] / (*t)->type->block * (*t)->type->bytes;
    assert((*t)->type->split && row < (*t)->shape[1]);
    *data = (*t)->data + row_of(m, full, row) * bytes;
    return RT_OK;
}

rt_status fmt_weight_groups(struct fmt_model *m, const char *name, uint32_t row,
                            struct rt_weight_scale *groups)
{
    const struct fmt_gguf_tensor *t;
    const uint8_t *data;
    struct fmt_block block;
    const rt_status st = find_row(m, name, row, &t, &data);
    if (st != RT_OK)
        return st;
    const uint32_t per = t->type->block / rt_weight_form_group(t->type->form);
    for (uint32_t b = 0; b < t->shape[0] / t->type->block; b++) {
        fmt_block_split(t->type, data + (size_t)b * t->type->bytes, t->factor, &block);
        memcpy(groups + (size_t)b * per, block.scale, per * sizeof *groups);
    }
    return RT_OK;
}

rt_status fmt_weight_block_row(struct fmt_model *m, const char *name, uint32_t row,
                               struct fmt_block_row *out)
{
    const struct fmt_gguf_tensor *t;
    const uint8_t *data;
    const rt_status st = find_row(m, name, row, &t, &data);
    if (st != RT_OK)
        return st;
    assert(m->gguf.map_count == 1);
    *out = (struct fmt_block_row){ .at = (uint64_t)(data - m->gguf.maps[0].data),
                                   .blocks = (uint32_t)(t->shape[0] / t->type->block),
                                   .bytes = t->type->bytes };
    (void)fmt_block_halves(t->type, &out->scale, &out->minima);
    return RT_OK;
}

/* The bytes of the file, or of all parts in order. */
static rt_status gguf_hash(struct fmt_model *m, struct sha256 *hash)
{
    for (uint32_t i = 0; i < m->gguf.map_count; i++)
        sha256_add(hash, m->gguf.maps[i].data, m->gguf.maps[i].size);
    return RT_OK;
}

static rt_status gguf_stamp(struct fmt_model *m, struct fmt_hash_key *key)
{
    for (uint32_t i = 0; i < m->gguf.map_count; i++)
        fmt_hash_key_add(key, &m->gguf.maps[i].stamp);
    return RT_OK;
}

const struct fmt_source fmt_source_gguf = {
    gguf_open,     gguf_close,  gguf_exists, gguf_count, gguf_floats, gguf_at,
    gguf_has_head, gguf_bytes,  gguf_size,   gguf_form,  gguf_stored, gguf_order,
    gguf_load,     gguf_matrix, gguf_hash,   gguf_stamp, gguf_scales, NULL,
};

#include "runtime/format/checkpoint.h"

#include "runtime/format/sha256.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct fmt_model {
    struct rt_ctx *ctx; /* borrowed */
    char *folder;
    struct fmt_config config;
    struct fmt_safetensors file;
};

rt_status fmt_model_open(struct rt_ctx *ctx, const char *folder, struct fmt_model **out)
{
    rt_status st;
    *out = NULL;
    struct fmt_model *model = rt_alloc(ctx, 1, sizeof *model);
    if (!model)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", folder);
    model->ctx = ctx;
    model->folder = rt_strdup(ctx, folder);
    if (!model->folder) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", folder);
        goto fail;
    }
    TRY(fmt_config_read(ctx, folder, &model->config));
    TRY(fmt_safetensors_open_folder(ctx, folder, &model->file));
    *out = model;
    return RT_OK;

fail:
    fmt_model_close(&model);
    return st;
}

void fmt_model_close(struct fmt_model **model)
{
    if (!*model)
        return;
    fmt_safetensors_close(&(*model)->file);
    rt_free((*model)->folder);
    rt_free(*model);
    *model = NULL;
}

const struct fmt_config *fmt_model_config(const struct fmt_model *model)
{
    return &model->config;
}

bool fmt_tensor_exists(const struct fmt_model *model, const char *name)
{
    return fmt_safetensors_find(&model->file, name) != NULL;
}

static rt_status find(struct fmt_model *m, const char *name,
                      const struct fmt_tensor **out)
{
    *out = fmt_safetensors_find(&m->file, name);
    if (!*out)
        return rt_fail(m->ctx, RT_ERR_INPUT,
                       "'%s': tensor '%s' is missing; the folder is incomplete or of "
                       "another family than its config.json says",
                       m->folder, name);
    return RT_OK;
}

static bool is_float(const struct fmt_tensor *t)
{
    return t->dtype == FMT_F32 || t->dtype == FMT_F16 || t->dtype == FMT_BF16;
}

static rt_status check_finite(struct fmt_model *m, const char *name, const float *values,
                              uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return rt_fail(m->ctx, RT_ERR_INPUT,
                           "'%s': tensor '%s' holds a value that is not finite at %llu; "
                           "the file is damaged, get it again",
                           m->folder, name, (unsigned long long)i);
    return RT_OK;
}

rt_status fmt_tensor_f32(struct fmt_model *m, const char *name, uint64_t count,
                         float *out)
{
    const struct fmt_tensor *t;
    const rt_status st = find(m, name, &t);
    if (st != RT_OK)
        return st;
    if (!is_float(t) || t->count != count)
        return rt_fail(m->ctx, RT_ERR_INPUT,
                       "'%s': tensor '%s' is %s with %llu elements, config.json asks for "
                       "%llu floats",
                       m->folder, name, fmt_dtype_name(t->dtype),
                       (unsigned long long)t->count, (unsigned long long)count);
    fmt_tensor_floats(t, 0, count, out);
    return check_finite(m, name, out, count);
}

/* ---- linear weights ---- */

static rt_status check_matrix(struct fmt_model *m, const struct fmt_tensor *t,
                              uint64_t rows, uint64_t cols)
{
    if (t->dims != 2 || t->shape[0] != rows || t->shape[1] != cols)
        return rt_fail(m->ctx, RT_ERR_INPUT,
                       "'%s': tensor '%s' is [%llu, %llu], [%llu, %llu] is expected; "
                       "config.json and the weights do not belong together",
                       m->folder, t->name,
                       (unsigned long long)(t->dims ? t->shape[0] : 0),
                       (unsigned long long)(t->dims > 1 ? t->shape[1] : 0),
                       (unsigned long long)rows, (unsigned long long)cols);
    return RT_OK;
}

/* NAME + suffix. */
static rt_status find_part(struct fmt_model *m, const char *name, const char *suffix,
                           const struct fmt_tensor **out)
{
    char full[512];
    snprintf(full, sizeof full, "%s%s", name, suffix);
    return find(m, full, out);
}

static bool is_packed(const struct fmt_model *m, const char *name)
{
    char full[512];
    snprintf(full, sizeof full, "%s.weight_packed", name);
    return fmt_tensor_exists(m, full);
}

rt_status fmt_weight_shape(struct fmt_model *m, const char *name, uint32_t out,
                           uint32_t in, struct rt_weight_shape *shape)
{
    *shape = (struct rt_weight_shape){
        .out = out,
        .in = in,
        .out_pad = (uint32_t)rt_round_up(out, RT_WEIGHT_OUT_PAD),
    };
    if (is_packed(m, name)) {
        if (!m->config.quantization.present)
            return rt_fail(m->ctx, RT_ERR_INPUT,
                           "'%s': '%s' is packed but config.json has no "
                           "quantization_config",
                           m->folder, name);
        shape->bits = m->config.quantization.bits;
        shape->group = m->config.quantization.group;
        shape->form = RT_FORM_ZERO;
    } else {
        const struct fmt_tensor *t;
        const rt_status st = find_part(m, name, ".weight", &t);
        if (st != RT_OK)
            return st;
        shape->bits = t->dtype == FMT_F16 ? 16 : 32;
    }
    shape->in_pad = rt_weight_in_pad(shape->bits, in);
    return RT_OK;
}

static rt_status load_floats(struct fmt_model *m, const char *name,
                             const struct rt_weight_shape *dest, uint32_t row0,
                             uint32_t out, uint32_t *codes)
{
    rt_status st;
    const struct fmt_tensor *t;
    float *row = rt_alloc(m->ctx, dest->in, sizeof *row);
    if (!row)
        return rt_fail(m->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", m->folder);
    TRY(find_part(m, name, ".weight", &t));
    if (!is_float(t)) {
        st = rt_fail(m->ctx, RT_ERR_INPUT, "'%s': tensor '%s' is %s, not floats",
                     m->folder, t->name, fmt_dtype_name(t->dtype));
        goto fail;
    }
    TRY(check_matrix(m, t, out, dest->in));
    for (uint32_t r = 0; r < out; r++) {
        fmt_tensor_floats(t, (uint64_t)r * dest->in, dest->in, row);
        TRY(check_finite(m, t->name, row, dest->in));
        for (uint32_t k = 0; k < dest->in; k++) {
            uint32_t word;
            memcpy(&word, &row[k], sizeof word);
            if (dest->bits == 16) {
                const uint8_t *p = t->data + 2 * ((uint64_t)r * dest->in + k);
                word = p[0] | (uint32_t)p[1] << 8;
            }
            rt_weight_put_code(dest, codes, row0 + r, k, word);
        }
    }

fail:
    rt_free(row);
    return st;
}

/* Word i of an int32 tensor. */
static uint32_t word_at(const struct fmt_tensor *t, uint64_t i)
{
    const uint8_t *p = t->data + 4 * i;
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

struct packed {
    const struct fmt_tensor *codes, *scales, *zeros; /* zeros: null if symmetric */
    uint32_t bits, per_word, words, groups, group;
};

/* NAME.weight_shape, where it is there, says what the matrix is: two 64-bit numbers. */
static rt_status check_shape(struct fmt_model *m, const char *name, uint32_t out,
                             uint32_t in)
{
    char full[512];
    snprintf(full, sizeof full, "%s.weight_shape", name);
    const struct fmt_tensor *t = fmt_safetensors_find(&m->file, full);
    if (!t)
        return RT_OK;
    const bool words = t->dtype == FMT_I64 && t->count == 2;
    if (!words || word_at(t, 0) != out || word_at(t, 1) != 0 || word_at(t, 2) != in ||
        word_at(t, 3) != 0)
        return rt_fail(m->ctx, RT_ERR_INPUT,
                       "'%s': '%s' does not say [%u, %u], which config.json asks for",
                       m->folder, full, out, in);
    return RT_OK;
}

static rt_status open_packed(struct fmt_model *m, const char *name, uint32_t out,
                             uint32_t in, struct packed *p)
{
    rt_status st;
    const struct fmt_quantization *q = &m->config.quantization;
    p->bits = q->bits;
    p->per_word = 32 / q->bits;
    p->words = (in + p->per_word - 1) / p->per_word;
    p->group = q->group ? q->group : in;
    p->groups = (in + p->group - 1) / p->group;
    p->zeros = NULL;
    TRY(find_part(m, name, ".weight_packed", &p->codes));
    TRY(find_part(m, name, ".weight_scale", &p->scales));
    TRY(check_matrix(m, p->codes, out, p->words));
    TRY(check_matrix(m, p->scales, out, p->groups));
    if (p->codes->dtype != FMT_I32 || !is_float(p->scales))
        return rt_fail(m->ctx, RT_ERR_INPUT,
                       "'%s': '%s' has packed codes of type %s and "
                       "scales of type %s; I32 and floats are expected",
                       m->folder, name, fmt_dtype_name(p->codes->dtype),
                       fmt_dtype_name(p->scales->dtype));
    TRY(check_shape(m, name, out, in));
    char order[512];
    snprintf(order, sizeof order, "%s.weight_g_idx", name);
    if (fmt_tensor_exists(m, order))
        return rt_fail(m->ctx, RT_ERR_INPUT,
                       "'%s': '%s' is in activation order (weight_g_idx), which is not "
                       "supported",
                       m->folder, name);
    if (!q->symmetric) {
        TRY(find_part(m, name, ".weight_zero_point", &p->zeros));
        TRY(check_matrix(m, p->zeros, (out + p->per_word - 1) / p->per_word, p->groups));
        if (p->zeros->dtype != FMT_I32)
            return rt_fail(m->ctx, RT_ERR_INPUT,
                           "'%s': tensor '%s' is %s, I32 is expected", m->folder,
                           p->zeros->name, fmt_dtype_name(p->zeros->dtype));
    }
    return RT_OK;

fail:
    return st;
}

/* Code k of row r, unsigned as stored. */
static uint32_t packed_code(const struct packed *p, uint32_t r, uint32_t k)
{
    const uint32_t word = word_at(p->codes, (uint64_t)r * p->words + k / p->per_word);
    return (word >> (k % p->per_word * p->bits)) & ((1u << p->bits) - 1);
}

/* Zero point of a group of row r, unsigned as stored. */
static uint32_t packed_zero(const struct packed *p, uint32_t r, uint32_t g)
{
    if (!p->zeros)
        return 1u << (p->bits - 1);
    const uint32_t word = word_at(p->zeros, (uint64_t)(r / p->per_word) * p->groups + g);
    return (word >> (r % p->per_word * p->bits)) & ((1u << p->bits) - 1);
}

static rt_status load_packed(struct fmt_model *m, const char *name,
                             const struct rt_weight_shape *dest, uint32_t row0,
                             uint32_t out, uint32_t *codes, float *scales)
{
    rt_status st;
    struct packed p;
    TRY(open_packed(m, name, out, dest->in, &p));
    for (uint32_t r = 0; r < out; r++) {
        for (uint32_t g = 0; g < p.groups; g++) {
            float scale;
            fmt_tensor_floats(p.scales, (uint64_t)r * p.groups + g, 1, &scale);
            TRY(check_finite(m, p.scales->name, &scale, 1));
            rt_weight_put_scale(dest, scales, row0 + r, g, scale,
                                (float)packed_zero(&p, r, g));
        }
        for (uint32_t k = 0; k < dest->in; k++)
            rt_weight_put_code(dest, codes, row0 + r, k, packed_code(&p, r, k));
        /* Padding inside the last group decodes to 0: its code is the zero point. */
        for (uint32_t k = dest->in; k < dest->in_pad; k++) {
            const uint32_t g = k / p.group;
            if (p.group == dest->in || g < p.groups)
                rt_weight_put_code(dest, codes, row0 + r, k,
                                   packed_zero(&p, r, g < p.groups ? g : p.groups - 1));
        }
    }
    return RT_OK;

fail:
    return st;
}

rt_status fmt_weight_load(struct fmt_model *m, const char *name,
                          const struct rt_weight_shape *dest, uint32_t row0, uint32_t out,
                          uint32_t *codes, float *scales)
{
    struct rt_weight_shape own;
    const rt_status st = fmt_weight_shape(m, name, out, dest->in, &own);
    if (st != RT_OK)
        return st;
    if (own.bits != dest->bits || own.group != dest->group || own.form != dest->form)
        return rt_fail(m->ctx, RT_ERR_INPUT,
                       "'%s': '%s' is stored in %u bits, its neighbours in %u; mixed "
                       "layers are not supported",
                       m->folder, name, own.bits, dest->bits);
    return own.bits >= 16 ? load_floats(m, name, dest, row0, out, codes)
                          : load_packed(m, name, dest, row0, out, codes, scales);
}

rt_status fmt_weight_floats(struct fmt_model *m, const char *name, uint32_t out,
                            uint32_t in, float *values)
{
    rt_status st;
    char full[512];
    if (!is_packed(m, name)) {
        snprintf(full, sizeof full, "%s.weight", name);
        return fmt_tensor_f32(m, full, (uint64_t)out * in, values);
    }
    struct packed p;
    TRY(open_packed(m, name, out, in, &p));
    for (uint32_t r = 0; r < out; r++)
        for (uint32_t k = 0; k < in; k++) {
            const uint32_t g = k / p.group;
            float scale;
            fmt_tensor_floats(p.scales, (uint64_t)r * p.groups + g, 1, &scale);
            const int code = (int)packed_code(&p, r, k) - (int)packed_zero(&p, r, g);
            values[(uint64_t)r * in + k] = (float)code * scale;
        }
    return RT_OK;

fail:
    return st;
}

rt_status fmt_model_hash(struct fmt_model *m, char hex[65])
{
    struct sha256 hash;
    struct fmt_map config = { 0 };
    char *path = fmt_path(m->ctx, m->folder, "config.json");
    if (!path)
        return rt_fail(m->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", m->folder);
    const rt_status st = fmt_map_open(m->ctx, path, &config);
    rt_free(path);
    if (st != RT_OK)
        return st;
    sha256_init(&hash);
    sha256_add(&hash, config.data, config.size);
    for (uint32_t i = 0; i < m->file.count; i++) {
        sha256_add_text(&hash, m->file.tensors[i].name);
        sha256_add(&hash, m->file.tensors[i].data, m->file.tensors[i].size);
    }
    fmt_map_close(&config);
    sha256_end_hex(&hash, hex);
    return RT_OK;
}

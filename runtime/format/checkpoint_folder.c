/* runtime/format/checkpoint_folder.c
 * A Hugging Face folder: safetensors, packed or not (packed.h). */
#include "runtime/format/checkpoint_impl.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* config.json as far as it says how matrices are packed; it may be missing. */
static rt_status read_quantization(struct fmt_model *m)
{
    json_t *root = NULL;
    char *path = fmt_path(m->ctx, m->path, "config.json");
    rt_status st =
        path ? RT_OK : rt_fail(m->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", m->path);
    if (st == RT_OK && fmt_exists(path))
        st = fmt_json_read(m->ctx, path, &root);
    if (st == RT_OK)
        st = fmt_quantization_find(m->ctx, m->path, path, root, &m->config.quantization,
                                   &m->rules);
    json_decref(root);
    rt_free(path);
    return st;
}

static rt_status folder_open(struct fmt_model *m, bool whole)
{
    rt_status st;
    if (whole)
        TRY(fmt_config_read_rules(m->ctx, m->path, &m->config, &m->rules));
    else
        TRY(read_quantization(m));
    TRY(fmt_safetensors_open_folder(m->ctx, m->path, &m->file));
    if (whole)
        TRY(fmt_names_settle(m));
    void *absent = json_object_iter(m->file.absent);
    if (!whole && absent) /* any tensor may be asked for */
        TRY(fmt_safetensors_needs(m->ctx, m->path, &m->file,
                                  json_object_iter_key(absent)));
    return RT_OK;

fail:
    return st;
}

static void folder_close(struct fmt_model *m)
{
    fmt_safetensors_close(&m->file);
    fmt_quant_rules_free(&m->rules);
}

static bool folder_exists(const struct fmt_model *m, const char *name)
{
    return fmt_safetensors_find(&m->file, name) != NULL;
}

static rt_status find(struct fmt_model *m, const char *name,
                      const struct fmt_tensor **out)
{
    *out = fmt_safetensors_find(&m->file, name);
    if (!*out)
        return rt_fail(m->ctx, RT_ERR_INPUT,
                       "'%s': tensor '%s' is missing; the folder is incomplete or of "
                       "another family than its config.json says",
                       m->path, name);
    return RT_OK;
}

static rt_status folder_floats(struct fmt_model *m, const char *name, uint64_t count,
                               float *out)
{
    const struct fmt_tensor *t;
    const rt_status st = find(m, name, &t);
    if (st != RT_OK)
        return st;
    if (!fmt_dtype_is_float(t->dtype) || t->count != count)
        return rt_fail(m->ctx, RT_ERR_INPUT,
                       "'%s': tensor '%s' is %s with %llu elements, config.json asks for "
                       "%llu floats",
                       m->path, name, fmt_tensor_dtype(t), (unsigned long long)t->count,
                       (unsigned long long)count);
    fmt_tensor_floats(t, 0, count, out);
    return RT_OK;
}

static uint64_t folder_count(const struct fmt_model *m, const char *name)
{
    const struct fmt_tensor *t = fmt_safetensors_find(&m->file, name);
    return t && fmt_dtype_is_float(t->dtype) ? t->count : 0;
}

static bool folder_at(const struct fmt_model *m, uint32_t i, struct fmt_tensor_info *info)
{
    if (i >= m->file.count)
        return false;
    const struct fmt_tensor *t = &m->file.tensors[i];
    snprintf(info->name, sizeof info->name, "%s", t->name);
    info->dtype = t->dtype;
    info->dims = t->dims;
    memcpy(info->shape, t->shape, sizeof info->shape);
    info->data = info->stored = t->data;
    info->stored_size = t->size;
    return true;
}

/* ---- linear weights ---- */

/* NAME.weight as a float matrix. */
static rt_status find_matrix(struct fmt_model *m, const char *name,
                             const struct fmt_tensor **out)
{
    char full[512];
    snprintf(full, sizeof full, "%s.weight", name);
    const rt_status st = find(m, full, out);
    if (st != RT_OK)
        return st;
    if (!fmt_dtype_is_float((*out)->dtype))
        return rt_fail(m->ctx, RT_ERR_INPUT,
                       "'%s': tensor '%s' has the unsupported dtype '%s'; F32, F16, "
                       "BF16, F8_E4M3 and F8_E5M2 are supported",
                       m->path, full, fmt_tensor_dtype(*out));
    if ((*out)->dims != 2 || (*out)->shape[0] == 0 || (*out)->shape[1] == 0 ||
        (*out)->shape[0] > UINT32_MAX || (*out)->shape[1] > UINT32_MAX)
        return rt_fail(m->ctx, RT_ERR_INPUT, "'%s': tensor '%s' is no matrix", m->path,
                       full);
    return RT_OK;
}

bool fmt_folder_is_packed(const struct fmt_model *m, const char *name)
{
    struct rt_ctx quiet = { 0 }; /* who opens it is told what is wrong */
    struct fmt_quantization q;
    if (fmt_quant_rules_find(&quiet, m->path, &m->rules, &m->config.quantization, name,
                             &q) != RT_OK)
        q = m->config.quantization;
    return fmt_packed_exists(&m->file, &q, name);
}

rt_status fmt_folder_open_packed(struct fmt_model *m, const char *name,
                                 struct fmt_packed *p)
{
    rt_status st;
    struct fmt_quantization q;
    TRY(fmt_quant_rules_find(m->ctx, m->path, &m->rules, &m->config.quantization, name,
                             &q));
    TRY(fmt_packed_open(m->ctx, m->path, &m->file, &q, name, p));
    if (p->method != q.method && !m->warned) {
        m->warned = true;
        rt_log(m->ctx, RT_LOG_WARNING,
               "'%s' says that its zero points are stored as in %s, their values say %s; "
               "read as the latter",
               m->path, fmt_method_name(q.method), fmt_method_name(p->method));
    }

fail:
    return st;
}

static bool folder_has_head(const struct fmt_model *m)
{
    return folder_exists(m, "lm_head.weight") || fmt_folder_is_packed(m, "lm_head");
}

static uint64_t folder_bytes(const struct fmt_model *m)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < m->file.count; i++)
        bytes += m->file.tensors[i].size;
    return bytes;
}

static rt_status folder_size(struct fmt_model *m, const char *name, uint32_t *out,
                             uint32_t *in)
{
    rt_status st;
    struct fmt_packed p;
    const struct fmt_tensor *t;
    if (fmt_folder_is_packed(m, name)) {
        TRY(fmt_folder_open_packed(m, name, &p));
        *out = p.out;
        *in = p.in;
    } else {
        TRY(find_matrix(m, name, &t));
        *out = (uint32_t)t->shape[0];
        *in = (uint32_t)t->shape[1];
    }
    return RT_OK;

fail:
    return st;
}

static rt_status folder_form(struct fmt_model *m, const char *name,
                             struct rt_weight_shape *shape)
{
    rt_status st;
    struct fmt_packed p;
    const struct fmt_tensor *t;
    if (fmt_folder_is_packed(m, name)) {
        TRY(fmt_folder_open_packed(m, name, &p));
        fmt_packed_shape(&p, m->wide, shape);
    } else {
        TRY(find_matrix(m, name, &t));
        const bool is_bf16 = t->dtype == FMT_BF16 && !m->wide;
        shape->bits = t->dtype == FMT_F16 || is_bf16 ? 16 : 32;
        shape->form = is_bf16 ? RT_FORM_BF16 : 0;
    }
    return RT_OK;

fail:
    return st;
}

/* Bits of a tensor as it is stored; none: 0. */
static double tensor_bits(const struct fmt_tensor *t)
{
    return t ? 8.0 * (double)t->size : 0;
}

/* Packed: codes, scales, zero points and the order of columns, each as it is stored. */
static rt_status folder_stored(struct fmt_model *m, const char *name,
                               struct fmt_stored *out)
{
    rt_status st;
    struct fmt_packed p;
    const struct fmt_tensor *t;
    if (fmt_folder_is_packed(m, name)) {
        TRY(fmt_folder_open_packed(m, name, &p));
        const char *method = fmt_method_name(p.method);
        if (p.levels && !p.scales)
            snprintf(out->text, sizeof out->text, "%s", fmt_dtype_name(p.codes->dtype));
        else if (p.place == FMT_SCALE_BLOCKS)
            snprintf(out->text, sizeof out->text, "%s %u bit, blocks of %u by %u", method,
                     p.stored, p.block_rows, p.group);
        else if (p.groups == 1)
            snprintf(out->text, sizeof out->text, "%s %u bit, rows", method, p.stored);
        else
            snprintf(out->text, sizeof out->text, "%s %u bit, groups of %u", method,
                     p.stored, p.group);
        out->bits = tensor_bits(p.codes) + tensor_bits(p.scales) + tensor_bits(p.zeros) +
                    tensor_bits(p.order);
        out->packed = true;
    } else {
        TRY(find_matrix(m, name, &t));
        const int bits = t->dtype == FMT_F32 ? 32 : 16;
        if (t->dtype == FMT_BF16)
            snprintf(out->text, sizeof out->text, "bfloat16");
        else
            snprintf(out->text, sizeof out->text, "%d-bit floats", bits);
        out->bits = (double)t->count * bits;
    }
    return RT_OK;

fail:
    return st;
}

static rt_status folder_order(struct fmt_model *m, const char *name, uint32_t in,
                              uint32_t *order, bool *moved)
{
    rt_status st;
    struct fmt_packed p;
    if (!fmt_folder_is_packed(m, name))
        return RT_OK;
    TRY(fmt_folder_open_packed(m, name, &p));
    assert(p.in == in);
    *moved = fmt_packed_order(&p, order);
    return RT_OK;

fail:
    return st;
}

/* NAME.input_scale, one number that x / scale is a float for, as quantize needs it. */
static rt_status input_scale(struct fmt_model *m, const char *name, float *scale)
{
    rt_status st;
    char full[512];
    snprintf(full, sizeof full, "%s.input_scale", name);
    TRY(folder_floats(m, full, 1, scale));
    if (!(*scale >= 0x1p-64f && *scale <= 0x1p64f))
        return rt_fail(m->ctx, RT_ERR_INPUT,
                       "'%s': tensor '%s' holds %g, which is no scale of activations",
                       m->path, full, (double)*scale);

fail:
    return st;
}

static rt_status folder_inputs(struct fmt_model *m, const char *name,
                               enum fmt_inputs *inputs, float *scale)
{
    rt_status st;
    struct fmt_packed p;
    struct fmt_quantization q;
    if (!fmt_folder_is_packed(m, name))
        return RT_OK;
    TRY(fmt_quant_rules_find(m->ctx, m->path, &m->rules, &m->config.quantization, name,
                             &q));
    if (q.inputs == FMT_INPUTS_FLOATS)
        return RT_OK;
    TRY(fmt_folder_open_packed(m, name, &p));
    if (p.levels || p.zeros || p.groups != 1 || p.in > FMT_INT8_INPUTS_MAX)
        return RT_OK;
    if (q.inputs == FMT_INPUTS_GIVEN)
        TRY(input_scale(m, name, scale));
    *inputs = q.inputs;
    return RT_OK;

fail:
    return st;
}

static rt_status load_floats(struct fmt_model *m, const char *name,
                             const struct rt_weight_shape *dest, uint32_t row0,
                             uint32_t first, uint32_t rows, uint32_t *codes)
{
    rt_status st;
    const struct fmt_tensor *t;
    float *row = rt_alloc(m->ctx, dest->in, sizeof *row);
    if (!row)
        return rt_fail(m->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", m->path);
    TRY(find_matrix(m, name, &t));
    for (uint32_t r = 0; r < rows; r++) {
        const uint64_t from = (uint64_t)(first + r) * dest->in;
        fmt_tensor_floats(t, from, dest->in, row);
        TRY(fmt_check_finite(m, t->name, row, dest->in));
        fmt_put_float_row(dest, codes, row0 + r, row, t->data + 2 * from);
    }

fail:
    rt_free(row);
    return st;
}

/* ---- packed weights ---- */

/* Rows that are unpacked at once: formats that pack along the output need several, so
 * that each word is read once. */
enum { ROWS_AT_ONCE = 64 };

/* What unpacking needs beside the file. */
struct unpacking {
    struct fmt_packed p;
    uint8_t *codes;  /* [ROWS_AT_ONCE][in] */
    uint8_t *row;    /* [in_pad]: one row as the device has it */
    uint32_t *order; /* [in], 0, 1, 2 ... where nothing is moved */
    float *scale;    /* [groups], of the row at hand */
    uint16_t *half;  /* [groups]: the same as the file has them, where those are halves */
    uint8_t *zero;   /* [groups] */
};

static void unpacking_close(struct unpacking *u)
{
    rt_free(u->codes);
    rt_free(u->row);
    rt_free(u->order);
    rt_free(u->scale);
    rt_free(u->half);
    rt_free(u->zero);
}

static rt_status unpacking_open(struct fmt_model *m, const char *name, uint32_t in_pad,
                                struct unpacking *u)
{
    rt_status st;
    *u = (struct unpacking){ 0 };
    TRY(fmt_folder_open_packed(m, name, &u->p));
    u->codes = rt_alloc(m->ctx, u->p.in, ROWS_AT_ONCE);
    u->row = rt_alloc(m->ctx, in_pad, 1);
    u->order = rt_alloc(m->ctx, u->p.in, sizeof *u->order);
    u->scale = rt_alloc(m->ctx, u->p.groups, sizeof *u->scale);
    u->zero = rt_alloc(m->ctx, u->p.groups, 1);
    u->half = rt_alloc(m->ctx, u->p.groups, sizeof *u->half);
    if (!u->codes || !u->row || !u->order || !u->scale || !u->zero || !u->half)
        return rt_fail(m->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", m->path);
    (void)fmt_packed_order(&u->p, u->order);
    return RT_OK;

fail:
    return st;
}

/* Scales and zero points of a row. */
static rt_status take_groups(struct fmt_model *m, struct unpacking *u, uint32_t row)
{
    for (uint32_t g = 0; g < u->p.groups; g++) {
        u->scale[g] = fmt_packed_scale(&u->p, row, g, &u->half[g]);
        u->zero[g] = (uint8_t)fmt_packed_zero(&u->p, row, g);
    }
    return fmt_check_finite(m, u->p.scales->name, u->scale, u->p.groups);
}

/* One row into row `to` of the device layout. Padding inside the last group decodes to
 * 0: its code is the zero point. */
static void put_row(struct unpacking *u, const struct rt_weight_shape *dest, uint32_t to,
                    const uint8_t *from, uint32_t *codes, void *scales)
{
    const struct fmt_packed *p = &u->p;
    const uint32_t last = p->groups == 1 ? dest->in_pad : p->groups * p->group;
    for (uint32_t k = 0; k < p->in; k++)
        u->row[k] = from[u->order[k]];
    for (uint32_t k = p->in; k < dest->in_pad; k++)
        u->row[k] = k < last ? u->zero[p->groups - 1] : 0;
    rt_weight_put_row(dest, codes, to, u->row, dest->in_pad);
    for (uint32_t g = 0; g < p->groups; g++) {
        const struct rt_weight_scale packed = { .d = u->half[g], .l = u->zero[g] };
        if (p->scale_dtype == FMT_F16 && dest->form != RT_FORM_ZERO)
            rt_weight_put_packed(dest, scales, to, g, &packed);
        else
            rt_weight_put_scale(dest, scales, to, g, u->scale[g], (float)u->zero[g]);
    }
}

static rt_status load_packed(struct fmt_model *m, const char *name,
                             const struct rt_weight_shape *dest, uint32_t row0,
                             uint32_t first, uint32_t rows, uint32_t *codes, void *scales)
{
    rt_status st;
    struct unpacking u;
    TRY(unpacking_open(m, name, dest->in_pad, &u));
    for (uint32_t done = 0; done < rows; done += ROWS_AT_ONCE) {
        const uint32_t n = rows - done < ROWS_AT_ONCE ? rows - done : ROWS_AT_ONCE;
        fmt_packed_codes(&u.p, first + done, n, u.codes);
        for (uint32_t r = 0; r < n; r++) {
            TRY(take_groups(m, &u, first + done + r));
            put_row(&u, dest, row0 + done + r, u.codes + (uint64_t)r * u.p.in, codes,
                    scales);
        }
    }

fail:
    unpacking_close(&u);
    return st;
}

static rt_status folder_load(struct fmt_model *m, const char *name,
                             const struct rt_weight_shape *dest, uint32_t row0,
                             uint32_t first, uint32_t rows, uint32_t *codes, void *scales)
{
    rt_status st;
    struct fmt_packed p;
    if (!fmt_folder_is_packed(m, name))
        return load_floats(m, name, dest, row0, first, rows, codes);
    TRY(fmt_folder_open_packed(m, name, &p));
    if (p.levels)
        return fmt_levels_load(m, &p, dest, row0, first, rows, codes, scales);
    return load_packed(m, name, dest, row0, first, rows, codes, scales);

fail:
    return st;
}

static rt_status packed_floats(struct fmt_model *m, const char *name, float *values)
{
    rt_status st;
    struct unpacking u;
    TRY(unpacking_open(m, name, 0, &u));
    const struct fmt_packed *p = &u.p;
    for (uint32_t first = 0; first < p->out; first += ROWS_AT_ONCE) {
        const uint32_t n = p->out - first < ROWS_AT_ONCE ? p->out - first : ROWS_AT_ONCE;
        fmt_packed_codes(p, first, n, u.codes);
        for (uint32_t r = 0; r < n; r++) {
            const uint8_t *from = u.codes + (uint64_t)r * p->in;
            float *to = values + (uint64_t)(first + r) * p->in;
            TRY(take_groups(m, &u, first + r));
            for (uint32_t k = 0; k < p->in; k++) {
                const uint32_t g = fmt_packed_group(p, k);
                to[k] = (float)(from[k] - u.zero[g]) * u.scale[g];
            }
        }
    }

fail:
    unpacking_close(&u);
    return st;
}

static rt_status folder_matrix(struct fmt_model *m, const char *name, uint32_t out,
                               uint32_t in, float *values)
{
    rt_status st;
    struct fmt_packed p;
    char full[512];
    if (fmt_folder_is_packed(m, name)) {
        TRY(fmt_folder_open_packed(m, name, &p));
        return p.levels ? fmt_levels_floats(m, &p, values)
                        : packed_floats(m, name, values);
    }
    snprintf(full, sizeof full, "%s.weight", name);
    return fmt_tensor_f32(m, full, (uint64_t)out * in, values);

fail:
    return st;
}

static rt_status open_config(struct fmt_model *m, struct fmt_map *config)
{
    char *path = fmt_path(m->ctx, m->path, "config.json");
    if (!path)
        return rt_fail(m->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", m->path);
    const rt_status st = fmt_map_open(m->ctx, path, config);
    rt_free(path);
    return st;
}

/* Files beside config.json that may say how matrices are packed: into a hash, or a key. */
static rt_status add_beside(struct fmt_model *m, struct sha256 *hash,
                            struct fmt_hash_key *key)
{
    static const char *const names[] = { "quantize_config.json", "quant_config.json" };
    rt_status st = RT_OK;
    for (size_t i = 0; i < RT_COUNT(names) && st == RT_OK; i++) {
        struct fmt_map file;
        char *path = fmt_path(m->ctx, m->path, names[i]);
        if (!path)
            return rt_fail(m->ctx, RT_ERR_HOST_MEMORY, "'%s': no host memory", m->path);
        const bool there = fmt_exists(path);
        if (there)
            st = fmt_map_open(m->ctx, path, &file);
        rt_free(path);
        if (!there || st != RT_OK)
            continue;
        if (hash) {
            sha256_add_text(hash, names[i]);
            sha256_add(hash, file.data, file.size);
        } else {
            fmt_hash_key_add(key, &file.stamp);
        }
        fmt_map_close(&file);
    }
    return st;
}

/* config.json and what is like it, then names and bytes of all tensors in name order. */
static rt_status folder_hash(struct fmt_model *m, struct sha256 *hash)
{
    struct fmt_map config;
    rt_status st = open_config(m, &config);
    if (st != RT_OK)
        return st;
    sha256_add(hash, config.data, config.size);
    st = add_beside(m, hash, NULL);
    for (uint32_t i = 0; i < m->file.count; i++) {
        sha256_add_text(hash, m->file.tensors[i].name);
        sha256_add(hash, m->file.tensors[i].data, m->file.tensors[i].size);
    }
    fmt_map_close(&config);
    return st;
}

static rt_status folder_stamp(struct fmt_model *m, struct fmt_hash_key *key)
{
    struct fmt_map config;
    const rt_status st = open_config(m, &config);
    if (st != RT_OK)
        return st;
    fmt_hash_key_add(key, &config.stamp);
    fmt_map_close(&config);
    for (uint32_t i = 0; i < m->file.map_count; i++)
        fmt_hash_key_add(key, &m->file.maps[i].stamp);
    return add_beside(m, NULL, key);
}

const struct fmt_source fmt_source_folder = {
    folder_open,   folder_close,      folder_exists, folder_count,  folder_floats,
    folder_at,     folder_has_head,   folder_bytes,  folder_size,   folder_form,
    folder_stored, folder_order,      folder_load,   folder_matrix, folder_hash,
    folder_stamp,  fmt_folder_scales, folder_inputs,
};

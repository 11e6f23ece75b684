#include "runtime/format/checkpoint.h"

#include "runtime/format/packed.h"
#include "runtime/format/sha256.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct fmt_model {
    struct rt_ctx *ctx; /* borrowed */
    char *folder;
    struct fmt_config config; /* tensors only: nothing but its quantization */
    struct fmt_safetensors file;
    bool warned; /* that the zero points are labelled wrongly */
};

/* config.json as far as it says how matrices are packed; it may be missing. */
static rt_status read_quantization(struct fmt_model *m)
{
    json_t *root = NULL;
    char *path = fmt_path(m->ctx, m->folder, "config.json");
    rt_status st =
        path ? RT_OK : rt_fail(m->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", m->folder);
    if (st == RT_OK && fmt_exists(path))
        st = fmt_json_read(m->ctx, path, &root);
    if (st == RT_OK)
        st =
            fmt_quantization_find(m->ctx, m->folder, path, root, &m->config.quantization);
    json_decref(root);
    rt_free(path);
    return st;
}

static rt_status open_model(struct rt_ctx *ctx, const char *folder, bool whole,
                            struct fmt_model **out)
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
    if (whole)
        TRY(fmt_config_read(ctx, folder, &model->config));
    else
        TRY(read_quantization(model));
    TRY(fmt_safetensors_open_folder(ctx, folder, &model->file));
    *out = model;
    return RT_OK;

fail:
    fmt_model_close(&model);
    return st;
}

rt_status fmt_model_open(struct rt_ctx *ctx, const char *folder, struct fmt_model **out)
{
    return open_model(ctx, folder, true, out);
}

rt_status fmt_model_open_tensors(struct rt_ctx *ctx, const char *folder,
                                 struct fmt_model **out)
{
    return open_model(ctx, folder, false, out);
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
                           "the file is damaged",
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

uint64_t fmt_tensor_count(const struct fmt_model *m, const char *name)
{
    const struct fmt_tensor *t = fmt_safetensors_find(&m->file, name);
    return t && is_float(t) ? t->count : 0;
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
    if (!is_float(*out))
        return rt_fail(m->ctx, RT_ERR_INPUT, "'%s': tensor '%s' is %s, not floats",
                       m->folder, full, fmt_dtype_name((*out)->dtype));
    if ((*out)->dims != 2 || (*out)->shape[0] == 0 || (*out)->shape[1] == 0 ||
        (*out)->shape[0] > UINT32_MAX || (*out)->shape[1] > UINT32_MAX)
        return rt_fail(m->ctx, RT_ERR_INPUT, "'%s': tensor '%s' is no matrix", m->folder,
                       full);
    return RT_OK;
}

static bool is_packed(const struct fmt_model *m, const char *name)
{
    return fmt_packed_exists(&m->file, &m->config.quantization, name);
}

static rt_status open_packed(struct fmt_model *m, const char *name, struct fmt_packed *p)
{
    const struct fmt_quantization *q = &m->config.quantization;
    const rt_status st = fmt_packed_open(m->ctx, m->folder, &m->file, q, name, p);
    if (st == RT_OK && p->method != q->method && !m->warned) {
        m->warned = true;
        rt_log(m->ctx, RT_LOG_WARNING,
               "'%s' says that its zero points are stored as in %s, their values say %s; "
               "read as the latter",
               m->folder, fmt_method_name(q->method), fmt_method_name(p->method));
    }
    return st;
}

bool fmt_has_head(const struct fmt_model *m)
{
    return !m->config.tied &&
           (fmt_tensor_exists(m, "lm_head.weight") || is_packed(m, "lm_head"));
}

uint64_t fmt_model_bytes(const struct fmt_model *m)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < m->file.count; i++)
        bytes += m->file.tensors[i].size;
    return bytes;
}

rt_status fmt_weight_size(struct fmt_model *m, const char *name, uint32_t *out,
                          uint32_t *in)
{
    rt_status st;
    struct fmt_packed p;
    const struct fmt_tensor *t;
    if (is_packed(m, name)) {
        TRY(open_packed(m, name, &p));
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

static rt_status check_size(struct fmt_model *m, const char *name, uint32_t out,
                            uint32_t in)
{
    uint32_t has_out, has_in;
    const rt_status st = fmt_weight_size(m, name, &has_out, &has_in);
    if (st == RT_OK && (has_out != out || has_in != in))
        return rt_fail(m->ctx, RT_ERR_INPUT,
                       "'%s': tensor '%s.weight' is [%u, %u], [%u, %u] is expected",
                       m->folder, name, has_out, has_in, out, in);
    return st;
}

rt_status fmt_weight_shape(struct fmt_model *m, const char *name, uint32_t out,
                           uint32_t in, struct rt_weight_shape *shape)
{
    rt_status st;
    struct fmt_packed p;
    const struct fmt_tensor *t;
    *shape = (struct rt_weight_shape){
        .out = out,
        .in = in,
        .out_pad = (uint32_t)rt_round_up(out, RT_WEIGHT_OUT_PAD),
    };
    TRY(check_size(m, name, out, in));
    if (is_packed(m, name)) {
        TRY(open_packed(m, name, &p));
        shape->bits = p.bits;
        shape->group = p.groups == 1 ? 0 : p.group;
        shape->form = RT_FORM_ZERO;
    } else {
        TRY(find_matrix(m, name, &t));
        shape->bits = t->dtype == FMT_F16 ? 16 : 32;
    }
    shape->in_pad = rt_weight_in_pad(shape->bits, in);
    return RT_OK;

fail:
    return st;
}

rt_status fmt_weight_order(struct fmt_model *m, const char *name, uint32_t in,
                           uint32_t *order, bool *moved)
{
    rt_status st;
    struct fmt_packed p;
    *moved = false;
    for (uint32_t k = 0; k < in; k++)
        order[k] = k;
    if (!is_packed(m, name))
        return RT_OK;
    TRY(open_packed(m, name, &p));
    assert(p.in == in);
    *moved = fmt_packed_order(&p, order);
    return RT_OK;

fail:
    return st;
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
    TRY(find_matrix(m, name, &t));
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
    uint8_t *zero;   /* [groups] */
};

static void unpacking_close(struct unpacking *u)
{
    rt_free(u->codes);
    rt_free(u->row);
    rt_free(u->order);
    rt_free(u->scale);
    rt_free(u->zero);
}

static rt_status unpacking_open(struct fmt_model *m, const char *name, uint32_t in_pad,
                                struct unpacking *u)
{
    rt_status st;
    *u = (struct unpacking){ 0 };
    TRY(open_packed(m, name, &u->p));
    u->codes = rt_alloc(m->ctx, u->p.in, ROWS_AT_ONCE);
    u->row = rt_alloc(m->ctx, in_pad, 1);
    u->order = rt_alloc(m->ctx, u->p.in, sizeof *u->order);
    u->scale = rt_alloc(m->ctx, u->p.groups, sizeof *u->scale);
    u->zero = rt_alloc(m->ctx, u->p.groups, 1);
    if (!u->codes || !u->row || !u->order || !u->scale || !u->zero)
        return rt_fail(m->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", m->folder);
    (void)fmt_packed_order(&u->p, u->order);
    return RT_OK;

fail:
    return st;
}

/* Scales and zero points of a row. */
static rt_status take_groups(struct fmt_model *m, struct unpacking *u, uint32_t row)
{
    for (uint32_t g = 0; g < u->p.groups; g++) {
        u->scale[g] = fmt_packed_scale(&u->p, row, g);
        u->zero[g] = (uint8_t)fmt_packed_zero(&u->p, row, g);
    }
    return check_finite(m, u->p.scales->name, u->scale, u->p.groups);
}

/* One row into row `to` of the device layout. Padding inside the last group decodes to
 * 0: its code is the zero point. */
static void put_row(struct unpacking *u, const struct rt_weight_shape *dest, uint32_t to,
                    const uint8_t *from, uint32_t *codes, float *scales)
{
    const struct fmt_packed *p = &u->p;
    const uint32_t last = p->groups == 1 ? dest->in_pad : p->groups * p->group;
    for (uint32_t k = 0; k < p->in; k++)
        u->row[k] = from[u->order[k]];
    for (uint32_t k = p->in; k < dest->in_pad; k++)
        u->row[k] = k < last ? u->zero[p->groups - 1] : 0;
    rt_weight_put_row(dest, codes, to, u->row, dest->in_pad);
    for (uint32_t g = 0; g < p->groups; g++)
        rt_weight_put_scale(dest, scales, to, g, u->scale[g], (float)u->zero[g]);
}

static rt_status load_packed(struct fmt_model *m, const char *name,
                             const struct rt_weight_shape *dest, uint32_t row0,
                             uint32_t out, uint32_t *codes, float *scales)
{
    rt_status st;
    struct unpacking u;
    TRY(unpacking_open(m, name, dest->in_pad, &u));
    for (uint32_t first = 0; first < out; first += ROWS_AT_ONCE) {
        const uint32_t n = out - first < ROWS_AT_ONCE ? out - first : ROWS_AT_ONCE;
        fmt_packed_codes(&u.p, first, n, u.codes);
        for (uint32_t r = 0; r < n; r++) {
            TRY(take_groups(m, &u, first + r));
            put_row(&u, dest, row0 + first + r, u.codes + (uint64_t)r * u.p.in, codes,
                    scales);
        }
    }

fail:
    unpacking_close(&u);
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
    assert(own.bits == dest->bits && own.group == dest->group && own.form == dest->form);
    return own.bits >= 16 ? load_floats(m, name, dest, row0, out, codes)
                          : load_packed(m, name, dest, row0, out, codes, scales);
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

rt_status fmt_weight_floats(struct fmt_model *m, const char *name, uint32_t out,
                            uint32_t in, float *values)
{
    const rt_status st = check_size(m, name, out, in);
    if (st != RT_OK)
        return st;
    if (is_packed(m, name))
        return packed_floats(m, name, values);
    char full[512];
    snprintf(full, sizeof full, "%s.weight", name);
    return fmt_tensor_f32(m, full, (uint64_t)out * in, values);
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

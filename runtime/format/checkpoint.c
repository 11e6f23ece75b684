/* runtime/format/checkpoint.c
 * What is the same for every source of a model; the rest is its row of functions. */
#include "runtime/format/checkpoint_impl.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Layers of the file that the config does not count would be left out without a word. */
static rt_status check_layers(struct fmt_model *m)
{
    struct fmt_tensor_info info;
    for (uint32_t i = 0; fmt_tensor_at(m, i, &info); i++) {
        unsigned layer;
        int end = 0; /* of more than nine digits, none is a layer's number */
        if (sscanf(info.name, "model.layers.%9u%n", &layer, &end) == 1 &&
            (info.name[end] != '.' || layer >= m->config.layers))
            return rt_fail(m->ctx, RT_ERR_INPUT,
                           "'%s' has a tensor '%s', its config (of a GGUF file its "
                           "metadata) counts %u layers; they do not belong together",
                           m->path, info.name, m->config.layers);
    }
    return RT_OK;
}

static rt_status open_model(struct rt_ctx *ctx, const char *path, bool whole,
                            struct fmt_model **out)
{
    rt_status st;
    *out = NULL;
    struct fmt_model *m = rt_alloc(ctx, 1, sizeof *m);
    if (!m)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", path);
    m->ctx = ctx;
    m->source = fmt_gguf_is(path) ? &fmt_source_gguf : &fmt_source_folder;
    m->path = rt_strdup(ctx, path);
    if (!m->path) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", path);
        goto fail;
    }
    TRY(m->source->open(m, whole));
    if (whole)
        TRY(check_layers(m));
    *out = m;
    return RT_OK;

fail:
    fmt_model_close(&m);
    return st;
}

rt_status fmt_model_open(struct rt_ctx *ctx, const char *path, struct fmt_model **out)
{
    return open_model(ctx, path, true, out);
}

rt_status fmt_model_open_tensors(struct rt_ctx *ctx, const char *path,
                                 struct fmt_model **out)
{
    return open_model(ctx, path, false, out);
}

void fmt_model_close(struct fmt_model **model)
{
    if (!*model)
        return;
    (*model)->source->close(*model);
    rt_free((*model)->path);
    rt_free(*model);
    *model = NULL;
}

void fmt_model_forget(const struct fmt_model *m)
{
    for (uint32_t i = 0; i < m->file.map_count; i++)
        fmt_map_forget(&m->file.maps[i]);
    for (uint32_t i = 0; i < m->gguf.map_count; i++)
        fmt_map_forget(&m->gguf.maps[i]);
}

void fmt_model_float_inputs(struct fmt_model *m, bool floats)
{
    m->float_inputs = floats;
}

rt_status fmt_weight_inputs(struct fmt_model *m, const char *name,
                            enum fmt_inputs *inputs, float *scale)
{
    *inputs = FMT_INPUTS_FLOATS;
    *scale = 0;
    return m->source->inputs && !m->float_inputs
               ? m->source->inputs(m, name, inputs, scale)
               : RT_OK;
}

void fmt_model_widen(struct fmt_model *m, bool wide)
{
    m->wide = wide;
}

const struct fmt_config *fmt_model_config(const struct fmt_model *m)
{
    return &m->config;
}

bool fmt_tensor_exists(const struct fmt_model *m, const char *name)
{
    return m->source->exists(m, name);
}

uint64_t fmt_tensor_count(const struct fmt_model *m, const char *name)
{
    return m->source->count(m, name);
}

bool fmt_tensor_at(const struct fmt_model *m, uint32_t i, struct fmt_tensor_info *info)
{
    *info = (struct fmt_tensor_info){ .dtype = FMT_F32 };
    return m->source->at(m, i, info);
}

uint64_t fmt_model_bytes(const struct fmt_model *m)
{
    return m->source->bytes(m);
}

bool fmt_has_head(const struct fmt_model *m)
{
    return !m->config.tied && m->source->has_head(m);
}

rt_status fmt_check_finite(struct fmt_model *m, const char *name, const float *values,
                           uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return rt_fail(m->ctx, RT_ERR_INPUT,
                           "'%s': tensor '%s' holds a value that is not finite at %llu; "
                           "the file is damaged, get it again",
                           m->path, name, (unsigned long long)i);
    return RT_OK;
}

rt_status fmt_tensor_f32(struct fmt_model *m, const char *name, uint64_t count,
                         float *out)
{
    const rt_status st = m->source->floats(m, name, count, out);
    return st == RT_OK ? fmt_check_finite(m, name, out, count) : st;
}

rt_status fmt_weight_size(struct fmt_model *m, const char *name, uint32_t *out,
                          uint32_t *in)
{
    return m->source->size(m, name, out, in);
}

static rt_status check_size(struct fmt_model *m, const char *name, uint32_t out,
                            uint32_t in)
{
    uint32_t has_out, has_in;
    const rt_status st = fmt_weight_size(m, name, &has_out, &has_in);
    if (st == RT_OK && (has_out != out || has_in != in))
        return rt_fail(m->ctx, RT_ERR_INPUT,
                       "'%s': tensor '%s.weight' is [%u, %u], [%u, %u] is expected; "
                       "config.json (of a GGUF file its metadata) and the weights do not "
                       "belong together",
                       m->path, name, has_out, has_in, out, in);
    return st;
}

rt_status fmt_weight_shape(struct fmt_model *m, const char *name, uint32_t out,
                           uint32_t in, struct rt_weight_shape *shape)
{
    rt_status st;
    *shape = (struct rt_weight_shape){
        .out = out,
        .in = in,
        .out_pad = (uint32_t)rt_round_up(out, RT_WEIGHT_OUT_PAD),
    };
    TRY(check_size(m, name, out, in));
    TRY(m->source->form(m, name, shape));
    shape->in_pad = rt_weight_in_pad(shape->bits, in);
    return RT_OK;

fail:
    return st;
}

rt_status fmt_weight_stored(struct fmt_model *m, const char *name, struct fmt_stored *out)
{
    *out = (struct fmt_stored){ 0 };
    return m->source->stored(m, name, out);
}

rt_status fmt_weight_scales(struct fmt_model *m, const char *name, struct fmt_scales *out)
{
    *out = (struct fmt_scales){ 0 };
    return m->source->scales(m, name, out);
}

rt_status fmt_weight_order(struct fmt_model *m, const char *name, uint32_t in,
                           uint32_t *order, bool *moved)
{
    *moved = false;
    for (uint32_t k = 0; k < in; k++)
        order[k] = k;
    return m->source->order(m, name, in, order, moved);
}

rt_status fmt_weight_load(struct fmt_model *m, const char *name,
                          const struct rt_weight_shape *dest, uint32_t row0,
                          uint32_t first, uint32_t rows, uint32_t *codes, void *scales)
{
    rt_status st;
    struct rt_weight_shape own;
    uint32_t out, in;
    TRY(fmt_weight_size(m, name, &out, &in));
    TRY(fmt_weight_shape(m, name, out, dest->in, &own));
    assert(own.bits == dest->bits && own.group == dest->group && own.form == dest->form);
    assert(first % RT_WEIGHT_BLOCK == 0 && first + rows <= out);
    return m->source->load(m, name, dest, row0, first, rows, codes, scales);

fail:
    return st;
}

void fmt_put_float_row(const struct rt_weight_shape *dest, uint32_t *codes, uint32_t row,
                       const float *values, const uint8_t *halves)
{
    assert(dest->bits == 32 || (dest->bits == 16 && halves));
    assert(row < dest->out_pad);
    for (uint32_t k = 0; k < dest->in; k++) {
        uint32_t word;
        memcpy(&word, &values[k], sizeof word);
        if (dest->bits == 16)
            word = halves[2 * k] | (uint32_t)halves[2 * k + 1] << 8;
        rt_weight_put_code(dest, codes, row, k, word);
    }
}

rt_status fmt_weight_floats(struct fmt_model *m, const char *name, uint32_t out,
                            uint32_t in, float *values)
{
    const rt_status st = check_size(m, name, out, in);
    return st == RT_OK ? m->source->matrix(m, name, out, in, values) : st;
}

rt_status fmt_model_hash(struct fmt_model *m, char hex[65])
{
    rt_status st;
    struct fmt_hash_key key;
    struct sha256 hash;
    fmt_hash_key_init(m->ctx, m->path, &key);
    TRY(m->source->stamp(m, &key));
    if (fmt_hash_cache_find(&key, hex))
        return RT_OK;
    sha256_init(&hash);
    TRY(m->source->hash(m, &hash));
    sha256_end_hex(&hash, hex);
    fmt_hash_cache_keep(&key, hex);

fail:
    return st;
}

/* runtime/model/model_load.c
 * From a folder to device buffers, one weight at a time through one host copy. */
#include "runtime/model/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { POSITIONS_MAX = 4096 };

/* Which modules make up each group. */
static const struct {
    uint32_t parts;
    enum fmt_module module[MODEL_PARTS_MAX];
} groups[MODEL_GROUP_COUNT] = {
    [MODEL_QKV] = { 3, { FMT_Q_PROJ, FMT_K_PROJ, FMT_V_PROJ } },
    [MODEL_O] = { 1, { FMT_O_PROJ } },
    [MODEL_GATE_UP] = { 2, { FMT_GATE_PROJ, FMT_UP_PROJ } },
    [MODEL_DOWN] = { 1, { FMT_DOWN_PROJ } },
};

static void make_shapes(struct rt_model *m)
{
    for (int g = 0; g < MODEL_GROUP_COUNT; g++) {
        struct model_group_shape *s = &m->shape[g];
        s->parts = groups[g].parts;
        for (uint32_t p = 0; p < s->parts; p++) {
            s->module[p] = groups[g].module[p];
            fmt_module_size(&m->config, s->module[p], &s->out[p], &s->in);
            s->row0[p] = s->out_pad;
            s->out_pad += (uint32_t)rt_round_up(s->out[p], RT_WEIGHT_OUT_PAD);
        }
        s->ld_in = rt_round_up32(s->in, RT_COL_PAD);
        s->ld_out = rt_round_up32(s->out_pad, RT_COL_PAD);
    }
    m->ld_hidden = rt_round_up32(m->config.hidden, RT_COL_PAD);
    m->ld_vocab = rt_round_up32(m->config.vocab, RT_COL_PAD);
}

/* What loading needs: the open file and host memory that grows to the largest weight. */
struct loader {
    struct rt_model *model;
    struct fmt_model *file;
    struct rt_ctx *ctx;
    uint32_t *codes;
    float *scales;
    uint64_t code_bytes, scale_bytes;
};

static rt_status reserve(struct loader *l, const struct rt_weight_shape *s)
{
    const uint64_t codes = rt_weight_code_bytes(s), scales = rt_weight_scale_bytes(s);
    if (codes > l->code_bytes) {
        rt_free(l->codes);
        l->codes = rt_alloc(l->ctx, codes, 1);
        l->code_bytes = codes;
    }
    if (scales > l->scale_bytes) {
        rt_free(l->scales);
        l->scales = rt_alloc(l->ctx, scales, 1);
        l->scale_bytes = scales;
    }
    if (!l->codes || !l->scales)
        return rt_fail(l->ctx, RT_ERR_HOST_MEMORY,
                       "no host memory to load a weight of "
                       "%.1f MiB",
                       (double)codes / 1048576);
    memset(l->codes, 0, codes);
    memset(l->scales, 0, scales);
    return RT_OK;
}

/* The host copy to the device. */
static rt_status put_weight(struct loader *l, const char *name, struct model_weight *w)
{
    rt_status st;
    struct rt_device *dev = l->model->dev;
    const uint64_t codes = rt_weight_code_bytes(&w->shape);
    const uint64_t scales = rt_weight_scale_bytes(&w->shape);
    TRY(model_buffer(dev, name, codes, RT_MEMORY_DEVICE, &w->codes));
    TRY(rt_buffer_write(w->codes, 0, l->codes, codes));
    l->model->weight_bytes += codes;
    if (w->shape.bits < 16) {
        TRY(model_buffer(dev, name, scales, RT_MEMORY_DEVICE, &w->scales));
        TRY(rt_buffer_write(w->scales, 0, l->scales, scales));
        l->model->weight_bytes += scales;
    }
    return RT_OK;

fail:
    return st;
}

static void module_name(char *name, size_t size, uint32_t layer, enum fmt_module module)
{
    snprintf(name, size, "model.layers.%u.%s", layer, fmt_module_path[module]);
}

static rt_status load_group(struct loader *l, uint32_t layer, enum model_group g)
{
    rt_status st;
    struct rt_model *m = l->model;
    const struct model_group_shape *s = &m->shape[g];
    struct model_weight *w = &m->layers[layer].group[g];
    char name[128];
    module_name(name, sizeof name, layer, s->module[0]);
    TRY(fmt_weight_shape(l->file, name, s->out[0], s->in, &w->shape));
    w->shape.out = w->shape.out_pad = s->out_pad;
    TRY(reserve(l, &w->shape));
    for (uint32_t p = 0; p < s->parts; p++) {
        module_name(name, sizeof name, layer, s->module[p]);
        TRY(fmt_weight_load(l->file, name, &w->shape, s->row0[p], s->out[p], l->codes,
                            l->scales));
        m->linear_weights += (double)s->out[p] * s->in;
        /* Stored bits, as the file has them: codes, and 32 bits for each scale. */
        const double groups_per_row = w->shape.bits >= 16 ? 0
                                      : w->shape.group
                                          ? ceil((double)s->in / w->shape.group)
                                          : 1;
        const bool zeros = !m->config.quantization.symmetric && w->shape.bits < 16;
        m->bits_per_weight +=
            s->out[p] * ((double)s->in * w->shape.bits +
                         groups_per_row * (32 + (zeros ? w->shape.bits : 0)));
    }
    TRY(put_weight(l, name, w));
    return RT_OK;

fail:
    return st;
}

static rt_status load_vector(struct loader *l, const char *name, uint32_t count,
                             struct rt_buffer **out)
{
    rt_status st;
    /* Padded to a texel row, so that kernels may read whole vectors. */
    const uint64_t bytes = rt_round_up(count, RT_COL_PAD) * sizeof(float);
    float *values = rt_alloc(l->ctx, bytes, 1);
    if (!values)
        return rt_fail(l->ctx, RT_ERR_HOST_MEMORY, "no host memory to load '%s'", name);
    TRY(fmt_tensor_f32(l->file, name, count, values));
    TRY(model_buffer(l->model->dev, name, bytes, RT_MEMORY_DEVICE, out));
    TRY(rt_buffer_write(*out, 0, values, bytes));
    l->model->weight_bytes += bytes;

fail:
    rt_free(values);
    return st;
}

/* Whether config.json gives the projections of a group biases. */
static bool has_bias(const struct fmt_config *c, enum model_group g)
{
    return g == MODEL_QKV ? c->bias_qkv : g == MODEL_O ? c->bias_o : c->bias_mlp;
}

/* Biases of zeros that no one asked for are what some quantizers write. */
static rt_status check_no_bias(struct loader *l, const char *name, uint32_t count,
                               float *values)
{
    if (!fmt_tensor_exists(l->file, name))
        return RT_OK;
    const rt_status st = fmt_tensor_f32(l->file, name, count, values);
    for (uint32_t i = 0; st == RT_OK && i < count; i++)
        if (values[i] != 0)
            return rt_fail(l->ctx, RT_ERR_INPUT,
                           "'%s' is there and not zero, but the family '%s' has no such "
                           "bias; the folder mixes two models",
                           name, l->model->config.family->model_type);
    return st;
}

static rt_status load_bias(struct loader *l, uint32_t layer, enum model_group g)
{
    rt_status st;
    struct rt_model *m = l->model;
    const struct model_group_shape *s = &m->shape[g];
    const bool wanted = has_bias(&m->config, g);
    float *values = rt_alloc(l->ctx, s->out_pad, sizeof *values);
    if (!values)
        return rt_fail(l->ctx, RT_ERR_HOST_MEMORY, "no host memory to load a bias");
    for (uint32_t p = 0; p < s->parts; p++) {
        char name[140];
        snprintf(name, sizeof name, "model.layers.%u.%s.bias", layer,
                 fmt_module_path[s->module[p]]);
        if (wanted)
            TRY(fmt_tensor_f32(l->file, name, s->out[p], values + s->row0[p]));
        else
            TRY(check_no_bias(l, name, s->out[p], values));
    }
    if (wanted) {
        struct rt_buffer **bias = &m->layers[layer].bias[g];
        TRY(model_buffer(m->dev, "bias", s->out_pad * 4ull, RT_MEMORY_DEVICE, bias));
        TRY(rt_buffer_write(*bias, 0, values, s->out_pad * 4ull));
        m->weight_bytes += s->out_pad * 4ull;
    }

fail:
    rt_free(values);
    return st;
}

static rt_status load_norms(struct loader *l, uint32_t layer)
{
    rt_status st;
    const struct fmt_config *c = &l->model->config;
    struct model_layer *to = &l->model->layers[layer];
    const struct {
        const char *name;
        uint32_t count;
        struct rt_buffer **out;
        bool wanted;
    } norms[] = {
        { "input_layernorm", c->hidden, &to->norm_attention, true },
        { "post_attention_layernorm", c->hidden, &to->norm_ffn, true },
        { "self_attn.q_norm", c->head_dim, &to->norm_q, c->family->qk_norm },
        { "self_attn.k_norm", c->head_dim, &to->norm_k, c->family->qk_norm },
    };
    for (size_t i = 0; i < RT_COUNT(norms); i++) {
        char name[128];
        snprintf(name, sizeof name, "model.layers.%u.%s.weight", layer, norms[i].name);
        if (norms[i].wanted)
            TRY(load_vector(l, name, norms[i].count, norms[i].out));
    }
    return RT_OK;

fail:
    return st;
}

static rt_status load_layer(struct loader *l, uint32_t layer)
{
    rt_status st;
    for (int g = 0; g < MODEL_GROUP_COUNT; g++) {
        TRY(load_group(l, layer, (enum model_group)g));
        TRY(load_bias(l, layer, (enum model_group)g));
    }
    TRY(load_norms(l, layer));
    return RT_OK;

fail:
    return st;
}

/* A [vocab][hidden] matrix: the embedding or a separate head. */
static rt_status load_table(struct loader *l, const char *name, struct model_weight *w)
{
    rt_status st;
    const struct fmt_config *c = &l->model->config;
    TRY(fmt_weight_shape(l->file, name, c->vocab, c->hidden, &w->shape));
    TRY(reserve(l, &w->shape));
    TRY(fmt_weight_load(l->file, name, &w->shape, 0, c->vocab, l->codes, l->scales));
    TRY(put_weight(l, name, w));
    return RT_OK;

fail:
    return st;
}

/* Angles in double on the host: device sin and cos are too coarse. */
static void fill_rope(const struct fmt_rope *rope, const double *frequency, uint32_t half,
                      uint32_t positions, float *table)
{
    for (uint32_t p = 0; p < positions; p++)
        for (uint32_t i = 0; i < half; i++) {
            float *pair = table + 2 * ((uint64_t)p * half + i);
            pair[0] = (float)(rope->gain * cos(p * frequency[i]));
            pair[1] = (float)(rope->gain * sin(p * frequency[i]));
        }
}

static rt_status make_rope(struct loader *l)
{
    rt_status st;
    struct rt_model *m = l->model;
    const uint32_t half = m->config.head_dim / 2;
    const uint64_t count = (uint64_t)m->positions * half * 2;
    float *table = rt_alloc(l->ctx, count, sizeof *table);
    double *frequency = rt_alloc(l->ctx, half, sizeof *frequency);
    if (!table || !frequency) {
        st = rt_fail(l->ctx, RT_ERR_HOST_MEMORY, "no host memory for the RoPE table");
        goto fail;
    }
    fmt_rope_frequencies(&m->config.rope, m->config.head_dim, frequency);
    fill_rope(&m->config.rope, frequency, half, m->positions, table);
    TRY(model_buffer(m->dev, "rope table", count * 4, RT_MEMORY_DEVICE, &m->rope_table));
    TRY(rt_buffer_write(m->rope_table, 0, table, count * 4));

fail:
    rt_free(table);
    rt_free(frequency);
    return st;
}

static rt_status load_all(struct loader *l)
{
    rt_status st;
    struct rt_model *m = l->model;
    TRY(fmt_model_hash(l->file, m->hash));
    TRY(model_buffer(m->dev, "none", 4096, RT_MEMORY_DEVICE, &m->none));
    TRY(load_table(l, "model.embed_tokens", &m->embed));
    if (m->config.tied || !fmt_tensor_exists(l->file, "lm_head.weight"))
        m->head = m->embed;
    else
        TRY(load_table(l, "lm_head", &m->head));
    TRY(load_vector(l, "model.norm.weight", m->config.hidden, &m->norm_final));
    TRY(make_rope(l));
    for (uint32_t i = 0; i < m->config.layers; i++)
        TRY(load_layer(l, i));
    m->bits_per_weight /= m->linear_weights;
    return RT_OK;

fail:
    return st;
}

rt_status rt_model_load(struct rt_device *dev, const char *folder, uint32_t positions,
                        struct rt_model **out)
{
    rt_status st;
    *out = NULL;
    struct rt_ctx *ctx = rt_device_ctx(dev);
    struct loader l = { .ctx = ctx };
    struct rt_model *m = rt_alloc(ctx, 1, sizeof *m);
    if (!m)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no host memory", folder);
    m->dev = dev;
    l.model = m;
    TRY(fmt_model_open(ctx, folder, &l.file));
    m->config = *fmt_model_config(l.file);
    const uint32_t most = m->config.max_positions;
    m->positions = positions ? positions : most < POSITIONS_MAX ? most : POSITIONS_MAX;
    if (m->positions > most) {
        st = rt_fail(ctx, RT_ERR_USAGE, "'%s': a context of %u tokens, the model has %u",
                     folder, m->positions, most);
        goto fail;
    }
    make_shapes(m);
    m->layers = rt_alloc(ctx, m->config.layers, sizeof *m->layers);
    if (!m->layers) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no host memory", folder);
        goto fail;
    }
    TRY(load_all(&l));
    *out = m;
    m = NULL;

fail:
    rt_model_destroy(&m);
    fmt_model_close(&l.file);
    rt_free(l.codes);
    rt_free(l.scales);
    return st;
}

static void weight_destroy(struct model_weight *w)
{
    rt_buffer_destroy(&w->codes);
    rt_buffer_destroy(&w->scales);
}

void rt_model_destroy(struct rt_model **pm)
{
    struct rt_model *m = *pm;
    if (!m)
        return;
    for (uint32_t l = 0; m->layers && l < m->config.layers; l++) {
        for (int g = 0; g < MODEL_GROUP_COUNT; g++) {
            weight_destroy(&m->layers[l].group[g]);
            rt_buffer_destroy(&m->layers[l].bias[g]);
        }
        rt_buffer_destroy(&m->layers[l].norm_attention);
        rt_buffer_destroy(&m->layers[l].norm_ffn);
        rt_buffer_destroy(&m->layers[l].norm_q);
        rt_buffer_destroy(&m->layers[l].norm_k);
    }
    if (m->head.codes != m->embed.codes)
        weight_destroy(&m->head);
    weight_destroy(&m->embed);
    rt_buffer_destroy(&m->norm_final);
    rt_buffer_destroy(&m->rope_table);
    rt_buffer_destroy(&m->none);
    rt_free(m->layers);
    rt_free(m);
    *pm = NULL;
}

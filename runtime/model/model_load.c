/* runtime/model/model_load.c
 * From a folder or file to device buffers, some rows of a weight at a time. */
#include "runtime/model/model_impl.h"
#include "runtime/op/weight_blocks.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Rows go through host memory in pieces of about so many bytes of codes. */
enum { PIECE_BYTES = 2 << 20 };

/* What loading needs: the open file and host memory for a piece. */
struct loader {
    struct rt_model *model;
    struct fmt_model *file;
    struct fmt_model *own; /* of what `file` may lack; NULL: it lacks nothing */
    struct rt_ctx *ctx;
    uint32_t *codes;
    void *scales; /* in the form of the weight */
    uint64_t code_bytes, scale_bytes;
    uint32_t *order; /* [MODEL_PARTS_MAX][stride]: of the parts of a group */
    uint32_t stride;
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

/* Rows of a weight that go at once: whole blocks, and whole units of the readers. */
static uint32_t piece_rows(const struct rt_weight_shape *s)
{
    const uint64_t row = rt_weight_texels(s) * 16ull + 1;
    const uint32_t rows = (uint32_t)(PIECE_BYTES / row) / RT_WEIGHT_OUT_PAD;
    return (rows ? rows : 1) * RT_WEIGHT_OUT_PAD;
}

/* Memory of a weight, all of it padding still. */
static rt_status make_weight(struct loader *l, const char *name, struct model_weight *w)
{
    rt_status st;
    struct rt_device *dev = l->model->dev;
    TRY(model_buffer(dev, name, rt_weight_code_bytes(&w->shape), RT_MEMORY_DEVICE,
                     &w->codes));
    if (w->shape.bits < 16)
        TRY(model_buffer(dev, name, rt_weight_scale_bytes(&w->shape), RT_MEMORY_DEVICE,
                         &w->scales));
    l->model->weight_bytes += rt_weight_bytes(&w->shape);
    return RT_OK;

fail:
    return st;
}

/* Rows [first, first + rows) of a matrix of the file to row0 of a weight. */
static rt_status fill_weight(struct loader *l, const char *name, struct model_weight *w,
                             uint32_t row0, uint32_t first, uint32_t rows)
{
    rt_status st;
    const uint64_t code_row = rt_weight_texels(&w->shape) * 16ull;
    const uint64_t scale_row = rt_weight_scale_texels(&w->shape) * 16ull;
    const uint64_t grid = rt_weight_grid_texels(w->shape.form) * 16ull;
    const uint32_t step = piece_rows(&w->shape);
    for (uint32_t done = 0; done < rows; done += step) {
        const uint32_t n = rows - done < step ? rows - done : step;
        const uint64_t at = row0 + done;
        struct rt_weight_shape piece = w->shape;
        piece.out = n;
        piece.out_pad = rt_round_up32(n, RT_WEIGHT_BLOCK);
        TRY(reserve(l, &piece));
        TRY(fmt_weight_load(l->file, name, &piece, 0, first + done, n, l->codes,
                            l->scales));
        TRY(rt_buffer_write(w->codes, at * code_row, l->codes,
                            rt_weight_code_bytes(&piece)));
        if (!w->scales)
            continue;
        if (grid) /* at the front, the same of every piece */
            TRY(rt_buffer_write(w->scales, 0, l->scales, grid));
        TRY(rt_buffer_write(w->scales, grid + at * scale_row, (char *)l->scales + grid,
                            rt_weight_scale_bytes(&piece) - grid));
    }
    return RT_OK;

fail:
    return st;
}

/* ---- a group ---- */

/* Order and inverse of a weight whose columns are not in theirs. */
static rt_status put_order(struct loader *l, const struct model_part *part, uint32_t ld,
                           struct model_weight *w)
{
    rt_status st;
    const uint64_t bytes = (uint64_t)ld * sizeof(uint32_t);
    uint32_t *index = rt_alloc(l->ctx, 2u * ld, sizeof *index);
    if (!index)
        return rt_fail(l->ctx, RT_ERR_HOST_MEMORY, "no host memory for a column order");
    memset(index, 0xff, 2 * bytes);
    for (uint32_t k = 0; k < part->shape.in; k++) {
        index[k] = part->order[k];
        index[ld + part->order[k]] = k;
    }
    TRY(model_buffer(l->model->dev, part->name, bytes, RT_MEMORY_DEVICE, &w->order));
    TRY(rt_buffer_write(w->order, 0, index, bytes));
    TRY(model_buffer(l->model->dev, part->name, bytes, RT_MEMORY_DEVICE, &w->inverse));
    TRY(rt_buffer_write(w->inverse, 0, index + ld, bytes));
    l->model->weight_bytes += 2 * bytes;
    l->model->ld_columns = ld > l->model->ld_columns ? ld : l->model->ld_columns;

fail:
    rt_free(index);
    return st;
}

/* A scale that the file gives for the inputs of a weight. */
static rt_status put_inputs(struct loader *l, const struct model_part *part,
                            struct model_weight *w)
{
    rt_status st = RT_OK;
    const uint32_t words = model_int8_words(&w->shape);
    l->model->ld_int8 = words > l->model->ld_int8 ? words : l->model->ld_int8;
    if (part->inputs != FMT_INPUTS_GIVEN)
        return RT_OK;
    TRY(model_buffer(l->model->dev, part->name, 16, RT_MEMORY_DEVICE, &w->given));
    TRY(rt_buffer_write(w->given, 0, &part->input_scale, sizeof part->input_scale));

fail:
    return st;
}

static rt_status load_run(struct loader *l, const struct model_group_shape *s,
                          const struct model_part *parts, struct model_run *run)
{
    rt_status st;
    struct fmt_stored stored;
    const struct model_part *first = &parts[run->part0];
    const uint32_t end = run->part0 + run->parts;
    struct model_weight *w = &run->weight;
    TRY(make_weight(l, first->name, w));
    for (uint32_t p = run->part0; p < end; p++) {
        uint32_t of_part, of_run;
        const uint32_t rows = model_rows_in_run(s, run, p, &of_part, &of_run);
        TRY(fill_weight(l, parts[p].name, w, of_run, of_part, rows));
        TRY(fmt_weight_stored(l->file, parts[p].name, &stored));
        l->model->linear_weights += (double)rows * s->in;
        l->model->bits_per_weight += of_part == 0 ? stored.bits : 0;
    }
    if (first->moved)
        TRY(put_order(l, first, s->ld_in, w));
    if (w->int8)
        TRY(put_inputs(l, first, w));
    return RT_OK;

fail:
    return st;
}

static rt_status load_group(struct loader *l, uint32_t layer, enum model_group g)
{
    rt_status st;
    const struct model_group_shape *s = &l->model->shape[g];
    struct model_runs *runs = &l->model->layers[layer].group[g];
    struct model_part parts[MODEL_PARTS_MAX];
    TRY(model_plan_group(l->file, l->model->dev, s, layer, l->order, l->stride, parts,
                         runs));
    for (uint32_t r = 0; r < runs->count; r++)
        TRY(load_run(l, s, parts, &runs->run[r]));
    return RT_OK;

fail:
    return st;
}

/* The file that has a tensor of floats. */
static struct fmt_model *having(const struct loader *l, const char *name)
{
    return !l->own || fmt_tensor_exists(l->file, name) ? l->file : l->own;
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
    TRY(fmt_tensor_f32(having(l, name), name, count, values));
    TRY(model_buffer(l->model->dev, name, bytes, RT_MEMORY_DEVICE, out));
    TRY(rt_buffer_write(*out, 0, values, bytes));
    l->model->weight_bytes += bytes;

fail:
    rt_free(values);
    return st;
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
    rt_status st = RT_OK;
    struct rt_model *m = l->model;
    const struct model_group_shape *s = &m->shape[g];
    assert(layer < m->config.layers && s->parts > 0);
    const bool wanted = model_has_bias(&m->config, g);
    float *values = rt_alloc(l->ctx, s->out_pad, sizeof *values);
    if (!values)
        return rt_fail(l->ctx, RT_ERR_HOST_MEMORY, "no host memory to load a bias");
    for (uint32_t p = 0; p < s->parts; p++) {
        char name[140];
        snprintf(name, sizeof name, "model.layers.%u.%s.bias", layer,
                 fmt_module_path[s->module[p]]);
        if (wanted)
            TRY(fmt_tensor_f32(having(l, name), name, s->out[p], values + s->row0[p]));
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

/* Cuts a table into parts that the device binds, decoded to floats too. */
static rt_status cut_table(struct loader *l, const char *name, struct model_table *t)
{
    t->part_rows = model_table_rows(rt_device_plan(l->model->dev), &t->shape);
    if ((uint64_t)t->part_rows * MODEL_TABLE_PARTS_MAX < t->shape.out)
        return rt_fail(l->ctx, RT_ERR_NO_DEVICE,
                       "'%s' of %u x %u: device '%s' binds at most %u rows at once; use "
                       "another device (faultline devices)",
                       name, t->shape.out, t->shape.in,
                       rt_device_info_of(l->model->dev)->name, t->part_rows);
    t->count = (t->shape.out + t->part_rows - 1) / t->part_rows;
    for (uint32_t i = 0; i < t->count; i++) {
        struct rt_weight_shape *s = &t->part[i].shape;
        const uint32_t left = t->shape.out - i * t->part_rows;
        *s = t->shape;
        s->out = left < t->part_rows ? left : t->part_rows;
        s->out_pad = rt_round_up32(s->out, RT_WEIGHT_OUT_PAD);
    }
    return RT_OK;
}

/* A [vocab][hidden] matrix: the embedding or a separate head. */
static rt_status load_table(struct loader *l, const char *name, struct model_table *w)
{
    rt_status st;
    const struct fmt_config *c = &l->model->config;
    bool moved;
    TRY(fmt_weight_shape(l->file, name, c->vocab, c->hidden, &w->shape));
    TRY(fmt_weight_order(l->file, name, c->hidden, l->order, &moved));
    if (moved)
        return rt_fail(
            l->ctx, RT_ERR_INPUT,
            "'%s' is in activation order, which is supported in the layers of a "
            "model only",
            name);
    TRY(cut_table(l, name, w));
    for (uint32_t i = 0; i < w->count; i++) {
        TRY(make_weight(l, name, &w->part[i]));
        TRY(fill_weight(l, name, &w->part[i], 0, i * w->part_rows, w->part[i].shape.out));
    }
    return RT_OK;

fail:
    return st;
}

#define EMBEDDING "model.embed_tokens"

static rt_status load_all(struct loader *l)
{
    rt_status st;
    struct rt_model *m = l->model;
    TRY(fmt_model_hash(l->file, m->hash));
    TRY(fmt_model_stored(l->file, m->stored, sizeof m->stored));
    TRY(model_buffer(m->dev, "none", 4096, RT_MEMORY_DEVICE, &m->none));
    if (!m->stream)
        TRY(load_table(l, EMBEDDING, &m->embed));
    if (!m->stream && fmt_has_head(l->file))
        TRY(load_table(l, "lm_head", &m->head));
    else
        m->head = m->embed;
    TRY(load_vector(l, "model.norm.weight", m->config.hidden, &m->norm_final));
    TRY(model_make_rope(m));
    if (m->stream)
        return RT_OK;
    for (uint32_t i = 0; i < m->config.layers; i++) {
        TRY(load_layer(l, i));
        fmt_model_forget(l->file);
    }
    m->bits_per_weight /= m->linear_weights;
    return RT_OK;

fail:
    return st;
}

/* Before anything is allocated on the device. */
static rt_status check_heads(struct loader *l, const char *folder)
{
    const struct rt_device_info *device = rt_device_info_of(l->model->dev);
    const uint32_t size = l->model->config.head_dim;
    if (rt_device_serves_head(device, size))
        return RT_OK;
    return rt_fail(l->ctx, RT_ERR_NO_DEVICE,
                   "'%s' has heads of %u, '%s' has kernels for heads of up to %d; use "
                   "--device ref (slow), or another model",
                   folder, size, device->name, HEAD_MAX);
}

/* Room for any packed weight of a layer in 32 bits, whatever its files pad. */
static uint64_t widest_decoded(const struct model_size *size)
{
    uint64_t most = size->decoded;
    for (int g = 0; g < MODEL_GROUP_COUNT; g++) {
        const struct model_group_shape *s = &size->shape[g];
        const uint64_t bytes =
            (uint64_t)s->out_pad * rt_round_up(s->in, 4 * RT_COL_PAD) * sizeof(float);
        most = bytes > most ? bytes : most;
    }
    return most;
}

/* Before anything is allocated on the device. */
static rt_status check_fits(struct loader *l, const char *folder)
{
    static const double GIB = 1073741824.0;
    const struct rt_device_info *device = rt_device_info_of(l->model->dev);
    struct model_size size;
    const rt_status st = rt_model_size(l->ctx, l->file, &size);
    if (st != RT_OK)
        return st;
    if (l->model->stream) {
        size.projections = 2 * size.projections / size.config.layers;
        l->model->stream_decoded = widest_decoded(&size);
        if (l->model->stream_decoded > rt_device_plan(l->model->dev)->binding_bytes_max)
            l->model->stream_decoded = rt_device_plan(l->model->dev)->binding_bytes_max;
    }
    const uint64_t need = model_size_bytes(&size, l->model->positions);
    const uint64_t have = rt_device_memory_left(l->model->dev);
    if (need <= have)
        return RT_OK;
    return rt_fail(
        l->ctx, RT_ERR_NO_DEVICE,
        "'%s' takes %.2f GiB on '%s' (projections %.2f, embedding and head %.2f), "
        "which has %.2f GiB free; quantize it to fewer bits (faultline quantize), or "
        "use a smaller model or another device (faultline devices)",
        folder, (double)need / GIB, device->name, (double)size.projections / GIB,
        (double)size.tables / GIB, (double)have / GIB);
}

_Static_assert(FMT_INT8_INPUTS_MAX == W8A8_INPUTS_MAX, "what the op takes");

static void loader_deinit(struct loader *l)
{
    rt_free(l->codes);
    rt_free(l->scales);
    rt_free(l->order);
}

static rt_status load(struct rt_device *dev, const char *folder, uint32_t positions,
                      bool streamed, struct rt_model **out)
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
    TRY(rt_model_file_open(dev, folder, &l.file));
    m->stream = streamed ? l.file : NULL;
    m->config = *fmt_model_config(l.file);
    const uint32_t most = m->config.max_positions;
    m->positions = positions                     ? positions
                   : most < RT_POSITIONS_DEFAULT ? most
                                                 : RT_POSITIONS_DEFAULT;
    if (m->positions > most) {
        st = rt_fail(ctx, RT_ERR_USAGE, "'%s': a context of %u tokens, the model has %u",
                     folder, m->positions, most);
        goto fail;
    }
    TRY(check_heads(&l, folder));
    TRY(check_fits(&l, folder));
    model_group_shapes(&m->config, m->shape);
    m->ld_hidden = rt_round_up32(m->config.hidden, RT_COL_PAD);
    m->ld_vocab = rt_round_up32(m->config.vocab, RT_COL_PAD);
    m->layers = rt_alloc(ctx, m->config.layers, sizeof *m->layers);
    l.stride = model_order_stride(m->shape);
    l.order = rt_alloc(ctx, (size_t)MODEL_PARTS_MAX * l.stride, sizeof *l.order);
    if (!m->layers || !l.order) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no host memory", folder);
        goto fail;
    }
    TRY(load_all(&l));
    model_tell_inputs(m, folder);
    if (streamed)
        l.file = NULL; /* the model's */
    *out = m;
    m = NULL;

fail:
    if (m)
        m->stream = NULL; /* closed here */
    rt_model_destroy(&m);
    fmt_model_close(&l.file);
    loader_deinit(&l);
    return st;
}

rt_status rt_model_load(struct rt_device *dev, const char *folder, uint32_t positions,
                        struct rt_model **out)
{
    return load(dev, folder, positions, false, out);
}

rt_status rt_model_load_streamed(struct rt_device *dev, const char *folder,
                                 uint32_t positions, struct rt_model **out)
{
    return load(dev, folder, positions, true, out);
}

rt_status rt_model_layer_load(struct rt_model *m, uint32_t layer, struct fmt_model *from)
{
    rt_status st;
    struct loader l = { .ctx = rt_device_ctx(m->dev),
                        .model = m,
                        .file = from ? from : m->stream,
                        .own = from ? m->stream : NULL,
                        .stride = model_order_stride(m->shape) };
    assert(m->stream && layer < m->config.layers && !m->layers[layer].norm_attention);
    if (from)
        model_file_forms(from, m->dev);
    l.order = rt_alloc(l.ctx, (size_t)MODEL_PARTS_MAX * l.stride, sizeof *l.order);
    st = l.order ? load_layer(&l, layer)
                 : rt_fail(l.ctx, RT_ERR_HOST_MEMORY, "no host memory for a layer");
    fmt_model_forget(l.file);
    if (l.own)
        fmt_model_forget(l.own);
    loader_deinit(&l);
    return st;
}

rt_status rt_model_embedding_load(struct rt_model *m)
{
    struct loader l = { .ctx = rt_device_ctx(m->dev), .model = m, .file = m->stream };
    if (!m->stream || m->embed.count > 0)
        return RT_OK;
    l.stride = model_order_stride(m->shape);
    l.order = rt_alloc(l.ctx, l.stride, sizeof *l.order);
    const rt_status st =
        l.order ? load_table(&l, EMBEDDING, &m->embed)
                : rt_fail(l.ctx, RT_ERR_HOST_MEMORY, "no host memory for the embedding");
    fmt_model_forget(l.file);
    loader_deinit(&l);
    return st;
}

/* One part by itself, as runs of its own. */
static rt_status load_part(struct loader *l, uint32_t layer, enum model_group g,
                           uint32_t part, struct model_runs *out)
{
    rt_status st;
    const struct model_group_shape *s = &l->model->shape[g];
    struct model_part parts[MODEL_PARTS_MAX];
    struct model_runs planned;
    uint32_t run = out->count;
    TRY(model_plan_group(l->file, NULL, s, layer, l->order, l->stride, parts, &planned));
    TRY(model_add_runs(l->model->dev, s, parts, part, part + 1, out));
    for (; run < out->count; run++)
        TRY(load_run(l, s, parts, &out->run[run]));

fail:
    return st;
}

rt_status rt_model_hybrid_load(struct rt_model *m, uint32_t layer, enum model_group g,
                               struct fmt_model *const file[MODEL_PARTS_MAX])
{
    rt_status st = RT_OK;
    struct loader l = { .ctx = rt_device_ctx(m->dev),
                        .model = m,
                        .stride = model_order_stride(m->shape) };
    assert(layer < m->config.layers && !m->loaded);
    m->loaded = rt_alloc(l.ctx, 1, sizeof *m->loaded);
    l.order = rt_alloc(l.ctx, (size_t)MODEL_PARTS_MAX * l.stride, sizeof *l.order);
    if (!m->loaded || !l.order)
        st = rt_fail(l.ctx, RT_ERR_HOST_MEMORY, "no host memory for a group of weights");
    for (uint32_t p = 0; st == RT_OK && p < m->shape[g].parts; p++) {
        l.file = file[p];
        model_file_forms(l.file, m->dev);
        st = load_part(&l, layer, g, p, m->loaded);
    }
    if (st == RT_OK)
        m->layers[layer].group[g] = *m->loaded;
    loader_deinit(&l);
    return st;
}

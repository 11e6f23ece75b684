/* runtime/model/model_forward.c
 * The forward pass, written once as a list of ops over planned buffers. Inference
 * (paged cache) and training (contiguous rows, values kept) record the same ops. */
#include "runtime/model/model_impl.h"

#include <assert.h>
#include <math.h>
#include <string.h>

struct rt_slice model_slice(struct rt_buffer *buffer)
{
    return (struct rt_slice){ .buffer = buffer };
}

struct rt_slice model_slice_at(struct rt_buffer *buffer, uint64_t offset_bytes)
{
    return (struct rt_slice){ .buffer = buffer, .offset = offset_bytes };
}

rt_status model_buffer(struct rt_device *dev, const char *name, uint64_t bytes,
                       enum rt_memory memory, struct rt_buffer **out)
{
    const struct rt_buffer_info info = { .name = name, .size = bytes, .memory = memory };
    return rt_buffer_create(dev, &info, out);
}

static uint64_t row_bytes(uint32_t rows, uint32_t ld)
{
    return (uint64_t)rows * ld * sizeof(float);
}

/* The widest x A'^T of a group over all layers, 0 where no layer has an adapter. */
static uint32_t widest_u(const struct rt_model *model, const struct rt_adapter *adapter,
                         enum model_group g)
{
    uint32_t ld = 0;
    for (uint32_t l = 0; adapter && l < model->config.layers; l++) {
        const struct model_lora *lora = model_lora_of(adapter, l, g);
        if (lora && lora->ld_u > ld)
            ld = lora->ld_u;
    }
    return ld;
}

/* Whether products or, of a pass that is kept for them, gradients decode weights first. */
static bool has_decoded(const struct rt_plan *plan, bool keep)
{
    return plan->decode_rows || (keep && rt_plan_decodes_back(plan));
}

rt_status model_pass_init(struct model_pass *pass, struct rt_model *model,
                          struct rt_adapter *adapter, uint32_t rows, bool keep)
{
    rt_status st;
    struct rt_device *dev = model->dev;
    const struct model_group_shape *shape = model->shape;
    *pass = (struct model_pass){
        .model = model,
        .adapter = adapter,
        .keep = keep,
        .rows = rt_round_up32(rows, RT_ROW_PAD),
        .ld_att = shape[MODEL_O].ld_in * (keep ? 2 : 1),
    };
    const uint32_t n = pass->rows;
    TRY(model_buffer(dev, "pass ids", (uint64_t)n * 4, RT_MEMORY_UPLOAD, &pass->ids));
    TRY(model_buffer(dev, "pass rope meta", (uint64_t)n * 16, RT_MEMORY_UPLOAD,
                     &pass->rope_meta));
    TRY(model_buffer(dev, "pass attention meta", (uint64_t)n * 16, RT_MEMORY_UPLOAD,
                     &pass->att_meta));
    TRY(model_buffer(dev, "pass mid", row_bytes(n, model->ld_hidden), RT_MEMORY_DEVICE,
                     &pass->mid));
    TRY(model_buffer(dev, "pass norm", row_bytes(n, model->ld_hidden), RT_MEMORY_DEVICE,
                     &pass->norm));
    if (keep)
        TRY(model_buffer(dev, "pass norm2", row_bytes(n, model->ld_hidden),
                         RT_MEMORY_DEVICE, &pass->norm2));
    TRY(model_buffer(dev, "pass qkv", row_bytes(n, shape[MODEL_QKV].ld_out),
                     RT_MEMORY_DEVICE, &pass->qkv));
    if (keep && model->config.family->qk_norm)
        TRY(model_buffer(dev, "pass raw qkv", row_bytes(n, shape[MODEL_QKV].ld_out),
                         RT_MEMORY_DEVICE, &pass->raw));
    TRY(model_buffer(dev, "pass attention", row_bytes(n, pass->ld_att), RT_MEMORY_DEVICE,
                     &pass->att));
    TRY(model_buffer(dev, "pass gate up", row_bytes(n, shape[MODEL_GATE_UP].ld_out),
                     RT_MEMORY_DEVICE, &pass->gate_up));
    TRY(model_buffer(dev, "pass act", row_bytes(n, shape[MODEL_DOWN].ld_in),
                     RT_MEMORY_DEVICE, &pass->act));
    TRY(model_buffer(dev, "pass lse", (uint64_t)n * model->config.heads * 4,
                     RT_MEMORY_DEVICE, &pass->lse));
    if (model->ld_columns)
        TRY(model_buffer(dev, "pass columns", row_bytes(n, model->ld_columns),
                         RT_MEMORY_DEVICE, &pass->columns));
    if (model->ld_int8)
        TRY(model_buffer(dev, "pass int8", row_bytes(n, model->ld_int8), RT_MEMORY_DEVICE,
                         &pass->int8));
    if (has_decoded(rt_device_plan(dev), keep))
        TRY(model_buffer(dev, "pass decoded", model_decoded_bytes(model),
                         RT_MEMORY_DEVICE, &pass->decoded));
    for (int g = 0; g < MODEL_GROUP_COUNT; g++) {
        const uint32_t ld = widest_u(model, adapter, (enum model_group)g);
        if (ld != 0)
            TRY(model_buffer(dev, "pass adapter", row_bytes(n, ld), RT_MEMORY_DEVICE,
                             &pass->u[g]));
    }
    return RT_OK;

fail:
    model_pass_deinit(pass);
    return st;
}

void model_pass_deinit(struct model_pass *pass)
{
    rt_buffer_destroy(&pass->ids);
    rt_buffer_destroy(&pass->rope_meta);
    rt_buffer_destroy(&pass->att_meta);
    rt_buffer_destroy(&pass->mid);
    rt_buffer_destroy(&pass->norm);
    rt_buffer_destroy(&pass->norm2);
    rt_buffer_destroy(&pass->qkv);
    rt_buffer_destroy(&pass->raw);
    rt_buffer_destroy(&pass->att);
    rt_buffer_destroy(&pass->gate_up);
    rt_buffer_destroy(&pass->act);
    rt_buffer_destroy(&pass->lse);
    rt_buffer_destroy(&pass->columns);
    rt_buffer_destroy(&pass->int8);
    rt_buffer_destroy(&pass->decoded);
    for (int g = 0; g < MODEL_GROUP_COUNT; g++)
        rt_buffer_destroy(&pass->u[g]);
}

void model_record_embed(struct model_pass *pass, struct rt_list *list, uint32_t rows,
                        struct rt_buffer *x)
{
    const struct rt_model *m = pass->model;
    assert(rows <= pass->rows);
    for (uint32_t i = 0; i < m->embed.count; i++) {
        const struct model_weight *w = &m->embed.part[i];
        const struct embed_push push = {
            .rows = rows,
            .cols = m->config.hidden,
            .vocab = m->config.vocab,
            .in_pad = w->shape.in_pad,
            .bits = w->shape.bits,
            .group = w->shape.group,
            .form = w->shape.form,
            .ldy = m->ld_hidden,
            .row0 = i * m->embed.part_rows,
            .part = w->shape.out,
        };
        const struct rt_slice slices[] = {
            model_slice(pass->ids),
            model_slice(w->codes),
            model_slice(w->scales ? w->scales : m->none),
            model_slice(x),
        };
        rt_list_op(list, RT_OP_embed, &push, slices);
    }
}

static void record_norm(const struct rt_model *m, struct rt_list *list, uint32_t rows,
                        struct rt_slice x, struct rt_buffer *w, struct rt_slice y)
{
    const struct rmsnorm_push push = {
        .rows = rows,
        .cols = m->config.hidden,
        .heads = 1,
        .ldx = m->ld_hidden,
        .ldy = m->ld_hidden,
        .eps = m->config.rms_eps,
    };
    const struct rt_slice slices[] = { x, model_slice(w), y };
    rt_list_op(list, RT_OP_rmsnorm, &push, slices);
}

uint32_t model_head_norms(const struct rt_model *m, const struct model_layer *layer,
                          struct model_head_norm out[2])
{
    const struct fmt_config *c = &m->config;
    const struct model_group_shape *s = &m->shape[MODEL_QKV];
    if (!layer->norm_q)
        return 0;
    assert(layer->norm_k);
    out[0] = (struct model_head_norm){ .heads = c->heads,
                                       .ld = s->ld_out,
                                       .offset = s->row0[0],
                                       .weight = model_slice(layer->norm_q) };
    out[1] = (struct model_head_norm){ .heads = c->kv_heads,
                                       .ld = s->ld_out,
                                       .offset = s->row0[1],
                                       .weight = model_slice(layer->norm_k) };
    return 2;
}

/* Norm of every head of q and of k, in place, where the family has it. */
static void record_head_norms(struct model_pass *pass, struct rt_list *list,
                              const struct model_layer *layer, uint32_t rows)
{
    const struct fmt_config *c = &pass->model->config;
    const struct rt_slice qkv = model_slice(pass->qkv);
    struct model_head_norm norm[2];
    const uint32_t count = model_head_norms(pass->model, layer, norm);
    if (count && pass->raw)
        rt_list_copy(list, qkv, model_slice(pass->raw));
    for (uint32_t i = 0; i < count; i++) {
        const struct rmsnorm_push push = {
            .rows = rows,
            .cols = c->head_dim,
            .heads = norm[i].heads,
            .ldx = norm[i].ld,
            .offx = norm[i].offset,
            .ldy = norm[i].ld,
            .offy = norm[i].offset,
            .eps = c->rms_eps,
        };
        const struct rt_slice slices[] = { qkv, norm[i].weight, qkv };
        rt_list_op(list, RT_OP_rmsnorm, &push, slices);
    }
}

void model_record_rope(struct model_pass *pass, struct rt_list *list, uint32_t rows,
                       struct rt_buffer *qkv, const struct model_cache *cache,
                       bool inverse)
{
    const struct rt_model *m = pass->model;
    const struct fmt_config *c = &m->config;
    const struct model_group_shape *s = &m->shape[MODEL_QKV];
    const bool paged = cache && cache->kv;
    const struct rope_push push = {
        .rows = rows,
        .heads_q = c->heads,
        .heads_k = c->kv_heads,
        .hd = c->head_dim,
        .ldx = s->ld_out,
        .offq = s->row0[0],
        .offk = s->row0[1],
        .offv = s->row0[2],
        .store = paged,
        .ldc = paged ? cache->ld : 0,
        .inverse = inverse,
        .positions = m->positions,
        .halves = paged && cache->halves,
    };
    const struct rt_slice slices[] = {
        model_slice(m->rope_table),
        model_slice(pass->rope_meta),
        model_slice(qkv),
        model_slice(paged ? cache->kv : m->none),
    };
    rt_list_op(list, RT_OP_rope, &push, slices);
}

static void record_attention(struct model_pass *pass, struct rt_list *list, uint32_t rows,
                             const struct model_cache *cache)
{
    const struct rt_model *m = pass->model;
    const struct fmt_config *c = &m->config;
    const struct model_group_shape *s = &m->shape[MODEL_QKV];
    const bool paged = cache->kv != NULL;
    const struct rt_slice none = model_slice(m->none);
    model_record_rope(pass, list, rows, pass->qkv, cache, false);

    const struct attention_push push = {
        .rows = rows,
        .heads = c->heads,
        .heads_k = c->kv_heads,
        .hd = c->head_dim,
        .ldq = s->ld_out,
        .offq = s->row0[0],
        .ldk = paged ? cache->ld : s->ld_out,
        .offk = paged ? 0 : s->row0[1],
        .ldv = paged ? cache->ld : s->ld_out,
        .offv = paged ? c->kv_heads * c->head_dim : s->row0[2],
        .ldo = pass->ld_att,
        .page = paged ? cache->page : 0,
        .want_lse = pass->keep,
        .scale = 1.0f / sqrtf((float)c->head_dim),
        .halves = paged && cache->halves,
    };
    struct rt_slice keys = model_slice(paged ? cache->kv : pass->qkv);
    const struct rt_slice slices[] = {
        model_slice(pass->qkv),
        keys,
        keys,
        model_slice(pass->att_meta),
        paged ? model_slice(cache->table) : none,
        model_slice(pass->att),
        model_slice(pass->lse),
    };
    rt_list_op(list, RT_OP_attention, &push, slices);
}

void model_record_layer(struct model_pass *pass, struct rt_list *list, uint32_t l,
                        uint32_t rows, const struct model_cache *cache,
                        struct rt_buffer *in, struct rt_buffer *out)
{
    const struct rt_model *m = pass->model;
    const struct model_layer *layer = &m->layers[l];
    const struct model_group_shape *s = m->shape;
    assert(l < m->config.layers && rows <= pass->rows);
    struct rt_buffer *norm2 = pass->keep ? pass->norm2 : pass->norm;

    record_norm(m, list, rows, model_slice(in), layer->norm_attention,
                model_slice(pass->norm));
    model_record_group(pass, list, l, MODEL_QKV, rows, model_slice(pass->norm),
                       s[MODEL_QKV].ld_in, NULL, pass->qkv);
    record_head_norms(pass, list, layer, rows);
    record_attention(pass, list, rows, cache);
    model_record_group(pass, list, l, MODEL_O, rows, model_slice(pass->att), pass->ld_att,
                       in, pass->mid);

    record_norm(m, list, rows, model_slice(pass->mid), layer->norm_ffn,
                model_slice(norm2));
    model_record_group(pass, list, l, MODEL_GATE_UP, rows, model_slice(norm2),
                       s[MODEL_GATE_UP].ld_in, NULL, pass->gate_up);
    const struct swiglu_push swiglu = {
        .rows = rows,
        .cols = m->config.ffn,
        .ldx = s[MODEL_GATE_UP].ld_out,
        .offg = s[MODEL_GATE_UP].row0[0],
        .offu = s[MODEL_GATE_UP].row0[1],
        .ldh = s[MODEL_DOWN].ld_in,
    };
    const struct rt_slice slices[] = { model_slice(pass->gate_up),
                                       model_slice(pass->act) };
    rt_list_op(list, RT_OP_swiglu, &swiglu, slices);
    model_record_group(pass, list, l, MODEL_DOWN, rows, model_slice(pass->act),
                       s[MODEL_DOWN].ld_in, pass->mid, out);
}

void model_record_final_norm(const struct rt_model *model, struct rt_list *list,
                             uint32_t rows, struct rt_slice x, struct rt_slice y)
{
    record_norm(model, list, rows, x, model->norm_final, y);
}

void model_record_head(const struct rt_model *model, struct rt_list *list, uint32_t rows,
                       struct rt_slice y, struct rt_slice logits)
{
    const struct rt_slice none = model_slice(model->none);
    for (uint32_t i = 0; i < model->head.count; i++) {
        const struct model_weight *w = &model->head.part[i];
        const struct rt_weight_shape *s = &w->shape;
        const struct matmul_push push = {
            .rows = rows,
            .out_pad = s->out_pad,
            .in_pad = s->in_pad,
            .bits = s->bits,
            .group = s->group,
            .form = s->form,
            .ldx = model->ld_hidden,
            .ldy = model->ld_vocab,
            .offy = i * model->head.part_rows,
            .part1 = s->out_pad,
            .part2 = s->out_pad,
        };
        const struct rt_slice slices[] = {
            model_slice(w->codes),
            w->scales ? model_slice(w->scales) : none,
            y,
            none,
            none,
            none,
            none,
            logits,
        };
        rt_list_op(list, RT_OP_matmul, &push, slices);
    }
}

void model_record_gather(const struct rt_model *model, struct rt_list *list,
                         uint32_t rows, struct rt_slice index, struct rt_slice x,
                         struct rt_slice y)
{
    const struct gather_push push = { .rows = rows,
                                      .cols = model->ld_hidden,
                                      .ldx = model->ld_hidden,
                                      .ldy = model->ld_hidden };
    const struct rt_slice slices[] = { index, x, y };
    rt_list_op(list, RT_OP_gather, &push, slices);
}

double model_forward_flops(const struct rt_model *model, const struct rt_adapter *adapter,
                           double tokens, double keys, double head_rows)
{
    const struct fmt_config *c = &model->config;
    double lora = 0;
    for (uint32_t l = 0; adapter && l < c->layers; l++)
        for (int g = 0; g < MODEL_GROUP_COUNT; g++) {
            const struct model_lora *a = model_lora_of(adapter, l, (enum model_group)g);
            const struct model_group_shape *s = &model->shape[g];
            for (uint32_t p = 0; a && p < s->parts; p++)
                lora += (double)a->rank * (s->in + s->out[p]);
        }
    const double attention = 2.0 * c->layers * c->heads * c->head_dim * keys;
    return 2.0 * (tokens * (model->linear_weights + lora + attention) +
                  head_rows * (double)c->vocab * c->hidden);
}

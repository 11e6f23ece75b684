/* runtime/train/backward.c
 * Gradients of the adapter, and of the scales, of packed weights. Per layer the forward values
 * are computed again from the layer's input, then, in reverse order,
 *   linear   du = dY B, dB += dY^T u, dA += scale du^T x, dX = dY W + du A'
 *            scales: dY^T x times W, summed over groups (ops scale_back, scale_fold)
 *   and the backward ops of norm, SwiGLU, attention and RoPE.
 * FLOPs a token of a layer: forward 2W, again 2W, dX 2W (W weights), adapter products
 * 2r(in + out) twice more than forward, scales 2W. Layer 0 needs no dX of its QKV. */
#include "runtime/train/backward.h"

#include <assert.h>
#include <math.h>

enum { SCRATCH_ROWS = 32 };

static uint64_t bytes_of(uint32_t rows, uint32_t ld)
{
    return (uint64_t)rows * ld * sizeof(float);
}

/* Gradients of what is trained, and what their ops need. */
static rt_status init_parameters(struct backward *b)
{
    rt_status st;
    const struct model_pass *pass = b->pass;
    struct rt_device *dev = pass->model->dev;
    const uint32_t groups = pass->model->config.layers * MODEL_GROUP_COUNT;
    if (pass->adapter) {
        uint32_t ld_u = RT_COL_PAD;
        for (uint32_t i = 0; i < groups; i++)
            if (pass->adapter->lora[i].ld_u > ld_u)
                ld_u = pass->adapter->lora[i].ld_u;
        TRY(model_buffer(dev, "train du", bytes_of(pass->rows, ld_u), RT_MEMORY_DEVICE,
                         &b->du));
        TRY(model_buffer(dev, "train grads", pass->adapter->param_floats * 4,
                         RT_MEMORY_DEVICE, &b->grads));
    }
    if (b->scales) {
        TRY(model_buffer(dev, "train scale grads", b->scales->floats * 4,
                         RT_MEMORY_DEVICE, &b->scale_grads));
        TRY(model_buffer(dev, "train segments", b->scales->segments_max * 4,
                         RT_MEMORY_DEVICE, &b->segments));
    }
    return RT_OK;

fail:
    return st;
}

rt_status backward_init(struct backward *b, struct model_pass *pass,
                        const struct rt_scales *scales)
{
    rt_status st;
    const struct rt_model *m = pass->model;
    struct rt_device *dev = m->dev;
    const uint32_t n = pass->rows;
    assert(pass->keep && (pass->adapter || scales));
    *b = (struct backward){ .pass = pass, .scales = scales };
    b->x = rt_alloc(rt_device_ctx(dev), m->config.layers + 1, sizeof *b->x);
    if (!b->x)
        return rt_fail(rt_device_ctx(dev), RT_ERR_HOST_MEMORY,
                       "training: no host memory");
    for (uint32_t l = 0; l <= m->config.layers; l++)
        TRY(model_buffer(dev, "train x", bytes_of(n, m->ld_hidden), RT_MEMORY_DEVICE,
                         &b->x[l]));
    TRY(model_buffer(dev, "train g", bytes_of(n, m->ld_hidden), RT_MEMORY_DEVICE, &b->g));
    TRY(model_buffer(dev, "train dnorm", bytes_of(n, m->ld_hidden), RT_MEMORY_DEVICE,
                     &b->dnorm));
    TRY(model_buffer(dev, "train dqkv", bytes_of(n, m->shape[MODEL_QKV].ld_out),
                     RT_MEMORY_DEVICE, &b->dqkv));
    TRY(model_buffer(dev, "train dgate up", bytes_of(n, m->shape[MODEL_GATE_UP].ld_out),
                     RT_MEMORY_DEVICE, &b->dgate_up));
    TRY(model_buffer(dev, "train dact", bytes_of(n, m->shape[MODEL_DOWN].ld_in),
                     RT_MEMORY_DEVICE, &b->dact));
    TRY(model_buffer(dev, "train delta", (uint64_t)n * m->config.heads * 4,
                     RT_MEMORY_DEVICE, &b->delta));
    TRY(init_parameters(b));
    return RT_OK;

fail:
    backward_deinit(b);
    return st;
}

void backward_deinit(struct backward *b)
{
    for (uint32_t l = 0; b->x && l <= b->pass->model->config.layers; l++)
        rt_buffer_destroy(&b->x[l]);
    rt_free(b->x);
    b->x = NULL;
    rt_buffer_destroy(&b->g);
    rt_buffer_destroy(&b->dnorm);
    rt_buffer_destroy(&b->dqkv);
    rt_buffer_destroy(&b->dgate_up);
    rt_buffer_destroy(&b->dact);
    rt_buffer_destroy(&b->delta);
    rt_buffer_destroy(&b->du);
    rt_buffer_destroy(&b->grads);
    rt_buffer_destroy(&b->scale_grads);
    rt_buffer_destroy(&b->segments);
}

void backward_record_forward(struct backward *b, struct rt_list *list, uint32_t rows)
{
    const struct model_cache contiguous = { 0 };
    assert(rows <= b->pass->rows);
    model_record_embed(b->pass, list, rows, b->x[0]);
    for (uint32_t l = 0; l < b->pass->model->config.layers; l++)
        model_record_layer(b->pass, list, l, rows, &contiguous, b->x[l], b->x[l + 1]);
}

void backward_record_weight(const struct rt_model *m, struct rt_list *list, uint32_t rows,
                            const struct model_weight *w, struct rt_buffer *scratch,
                            const struct model_lora *lora, struct rt_buffer *du,
                            const struct backward_product *product)
{
    const struct rt_slice none = model_slice(m->none);
    const struct rt_weight_shape *s = &w->shape;
    const struct rt_slice scales = w->scales ? model_slice(w->scales) : none;
    const bool decode = s->bits != 32 && rows >= SCRATCH_ROWS &&
                        rt_plan_decodes_back(rt_device_plan(m->dev));
    assert((!decode || scratch) && (!lora || du));
    if (decode)
        model_record_decode(m, list, w, scratch);
    const struct matmul_back_push push = {
        .rows = rows,
        .out_pad = s->out_pad,
        .in_pad = s->in_pad,
        .bits = decode ? 32 : s->bits,
        .group = s->group,
        .form = s->form,
        .lddy = product->lddy,
        .offdy = product->offdy,
        .lddx = product->lddx,
        .offdx = product->offdx,
        .accumulate = product->accumulate,
        .lddu = lora ? lora->ld_u : 0,
        .rank = lora ? lora->a_shape.out : 0,
    };
    const struct rt_slice slices[] = {
        decode ? model_slice(scratch) : model_slice(w->codes),
        decode ? none : scales,
        product->dy,
        lora ? model_slice(du) : none,
        lora ? model_slice(lora->a_k4) : none,
        product->dx,
    };
    rt_list_op(list, RT_OP_matmul_back, &push, slices);
}

/* One group of a layer on its way back. */
struct group_call {
    enum model_group group;
    uint32_t layer, rows;
    struct rt_buffer *dy; /* gradient of its output [rows][ld_out] */
    struct rt_buffer *x;  /* its input, rows of ldx floats */
    uint32_t ldx;
    struct rt_buffer *dx; /* gradient of its input is written here; null: not needed */
    uint32_t lddx, offdx; /* a row of dx, and where in it the gradient begins */
};

/* grads[grad ...] += scale p^T q: na columns of p by nb columns of q. */
struct outer_call {
    uint32_t na, nb;
    struct rt_buffer *p, *q;
    uint32_t ldp, offp, ldq, offq; /* floats per row, first column */
    uint64_t grad;                 /* index in b->grads, in floats */
    float scale;
};

static void record_outer(struct backward *b, struct rt_list *list, uint32_t rows,
                         const struct outer_call *call)
{
    assert(call->grad + (uint64_t)call->na * call->nb <= b->pass->adapter->param_floats);
    const struct outer_push push = { .rows = rows,
                                     .na = call->na,
                                     .nb = call->nb,
                                     .ldp = call->ldp,
                                     .offp = call->offp,
                                     .ldq = call->ldq,
                                     .offq = call->offq,
                                     .ldd = call->nb,
                                     .scale = call->scale,
                                     .accumulate = 1 };
    const struct rt_slice slices[] = {
        model_slice(call->p),
        model_slice(call->q),
        model_slice_at(b->grads, call->grad * sizeof(float)),
    };
    rt_list_op(list, RT_OP_outer, &push, slices);
}

/* Gradients of the adapter's A and B of one part of a group. */
static void record_lora_outer(struct backward *b, struct rt_list *list,
                              const struct model_lora *lora,
                              const struct group_call *call, uint32_t part)
{
    const struct model_group_shape *s = &b->pass->model->shape[call->group];
    const uint32_t row = part * lora->rank;
    const struct outer_call of_b = { .na = lora->rank,
                                     .nb = s->out[part],
                                     .p = b->pass->u[call->group],
                                     .ldp = lora->ld_u,
                                     .offp = row,
                                     .q = call->dy,
                                     .ldq = s->ld_out,
                                     .offq = s->row0[part],
                                     .grad = lora->bt[part],
                                     .scale = 1.0f };
    record_outer(b, list, call->rows, &of_b);
    const struct outer_call of_a = { .na = lora->rank,
                                     .nb = s->in,
                                     .p = b->du,
                                     .ldp = lora->ld_u,
                                     .offp = row,
                                     .q = call->x,
                                     .ldq = call->ldx,
                                     .grad = lora->a + (uint64_t)row * s->in,
                                     .scale = lora->scale[part] };
    record_outer(b, list, call->rows, &of_a);
}

/* Adapter gradients of one group; leaves du for the dX product. */
static void record_lora(struct backward *b, struct rt_list *list,
                        const struct model_lora *lora, const struct group_call *call)
{
    const struct rt_model *m = b->pass->model;
    const struct model_group_shape *s = &m->shape[call->group];
    const struct rt_slice none = model_slice(m->none);
    for (uint32_t p = 0; p < s->parts; p++) {
        const struct rt_weight_shape *w = &lora->bt_shape[p];
        const struct matmul_push push = {
            .rows = call->rows,
            .out_pad = w->out_pad,
            .in_pad = w->in_pad,
            .bits = 32,
            .ldx = s->ld_out,
            .offx = s->row0[p],
            .ldy = lora->ld_u,
            .offy = p * lora->rank,
            .part1 = w->out_pad,
            .part2 = w->out_pad,
        };
        const struct rt_slice slices[] = { model_slice(lora->bt_k4[p]),
                                           none,
                                           model_slice(call->dy),
                                           none,
                                           none,
                                           none,
                                           none,
                                           model_slice(b->du) };
        rt_list_op(list, RT_OP_matmul, &push, slices);
        record_lora_outer(b, list, lora, call, p);
    }
}

/* Gradient of the scales of a run. Returns the weight for the product dX = dY W: the run's
 * own, or *floats, the same decoded, which is at hand then. */
static const struct model_weight *record_scales(struct backward *b, struct rt_list *list,
                                                const struct group_call *call, uint32_t r,
                                                struct model_weight *floats)
{
    const struct model_pass *pass = b->pass;
    const struct rt_model *m = pass->model;
    const struct model_group_shape *s = &m->shape[call->group];
    const struct model_run *run = &m->layers[call->layer].group[call->group].run[r];
    const struct model_weight *w = &run->weight;
    const struct train_scale_set *set =
        train_scale_set_of(b->scales, call->layer, call->group, r);
    if (!set)
        return w;
    model_record_decode(m, list, w, pass->decoded);
    struct train_scale_rows rows = {
        .rows = call->rows,
        .x = model_slice(call->x),
        .ldx = call->ldx,
        .dy = model_slice_at(call->dy, run->row0 * sizeof(float)),
        .lddy = s->ld_out,
    };
    if (w->order) {
        model_record_columns(list, call->rows, s->ld_in, w->order, rows.x, rows.ldx,
                             model_slice(pass->columns), m->ld_columns, 0, false);
        rows.x = model_slice(pass->columns);
        rows.ldx = m->ld_columns;
    }
    train_scales_record_back(b->scales, set, list, &rows, pass->decoded, b->segments,
                             b->scale_grads);
    *floats = (struct model_weight){ .shape = w->shape, .codes = pass->decoded };
    floats->shape.bits = 32;
    floats->shape.group = floats->shape.form = 0;
    return floats;
}

/* dx of a group of several runs, or with columns in a stored order: run by run, then the
 * adapter's share, which knows neither. */
static void record_runs(struct backward *b, struct rt_list *list,
                        const struct group_call *call, const struct model_lora *lora,
                        const struct backward_product *dx)
{
    const struct model_pass *pass = b->pass;
    const struct rt_model *m = pass->model;
    const struct model_group_shape *s = &m->shape[call->group];
    const struct model_runs *runs = &m->layers[call->layer].group[call->group];
    for (uint32_t r = 0; r < runs->count; r++) {
        const struct model_weight *w = &runs->run[r].weight;
        struct model_weight floats;
        const struct model_weight *of_product = record_scales(b, list, call, r, &floats);
        struct backward_product own = *dx;
        own.dy = model_slice_at(dx->dy.buffer, runs->run[r].row0 * sizeof(float));
        own.accumulate = r > 0;
        if (w->order) {
            own.dx = model_slice(pass->columns);
            own.lddx = m->ld_columns;
            own.offdx = 0;
            own.accumulate = false;
        }
        backward_record_weight(m, list, call->rows, of_product, b->pass->decoded, NULL,
                               NULL, &own);
        if (w->order)
            model_record_columns(list, call->rows, s->ld_in, w->inverse, own.dx, own.lddx,
                                 dx->dx, dx->lddx, dx->offdx, r > 0);
    }
    assert(runs->count > 0); /* dx is written, not added to */
    if (lora) {
        const struct model_weight a = { .shape = lora->a_shape, .codes = lora->a_k4 };
        struct backward_product own = *dx;
        own.dy = model_slice(b->du);
        own.lddy = lora->ld_u;
        own.accumulate = true;
        backward_record_weight(m, list, call->rows, &a, b->pass->decoded, NULL, NULL,
                               &own);
    }
}

/* One group: gradients of adapter and scales, then dx. */
static void record_group(struct backward *b, struct rt_list *list,
                         const struct group_call *call)
{
    const struct rt_model *m = b->pass->model;
    const struct model_runs *runs = &m->layers[call->layer].group[call->group];
    const struct model_lora *lora =
        model_lora_of(b->pass->adapter, call->layer, call->group);
    if (lora)
        record_lora(b, list, lora, call);
    struct model_weight floats;
    for (uint32_t r = 0; r < runs->count && !call->dx; r++)
        record_scales(b, list, call, r, &floats);
    if (!call->dx)
        return;
    const struct backward_product product = {
        .dy = model_slice(call->dy),
        .dx = model_slice(call->dx),
        .lddy = m->shape[call->group].ld_out,
        .lddx = call->lddx,
        .offdx = call->offdx,
    };
    if (model_group_is_plain(runs))
        backward_record_weight(m, list, call->rows,
                               record_scales(b, list, call, 0, &floats), b->pass->decoded,
                               lora, b->du, &product);
    else
        record_runs(b, list, call, lora, &product);
}

/* g += gradient through a norm whose input was x and output gradient is dnorm. */
static void record_norm(struct backward *b, struct rt_list *list, uint32_t rows,
                        struct rt_buffer *x, struct rt_buffer *w)
{
    const struct rt_model *m = b->pass->model;
    const struct rmsnorm_back_push push = {
        .rows = rows,
        .cols = m->config.hidden,
        .heads = 1,
        .ldx = m->ld_hidden,
        .lddy = m->ld_hidden,
        .lddx = m->ld_hidden,
        .eps = m->config.rms_eps,
        .accumulate = 1,
    };
    const struct rt_slice slices[] = { model_slice(x), model_slice(w),
                                       model_slice(b->dnorm), model_slice(b->g) };
    rt_list_op(list, RT_OP_rmsnorm_back, &push, slices);
}

/* Fields that both halves of attention's backward begin with: q, k and v lie side by
 * side in the rows of the group MODEL_QKV, whose shape is `s`. */
#define QKV_FIELDS(rows_, c, s)                                                          \
    .rows = (rows_), .heads = (c)->heads, .heads_k = (c)->kv_heads, .hd = (c)->head_dim, \
    .ldq = (s)->ld_out, .offq = (s)->row0[0], .ldk = (s)->ld_out, .offk = (s)->row0[1],  \
    .ldv = (s)->ld_out, .offv = (s)->row0[2],                                            \
    .scale = 1.0f / sqrtf((float)(c)->head_dim)

static void record_attention(struct backward *b, struct rt_list *list, uint32_t rows)
{
    struct model_pass *pass = b->pass;
    const struct fmt_config *c = &pass->model->config;
    const struct model_group_shape *s = &pass->model->shape[MODEL_QKV];
    const struct rt_slice qkv = model_slice(pass->qkv), att = model_slice(pass->att),
                          meta = model_slice(pass->att_meta),
                          lse = model_slice(pass->lse), dqkv = model_slice(b->dqkv),
                          delta = model_slice(b->delta);
    const struct attention_back_q_push q = {
        QKV_FIELDS(rows, c, s),    .ldo = pass->ld_att, .offo = 0,
        .offdo = pass->ld_att / 2, .lddq = s->ld_out,   .offdq = s->row0[0]
    };
    const struct rt_slice q_slices[] = { qkv, qkv, qkv, meta, att, lse, dqkv, delta };
    rt_list_op(list, RT_OP_attention_back_q, &q, q_slices);

    const struct attention_back_kv_push kv = {
        QKV_FIELDS(rows, c, s), .ldo = pass->ld_att, .offdo = pass->ld_att / 2,
        .lddk = s->ld_out,      .offdk = s->row0[1], .offdv = s->row0[2]
    };
    const struct rt_slice kv_slices[] = { qkv, qkv, qkv, meta, att, lse, delta, dqkv };
    rt_list_op(list, RT_OP_attention_back_kv, &kv, kv_slices);
    model_record_rope(pass, list, rows, b->dqkv, NULL, true);
}

/* Gradient through the norms of the heads of q and k, in place. */
static void record_head_norms(struct backward *b, struct rt_list *list,
                              const struct model_layer *layer, uint32_t rows)
{
    const struct rt_model *m = b->pass->model;
    const struct rt_slice dqkv = model_slice(b->dqkv);
    struct model_head_norm norm[2];
    const uint32_t count = model_head_norms(m, layer, norm);
    for (uint32_t i = 0; i < count; i++) {
        const struct rmsnorm_back_push push = {
            .rows = rows,
            .cols = m->config.head_dim,
            .heads = norm[i].heads,
            .ldx = norm[i].ld,
            .offx = norm[i].offset,
            .lddy = norm[i].ld,
            .offdy = norm[i].offset,
            .lddx = norm[i].ld,
            .offdx = norm[i].offset,
            .eps = m->config.rms_eps,
        };
        const struct rt_slice slices[] = { model_slice(b->pass->raw), norm[i].weight,
                                           dqkv, dqkv };
        rt_list_op(list, RT_OP_rmsnorm_back, &push, slices);
    }
}

static void record_mlp(struct backward *b, struct rt_list *list, uint32_t l,
                       uint32_t rows)
{
    struct model_pass *pass = b->pass;
    const struct rt_model *m = pass->model;
    const struct model_group_shape *s = m->shape;
    const struct group_call down = { .group = MODEL_DOWN,
                                     .layer = l,
                                     .rows = rows,
                                     .dy = b->g,
                                     .x = pass->act,
                                     .ldx = s[MODEL_DOWN].ld_in,
                                     .dx = b->dact,
                                     .lddx = s[MODEL_DOWN].ld_in };
    record_group(b, list, &down);
    const struct swiglu_back_push swiglu = {
        .rows = rows,
        .cols = m->config.ffn,
        .ldx = s[MODEL_GATE_UP].ld_out,
        .offg = s[MODEL_GATE_UP].row0[0],
        .offu = s[MODEL_GATE_UP].row0[1],
        .lddh = s[MODEL_DOWN].ld_in,
        .lddx = s[MODEL_GATE_UP].ld_out,
    };
    const struct rt_slice slices[] = { model_slice(pass->gate_up), model_slice(b->dact),
                                       model_slice(b->dgate_up) };
    rt_list_op(list, RT_OP_swiglu_back, &swiglu, slices);
    const struct group_call gate_up = { .group = MODEL_GATE_UP,
                                        .layer = l,
                                        .rows = rows,
                                        .dy = b->dgate_up,
                                        .x = pass->norm2,
                                        .ldx = s[MODEL_GATE_UP].ld_in,
                                        .dx = b->dnorm,
                                        .lddx = m->ld_hidden };
    record_group(b, list, &gate_up);
    record_norm(b, list, rows, pass->mid, m->layers[l].norm_ffn);
}

static void record_layer(struct backward *b, struct rt_list *list, uint32_t l,
                         uint32_t rows)
{
    struct model_pass *pass = b->pass;
    const struct rt_model *m = pass->model;
    const struct model_cache contiguous = { 0 };

    /* The layer's values again; its output is known, so it may overwrite itself. */
    model_record_layer(pass, list, l, rows, &contiguous, b->x[l], b->x[l + 1]);

    record_mlp(b, list, l, rows);
    const struct group_call o = { .group = MODEL_O,
                                  .layer = l,
                                  .rows = rows,
                                  .dy = b->g,
                                  .x = pass->att,
                                  .ldx = pass->ld_att,
                                  .dx = pass->att,
                                  .lddx = pass->ld_att,
                                  .offdx = pass->ld_att / 2 };
    record_group(b, list, &o);
    record_attention(b, list, rows);
    record_head_norms(b, list, &m->layers[l], rows);
    const bool lowest = l == 0; /* nothing below it is trained */
    const struct group_call qkv = { .group = MODEL_QKV,
                                    .layer = l,
                                    .rows = rows,
                                    .dy = b->dqkv,
                                    .x = pass->norm,
                                    .ldx = m->shape[MODEL_QKV].ld_in,
                                    .dx = lowest ? NULL : b->dnorm,
                                    .lddx = m->ld_hidden };
    record_group(b, list, &qkv);
    if (!lowest)
        record_norm(b, list, rows, b->x[l], m->layers[l].norm_attention);
}

void backward_record(struct backward *b, struct rt_list *list, uint32_t rows)
{
    for (uint32_t l = b->pass->model->config.layers; l-- > 0;)
        record_layer(b, list, l, rows);
}

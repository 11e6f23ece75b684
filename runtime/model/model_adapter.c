/* runtime/model/model_adapter.c
 * LoRA adapters on a device: one flat parameter buffer, which the optimizer updates, and
 * packed copies of it, which the matmul kernels read. */
#include "runtime/model/model_impl.h"

#include <assert.h>
#include <string.h>

enum { RANK_STEP = 8, PARAM_ALIGN = 64 };

static uint32_t group_rank(const struct rt_adapter *a, uint32_t layer, enum model_group g)
{
    const struct model_group_shape *s = &a->model->shape[g];
    uint32_t rank = 0;
    for (uint32_t p = 0; p < s->parts; p++) {
        const uint32_t own =
            a->source->lora[layer * FMT_MODULE_COUNT + s->module[p]].rank;
        rank = own > rank ? own : rank;
    }
    return rt_round_up32(rank, RANK_STEP);
}

static struct rt_weight_shape float_shape(uint32_t out, uint32_t out_pad, uint32_t in_pad)
{
    return (struct rt_weight_shape){
        .out = out, .in = in_pad, .out_pad = out_pad, .in_pad = in_pad, .bits = 32
    };
}

/* Decides ranks, offsets and shapes of one group. */
static void plan_group(struct rt_adapter *a, uint32_t layer, enum model_group g)
{
    const struct model_group_shape *s = &a->model->shape[g];
    struct model_lora *lora = &a->lora[layer * MODEL_GROUP_COUNT + (uint32_t)g];
    lora->rank = group_rank(a, layer, g);
    if (lora->rank == 0)
        return;
    const uint32_t rows = lora->rank * s->parts;
    lora->ld_u = rt_round_up32(rt_round_up32(rows, 16), RT_COL_PAD);
    lora->a = a->param_floats;
    a->param_floats += rt_round_up((uint64_t)rows * s->in, PARAM_ALIGN);
    for (uint32_t p = 0; p < s->parts; p++) {
        lora->bt[p] = a->param_floats;
        a->param_floats += rt_round_up((uint64_t)lora->rank * s->out[p], PARAM_ALIGN);
        lora->scale[p] = a->source->lora[layer * FMT_MODULE_COUNT + s->module[p]].scale;
        lora->bt_shape[p] = float_shape(lora->rank, rt_round_up32(lora->rank, 16),
                                        rt_round_up32(s->out[p], 32));
    }
    /* in_pad as the group's own weight: the backward kernel walks both together. */
    assert(a->model->layers[layer].group[g].count > 0);
    const uint32_t in_pad = a->model->layers[layer].group[g].run[0].weight.shape.in_pad;
    lora->a_shape = float_shape(rows, rt_round_up32(rows, 16), in_pad);
    lora->b_shape = float_shape(s->out_pad, s->out_pad, lora->rank);
}

static rt_status create_group(struct rt_adapter *a, struct model_lora *lora,
                              uint32_t parts)
{
    rt_status st;
    struct rt_device *dev = a->model->dev;
    if (lora->rank == 0)
        return RT_OK;
    TRY(model_buffer(dev, "adapter a", rt_weight_code_bytes(&lora->a_shape),
                     RT_MEMORY_DEVICE, &lora->a_k4));
    TRY(model_buffer(dev, "adapter b", rt_weight_code_bytes(&lora->b_shape),
                     RT_MEMORY_DEVICE, &lora->b_k4));
    for (uint32_t p = 0; a->trainable && p < parts; p++)
        TRY(model_buffer(dev, "adapter bt", rt_weight_code_bytes(&lora->bt_shape[p]),
                         RT_MEMORY_DEVICE, &lora->bt_k4[p]));
    return RT_OK;

fail:
    return st;
}

static void pack(const struct rt_adapter *a, struct rt_list *list, uint64_t from,
                 uint32_t lds, struct rt_buffer *to, const struct rt_weight_shape *shape,
                 uint32_t out, uint32_t in, uint32_t m0, bool transpose, float scale)
{
    assert(from + (uint64_t)out * in <= a->param_floats);
    const struct pack_push push = { .n_out = out,
                                    .n_in = in,
                                    .lds = lds,
                                    .transpose = transpose,
                                    .m0 = m0,
                                    .in_pad = shape->in_pad,
                                    .scale = scale };
    const struct rt_slice slices[] = { model_slice_at(a->params, from * sizeof(float)),
                                       model_slice(to) };
    rt_list_op(list, RT_OP_pack, &push, slices);
}

void model_record_pack(const struct rt_adapter *a, struct rt_list *list)
{
    for (uint32_t i = 0; i < a->model->config.layers * MODEL_GROUP_COUNT; i++) {
        const struct model_lora *l = &a->lora[i];
        const struct model_group_shape *s = &a->model->shape[i % MODEL_GROUP_COUNT];
        for (uint32_t p = 0; l->rank && p < s->parts; p++) {
            /* One scale serves the group (copy_module), so its a are packed at once. */
            if (p == 0)
                pack(a, list, l->a, s->in, l->a_k4, &l->a_shape, l->rank * s->parts,
                     s->in, 0, false, l->scale[0]);
            pack(a, list, l->bt[p], s->out[p], l->b_k4, &l->b_shape, s->out[p], l->rank,
                 s->row0[p], true, 1.0f);
            if (a->trainable)
                pack(a, list, l->bt[p], s->out[p], l->bt_k4[p], &l->bt_shape[p], l->rank,
                     s->out[p], 0, false, 1.0f);
        }
    }
}

/* ---- between the flat buffer and the adapter as a file has it ---- */

enum direction { TO_FLAT, FROM_FLAT };

/* Copies one module. A module whose scale differs from its group's first part is held
 * with the ratio folded into a, so that one scale serves the group. */
static void copy_module(const struct rt_adapter *a, struct fmt_adapter *file, float *flat,
                        uint32_t layer, enum model_group g, uint32_t p,
                        enum direction direction)
{
    const struct model_group_shape *s = &a->model->shape[g];
    const struct model_lora *l = &a->lora[layer * MODEL_GROUP_COUNT + (uint32_t)g];
    struct fmt_lora *f = &file->lora[layer * FMT_MODULE_COUNT + s->module[p]];
    assert(f->rank <= l->rank && p < s->parts);
    const float ratio = f->rank ? f->scale / l->scale[0] : 1.0f;
    float *flat_a = flat + l->a + (uint64_t)p * l->rank * s->in;
    float *flat_b = flat + l->bt[p];
    for (uint32_t r = 0; r < f->rank; r++) {
        for (uint32_t i = 0; i < s->in; i++) {
            if (direction == TO_FLAT)
                flat_a[(uint64_t)r * s->in + i] = f->a[(uint64_t)r * s->in + i] * ratio;
            else
                f->a[(uint64_t)r * s->in + i] = flat_a[(uint64_t)r * s->in + i] / ratio;
        }
        for (uint32_t o = 0; o < s->out[p]; o++) {
            if (direction == TO_FLAT)
                flat_b[(uint64_t)r * s->out[p] + o] = f->b[(uint64_t)o * f->rank + r];
            else
                f->b[(uint64_t)o * f->rank + r] = flat_b[(uint64_t)r * s->out[p] + o];
        }
    }
}

static void copy_all(const struct rt_adapter *a, struct fmt_adapter *file, float *flat,
                     enum direction direction)
{
    for (uint32_t i = 0; i < a->model->config.layers * MODEL_GROUP_COUNT; i++) {
        const enum model_group g = (enum model_group)(i % MODEL_GROUP_COUNT);
        for (uint32_t p = 0; a->lora[i].rank && p < a->model->shape[g].parts; p++)
            copy_module(a, file, flat, i / MODEL_GROUP_COUNT, g, p, direction);
    }
}

rt_status rt_adapter_upload(struct rt_adapter *a)
{
    rt_status st;
    struct rt_device *dev = a->model->dev;
    float *flat = rt_alloc(rt_device_ctx(dev), a->param_floats, sizeof *flat);
    if (!flat)
        return rt_fail(rt_device_ctx(dev), RT_ERR_HOST_MEMORY, "adapter: no host memory");
    copy_all(a, a->source, flat, TO_FLAT);
    TRY(rt_buffer_write(a->params, 0, flat, a->param_floats * sizeof *flat));
    TRY(rt_submit(dev, a->pack));
    TRY(rt_wait(dev));

fail:
    rt_free(flat);
    return st;
}

rt_status model_adapter_read(const struct rt_adapter *a, struct rt_buffer *from,
                             struct fmt_adapter *out)
{
    rt_status st;
    struct rt_device *dev = a->model->dev;
    float *flat = rt_alloc(rt_device_ctx(dev), a->param_floats, sizeof *flat);
    if (!flat)
        return rt_fail(rt_device_ctx(dev), RT_ERR_HOST_MEMORY, "adapter: no host memory");
    TRY(rt_buffer_read(from, 0, flat, a->param_floats * sizeof *flat));
    copy_all(a, out, flat, FROM_FLAT);

fail:
    rt_free(flat);
    return st;
}

rt_status rt_adapter_download(struct rt_adapter *a)
{
    return model_adapter_read(a, a->params, a->source);
}

/* The scale that stands for a group: of its first part that is adapted. */
static void settle_scales(struct model_lora *l, const struct rt_adapter *a,
                          uint32_t layer, const struct model_group_shape *s)
{
    for (uint32_t p = 0; p < s->parts && l->rank; p++) {
        const struct fmt_lora *f =
            &a->source->lora[layer * FMT_MODULE_COUNT + s->module[p]];
        if (f->rank == 0)
            continue;
        for (uint32_t q = 0; q < MODEL_PARTS_MAX; q++)
            l->scale[q] = f->scale;
        return;
    }
}

rt_status rt_adapter_create(struct rt_model *model, struct fmt_adapter *source,
                            bool trainable, struct rt_adapter **out)
{
    rt_status st;
    *out = NULL;
    struct rt_ctx *ctx = rt_device_ctx(model->dev);
    const uint32_t n = model->config.layers * MODEL_GROUP_COUNT;
    struct rt_adapter *a = rt_alloc(ctx, 1, sizeof *a);
    if (!a) {
        fmt_adapter_destroy(&source);
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "adapter: no host memory");
    }
    a->model = model;
    a->source = source;
    a->trainable = trainable;
    a->lora = rt_alloc(ctx, n, sizeof *a->lora);
    if (!a->lora || source->layers != model->config.layers) {
        st = a->lora
                 ? rt_fail(ctx, RT_ERR_INPUT, "the adapter has %u layers, the model %u",
                           source->layers, model->config.layers)
                 : rt_fail(ctx, RT_ERR_HOST_MEMORY, "adapter: no host memory");
        goto fail;
    }
    for (uint32_t i = 0; i < n; i++) {
        const enum model_group g = (enum model_group)(i % MODEL_GROUP_COUNT);
        plan_group(a, i / MODEL_GROUP_COUNT, g);
        settle_scales(&a->lora[i], a, i / MODEL_GROUP_COUNT, &model->shape[g]);
        TRY(create_group(a, &a->lora[i], model->shape[g].parts));
    }
    if (a->param_floats == 0)
        a->param_floats = PARAM_ALIGN; /* an adapter of nothing still has a buffer */
    TRY(model_buffer(model->dev, "adapter", a->param_floats * 4, RT_MEMORY_DEVICE,
                     &a->params));
    TRY(rt_list_create(model->dev, "pack adapter", &a->pack));
    model_record_pack(a, a->pack);
    TRY(rt_list_end(a->pack));
    TRY(rt_adapter_upload(a));
    *out = a;
    return RT_OK;

fail:
    rt_adapter_destroy(&a);
    return st;
}

rt_status rt_adapter_load(struct rt_model *model, const char *folder,
                          struct rt_adapter **out)
{
    struct fmt_adapter *source;
    struct rt_ctx *ctx = rt_device_ctx(model->dev);
    *out = NULL;
    const rt_status st = fmt_adapter_read(ctx, folder, &model->config, &source);
    if (st != RT_OK)
        return st;
    if (!source->base[0] || strcmp(source->base, model->hash) == 0)
        return rt_adapter_create(model, source, false, out);
    const rt_status refused = rt_fail(
        ctx, RT_ERR_INPUT,
        "'%s' is the adapter of another model: it was trained on weights of hash %.12s, "
        "those of this model have %.12s; give the model that it was trained on (its "
        "folder then: base_model_name_or_path in adapter_config.json)",
        folder, source->base, model->hash);
    fmt_adapter_destroy(&source);
    return refused;
}

void rt_adapter_destroy(struct rt_adapter **pa)
{
    struct rt_adapter *a = *pa;
    if (!a)
        return;
    rt_list_destroy(&a->pack);
    for (uint32_t i = 0; a->lora && i < a->model->config.layers * MODEL_GROUP_COUNT;
         i++) {
        rt_buffer_destroy(&a->lora[i].a_k4);
        rt_buffer_destroy(&a->lora[i].b_k4);
        for (uint32_t p = 0; p < MODEL_PARTS_MAX; p++)
            rt_buffer_destroy(&a->lora[i].bt_k4[p]);
    }
    rt_buffer_destroy(&a->params);
    rt_free(a->lora);
    fmt_adapter_destroy(&a->source);
    rt_free(a);
    *pa = NULL;
}

const struct model_lora *model_lora_of(const struct rt_adapter *adapter, uint32_t l,
                                       enum model_group g)
{
    if (!adapter)
        return NULL;
    const struct model_lora *lora = &adapter->lora[l * MODEL_GROUP_COUNT + (uint32_t)g];
    return lora->rank ? lora : NULL;
}

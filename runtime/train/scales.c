/* runtime/train/scales.c
 * Scales of a packed model as one flat buffer of parameters, and what records their
 * gradient and puts them back into the weights. */
#include "runtime/train/scales_impl.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { PARAM_ALIGN = 64 };

static uint32_t set_index(uint32_t layer, enum model_group g, uint32_t run)
{
    assert(run < MODEL_RUNS_MAX && g < MODEL_GROUP_COUNT);
    return (layer * MODEL_GROUP_COUNT + (uint32_t)g) * MODEL_RUNS_MAX + run;
}

const struct train_scale_set *train_scale_set_of(const struct rt_scales *s,
                                                 uint32_t layer, enum model_group g,
                                                 uint32_t run)
{
    if (!s)
        return NULL;
    const struct train_scale_set *set = &s->sets[set_index(layer, g, run)];
    return set->weight ? set : NULL;
}

/* ---- recording ---- */

void train_scales_record_pack(const struct rt_scales *s, struct rt_list *list)
{
    const uint32_t n = s->model->config.layers * MODEL_GROUP_COUNT * MODEL_RUNS_MAX;
    for (uint32_t i = 0; i < n; i++) {
        const struct train_scale_set *set = &s->sets[i];
        if (!set->weight)
            continue;
        const struct rt_weight_shape *shape = &set->weight->shape;
        const struct scale_pack_push push = {
            .out_pad = shape->out_pad,
            .groups = set->groups,
            .texels = rt_weight_scale_texels(shape),
            .form = shape->form,
            .rounding = set->rounding,
        };
        const struct rt_slice slices[] = {
            model_slice_at(s->base, set->at * sizeof(float)),
            model_slice_at(s->params, set->at * sizeof(float)),
            model_slice(set->weight->scales),
        };
        rt_list_op(list, RT_OP_scale_pack, &push, slices);
    }
}

void train_scales_record_back(const struct rt_scales *s,
                              const struct train_scale_set *set, struct rt_list *list,
                              const struct train_scale_rows *r, struct rt_buffer *decoded,
                              struct rt_buffer *segments, struct rt_buffer *grads)
{
    const struct rt_weight_shape *shape = &set->weight->shape;
    assert(shape->in_pad % SCALE_SEGMENT == 0 && shape->in_pad <= r->ldx);
    const struct scale_back_push back = {
        .rows = r->rows,
        .out_pad = shape->out_pad,
        .in_pad = shape->in_pad,
        .ldx = r->ldx,
        .lddy = r->lddy,
    };
    const struct rt_slice back_slices[] = { model_slice(decoded), r->x, r->dy,
                                            model_slice(segments) };
    rt_list_op(list, RT_OP_scale_back, &back, back_slices);
    const struct scale_fold_push fold = {
        .out_pad = shape->out_pad,
        .in_pad = shape->in_pad,
        .group = shape->group,
        .groups = set->groups,
        .rounding = set->rounding,
    };
    const struct rt_slice fold_slices[] = {
        model_slice(segments),
        model_slice_at(s->base, set->at * sizeof(float)),
        model_slice_at(s->params, set->at * sizeof(float)),
        model_slice_at(grads, set->at * sizeof(float)),
    };
    rt_list_op(list, RT_OP_scale_fold, &fold, fold_slices);
}

/* ---- making ---- */

static uint32_t groups_of(const struct rt_weight_shape *s)
{
    return s->group == 0 ? 1 : (s->in_pad + s->group - 1) / s->group;
}

/* What the files hold of the parts of a run: the same for all, or it is not one run that
 * can be trained. */
static rt_status plan_run(struct rt_scales *s, struct fmt_model *file, uint32_t layer,
                          enum model_group g, uint32_t r)
{
    rt_status st;
    const struct rt_model *m = s->model;
    const struct model_group_shape *shape = &m->shape[g];
    const struct model_run *run = &m->layers[layer].group[g].run[r];
    struct train_scale_set *set = &s->sets[set_index(layer, g, r)];
    const struct rt_weight_shape *w = &run->weight.shape;
    struct fmt_scales scales = { 0 }, first = { 0 };
    for (uint32_t p = run->part0; p < run->part0 + run->parts; p++) {
        char name[128];
        snprintf(name, sizeof name, "model.layers.%u.%s", layer,
                 fmt_module_path[shape->module[p]]);
        TRY(fmt_weight_scales(file, name, &scales));
        if (!scales.name[0])
            return RT_OK;
        first = p == run->part0 ? scales : first;
        if (scales.dtype != first.dtype || !rt_weight_form_has_scales(w->form))
            return rt_fail(rt_device_ctx(m->dev), RT_ERR_INPUT,
                           "'%s': its scales are stored otherwise than those beside it, "
                           "which is not supported for refining",
                           scales.name);
        uint32_t of_part, of_run;
        s->count +=
            (uint64_t)model_rows_in_run(shape, run, p, &of_part, &of_run) * scales.groups;
    }
    *set = (struct train_scale_set){ .weight = &run->weight,
                                     .groups = groups_of(w),
                                     .rounding = first.dtype == FMT_F16    ? SCALE_F16
                                                 : first.dtype == FMT_BF16 ? SCALE_BF16
                                                                           : SCALE_F32,
                                     .at = s->floats };
    s->floats += rt_round_up((uint64_t)w->out_pad * set->groups, PARAM_ALIGN);
    const uint64_t segments = (uint64_t)w->out_pad * (w->in_pad / SCALE_SEGMENT);
    s->segments_max = segments > s->segments_max ? segments : s->segments_max;
    return RT_OK;

fail:
    return st;
}

static rt_status plan(struct rt_scales *s, const char *folder)
{
    rt_status st;
    const struct rt_model *m = s->model;
    struct rt_ctx *ctx = rt_device_ctx(m->dev);
    struct fmt_model *file = NULL;
    TRY(fmt_model_open(ctx, folder, &file));
    for (uint32_t l = 0; l < m->config.layers; l++)
        for (int g = 0; g < MODEL_GROUP_COUNT; g++)
            for (uint32_t r = 0; r < m->layers[l].group[g].count; r++)
                TRY(plan_run(s, file, l, (enum model_group)g, r));
    if (s->count == 0)
        st = rt_fail(ctx, RT_ERR_INPUT,
                     "'%s' has no packed weight whose scales could be refined; quantize "
                     "the model first (faultline quantize)",
                     folder);

fail:
    fmt_model_close(&file);
    return st;
}

/* The scales that a set begins with, out of its weight. */
static rt_status read_base(struct rt_scales *s, const struct train_scale_set *set,
                           float *base)
{
    rt_status st;
    const struct rt_weight_shape *shape = &set->weight->shape;
    const uint64_t bytes = rt_weight_scale_bytes(shape);
    void *stored = rt_alloc(rt_device_ctx(s->model->dev), bytes, 1);
    if (!stored)
        return rt_fail(rt_device_ctx(s->model->dev), RT_ERR_HOST_MEMORY,
                       "scales: no host memory");
    TRY(rt_buffer_read(set->weight->scales, 0, stored, bytes));
    for (uint32_t m = 0; m < shape->out_pad; m++)
        for (uint32_t g = 0; g < set->groups; g++)
            base[(size_t)m * set->groups + g] = rt_weight_get_scale(shape, stored, m, g);

fail:
    rt_free(stored);
    return st;
}

static rt_status make_buffers(struct rt_scales *s)
{
    rt_status st;
    struct rt_device *dev = s->model->dev;
    const uint32_t n = s->model->config.layers * MODEL_GROUP_COUNT * MODEL_RUNS_MAX;
    const uint64_t bytes = s->floats * sizeof(float);
    float *values = rt_alloc(rt_device_ctx(dev), s->floats, sizeof *values);
    if (!values)
        return rt_fail(rt_device_ctx(dev), RT_ERR_HOST_MEMORY, "scales: no host memory");
    TRY(model_buffer(dev, "scales base", bytes, RT_MEMORY_DEVICE, &s->base));
    TRY(model_buffer(dev, "scales", bytes, RT_MEMORY_DEVICE, &s->params));
    for (uint32_t i = 0; i < n; i++)
        if (s->sets[i].weight)
            TRY(read_base(s, &s->sets[i], values + s->sets[i].at));
    TRY(rt_buffer_write(s->base, 0, values, bytes));
    for (uint64_t i = 0; i < s->floats; i++)
        values[i] = 1.0f;
    TRY(rt_buffer_write(s->params, 0, values, bytes));
    TRY(rt_list_create(dev, "pack scales", &s->pack));
    train_scales_record_pack(s, s->pack);
    TRY(rt_list_end(s->pack));

fail:
    rt_free(values);
    return st;
}

rt_status rt_scales_create(struct rt_model *model, const char *folder,
                           struct rt_scales **out)
{
    rt_status st;
    *out = NULL;
    struct rt_ctx *ctx = rt_device_ctx(model->dev);
    const size_t sets = (size_t)model->config.layers * MODEL_GROUP_COUNT * MODEL_RUNS_MAX;
    struct rt_scales *s = rt_alloc(ctx, 1, sizeof *s);
    if (!s)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "scales: no host memory");
    s->model = model;
    s->sets = rt_alloc(ctx, sets, sizeof *s->sets);
    if (!s->sets) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "scales: no host memory");
        goto fail;
    }
    TRY(plan(s, folder));
    TRY(make_buffers(s));
    *out = s;
    return RT_OK;

fail:
    rt_scales_destroy(&s);
    return st;
}

void rt_scales_destroy(struct rt_scales **ps)
{
    struct rt_scales *s = *ps;
    if (!s)
        return;
    rt_list_destroy(&s->pack);
    rt_buffer_destroy(&s->base);
    rt_buffer_destroy(&s->params);
    rt_free(s->sets);
    rt_free(s);
    *ps = NULL;
}

uint64_t rt_scales_count(const struct rt_scales *s)
{
    return s->count;
}

/* ---- reading ---- */

/* What one run holds of a part, to its place among the rows of the part. */
static rt_status read_run(struct rt_scales *s, const struct train_scale_set *set,
                          const struct model_group_shape *shape,
                          const struct model_run *run, uint32_t part, uint32_t groups,
                          float *values)
{
    rt_status st;
    uint32_t of_part, of_run;
    struct rt_ctx *ctx = rt_device_ctx(s->model->dev);
    const uint32_t rows = model_rows_in_run(shape, run, part, &of_part, &of_run);
    float *all =
        rt_alloc(ctx, (size_t)set->weight->shape.out_pad * set->groups, sizeof *all);
    if (!all)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "scales: no host memory");
    TRY(read_base(s, set, all));
    for (uint32_t r = 0; r < rows; r++)
        memcpy(values + (size_t)(of_part + r) * groups,
               all + (size_t)(of_run + r) * set->groups, groups * sizeof *values);

fail:
    rt_free(all);
    return st;
}

rt_status rt_scales_read(struct rt_scales *s, uint32_t layer, enum fmt_module module,
                         uint32_t groups, float *values)
{
    rt_status st;
    uint32_t part;
    const struct rt_model *m = s->model;
    assert(layer < m->config.layers);
    const enum model_group g = model_group_of(m->shape, module, &part);
    const struct model_runs *runs = &m->layers[layer].group[g];
    for (uint32_t r = 0; r < runs->count; r++) {
        const struct model_run *run = &runs->run[r];
        if (part < run->part0 || part >= run->part0 + run->parts)
            continue;
        const struct train_scale_set *set = train_scale_set_of(s, layer, g, r);
        if (!set || groups > set->groups)
            break;
        TRY(read_run(s, set, &m->shape[g], run, part, groups, values));
        if (run->row0 + run->weight.shape.out_pad >=
            m->shape[g].row0[part] + m->shape[g].out[part])
            return RT_OK;
    }
    return rt_fail(rt_device_ctx(m->dev), RT_ERR_USAGE,
                   "layer %u, %s: there are no such scales", layer,
                   fmt_module_path[module]);

fail:
    return st;
}

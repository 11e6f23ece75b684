/* runtime/train/scales.c
 * Scales of a packed model as one flat buffer of parameters, and what records their
 * gradient and puts them back into the weights. */
#include "runtime/train/scales_impl.h"

#include "runtime/format/gguf.h"

#include <assert.h>
#include <math.h>
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
            .per = set->per,
            .zeros = set->zeros,
            .low = set->low,
            .high = set->high,
        };
        const struct rt_slice slices[] = {
            model_slice_at(s->base, set->at * sizeof(float)),
            model_slice_at(s->params, set->at * sizeof(float)),
            model_slice_at(s->sub, set->sub_at * sizeof(uint32_t)),
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
        .sums = set->zeros != SCALE_ZERO_FIXED,
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
        .per = set->per,
        .zeros = set->zeros,
    };
    const struct rt_slice fold_slices[] = {
        model_slice(segments),
        model_slice_at(s->base, set->at * sizeof(float)),
        model_slice_at(s->params, set->at * sizeof(float)),
        model_slice_at(s->sub, set->sub_at * sizeof(uint32_t)),
        model_slice_at(grads, set->at * sizeof(float)),
    };
    rt_list_op(list, RT_OP_scale_fold, &fold, fold_slices);
}

/* ---- making ---- */

/* Columns of the widest projection. */
static uint32_t widest(const struct rt_scales *s)
{
    uint32_t in = 0;
    for (int g = 0; g < MODEL_GROUP_COUNT; g++)
        in = s->model->shape[g].in > in ? s->model->shape[g].in : in;
    return in;
}

static uint32_t groups_of(const struct rt_weight_shape *s)
{
    return s->group == 0 ? 1 : (s->in_pad + s->group - 1) / s->group;
}

static void module_name(const struct rt_scales *s, uint32_t layer, enum model_group g,
                        uint32_t part, char name[128])
{
    snprintf(name, 128, "model.layers.%u.%s", layer,
             fmt_module_path[s->model->shape[g].module[part]]);
}

/* Numbers per block: its scale, and what is trained beside it. */
static uint32_t numbers_of(const struct train_scale_set *set)
{
    return set->zeros == SCALE_ZERO_FIXED ? 1 : 2;
}

/* What is trained beside the scales. Columns that pad a group have the code of its zero. */
static enum fmt_zeros zeros_of(const struct rt_scales *s, const struct model_weight *w,
                               const struct fmt_scales *of)
{
    const struct rt_weight_shape *shape = &w->shape;
    const bool is_full =
        shape->group ? shape->in % shape->group == 0 : shape->in == shape->in_pad;
    if (of->zeros == FMT_ZEROS_WHOLE && !(s->zeros && is_full))
        return FMT_ZEROS_FIXED;
    return of->zeros;
}

static struct train_scale_set make_set(const struct rt_scales *s,
                                       const struct model_weight *w,
                                       const struct fmt_scales *of)
{
    static const uint32_t zeros[] = { [FMT_ZEROS_FIXED] = SCALE_ZERO_FIXED,
                                      [FMT_ZEROS_MINIMA] = SCALE_ZERO_MINIMUM,
                                      [FMT_ZEROS_SCALED] = SCALE_ZERO_PRODUCT,
                                      [FMT_ZEROS_WHOLE] = SCALE_ZERO_WHOLE };
    struct train_scale_set set = { .weight = w,
                                   .groups = groups_of(&w->shape),
                                   .per = of->block ? of->block / w->shape.group : 1,
                                   .rounding = of->dtype == FMT_F16    ? SCALE_F16
                                               : of->dtype == FMT_BF16 ? SCALE_BF16
                                                                       : SCALE_F32,
                                   .zeros = zeros[zeros_of(s, w, of)],
                                   .low = of->zeros_low,
                                   .high = of->zeros_high,
                                   .at = s->floats };
    set.blocks = (set.groups + set.per - 1) / set.per;
    return set;
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
        module_name(s, layer, g, p, name);
        TRY(fmt_weight_scales(file, name, &scales));
        if (!scales.name[0])
            return RT_OK;
        first = p == run->part0 ? scales : first;
        if (scales.dtype != first.dtype || scales.block != first.block ||
            scales.zeros != first.zeros || scales.zeros_low != first.zeros_low ||
            (!scales.blocks && !rt_weight_form_has_scales(w->form)))
            return rt_fail(rt_device_ctx(m->dev), RT_ERR_INPUT,
                           "'%s': its scales are stored otherwise than those beside it, "
                           "which is not supported for refining",
                           scales.name);
        uint32_t of_part, of_run;
        s->count += (uint64_t)model_rows_in_run(shape, run, p, &of_part, &of_run) *
                    scales.groups *
                    (zeros_of(s, &run->weight, &scales) == FMT_ZEROS_FIXED ? 1 : 2);
    }
    *set = make_set(s, &run->weight, &first);
    s->floats +=
        rt_round_up((uint64_t)w->out_pad * set->blocks * numbers_of(set), PARAM_ALIGN);
    if (set->per > 1) {
        set->sub_at = s->words;
        s->words += rt_round_up((uint64_t)w->out_pad * set->groups, PARAM_ALIGN);
    }
    const uint64_t segments =
        (uint64_t)w->out_pad * (w->in_pad / SCALE_SEGMENT) * numbers_of(set);
    s->segments_max = segments > s->segments_max ? segments : s->segments_max;
    return RT_OK;

fail:
    return st;
}

/* Some weight has whole zero points that are trained. */
static bool has_whole_zeros(const struct rt_scales *s)
{
    const uint32_t n = s->model->config.layers * MODEL_GROUP_COUNT * MODEL_RUNS_MAX;
    uint32_t i = 0;
    while (i < n && !(s->sets[i].weight && s->sets[i].zeros == SCALE_ZERO_WHOLE))
        i++;
    return i < n;
}

static rt_status plan(struct rt_scales *s, struct fmt_model *file, const char *folder)
{
    rt_status st;
    const struct rt_model *m = s->model;
    struct rt_ctx *ctx = rt_device_ctx(m->dev);
    for (uint32_t l = 0; l < m->config.layers; l++)
        for (int g = 0; g < MODEL_GROUP_COUNT; g++)
            for (uint32_t r = 0; r < m->layers[l].group[g].count; r++)
                TRY(plan_run(s, file, l, (enum model_group)g, r));
    if (s->count == 0)
        st = rt_fail(ctx, RT_ERR_INPUT,
                     "'%s' has no packed weight whose scales could be refined; quantize "
                     "the model first (faultline quantize)",
                     folder);
    else if (s->zeros && !has_whole_zeros(s))
        st = rt_fail(ctx, RT_ERR_USAGE,
                     "'%s' has no whole zero points that could be trained (minima of "
                     "GGUF files are in any case); leave --zeros away",
                     folder);

fail:
    return st;
}

/* ---- what it begins with ---- */

/* Host copies of base and sub while they are filled. */
struct filling {
    struct fmt_model *file;
    float *base;
    uint32_t *sub;
    struct rt_weight_scale *groups; /* of a row; NULL: not a GGUF file */
};

/* The scales that a set begins with, out of its weight. */
static rt_status fill_from_weight(struct rt_scales *s, const struct train_scale_set *set,
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
    const size_t behind = (size_t)shape->out_pad * set->groups;
    for (uint32_t m = 0; m < shape->out_pad; m++)
        for (uint32_t g = 0; g < set->groups; g++) {
            const size_t i = (size_t)m * set->groups + g;
            base[i] = rt_weight_get_scale(shape, stored, m, g);
            if (set->zeros == SCALE_ZERO_WHOLE)
                base[behind + i] = rt_weight_get_zero(shape, stored, m, g);
        }

fail:
    rt_free(stored);
    return st;
}

/* Row m of a set out of the groups of the file. */
static void fill_row(const struct train_scale_set *set, struct filling *f, uint32_t m)
{
    const size_t behind = (size_t)set->weight->shape.out_pad * set->blocks;
    float *base = f->base + set->at + (size_t)m * set->blocks;
    for (uint32_t g = 0; g < set->groups; g++) {
        const struct rt_weight_scale *of = &f->groups[g];
        if (g % set->per == 0) {
            base[g / set->per] = rt_half_to_float(of->d);
            if (set->zeros != SCALE_ZERO_FIXED)
                base[behind + g / set->per] = rt_half_to_float(of->m);
        }
        if (set->per > 1)
            f->sub[set->sub_at + (size_t)m * set->groups + g] =
                of->s | (uint32_t)of->l << 8 | 1u << 16;
    }
}

static rt_status fill_run(struct rt_scales *s, struct filling *f, uint32_t layer,
                          enum model_group g, uint32_t r)
{
    rt_status st;
    char name[128];
    const struct model_group_shape *shape = &s->model->shape[g];
    const struct model_run *run = &s->model->layers[layer].group[g].run[r];
    const struct train_scale_set *set = train_scale_set_of(s, layer, g, r);
    if (!set)
        return RT_OK;
    if (!f->groups)
        return fill_from_weight(s, set, f->base + set->at);
    assert(shape->in % set->weight->shape.group == 0 &&
           shape->in / set->weight->shape.group == set->groups);
    for (uint32_t p = run->part0; p < run->part0 + run->parts; p++) {
        uint32_t of_part, of_run;
        const uint32_t rows = model_rows_in_run(shape, run, p, &of_part, &of_run);
        module_name(s, layer, g, p, name);
        for (uint32_t i = 0; i < rows; i++) {
            TRY(fmt_weight_groups(f->file, name, of_part + i, f->groups));
            fill_row(set, f, of_run + i);
        }
    }
    return RT_OK;

fail:
    return st;
}

static rt_status fill(struct rt_scales *s, struct filling *f)
{
    rt_status st;
    const struct rt_model *m = s->model;
    for (uint32_t l = 0; l < m->config.layers; l++)
        for (int g = 0; g < MODEL_GROUP_COUNT; g++)
            for (uint32_t r = 0; r < m->layers[l].group[g].count; r++)
                TRY(fill_run(s, f, l, (enum model_group)g, r));
    TRY(rt_buffer_write(s->base, 0, f->base, s->floats * sizeof *f->base));
    if (s->words)
        TRY(rt_buffer_write(s->sub, 0, f->sub, s->words * sizeof *f->sub));
    for (uint64_t i = 0; i < s->floats; i++)
        f->base[i] = 1.0f;
    TRY(rt_buffer_write(s->params, 0, f->base, s->floats * sizeof *f->base));

fail:
    return st;
}

static rt_status make_buffers(struct rt_scales *s, struct fmt_model *file, bool is_blocks)
{
    rt_status st;
    struct rt_device *dev = s->model->dev;
    struct rt_ctx *ctx = rt_device_ctx(dev);
    const uint64_t bytes = s->floats * sizeof(float), words = s->words ? s->words : 64;
    struct filling f = { .file = file };
    f.base = rt_alloc(ctx, s->floats, sizeof *f.base);
    f.sub = rt_alloc(ctx, words, sizeof *f.sub);
    if (is_blocks)
        f.groups = rt_alloc(ctx, widest(s) / 16 + 1, sizeof *f.groups);
    if (!f.base || !f.sub || (is_blocks && !f.groups)) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "scales: no host memory");
        goto fail;
    }
    TRY(model_buffer(dev, "scales base", bytes, RT_MEMORY_DEVICE, &s->base));
    TRY(model_buffer(dev, "scales", bytes, RT_MEMORY_DEVICE, &s->params));
    TRY(model_buffer(dev, "scales of groups", words * sizeof(uint32_t), RT_MEMORY_DEVICE,
                     &s->sub));
    TRY(fill(s, &f));
    TRY(rt_list_create(dev, "pack scales", &s->pack));
    train_scales_record_pack(s, s->pack);
    TRY(rt_list_end(s->pack));

fail:
    rt_free(f.base);
    rt_free(f.sub);
    rt_free(f.groups);
    return st;
}

rt_status rt_scales_create(struct rt_model *model, const char *folder, bool zeros,
                           struct rt_scales **out)
{
    rt_status st;
    *out = NULL;
    struct rt_ctx *ctx = rt_device_ctx(model->dev);
    struct fmt_model *file = NULL;
    const size_t sets = (size_t)model->config.layers * MODEL_GROUP_COUNT * MODEL_RUNS_MAX;
    struct rt_scales *s = rt_alloc(ctx, 1, sizeof *s);
    if (!s)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "scales: no host memory");
    s->model = model;
    s->zeros = zeros;
    s->sets = rt_alloc(ctx, sets, sizeof *s->sets);
    if (!s->sets) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "scales: no host memory");
        goto fail;
    }
    TRY(fmt_model_open(ctx, folder, &file));
    TRY(plan(s, file, folder));
    TRY(make_buffers(s, file, fmt_gguf_is(folder)));
    *out = s;
    s = NULL;

fail:
    fmt_model_close(&file);
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
    rt_buffer_destroy(&s->sub);
    rt_free(s->sets);
    rt_free(s);
    *ps = NULL;
}

uint64_t rt_scales_count(const struct rt_scales *s)
{
    return s->count;
}

/* ---- reading ---- */

/* As scale_pack has it. */
static float scale_of(float base, float parameter, uint32_t rounding)
{
    const float v = base * parameter;
    return rounding == SCALE_F16    ? rt_half_to_float(rt_half_nearest(v))
           : rounding == SCALE_BF16 ? rt_bf16_to_float(rt_bf16_nearest(v))
                                    : v;
}

static float zero_of(float base, float parameter, const struct train_scale_set *set)
{
    const float v = base + SCALE_ZERO_STEP * (parameter - 1.0f);
    return fmaxf(fminf((float)set->low, base),
                 fminf(fmaxf((float)set->high, base), rintf(v)));
}

/* Numbers [from, from + count) of the flat buffers, as the weights have them. */
static rt_status read_numbers(struct rt_scales *s, const struct train_scale_set *set,
                              bool whole, uint64_t from, uint64_t count, float *values)
{
    rt_status st;
    struct rt_ctx *ctx = rt_device_ctx(s->model->dev);
    const uint64_t bytes = count * sizeof(float);
    float *parameter = rt_alloc(ctx, count, sizeof *parameter);
    if (!parameter)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "scales: no host memory");
    TRY(rt_buffer_read(s->base, from * sizeof(float), values, bytes));
    TRY(rt_buffer_read(s->params, from * sizeof(float), parameter, bytes));
    for (uint64_t i = 0; i < count; i++)
        values[i] = whole ? zero_of(values[i], parameter[i], set)
                          : scale_of(values[i], parameter[i], set->rounding);

fail:
    rt_free(parameter);
    return st;
}

/* What one run holds of a part, to its place among the rows of the part. */
static rt_status read_run(struct rt_scales *s, const struct train_scale_set *set,
                          const struct model_group_shape *shape,
                          const struct model_run *run, uint32_t part, uint32_t groups,
                          float *values[2])
{
    rt_status st = RT_OK;
    uint32_t of_part, of_run;
    struct rt_ctx *ctx = rt_device_ctx(s->model->dev);
    const uint32_t rows = model_rows_in_run(shape, run, part, &of_part, &of_run);
    const uint64_t all = (uint64_t)set->weight->shape.out_pad * set->blocks;
    const uint64_t count = (uint64_t)rows * set->blocks;
    float *own = rt_alloc(ctx, count, sizeof *own);
    if (!own)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "scales: no host memory");
    for (uint32_t i = 0; i < numbers_of(set) && values[i]; i++) {
        TRY(read_numbers(s, set, i == 1 && set->zeros == SCALE_ZERO_WHOLE,
                         set->at + i * all + (uint64_t)of_run * set->blocks, count, own));
        for (uint32_t r = 0; r < rows; r++)
            memcpy(values[i] + (size_t)(of_part + r) * groups,
                   own + (size_t)r * set->blocks, groups * sizeof *own);
    }

fail:
    rt_free(own);
    return st;
}

rt_status rt_scales_read(struct rt_scales *s, uint32_t layer, enum fmt_module module,
                         uint32_t groups, float *values, float *zeros)
{
    rt_status st;
    uint32_t part;
    const struct rt_model *m = s->model;
    assert(layer < m->config.layers);
    const enum model_group g = model_group_of(m->shape, module, &part);
    const struct model_runs *runs = &m->layers[layer].group[g];
    float *both[2] = { values, zeros };
    for (uint32_t r = 0; r < runs->count; r++) {
        const struct model_run *run = &runs->run[r];
        if (part < run->part0 || part >= run->part0 + run->parts)
            continue;
        const struct train_scale_set *set = train_scale_set_of(s, layer, g, r);
        if (!set || groups > set->blocks)
            break;
        TRY(read_run(s, set, &m->shape[g], run, part, groups, both));
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

/* runtime/quant/rescale.c
 * Writes a packed folder again with other scales. */
#include "runtime/quant/rescale.h"

#include "runtime/base/os.h"
#include "runtime/format/gguf.h"
#include "runtime/format/safetensors.h"
#include "runtime/quant/folder.h"
#include "runtime/quant/folder_impl.h"
#include "runtime/quant/quant_files.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct rescaling {
    struct rt_ctx *ctx;
    const char *from;
    struct fmt_model *model;
    quant_scales_fn *scales;
    void *user;
    struct fmt_tensor_info *infos; /* of all tensors */
    struct fmt_tensor_out *tensors;
    void **owned; /* new data, NULL: that of the file */
    uint32_t count;
};

static rt_status no_memory(struct rt_ctx *ctx)
{
    return rt_fail(ctx, RT_ERR_HOST_MEMORY, "refine: no host memory");
}

/* All tensors as the files have them. */
static rt_status list_tensors(struct rescaling *r)
{
    struct fmt_tensor_info info;
    uint32_t n = 0;
    while (fmt_tensor_at(r->model, n, &info))
        n++;
    r->infos = rt_alloc(r->ctx, n, sizeof *r->infos);
    r->tensors = rt_alloc(r->ctx, n, sizeof *r->tensors);
    r->owned = rt_alloc(r->ctx, n, sizeof *r->owned);
    if (!r->infos || !r->tensors || !r->owned)
        return no_memory(r->ctx);
    for (r->count = 0; r->count < n; r->count++) {
        struct fmt_tensor_info *t = &r->infos[r->count];
        struct fmt_tensor_out *out = &r->tensors[r->count];
        fmt_tensor_at(r->model, r->count, t);
        if (t->dtype == FMT_OTHER)
            return rt_fail(r->ctx, RT_ERR_INPUT,
                           "'%s': tensor '%s' has a type that is not known", r->from,
                           t->name);
        *out = (struct fmt_tensor_out){
            .name = t->name, .dtype = t->dtype, .dims = t->dims, .data = t->data
        };
        memcpy(out->shape, t->shape, sizeof out->shape);
    }
    return RT_OK;
}

/* Puts a float as element i; false: the type does not hold it. */
static bool put_scale(void *data, enum fmt_dtype dtype, uint64_t i, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (dtype == FMT_F32) {
        ((float *)data)[i] = value;
        return true;
    }
    if (dtype == FMT_F16) {
        const uint16_t half = rt_half_nearest(value);
        ((uint16_t *)data)[i] = half;
        return rt_half_to_float(half) == value;
    }
    ((uint16_t *)data)[i] = (uint16_t)(bits >> 16);
    return dtype == FMT_BF16 && (bits & 0xffff) == 0;
}

static rt_status fill_scales(struct rescaling *r, const struct fmt_scales *s,
                             uint32_t out, const float *values, void *data)
{
    for (uint32_t row = 0; row < out; row++)
        for (uint32_t g = 0; g < s->groups; g++) {
            const uint64_t at =
                s->across ? (uint64_t)g * out + row : (uint64_t)row * s->groups + g;
            const float value = values[(size_t)row * s->groups + g];
            if (!put_scale(data, s->dtype, at, value))
                return rt_fail(r->ctx, RT_ERR_INTERNAL,
                               "'%s': a scale of %.9g is none of its type", s->name,
                               (double)value);
        }
    return RT_OK;
}

/* A copy of what a tensor has, which is written in its place. */
static rt_status replace_tensor(struct rescaling *r, const char *name, void **data)
{
    uint32_t i = 0;
    while (i < r->count && strcmp(r->infos[i].name, name) != 0)
        i++;
    assert(i < r->count && !r->owned[i]);
    r->owned[i] = rt_alloc(r->ctx, r->infos[i].stored_size, 1);
    r->tensors[i].data = *data = r->owned[i];
    if (!r->owned[i])
        return no_memory(r->ctx);
    memcpy(r->owned[i], r->infos[i].stored, r->infos[i].stored_size);
    return RT_OK;
}

/* The new scales of one projection, in place of the file's, and zero points alike. */
static rt_status rescale_module(struct rescaling *r, uint32_t layer,
                                enum fmt_module module)
{
    rt_status st;
    char name[128];
    uint32_t out, in;
    struct fmt_scales s;
    float *values = NULL, *zeros = NULL;
    void *data, *words;
    snprintf(name, sizeof name, "model.layers.%u.%s", layer, fmt_module_path[module]);
    TRY(fmt_weight_scales(r->model, name, &s));
    if (!s.name[0])
        return RT_OK;
    TRY(fmt_weight_size(r->model, name, &out, &in));
    const uint64_t count = (uint64_t)out * s.groups;
    const bool has_zeros = s.zeros == FMT_ZEROS_WHOLE;
    values = rt_alloc(r->ctx, count, sizeof *values);
    zeros = rt_alloc(r->ctx, count, sizeof *zeros);
    if (!values || !zeros) {
        st = no_memory(r->ctx);
        goto fail;
    }
    if (has_zeros)
        TRY(fmt_weight_zeros(r->model, name, zeros));
    TRY(r->scales(r->user, layer, module, s.groups, values, has_zeros ? zeros : NULL));
    TRY(replace_tensor(r, s.name, &data));
    TRY(fill_scales(r, &s, out, values, data));
    if (has_zeros) {
        TRY(replace_tensor(r, s.zeros_name, &words));
        TRY(fmt_weight_put_zeros(r->model, name, zeros, words));
    }

fail:
    rt_free(values);
    rt_free(zeros);
    return st;
}

static rt_status write_folder(struct rescaling *r, const char *part)
{
    rt_status st;
    char path[4200];
    TRY(list_tensors(r));
    for (uint32_t l = 0; l < fmt_model_config(r->model)->layers; l++)
        for (int m = 0; m < FMT_MODULE_COUNT; m++)
            TRY(rescale_module(r, l, (enum fmt_module)m));
    snprintf(path, sizeof path, "%.4100s/model.safetensors", part);
    TRY(fmt_safetensors_write(r->ctx, path, r->tensors, r->count, NULL));
    TRY(quant_files_copy(r->ctx, r->from, part));

fail:
    return st;
}

static void deinit(struct rescaling *r)
{
    for (uint32_t i = 0; r->owned && i < r->count; i++)
        rt_free(r->owned[i]);
    rt_free(r->owned);
    rt_free(r->tensors);
    rt_free(r->infos);
    fmt_model_close(&r->model);
}

rt_status quant_target(struct rt_ctx *ctx, const char *from, const char *target,
                       bool force, char to[QUANT_PATH_MAX])
{
    const size_t length = fmt_path_length(target); /* the part lies beside */
    if (length == 0 || length >= QUANT_PATH_MAX || strlen(from) >= QUANT_PATH_MAX)
        return rt_fail(ctx, RT_ERR_USAGE, "a name is empty or over 4000 characters");
    snprintf(to, QUANT_PATH_MAX, "%.*s", (int)length, target);
    if (os_same(from, to))
        return rt_fail(ctx, RT_ERR_USAGE,
                       "'%s' is the model that is read; write to another place", to);
    if (fmt_exists(to) && !force)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "'%s' exists already; use --force or another name", to);
    return RT_OK;
}

rt_status quant_rescale(struct rt_ctx *ctx, const char *from, const char *to,
                        quant_scales_fn *scales, void *user)
{
    rt_status st;
    char part[4150];
    struct rescaling r = { .ctx = ctx, .from = from, .scales = scales, .user = user };
    if (fmt_gguf_is(from))
        return quant_rescale_gguf(ctx, from, to, scales, user);
    snprintf(part, sizeof part, "%s.part-%lld", to, (long long)os_process_id());
    TRY(fmt_model_open(ctx, from, &r.model));
    TRY(fmt_make_folder(ctx, part));
    st = write_folder(&r, part);
    if (st == RT_OK)
        st = quant_folder_place(ctx, part, to);
    if (st != RT_OK)
        quant_files_remove(part);

fail:
    deinit(&r);
    return st;
}

/* pipeline/run/dequant.c
 * A name may be that of a module, of its tensor, or a file's own. */
#include "pipeline/run/dequant.h"

#include "runtime/format/checkpoint.h"

#include <stdio.h>
#include <string.h>

/* NAME without the ending of the tensor that holds its codes. */
static void module_of(const char *name, char *module, size_t size)
{
    static const char *const endings[] = { ".weight_packed", ".qweight", ".weight" };
    snprintf(module, size, "%s", name);
    for (size_t i = 0; i < RT_COUNT(endings); i++) {
        const size_t n = strlen(module), m = strlen(endings[i]);
        if (n > m && strcmp(module + n - m, endings[i]) == 0) {
            module[n - m] = '\0';
            return;
        }
    }
}

/* Whether a name is that of a module or tensor; else an example of one, "" for none. */
static bool has_tensor(const struct fmt_model *model, const char *module,
                       struct fmt_tensor_info *example)
{
    struct fmt_tensor_info info;
    const size_t n = strlen(module);
    *example = (struct fmt_tensor_info){ .dtype = FMT_F32 };
    for (uint32_t i = 0; fmt_tensor_at(model, i, &info); i++) {
        if (strncmp(info.name, module, n) == 0 && info.name[n] == '.')
            return true;
        if (!example->name[0])
            *example = info;
    }
    return fmt_tensor_exists(model, module); /* a file's own name */
}

/* Whether the weight of a module, whose tensor's name goes to `full`, is a norm's. */
static bool is_vector(const struct fmt_model *model, const char *module, char *full,
                      size_t size)
{
    struct fmt_tensor_info info;
    snprintf(full, size, "%s.weight", module);
    for (uint32_t i = 0; fmt_tensor_at(model, i, &info); i++)
        if (strcmp(info.name, full) == 0)
            return info.dims == 1;
    return false;
}

/* What a name stands for. */
struct found {
    const char *name; /* of a tensor, or of a module where cols > 0 */
    char made[512];   /* what `name` points at where it is not the one asked for */
    uint32_t rows, cols;
    uint64_t count; /* values */
};

static rt_status find(struct rt_ctx *ctx, struct fmt_model *model, const char *path,
                      const char *name, struct found *out)
{
    struct fmt_tensor_info example;
    *out = (struct found){ .name = name, .count = fmt_tensor_count(model, name) };
    if (out->count)
        return RT_OK;
    out->name = out->made;
    if (is_vector(model, name, out->made, sizeof out->made)) {
        out->count = fmt_tensor_count(model, out->name);
        if (out->count)
            return RT_OK;
    }
    module_of(name, out->made, sizeof out->made);
    if (!has_tensor(model, out->name, &example))
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s' has no tensor '%.120s'; they are named as in '%.120s'", path,
                       name, example.name);
    const rt_status st = fmt_weight_size(model, out->name, &out->rows, &out->cols);
    out->count = (uint64_t)out->rows * out->cols;
    return st;
}

rt_status pipe_dequant(struct rt_ctx *ctx, const char *path, const char *tensor,
                       float **out, uint64_t *count)
{
    rt_status st;
    struct fmt_model *model = NULL;
    float *values = NULL;
    struct found f;
    *out = NULL;
    *count = 0;
    TRY(fmt_model_open_tensors(ctx, path, &model));
    TRY(find(ctx, model, path, tensor, &f));
    values = rt_alloc(ctx, f.count, sizeof *values);
    if (!values) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory for %llu values",
                     (unsigned long long)f.count);
        goto fail;
    }
    if (f.cols)
        TRY(fmt_weight_floats(model, f.name, f.rows, f.cols, values));
    else
        TRY(fmt_tensor_f32(model, f.name, f.count, values));
    *out = values;
    *count = f.count;
    values = NULL;

fail:
    fmt_model_close(&model);
    rt_free(values);
    return st;
}

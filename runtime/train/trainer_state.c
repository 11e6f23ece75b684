/* runtime/train/trainer_state.c
 * Checkpoints: a safetensors file with the flat parameter buffer and both moments, as
 * bits, and the number of updates in its metadata. */
#include "runtime/format/safetensors.h"
#include "runtime/train/trainer.h"

#include <stdio.h>
#include <string.h>

static const char *const names[] = { "m", "params", "updates", "v" };

static struct rt_buffer *state_buffer(struct rt_trainer *t, const char *name)
{
    return name[0] == 'm' ? t->m : name[0] == 'v' ? t->v : t->adapter->params;
}

rt_status rt_trainer_save(struct rt_trainer *t, const char *path)
{
    rt_status st;
    struct rt_ctx *ctx = rt_device_ctx(t->model->dev);
    const uint64_t n = t->adapter->param_floats;
    float *values = rt_alloc(ctx, 3 * n, sizeof *values);
    if (!values)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "checkpoint: no host memory");
    const int64_t updates = (int64_t)t->updates;
    struct fmt_tensor_out tensors[RT_COUNT(names)];
    uint32_t part = 0;
    for (size_t i = 0; i < RT_COUNT(names); i++) {
        if (strcmp(names[i], "updates") == 0) {
            tensors[i] = (struct fmt_tensor_out){ names[i], FMT_I64, 1, { 1 }, &updates };
            continue;
        }
        float *at = values + part++ * n;
        TRY(rt_buffer_read(state_buffer(t, names[i]), 0, at, n * sizeof *at));
        tensors[i] = (struct fmt_tensor_out){ names[i], FMT_F32, 1, { n }, at };
    }
    TRY(fmt_safetensors_write(ctx, path, tensors, RT_COUNT(names), NULL));

fail:
    rt_free(values);
    return st;
}

rt_status rt_trainer_load(struct rt_trainer *t, const char *path)
{
    rt_status st;
    struct rt_ctx *ctx = rt_device_ctx(t->model->dev);
    struct fmt_safetensors file;
    const uint64_t n = t->adapter->param_floats;
    TRY(fmt_safetensors_open(ctx, path, &file));
    const struct fmt_tensor *found[RT_COUNT(names)];
    for (size_t i = 0; i < RT_COUNT(names); i++) { /* before anything changes */
        const struct fmt_tensor *tensor = fmt_safetensors_find(&file, names[i]);
        const bool counter = strcmp(names[i], "updates") == 0;
        found[i] = tensor;
        if (!tensor || tensor->count != (counter ? 1 : n) ||
            tensor->dtype != (counter ? FMT_I64 : FMT_F32)) {
            st = rt_fail(ctx, RT_ERR_INPUT,
                         "'%s' is no checkpoint of this adapter ('%s' does not fit); "
                         "delete it to start again",
                         path, names[i]);
            goto fail;
        }
    }
    for (size_t i = 0; i < RT_COUNT(names); i++) {
        if (strcmp(names[i], "updates") == 0)
            memcpy(&t->updates, found[i]->data, sizeof t->updates);
        else
            TRY(rt_buffer_write(state_buffer(t, names[i]), 0, found[i]->data, n * 4));
    }
    TRY(rt_submit(t->model->dev, t->adapter->pack));
    TRY(rt_wait(t->model->dev));
    t->has_gradient = false;

fail:
    fmt_safetensors_close(&file);
    return st;
}

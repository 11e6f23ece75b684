/* runtime/train/trainer_state.c
 * Checkpoints: a safetensors file with the flat buffers of every kind of parameters and
 * both of its moments, as bits, and the number of updates. */
#include "runtime/format/safetensors.h"
#include "runtime/train/trainer.h"

#include <stdio.h>
#include <string.h>

enum { BUFFERS = 3, TENSORS_MAX = BUFFERS * TRAINER_PARTS_MAX + 1 };

static const char *const names[BUFFERS] = { "m", "params", "v" };

/* The i-th buffer of a checkpoint. */
struct state_tensor {
    char name[32];
    struct rt_buffer *buffer;
    uint64_t floats;
};

static uint32_t list_tensors(const struct rt_trainer *t,
                             struct state_tensor out[TENSORS_MAX])
{
    uint32_t n = 0;
    for (uint32_t p = 0; p < t->part_count; p++) {
        const struct trainer_part *part = &t->parts[p];
        struct rt_buffer *const buffers[BUFFERS] = { part->m, part->params, part->v };
        for (uint32_t i = 0; i < BUFFERS; i++, n++) {
            snprintf(out[n].name, sizeof out[n].name, "%s%s", part->prefix, names[i]);
            out[n].buffer = buffers[i];
            out[n].floats = part->floats;
        }
    }
    return n;
}

rt_status rt_trainer_save(struct rt_trainer *t, const char *path)
{
    rt_status st;
    struct rt_ctx *ctx = rt_device_ctx(t->model->dev);
    struct state_tensor state[TENSORS_MAX];
    struct fmt_tensor_out tensors[TENSORS_MAX];
    const uint32_t count = list_tensors(t, state);
    const int64_t updates = (int64_t)t->updates;
    uint64_t all = 0, at = 0;
    for (uint32_t i = 0; i < count; i++)
        all += state[i].floats;
    float *values = rt_alloc(ctx, all, sizeof *values);
    if (!values)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "checkpoint: no host memory");
    for (uint32_t i = 0; i < count; at += state[i++].floats) {
        const uint64_t n = state[i].floats;
        TRY(rt_buffer_read(state[i].buffer, 0, values + at, n * sizeof *values));
        tensors[i] =
            (struct fmt_tensor_out){ state[i].name, FMT_F32, 1, { n }, values + at };
    }
    tensors[count] = (struct fmt_tensor_out){ "updates", FMT_I64, 1, { 1 }, &updates };
    TRY(fmt_safetensors_write(ctx, path, tensors, count + 1, NULL));

fail:
    rt_free(values);
    return st;
}

static rt_status find(struct rt_trainer *t, const struct fmt_safetensors *file,
                      const char *path, const char *name, uint64_t count,
                      enum fmt_dtype dtype, const struct fmt_tensor **out)
{
    *out = fmt_safetensors_find(file, name);
    if (*out && (*out)->count == count && (*out)->dtype == dtype)
        return RT_OK;
    return rt_fail(rt_device_ctx(t->model->dev), RT_ERR_INPUT,
                   "'%s' is no checkpoint of this training ('%s' does not fit); delete "
                   "it to start again",
                   path, name);
}

rt_status rt_trainer_load(struct rt_trainer *t, const char *path)
{
    rt_status st;
    struct rt_ctx *ctx = rt_device_ctx(t->model->dev);
    struct fmt_safetensors file;
    struct rt_list *pack = NULL;
    struct state_tensor state[TENSORS_MAX];
    const struct fmt_tensor *found[TENSORS_MAX], *updates;
    const uint32_t count = list_tensors(t, state);
    TRY(fmt_safetensors_open(ctx, path, &file));
    for (uint32_t i = 0; i < count; i++) /* before anything changes */
        TRY(find(t, &file, path, state[i].name, state[i].floats, FMT_F32, &found[i]));
    TRY(find(t, &file, path, "updates", 1, FMT_I64, &updates));
    for (uint32_t i = 0; i < count; i++)
        TRY(rt_buffer_write(state[i].buffer, 0, found[i]->data, state[i].floats * 4));
    memcpy(&t->updates, updates->data, sizeof t->updates);
    TRY(rt_list_create(t->model->dev, "pack parameters", &pack));
    trainer_record_pack(t, pack);
    TRY(rt_list_end(pack));
    TRY(rt_submit(t->model->dev, pack));
    TRY(rt_wait(t->model->dev));
    t->has_gradient = false;

fail:
    rt_list_destroy(&pack);
    fmt_safetensors_close(&file);
    return st;
}

/* runtime/quant/job.c
 * Files of a folder of unfinished work. */
#include "runtime/quant/job.h"

#include "runtime/base/file.h"
#include "runtime/base/os.h"
#include "runtime/format/safetensors.h"

#include <stdio.h>
#include <string.h>

void quant_job_hash_text(struct sha256 *hash, const struct rt_model *model,
                         const struct train_sequence *sequences, uint32_t count)
{
    struct rt_device *dev = rt_model_device(model);
    const struct rt_plan *p = rt_device_plan(dev);
    const char *name = rt_device_info_of(dev)->name;
    /* What hidden states are computed in: options of every command choose it. */
    const uint32_t words[] = { p->family, p->products, p->float_inputs };
    sha256_add(hash, name, strlen(name) + 1);
    sha256_add(hash, words, sizeof words);
    for (uint32_t i = 0; i < count; i++) {
        const struct train_sequence *s = &sequences[i];
        sha256_add(hash, &s->n, sizeof s->n);
        sha256_add(hash, s->ids, s->n * sizeof *s->ids);
        if (s->weight)
            sha256_add(hash, s->weight, s->n * sizeof *s->weight);
    }
}

static void path_of(const char *folder, char path[4300])
{
    snprintf(path, 4300, "%.4200s/job.json", folder);
}

rt_status quant_job_write(struct rt_ctx *ctx, const char *folder, const char *key)
{
    char path[4300];
    json_t *job =
        json_pack("{s:s, s:I}", "key", key, "process", (json_int_t)os_process_id());
    path_of(folder, path);
    const rt_status st =
        job ? fmt_json_write(ctx, path, job)
            : rt_fail(ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory for '%s'", path);
    json_decref(job);
    return st;
}

/* The folder's job; NULL: it has none that can be read. */
static json_t *job_of(struct rt_ctx *ctx, const char *folder)
{
    char path[4300];
    json_t *job = NULL;
    path_of(folder, path);
    return fmt_exists(path) && fmt_json_read(ctx, path, &job) == RT_OK ? job : NULL;
}

static const char *key_of(const json_t *job)
{
    const char *key = json_string_value(json_object_get(job, "key"));
    return key ? key : "";
}

bool quant_job_is_of(struct rt_ctx *ctx, const char *folder, const char *beginning)
{
    json_t *job = job_of(ctx, folder);
    const bool is_of = job && strncmp(key_of(job), beginning, strlen(beginning)) == 0;
    json_decref(job);
    return is_of;
}

rt_status quant_job_read(struct rt_ctx *ctx, const char *folder, const char *key,
                         bool *same)
{
    json_t *job = job_of(ctx, folder); /* what is not ours to read is made anew */
    const int64_t process = json_integer_value(json_object_get(job, "process"));
    *same = job && strcmp(key_of(job), key) == 0;
    json_decref(job);
    if (process > 0 && process != os_process_id() && !os_process_gone(process))
        return rt_fail(ctx, RT_ERR_USAGE,
                       "process %lld works in '%s' already; wait for it, or delete that "
                       "folder if no quantize runs",
                       (long long)process, folder);
    return RT_OK;
}

/* ---- layers ---- */

void quant_job_path(const char *folder, const char *kind, uint32_t n, char out[4300])
{
    snprintf(out, 4300, "%.4200s/%s-%04u.safetensors", folder, kind, n);
}

uint32_t quant_job_layers(const char *folder, uint32_t all, bool needs_hidden)
{
    char path[4300];
    uint32_t n = 0;
    for (; n < all; n++) {
        quant_job_path(folder, "layer", n, path);
        if (!fmt_exists(path))
            break;
    }
    quant_job_path(folder, "hidden", n, path);
    return needs_hidden && n < all && !fmt_exists(path) ? 0 : n;
}

rt_status quant_job_put_hidden(struct rt_ctx *ctx, const char *folder, uint32_t layer,
                               const float *hidden, uint64_t floats)
{
    char path[4300];
    const struct fmt_tensor_out tensor = {
        .name = "hidden", .dtype = FMT_F32, .dims = 1, .shape = { floats }, .data = hidden
    };
    quant_job_path(folder, "hidden", layer, path);
    return fmt_safetensors_write(ctx, path, &tensor, 1, NULL);
}

rt_status quant_job_get_hidden(struct rt_ctx *ctx, const char *folder, uint32_t layer,
                               float *hidden, uint64_t floats)
{
    rt_status st;
    char path[4300];
    struct fmt_safetensors file = { 0 };
    quant_job_path(folder, "hidden", layer, path);
    TRY(fmt_safetensors_open(ctx, path, &file));
    const struct fmt_tensor *t = fmt_safetensors_find(&file, "hidden");
    if (t && t->dtype == FMT_F32 && t->count == floats)
        memcpy(hidden, t->data, t->size);
    else
        st = rt_fail(ctx, RT_ERR_INPUT,
                     "'%s' does not hold the inputs of a layer; delete '%s' and start "
                     "again",
                     path, folder);

fail:
    fmt_safetensors_close(&file);
    return st;
}

void quant_job_clear(const char *path)
{
    char file[4300];
    const char *name;
    struct os_folder *folder = os_folder_open(path);
    while (folder && (name = os_folder_next(folder)))
        if (os_pattern_fits("layer-*.safetensors*", name) ||
            os_pattern_fits("hidden-*.safetensors*", name) ||
            os_pattern_fits("kept-*.safetensors*", name) ||
            os_pattern_fits("group-*.safetensors*", name)) {
            snprintf(file, sizeof file, "%.4050s/%.200s", path, name);
            remove(file);
        }
    os_folder_close(folder);
}

void quant_job_remove(const char *folder)
{
    char path[4300];
    quant_job_clear(folder);
    path_of(folder, path);
    remove(path);
    os_remove_folder(folder);
}

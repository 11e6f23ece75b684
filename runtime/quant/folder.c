/* runtime/quant/folder.c
 * A whole model: float folder or GGUF file in, compressed-tensors "pack-quantized" folder
 * out. */
#include "runtime/quant/folder_impl.h"

#include "runtime/base/os.h"
#include "runtime/format/peft.h"
#include "runtime/quant/width_plan.h"
#include "runtime/quant/quant_files.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LARGE = 16 << 20 /* bytes of a kept tensor that does not stay in memory */ };

rt_status quant_no_memory(struct quant_writer *w)
{
    return rt_fail(w->ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory");
}

rt_status quant_add_output(struct quant_writer *w, const char *name, const char *suffix,
                           enum fmt_dtype dtype, uint64_t rows, uint64_t cols,
                           void *owned)
{
    char *full = rt_format(w->ctx, "%s%s", name, suffix);
    if (w->count == w->capacity) {
        const uint32_t capacity = w->capacity ? 2 * w->capacity : 64;
        struct quant_output *outputs =
            rt_resize(w->ctx, w->outputs, w->capacity, capacity, sizeof *outputs);
        if (outputs) {
            w->outputs = outputs;
            w->capacity = capacity;
        }
    }
    if (!full || w->count == w->capacity) {
        rt_free(full);
        rt_free(owned);
        return quant_no_memory(w);
    }
    struct quant_output *o = &w->outputs[w->count++];
    o->name = full;
    o->owned = owned;
    o->tensor = (struct fmt_tensor_out){
        .dtype = dtype, .dims = cols ? 2 : 1, .shape = { rows, cols }, .data = owned
    };
    return RT_OK;
}

rt_status quant_check_finite(struct quant_writer *w, const char *name, size_t first,
                             const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(values[i]) <= FLT_MAX / 2))
            return rt_fail(
                w->ctx, RT_ERR_INPUT,
                "'%s': tensor '%s' holds a value that is not finite at %zu; the file is "
                "damaged, get it again",
                w->from, name, first + i);
    return RT_OK;
}

static bool find_tensor(const struct fmt_model *model, const char *name,
                        struct fmt_tensor_info *out)
{
    for (uint32_t i = 0; fmt_tensor_at(model, i, out); i++)
        if (strcmp(out->name, name) == 0)
            return true;
    return false;
}

/* Whether the model's head is its embedding: config.json says so, and a head in the files
 * is not read, or both are stored with the same bytes. */
static bool is_tied(const struct fmt_model *model)
{
    struct fmt_tensor_info embed, head;
    if (fmt_model_config(model)->tied)
        return true;
    if (!find_tensor(model, "lm_head.weight", &head) ||
        !find_tensor(model, "model.embed_tokens.weight", &embed))
        return false;
    const bool is_alike = head.blocks && embed.blocks
                              ? strcmp(head.blocks, embed.blocks) == 0
                              : head.blocks == embed.blocks && head.dtype == embed.dtype;
    return is_alike && head.stored_size == embed.stored_size &&
           memcmp(head.stored, embed.stored, head.stored_size) == 0;
}

bool quant_find_module(const char *tensor, uint32_t *layer, enum fmt_module *module)
{
    unsigned number;
    int end = 0;
    if (sscanf(tensor, "model.layers.%9u.%n", &number, &end) != 1 || end == 0)
        return false;
    const char *rest = tensor + end;
    *layer = number;
    for (int i = 0; i < FMT_MODULE_COUNT; i++) {
        const size_t n = strlen(fmt_module_path[i]);
        *module = (enum fmt_module)i;
        if (strncmp(rest, fmt_module_path[i], n) == 0 && rest[n] == '.')
            return strcmp(rest + n, ".bias") != 0;
    }
    return false;
}

/* ---- layers ---- */

rt_status quant_finish_layer(struct quant_writer *w)
{
    rt_status st = RT_OK;
    struct fmt_tensor_info t;
    for (uint32_t i = 0; i < w->divided_count; i++)
        if (find_tensor(w->model, w->divided[i].name, &t))
            TRY(quant_keep_tensor(w, &t));

fail:
    for (uint32_t i = 0; i < w->divided_count; i++)
        rt_free(w->divided[i].divisors);
    w->divided_count = 0;
    return st;
}

/* The projections of a layer, without calibration. A packed one has several tensors. */
static rt_status make_layer(struct quant_writer *w, uint32_t layer)
{
    rt_status st;
    struct fmt_tensor_info t;
    enum fmt_module module;
    uint32_t of, out, in, made = 0;
    char name[FMT_TENSOR_NAME_MAX];
    for (uint32_t i = 0; fmt_tensor_at(w->model, i, &t); i++) {
        if (!quant_find_module(t.name, &of, &module) || of != layer || made >> module & 1)
            continue;
        made |= 1u << module;
        snprintf(name, sizeof name, "model.layers.%u.%s", layer, fmt_module_path[module]);
        fmt_module_size(fmt_model_config(w->model), module, &out, &in);
        TRY(quant_module(w, name, out, in));
    }
    TRY(quant_part_layer(w, layer));

fail:
    return st;
}

static rt_status make_layers(struct quant_writer *w)
{
    rt_status st;
    uint32_t done;
    const uint32_t layers = fmt_model_config(w->model)->layers;
    TRY(quant_part_resume(w, &done));
    if (w->calibration && done < layers)
        return quant_modules_calibrated(w, done);
    for (uint32_t l = done; l < layers; l++)
        TRY(make_layer(w, l));

fail:
    return st;
}

static rt_status check_complete(struct quant_writer *w)
{
    struct fmt_tensor_info t;
    enum fmt_module module;
    uint32_t layer, there = 0;
    const uint32_t layers = fmt_model_config(w->model)->layers;
    uint32_t *found = rt_alloc(w->ctx, layers, sizeof *found); /* a bit per module */
    if (!found)
        return quant_no_memory(w);
    for (uint32_t i = 0; fmt_tensor_at(w->model, i, &t); i++)
        if (quant_find_module(t.name, &layer, &module) && layer < layers &&
            !(found[layer] >> module & 1)) {
            found[layer] |= 1u << module;
            there++;
        }
    rt_free(found);
    if (there != layers * FMT_MODULE_COUNT)
        return rt_fail(w->ctx, RT_ERR_INPUT,
                       "'%s' has %u projection matrices, its config.json asks for %u; "
                       "it is incomplete, get it again",
                       w->from, there, layers * FMT_MODULE_COUNT);
    return RT_OK;
}

/* ---- the rest ---- */

static bool is_made(const struct quant_writer *w, const char *name)
{
    for (uint32_t i = 0; i < w->flushed; i++)
        if (strcmp(w->outputs[i].name, name) == 0)
            return true;
    return false;
}

static rt_status keep_tensors(struct quant_writer *w)
{
    rt_status st = RT_OK;
    struct fmt_tensor_info t;
    for (uint32_t i = 0; fmt_tensor_at(w->model, i, &t); i++)
        if (quant_is_kept(&w->tables, w->tied, t.name) && !is_made(w, t.name)) {
            TRY(quant_keep_tensor(w, &t));
            if (t.blocks && t.stored_size >= LARGE)
                TRY(quant_part_kept(w));
        }
    TRY(quant_keep_tables(w));

fail:
    return st;
}

static rt_status make_tensors(struct quant_writer *w)
{
    rt_status st;
    TRY(make_layers(w));
    TRY(keep_tensors(w));
    w->report->bits_per_weight /= (double)w->report->weights;

fail:
    return st;
}

/* Names of the matrices of a folder of rounded inputs whose own stay floats: those that are
 * packed; NULL: there is no memory. */
static json_t *float_inputs_of(const struct quant_writer *w)
{
    json_t *names = json_array();
    for (uint32_t i = 0; names && i < w->count; i++) {
        const char *name = w->outputs[i].name, *dot = strrchr(name, '.');
        if (w->asked->inputs != QUANT_INPUTS_FLOATS && dot &&
            strcmp(dot, ".weight_packed") == 0 &&
            json_array_append_new(names, json_stringn(name, (size_t)(dot - name))) != 0) {
            json_decref(names);
            return NULL;
        }
    }
    return names;
}

rt_status quant_write_files(struct quant_writer *w, const char *to, bool tied)
{
    json_t *names = w->asked ? float_inputs_of(w) : NULL;
    if (w->asked && !names)
        return quant_no_memory(w);
    const rt_status st =
        quant_files_write(w->ctx, w->from, to, w->asked, names, w->floats, tied);
    json_decref(names);
    return st;
}

static rt_status write_folder(struct quant_writer *w, const char *to)
{
    rt_status st;
    char path[4300];
    struct fmt_tensor_out *tensors = rt_alloc(w->ctx, w->count, sizeof *tensors);
    if (!tensors)
        return quant_no_memory(w);
    for (uint32_t i = 0; i < w->count; i++) {
        tensors[i] = w->outputs[i].tensor;
        tensors[i].name = w->outputs[i].name;
    }
    snprintf(path, sizeof path, "%.4200s/model.safetensors", to);
    TRY(fmt_safetensors_write(w->ctx, path, tensors, w->count, NULL));
    TRY(quant_write_files(w, to, w->tied));

fail:
    rt_free(tensors);
    return st;
}

rt_status quant_folder_place(struct rt_ctx *ctx, const char *part, const char *to)
{
    char old[4150];
    snprintf(old, sizeof old, "%s.old-%lld", to, (long long)os_process_id());
    const bool there = fmt_exists(to);
    if (there && rename(to, old) != 0)
        return rt_fail(ctx, RT_ERR_IO, "cannot move '%s' aside: %s", to, strerror(errno));
    if (rename(part, to) != 0) {
        const int reason = errno;
        const bool back = !there || rename(old, to) == 0;
        return rt_fail(ctx, RT_ERR_IO, "cannot put '%s' in place: %s%s%s%s", to,
                       strerror(reason), back ? "" : "; what was there is now '",
                       back ? "" : old, back ? "" : "'");
    }
    if (there)
        rt_log(ctx, RT_LOG_WARNING, "the folder that was there is now '%s'", old);
    return fmt_sync_parent(ctx, to);
}

rt_status quant_check_source(struct rt_ctx *ctx, const char *from,
                             struct fmt_model *model)
{
    char text[512];
    const rt_status st = fmt_model_stored(model, text, sizeof text);
    if (st == RT_OK && text[0])
        rt_log(ctx, RT_LOG_WARNING,
               "'%s' is quantized already (%s): its values stand in for those of a "
               "full-precision model",
               from, text);
    return st;
}

bool quant_is_resumable(rt_status st)
{
    return st != RT_OK && st != RT_ERR_USAGE && st != RT_ERR_INPUT;
}

static void keep_or_remove(struct quant_writer *w, rt_status st)
{
    if (!quant_is_resumable(st) || w->file_count == 0 || w->asked->once) {
        quant_part_remove(w);
        return;
    }
    const uint32_t layers = fmt_model_config(w->model)->layers;
    rt_log(w->ctx, RT_LOG_WARNING,
           "%u of %u layers are kept in '%s': the same command continues there",
           w->file_count < layers ? w->file_count : layers, layers, w->part);
}

rt_status quant_folder_finish(struct quant_writer *w, const char *to)
{
    rt_status st;
    char whole[4300];
    snprintf(whole, sizeof whole, "%.4200s/whole", w->part);
    TRY(fmt_make_folder(w->ctx, whole));
    st = write_folder(w, whole);
    if (st == RT_OK)
        st = quant_folder_place(w->ctx, whole, to);
    if (st != RT_OK)
        quant_files_remove(whole);

fail:
    return st;
}

/* The folder in its part, then in its place. */
static rt_status make_folder(struct quant_writer *w, const char *to)
{
    rt_status st;
    TRY(make_tensors(w));
    TRY(quant_folder_finish(w, to));

fail:
    return st;
}

static rt_status check_options(struct rt_ctx *ctx, const struct quant_options *options,
                               const struct quant_calibration *calibration)
{
    rt_status st;
    TRY(quant_check(ctx, options));
    if (quant_method_of(options)->needs && !calibration)
        return rt_fail(ctx, RT_ERR_USAGE, "method %s needs calibration text (--calib)",
                       quant_method_of(options)->name);
    if (options->inputs == QUANT_INPUTS_GIVEN && !calibration)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "--activations static needs calibration text (--calib)");

fail:
    return st;
}

rt_status quant_folder_begin(struct quant_writer *w, const char *target, bool force,
                             char to[QUANT_TARGET])
{
    rt_status st;
    const size_t length = fmt_path_length(target); /* the part lies beside */
    if (length == 0 || length >= QUANT_TARGET || strlen(w->from) >= QUANT_TARGET)
        return rt_fail(w->ctx, RT_ERR_USAGE,
                       "a folder name is empty or over 4000 characters");
    snprintf(to, QUANT_TARGET, "%.*s", (int)length, target);
    if (fmt_exists(to) && !force)
        return rt_fail(w->ctx, RT_ERR_USAGE,
                       "'%s' exists already; use --force or another name", to);
    TRY(fmt_model_open(w->ctx, w->from, &w->model));
    if (os_same(w->from, to))
        return rt_fail(w->ctx, RT_ERR_USAGE,
                       "'%s' is the model that is read; write to another folder", to);
    w->tied = is_tied(w->model);
    TRY(quant_tables_find(w->model, &w->tables));

fail:
    return st;
}

/* The device that rounds columns; NULL: none, or one whose work the host's BLAS does in
 * less time (docs/quantizers.md). */
static struct rt_device *rounds_on(const struct quant_options *options,
                                   const struct quant_calibration *calibration)
{
    struct rt_device *dev = calibration ? rt_model_device(calibration->model) : NULL;
    if (!dev || !quant_rounds_by_gptq(options))
        return NULL;
    return rt_device_info_of(dev)->software && !options->device_rounds ? NULL : dev;
}

rt_status quant_folder(struct rt_ctx *ctx, const char *from, const char *target,
                       const struct quant_options *options,
                       const struct quant_calibration *calibration, bool force,
                       struct quant_report *report)
{
    rt_status st;
    char to[QUANT_TARGET];
    struct quant_options asked = *options;
    *report = (struct quant_report){ 0 };
    asked.device = rounds_on(options, calibration);
    struct quant_writer w = { .ctx = ctx,
                              .from = from,
                              .asked = &asked,
                              .options = &asked,
                              .calibration = calibration,
                              .report = report };
    TRY(check_options(ctx, options, calibration));
    TRY(quant_folder_begin(&w, target, force, to));
    TRY(check_complete(&w));
    TRY(quant_check_source(ctx, from, w.model));
    if (options->plan)
        TRY(quant_plan_check(ctx, options->plan, fmt_model_config(w.model)->layers));
    TRY(quant_part_open(&w, to)); /* before the work: it may be impossible */
    st = make_folder(&w, to);
    keep_or_remove(&w, st);

fail:
    for (uint32_t i = 0; i < w.divided_count; i++)
        rt_free(w.divided[i].divisors);
    quant_part_close(&w);
    fmt_model_close(&w.model);
    return st;
}

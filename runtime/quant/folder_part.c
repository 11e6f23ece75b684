/* runtime/quant/folder_part.c
 * The work that is done of a folder, layer by layer, in TARGET.part: a later start with the
 * same source, options and calibration continues there.
 *
 *     job.json                what is made (a hash), and the process that does so
 *     layer-N.safetensors     the tensors of a finished layer, and how its matrices fared:
 *                             NAME.fared, two doubles as I64
 *     hidden-N.safetensors    with calibration: the inputs of layer N, the next one, if they
 *                             are not among what is shared (seen_inputs.h)
 *     kept-N.safetensors      a large tensor that is not quantized, made of blocks
 *     trial/                  a layer as a model, for --true-sequential
 *     whole/                  the folder while it is put together
 * Files appear whole or not at all. A layer's file is written after the inputs of the next
 * one, so that it stands for both. */
#include "runtime/quant/folder_impl.h"

#include "runtime/base/os.h"
#include "runtime/base/sha256.h"
#include "runtime/base/version.h"
#include "runtime/quant/job.h"
#include "runtime/quant/quant_files.h"
#include "runtime/quant/seen_inputs.h"
#include "runtime/quant/width_plan.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { TABLES_MAX = 8 /* kept tensors that get a file */ };

static const char fared_suffix[] = ".fared";

/* ---- what is made ---- */

/* What bytes depend on: the program, the source, the options, the device, the text. */
static rt_status make_key(struct quant_writer *w, char key[65])
{
    rt_status st;
    struct sha256 hash;
    char model[65], text[512];
    const struct quant_options *o = w->asked;
    TRY(fmt_model_hash(w->model, model));
    const int n = snprintf(
        text, sizeof text,
        "part 5 %s %s %s bits %u group %u asym %d f32 %d search %d natural %d "
        "sequential %d damping %a inputs %d floats %a nearest %d on device %d",
        rt_version, model, quant_method_of(o)->name, o->bits, o->group, o->asymmetric,
        o->keep_f32, o->search, o->natural_order, o->true_sequential, o->damping,
        (int)o->inputs, o->float_inputs, o->nearest, o->device != NULL);
    sha256_init(&hash);
    sha256_add(&hash, text, (size_t)n);
    for (uint32_t i = 0; o->plan && i < o->plan->count; i++) {
        sha256_add(&hash, o->plan->rows[i].pattern, strlen(o->plan->rows[i].pattern) + 1);
        sha256_add(&hash, &o->plan->rows[i].bits, sizeof o->plan->rows[i].bits);
    }
    if (w->calibration)
        quant_job_hash_text(&hash, w->calibration->model, w->calibration->sequences,
                            w->calibration->count);
    sha256_end_hex(&hash, key);

fail:
    return st;
}

/* ---- opening ---- */

/* Removes what is ours of the part: whole files, and those that a kill cut short. */
static void clear(struct quant_writer *w)
{
    char path[4300];
    snprintf(path, sizeof path, "%.4200s/whole", w->part);
    quant_files_remove(path);
    snprintf(path, sizeof path, "%.4200s/trial", w->part);
    quant_files_remove(path);
    quant_job_clear(w->part);
}

void quant_part_remove(struct quant_writer *w)
{
    clear(w);
    quant_job_remove(w->part);
}

rt_status quant_part_open(struct quant_writer *w, const char *to)
{
    rt_status st;
    bool same;
    char key[65];
    snprintf(w->part, sizeof w->part, "%.4100s.part", to);
    w->file_capacity = fmt_model_config(w->model)->layers + TABLES_MAX;
    w->files = rt_alloc(w->ctx, w->file_capacity, sizeof *w->files);
    if (!w->files)
        return quant_no_memory(w);
    if (w->asked)
        TRY(make_key(w, key));
    else
        snprintf(key, sizeof key, "floats"); /* made anew each time */
    const bool made = !fmt_exists(w->part);
    TRY(fmt_make_folder(w->ctx, w->part));
    st = quant_job_read(w->ctx, w->part, key, &same);
    if (st == RT_OK && (!same || !w->asked))
        clear(w);
    if (st == RT_OK)
        st = quant_job_write(w->ctx, w->part, key);
    if (st != RT_OK && made)
        quant_part_remove(w);

fail:
    return st;
}

/* ---- layers ---- */

/* Outputs from `first` on are tensors of an open file. */
static rt_status take_file(struct quant_writer *w, const struct fmt_safetensors *file)
{
    rt_status st;
    for (uint32_t i = 0; i < file->count; i++) {
        const struct fmt_tensor *t = &file->tensors[i];
        const size_t length = strlen(t->name), suffix = sizeof fared_suffix - 1;
        if (length > suffix && strcmp(t->name + length - suffix, fared_suffix) == 0)
            continue;
        TRY(quant_add_output(w, t->name, "", t->dtype, 0, 0, NULL));
        struct fmt_tensor_out *o = &w->outputs[w->count - 1].tensor;
        o->dims = t->dims;
        memcpy(o->shape, t->shape, sizeof o->shape);
        o->data = t->data;
    }
    return RT_OK;

fail:
    return st;
}

static void drop_outputs(struct quant_writer *w, uint32_t first)
{
    for (uint32_t i = first; i < w->count; i++) {
        rt_free(w->outputs[i].owned);
        rt_free(w->outputs[i].name);
    }
    w->count = first;
}

/* Frees what a layer's tensors hold: they are read from the file from now on. */
static rt_status reopen(struct quant_writer *w, const char *path, uint32_t layer)
{
    rt_status st;
    TRY(fmt_safetensors_open(w->ctx, path, &w->files[layer]));
    w->file_count = layer + 1;
    drop_outputs(w, w->flushed);
    TRY(take_file(w, &w->files[layer]));
    w->flushed = w->count;

fail:
    return st;
}

/* The outputs since the last layer. */
static rt_status write_outputs(struct quant_writer *w, const char *path)
{
    const uint32_t count = w->count - w->flushed;
    struct fmt_tensor_out *tensors = rt_alloc(w->ctx, count, sizeof *tensors);
    if (!tensors)
        return quant_no_memory(w);
    for (uint32_t i = 0; i < count; i++) {
        tensors[i] = w->outputs[w->flushed + i].tensor;
        tensors[i].name = w->outputs[w->flushed + i].name;
    }
    const rt_status st = fmt_safetensors_write(w->ctx, path, tensors, count, NULL);
    rt_free(tensors);
    return st;
}

rt_status quant_part_layer(struct quant_writer *w, uint32_t layer)
{
    rt_status st;
    char path[4300];
    assert(layer == w->file_count);
    quant_job_path(w->part, "layer", layer, path);
    TRY(write_outputs(w, path));
    TRY(reopen(w, path, layer));
    quant_job_path(w->part, "hidden", layer, path);
    remove(path);
    fmt_model_forget(w->model);

fail:
    return st;
}

rt_status quant_part_kept(struct quant_writer *w)
{
    rt_status st;
    char path[4300];
    if (w->file_count == w->file_capacity)
        return RT_OK;
    quant_job_path(w->part, "kept", w->file_count, path);
    TRY(write_outputs(w, path));
    TRY(reopen(w, path, w->file_count));
    fmt_model_forget(w->model);

fail:
    return st;
}

rt_status quant_part_trial(struct quant_writer *w, struct fmt_model **out)
{
    rt_status st;
    char folder[4300], path[4400];
    snprintf(folder, sizeof folder, "%.4200s/trial", w->part);
    snprintf(path, sizeof path, "%.4250s/model.safetensors", folder);
    TRY(fmt_make_folder(w->ctx, folder));
    if (!w->trial || w->asked->float_inputs > 0) /* else config.json stays */
        TRY(quant_write_files(w, folder, true)); /* a layer has no head */
    fmt_model_close(&w->trial);
    TRY(write_outputs(w, path));
    TRY(fmt_model_open(w->ctx, folder, &w->trial));
    *out = w->trial;

fail:
    return st;
}

/* What the report and the caller are told of a matrix that was made before. */
static rt_status tell_matrix(struct quant_writer *w, const struct fmt_tensor *t)
{
    char name[200];
    double both[2];
    const size_t length = strlen(t->name) - (sizeof fared_suffix - 1);
    if (t->size != sizeof both || length >= sizeof name)
        return RT_OK;
    snprintf(name, sizeof name, "%.*s", (int)length, t->name);
    memcpy(both, t->data, sizeof both);
    const struct quant_fared fared = { name, both[0], both[1] };
    return quant_tell_fared(w, &fared);
}

/* Counts the matrix that a tensor stands for, if it does: the shape of packed codes, or
 * the codes of 8 bits themselves. `dot` is the last one of its name. */
static void count_packed(struct quant_writer *w, const struct fmt_tensor *t,
                         const char *dot)
{
    char name[200];
    int64_t shape[2];
    if (strcmp(dot, ".weight_shape") == 0 && t->size == sizeof shape)
        memcpy(shape, t->data, sizeof shape);
    else if (strcmp(dot, ".weight") == 0 && t->dtype == FMT_I8 && t->dims == 2) {
        shape[0] = (int64_t)t->shape[0];
        shape[1] = (int64_t)t->shape[1];
    } else
        return;
    snprintf(name, sizeof name, "%.*s", (int)(dot - t->name), t->name);
    quant_use_module(w, name);
    if (w->asked->inputs != QUANT_INPUTS_FLOATS && t->dtype != FMT_I8)
        quant_use_float_inputs(w);
    quant_count_matrix(w, (uint32_t)shape[0], (uint32_t)shape[1]);
    w->options = w->asked;
}

static rt_status tell_layer(struct quant_writer *w, const struct fmt_safetensors *file)
{
    rt_status st;
    for (uint32_t i = 0; i < file->count; i++) {
        const struct fmt_tensor *t = &file->tensors[i];
        const char *dot = strrchr(t->name, '.');
        if (!dot)
            continue;
        count_packed(w, t, dot);
        if (strcmp(dot, fared_suffix) == 0)
            TRY(tell_matrix(w, t));
    }
    return RT_OK;

fail:
    return st;
}

rt_status quant_part_resume(struct quant_writer *w, uint32_t *layers)
{
    rt_status st;
    char path[4300];
    const uint32_t all = fmt_model_config(w->model)->layers;
    const bool needs_hidden =
        w->calibration && !quant_seen_is_kept(w->calibration->shared);
    const uint32_t n = quant_job_layers(w->part, all, needs_hidden);
    *layers = 0;
    if (n == 0)
        return RT_OK;
    for (uint32_t l = 0; l < n; l++) {
        quant_job_path(w->part, "layer", l, path);
        TRY(reopen(w, path, l));
        TRY(tell_layer(w, &w->files[l]));
    }
    *layers = n;
    rt_log(w->ctx, RT_LOG_WARNING, "'%s': %u of %u layers are there and are kept",
           w->part, n, all);
    return RT_OK;

fail:
    return st;
}

void quant_part_close(struct quant_writer *w)
{
    fmt_model_close(&w->trial);
    for (uint32_t i = 0; i < w->file_count; i++)
        fmt_safetensors_close(&w->files[i]);
    rt_free(w->files);
    drop_outputs(w, 0);
    rt_free(w->outputs);
}

/* runtime/quant/quant_folder.c
 * A whole model: float folder in, compressed-tensors "pack-quantized" folder out. */
#include "runtime/format/checkpoint.h"
#include "runtime/format/peft.h"
#include "runtime/quant/rtn.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One output tensor and the memory it owns, if any. */
struct output {
    struct fmt_tensor_out tensor; /* its name is set when the folder is written */
    char *name;
    void *owned;
};

struct writer {
    struct rt_ctx *ctx;
    const char *from; /* the folder that is read */
    const struct quant_options *options;
    struct fmt_safetensors file;
    struct fmt_config config;
    struct output *outputs;
    uint32_t count, capacity;
    struct quant_report *report;
};

static rt_status no_memory(struct writer *w)
{
    return rt_fail(w->ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory");
}

/* Takes `owned`, also on failure. cols 0: one dimension. */
static rt_status add_output(struct writer *w, const char *name, const char *suffix,
                            enum fmt_dtype dtype, uint64_t rows, uint64_t cols,
                            void *owned)
{
    char *full = rt_format(w->ctx, "%s%s", name, suffix);
    if (w->count == w->capacity) {
        const uint32_t capacity = w->capacity ? 2 * w->capacity : 64;
        struct output *outputs =
            rt_resize(w->ctx, w->outputs, w->capacity, capacity, sizeof *outputs);
        if (outputs) {
            w->outputs = outputs;
            w->capacity = capacity;
        }
    }
    if (!full || w->count == w->capacity) {
        rt_free(full);
        rt_free(owned);
        return no_memory(w);
    }
    struct output *o = &w->outputs[w->count++];
    o->name = full;
    o->owned = owned;
    o->tensor = (struct fmt_tensor_out){
        .dtype = dtype, .dims = cols ? 2 : 1, .shape = { rows, cols }, .data = owned
    };
    return RT_OK;
}

/* Codes of a matrix along its rows (or, transposed use, zeros along their columns):
 * 32 / bits of them a word, low bits first. */
static int32_t *pack_rows(struct writer *w, const uint8_t *codes, uint32_t out,
                          uint32_t in)
{
    const uint32_t bits = w->options->bits, per = 32 / bits, words = (in + per - 1) / per;
    uint32_t *packed = rt_alloc(w->ctx, (size_t)out * words, sizeof *packed);
    for (uint32_t r = 0; packed && r < out; r++)
        for (uint32_t k = 0; k < in; k++)
            packed[(size_t)r * words + k / per] |= (uint32_t)codes[(size_t)r * in + k]
                                                   << (k % per * bits);
    return (int32_t *)packed;
}

static int32_t *pack_zeros(struct writer *w, const uint8_t *zeros, uint32_t out,
                           uint32_t groups)
{
    const uint32_t bits = w->options->bits, per = 32 / bits,
                   words = (out + per - 1) / per;
    uint32_t *packed = rt_alloc(w->ctx, (size_t)words * groups, sizeof *packed);
    for (uint32_t r = 0; packed && r < out; r++)
        for (uint32_t g = 0; g < groups; g++)
            packed[(size_t)(r / per) * groups + g] |=
                (uint32_t)zeros[(size_t)r * groups + g] << (r % per * bits);
    return (int32_t *)packed;
}

/* Takes `scales`, also on failure. */
static rt_status add_packed(struct writer *w, const char *name, uint32_t out, uint32_t in,
                            const uint8_t *codes, float *scales, const uint8_t *zeros)
{
    rt_status st;
    const uint32_t group = w->options->group ? w->options->group : in;
    const uint32_t groups = (in + group - 1) / group, per = 32 / w->options->bits;
    TRY(add_output(w, name, ".weight_scale", FMT_F32, out, groups, scales));
    int32_t *packed = pack_rows(w, codes, out, in);
    if (!packed)
        return no_memory(w);
    TRY(add_output(w, name, ".weight_packed", FMT_I32, out, (in + per - 1) / per,
                   packed));
    int64_t *shape = rt_alloc(w->ctx, 2, sizeof *shape);
    if (!shape)
        return no_memory(w);
    shape[0] = out;
    shape[1] = in;
    TRY(add_output(w, name, ".weight_shape", FMT_I64, 2, 0, shape));
    if (w->options->asymmetric) {
        int32_t *z = pack_zeros(w, zeros, out, groups);
        if (!z)
            return no_memory(w);
        TRY(add_output(w, name, ".weight_zero_point", FMT_I32, (out + per - 1) / per,
                       groups, z));
    }
    w->report->weights += (uint64_t)out * in;
    w->report->matrices++;
    w->report->bits_per_weight +=
        out * ((double)in * w->options->bits +
               groups * (32.0 + (w->options->asymmetric ? w->options->bits : 0)));
    return RT_OK;

fail:
    return st;
}

/* A matrix that is not finite, or whose range is not, has no scale. `values` are those
 * from `first` on of a tensor. */
static rt_status check_finite(struct writer *w, const char *name, size_t first,
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

/* A tensor that is copied as it is: a model with a broken one would not load. */
static rt_status check_copied(struct writer *w, const struct fmt_tensor *t)
{
    float values[1024];
    uint64_t count = 1;
    if (t->dtype != FMT_F32 && t->dtype != FMT_F16 && t->dtype != FMT_BF16)
        return RT_OK;
    for (uint32_t d = 0; d < t->dims; d++)
        count *= t->shape[d];
    rt_status st = RT_OK;
    for (uint64_t i = 0; i < count && st == RT_OK; i += RT_COUNT(values)) {
        const size_t n = count - i < RT_COUNT(values) ? count - i : RT_COUNT(values);
        fmt_tensor_floats(t, i, n, values);
        st = check_finite(w, t->name, i, values, n);
    }
    return st;
}

static rt_status quantize_module(struct writer *w, const struct fmt_tensor *t,
                                 const char *name, uint32_t out, uint32_t in)
{
    rt_status st;
    const uint32_t group = w->options->group ? w->options->group : in;
    const size_t count = (size_t)out * in, groups = (in + group - 1) / group;
    if (t->dims != 2 || t->shape[0] != out || t->shape[1] != in ||
        (t->dtype != FMT_F32 && t->dtype != FMT_F16 && t->dtype != FMT_BF16))
        return rt_fail(
            w->ctx, RT_ERR_INPUT,
            "'%s': tensor '%s' is not a float matrix of %u x %u; is the model already "
            "quantized, or of other sizes than its config.json says?",
            w->from, t->name, out, in);
    float *values = rt_alloc(w->ctx, count, sizeof *values);
    uint8_t *codes = rt_alloc(w->ctx, count, 1),
            *zeros = rt_alloc(w->ctx, out * groups, 1);
    float *scales = rt_alloc(w->ctx, out * groups, sizeof *scales);
    if (!values || !codes || !zeros || !scales) {
        rt_free(scales);
        st = no_memory(w);
        goto fail;
    }
    fmt_tensor_floats(t, 0, count, values);
    st = check_finite(w, t->name, 0, values, count);
    if (st != RT_OK) {
        rt_free(scales);
        goto fail;
    }
    quant_rtn(values, out, in, w->options, codes, scales, zeros);
    TRY(add_packed(w, name, out, in, codes, scales, zeros)); /* takes scales */

fail:
    rt_free(values);
    rt_free(codes);
    rt_free(zeros);
    return st;
}

/* The module that "….weight" belongs to; false for what is kept. */
static bool find_module(const char *tensor, enum fmt_module *module, size_t *length)
{
    const char *end = strstr(tensor, ".weight");
    if (strncmp(tensor, "model.layers.", 13) != 0 || !end || strcmp(end, ".weight") != 0)
        return false;
    *length = (size_t)(end - tensor);
    for (int i = 0; i < FMT_MODULE_COUNT; i++) {
        const size_t n = strlen(fmt_module_path[i]);
        if (*length > n && strncmp(end - n, fmt_module_path[i], n) == 0) {
            *module = (enum fmt_module)i;
            return true;
        }
    }
    return false;
}

static rt_status make_tensors(struct writer *w)
{
    rt_status st;
    for (uint32_t i = 0; i < w->file.count; i++) {
        const struct fmt_tensor *t = &w->file.tensors[i];
        enum fmt_module module;
        size_t length;
        if (find_module(t->name, &module, &length)) {
            uint32_t out, in;
            char *name = rt_format(w->ctx, "%.*s", (int)length, t->name);
            if (!name)
                return no_memory(w);
            fmt_module_size(&w->config, module, &out, &in);
            st = quantize_module(w, t, name, out, in);
            rt_free(name);
            TRY(st);
            continue;
        }
        TRY(check_copied(w, t));
        TRY(add_output(w, t->name, "", t->dtype, 0, 0, NULL));
        struct fmt_tensor_out *o = &w->outputs[w->count - 1].tensor;
        o->dims = t->dims;
        memcpy(o->shape, t->shape, sizeof o->shape);
        o->data = t->data;
    }
    if (w->report->matrices != w->config.layers * FMT_MODULE_COUNT)
        return rt_fail(w->ctx, RT_ERR_INPUT,
                       "'%s' has %u projection matrices, its config.json asks for %u; "
                       "the folder is incomplete, get it again",
                       w->from, w->report->matrices, w->config.layers * FMT_MODULE_COUNT);
    w->report->bits_per_weight /= (double)w->report->weights;
    return RT_OK;

fail:
    return st;
}

static json_t *quantization_config(const struct quant_options *o)
{
    json_t *group = o->group ? json_integer(o->group) : json_null();
    return json_pack(
        "{s:s, s:s, s:s, s:{s:{s:[s], s:{s:i, s:s, s:b, s:s, s:o, s:b}}}, s:[s], "
        "s:s}",
        "quant_method", "compressed-tensors", "format", "pack-quantized",
        "quantization_status", "compressed", "config_groups", "group_0", "targets",
        "Linear", "weights", "num_bits", (int)o->bits, "type", "int", "symmetric",
        !o->asymmetric, "strategy", o->group ? "group" : "channel", "group_size", group,
        "dynamic", 0, "ignore", "lm_head", "algorithm", "rtn");
}

static rt_status write_config(struct rt_ctx *ctx, const char *from, const char *to,
                              const struct quant_options *options)
{
    rt_status st;
    json_t *root = NULL;
    char *source = fmt_path(ctx, from, "config.json");
    char *target = fmt_path(ctx, to, "config.json");
    if (!source || !target) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory");
        goto fail;
    }
    TRY(fmt_json_read(ctx, source, &root));
    json_object_set_new(root, "quantization_config", quantization_config(options));
    TRY(fmt_json_write(ctx, target, root));

fail:
    json_decref(root);
    rt_free(source);
    rt_free(target);
    return st;
}

/* Files that are the same for the packed model. */
static const char *const copied[] = {
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
};

/* Takes back an unfinished folder, file by file: nothing that we did not write. */
static void remove_part(const char *part)
{
    char path[4300];
    snprintf(path, sizeof path, "%.4200s/model.safetensors", part);
    remove(path);
    snprintf(path, sizeof path, "%.4200s/config.json", part);
    remove(path);
    for (size_t i = 0; i < RT_COUNT(copied); i++) {
        snprintf(path, sizeof path, "%.4200s/%s", part, copied[i]);
        remove(path);
    }
    rmdir(part);
}

static rt_status write_folder(struct writer *w, const char *from, const char *to)
{
    rt_status st;
    char path[4200], source[4200];
    struct fmt_tensor_out *tensors = rt_alloc(w->ctx, w->count, sizeof *tensors);
    if (!tensors)
        return no_memory(w);
    for (uint32_t i = 0; i < w->count; i++) {
        tensors[i] = w->outputs[i].tensor;
        tensors[i].name = w->outputs[i].name;
    }
    TRY(fmt_make_folder(w->ctx, to));
    snprintf(path, sizeof path, "%.4100s/model.safetensors", to);
    TRY(fmt_safetensors_write(w->ctx, path, tensors, w->count, NULL));
    TRY(write_config(w->ctx, from, to, w->options));
    for (size_t i = 0; i < RT_COUNT(copied); i++) {
        snprintf(source, sizeof source, "%.4100s/%s", from, copied[i]);
        snprintf(path, sizeof path, "%.4100s/%s", to, copied[i]);
        TRY(fmt_copy_if_there(w->ctx, source, path));
    }

fail:
    rt_free(tensors);
    return st;
}

/* Both names lead to one folder. */
static bool same_folder(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

/* Puts the finished folder in place of the target. What was there is moved aside, not
 * deleted: it may hold files that are not ours. */
static rt_status replace_folder(struct rt_ctx *ctx, const char *part, const char *to)
{
    char old[4150];
    snprintf(old, sizeof old, "%s.old-%ld", to, (long)getpid());
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

rt_status quant_folder(struct rt_ctx *ctx, const char *from, const char *target,
                       const struct quant_options *options, bool force,
                       struct quant_report *report)
{
    rt_status st;
    char part[4150], to[4001];
    *report = (struct quant_report){ 0 };
    struct writer w = { .ctx = ctx, .from = from, .options = options, .report = report };
    size_t length = strlen(target);
    while (length > 1 && target[length - 1] == '/') /* the part lies beside, not within */
        length--;
    if (length == 0 || length >= sizeof to || strlen(from) >= sizeof to)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "a folder name is empty or over 4000 characters");
    snprintf(to, sizeof to, "%.*s", (int)length, target);
    snprintf(part, sizeof part, "%s.part-%ld", to, (long)getpid());
    TRY(quant_check(ctx, options));
    if (fmt_exists(to) && !force)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "'%s' exists already; use --force or another name", to);
    TRY(fmt_config_read(ctx, from, &w.config));
    if (same_folder(from, to))
        return rt_fail(ctx, RT_ERR_USAGE,
                       "'%s' is the model that is read; write to another folder", to);
    if (w.config.quantization.present)
        return rt_fail(
            ctx, RT_ERR_INPUT,
            "'%s' is quantized already (%u bits); give the full-precision model", from,
            w.config.quantization.bits);
    TRY(fmt_safetensors_open_folder(ctx, from, &w.file));
    TRY(make_tensors(&w));
    st = write_folder(&w, from, part);
    if (st == RT_OK)
        st = replace_folder(ctx, part, to);
    if (st != RT_OK)
        remove_part(part);

fail:
    for (uint32_t i = 0; i < w.count; i++) {
        rt_free(w.outputs[i].owned);
        rt_free(w.outputs[i].name);
    }
    rt_free(w.outputs);
    fmt_safetensors_close(&w.file);
    return st;
}

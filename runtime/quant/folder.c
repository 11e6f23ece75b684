/* runtime/quant/folder.c
 * A whole model: float folder or GGUF file in, compressed-tensors "pack-quantized" folder
 * out. */
#include "runtime/quant/folder.h"

#include "runtime/base/os.h"
#include "runtime/format/checkpoint.h"
#include "runtime/format/peft.h"
#include "runtime/quant/quant_files.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* One output tensor and the memory it owns, if any. */
struct output {
    struct fmt_tensor_out tensor; /* its name is set when the folder is written */
    char *name;
    void *owned;
};

struct writer {
    struct rt_ctx *ctx;
    const char *from; /* what is read */
    const struct quant_options *options;
    struct fmt_model *model; /* the same, open */
    struct output *outputs;
    uint32_t count, capacity;
    struct quant_report *report;
    bool tied;   /* the head is the embedding, and not written */
    bool warned; /* that a matrix has a group that is not full */
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

/* Words that n codes take. */
static uint32_t words_of(const struct writer *w, uint32_t n)
{
    return (uint32_t)(((uint64_t)n * w->options->bits + 31) / 32);
}

/* Puts code k of a stream of bits, low bits first, over words `stride` apart. */
static void put_code(const struct writer *w, uint32_t *words, size_t stride, uint32_t k,
                     uint32_t code)
{
    const uint32_t bits = w->options->bits;
    const uint64_t at = (uint64_t)k * bits;
    words[at / 32 * stride] |= code << at % 32;
    if (at % 32 + bits > 32)
        words[(at / 32 + 1) * stride] |= code >> (32 - at % 32);
}

/* Codes of a matrix, a stream per row. */
static int32_t *pack_rows(struct writer *w, const uint8_t *codes, uint32_t out,
                          uint32_t in)
{
    const uint32_t words = words_of(w, in);
    uint32_t *packed = rt_alloc(w->ctx, (size_t)out * words, sizeof *packed);
    for (uint32_t r = 0; packed && r < out; r++)
        for (uint32_t k = 0; k < in; k++)
            put_code(w, packed + (size_t)r * words, 1, k, codes[(size_t)r * in + k]);
    return (int32_t *)packed;
}

/* Zero points, a stream per group along the rows. */
static int32_t *pack_zeros(struct writer *w, const uint8_t *zeros, uint32_t out,
                           uint32_t groups)
{
    uint32_t *packed =
        rt_alloc(w->ctx, (size_t)words_of(w, out) * groups, sizeof *packed);
    for (uint32_t r = 0; packed && r < out; r++)
        for (uint32_t g = 0; g < groups; g++)
            put_code(w, packed + g, groups, r, zeros[(size_t)r * groups + g]);
    return (int32_t *)packed;
}

/* Takes `scales`, also on failure. */
static rt_status add_packed(struct writer *w, const char *name, uint32_t out, uint32_t in,
                            const uint8_t *codes, float *scales, const uint8_t *zeros)
{
    rt_status st;
    const uint32_t group = w->options->group ? w->options->group : in;
    const uint32_t groups = (in + group - 1) / group;
    TRY(add_output(w, name, ".weight_scale", FMT_F32, out, groups, scales));
    int32_t *packed = pack_rows(w, codes, out, in);
    if (!packed)
        return no_memory(w);
    TRY(add_output(w, name, ".weight_packed", FMT_I32, out, words_of(w, in), packed));
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
        TRY(add_output(w, name, ".weight_zero_point", FMT_I32, words_of(w, out), groups,
                       z));
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

static uint64_t count_of(const struct fmt_tensor_info *t)
{
    uint64_t count = 1;
    for (uint32_t d = 0; d < t->dims; d++)
        count *= t->shape[d];
    return count;
}

/* A tensor that is copied as it is: a model with a broken one would not load. */
static rt_status check_copied(struct writer *w, const struct fmt_tensor_info *t)
{
    float values[1024];
    const struct fmt_tensor tensor = { .dtype = t->dtype, .data = t->data };
    const uint64_t count = count_of(t);
    if (!fmt_dtype_is_float(t->dtype))
        return RT_OK;
    rt_status st = RT_OK;
    for (uint64_t i = 0; i < count && st == RT_OK; i += RT_COUNT(values)) {
        const size_t n = count - i < RT_COUNT(values) ? count - i : RT_COUNT(values);
        fmt_tensor_floats(&tensor, i, n, values);
        st = check_finite(w, t->name, i, values, n);
    }
    return st;
}

/* The nearest binary16 of a value within its range, ties to even, subnormals included
 * (rt_half_from_float, the twin of a kernel, has none). */
static uint16_t nearest_half(float value)
{
    if (fabsf(value) >= 0x1p-14f)
        return rt_half_from_float(value);
    const uint16_t sign = signbit(value) ? 0x8000 : 0;
    return sign | (uint16_t)rintf(fabsf(value) * 0x1p24f);
}

/* Values to halves, in place; what changed most goes into the report. */
static rt_status halve(struct writer *w, const struct fmt_tensor_info *t, float *values,
                       size_t count)
{
    struct quant_report *report = w->report;
    uint16_t *halves = (uint16_t *)values;
    for (size_t i = 0; i < count; i++) {
        const float value = values[i];
        if (!(fabsf(value) <= 65504))
            return rt_fail(w->ctx, RT_ERR_INPUT,
                           "'%s': tensor '%s' holds %g at %zu, which F16 has no number "
                           "for; use --keep f32",
                           w->from, t->name, (double)value, i);
        const uint16_t half = nearest_half(value);
        const double change = fabs((double)rt_half_to_float(half) - (double)value);
        if (change > report->change) {
            report->change = change;
            report->changed_value = (double)value;
            snprintf(report->changed, sizeof report->changed, "%.159s", t->name);
        }
        memcpy(&halves[i], &half, sizeof half);
    }
    if (t->blocks)
        report->halved++;
    return RT_OK;
}

/* Values that a BF16 file holds back to its halves of floats, in place. */
static void cut_to_bf16(float *values, size_t count)
{
    uint16_t *halves = (uint16_t *)values;
    for (size_t i = 0; i < count; i++) {
        uint32_t word;
        memcpy(&word, &values[i], sizeof word);
        const uint16_t half = (uint16_t)(word >> 16);
        memcpy(&halves[i], &half, sizeof half);
    }
}

/* What the files do not have as it is written: blocks, and rows that are in another order
 * there. *dtype is what they are written in. */
static rt_status make_kept(struct writer *w, const struct fmt_tensor_info *t,
                           enum fmt_dtype *dtype, float **out)
{
    rt_status st;
    const uint64_t count = count_of(t);
    float *values = rt_alloc(w->ctx, count, sizeof *values);
    if (!values)
        return no_memory(w);
    TRY(fmt_tensor_f32(w->model, t->name, count, values));
    *dtype = t->blocks && !w->options->keep_f32 ? FMT_F16 : t->dtype;
    if (*dtype == FMT_F16)
        TRY(halve(w, t, values, count));
    else if (*dtype == FMT_BF16)
        cut_to_bf16(values, count);
    if (*dtype != FMT_F32) { /* the second half is free */
        float *half = rt_resize(w->ctx, values, count, (count + 1) / 2, sizeof *values);
        values = half ? half : values;
    }
    *out = values;
    return RT_OK;

fail:
    rt_free(values);
    return st;
}

/* What is not quantized. */
static rt_status keep_tensor(struct writer *w, const struct fmt_tensor_info *t)
{
    rt_status st;
    float *values = NULL;
    enum fmt_dtype dtype = t->dtype;
    if (t->data)
        TRY(check_copied(w, t));
    else
        TRY(make_kept(w, t, &dtype, &values));
    TRY(add_output(w, t->name, "", dtype, 0, 0, values));
    struct fmt_tensor_out *o = &w->outputs[w->count - 1].tensor;
    o->dims = t->dims;
    memcpy(o->shape, t->shape, sizeof o->shape);
    o->data = values ? (const void *)values : t->data;
    return RT_OK;

fail:
    return st;
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

/* `tensor` is NAME.weight. */
/* Others read only full groups. */
static void warn_of_short_group(struct writer *w, const char *name, uint32_t in)
{
    const uint32_t group = w->options->group;
    if (group == 0 || in % group == 0 || w->warned)
        return;
    w->warned = true;
    rt_log(
        w->ctx, RT_LOG_WARNING,
        "'%s' has %u columns, which groups of %u do not divide: faultline reads such a "
        "folder, transformers and vLLM do not; --group row is read by all",
        name, in, group);
}

static rt_status quantize_module(struct writer *w, const char *tensor, const char *name,
                                 uint32_t out, uint32_t in)
{
    rt_status st;
    const uint32_t group = w->options->group ? w->options->group : in;
    const size_t count = (size_t)out * in, groups = (in + group - 1) / group;
    float *values = rt_alloc(w->ctx, count, sizeof *values);
    uint8_t *codes = rt_alloc(w->ctx, count, 1),
            *zeros = rt_alloc(w->ctx, out * groups, 1);
    float *scales = rt_alloc(w->ctx, out * groups, sizeof *scales);
    if (!values || !codes || !zeros || !scales) {
        st = no_memory(w);
        goto fail;
    }
    TRY(fmt_weight_floats(w->model, name, out, in, values));
    TRY(check_finite(w, tensor, 0, values, count));
    warn_of_short_group(w, name, (uint32_t)in);
    quant_rtn(values, out, in, w->options, codes, scales, zeros);
    st = add_packed(w, name, out, in, codes, scales, zeros); /* takes scales */
    scales = NULL;

fail:
    rt_free(values);
    rt_free(codes);
    rt_free(zeros);
    rt_free(scales);
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

static rt_status make_tensor(struct writer *w, const struct fmt_tensor_info *t)
{
    enum fmt_module module;
    size_t length;
    uint32_t out, in;
    if (!t->name[0] || (w->tied && strcmp(t->name, "lm_head.weight") == 0))
        return RT_OK;
    if (!find_module(t->name, &module, &length))
        return keep_tensor(w, t);
    char *name = rt_format(w->ctx, "%.*s", (int)length, t->name);
    if (!name)
        return no_memory(w);
    fmt_module_size(fmt_model_config(w->model), module, &out, &in);
    const rt_status st = quantize_module(w, t->name, name, out, in);
    rt_free(name);
    return st;
}

static rt_status make_tensors(struct writer *w)
{
    rt_status st;
    struct fmt_tensor_info t;
    const uint32_t asked = fmt_model_config(w->model)->layers * FMT_MODULE_COUNT;
    for (uint32_t i = 0; fmt_tensor_at(w->model, i, &t); i++)
        TRY(make_tensor(w, &t));
    if (w->report->matrices != asked)
        return rt_fail(w->ctx, RT_ERR_INPUT,
                       "'%s' has %u projection matrices, its config.json asks for %u; "
                       "it is incomplete, get it again",
                       w->from, w->report->matrices, asked);
    w->report->bits_per_weight /= (double)w->report->weights;
    return RT_OK;

fail:
    return st;
}

static rt_status write_folder(struct writer *w, const char *from, const char *to)
{
    rt_status st;
    char path[4200];
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
    TRY(quant_files_write(w->ctx, from, to, w->options, w->tied));

fail:
    rt_free(tensors);
    return st;
}

/* Puts the finished folder in place of the target. What was there is moved aside, not
 * deleted: it may hold files that are not ours. */
static rt_status replace_folder(struct rt_ctx *ctx, const char *part, const char *to)
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

/* Folders of packed matrices are refused: there is a model that they were made from. A
 * GGUF file may be all there is, so its values are taken, and that is said. */
static rt_status check_source(struct writer *w)
{
    struct fmt_stored stored;
    const struct fmt_quantization *q = &fmt_model_config(w->model)->quantization;
    if (q->present)
        return rt_fail(
            w->ctx, RT_ERR_INPUT,
            "'%s' is quantized already (%u bits); give the full-precision model", w->from,
            q->bits);
    const rt_status st =
        fmt_weight_stored(w->model, "model.layers.0.mlp.up_proj", &stored);
    if (st == RT_OK && stored.packed)
        rt_log(w->ctx, RT_LOG_WARNING,
               "'%s' is quantized already (%s, ...): its values stand in for those of a "
               "full-precision model",
               w->from, stored.text);
    return st;
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
    snprintf(part, sizeof part, "%s.part-%lld", to, (long long)os_process_id());
    TRY(quant_check(ctx, options));
    if (fmt_exists(to) && !force)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "'%s' exists already; use --force or another name", to);
    TRY(fmt_model_open(ctx, from, &w.model));
    if (os_same(from, to)) {
        st = rt_fail(ctx, RT_ERR_USAGE,
                     "'%s' is the model that is read; write to another folder", to);
        goto fail;
    }
    TRY(check_source(&w));
    w.tied = is_tied(w.model);
    TRY(make_tensors(&w));
    st = write_folder(&w, from, part);
    if (st == RT_OK)
        st = replace_folder(ctx, part, to);
    if (st != RT_OK)
        quant_files_remove(part);

fail:
    for (uint32_t i = 0; i < w.count; i++) {
        rt_free(w.outputs[i].owned);
        rt_free(w.outputs[i].name);
    }
    rt_free(w.outputs);
    fmt_model_close(&w.model);
    return st;
}

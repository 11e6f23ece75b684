/* runtime/quant/gguf_source.c
 * Tensors and keys for a GGUF file, out of another one or out of a folder. */
#include "runtime/quant/gguf_source.h"

#include "runtime/format/gguf_config.h"
#include "runtime/format/peft.h"
#include "runtime/text/tokenizer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char ROPE_FREQS[] = "rope_freqs.weight";

static rt_status no_memory(const struct quant_source *s)
{
    return rt_fail(s->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", s->path);
}

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* Weights of products, also of the embedding: what a mix gives a type. */
static bool is_quantized(const char *name, bool is_matrix)
{
    return is_matrix && ends_with(name, ".weight") && !strstr(name, "_norm.");
}

/* ---- a GGUF file ---- */

/* Scales beside a matrix are in its values. */
static bool is_left_out(const char *name)
{
    return ends_with(name, ".scale") || ends_with(name, ".input_scale");
}

static rt_status list_gguf(struct quant_source *s)
{
    s->rows = rt_alloc(s->ctx, s->gguf.tensor_count, sizeof *s->rows);
    s->tensors = rt_alloc(s->ctx, s->gguf.tensor_count, sizeof *s->tensors);
    if (!s->rows || !s->tensors)
        return no_memory(s);
    for (uint32_t i = 0; i < s->gguf.tensor_count; i++) {
        const struct fmt_gguf_tensor *t = &s->gguf.tensors[i];
        if (is_left_out(t->name))
            continue;
        if (t->dims > 2)
            return rt_fail(
                s->ctx, RT_ERR_INPUT,
                "'%s': tensor '%s' has %u dimensions; matrices and vectors are "
                "supported",
                s->path, t->name, t->dims);
        s->tensors[s->count] = t;
        struct quant_gguf_row *r = &s->rows[s->count++];
        snprintf(r->name, sizeof r->name, "%s", t->name);
        r->columns = t->shape[0];
        r->rows = t->count / t->shape[0];
        r->is_matrix = t->dims == 2;
        r->is_kept = !is_quantized(t->name, r->is_matrix);
        r->wanted = r->type = t->type;
        s->is_packed = s->is_packed || (!r->is_kept && t->type->split);
    }
    return RT_OK;
}

static rt_status open_gguf(struct quant_source *s)
{
    rt_status st;
    struct fmt_config config;
    s->is_gguf = true;
    TRY(fmt_gguf_open(s->ctx, s->path, &s->gguf));
    TRY(fmt_gguf_arch_find(&s->gguf, &s->arch));
    TRY(fmt_gguf_config(&s->gguf, &config));
    s->sizes =
        (struct quant_gguf_sizes){ config.layers, config.heads, config.kv_heads,
                                   !fmt_gguf_find(&s->gguf, "output.weight"), false };
    TRY(list_gguf(s));

fail:
    return st;
}

/* What says how the other file is stored, not what the model is. */
static bool is_of_storage(const char *name)
{
    static const char *const whole[] = { "general.file_type", "general.alignment",
                                         "general.quantization_version" };
    for (size_t i = 0; i < RT_COUNT(whole); i++)
        if (strcmp(name, whole[i]) == 0)
            return true;
    return strncmp(name, "split.", 6) == 0 ||
           strncmp(name, "quantize.imatrix.", 17) == 0 ||
           strncmp(name, "faultline.gptq.", 15) == 0;
}

/* ---- a folder ---- */

static void add_row(struct quant_source *s, const char *hf, uint64_t rows,
                    uint64_t columns)
{
    char name[FMT_GGUF_NAME_MAX];
    if (!fmt_gguf_name(hf, name))
        return;
    struct quant_gguf_row *r = &s->rows[s->count++];
    snprintf(r->name, sizeof r->name, "%.64s", name);
    r->is_matrix = rows > 0;
    r->rows = rows ? rows : 1;
    r->columns = columns;
    r->is_kept = !is_quantized(name, r->is_matrix);
    r->wanted = r->type = fmt_block_type_find(FMT_BLOCK_ID_F32);
}

/* The vector where the model has one. */
static void add_vector(struct quant_source *s, const char *hf, uint64_t columns)
{
    if (fmt_tensor_exists(s->model, hf))
        add_row(s, hf, 0, columns);
}

static void list_layer(struct quant_source *s, const struct fmt_config *c, uint32_t layer)
{
    static const char *const norms[] = { "input_layernorm", "post_attention_layernorm" };
    static const char *const head_norms[] = { "self_attn.q_norm", "self_attn.k_norm" };
    char name[160];
    for (size_t i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "model.layers.%u.%s.weight", layer, norms[i]);
        add_row(s, name, 0, c->hidden);
        snprintf(name, sizeof name, "model.layers.%u.%s.weight", layer, head_norms[i]);
        add_vector(s, name, c->head_dim);
    }
    for (int m = 0; m < FMT_MODULE_COUNT; m++) {
        uint32_t out, in;
        fmt_module_size(c, (enum fmt_module)m, &out, &in);
        snprintf(name, sizeof name, "model.layers.%u.%s.weight", layer,
                 fmt_module_path[m]);
        add_row(s, name, out, in);
        snprintf(name, sizeof name, "model.layers.%u.%s.bias", layer, fmt_module_path[m]);
        add_vector(s, name, out);
    }
}

static void list_folder(struct quant_source *s, const struct fmt_config *c)
{
    add_row(s, "model.embed_tokens.weight", c->vocab, c->hidden);
    add_row(s, "model.norm.weight", 0, c->hidden);
    if (fmt_has_head(s->model))
        add_row(s, "lm_head.weight", c->vocab, c->hidden);
    if (c->rope.kind == FMT_ROPE_LLAMA3) {
        struct quant_gguf_row *r = &s->rows[s->count++];
        snprintf(r->name, sizeof r->name, "%s", ROPE_FREQS);
        r->columns = c->head_dim / 2;
        r->rows = 1;
        r->is_kept = true;
        r->wanted = r->type = fmt_block_type_find(FMT_BLOCK_ID_F32);
    }
    for (uint32_t l = 0; l < c->layers; l++)
        list_layer(s, c, l);
}

static rt_status open_folder(struct quant_source *s)
{
    rt_status st;
    enum { OF_LAYER = 4 + 2 * FMT_MODULE_COUNT, OF_MODEL = 4 };
    TRY(fmt_model_open(s->ctx, s->path, &s->model));
    const struct fmt_config *c = fmt_model_config(s->model);
    s->arch = fmt_gguf_arch_of(c->family->model_type);
    if (!s->arch)
        return rt_fail(s->ctx, RT_ERR_INPUT,
                       "'%s': a GGUF file of a model of type '%s' is not supported",
                       s->path, c->family->model_type);
    s->rows = rt_alloc(s->ctx, OF_MODEL + (size_t)OF_LAYER * c->layers, sizeof *s->rows);
    if (!s->rows)
        return no_memory(s);
    list_folder(s, c);
    s->is_packed = c->quantization.present;
    s->sizes = (struct quant_gguf_sizes){ c->layers, c->heads, c->kv_heads,
                                          !fmt_has_head(s->model), false };

fail:
    return st;
}

/* Whether the files hold the tensor as floats. */
static bool find_plain(struct quant_source *s, const char *hf)
{
    struct fmt_tensor_info info;
    s->plain = (struct fmt_tensor){ 0 };
    for (uint32_t i = 0; fmt_tensor_at(s->model, i, &info); i++)
        if (strcmp(info.name, hf) == 0) {
            s->plain = (struct fmt_tensor){ .dtype = info.dtype,
                                            .data = info.data,
                                            .count = fmt_tensor_count(s->model, hf) };
            return info.dtype == FMT_F32 || info.dtype == FMT_F16 ||
                   info.dtype == FMT_BF16;
        }
    return false;
}

/* Codes are taken apart as a whole. */
static rt_status load_whole(struct quant_source *s, const struct quant_gguf_row *r,
                            const char *hf)
{
    char module[FMT_GGUF_NAME_MAX];
    s->plain.data = NULL;
    rt_free(s->whole);
    s->whole = rt_alloc(s->ctx, r->rows * r->columns, sizeof *s->whole);
    if (!s->whole)
        return no_memory(s);
    if (!r->is_matrix)
        return fmt_tensor_f32(s->model, hf, r->columns, s->whole);
    snprintf(module, sizeof module, "%.*s", (int)(strlen(hf) - strlen(".weight")), hf);
    return fmt_weight_floats(s->model, module, (uint32_t)r->rows, (uint32_t)r->columns,
                             s->whole);
}

/* Makes tensor `row` the one under way. */
static rt_status turn_to(struct quant_source *s, uint32_t row, const char *hf)
{
    const struct quant_gguf_row *r = &s->rows[row];
    if (s->under_way == row)
        return RT_OK;
    s->under_way = UINT32_MAX;
    const bool is_plain = find_plain(s, hf);
    if (is_plain && s->plain.count != r->rows * r->columns)
        return rt_fail(s->ctx, RT_ERR_INPUT,
                       "'%s': tensor '%s' has %llu elements, %llu are expected; "
                       "config.json and the weights do not belong together",
                       s->path, hf, (unsigned long long)s->plain.count,
                       (unsigned long long)(r->rows * r->columns));
    const rt_status st = is_plain ? RT_OK : load_whole(s, r, hf);
    if (st == RT_OK)
        s->under_way = row;
    return st;
}

static rt_status folder_floats(struct quant_source *s, uint32_t row, uint64_t first,
                               uint64_t n, float *out)
{
    char hf[FMT_GGUF_NAME_MAX];
    const struct fmt_config *c = fmt_model_config(s->model);
    const struct quant_gguf_row *r = &s->rows[row];
    if (strcmp(r->name, ROPE_FREQS) == 0)
        return fmt_gguf_rope_divisors(s->ctx, c, out);
    const bool good = fmt_gguf_hf_name(r->name, hf);
    const rt_status st = good ? turn_to(s, row, hf) : RT_ERR_INTERNAL;
    if (st != RT_OK)
        return st;
    /* A vector of q or k has its elements in the order of the matrix' rows. */
    const uint64_t width = r->is_matrix ? r->columns : 1;
    const uint64_t count = r->is_matrix ? n : r->columns;
    for (uint64_t i = 0; i < count; i++) {
        const uint32_t from =
            fmt_gguf_hf_row(s->arch, hf, c->head_dim, (uint32_t)(first + i));
        if (s->plain.data)
            fmt_tensor_floats(&s->plain, from * width, width, out + i * width);
        else
            memcpy(out + i * width, s->whole + from * width, width * sizeof *out);
    }
    return RT_OK;
}

/* ---- both ---- */

rt_status quant_source_open(struct rt_ctx *ctx, const char *path,
                            struct quant_source *out)
{
    *out = (struct quant_source){ .ctx = ctx, .path = path, .under_way = UINT32_MAX };
    return fmt_gguf_is(path) ? open_gguf(out) : open_folder(out);
}

void quant_source_close(struct quant_source *s)
{
    fmt_gguf_close(&s->gguf);
    fmt_model_close(&s->model);
    rt_free(s->rows);
    rt_free(s->tensors);
    rt_free(s->whole);
    *s = (struct quant_source){ 0 };
}

rt_status quant_source_keys(struct quant_source *s, struct fmt_gguf_out *out)
{
    if (!s->is_gguf) {
        fmt_gguf_put_config(out, s->arch, fmt_model_config(s->model), s->path);
        return text_gguf_put(s->ctx, s->path, fmt_model_config(s->model), out);
    }
    for (uint32_t i = 0; i < s->gguf.key_count; i++)
        if (!is_of_storage(s->gguf.keys[i].name))
            fmt_gguf_put_key(out, &s->gguf.keys[i]);
    return RT_OK;
}

static rt_status check_finite(const struct quant_source *s, const char *name,
                              const float *values, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return rt_fail(s->ctx, RT_ERR_INPUT,
                           "'%s': tensor '%s' holds a value that is not finite; the file "
                           "is damaged, get it again",
                           s->path, name);
    return RT_OK;
}

rt_status quant_source_floats(struct quant_source *s, uint32_t row, uint64_t first,
                              uint64_t n, float *out)
{
    const struct quant_gguf_row *r = &s->rows[row];
    if (s->is_gguf) {
        const struct fmt_gguf_tensor *t = s->tensors[row];
        fmt_gguf_floats(t, first * r->columns, n * r->columns, out);
        if (!fmt_block_has_factor(t->type))
            for (uint64_t i = 0; t->factor != 1 && i < n * r->columns; i++)
                out[i] *= t->factor;
    } else {
        const rt_status st = folder_floats(s, row, first, n, out);
        if (st != RT_OK)
            return st;
    }
    return check_finite(s, r->name, out, n * r->columns);
}

uint32_t quant_source_find(const struct quant_source *s, const char *name)
{
    uint32_t i = 0;
    while (i < s->count && strcmp(s->rows[i].name, name) != 0)
        i++;
    return i;
}

bool quant_source_is(const struct quant_source *s, uint32_t row,
                     const struct fmt_block_type *type)
{
    return s->is_gguf && s->tensors[row]->type == type && s->tensors[row]->factor == 1;
}

const uint8_t *quant_source_bytes(const struct quant_source *s, uint32_t row)
{
    return s->is_gguf ? s->tensors[row]->data : NULL;
}

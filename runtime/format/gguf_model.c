/* runtime/format/gguf_model.c
 * Makes a config.json of a GGUF file's keys and finds its tensors by their Hugging
 * Face names. */
#include "runtime/format/gguf_model.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct fmt_gguf_arch archs[] = {
    { "llama", true },
    { "qwen2", false },
    { "qwen3", false },
};

rt_status fmt_gguf_arch_find(const struct fmt_gguf *f, const struct fmt_gguf_arch **out)
{
    char *name;
    rt_status st = fmt_gguf_text(f, "general.architecture", &name);
    *out = NULL;
    for (size_t i = 0; name && i < RT_COUNT(archs); i++)
        if (strcmp(archs[i].name, name) == 0)
            *out = &archs[i];
    if (st == RT_OK && !*out)
        st = rt_fail(f->ctx, RT_ERR_INPUT,
                     "'%s': architecture '%.60s' is not supported; llama, qwen2, qwen3 "
                     "are",
                     f->path, name ? name : "(none given)");
    rt_free(name);
    return st;
}

const struct fmt_gguf_arch *fmt_gguf_arch_of(const char *model_type)
{
    const char *name = strcmp(model_type, "mistral") == 0 ? "llama" : model_type;
    for (size_t i = 0; i < RT_COUNT(archs); i++)
        if (strcmp(archs[i].name, name) == 0)
            return &archs[i];
    return NULL;
}

/* ---- names ---- */

static const struct {
    const char *hf, *gguf;
} roots[] = {
    { "model.embed_tokens", "token_embd" },
    { "model.norm", "output_norm" },
    { "lm_head", "output" },
}, blocks[] = {
    { "input_layernorm", "attn_norm" },
    { "self_attn.q_proj", "attn_q" },
    { "self_attn.k_proj", "attn_k" },
    { "self_attn.v_proj", "attn_v" },
    { "self_attn.o_proj", "attn_output" },
    { "self_attn.q_norm", "attn_q_norm" },
    { "self_attn.k_norm", "attn_k_norm" },
    { "post_attention_layernorm", "ffn_norm" },
    { "mlp.gate_proj", "ffn_gate" },
    { "mlp.up_proj", "ffn_up" },
    { "mlp.down_proj", "ffn_down" },
};

static const char *const ends[] = { ".weight", ".bias" };

/* `text` is `stem` and one of the ends; null: it is not. */
static const char *end_after(const char *text, const char *stem)
{
    const size_t length = strlen(stem);
    for (size_t i = 0; i < RT_COUNT(ends); i++)
        if (strncmp(text, stem, length) == 0 && strcmp(text + length, ends[i]) == 0)
            return ends[i];
    return NULL;
}

/* Behind "PREFIX<digits>.", whose digits are copied; null: it does not start so. */
static const char *after_number(const char *text, const char *prefix, char digits[8])
{
    const size_t length = strlen(prefix);
    size_t n = 0;
    if (strncmp(text, prefix, length) != 0)
        return NULL;
    for (text += length; isdigit((unsigned char)*text) && n < 7; text++)
        digits[n++] = *text;
    digits[n] = '\0';
    return n && *text == '.' ? text + 1 : NULL;
}

bool fmt_gguf_name(const char *hf, char *buffer)
{
    char layer[8];
    const char *end, *rest = after_number(hf, "model.layers.", layer);
    for (size_t i = 0; !rest && i < RT_COUNT(roots); i++)
        if ((end = end_after(hf, roots[i].hf))) {
            snprintf(buffer, FMT_GGUF_NAME_MAX, "%s%s", roots[i].gguf, end);
            return true;
        }
    for (size_t i = 0; rest && i < RT_COUNT(blocks); i++)
        if ((end = end_after(rest, blocks[i].hf))) {
            snprintf(buffer, FMT_GGUF_NAME_MAX, "blk.%s.%s%s", layer, blocks[i].gguf,
                     end);
            return true;
        }
    return false;
}

bool fmt_gguf_hf_name(const char *name, char *buffer)
{
    char layer[8];
    const char *end, *rest = after_number(name, "blk.", layer);
    for (size_t i = 0; !rest && i < RT_COUNT(roots); i++)
        if ((end = end_after(name, roots[i].gguf))) {
            snprintf(buffer, FMT_GGUF_NAME_MAX, "%s%s", roots[i].hf, end);
            return true;
        }
    for (size_t i = 0; rest && i < RT_COUNT(blocks); i++)
        if ((end = end_after(rest, blocks[i].gguf))) {
            snprintf(buffer, FMT_GGUF_NAME_MAX, "model.layers.%s.%s%s", layer,
                     blocks[i].hf, end);
            return true;
        }
    return false;
}

/* ---- rows ---- */

static bool is_permuted(const struct fmt_gguf_arch *arch, const char *hf_name)
{
    return arch->permuted && (strstr(hf_name, ".q_proj.") || strstr(hf_name, ".k_proj."));
}

uint32_t fmt_gguf_row(const struct fmt_gguf_arch *arch, const char *hf_name,
                      uint32_t head_dim, uint32_t row)
{
    if (!is_permuted(arch, hf_name))
        return row;
    const uint32_t head = row / head_dim, in_head = row % head_dim, half = head_dim / 2;
    return head * head_dim + in_head % half * 2 + in_head / half;
}

uint32_t fmt_gguf_hf_row(const struct fmt_gguf_arch *arch, const char *hf_name,
                         uint32_t head_dim, uint32_t row)
{
    if (!is_permuted(arch, hf_name))
        return row;
    const uint32_t head = row / head_dim, in_head = row % head_dim, half = head_dim / 2;
    return head * head_dim + in_head % 2 * half + in_head / 2;
}

rt_status fmt_gguf_weight(const struct fmt_gguf *f, const struct fmt_gguf_arch *arch,
                          const char *hf_name, uint32_t rows, uint32_t columns,
                          uint32_t head_dim, float *out)
{
    char name[FMT_GGUF_NAME_MAX];
    const struct fmt_gguf_tensor *t =
        fmt_gguf_name(hf_name, name) ? fmt_gguf_find(f, name) : NULL;
    if (!t)
        return rt_fail(f->ctx, RT_ERR_INPUT, "'%s': tensor '%s' is missing", f->path,
                       hf_name);
    /* A vector of biases may be asked for as a column, so that its rows are put right. */
    const bool column = columns == 1 && t->dims == 1 && t->shape[0] == rows;
    if (!column && (t->shape[0] != columns || t->count != (uint64_t)rows * columns))
        return rt_fail(f->ctx, RT_ERR_INPUT,
                       "'%s': tensor '%s' is [%llu, %llu], [%u, %u] is expected", f->path,
                       t->name, (unsigned long long)t->shape[1],
                       (unsigned long long)t->shape[0], rows, columns);
    for (uint32_t r = 0; r < rows; r++) {
        const uint32_t from = fmt_gguf_row(arch, hf_name, head_dim, r);
        fmt_gguf_floats(t, (uint64_t)from * columns, columns, out);
        for (uint32_t k = 0; k < columns; k++)
            if (!isfinite(out[k]))
                return rt_fail(f->ctx, RT_ERR_INPUT,
                               "'%s': tensor '%s' is not finite at row %u, column %u; "
                               "the file is damaged",
                               f->path, t->name, from, k);
        out += columns;
    }
    return RT_OK;
}

/* ---- config ---- */

/* Which key of a config.json each key "ARCH.KEY" is. */
static const struct {
    const char *gguf, *hf;
    bool needed, per_layer; /* may be an array with one number per layer */
} wholes[] = {
    { "block_count", "num_hidden_layers", true, false },
    { "embedding_length", "hidden_size", true, false },
    { "feed_forward_length", "intermediate_size", true, true },
    { "attention.head_count", "num_attention_heads", true, true },
    { "attention.head_count_kv", "num_key_value_heads", false, true },
    { "attention.key_length", "head_dim", false, false },
    { "context_length", "max_position_embeddings", true, false },
};

struct config_reader {
    const struct fmt_gguf *file;
    const char *arch;
    json_t *root;
};

static rt_status put(const struct config_reader *r, const char *key, json_t *value)
{
    return json_object_set_new(r->root, key, value) == 0
               ? RT_OK
               : rt_fail(r->file->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory",
                         r->file->path);
}

static uint32_t size_of(const struct config_reader *r, const char *key)
{
    return (uint32_t)json_integer_value(json_object_get(r->root, key));
}

/* ARCH.KEY as a whole number, 0 where it is missing and not needed; `each`:
 * layers that may have one each, 0: none. */
static rt_status arch_whole(const struct config_reader *r, const char *key, bool needed,
                            uint32_t each, int64_t *out)
{
    char name[128];
    snprintf(name, sizeof name, "%s.%s", r->arch, key);
    if (each)
        return fmt_gguf_whole_each(r->file, name, needed ? -1 : 0, 0, 1 << 30, each, out);
    return fmt_gguf_whole(r->file, name, needed ? -1 : 0, 0, 1 << 30, out);
}

static rt_status read_wholes(const struct config_reader *r)
{
    rt_status st;
    int64_t value;
    for (size_t i = 0; i < RT_COUNT(wholes); i++) {
        const uint32_t each = wholes[i].per_layer ? size_of(r, "num_hidden_layers") : 0;
        TRY(arch_whole(r, wholes[i].gguf, wholes[i].needed, each, &value));
        if (value || wholes[i].needed)
            TRY(put(r, wholes[i].hf, json_integer(value)));
    }
    return RT_OK;

fail:
    return st;
}

/* Things a file may ask for that would otherwise be read past and give wrong answers. */
static rt_status check_unsupported(const struct config_reader *r, uint32_t head_dim)
{
    rt_status st;
    int64_t experts, values, rotated, window;
    const uint32_t context = size_of(r, "max_position_embeddings");
    TRY(arch_whole(r, "expert_count", false, 0, &experts));
    TRY(arch_whole(r, "attention.value_length", false, 0, &values));
    TRY(arch_whole(r, "rope.dimension_count", false, 0, &rotated));
    TRY(arch_whole(r, "attention.sliding_window", false, 0, &window));
    if (window && window < context)
        return rt_fail(r->file->ctx, RT_ERR_INPUT,
                       "'%s': sliding-window attention (%s.attention.sliding_window %lld "
                       "of %u positions) is not supported: answers would be wrong beyond "
                       "the window; use a model without it",
                       r->file->path, r->arch, (long long)window, context);
    if (experts)
        return rt_fail(r->file->ctx, RT_ERR_INPUT,
                       "'%s': a mixture of %lld experts is not supported", r->file->path,
                       (long long)experts);
    if ((values && values != head_dim) || (rotated && rotated != head_dim))
        return rt_fail(r->file->ctx, RT_ERR_INPUT,
                       "'%s': heads of %u with values of %lld of which %lld are rotated "
                       "are not supported; all three must be equal",
                       r->file->path, head_dim, (long long)(values ? values : head_dim),
                       (long long)(rotated ? rotated : head_dim));
    return RT_OK;

fail:
    return st;
}

/* Biases are seen by their tensors. qwen2 has those of q, k, v by nature; others have the
 * keys of config.json, of which attention_bias means q, k, v and o. */
static rt_status read_biases(const struct config_reader *r)
{
    rt_status st;
    const bool q = fmt_gguf_find(r->file, "blk.0.attn_q.bias") != NULL;
    const bool o = fmt_gguf_find(r->file, "blk.0.attn_output.bias") != NULL;
    const bool mlp = fmt_gguf_find(r->file, "blk.0.ffn_up.bias") != NULL;
    const bool by_nature = strcmp(r->arch, "qwen2") == 0;
    if (mlp && strcmp(r->arch, "llama") != 0)
        return rt_fail(r->file->ctx, RT_ERR_INPUT,
                       "'%s': %s with biases of gate, up and down (blk.0.ffn_up.bias) is "
                       "not supported",
                       r->file->path, r->arch);
    if (q != (o || by_nature) || (by_nature && o))
        return rt_fail(r->file->ctx, RT_ERR_INPUT,
                       "'%s': %s %s biases of q, k, v and %s one of the attention output "
                       "is not supported",
                       r->file->path, r->arch, q ? "with" : "without",
                       o ? "with" : "without");
    TRY(put(r, "attention_bias", json_boolean(o)));
    TRY(put(r, "mlp_bias", json_boolean(mlp)));
    return RT_OK;

fail:
    return st;
}

/* Whether the model has "STEM.END" in each layer. */
static bool is_of_layer(const struct config_reader *r, const char *name)
{
    static const char *const scales[] = { ".scale", ".input_scale" };
    const bool norms = strcmp(r->arch, "qwen3") == 0;
    const bool biases = fmt_gguf_find(r->file, "blk.0.attn_q.bias") != NULL;
    const char *end = NULL;
    for (size_t i = 0; i < RT_COUNT(blocks); i++) {
        const char *hf = blocks[i].hf, *stem = blocks[i].gguf;
        const size_t length = strlen(stem);
        const bool is_norm = strstr(hf, "norm") != NULL;
        if (strstr(hf, "_norm") && !norms) /* of heads */
            continue;
        for (size_t k = 0; k < RT_COUNT(scales) && !is_norm; k++)
            if (strncmp(name, stem, length) == 0 && strcmp(name + length, scales[k]) == 0)
                return true;
        if (!(end = end_after(name, stem)))
            continue;
        if (strcmp(end, ".weight") == 0)
            return true;
        if (strncmp(hf, "mlp.", 4) == 0)
            return json_is_true(json_object_get(r->root, "mlp_bias"));
        if (strcmp(stem, "attn_output") == 0)
            return json_is_true(json_object_get(r->root, "attention_bias"));
        return biases && !is_norm;
    }
    return strcmp(name, "attn_rot_embd.weight") == 0; /* made by old converters */
}

/* A tensor that the model does not compute with would change its answers. Other names
 * (rope_freqs, those of other models) belong to nothing here. */
static rt_status check_tensors(const struct config_reader *r)
{
    static const char *const stems[] = { "output",         "token_embd",  "output_norm",
                                         "output_scale",   "token_types", "position_embd",
                                         "token_embd_norm" };
    static const char *const known[] = { "output.weight",      "output.scale",
                                         "output.input_scale", "output_norm.weight",
                                         "token_embd.weight",  "token_embd.scale" };
    for (uint32_t t = 0; t < r->file->tensor_count; t++) {
        char layer[8];
        const char *name = r->file->tensors[t].name;
        const char *rest = after_number(name, "blk.", layer);
        bool strange = strncmp(name, "blk.", 4) == 0 && !(rest && is_of_layer(r, rest));
        bool is_known = false;
        for (size_t i = 0; i < RT_COUNT(known); i++)
            is_known = is_known || strcmp(name, known[i]) == 0;
        for (size_t i = 0; i < RT_COUNT(stems) && !is_known; i++) {
            const size_t length = strlen(stems[i]);
            strange =
                strange || (strncmp(name, stems[i], length) == 0 && name[length] == '.');
        }
        if (strange)
            return rt_fail(
                r->file->ctx, RT_ERR_INPUT,
                "'%s': tensor '%s' is none of architecture '%s'; answers would "
                "be wrong without it",
                r->file->path, name, r->arch);
    }
    return RT_OK;
}

/* What the file holds if it is no model, and attention that looks ahead. */
static rt_status check_purpose(const struct config_reader *r)
{
    static const char *const others[] = { "adapter", "mmproj", "imatrix" };
    rt_status st;
    bool causal;
    char name[128], *type = NULL;
    snprintf(name, sizeof name, "%s.attention.causal", r->arch);
    TRY(fmt_gguf_text(r->file, "general.type", &type));
    TRY(fmt_gguf_bool(r->file, name, true, &causal));
    for (size_t i = 0; type && i < RT_COUNT(others); i++)
        if (strcmp(type, others[i]) == 0) {
            st = rt_fail(r->file->ctx, RT_ERR_INPUT,
                         "'%s' is no model: general.type is '%s'", r->file->path, type);
            goto fail;
        }
    if (!causal)
        st = rt_fail(r->file->ctx, RT_ERR_INPUT,
                     "'%s': attention to later tokens (%s is false) is not supported",
                     r->file->path, name);

fail:
    rt_free(type);
    return st;
}

static rt_status read_numbers(const struct config_reader *r)
{
    rt_status st;
    double eps, theta;
    char name[128];
    snprintf(name, sizeof name, "%s.attention.layer_norm_rms_epsilon", r->arch);
    TRY(fmt_gguf_number(r->file, name, 0, &eps));
    if (eps == 0)
        return rt_fail(r->file->ctx, RT_ERR_INPUT, "'%s': key '%s' is missing or 0",
                       r->file->path, name);
    snprintf(name, sizeof name, "%s.rope.freq_base", r->arch);
    TRY(fmt_gguf_number(r->file, name, 10000, &theta));
    TRY(put(r, "rms_norm_eps", json_real(eps)));
    TRY(put(r, "rope_theta", json_real(theta)));
    return RT_OK;

fail:
    return st;
}

/* The embedding says how many tokens there are; a missing head that it is the head. */
static rt_status read_tokens(const struct config_reader *r)
{
    static const char *const ends_of_text[] = { "tokenizer.ggml.eos_token_id",
                                                "tokenizer.ggml.eot_token_id",
                                                "tokenizer.ggml.eom_token_id" };
    rt_status st;
    int64_t id;
    const struct fmt_gguf_tensor *embedding = fmt_gguf_find(r->file, "token_embd.weight");
    if (!embedding)
        return rt_fail(r->file->ctx, RT_ERR_INPUT,
                       "'%s': tensor 'token_embd.weight' is missing", r->file->path);
    TRY(put(r, "vocab_size", json_integer((json_int_t)embedding->shape[1])));
    TRY(put(r, "tie_word_embeddings",
            json_boolean(!fmt_gguf_find(r->file, "output.weight"))));
    json_t *eos = json_array();
    TRY(put(r, "eos_token_id", eos));
    for (size_t i = 0; i < RT_COUNT(ends_of_text); i++) {
        if (!fmt_gguf_key_find(r->file, ends_of_text[i]))
            continue;
        TRY(fmt_gguf_whole(r->file, ends_of_text[i], 0, 0, 1 << 24, &id));
        if (json_array_append_new(eos, json_integer(id)) != 0)
            return rt_fail(r->file->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory",
                           r->file->path);
    }
    return RT_OK;

fail:
    return st;
}

static rt_status fill(const struct config_reader *r)
{
    rt_status st;
    json_t *scaling = NULL;
    TRY(check_purpose(r));
    TRY(put(r, "model_type", json_string(r->arch)));
    TRY(put(r, "hidden_act", json_string("silu")));
    TRY(read_wholes(r));
    uint32_t head_dim = size_of(r, "head_dim");
    const uint32_t heads = size_of(r, "num_attention_heads");
    if (!head_dim && heads) {
        head_dim = size_of(r, "hidden_size") / heads;
        TRY(put(r, "head_dim", json_integer(head_dim)));
    }
    TRY(check_unsupported(r, head_dim));
    TRY(read_biases(r));
    TRY(check_tensors(r));
    TRY(read_numbers(r));
    TRY(read_tokens(r));
    TRY(fmt_gguf_rope(r->file, r->arch, head_dim, &scaling));
    if (scaling)
        TRY(put(r, "rope_scaling", scaling));
    return RT_OK;

fail:
    return st;
}

rt_status fmt_gguf_config_json(const struct fmt_gguf *f, json_t **out)
{
    const struct fmt_gguf_arch *arch;
    *out = NULL;
    rt_status st = fmt_gguf_arch_find(f, &arch);
    if (st != RT_OK)
        return st;
    const struct config_reader r = { f, arch->name, json_object() };
    st = r.root ? fill(&r)
                : rt_fail(f->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", f->path);
    if (st == RT_OK)
        *out = r.root;
    else
        json_decref(r.root);
    return st;
}

rt_status fmt_gguf_config(const struct fmt_gguf *f, struct fmt_config *out)
{
    json_t *root;
    *out = (struct fmt_config){ 0 };
    rt_status st = fmt_gguf_config_json(f, &root);
    if (st == RT_OK)
        st = fmt_config_parse(f->ctx, f->path, root, out);
    json_decref(root);
    return st;
}

rt_status fmt_gguf_chat_template(const struct fmt_gguf *f, char **out)
{
    return fmt_gguf_text(f, "tokenizer.chat_template", out);
}

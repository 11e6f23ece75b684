/* runtime/format/model_config.c
 * Reads config.json and generation_config.json, and refuses what the decoder does not
 * compute. */
#include "runtime/format/model_config.h"

#include "runtime/base/file.h"

#include <stdio.h>
#include <string.h>

static const struct fmt_family families[] = {
    { .model_type = "qwen2", .qkv_bias = true, .window = FMT_WINDOW_LAYERS },
    { .model_type = "qwen3",
      .bias_keys = true,
      .qk_norm = true,
      .window = FMT_WINDOW_LAYERS,
      .head_dim = 128 },
    { .model_type = "llama", .bias_keys = true, .window = FMT_WINDOW_NONE },
    { .model_type = "mistral", .window = FMT_WINDOW_ALL },
};

static rt_status find_family(struct rt_ctx *ctx, const char *path, const json_t *root,
                             const struct fmt_family **out)
{
    const char *type = json_string_value(json_object_get(root, "model_type"));
    for (size_t i = 0; type && i < RT_COUNT(families); i++)
        if (strcmp(families[i].model_type, type) == 0) {
            *out = &families[i];
            return RT_OK;
        }
    char known[128] = "";
    for (size_t i = 0; i < RT_COUNT(families); i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s",
                 i ? ", " : "", families[i].model_type);
    return rt_fail(ctx, RT_ERR_INPUT,
                   "'%s': model family '%.60s' is not supported; %s are", path,
                   type ? type : "(none given)", known);
}

/* A whole number from 1 to `most`; `otherwise` where the key is missing, 0: required. */
static rt_status read_size(struct rt_ctx *ctx, const char *path, const json_t *root,
                           const char *key, uint32_t otherwise, uint32_t most,
                           uint32_t *out)
{
    const json_t *value = json_object_get(root, key);
    *out = otherwise;
    if ((!value || json_is_null(value)) && otherwise)
        return RT_OK;
    if (!json_is_integer(value) || json_integer_value(value) < 1 ||
        json_integer_value(value) > most)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': '%s' must be a whole number from 1 to %u", path, key, most);
    *out = (uint32_t)json_integer_value(value);
    return RT_OK;
}

static rt_status read_sizes(struct rt_ctx *ctx, const char *path, const json_t *root,
                            struct fmt_config *c)
{
    rt_status st;
    TRY(read_size(ctx, path, root, "hidden_size", 0, 1u << 16, &c->hidden));
    TRY(read_size(ctx, path, root, "intermediate_size", 0, 1u << 18, &c->ffn));
    TRY(read_size(ctx, path, root, "num_hidden_layers", 0, 512, &c->layers));
    TRY(read_size(ctx, path, root, "num_attention_heads", 0, 1024, &c->heads));
    TRY(read_size(ctx, path, root, "num_key_value_heads", c->heads, 1024, &c->kv_heads));
    TRY(read_size(ctx, path, root, "vocab_size", 0, 1u << 20, &c->vocab));
    TRY(read_size(ctx, path, root, "max_position_embeddings", 2048, 1u << 24,
                  &c->max_positions));
    if (c->heads % c->kv_heads != 0)
        return rt_fail(ctx, RT_ERR_INPUT, "'%s': %u heads cannot share %u key heads",
                       path, c->heads, c->kv_heads);
    if (!json_is_integer(json_object_get(root, "head_dim")) && !c->family->head_dim &&
        c->hidden % c->heads != 0)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': hidden_size %u is no multiple of %u heads", path, c->hidden,
                       c->heads);
    TRY(read_size(ctx, path, root, "head_dim",
                  c->family->head_dim ? c->family->head_dim : c->hidden / c->heads,
                  FMT_HEAD_DIM_MAX, &c->head_dim));
    if (c->head_dim % 4 != 0 || c->hidden % 8 != 0 || c->ffn % 4 != 0)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': hidden_size must be a multiple of 8, head_dim and "
                       "intermediate_size of 4",
                       path);
    return RT_OK;

fail:
    return st;
}

static rt_status add_eos(struct rt_ctx *ctx, const char *path, const json_t *id,
                         struct fmt_config *c)
{
    const json_int_t value = json_integer_value(id);
    if (!json_is_integer(id))
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': 'eos_token_id' must be a token id or a list of them", path);
    for (uint32_t i = 0; i < c->eos_count; i++)
        if (c->eos[i] == value)
            return RT_OK;
    if (value < 0 || value >= c->vocab) /* some write -1 for none */
        return RT_OK;
    if (c->eos_count == FMT_EOS_MAX)
        return rt_fail(ctx, RT_ERR_INPUT, "'%s': more than %d end tokens (eos_token_id)",
                       path, FMT_EOS_MAX);
    c->eos[c->eos_count++] = (uint32_t)value;
    return RT_OK;
}

/* Ids that the vocabulary lacks are passed over: no answer can hold them. */
static rt_status read_eos(struct rt_ctx *ctx, const char *path, const json_t *root,
                          struct fmt_config *c)
{
    const json_t *eos = json_object_get(root, "eos_token_id");
    if (!eos || json_is_null(eos))
        return RT_OK;
    if (!json_is_array(eos))
        return add_eos(ctx, path, eos, c);
    rt_status st = RT_OK;
    for (size_t i = 0; st == RT_OK && i < json_array_size(eos); i++)
        st = add_eos(ctx, path, json_array_get(eos, i), c);
    return st;
}

/* ---- sliding windows ---- */

enum { WINDOW_USUAL = 4096, WINDOW_FROM_LAYER_USUAL = 28 }; /* where the key is missing */

/* True if a layer is declared to slide (transformers 5 lists the kind of every layer). */
static bool is_declared(const json_t *root)
{
    const json_t *types = json_object_get(root, "layer_types");
    for (size_t i = 0; i < json_array_size(types); i++) {
        const char *type = json_string_value(json_array_get(types, i));
        if (!type ||
            (strcmp(type, "full_attention") != 0 && strcmp(type, "attention") != 0))
            return true;
    }
    return false;
}

/* Transformers refuses a list of another length; other kinds than the two compute
 * something else. */
static rt_status check_layer_types(struct rt_ctx *ctx, const char *path,
                                   const json_t *root, const struct fmt_config *c)
{
    static const char *const kinds[] = { "full_attention", "attention",
                                         "sliding_attention" };
    const json_t *types = json_object_get(root, "layer_types");
    if (!json_is_array(types))
        return RT_OK;
    for (size_t i = 0; i < json_array_size(types); i++) {
        const char *type = json_string_value(json_array_get(types, i));
        bool known = false;
        for (size_t k = 0; type && k < RT_COUNT(kinds); k++)
            known = known || strcmp(kinds[k], type) == 0;
        if (!known)
            return rt_fail(ctx, RT_ERR_INPUT,
                           "'%s': layer_types: layer %zu is of the kind '%.60s', which "
                           "is not supported; full_attention is",
                           path, i, type ? type : "(no text)");
    }
    if (json_array_size(types) != c->layers)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': layer_types names %zu layers, num_hidden_layers says %u",
                       path, json_array_size(types), c->layers);
    return RT_OK;
}

/* A whole number that is looked at only here, so that nobody else minds what it holds. */
static rt_status read_window(struct rt_ctx *ctx, const char *path, const json_t *root,
                             const char *key, json_int_t usual, json_int_t *out)
{
    const struct fmt_json_key keys[] = { { key, FMT_JSON_WHOLE } };
    const json_t *value = json_object_get(root, key);
    *out = value ? json_integer_value(value) : usual;
    return fmt_json_check(ctx, path, "", root, keys, 1);
}

/* Whether layers slide: what the family makes of the keys, as transformers does. */
static rt_status find_sliding(struct rt_ctx *ctx, const char *path, const json_t *root,
                              const struct fmt_config *c, bool *slides)
{
    json_int_t first = 0;
    *slides = is_declared(root);
    if (c->family->window == FMT_WINDOW_ALL)
        *slides = *slides || !json_is_null(json_object_get(root, "sliding_window"));
    if (c->family->window != FMT_WINDOW_LAYERS ||
        !json_is_true(json_object_get(root, "use_sliding_window")) ||
        json_is_array(json_object_get(root, "layer_types")) ||
        json_is_null(json_object_get(root, "sliding_window")))
        return RT_OK;
    const rt_status st = read_window(ctx, path, root, "max_window_layers",
                                     WINDOW_FROM_LAYER_USUAL, &first);
    *slides = first < (json_int_t)c->layers;
    return st;
}

/* A window that no context of the model reaches beyond changes nothing. */
static rt_status check_window(struct rt_ctx *ctx, const char *path, const json_t *root,
                              const struct fmt_config *c)
{
    rt_status st;
    bool slides;
    json_int_t size = 0;
    TRY(find_sliding(ctx, path, root, c, &slides));
    if (!slides)
        return RT_OK;
    TRY(read_window(ctx, path, root, "sliding_window", WINDOW_USUAL, &size));
    if (size < (json_int_t)c->max_positions)
        return rt_fail(
            ctx, RT_ERR_INPUT,
            "'%s': sliding-window attention (sliding_window %lld of %u positions) is "
            "not supported: answers would be wrong beyond the window; use a model "
            "without it",
            path, (long long)size, c->max_positions);

fail:
    return st;
}

static void read_biases(const json_t *root, struct fmt_config *c)
{
    const bool keys = c->family->bias_keys;
    const bool all = keys && json_is_true(json_object_get(root, "attention_bias"));
    c->bias_qkv = c->family->qkv_bias || all;
    c->bias_o = all;
    c->bias_mlp = keys && json_is_true(json_object_get(root, "mlp_bias"));
}

/* Keys that mean something where they are missing; the others say themselves what they
 * must hold. */
static const struct fmt_json_key optional[] = {
    { "head_dim", FMT_JSON_WHOLE },
    { "hidden_act", FMT_JSON_TEXT },
    { "attention_bias", FMT_JSON_BOOL },
    { "mlp_bias", FMT_JSON_BOOL },
    { "tie_word_embeddings", FMT_JSON_BOOL },
    { "use_sliding_window", FMT_JSON_BOOL },
    { "layer_types", FMT_JSON_LIST },
    { "rope_scaling", FMT_JSON_OBJECT },
    { "rope_parameters", FMT_JSON_OBJECT },
    { "partial_rotary_factor", FMT_JSON_NUMBER },
    { "quantization_config", FMT_JSON_OBJECT },
};

static rt_status read_root(struct rt_ctx *ctx, const char *path, const json_t *root,
                           struct fmt_config *c)
{
    rt_status st;
    TRY(fmt_json_check(ctx, path, "", root, optional, RT_COUNT(optional)));
    TRY(find_family(ctx, path, root, &c->family));
    TRY(read_sizes(ctx, path, root, c));
    TRY(fmt_rope_read(ctx, path, root, c->max_positions, &c->rope));
    /* A yarn config may give the context before or after it was stretched. */
    const double reach = c->rope.original * c->rope.factor;
    if (c->rope.kind == FMT_ROPE_YARN && reach > c->max_positions && reach < 1u << 24)
        c->max_positions = (uint32_t)reach;
    TRY(check_layer_types(ctx, path, root, c));
    TRY(check_window(ctx, path, root, c));
    const json_t *eps = json_object_get(root, "rms_norm_eps");
    c->rms_eps = eps ? (float)json_number_value(eps) : 1e-6f;
    c->tied = json_is_true(json_object_get(root, "tie_word_embeddings"));
    read_biases(root, c);
    const char *act = json_string_value(json_object_get(root, "hidden_act"));
    if (act && strcmp(act, "silu") != 0)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': activation '%s' is not supported; silu is", path, act);
    if (!(c->rms_eps > 0 && c->rms_eps < 1))
        return rt_fail(ctx, RT_ERR_INPUT, "'%s': rms_norm_eps must be between 0 and 1",
                       path);
    TRY(read_eos(ctx, path, root, c));
    return RT_OK;

fail:
    return st;
}

rt_status fmt_config_read(struct rt_ctx *ctx, const char *folder, struct fmt_config *out)
{
    return fmt_config_read_rules(ctx, folder, out, NULL);
}

rt_status fmt_config_read_rules(struct rt_ctx *ctx, const char *folder,
                                struct fmt_config *out, struct fmt_quant_rules *rules)
{
    rt_status st;
    *out = (struct fmt_config){ 0 };
    json_t *root = NULL, *generation = NULL;
    char *path = fmt_path(ctx, folder, "config.json");
    char *more = fmt_path(ctx, folder, "generation_config.json");
    if (!path || !more) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", folder);
        goto fail;
    }
    if (!fmt_exists(path)) {
        st = rt_fail(ctx, RT_ERR_INPUT,
                     "'%s' is no model: it has no config.json and is not a GGUF file; "
                     "give a Hugging Face model folder or a GGUF file",
                     folder);
        goto fail;
    }
    TRY(fmt_json_read(ctx, path, &root));
    TRY(read_root(ctx, path, root, out));
    TRY(fmt_quantization_find(ctx, folder, path, root, &out->quantization, rules));
    if (fmt_exists(more)) {
        TRY(fmt_json_read(ctx, more, &generation));
        TRY(read_eos(ctx, more, generation, out));
    }

fail:
    json_decref(root);
    json_decref(generation);
    rt_free(path);
    rt_free(more);
    return st;
}

rt_status fmt_config_parse(struct rt_ctx *ctx, const char *path, const json_t *root,
                           struct fmt_config *out)
{
    *out = (struct fmt_config){ 0 };
    return read_root(ctx, path, root, out);
}

#include "runtime/format/model_config.h"

#include "runtime/format/file.h"

#include <stdio.h>
#include <string.h>

static const struct fmt_family families[] = {
    { .model_type = "qwen2", .qkv_bias = true },
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
    return rt_fail(ctx, RT_ERR_INPUT, "'%s': model family '%s' is not supported; %s is",
                   path, type ? type : "(none given)", known);
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
    if (!json_is_integer(json_object_get(root, "head_dim")) && c->hidden % c->heads != 0)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': hidden_size %u is no multiple of %u heads", path, c->hidden,
                       c->heads);
    TRY(read_size(ctx, path, root, "head_dim", c->hidden / c->heads, 512, &c->head_dim));
    if (c->head_dim % 8 != 0 || c->hidden % 8 != 0 || c->ffn % 8 != 0)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': head_dim, hidden_size and intermediate_size must be "
                       "multiples of 8",
                       path);
    return RT_OK;

fail:
    return st;
}

static rt_status read_rope(struct rt_ctx *ctx, const char *path, const json_t *root,
                           struct fmt_config *c)
{
    const json_t *parameters =
        json_object_get(root, "rope_parameters"); /* transformers 5 */
    const json_t *scaling = json_object_get(root, "rope_scaling");
    const json_t *theta = json_object_get(root, "rope_theta");
    if (json_is_object(parameters)) {
        theta = json_object_get(parameters, "rope_theta");
        scaling = parameters;
    }
    const char *type = json_string_value(json_object_get(scaling, "rope_type"));
    if (!type)
        type = json_string_value(json_object_get(scaling, "type"));
    if (type && strcmp(type, "default") != 0)
        return rt_fail(ctx, RT_ERR_INPUT, "'%s': rope scaling '%s' is not supported",
                       path, type);
    c->rope_theta = theta ? json_number_value(theta) : 10000.0;
    if (!(c->rope_theta > 1 && c->rope_theta < 1e15))
        return rt_fail(ctx, RT_ERR_INPUT, "'%s': rope_theta must be a number above 1",
                       path);
    return RT_OK;
}

/* What a compressed-tensors configuration asks for beyond plain packed integers, all of
 * which would otherwise be read and give wrong answers; null if nothing. */
static const char *unsupported(const json_t *config, const json_t *weights)
{
    const char *type = json_string_value(json_object_get(weights, "type"));
    const json_t *order = json_object_get(weights, "actorder");
    const json_t *transform = json_object_get(config, "transform_config");
    if (json_object_size(json_object_get(config, "config_groups")) != 1)
        return "one config group is supported, neither none nor several";
    if (!json_is_object(weights))
        return "the config group has no weights";
    if (type && strcmp(type, "int") != 0)
        return "weights of another type than int are not supported";
    if (json_is_true(order) ||
        (json_is_string(order) && strcmp(json_string_value(order), "group") == 0))
        return "weights in activation order (actorder group) are not supported";
    if (json_object_size(transform) > 0)
        return "transformed weights (transform_config) are not supported";
    return NULL;
}

static rt_status read_quantization(struct rt_ctx *ctx, const char *path,
                                   const json_t *root, struct fmt_quantization *q)
{
    const json_t *config = json_object_get(root, "quantization_config");
    if (!config || json_is_null(config))
        return RT_OK;
    const char *method = json_string_value(json_object_get(config, "quant_method"));
    const char *format = json_string_value(json_object_get(config, "format"));
    if (!method || strcmp(method, "compressed-tensors") != 0 || !format ||
        strcmp(format, "pack-quantized") != 0)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': quantization '%s' format '%s' is not supported; "
                       "compressed-tensors pack-quantized is",
                       path, method ? method : "(none)", format ? format : "(none)");
    const char *name = NULL;
    json_t *group = NULL;
    json_object_foreach(json_object_get(config, "config_groups"), name, group) break;
    const json_t *weights = json_object_get(group, "weights");
    const json_int_t bits = json_integer_value(json_object_get(weights, "num_bits"));
    const json_t *size = json_object_get(weights, "group_size");
    const json_int_t group_size = json_is_integer(size) ? json_integer_value(size) : 0;
    const char *lack = unsupported(config, weights);
    if (lack)
        return rt_fail(ctx, RT_ERR_INPUT, "'%s': quantization_config: %s", path, lack);
    if (bits != 2 && bits != 3 && bits != 4 && bits != 8)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': %lld-bit weights are not supported; 2, 3, 4 and 8 bits are",
                       path, (long long)bits);
    if (group_size > 1 << 20 || (group_size > 0 && group_size % 32 != 0))
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': a group size of %lld is not supported; multiples of 32 are",
                       path, (long long)group_size);
    q->bits = (uint32_t)bits;
    q->group = group_size > 0 ? (uint32_t)group_size : 0; /* -1 also means a row */
    q->symmetric = !json_is_false(json_object_get(weights, "symmetric"));
    q->present = true;
    return RT_OK;
}

static void add_eos(struct fmt_config *c, const json_t *id)
{
    if (!json_is_integer(id) || c->eos_count == FMT_EOS_MAX)
        return;
    const json_int_t value = json_integer_value(id);
    for (uint32_t i = 0; i < c->eos_count; i++)
        if (c->eos[i] == value)
            return;
    if (value >= 0 && value < c->vocab)
        c->eos[c->eos_count++] = (uint32_t)value;
}

static void read_eos(struct fmt_config *c, const json_t *root)
{
    const json_t *eos = json_object_get(root, "eos_token_id");
    add_eos(c, eos);
    for (size_t i = 0; i < json_array_size(eos); i++)
        add_eos(c, json_array_get(eos, i));
}

/* True if a layer is declared to slide (transformers 5 lists the kind of every layer). */
static bool slides(const json_t *root)
{
    const json_t *types = json_object_get(root, "layer_types");
    for (size_t i = 0; i < json_array_size(types); i++) {
        const char *type = json_string_value(json_array_get(types, i));
        if (!type || strcmp(type, "full_attention") != 0)
            return true;
    }
    return false;
}

static rt_status read_root(struct rt_ctx *ctx, const char *path, const json_t *root,
                           struct fmt_config *c)
{
    rt_status st;
    TRY(find_family(ctx, path, root, &c->family));
    TRY(read_sizes(ctx, path, root, c));
    TRY(read_rope(ctx, path, root, c));
    TRY(read_quantization(ctx, path, root, &c->quantization));
    const json_t *eps = json_object_get(root, "rms_norm_eps");
    c->rms_eps = eps ? (float)json_number_value(eps) : 1e-6f;
    c->tied = json_is_true(json_object_get(root, "tie_word_embeddings"));
    const char *act = json_string_value(json_object_get(root, "hidden_act"));
    if (act && strcmp(act, "silu") != 0)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': activation '%s' is not supported; silu is", path, act);
    if (json_is_true(json_object_get(root, "use_sliding_window")) || slides(root))
        return rt_fail(
            ctx, RT_ERR_INPUT,
            "'%s': sliding-window attention is not supported; answers would be "
            "wrong beyond the window; use a model without it",
            path);
    if (!(c->rms_eps > 0 && c->rms_eps < 1))
        return rt_fail(ctx, RT_ERR_INPUT, "'%s': rms_norm_eps must be between 0 and 1",
                       path);
    read_eos(c, root);
    return RT_OK;

fail:
    return st;
}

rt_status fmt_config_read(struct rt_ctx *ctx, const char *folder, struct fmt_config *out)
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
                     "'%s' is not a model folder: it has no config.json; give a Hugging "
                     "Face model folder",
                     folder);
        goto fail;
    }
    TRY(fmt_json_read(ctx, path, &root));
    TRY(read_root(ctx, path, root, out));
    if (fmt_exists(more)) {
        TRY(fmt_json_read(ctx, more, &generation));
        read_eos(out, generation);
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

/* runtime/format/quant_config.c
 * Reads quantization_config and refuses, by name, what cannot be read exactly. */
#include "runtime/format/quant_config.h"

#include "runtime/base/file.h"
#include "runtime/format/quant_methods.h"
#include "runtime/format/quant_rules.h"

#include <ctype.h>
#include <string.h>

static rt_status take_sizes(struct rt_ctx *ctx, const char *path, json_int_t bits,
                            json_int_t group, struct fmt_quantization *q)
{
    if (bits == 0)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': quantization_config does not say how many bits the weights "
                       "have (missing or 0); for '%s' %s supported",
                       path, fmt_method_name(q->method), fmt_method_widths(q->method));
    if (!fmt_method_has_bits(q->method, bits))
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': %lld-bit weights of '%s' are not supported; %s", path,
                       (long long)bits, fmt_method_name(q->method),
                       fmt_method_widths(q->method));
    if (!fmt_method_has_group(q->method, group))
        return rt_fail(
            ctx, RT_ERR_INPUT,
            "'%s': a group size of %lld is not supported; multiples of 32 and, "
            "of whole codes, 16 are",
            path, (long long)group);
    q->bits = (uint32_t)bits;
    q->group = group > 0 ? (uint32_t)group : 0; /* -1 also means a row */
    q->present = true;
    return RT_OK;
}

/* Keys of all methods, of the configuration or of a group's weights. */
static rt_status check_kinds(struct rt_ctx *ctx, const char *path, const json_t *object)
{
    static const struct fmt_json_key keys[] = {
        { "bits", FMT_JSON_WHOLE },
        { "num_bits", FMT_JSON_WHOLE },
        { "group_size", FMT_JSON_WHOLE },
        { "sym", FMT_JSON_BOOL },
        { "symmetric", FMT_JSON_BOOL },
        { "type", FMT_JSON_TEXT },
        { "is_marlin_format", FMT_JSON_BOOL },
        { "w_bit", FMT_JSON_WHOLE },
        { "q_group_size", FMT_JSON_WHOLE },
        { "desc_act", FMT_JSON_BOOL },
    };
    return fmt_json_check(ctx, path, "quantization_config", object, keys, RT_COUNT(keys));
}

static json_int_t integer(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* The name of a key, or of the one that other tools have for it. */
static const char *either(const json_t *object, const char *key, const char *other)
{
    return json_object_get(object, key) ? key : other;
}

/* ---- compressed-tensors ---- */

/* What a configuration asks for beyond plain packed integers, all of which would
 * otherwise be read and give wrong answers; null if nothing. */
static const char *beyond_integers(const json_t *config, const json_t *weights)
{
    const json_t *transform = json_object_get(config, "transform_config");
    if (json_object_size(json_object_get(config, "config_groups")) != 1)
        return "it has no config group (config_groups)";
    if (!json_is_object(weights))
        return "the config group has no weights";
    if (json_object_size(transform) > 0)
        return "transformed weights (transform_config) are not supported";
    return NULL;
}

/* What of input_activations is executed as it says (shaders/push.h: quantize): 8 bits,
 * symmetric, a scale per token or a given one; weights of a scale per row. */
static enum fmt_inputs inputs_of(const json_t *inputs, const json_t *weights,
                                 const struct fmt_quantization *q)
{
    const char *strategy = json_string_value(json_object_get(inputs, "strategy"));
    const char *type = json_string_value(json_object_get(inputs, "type"));
    const bool is_dynamic = json_is_true(json_object_get(inputs, "dynamic"));
    const bool is_local = json_is_string(json_object_get(inputs, "dynamic"));
    if (q->method != FMT_INT_QUANTIZED || !q->symmetric || q->block[0] ||
        integer(weights, "group_size") > 0 || integer(inputs, "num_bits") != 8 ||
        (type && strcmp(type, "int") != 0) || !strategy || is_local ||
        json_is_false(json_object_get(inputs, "symmetric")))
        return FMT_INPUTS_FLOATS;
    if (strcmp(strategy, "token") == 0 && is_dynamic)
        return FMT_INPUTS_ROWS;
    return strcmp(strategy, "tensor") == 0 && !is_dynamic ? FMT_INPUTS_GIVEN
                                                          : FMT_INPUTS_FLOATS;
}

static rt_status read_compressed(struct rt_ctx *ctx, const char *path,
                                 const json_t *config, struct fmt_quantization *q)
{
    const char *name = NULL;
    json_t *group = NULL;
    json_object_foreach(json_object_get(config, "config_groups"), name, group) break;
    const json_t *weights = json_object_get(group, "weights");
    rt_status st;
    TRY(check_kinds(ctx, path, weights));
    const char *lack = beyond_integers(config, weights);
    if (lack)
        return rt_fail(ctx, RT_ERR_INPUT, "'%s': quantization_config: %s", path, lack);
    TRY(fmt_method_of_format(
        ctx, path, json_string_value(json_object_get(config, "format")),
        json_string_value(json_object_get(weights, "type")), &q->method));
    TRY(fmt_method_take_block(ctx, path, json_object_get(weights, "block_structure"), q));
    q->symmetric = !json_is_false(json_object_get(weights, "symmetric"));
    if (!q->symmetric && q->method >= FMT_FLOAT_QUANTIZED)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': quantization_config: zero points of weights that are "
                       "floats are not supported",
                       path);
    const json_t *inputs = json_object_get(group, "input_activations");
    q->inputs = inputs_of(inputs, weights, q);
    q->activations = (json_is_object(inputs) && q->inputs == FMT_INPUTS_FLOATS) ||
                     json_is_object(json_object_get(group, "output_activations"));
    const char *algorithm = json_string_value(json_object_get(config, "algorithm"));
    snprintf(q->algorithm, sizeof q->algorithm, "%s", algorithm ? algorithm : "");
    TRY(take_sizes(ctx, path, integer(weights, "num_bits"),
                   integer(weights, "group_size"), q));

fail:
    return st;
}

/* ---- AWQ and GPTQ ---- */

/* Whether a key holds this word in any case, or is not there. */
static bool is_word_or_none(const json_t *config, const char *key, const char *word)
{
    const json_t *value = json_object_get(config, key);
    const char *text = json_string_value(value);
    if (!value || json_is_null(value))
        return true;
    if (!text || strlen(text) != strlen(word))
        return false;
    for (size_t i = 0; word[i]; i++)
        if (tolower((unsigned char)text[i]) != word[i])
            return false;
    return true;
}

static const char *text_of(const json_t *config, const char *key)
{
    const char *text = json_string_value(json_object_get(config, key));
    return text ? text : "(no text)";
}

static rt_status read_awq(struct rt_ctx *ctx, const char *path, const json_t *config,
                          struct fmt_quantization *q)
{
    const char *version = either(config, "version", "checkpoint_format");
    q->method = FMT_AWQ;
    if (!is_word_or_none(config, version, "gemm"))
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': AWQ packing '%.60s' is not supported; gemm is", path,
                       text_of(config, version));
    return take_sizes(ctx, path, integer(config, either(config, "bits", "w_bit")),
                      integer(config, either(config, "group_size", "q_group_size")), q);
}

static rt_status read_gptq(struct rt_ctx *ctx, const char *path, const json_t *config,
                           struct fmt_quantization *q)
{
    const char *format = either(config, "checkpoint_format", "format");
    const bool v1 = is_word_or_none(config, format, "gptq");
    q->method = v1 ? FMT_GPTQ : FMT_GPTQ_V2;
    q->symmetric = json_is_true(json_object_get(config, "sym"));
    q->act_order = json_is_true(json_object_get(config, "desc_act"));
    if (!v1 && !is_word_or_none(config, format, "gptq_v2"))
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': GPTQ checkpoint format '%.60s' is not supported; gptq and "
                       "gptq_v2 are",
                       path, text_of(config, format));
    if (json_is_true(json_object_get(config, "is_marlin_format")))
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': GPTQ weights in marlin order are not supported", path);
    if (json_object_size(json_object_get(config, "dynamic")) > 0)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': GPTQ with rules for single modules (dynamic) is not "
                       "supported",
                       path);
    return take_sizes(ctx, path, integer(config, "bits"), integer(config, "group_size"),
                      q);
}

rt_status fmt_quantization_read(struct rt_ctx *ctx, const char *path,
                                const json_t *config, struct fmt_quantization *q)
{
    *q = (struct fmt_quantization){ 0 };
    if (!config || json_is_null(config))
        return RT_OK;
    const char *method = json_string_value(json_object_get(config, "quant_method"));
    if (method && strcmp(method, "fp8") == 0)
        return fmt_method_read_fp8(ctx, path, config, q);
    if (method && strcmp(method, "bitsandbytes") == 0)
        return fmt_method_read_bitsandbytes(ctx, path, config, q);
    if (!method || (strcmp(method, "compressed-tensors") != 0 &&
                    strcmp(method, "awq") != 0 && strcmp(method, "gptq") != 0))
        return fmt_method_refuse(ctx, path, method);
    const rt_status st = check_kinds(ctx, path, config);
    if (st != RT_OK)
        return st;
    if (strcmp(method, "compressed-tensors") == 0)
        return read_compressed(ctx, path, config, q);
    if (strcmp(method, "awq") == 0)
        return read_awq(ctx, path, config, q);
    return read_gptq(ctx, path, config, q);
}

/* ---- where the config is ---- */

/* Files beside config.json, and the method of those that do not say it. */
static const struct {
    const char *name, *usual;
} files[] = {
    { "quantize_config.json", "gptq" },
    { "quant_config.json",
      "awq" }, /* others have files of this name: they do not count */
};

static rt_status read_beside(struct rt_ctx *ctx, const char *path, const char *usual,
                             json_t **out)
{
    *out = NULL;
    if (!fmt_exists(path))
        return RT_OK;
    const rt_status st = fmt_json_read(ctx, path, out);
    if (st != RT_OK)
        return st;
    const bool is_awq = json_object_get(*out, "w_bit") != NULL;
    const char *method =
        json_string_value(json_object_get(*out, either(*out, "quant_method", "method")));
    if (!method)
        method = is_awq ? "awq" : usual;
    if (strcmp(usual, "awq") == 0 && (!is_awq || strcmp(method, "awq") != 0)) {
        json_decref(*out);
        *out = NULL;
        return RT_OK;
    }
    return json_object_set_new(*out, "quant_method", json_string(method)) == 0
               ? RT_OK
               : rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", path);
}

/* Of config.json: a new reference, null where there is none or it packs nothing. */
static json_t *own_config(const json_t *root)
{
    json_t *config = json_object_get(root, "quantization_config");
    json_t *older = json_object_get(root, "compression_config");
    if (config && !json_is_null(config))
        return json_incref(config);
    if (!json_object_get(older, "config_groups"))
        return NULL;
    json_t *copy = json_copy(older);
    if (copy)
        json_object_set_new(copy, "quant_method", json_string("compressed-tensors"));
    return copy;
}

rt_status fmt_quantization_find(struct rt_ctx *ctx, const char *folder, const char *path,
                                const json_t *root, struct fmt_quantization *q,
                                struct fmt_quant_rules *rules)
{
    rt_status st = RT_OK;
    struct fmt_quant_rules own;
    char *beside = NULL;
    json_t *config = own_config(root);
    for (size_t i = 0; i < RT_COUNT(files) && !config; i++) {
        rt_free(beside);
        beside = fmt_path(ctx, folder, files[i].name);
        if (!beside)
            return rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", folder);
        TRY(read_beside(ctx, beside, files[i].usual, &config));
    }
    TRY(fmt_quant_rules_read(ctx, beside ? beside : path, config, q, &own));
    if (rules)
        *rules = own;
    else
        fmt_quant_rules_free(&own);

fail:
    json_decref(config);
    rt_free(beside);
    return st;
}

/* runtime/format/quant_config.c
 * Reads quantization_config and refuses, by name, what cannot be read exactly. */
#include "runtime/format/quant_config.h"

#include "runtime/base/file.h"

#include <ctype.h>
#include <string.h>

enum { GROUP_MAX = 1 << 20 };

static const char *const names[FMT_METHOD_COUNT] = {
    [FMT_PACK_QUANTIZED] = "pack-quantized",
    [FMT_INT_QUANTIZED] = "int-quantized",
    [FMT_AWQ] = "awq",
    [FMT_GPTQ] = "gptq",
    [FMT_GPTQ_V2] = "gptq_v2",
};

const char *fmt_method_name(enum fmt_method method)
{
    return names[method];
}

/* Widths each method packs. */
static bool has_bits(enum fmt_method method, json_int_t bits)
{
    if (method == FMT_AWQ)
        return bits == 4;
    if (method == FMT_INT_QUANTIZED)
        return bits == 8;
    if (method == FMT_PACK_QUANTIZED)
        return bits >= 1 && bits <= 8;
    return bits == 2 || bits == 3 || bits == 4 || bits == 8;
}

static rt_status take_sizes(struct rt_ctx *ctx, const char *path, json_int_t bits,
                            json_int_t group, struct fmt_quantization *q)
{
    if (!has_bits(q->method, bits))
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': %lld-bit weights of '%s' are not supported; %s", path,
                       (long long)bits, names[q->method],
                       q->method == FMT_AWQ              ? "4 bits are"
                       : q->method == FMT_INT_QUANTIZED  ? "8 bits are"
                       : q->method == FMT_PACK_QUANTIZED ? "1 to 8 bits are"
                                                         : "2, 3, 4 and 8 bits are");
    if (group > GROUP_MAX || (group > 0 && group % 32 != 0))
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': a group size of %lld is not supported; multiples of 32 are",
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
    };
    return fmt_json_check(ctx, path, "quantization_config", object, keys, RT_COUNT(keys));
}

static json_int_t integer(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* ---- compressed-tensors ---- */

/* What a configuration asks for beyond plain packed integers, all of which would
 * otherwise be read and give wrong answers; null if nothing. */
static const char *beyond_integers(const json_t *config, const json_t *weights)
{
    const char *type = json_string_value(json_object_get(weights, "type"));
    const json_t *transform = json_object_get(config, "transform_config");
    if (json_object_size(json_object_get(config, "config_groups")) != 1)
        return "one config group is supported, neither none nor several";
    if (!json_is_object(weights))
        return "the config group has no weights";
    if (type && strcmp(type, "int") != 0)
        return "weights of another type than int are not supported";
    if (json_object_size(transform) > 0)
        return "transformed weights (transform_config) are not supported";
    return NULL;
}

static rt_status read_compressed(struct rt_ctx *ctx, const char *path,
                                 const json_t *config, struct fmt_quantization *q)
{
    const char *format = json_string_value(json_object_get(config, "format"));
    if (format && strcmp(format, "pack-quantized") == 0)
        q->method = FMT_PACK_QUANTIZED;
    else if (format && (strcmp(format, "int-quantized") == 0 ||
                        strcmp(format, "naive-quantized") == 0))
        q->method = FMT_INT_QUANTIZED;
    else
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': compressed-tensors format '%.60s' is not supported; "
                       "pack-quantized, int-quantized and naive-quantized are",
                       path, format ? format : "(none)");
    const char *name = NULL;
    json_t *group = NULL;
    json_object_foreach(json_object_get(config, "config_groups"), name, group) break;
    const json_t *weights = json_object_get(group, "weights");
    rt_status st;
    TRY(check_kinds(ctx, path, weights));
    const char *lack = beyond_integers(config, weights);
    if (lack)
        return rt_fail(ctx, RT_ERR_INPUT, "'%s': quantization_config: %s", path, lack);
    q->symmetric = !json_is_false(json_object_get(weights, "symmetric"));
    if (json_is_object(json_object_get(group, "input_activations")))
        rt_log(ctx, RT_LOG_INFO,
               "'%s' was made for activations of few bits; they stay floats here", path);
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
    q->method = FMT_AWQ;
    if (!is_word_or_none(config, "version", "gemm"))
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': AWQ packing '%.60s' is not supported; gemm is", path,
                       text_of(config, "version"));
    return take_sizes(ctx, path, integer(config, "bits"), integer(config, "group_size"),
                      q);
}

static rt_status read_gptq(struct rt_ctx *ctx, const char *path, const json_t *config,
                           struct fmt_quantization *q)
{
    const bool v1 = is_word_or_none(config, "checkpoint_format", "gptq");
    q->method = v1 ? FMT_GPTQ : FMT_GPTQ_V2;
    q->symmetric = json_is_true(json_object_get(config, "sym"));
    if (!v1 && !is_word_or_none(config, "checkpoint_format", "gptq_v2"))
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': GPTQ checkpoint format '%.60s' is not supported; gptq and "
                       "gptq_v2 are",
                       path, text_of(config, "checkpoint_format"));
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
    const rt_status st = check_kinds(ctx, path, config);
    if (st != RT_OK)
        return st;
    const char *method = json_string_value(json_object_get(config, "quant_method"));
    if (method && strcmp(method, "compressed-tensors") == 0)
        return read_compressed(ctx, path, config, q);
    if (method && strcmp(method, "awq") == 0)
        return read_awq(ctx, path, config, q);
    if (method && strcmp(method, "gptq") == 0)
        return read_gptq(ctx, path, config, q);
    return rt_fail(ctx, RT_ERR_INPUT,
                   "'%s': quantization '%.60s' is not supported; compressed-tensors, awq "
                   "and gptq are",
                   path, method ? method : "(none)");
}

rt_status fmt_quantization_find(struct rt_ctx *ctx, const char *folder, const char *path,
                                const json_t *root, struct fmt_quantization *q)
{
    const json_t *config = json_object_get(root, "quantization_config");
    char *beside = fmt_path(ctx, folder, "quantize_config.json");
    json_t *own = NULL;
    if (!beside)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", folder);
    rt_status st;
    if ((config && !json_is_null(config)) || !fmt_exists(beside)) {
        st = fmt_quantization_read(ctx, path, config, q);
    } else {
        st = fmt_json_read(ctx, beside, &own);
        /* The file is GPTQ's own, which has no need to say so. */
        if (st == RT_OK && !json_object_get(own, "quant_method"))
            json_object_set_new(own, "quant_method", json_string("gptq"));
        if (st == RT_OK)
            st = fmt_quantization_read(ctx, beside, own, q);
    }
    json_decref(own);
    rt_free(beside);
    return st;
}

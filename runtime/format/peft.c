/* runtime/format/peft.c
 * LoRA adapters in memory, and reading them in the layout of Hugging Face PEFT. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "runtime/format/peft.h"

#include "runtime/base/file.h"
#include "runtime/op/weight.h"
#include "runtime/format/safetensors.h"
#include "runtime/base/sha256.h"

#include <math.h>
#include <pcre2.h>
#include <stdio.h>
#include <string.h>

const char *const fmt_module_path[FMT_MODULE_COUNT] = {
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj",
};

void fmt_module_size(const struct fmt_config *c, enum fmt_module module, uint32_t *out,
                     uint32_t *in)
{
    const uint32_t q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
    const uint32_t outs[FMT_MODULE_COUNT] = { q,      kv,     kv,       c->hidden,
                                              c->ffn, c->ffn, c->hidden };
    const uint32_t ins[FMT_MODULE_COUNT] = { c->hidden, c->hidden, c->hidden, q,
                                             c->hidden, c->hidden, c->ffn };
    *out = outs[module];
    *in = ins[module];
}

static rt_status no_memory(struct rt_ctx *ctx)
{
    return rt_fail(ctx, RT_ERR_HOST_MEMORY, "adapter: no host memory");
}

static rt_status adapter_alloc(struct rt_ctx *ctx, uint32_t layers,
                               struct fmt_adapter **out)
{
    struct fmt_adapter *adapter = rt_alloc(ctx, 1, sizeof *adapter);
    *out = adapter;
    if (!adapter)
        return no_memory(ctx);
    adapter->lora =
        rt_alloc(ctx, (size_t)layers * FMT_MODULE_COUNT, sizeof *adapter->lora);
    if (!adapter->lora)
        return no_memory(ctx);
    adapter->layers = layers;
    return RT_OK;
}

static rt_status lora_alloc(struct rt_ctx *ctx, const struct fmt_config *config,
                            enum fmt_module module, uint32_t rank, struct fmt_lora *lora)
{
    uint32_t out, in;
    fmt_module_size(config, module, &out, &in);
    lora->rank = rank;
    lora->a = rt_alloc(ctx, (size_t)rank * in, sizeof *lora->a);
    lora->b = rt_alloc(ctx, (size_t)rank * out, sizeof *lora->b);
    return lora->a && lora->b ? RT_OK : no_memory(ctx);
}

rt_status fmt_adapter_new(struct rt_ctx *ctx, const struct fmt_config *config,
                          uint32_t rank, float alpha, struct fmt_adapter **out)
{
    rt_status st;
    TRY(adapter_alloc(ctx, config->layers, out));
    for (uint32_t i = 0; i < config->layers * FMT_MODULE_COUNT; i++) {
        TRY(lora_alloc(ctx, config, (enum fmt_module)(i % FMT_MODULE_COUNT), rank,
                       &(*out)->lora[i]));
        (*out)->lora[i].scale = alpha / (float)rank;
    }
    (*out)->bits = (*out)->write_bits = 32;
    return RT_OK;

fail:
    fmt_adapter_destroy(out);
    return st;
}

void fmt_adapter_destroy(struct fmt_adapter **adapter)
{
    if (!*adapter)
        return;
    for (uint32_t i = 0; i < (*adapter)->layers * FMT_MODULE_COUNT; i++) {
        rt_free((*adapter)->lora[i].a);
        rt_free((*adapter)->lora[i].b);
    }
    rt_free((*adapter)->lora);
    rt_free(*adapter);
    *adapter = NULL;
}

rt_status fmt_adapter_copy(struct rt_ctx *ctx, const struct fmt_adapter *from,
                           const struct fmt_config *config, struct fmt_adapter **out)
{
    rt_status st;
    TRY(adapter_alloc(ctx, from->layers, out));
    (*out)->bits = from->bits;
    (*out)->write_bits = from->write_bits;
    snprintf((*out)->base, sizeof(*out)->base, "%s", from->base);
    for (uint32_t i = 0; i < from->layers * FMT_MODULE_COUNT; i++) {
        const struct fmt_lora *l = &from->lora[i];
        const enum fmt_module module = (enum fmt_module)(i % FMT_MODULE_COUNT);
        uint32_t rows, cols;
        if (l->rank == 0)
            continue;
        fmt_module_size(config, module, &rows, &cols);
        TRY(lora_alloc(ctx, config, module, l->rank, &(*out)->lora[i]));
        (*out)->lora[i].scale = l->scale;
        memcpy((*out)->lora[i].a, l->a, (size_t)l->rank * cols * sizeof *l->a);
        memcpy((*out)->lora[i].b, l->b, (size_t)l->rank * rows * sizeof *l->b);
    }
    return RT_OK;

fail:
    fmt_adapter_destroy(out);
    return st;
}

uint64_t fmt_adapter_params(const struct fmt_adapter *adapter,
                            const struct fmt_config *config)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < adapter->layers * FMT_MODULE_COUNT; i++) {
        uint32_t out, in;
        fmt_module_size(config, (enum fmt_module)(i % FMT_MODULE_COUNT), &out, &in);
        count += (uint64_t)adapter->lora[i].rank * (out + in);
    }
    return count;
}

void fmt_adapter_hash(const struct fmt_adapter *adapter, const struct fmt_config *config,
                      char hex[65])
{
    struct sha256 hash;
    sha256_init(&hash);
    for (uint32_t i = 0; i < adapter->layers * FMT_MODULE_COUNT; i++) {
        const struct fmt_lora *l = &adapter->lora[i];
        uint32_t out, in;
        fmt_module_size(config, (enum fmt_module)(i % FMT_MODULE_COUNT), &out, &in);
        sha256_add(&hash, &l->rank, sizeof l->rank);
        sha256_add(&hash, &l->scale, sizeof l->scale);
        sha256_add(&hash, l->a, (size_t)l->rank * in * sizeof *l->a);
        sha256_add(&hash, l->b, (size_t)l->rank * out * sizeof *l->b);
    }
    sha256_end_hex(&hash, hex);
}

/* ---- reading ---- */

enum { PATTERN_MAX = 400, RANK_MAX = 1024 };

/* Patterns compile, and their values are numbers above 0. */
static rt_status check_patterns(struct rt_ctx *ctx, const char *folder,
                                const json_t *root, const char *which)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)json_object_get(root, which), key, value)
    {
        int error;
        PCRE2_SIZE at;
        pcre2_code *code =
            pcre2_compile((PCRE2_SPTR)key, PCRE2_ZERO_TERMINATED, 0, &error, &at, NULL);
        const bool valid =
            code && strlen(key) <= PATTERN_MAX && json_number_value(value) > 0;
        pcre2_code_free(code);
        if (!valid)
            return rt_fail(ctx, RT_ERR_INPUT,
                           "'%s/adapter_config.json': %s: '%.60s' is not a regular "
                           "expression of at most %d characters with a number above 0",
                           folder, which, key, (int)PATTERN_MAX);
    }
    return RT_OK;
}

/* True if (.*\.)?(pattern)$ matches the module name, PEFT's rule for its patterns. */
static bool pattern_fits(const char *pattern, const char *name)
{
    char full[PATTERN_MAX + 16];
    snprintf(full, sizeof full, "^(.*\\.)?(%.*s)$", (int)PATTERN_MAX, pattern);
    int error;
    PCRE2_SIZE at;
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)full, PCRE2_ZERO_TERMINATED, 0, &error, &at, NULL);
    pcre2_match_data *match =
        code ? pcre2_match_data_create_from_pattern(code, NULL) : NULL;
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    if (limits) /* module names are short: a pattern that needs more is a runaway */
        pcre2_set_match_limit(limits, 100000);
    const bool fits = match && pcre2_match(code, (PCRE2_SPTR)name, strlen(name), 0, 0,
                                           match, limits) >= 0;
    pcre2_match_context_free(limits);
    pcre2_match_data_free(match);
    pcre2_code_free(code);
    return fits;
}

/* The value of the first pattern (in file order) that fits, else `otherwise`. */
static double from_pattern(const json_t *patterns, const char *name, double otherwise)
{
    const char *key;
    json_t *value;
    json_object_foreach(
        (json_t *)(uintptr_t)patterns, key,
        value) if (pattern_fits(key, name)) return json_number_value(value);
    return otherwise;
}

/* Ways to start an adapter that leave the base model alone. Others (pissa, olora, corda,
 * loftq) move part of it into the adapter, which is then no use with the base as it is. */
static bool starts_beside_the_base(const json_t *way)
{
    static const char *const known[] = { "gaussian", "eva", "orthogonal" };
    const char *name = json_string_value(way);
    for (size_t i = 0; name && i < RT_COUNT(known); i++)
        if (strcmp(name, known[i]) == 0)
            return true;
    return !way || json_is_boolean(way) || json_is_null(way);
}

static rt_status check_kind(struct rt_ctx *ctx, const char *folder, const json_t *root)
{
    const char *type = json_string_value(json_object_get(root, "peft_type"));
    const json_t *way = json_object_get(root, "init_lora_weights");
    const char *name = json_string_value(way);
    if (!type || strcmp(type, "LORA") != 0)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s/adapter_config.json': adapters of peft_type '%.40s' are not "
                       "supported; LORA is",
                       folder, type ? type : "(none)");
    if (!starts_beside_the_base(way))
        return rt_fail(
            ctx, RT_ERR_INPUT,
            "'%s/adapter_config.json': adapters that change the base model when "
            "they start (init_lora_weights '%.40s') are not supported",
            folder, name ? name : "(no name)");
    return RT_OK;
}

/* What changes the product or the model and is not done here. */
static const struct {
    const char *key, *what;
} unsupported[] = {
    { "use_dora", "DoRA (use_dora) is" },
    { "use_qalora", "QA-LoRA (use_qalora) is" },
    { "modules_to_save", "modules_to_save is" },
    { "lora_bias", "trained biases (lora_bias) are" },
    { "trainable_token_indices", "trained tokens (trainable_token_indices) are" },
    { "layer_replication", "repeated layers (layer_replication) are" },
    { "alora_invocation_tokens",
      "adapters that start at a token (alora_invocation_tokens) are" },
};

/* Neither missing, null, false, 0 nor empty. */
static bool is_set(const json_t *value)
{
    return json_is_true(value) || json_array_size(value) > 0 ||
           json_object_size(value) > 0 || json_string_length(value) > 0 ||
           json_number_value(value) != 0;
}

static rt_status check_config(struct rt_ctx *ctx, const char *folder, const char *path,
                              const json_t *root)
{
    static const struct fmt_json_key keys[] = {
        { "r", FMT_JSON_WHOLE },
        { "lora_alpha", FMT_JSON_NUMBER },
        { "bias", FMT_JSON_TEXT },
        { "use_rslora", FMT_JSON_BOOL },
        { "rank_pattern", FMT_JSON_OBJECT },
        { "alpha_pattern", FMT_JSON_OBJECT },
    };
    rt_status st;
    const char *bias = json_string_value(json_object_get(root, "bias"));
    const char *lack = NULL;
    TRY(fmt_json_check(ctx, path, "", root, keys, RT_COUNT(keys)));
    for (size_t i = 0; i < RT_COUNT(unsupported); i++)
        if (is_set(json_object_get(root, unsupported[i].key)))
            return rt_fail(ctx, RT_ERR_INPUT, "'%s': %s not supported", path,
                           unsupported[i].what);
    if (bias && strcmp(bias, "none") != 0)
        lack = "trained biases are not supported";
    else if (!json_is_integer(json_object_get(root, "r")))
        lack = "r is missing";
    else if (!(json_number_value(json_object_get(root, "lora_alpha")) > 0))
        lack = "lora_alpha is missing or not above 0";
    if (lack)
        return rt_fail(ctx, RT_ERR_INPUT, "'%s': %s", path, lack);
    TRY(check_patterns(ctx, folder, root, "rank_pattern"));
    TRY(check_patterns(ctx, folder, root, "alpha_pattern"));

fail:
    return st;
}

static rt_status read_matrix(struct rt_ctx *ctx, const char *folder,
                             const struct fmt_safetensors *file, const char *name,
                             uint64_t rows, uint64_t cols, float *out)
{
    const struct fmt_tensor *t = fmt_safetensors_find(file, name);
    if (!t || t->dims != 2 || t->shape[0] != rows || t->shape[1] != cols ||
        !fmt_dtype_is_float(t->dtype))
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': '%s' does not fit the model: [%llu, %llu] floats are "
                       "expected; is the adapter of another model?",
                       folder, name, (unsigned long long)rows, (unsigned long long)cols);
    fmt_tensor_floats(t, 0, t->count, out);
    for (uint64_t i = 0; i < t->count; i++)
        if (!isfinite(out[i]))
            return rt_fail(ctx, RT_ERR_INPUT,
                           "'%s': '%s' holds a value that is not finite", folder, name);
    return RT_OK;
}

static rt_status read_module(struct rt_ctx *ctx, const char *folder, const json_t *root,
                             const struct fmt_safetensors *file,
                             const struct fmt_config *config, uint32_t layer,
                             enum fmt_module module, struct fmt_lora *lora,
                             uint32_t *found)
{
    rt_status st;
    char path[128], a[192], b[192];
    uint32_t out, in;
    snprintf(path, sizeof path, "model.layers.%u.%s", layer, fmt_module_path[module]);
    snprintf(a, sizeof a, "base_model.model.%s.lora_A.weight", path);
    snprintf(b, sizeof b, "base_model.model.%s.lora_B.weight", path);
    const struct fmt_tensor *t = fmt_safetensors_find(file, a);
    if (!t)
        return RT_OK;
    const double rank = from_pattern(json_object_get(root, "rank_pattern"), path,
                                     json_number_value(json_object_get(root, "r")));
    const double alpha =
        from_pattern(json_object_get(root, "alpha_pattern"), path,
                     json_number_value(json_object_get(root, "lora_alpha")));
    fmt_module_size(config, module, &out, &in);
    if (!(rank >= 1 && rank <= RANK_MAX) || t->dims != 2 || (double)t->shape[0] != rank)
        return rt_fail(ctx, RT_ERR_INPUT,
                       "'%s': '%s' has %llu rows, adapter_config.json gives it rank %g",
                       folder, a, (unsigned long long)(t->dims ? t->shape[0] : 0), rank);
    TRY(lora_alloc(ctx, config, module, (uint32_t)rank, lora));
    const bool root_scale = json_is_true(json_object_get(root, "use_rslora"));
    lora->scale = (float)(alpha / (root_scale ? sqrt(rank) : rank));
    TRY(read_matrix(ctx, folder, file, a, lora->rank, in, lora->a));
    TRY(read_matrix(ctx, folder, file, b, out, lora->rank, lora->b));
    *found += 2;
    return RT_OK;

fail:
    return st;
}

/* The first tensor of the file that belongs to no adapted module. */
static const char *find_stranger(const struct fmt_safetensors *file,
                                 const struct fmt_adapter *adapter)
{
    for (uint32_t t = 0; t < file->count; t++) {
        bool known = false;
        for (uint32_t i = 0; i < adapter->layers * FMT_MODULE_COUNT && !known; i++) {
            char stem[128];
            const int n =
                snprintf(stem, sizeof stem, "base_model.model.model.layers.%u.%s.lora_",
                         i / FMT_MODULE_COUNT, fmt_module_path[i % FMT_MODULE_COUNT]);
            known = adapter->lora[i].rank &&
                    strncmp(file->tensors[t].name, stem, (size_t)n) == 0;
        }
        if (!known)
            return file->tensors[t].name;
    }
    return "(none)";
}

/* A type that all tensors have; BF16 and mixtures are written as floats. */
static void note_type(const struct fmt_safetensors *file, struct fmt_adapter *adapter)
{
    uint32_t wide = 0, f16 = 0, f8 = 0;
    for (uint32_t t = 0; t < file->count; t++) {
        wide += file->tensors[t].dtype == FMT_F32;
        f16 += file->tensors[t].dtype == FMT_F16;
        f8 += file->tensors[t].dtype == FMT_F8_E4M3;
    }
    adapter->bits = wide ? 32 : f8 == file->count && f8 > 0 ? 8 : 16;
    adapter->write_bits = adapter->bits == 8 ? 8 : f16 == file->count ? 16 : 32;
}

/* What this program writes: a hash. Others may call something else "base". */
static void note_base(const struct fmt_safetensors *file, struct fmt_adapter *adapter)
{
    const char *base = json_string_value(json_object_get(file->metadata, "base"));
    if (base && strlen(base) == 64 && strspn(base, "0123456789abcdef") == 64)
        snprintf(adapter->base, sizeof adapter->base, "%s", base);
}

rt_status fmt_adapter_read(struct rt_ctx *ctx, const char *folder,
                           const struct fmt_config *config, struct fmt_adapter **out)
{
    rt_status st;
    *out = NULL;
    json_t *root = NULL;
    struct fmt_safetensors file = { 0 };
    uint32_t found = 0;
    char *config_path = fmt_path(ctx, folder, "adapter_config.json");
    char *tensor_path = fmt_path(ctx, folder, "adapter_model.safetensors");
    if (!config_path || !tensor_path) {
        st = no_memory(ctx);
        goto fail;
    }
    TRY(fmt_json_read(ctx, config_path, &root));
    TRY(check_kind(ctx, folder, root));
    TRY(check_config(ctx, folder, config_path, root));
    TRY(fmt_safetensors_open(ctx, tensor_path, &file));
    TRY(adapter_alloc(ctx, config->layers, out));
    for (uint32_t i = 0; i < config->layers * FMT_MODULE_COUNT; i++)
        TRY(read_module(ctx, folder, root, &file, config, i / FMT_MODULE_COUNT,
                        (enum fmt_module)(i % FMT_MODULE_COUNT), &(*out)->lora[i],
                        &found));
    note_type(&file, *out);
    note_base(&file, *out);
    if (found != file.count)
        st = rt_fail(
            ctx, RT_ERR_INPUT,
            "'%s' has %u tensors, %u of them fit this model, '%.120s' does not; is "
            "the adapter of another model?",
            folder, file.count, found, find_stranger(&file, *out));

fail:
    if (st != RT_OK)
        fmt_adapter_destroy(out);
    fmt_safetensors_close(&file);
    json_decref(root);
    rt_free(config_path);
    rt_free(tensor_path);
    return st;
}

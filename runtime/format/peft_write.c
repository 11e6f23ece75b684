/* runtime/format/peft_write.c
 * Writes LoRA adapters in the layout of Hugging Face PEFT, as floats, halves or E4M3. */
#include "runtime/base/file.h"
#include "runtime/format/peft.h"
#include "runtime/format/safetensors.h"
#include "runtime/op/weight.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* What a write holds until it ends. */
struct writing {
    struct fmt_adapter *balanced; /* E4M3: a copy whose values have that range */
    struct fmt_tensor_out *tensors;
    char (*names)[192];
    uint8_t *rounded; /* of all tensors; null: they stay floats */
    uint64_t used;
    uint32_t count;
};

/* ---- adapter_config.json ---- */

/* Modules whose rank or scale is not that of `first` go into the patterns, under their
 * full path; modules that no layer adapts are not targets. False without memory. */
static bool list_modules(const struct fmt_adapter *adapter, const struct fmt_lora *first,
                         json_t *targets, json_t *ranks, json_t *alphas)
{
    bool used[FMT_MODULE_COUNT] = { false }, good = true;
    for (uint32_t i = 0; i < adapter->layers * FMT_MODULE_COUNT; i++) {
        const struct fmt_lora *l = &adapter->lora[i];
        const double alpha = (double)l->scale * l->rank;
        char path[128];
        if (l->rank == 0)
            continue;
        used[i % FMT_MODULE_COUNT] = true;
        snprintf(path, sizeof path, "model.layers.%u.%s", i / FMT_MODULE_COUNT,
                 fmt_module_path[i % FMT_MODULE_COUNT]);
        if (l->rank != first->rank)
            good &= json_object_set_new(ranks, path, json_integer(l->rank)) == 0;
        if (alpha != (double)first->scale * first->rank)
            good &= json_object_set_new(alphas, path, json_real(alpha)) == 0;
    }
    for (int i = 0; i < FMT_MODULE_COUNT; i++)
        if (used[i])
            good &= json_array_append_new(
                        targets, json_string(strchr(fmt_module_path[i], '.') + 1)) == 0;
    return good;
}

static json_t *config_of(const struct fmt_adapter *adapter, const struct fmt_lora *first,
                         const char *base)
{
    json_t *targets = json_array(), *ranks = json_object(), *alphas = json_object();
    const bool good = list_modules(adapter, first, targets, ranks, alphas);
    json_t *root = json_pack(
        "{s:s, s:s, s:s, s:i, s:f, s:f, s:o, s:s, s:b, s:b, s:b, s:b, s:b, s:n, s:o, "
        "s:o, "
        "s:n}",
        "peft_type", "LORA", "task_type", "CAUSAL_LM", "base_model_name_or_path", base,
        "r", (int)first->rank, "lora_alpha", (double)first->scale * first->rank,
        "lora_dropout", 0.0, "target_modules", targets, "bias", "none", "fan_in_fan_out",
        0, "inference_mode", 1, "init_lora_weights", 1, "use_rslora", 0, "use_dora", 0,
        "modules_to_save", "rank_pattern", ranks, "alpha_pattern", alphas,
        "layers_to_transform");
    if (good)
        return root;
    json_decref(root);
    return NULL;
}

/* ---- E4M3 ---- */

enum {
    E4M3_MOST = 9,  /* numbers up to 448 = 1.75 x 2^8 have an exponent of at most that */
    SCALE_MOST = 96 /* powers of two that a scale takes back: it stays a normal float */
};

/* The most by which a power of two may multiply `size` so that E4M3 holds it: 2^k size, once
 * rounded, lies in (224, 448]. Of zeros, and of what stays no number, any will do: 0. */
static int room_of(float size)
{
    int exponent;
    if (!(size > 0) || isinf(size))
        return 0;
    const float fraction = rintf(16 * frexpf(size, &exponent)) / 16; /* in [0.5, 1] */
    return E4M3_MOST - exponent - (fraction > 448.0f / 512 ? 1 : 0);
}

static float largest(const float *values, uint32_t count, uint32_t step)
{
    float most = 0;
    for (uint32_t i = 0; i < count; i++)
        most = fmaxf(most, fabsf(values[(size_t)i * step]));
    return most;
}

/* The most that row r of A may be multiplied by, and column r of B. False if one of them is
 * zero, so that their product is, whatever they are multiplied by. */
static bool rooms(const struct fmt_lora *l, uint32_t out, uint32_t in, uint32_t r, int *a,
                  int *b)
{
    const float most_a = largest(l->a + (size_t)r * in, in, 1),
                most_b = largest(l->b + r, out, l->rank);
    *a = room_of(most_a);
    *b = room_of(most_b);
    return most_a > 0 && most_b > 0;
}

static void multiply(float *values, uint32_t count, uint32_t step, int exponent)
{
    for (uint32_t i = 0; i < count; i++)
        values[(size_t)i * step] = ldexpf(values[(size_t)i * step], exponent);
}

static bool is_e4m3(const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (rt_e4m3_to_float(rt_e4m3_nearest(values[i])) != values[i])
            return false;
    return true;
}

/* Row r of A times 2^i and column r of B times 2^j are the same product for every i + j
 * that all r have in common, which the scale takes back. So each row and column is brought
 * as near to the upper end of E4M3 as that allows; powers of two change no digit. What has
 * been rounded before stays as it is. */
static void balance(struct fmt_lora *l, uint32_t out, uint32_t in)
{
    int a, b, least = INT_MAX;
    if (is_e4m3(l->a, (size_t)l->rank * in) && is_e4m3(l->b, (size_t)l->rank * out))
        return;
    for (uint32_t r = 0; r < l->rank; r++)
        if (rooms(l, out, in, r, &a, &b) && a + b < least)
            least = a + b;
    if (least != INT_MAX && least > SCALE_MOST)
        least = SCALE_MOST;
    for (uint32_t r = 0; r < l->rank; r++) {
        if (rooms(l, out, in, r, &a, &b)) { /* what is left over is left to both */
            a -= (a + b - least) / 2;
            b = least - a;
        }
        multiply(l->a + (size_t)r * in, in, 1, a);
        multiply(l->b + r, out, l->rank, b);
    }
    if (least != INT_MAX)
        l->scale = ldexpf(l->scale, -least);
}

static rt_status make_balanced(struct rt_ctx *ctx, const struct fmt_adapter *adapter,
                               const struct fmt_config *config, struct fmt_adapter **out)
{
    const rt_status st = fmt_adapter_copy(ctx, adapter, config, out);
    for (uint32_t i = 0; st == RT_OK && i < adapter->layers * FMT_MODULE_COUNT; i++) {
        uint32_t rows, cols;
        fmt_module_size(config, (enum fmt_module)(i % FMT_MODULE_COUNT), &rows, &cols);
        balance(&(*out)->lora[i], rows, cols);
    }
    return st;
}

/* ---- tensors ---- */

/* Rounds the floats of a matrix, which then has `bits` per number. */
static void round_tensor(struct writing *w, struct fmt_tensor_out *t, uint32_t bits)
{
    const float *values = t->data;
    const uint64_t count = t->shape[0] * t->shape[1];
    uint8_t *bytes = w->rounded + w->used;
    uint16_t *halves = (uint16_t *)(void *)bytes;
    for (uint64_t i = 0; i < count; i++) {
        if (bits == 8)
            bytes[i] = rt_e4m3_nearest(values[i]);
        else
            halves[i] = rt_half_nearest(values[i]);
    }
    t->dtype = bits == 8 ? FMT_F8_E4M3 : FMT_F16;
    t->data = bytes;
    w->used += count * bits / 8;
}

static void add_module(struct writing *w, const struct fmt_lora *l, uint32_t layer,
                       enum fmt_module module, const struct fmt_config *config,
                       uint32_t bits)
{
    uint32_t rows, cols;
    fmt_module_size(config, module, &rows, &cols);
    for (uint32_t k = 0; k < 2; k++) {
        struct fmt_tensor_out *t = &w->tensors[w->count];
        snprintf(w->names[w->count], sizeof *w->names,
                 "base_model.model.model.layers.%u.%s.lora_%c.weight", layer,
                 fmt_module_path[module], k ? 'B' : 'A');
        *t = (struct fmt_tensor_out){
            .name = w->names[w->count],
            .dtype = FMT_F32,
            .dims = 2,
            .data = k ? l->b : l->a,
            .shape = { k ? rows : l->rank, k ? l->rank : cols },
        };
        if (bits != 32)
            round_tensor(w, t, bits);
        w->count++;
    }
}

static rt_status write_files(struct rt_ctx *ctx, const char *folder,
                             const struct writing *w, const json_t *config,
                             const char *const *metadata)
{
    rt_status st;
    char *config_path = fmt_path(ctx, folder, "adapter_config.json");
    char *tensor_path = fmt_path(ctx, folder, "adapter_model.safetensors");
    if (!config_path || !tensor_path) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "adapter: no host memory");
        goto fail;
    }
    TRY(fmt_make_folder(ctx, folder));
    TRY(fmt_safetensors_write(ctx, tensor_path, w->tensors, w->count, metadata));
    TRY(fmt_json_write(ctx, config_path, config));

fail:
    rt_free(config_path);
    rt_free(tensor_path);
    return st;
}

rt_status fmt_adapter_write(struct rt_ctx *ctx, const char *folder,
                            const struct fmt_adapter *adapter,
                            const struct fmt_config *config, const char *base,
                            const char *const *metadata)
{
    rt_status st;
    struct writing w = { 0 };
    json_t *root = NULL;
    const uint32_t n = adapter->layers * FMT_MODULE_COUNT, bits = adapter->write_bits;
    const struct fmt_lora *first = NULL; /* of the adapted modules */
    assert(bits == 8 || bits == 16 || bits == 32);
    if (bits == 8) {
        TRY(make_balanced(ctx, adapter, config, &w.balanced));
        adapter = w.balanced;
    }
    for (uint32_t i = 0; i < n && !first; i++)
        first = adapter->lora[i].rank ? &adapter->lora[i] : NULL;
    if (!first) {
        st = rt_fail(ctx, RT_ERR_USAGE, "'%s': the adapter adapts no module", folder);
        goto fail;
    }
    root = config_of(adapter, first, base);
    w.tensors = rt_alloc(ctx, 2u * n, sizeof *w.tensors);
    w.names = rt_alloc(ctx, 2u * n, sizeof *w.names);
    if (bits != 32)
        w.rounded = rt_alloc(ctx, fmt_adapter_params(adapter, config), bits / 8);
    if (!root || !w.tensors || !w.names || (bits != 32 && !w.rounded)) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "adapter: no host memory");
        goto fail;
    }
    for (uint32_t i = 0; i < n; i++)
        if (adapter->lora[i].rank)
            add_module(&w, &adapter->lora[i], i / FMT_MODULE_COUNT,
                       (enum fmt_module)(i % FMT_MODULE_COUNT), config, bits);
    TRY(write_files(ctx, folder, &w, root, metadata));

fail:
    json_decref(root);
    fmt_adapter_destroy(&w.balanced);
    rt_free(w.tensors);
    rt_free(w.names);
    rt_free(w.rounded);
    return st;
}

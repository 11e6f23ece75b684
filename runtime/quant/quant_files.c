/* runtime/quant/quant_files.c
 * Writes config.json, tokenizer and README of a quantized folder. */
#include "runtime/quant/quant_files.h"

#include "runtime/base/os.h"
#include "runtime/format/gguf_model.h"
#include "runtime/format/peft.h"
#include "runtime/quant/width_plan.h"
#include "runtime/text/tokenizer.h"

#include <stdio.h>
#include <string.h>

/* Files that are the same for the packed model. */
static const char *const copied[] = {
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "generation_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
};

/* Matrices of 8 bits per row, packed if their inputs stay floats. Takes `targets`. */
static json_t *int8_group(const struct quant_options *o, bool rounded, json_t *targets)
{
    const bool given = o->inputs == QUANT_INPUTS_GIVEN;
    json_t *inputs = rounded ? json_pack("{s:i, s:s, s:b, s:s, s:b}", "num_bits", 8,
                                         "type", "int", "symmetric", 1, "strategy",
                                         given ? "tensor" : "token", "dynamic", !given)
                             : json_null();
    return json_pack("{s:o, s:{s:i, s:s, s:b, s:s, s:b}, s:o, s:n, s:s}", "targets",
                     targets, "weights", "num_bits", 8, "type", "int", "symmetric", 1,
                     "strategy", "channel", "dynamic", 0, "input_activations", inputs,
                     "output_activations", "format",
                     rounded ? "int-quantized" : "pack-quantized");
}

static bool is_listed(const json_t *names, const char *name)
{
    const json_t *one;
    size_t i;
    json_array_foreach(names, i, one)
    {
        if (strcmp(json_string_value(one), name) == 0)
            return true;
    }
    return false;
}

/* Names of the projections whose inputs are rounded. By name and not by class: programs
 * that fuse matrices would take the class first. */
static json_t *rounded_targets(const json_t *float_inputs, uint32_t layers)
{
    char name[128];
    json_t *names = json_array();
    for (uint32_t i = 0; i < layers * FMT_MODULE_COUNT; i++) {
        snprintf(name, sizeof name, "model.layers.%u.%s", i / FMT_MODULE_COUNT,
                 fmt_module_path[i % FMT_MODULE_COUNT]);
        if (!is_listed(float_inputs, name))
            json_array_append_new(names, json_string(name));
    }
    return names;
}

/* Of weights and activations of 8 bits. A group without targets is left out: all matrices
 * may be of the other. */
static json_t *int8_config(const struct quant_options *o, const json_t *float_inputs,
                           uint32_t layers)
{
    const bool mixed = json_array_size(float_inputs) > 0;
    const bool any = json_array_size(float_inputs) < (size_t)layers * FMT_MODULE_COUNT;
    json_t *groups = json_object();
    json_t *rounded =
        mixed ? rounded_targets(float_inputs, layers) : json_pack("[s]", "Linear");
    if (any)
        json_object_set_new(groups, "group_0", int8_group(o, true, rounded));
    else
        json_decref(rounded);
    if (mixed)
        json_object_set_new(groups, "group_1",
                            int8_group(o, false, json_deep_copy(float_inputs)));
    return json_pack("{s:s, s:s, s:s, s:o, s:[s], s:s}", "quant_method",
                     "compressed-tensors", "format",
                     !mixed ? "int-quantized"
                     : any  ? "mixed-precision"
                            : "pack-quantized",
                     "quantization_status", "compressed", "config_groups", groups,
                     "ignore", "lm_head", "algorithm", quant_method_of(o)->name);
}

/* Takes `targets`. */
static json_t *config_group(const struct quant_options *o, uint32_t bits, json_t *targets)
{
    json_t *group = o->group ? json_integer(o->group) : json_null();
    return json_pack("{s:o, s:{s:i, s:s, s:b, s:s, s:o, s:b}}", "targets", targets,
                     "weights", "num_bits", (int)bits, "type", "int", "symmetric",
                     !o->asymmetric, "strategy", o->group ? "group" : "channel",
                     "group_size", group, "dynamic", 0);
}

/* Names of the projections that a plan gives this width. */
static json_t *targets_of(const struct quant_options *o, uint32_t bits, uint32_t layers)
{
    char name[128];
    json_t *names = json_array();
    for (uint32_t i = 0; i < layers * FMT_MODULE_COUNT; i++) {
        snprintf(name, sizeof name, "model.layers.%u.%s", i / FMT_MODULE_COUNT,
                 fmt_module_path[i % FMT_MODULE_COUNT]);
        if (quant_plan_bits(o->plan, name, o->bits) == bits)
            json_array_append_new(names, json_string(name));
    }
    return names;
}

/* One group of all, or one per width of the plan. */
static json_t *config_groups(const struct quant_options *o, uint32_t layers)
{
    char key[24];
    json_t *groups = json_object();
    if (!o->plan)
        json_object_set_new(groups, "group_0",
                            config_group(o, o->bits, json_pack("[s]", "Linear")));
    for (int i = 0; o->plan && i < QUANT_PLAN_WIDTHS; i++) {
        json_t *targets = targets_of(o, quant_plan_widths[i], layers);
        snprintf(key, sizeof key, "group_%zu", json_object_size(groups));
        if (json_array_size(targets))
            json_object_set_new(groups, key,
                                config_group(o, quant_plan_widths[i], targets));
        else
            json_decref(targets);
    }
    return groups;
}

static json_t *quantization_config(const struct quant_options *o,
                                   const json_t *float_inputs, const json_t *config)
{
    const json_t *layers = json_object_get(config, "num_hidden_layers");
    if (o->inputs != QUANT_INPUTS_FLOATS)
        return int8_config(o, float_inputs, (uint32_t)json_integer_value(layers));
    return json_pack("{s:s, s:s, s:s, s:o, s:[s], s:s}", "quant_method",
                     "compressed-tensors", "format", "pack-quantized",
                     "quantization_status", "compressed", "config_groups",
                     config_groups(o, (uint32_t)json_integer_value(layers)), "ignore",
                     "lm_head", "algorithm", quant_method_of(o)->name);
}

static rt_status no_memory(struct rt_ctx *ctx)
{
    return rt_fail(ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory");
}

/* ---- from a GGUF file ---- */

/* Names that the transformers library looks for, and numbers are 32-bit floats. */
static rt_status add_class(struct rt_ctx *ctx, json_t *root)
{
    static const char *const classes[][2] = {
        { "llama", "LlamaForCausalLM" },
        { "qwen2", "Qwen2ForCausalLM" },
        { "qwen3", "Qwen3ForCausalLM" },
    };
    const char *type = json_string_value(json_object_get(root, "model_type"));
    json_t *names = json_array();
    for (size_t i = 0; type && i < RT_COUNT(classes); i++)
        if (strcmp(classes[i][0], type) == 0)
            json_array_append_new(names, json_string(classes[i][1]));
    const bool good =
        json_object_set_new(root, "architectures", names) == 0 &&
        json_object_set_new(root, "torch_dtype", json_string("float32")) == 0;
    return good ? RT_OK : no_memory(ctx);
}

/* A model card with nothing but what the file says of its licence. */
static rt_status write_card(struct rt_ctx *ctx, const struct fmt_gguf *file,
                            const char *to)
{
    rt_status st;
    char *licence = NULL, *card = NULL, *path = fmt_path(ctx, to, "README.md");
    TRY(fmt_gguf_text(file, "general.license", &licence));
    if (!licence || strpbrk(licence, "\r\n"))
        goto fail;
    card = rt_format(ctx,
                     "---\nlicense: %s\n---\n\nWritten by faultline quantize from a GGUF "
                     "file of that licence.\n",
                     licence);
    st = card && path ? fmt_write_atomic(ctx, path, card, strlen(card)) : no_memory(ctx);

fail:
    rt_free(licence);
    rt_free(card);
    rt_free(path);
    return st;
}

static rt_status from_gguf(struct rt_ctx *ctx, const char *from, const char *to,
                           json_t **config)
{
    rt_status st;
    struct fmt_gguf file;
    TRY(fmt_gguf_open(ctx, from, &file));
    st = fmt_gguf_config_json(&file, config);
    if (st == RT_OK)
        st = add_class(ctx, *config);
    if (st == RT_OK)
        st = write_card(ctx, &file, to);
    if (st == RT_OK)
        st = text_gguf_export(ctx, &file, to);
    fmt_gguf_close(&file);

fail:
    return st;
}

/* ---- from a folder ---- */

static rt_status copy_files(struct rt_ctx *ctx, const char *from, const char *to)
{
    rt_status st;
    char path[4200], source[4200];
    for (size_t i = 0; i < RT_COUNT(copied); i++) {
        snprintf(source, sizeof source, "%.4100s/%s", from, copied[i]);
        snprintf(path, sizeof path, "%.4100s/%s", to, copied[i]);
        TRY(fmt_copy_if_there(ctx, source, path));
    }

fail:
    return st;
}

static rt_status from_folder(struct rt_ctx *ctx, const char *from, const char *to,
                             json_t **config)
{
    rt_status st;
    char source[4200];
    snprintf(source, sizeof source, "%.4100s/config.json", from);
    TRY(fmt_json_read(ctx, source, config));
    TRY(copy_files(ctx, from, to));

fail:
    return st;
}

rt_status quant_files_copy(struct rt_ctx *ctx, const char *from, const char *to)
{
    static const char *const more[] = { "config.json", "quantize_config.json",
                                        "README.md" };
    rt_status st;
    char path[4200], source[4200];
    for (size_t i = 0; i < RT_COUNT(more); i++) {
        snprintf(source, sizeof source, "%.4100s/%s", from, more[i]);
        snprintf(path, sizeof path, "%.4100s/%s", to, more[i]);
        TRY(fmt_copy_if_there(ctx, source, path));
    }
    TRY(copy_files(ctx, from, to));

fail:
    return st;
}

/* Zero points are read by transformers 5.24 only if it decompresses them while it loads, and
 * then it takes the first config group for all matrices (2026-12-01). */
static void warn_of_widths(struct rt_ctx *ctx, const struct quant_options *o,
                           const json_t *config)
{
    const json_t *q = json_object_get(config, "quantization_config");
    if (o && o->asymmetric && json_object_size(json_object_get(q, "config_groups")) > 1)
        rt_log(ctx, RT_LOG_WARNING,
               "this folder has zero points and several widths: transformers 5.24 reads "
               "all matrices as if they had the width of the first, without an error; it "
               "reads several widths without --asym, and --asym with one width");
}

rt_status quant_files_write(struct rt_ctx *ctx, const char *from, const char *to,
                            const struct quant_options *options,
                            const json_t *float_inputs, enum fmt_dtype floats, bool tied)
{
    rt_status st;
    json_t *config = NULL;
    char path[4200];
    TRY(fmt_gguf_is(from) ? from_gguf(ctx, from, to, &config)
                          : from_folder(ctx, from, to, &config));
    json_object_del(config, "quantization_config");
    json_object_del(config, "compression_config"); /* as it was called before */
    const char *type = floats == FMT_F16    ? "float16"
                       : floats == FMT_BF16 ? "bfloat16"
                                            : "float32";
    if ((!options &&
         json_object_set_new(config, "torch_dtype", json_string(type)) != 0) ||
        (options &&
         json_object_set_new(config, "quantization_config",
                             quantization_config(options, float_inputs, config)) != 0) ||
        (tied != json_is_true(json_object_get(config, "tie_word_embeddings")) &&
         json_object_set_new(config, "tie_word_embeddings", json_boolean(tied)) != 0))
        st = no_memory(ctx);
    warn_of_widths(ctx, options, config);
    snprintf(path, sizeof path, "%.4100s/config.json", to);
    if (st == RT_OK)
        st = fmt_json_write(ctx, path, config);

fail:
    json_decref(config);
    return st;
}

void quant_files_remove(const char *folder)
{
    static const char *const own[] = { "model.safetensors", "config.json", "README.md",
                                       "quantize_config.json" };
    char path[4300];
    for (size_t i = 0; i < RT_COUNT(own); i++) {
        snprintf(path, sizeof path, "%.4200s/%s", folder, own[i]);
        remove(path);
    }
    for (size_t i = 0; i < RT_COUNT(copied); i++) {
        snprintf(path, sizeof path, "%.4200s/%s", folder, copied[i]);
        remove(path);
    }
    os_remove_folder(folder);
}

/* Settings of single modules: groups of compressed-tensors and dynamic rules of GPTQ give
 * each module what compressed-tensors 0.20 and GPTQModel give it. Rules that change nothing
 * are none; what cannot be read is refused for the module that needs it. */
#include "runtime/format/quant_rules.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define GROUPS(groups)                                                            \
    "{\"quant_method\": \"compressed-tensors\", \"format\": \"pack-quantized\", " \
    "\"config_groups\": {" groups "}}"
#define GROUP(name, targets, bits, more)                                           \
    "\"" name "\": {\"targets\": [" targets "], \"weights\": {\"num_bits\": " bits \
    ", \"group_size\": 32}" more "}"
#define DYNAMIC(rules)                                               \
    "{\"quant_method\": \"gptq\", \"bits\": 4, \"group_size\": 32, " \
    "\"desc_act\": false, \"sym\": true, \"dynamic\": {" rules "}}"

static rt_status read(struct rt_ctx *ctx, const char *text, struct fmt_quantization *base,
                      struct fmt_quant_rules *rules)
{
    json_t *config = json_loads(text, 0, NULL);
    if (!config)
        fail_msg("the case is not JSON: %s", text);
    const rt_status st = fmt_quant_rules_read(ctx, "config.json", config, base, rules);
    json_decref(config);
    return st;
}

static const struct {
    const char *config, *module;
    enum fmt_method method;
    uint32_t bits, group;
    bool mixed;
} found[] = {
#define SPLIT                                                      \
    GROUPS(GROUP("a", "\"re:.*self_attn.*\"", "4", "") ", " GROUP( \
        "b", "\"re:.*mlp.*\", \"lm_head\"", "8", ", \"format\": \"int-quantized\""))
    { SPLIT, "model.layers.0.self_attn.q_proj", FMT_PACK_QUANTIZED, 4, 32, true },
    { SPLIT, "model.layers.0.mlp.up_proj", FMT_INT_QUANTIZED, 8, 32, true },
    { SPLIT, "lm_head", FMT_INT_QUANTIZED, 8, 32, true },
    /* equal groups are one */
    { GROUPS(GROUP("a", "\"re:.*attn.*\"", "4", "") ", " GROUP("b", "\"re:.*mlp.*\"", "4",
                                                               "")),
      "model.layers.0.mlp.up_proj", FMT_PACK_QUANTIZED, 4, 32, false },
    { GROUPS(GROUP("a", "\"Linear\"", "4", "")), "lm_head", FMT_PACK_QUANTIZED, 4, 32,
      false },
    { GROUPS("\"a\": {\"weights\": {\"num_bits\": 4, \"group_size\": 32}}"), "lm_head",
      FMT_PACK_QUANTIZED, 4, 32, false },
/* a name before an expression, expressions by alphabet, both before a class */
#define ORDER                                                            \
    GROUPS(GROUP("a", "\"Linear\", \"re:model.*\"", "8", "") ", " GROUP( \
        "b", "\"re:m.*proj\"", "4",                                      \
        "") ", " GROUP("c", "\"model.layers.0.mlp.up_proj\", \"Embedding\"", "3", ""))
    { ORDER, "model.layers.0.mlp.up_proj", FMT_PACK_QUANTIZED, 3, 32, true },
    { ORDER, "model.layers.0.mlp.down_proj", FMT_PACK_QUANTIZED, 4, 32, true },
    { ORDER, "model.layers.0.mlp.other", FMT_PACK_QUANTIZED, 8, 32, true },
    { ORDER, "lm_head", FMT_PACK_QUANTIZED, 8, 32, true },
    { ORDER, "model.embed_tokens", FMT_PACK_QUANTIZED, 8, 32, true }, /* re:model */
    { GROUPS(GROUP("a", "\"Linear\"", "8", "") ", " GROUP("b", "\"Embedding\"", "4", "")),
      "model.embed_tokens", FMT_PACK_QUANTIZED, 4, 32, true },
    /* the last group with a target has it */
    { GROUPS(GROUP("a", "\"Linear\"", "8", "") ", " GROUP("b", "\"Linear\"", "4", "")),
      "lm_head", FMT_PACK_QUANTIZED, 4, 32, true },
    /* groups of activations, and groups that this model does not need */
    { GROUPS(GROUP("a", "\"Linear\"", "8",
                   "") ", \"b\": {\"targets\": [\"x\"], "
                       "\"weights\": null}, " GROUP("c", "\"re:.*vision.*\"", "77", "")),
      "lm_head", FMT_PACK_QUANTIZED, 8, 32, true },
    /* gptq: the first that fits */
    { DYNAMIC("\"-:model.layers.1.*\": {}"), "model.layers.0.mlp.up_proj", FMT_GPTQ, 4,
      32, false },
    { DYNAMIC("\"-:model.layers.1.*\": null"), "model.layers.0.mlp.up_proj", FMT_GPTQ, 4,
      32, false },
    { DYNAMIC("\"+:.*down.*\": {\"bits\": 8, \"group_size\": 64}, \".*\": {\"bits\": 2}"),
      "model.layers.0.mlp.down_proj", FMT_GPTQ, 8, 64, true },
    { DYNAMIC("\"+:.*down.*\": {\"bits\": 8, \"group_size\": 64}, \".*\": {\"bits\": 2}"),
      "model.layers.0.mlp.up_proj", FMT_GPTQ, 2, 32, true },
    { DYNAMIC("\"+:.*nobody.*\": {\"bits\": 8}"), "lm_head", FMT_GPTQ, 4, 32, true },
    { DYNAMIC("\"+:.*\": {\"bits\": 4}"), "lm_head", FMT_GPTQ, 4, 32, false },
    { DYNAMIC("\"+:down_proj\": {\"bits\": 8}"), "model.layers.0.mlp.down_proj", FMT_GPTQ,
      4, 32, true }, /* from the start */
    { DYNAMIC("\"+:.*\": {\"group_size\": -1}"), "lm_head", FMT_GPTQ, 4, 0, true },
};

static void modules_have_their_settings(void **state)
{
    (void)state;
    for (size_t i = 0; i < RT_COUNT(found); i++) {
        struct rt_ctx ctx = { 0 };
        struct fmt_quantization base, q;
        struct fmt_quant_rules rules;
        if (read(&ctx, found[i].config, &base, &rules) != RT_OK ||
            fmt_quant_rules_find(&ctx, "folder", &rules, &base, found[i].module, &q) !=
                RT_OK)
            fail_msg("case %zu: %s", i, ctx.message);
        if (q.method != found[i].method || q.bits != found[i].bits ||
            q.group != found[i].group || base.mixed != found[i].mixed)
            fail_msg("case %zu: %s, %u bits, groups of %u, %s", i,
                     fmt_method_name(q.method), q.bits, q.group,
                     base.mixed ? "mixed" : "not mixed");
        fmt_quant_rules_free(&rules);
    }
}

/* Groups of equal weights whose inputs differ: vLLM's W8A8 with single matrices of W8A16. */
static void inputs_of_modules_are_their_own(void **state)
{
    (void)state;
#define ROUNDED                                                                  \
    ", \"format\": \"int-quantized\", \"input_activations\": {\"num_bits\": 8, " \
    "\"type\": \"int\", \"symmetric\": true, \"strategy\": \"token\", "          \
    "\"dynamic\": true}"
#define ROWS(name, targets, more)                                             \
    "\"" name "\": {\"targets\": [" targets "], \"weights\": {\"num_bits\": " \
    "8, \"strategy\": \"channel\"}" more "}"
    static const char *const configs[] = {
        GROUPS(ROWS("a", "\"re:.*up_proj\"", ROUNDED) ", " ROWS(
            "b", "\"re:.*down_proj\"",
            ", \"format\": \"int-quantized\", \"input_activations\": null")),
        GROUPS(ROWS("a", "\"re:.*down_proj\"",
                    ", \"format\": \"int-quantized\"") ", " ROWS("b", "\"re:.*up_proj\"",
                                                                 ROUNDED)),
        GROUPS(ROWS("a", "\"re:.*up_proj\"", ROUNDED) ", " ROWS(
            "b", "\"re:.*down_proj\"", ", \"format\": \"pack-quantized\"")),
    };
    for (size_t i = 0; i < RT_COUNT(configs); i++) {
        struct rt_ctx ctx = { 0 };
        struct fmt_quantization base, up, down;
        struct fmt_quant_rules rules;
        if (read(&ctx, configs[i], &base, &rules) != RT_OK ||
            fmt_quant_rules_find(&ctx, "folder", &rules, &base, "model.layers.0.up_proj",
                                 &up) != RT_OK ||
            fmt_quant_rules_find(&ctx, "folder", &rules, &base,
                                 "model.layers.0.down_proj", &down) != RT_OK)
            fail_msg("case %zu: %s", i, ctx.message);
        assert_int_equal(up.inputs, FMT_INPUTS_ROWS);
        assert_int_equal(down.inputs, FMT_INPUTS_FLOATS);
        fmt_quant_rules_free(&rules);
    }
}

static void what_a_module_needs_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *config, *module, *parts[2];
    } cases[] = {
        { SPLIT,
          "model.embed_tokens",
          { "'model.embed_tokens' is packed", "no config group has it" } },
        { GROUPS(GROUP("a", "\"re:.*mlp.*\"", "4", "")),
          "model.layers.0.self_attn.q_proj",
          { "q_proj' is packed", "no config group has it" } },
        { GROUPS(GROUP("a", "\"re:.*attn.*\"", "4", "") ", " GROUP("b", "\"re:.*mlp.*\"",
                                                                   "4", "")),
          "lm_head",
          { "'lm_head' is packed", "no config group has it" } },
        { GROUPS(GROUP("a", "\"Linear\"", "8", "") ", " GROUP("b", "\"re:.*mlp.*\"", "77",
                                                              "")),
          "model.layers.0.mlp.up_proj",
          { "config.json': 77-bit weights", "'re:.*mlp.*'" } },
        { DYNAMIC("\"-:lm_.*\": {}"),
          "lm_head",
          { "'lm_head' is packed", "'-:lm_.*' says that it is not" } },
        { DYNAMIC("\"lm_head\": {\"bits\": 6}"),
          "lm_head",
          { "6-bit weights", "'lm_head'" } },
        { DYNAMIC("\"lm_head\": {\"checkpoint_format\": \"marlin\"}"),
          "lm_head",
          { "'marlin'", "'lm_head'" } },
        { DYNAMIC("\"(a|aa)+$\": {\"bits\": 8}"),
          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!",
          { "'(a|aa)+$'", "cannot be told" } },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        struct fmt_quantization base, q;
        struct fmt_quant_rules rules;
        if (read(&ctx, cases[i].config, &base, &rules) != RT_OK)
            fail_msg("case %zu: %s", i, ctx.message);
        test_refused(
            &ctx,
            fmt_quant_rules_find(&ctx, "folder", &rules, &base, cases[i].module, &q),
            RT_ERR_INPUT, cases[i].parts[0], cases[i].parts[1], NULL);
        fmt_quant_rules_free(&rules);
    }
}

static void what_is_no_rule_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *config, *message;
    } cases[] = {
        { GROUPS("\"a\": {}, \"b\": {\"weights\": null}"),
          "no config group has weights" },
        { GROUPS("\"a\": {\"format\": \"x\"}, \"b\": {\"weights\": null}"),
          "no config group has weights" },
        { GROUPS(GROUP("a", "\"Linear\"", "8", "") ", \"b\": {\"weights\": "
                                                   "{\"num_bits\": 4}}"),
          "'b' has no list of targets" },
        { GROUPS(GROUP("a", "\"Linear\"", "8", "") ", " GROUP("b", "7", "4", "")),
          "'b' has no list of targets" },
        { GROUPS(GROUP("a", "\"re:(\"", "8", "") ", " GROUP("b", "\"x\"", "4", "")),
          "'re:(' is not a regular expression" },
        { GROUPS(GROUP("a", "\"x\"", "80", "") ", " GROUP("b", "\"y\"", "81", "")),
          "80-bit weights" },
        { DYNAMIC("\"+:[\": {}"), "'+:[' is not a regular expression" },
        { DYNAMIC("\"+:a\": 4"), "rule '+:a' must be an object" },
        { "{\"quant_method\": \"gptq\", \"bits\": 6, \"dynamic\": {\"-:a\": {}}}",
          "6-bit" },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        struct fmt_quantization base;
        struct fmt_quant_rules rules;
        test_refused(&ctx, read(&ctx, cases[i].config, &base, &rules), RT_ERR_INPUT,
                     "config.json", cases[i].message, NULL);
        assert_null(rules.items);
    }
}

static void count_warning(void *user, enum rt_log_level level, const char *line)
{
    if (level == RT_LOG_WARNING && strstr(line, "they stay floats here"))
        ++*(int *)user;
}

/* One warning per model, however many modules are named. */
static void activations_of_few_bits_are_a_warning(void **state)
{
    (void)state;
    static const struct {
        const char *config;
        int warnings;
    } cases[] = {
        { GROUPS(GROUP("a", "\"Linear\"", "4", "")), 0 },
        { GROUPS(GROUP("a", "\"Linear\"", "4", ", \"input_activations\": null")), 0 },
        { GROUPS(GROUP("a", "\"Linear\", \"x\"", "4", ", \"input_activations\": {}")),
          1 },
        { GROUPS(GROUP("a", "\"Linear\"", "4", ", \"output_activations\": {}")), 1 },
        { GROUPS(GROUP("a", "\"Linear\"", "8", "") ", " GROUP(
              "b", "\"re:.*mlp.*\"", "4", ", \"input_activations\": {}")),
          1 },
        { "{\"quant_method\": \"fp8\"}", 1 },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        int warnings = 0;
        struct rt_ctx ctx = { .log = count_warning, .log_user = &warnings };
        struct fmt_quantization base;
        struct fmt_quant_rules rules;
        if (read(&ctx, cases[i].config, &base, &rules) != RT_OK)
            fail_msg("case %zu: %s", i, ctx.message);
        fmt_quant_rules_free(&rules);
        if (warnings != cases[i].warnings)
            fail_msg("case %zu: %d warnings, not %d", i, warnings, cases[i].warnings);
    }
}

static void running_out_of_memory_is_an_error(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct rt_ctx ctx = { .alloc_fail_at = n };
        struct fmt_quantization base;
        struct fmt_quant_rules rules;
        const rt_status st = read(&ctx, SPLIT, &base, &rules);
        fmt_quant_rules_free(&rules);
        if (st == RT_OK) {
            assert_true(n > 3);
            break;
        }
        assert_int_equal(st, RT_ERR_HOST_MEMORY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modules_have_their_settings),
        cmocka_unit_test(inputs_of_modules_are_their_own),
        cmocka_unit_test(what_a_module_needs_is_refused_by_name),
        cmocka_unit_test(what_is_no_rule_is_refused),
        cmocka_unit_test(activations_of_few_bits_are_a_warning),
        cmocka_unit_test(running_out_of_memory_is_an_error),
    };
    return cmocka_run_group_tests_name("quantization rules", tests, NULL, NULL);
}

/* config.json: what is supported is read, everything else is refused by name. */
#include "runtime/format/model_config.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

/* Each replaces one line of a good config.json. */
static const struct {
    const char *from, *to, *message;
} refused[] = {
    { "\"qwen2\"", "\"gpt9\"",
      "'gpt9' is not supported; qwen2, qwen3, llama, mistral are" },
    { "\"model_type\": \"qwen2\",", "", "(none given)" },
    { "\"hidden_size\": 96", "\"hidden_size\": 0", "'hidden_size'" },
    { "\"hidden_size\": 96", "\"hidden_size\": \"96\"", "'hidden_size'" },
    { "\"hidden_size\": 96", "\"hidden_size\": 96.0", "'hidden_size'" },
    { "\"hidden_size\": 96", "\"hidden_size\": 4294967392", "'hidden_size'" },
    { "\"hidden_size\": 96", "\"hidden_size\": 99999999999999999999", "'hidden_size'" },
    { "\"rms_norm_eps\": 1e-06", "\"rms_norm_eps\": NaN", "rms_norm_eps" },
    { "\"rope_theta\": 1000000.0", "\"rope_theta\": Infinity", "rope_theta" },
    { "\"eos_token_id\": 330", "\"eos_token_id\": -Infinity", "'eos_token_id'" },
    { "\"silu\"", "NaN", "'hidden_act' must be a text" },
    { "\"hidden_size\": 96", "\"hidden_size\": 100", "multiple of 6 heads" },
    { "\"hidden_size\": 96", "\"head_dim\": null, \"hidden_size\": 100", "of 6 heads" },
    { "\"hidden_size\": 96", "\"head_dim\": 18, \"hidden_size\": 96", "head_dim and" },
    { "\"intermediate_size\": 160", "\"intermediate_size\": 162", "of 4" },
    { "\"intermediate_size\": 160,", "", "'intermediate_size'" },
    { "\"num_hidden_layers\": 3", "\"num_hidden_layers\": -3", "'num_hidden_layers'" },
    { "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 4", "cannot share" },
    { "\"vocab_size\": 331", "\"vocab_size\": true", "'vocab_size'" },
    { "\"rms_norm_eps\": 1e-06", "\"rms_norm_eps\": 0", "rms_norm_eps" },
    { "\"rms_norm_eps\": 1e-06", "\"rms_norm_eps\": \"1e-06\"", "rms_norm_eps" },
    { "\"rope_theta\": 1000000.0", "\"rope_theta\": \"high\"", "rope_theta" },
    { "\"rope_theta\": 1000000.0", "\"rope_theta\": -1", "rope_theta" },
    { "\"rope_theta\": 1000000.0", "\"rope_scaling\": {\"rope_type\": \"yarn\"}",
      "'factor'" },
    { "\"rope_theta\": 1000000.0", "\"rope_scaling\": {\"type\": \"dynamic\"}",
      "'dynamic'" },
    { "\"rope_theta\": 1000000.0",
      "\"rope_parameters\": {\"rope_type\": \"longrope\", \"rope_theta\": 1e6}",
      "'longrope'" },
    { "\"silu\"", "\"gelu\"", "'gelu'" },
    { "\"use_sliding_window\": false",
      "\"use_sliding_window\": true, \"layer_types\": [\"full_attention\", "
      "\"full_attention\", \"sliding_attention\"]",
      "sliding-window" },
    { "\"use_cache\": true",
      "\"layer_types\": [\"full_attention\", \"sliding_attention\", "
      "\"full_attention\"]",
      "sliding-window" },
    { "\"use_cache\": true", "\"layer_types\": [\"full_attention\", \"full_attention\"]",
      "layer_types names 2 layers, num_hidden_layers says 3" },
    { "\"use_cache\": true",
      "\"layer_types\": [\"full_attention\", \"linear_attention\", "
      "\"full_attention\"]",
      "layer 1 is of the kind 'linear_attention'" },
    { "\"use_cache\": true", "\"use_cache\": true, \"vocab_size\": 331", "duplicate" },
    { "\"vocab_size\": 331", "\"vocab_size\": 331,", "line" },
    { "\"use_cache\": true", "\"rope_scaling\": [1]",
      "'rope_scaling' must be an object" },
    { "\"use_cache\": true", "\"rope_scaling\": {\"rope_type\": 3}",
      "'rope_type' must be a text" },
    { "\"use_cache\": true", "\"quantization_config\": \"awq\"", "must be an object" },
    { "\"use_cache\": true", "\"head_dim\": \"16\"", "'head_dim' must be a whole" },
    { "\"tie_word_embeddings\": true", "\"tie_word_embeddings\": \"yes\"",
      "'tie_word_embeddings' must be true or false" },
    { "\"silu\"", "1", "'hidden_act' must be a text" },
};

static void what_is_not_supported_is_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < RT_COUNT(refused); i++) {
        struct rt_ctx ctx = { 0 };
        struct fmt_config config;
        struct test_folder folder;
        test_folder_init(&folder);
        test_folder_fill(&folder, "tests/golden/models/qwen2-tiny");
        test_file_replace(test_folder_file(&folder, "config.json"), refused[i].from,
                          refused[i].to);
        const rt_status st = fmt_config_read(&ctx, folder.path, &config);
        test_refused(&ctx, st, RT_ERR_INPUT, "config.json", refused[i].message, NULL);
        test_folder_deinit(&folder);
    }
}

static void both_spellings_of_a_config_mean_the_same(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct fmt_config c, other;
    struct test_folder folder;
    test_folder_init(&folder);
    test_folder_fill(&folder, "tests/golden/models/qwen2-tiny");
    const char *path = test_folder_file(&folder, "config.json");
    assert_int_equal(fmt_config_read(&ctx, folder.path, &c), RT_OK);
    assert_string_equal(c.family->model_type, "qwen2");
    assert_true(c.family->qkv_bias && !c.family->qk_norm && c.tied);
    assert_int_equal(c.hidden, 96);
    assert_int_equal(c.ffn, 160);
    assert_int_equal(c.layers, 3);
    assert_int_equal(c.heads, 6);
    assert_int_equal(c.kv_heads, 2);
    assert_int_equal(c.head_dim, 16);
    assert_int_equal(c.vocab, 331);
    assert_int_equal(c.max_positions, 512);
    assert_true(c.rms_eps == 1e-6f && c.rope.theta == 1e6);
    assert_int_equal(c.eos_count, 2);
    assert_int_equal(c.eos[0], 330);
    assert_int_equal(c.eos[1], 328);
    /* the form that transformers 5 writes */
    test_file_replace(path, "\"rope_theta\": 1000000.0",
                      "\"rope_parameters\": {\"rope_type\": \"default\", "
                      "\"rope_theta\": 1000000}");
    test_file_replace(path, "\"torch_dtype\": \"float32\"",
                      "\"dtype\": \"float32\", \"layer_types\": [\"full_attention\", "
                      "\"full_attention\", \"full_attention\"]");
    assert_int_equal(fmt_config_read(&ctx, folder.path, &other), RT_OK);
    assert_memory_equal(&c, &other, sizeof c);
    test_folder_deinit(&folder);
}

static void end_tokens_of_both_files_count(void **state)
{
    (void)state;
    static const char generation[] = "{\"eos_token_id\": [330, 7, 9, 99999, -1]}";
    struct rt_ctx ctx = { 0 };
    struct fmt_config c;
    struct test_folder folder;
    test_folder_init(&folder);
    test_folder_fill(&folder, "tests/golden/models/qwen2-tiny");
    const char *path = test_folder_file(&folder, "generation_config.json");
    test_file_write(path, generation, strlen(generation));
    assert_int_equal(fmt_config_read(&ctx, folder.path, &c), RT_OK);
    assert_int_equal(c.eos_count, 3);
    assert_int_equal(c.eos[0], 330);
    assert_int_equal(c.eos[1], 7);
    assert_int_equal(c.eos[2], 9);
    test_folder_deinit(&folder);
}

static void damaged_generation_configs_are_refused(void **state)
{
    (void)state;
    static const char *const damaged[][2] = {
        { "{", "line 1" },
        { "[330]", "JSON object" },
        { "{\"eos_token_id\": \"330\"}", "a token id or a list" },
        { "{\"eos_token_id\": 1.5}", "a token id or a list" },
        { "{\"eos_token_id\": {\"id\": 3}}", "a token id or a list" },
        { "{\"eos_token_id\": [330, [3]]}", "a token id or a list" },
        { "{\"eos_token_id\": [0, 1, 2, 3, 4, 5, 6, 7, 8]}", "more than 8" },
    };
    struct test_folder folder;
    test_folder_init(&folder);
    test_folder_fill(&folder, "tests/golden/models/qwen2-tiny");
    const char *path = test_folder_file(&folder, "generation_config.json");
    for (size_t i = 0; i < RT_COUNT(damaged); i++) {
        struct rt_ctx ctx = { 0 };
        struct fmt_config c;
        test_file_write(path, damaged[i][0], strlen(damaged[i][0]));
        const rt_status st = fmt_config_read(&ctx, folder.path, &c);
        test_refused(&ctx, st, RT_ERR_INPUT, "generation_config.json", damaged[i][1],
                     NULL);
    }
    test_folder_deinit(&folder);
}

#define WINDOW "\"sliding_window\": "
#define USE "\"use_sliding_window\": "
#define FIRST "\"max_window_layers\": "
#define FULL                                                \
    "\"layer_types\": [\"full_attention\", \"attention\", " \
    "\"full_attention\"]"
#define SLIDING \
    "\"layer_types\": [\"full_attention\", \"sliding_attention\", \"attention\"]"
#define STRETCHED "\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4}"

/* A window that is in use and no whole number is named. */
static void needed_window_keys_are_named(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        { WINDOW "1e999", FIRST "0", "'sliding_window' must be a whole number" },
        { WINDOW "32", FIRST "\"3\"", "'max_window_layers' must be a whole number" },
        { WINDOW "32", FIRST "100000000000000000000", "'max_window_layers' must be" },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        struct fmt_config c;
        struct test_folder folder;
        test_folder_init(&folder);
        test_folder_fill(&folder, "tests/golden/models/qwen2-tiny");
        const char *path = test_folder_file(&folder, "config.json");
        test_file_replace(path, "\"use_sliding_window\": false", USE "true");
        test_file_replace(path, "\"sliding_window\": 32", cases[i][0]);
        test_file_replace(path, "\"max_window_layers\": 3", cases[i][1]);
        const rt_status st = fmt_config_read(&ctx, folder.path, &c);
        test_refused(&ctx, st, RT_ERR_INPUT, "config.json", cases[i][2], NULL);
        test_folder_deinit(&folder);
    }
}

/* The window of each family counts where the family uses it, and only if it is shorter
 * than the context. */
static void windows_that_are_in_use_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *family, *window, *use, *first;
        bool refused;
    } cases[] = {
        { "mistral", WINDOW "32", USE "false", FIRST "3", true },
        { "mistral", WINDOW "511", USE "false", FIRST "3", true },
        { "mistral", WINDOW "512", USE "false", FIRST "3", false },
        { "mistral", WINDOW "null", USE "false", FIRST "3", false },
        /* it takes layer_types for nothing */
        { "mistral", WINDOW "32", USE "false", FIRST "3, " FULL, true },
        { "qwen3", WINDOW "32", USE "false", FIRST "0", false },
        { "qwen2", WINDOW "32", USE "true", FIRST "2", true },
        { "qwen2", WINDOW "32", USE "true", FIRST "0", true },
        { "qwen2", WINDOW "32", USE "true", FIRST "null", true },
        { "qwen2", WINDOW "512", USE "true", FIRST "0", false },
        { "qwen2", WINDOW "null", USE "true", FIRST "0", false },
        { "qwen2", WINDOW "32", USE "true", FIRST "3", false },
        { "qwen3", WINDOW "32", USE "true", FIRST "70", false },
        { "qwen3", WINDOW "32", USE "true", FIRST "0, " FULL, false },
        { "qwen2", WINDOW "32", USE "true", "\"none\": 1", false }, /* 28 */
        { "qwen2", WINDOW "32", USE "false", FIRST "0, " SLIDING, true },
        { "qwen2", WINDOW "512", USE "true", FIRST "0, " SLIDING, false },
        { "qwen2", WINDOW "null", USE "true", FIRST "0, " SLIDING, true },
        /* values that nobody looks at */
        { "qwen2", WINDOW "1e999", USE "false", FIRST "NaN", false },
        { "qwen2", WINDOW "\"32\"", USE "false", FIRST "\"none\"", false },
        { "llama", WINDOW "32", USE "true", FIRST "0", false },
        { "llama", WINDOW "32", USE "false", FIRST "0, " SLIDING, true },
        /* the stretched context counts */
        { "mistral", WINDOW "512", USE "false", FIRST "3, " STRETCHED, true },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        struct fmt_config c;
        struct test_folder folder;
        char family[32];
        snprintf(family, sizeof family, "\"%s\"", cases[i].family);
        test_folder_init(&folder);
        test_folder_fill(&folder, "tests/golden/models/qwen2-tiny");
        const char *path = test_folder_file(&folder, "config.json");
        test_file_replace(path, "\"qwen2\"", family);
        test_file_replace(path, "\"sliding_window\": 32", cases[i].window);
        test_file_replace(path, "\"use_sliding_window\": false", cases[i].use);
        test_file_replace(path, "\"max_window_layers\": 3", cases[i].first);
        const rt_status st = fmt_config_read(&ctx, folder.path, &c);
        if (cases[i].refused)
            test_refused(&ctx, st, RT_ERR_INPUT, "config.json", "sliding_window",
                         "wrong beyond the window", NULL);
        else if (st != RT_OK)
            fail_msg("case %zu, %s, %s: %s", i, cases[i].family, cases[i].window,
                     ctx.message);
        test_folder_deinit(&folder);
    }
}

static void families_say_where_biases_are(void **state)
{
    (void)state;
    static const struct {
        const char *family, *keys;
        bool qkv, o, mlp, norm;
    } cases[] = {
        { "qwen2", "\"attention_bias\": true, \"mlp_bias\": true", true, false, false,
          false },
        { "qwen3", "\"attention_bias\": false", false, false, false, true },
        { "qwen3", "\"attention_bias\": true", true, true, false, true },
        { "llama", "\"use_cache\": true", false, false, false, false },
        { "llama", "\"attention_bias\": true", true, true, false, false },
        { "llama", "\"mlp_bias\": true", false, false, true, false },
        { "mistral", "\"attention_bias\": true, \"mlp_bias\": true", false, false, false,
          false },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        struct fmt_config c;
        struct test_folder folder;
        char family[32];
        snprintf(family, sizeof family, "\"%s\"", cases[i].family);
        test_folder_init(&folder);
        test_folder_fill(&folder, "tests/golden/models/qwen2-tiny");
        const char *path = test_folder_file(&folder, "config.json");
        test_file_replace(path, "\"qwen2\"", family);
        test_file_replace(path, "\"sliding_window\": 32", "\"sliding_window\": null");
        test_file_replace(path, "\"use_cache\": true", cases[i].keys);
        if (fmt_config_read(&ctx, folder.path, &c) != RT_OK)
            fail_msg("%s", ctx.message);
        assert_int_equal(c.bias_qkv, cases[i].qkv);
        assert_int_equal(c.bias_o, cases[i].o);
        assert_int_equal(c.bias_mlp, cases[i].mlp);
        assert_int_equal(c.family->qk_norm, cases[i].norm);
        test_folder_deinit(&folder);
    }
}

static void folders_that_are_none_are_refused(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct fmt_config c;
    struct test_folder folder;
    test_folder_init(&folder);
    rt_status st = fmt_config_read(&ctx, folder.path, &c);
    test_refused(&ctx, st, RT_ERR_INPUT, folder.path, "no config.json", NULL);
    st = fmt_config_read(&ctx, "/no/such/folder", &c);
    test_refused(&ctx, st, RT_ERR_INPUT, "/no/such/folder", "model folder", NULL);
    test_folder_deinit(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_supported_is_refused_by_name),
        cmocka_unit_test(both_spellings_of_a_config_mean_the_same),
        cmocka_unit_test(end_tokens_of_both_files_count),
        cmocka_unit_test(damaged_generation_configs_are_refused),
        cmocka_unit_test(windows_that_are_in_use_are_refused),
        cmocka_unit_test(needed_window_keys_are_named),
        cmocka_unit_test(families_say_where_biases_are),
        cmocka_unit_test(folders_that_are_none_are_refused),
    };
    return cmocka_run_group_tests_name("model config", tests, NULL, NULL);
}

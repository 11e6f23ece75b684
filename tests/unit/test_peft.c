/* PEFT adapters: what is written reads back bit for bit, patterns and scales follow
 * PEFT's rules, and what does not fit or is not supported is refused by name. */
#include "runtime/format/peft.h"
#include "runtime/format/safetensors.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADAPTER(name) "tests/golden/lora/qwen2-tiny/" name

static void tiny(struct fmt_config *config)
{
    struct rt_ctx ctx = { 0 };
    char path[1024];
    test_path(path, sizeof path, "tests/golden/models/qwen2-tiny");
    assert_int_equal(fmt_config_read(&ctx, path, config), RT_OK);
}

static struct fmt_adapter *read_golden(const char *relative,
                                       const struct fmt_config *config)
{
    struct rt_ctx ctx = { 0 };
    struct fmt_adapter *adapter = NULL;
    char path[1024];
    if (fmt_adapter_read(&ctx, test_path(path, sizeof path, relative), config,
                         &adapter) != RT_OK)
        fail_msg("%s", ctx.message);
    return adapter;
}

static const struct fmt_lora *at(const struct fmt_adapter *a, uint32_t layer,
                                 enum fmt_module module)
{
    return &a->lora[layer * FMT_MODULE_COUNT + module];
}

static void ranks_and_scales_follow_the_patterns(void **state)
{
    (void)state;
    struct fmt_config config;
    tiny(&config);
    struct fmt_adapter *a = read_golden(ADAPTER("pattern"), &config);
    /* rank: down_proj 6, layers.0.self_attn.q_proj 2, q_proj 3, else 4; the first that
     * fits in file order wins. alpha: down_proj 3, v_proj 16, else 8. */
    assert_int_equal(at(a, 0, FMT_Q_PROJ)->rank, 2);
    assert_int_equal(at(a, 1, FMT_Q_PROJ)->rank, 3);
    assert_int_equal(at(a, 2, FMT_DOWN_PROJ)->rank, 6);
    assert_int_equal(at(a, 2, FMT_UP_PROJ)->rank, 4);
    assert_true(at(a, 0, FMT_Q_PROJ)->scale == 4.0f);
    assert_true(at(a, 1, FMT_Q_PROJ)->scale == (float)(8.0 / 3));
    assert_true(at(a, 1, FMT_DOWN_PROJ)->scale == 0.5f);
    assert_true(at(a, 1, FMT_V_PROJ)->scale == 4.0f);
    assert_true(at(a, 1, FMT_K_PROJ)->scale == 2.0f);
    fmt_adapter_destroy(&a);
    a = read_golden(ADAPTER("rslora"), &config);
    assert_true(at(a, 1, FMT_O_PROJ)->scale == 4.0f); /* 8 / sqrt(4) */
    assert_int_equal(at(a, 1, FMT_Q_PROJ)->rank, 0);
    fmt_adapter_destroy(&a);
}

static void written_adapters_read_back_bit_for_bit(void **state)
{
    (void)state;
    static const char *const sources[] = { ADAPTER("plain"), ADAPTER("pattern"),
                                           ADAPTER("rslora"), ADAPTER("qv") };
    static const char base[] =
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    static const char *const metadata[] = { "made_by", "a test", "base", base, NULL };
    struct fmt_config config;
    tiny(&config);
    for (size_t i = 0; i < RT_COUNT(sources); i++) {
        struct rt_ctx ctx = { 0 };
        struct test_folder folder;
        struct fmt_adapter *a = read_golden(sources[i], &config), *b = NULL, *c = NULL;
        char ha[65], hb[65], hc[65];
        test_folder_init(&folder);
        const char *to = test_folder_file(&folder, "deep/adapter");
        if (fmt_adapter_write(&ctx, to, a, &config, "qwen2-tiny", metadata) != RT_OK ||
            fmt_adapter_read(&ctx, to, &config, &b) != RT_OK ||
            fmt_adapter_copy(&ctx, a, &config, &c) != RT_OK)
            fail_msg("%s: %s", sources[i], ctx.message);
        fmt_adapter_hash(a, &config, ha);
        fmt_adapter_hash(b, &config, hb);
        fmt_adapter_hash(c, &config, hc);
        assert_string_equal(ha, hb);
        assert_string_equal(ha, hc);
        assert_string_equal(a->base, "");
        assert_string_equal(b->base, base);
        assert_int_equal(fmt_adapter_params(a, &config), fmt_adapter_params(b, &config));
        b->lora[0].rank ? (b->lora[0].b[0] += 1.0f) : (b->lora[3].b[0] += 1.0f);
        fmt_adapter_hash(b, &config, hb);
        assert_string_not_equal(ha, hb);
        fmt_adapter_destroy(&a);
        fmt_adapter_destroy(&b);
        fmt_adapter_destroy(&c);
        test_folder_deinit(&folder);
    }
}

/* Element (o, i) of scale B A. */
static double product(const struct fmt_lora *l, uint32_t in, uint32_t o, uint32_t i)
{
    double sum = 0;
    for (uint32_t r = 0; r < l->rank; r++)
        sum += (double)l->b[(size_t)o * l->rank + r] * (double)l->a[(size_t)r * in + i];
    return sum * (double)l->scale;
}

/* What adapter `b` does differently from `a`, as a share of what that does. */
static double difference(const struct fmt_adapter *a, const struct fmt_adapter *b,
                         const struct fmt_config *config)
{
    double squares = 0, all = 0;
    for (uint32_t m = 0; m < a->layers * FMT_MODULE_COUNT; m++) {
        uint32_t out, in;
        fmt_module_size(config, (enum fmt_module)(m % FMT_MODULE_COUNT), &out, &in);
        for (uint32_t o = 0; a->lora[m].rank && o < out; o += 7)
            for (uint32_t i = 0; i < in; i += 5) {
                const double x = product(&a->lora[m], in, o, i);
                const double d = product(&b->lora[m], in, o, i) - x;
                squares += d * d;
                all += x * x;
            }
    }
    return sqrt(squares / all);
}

static uint64_t size_of(const char *folder)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/adapter_model.safetensors", folder);
    size_t size;
    free(test_file_read(path, &size));
    return size;
}

/* Ranges that E4M3 does not have, a component of zeros, one much smaller than the rest. */
static void spread(struct fmt_adapter *a, const struct fmt_config *config)
{
    uint32_t out, in;
    fmt_module_size(config, FMT_Q_PROJ, &out, &in);
    struct fmt_lora *l = &a->lora[FMT_Q_PROJ];
    for (uint32_t i = 0; i < in; i++) {
        l->a[i] = 0;
        l->a[in + i] *= 1e6f;
    }
    for (uint32_t o = 0; o < out; o++)
        l->b[(size_t)o * l->rank + 1] *= 1e-9f;
}

static void adapters_of_8_bits(void **state)
{
    (void)state;
    static const char *const sources[] = { ADAPTER("plain"), ADAPTER("pattern") };
    struct fmt_config config;
    tiny(&config);
    for (size_t i = 0; i < RT_COUNT(sources); i++) {
        struct rt_ctx ctx = { 0 };
        struct test_folder folder;
        struct fmt_adapter *a = read_golden(sources[i], &config), *b = NULL, *c = NULL;
        char hb[65], hc[65];
        test_folder_init(&folder);
        const char *to = test_folder_file(&folder, "eight");
        const char *again = test_folder_file(&folder, "again");
        spread(a, &config);
        a->write_bits = 8;
        if (fmt_adapter_write(&ctx, to, a, &config, "qwen2-tiny", NULL) != RT_OK ||
            fmt_adapter_read(&ctx, to, &config, &b) != RT_OK ||
            fmt_adapter_write(&ctx, again, b, &config, "qwen2-tiny", NULL) != RT_OK ||
            fmt_adapter_read(&ctx, again, &config, &c) != RT_OK)
            fail_msg("%s: %s", sources[i], ctx.message);
        assert_int_equal(b->bits, 8);
        assert_int_equal(b->write_bits, 8);
        assert_true(size_of(to) < fmt_adapter_params(a, &config) + 8192);
        const double d = difference(a, b, &config);
        if (!(d > 0.005 && d < 0.05)) /* 2^-4 / sqrt(3) at most, twice */
            fail_msg("%s: rounding changes %.4f of it", sources[i], d);
        fmt_adapter_hash(b, &config, hb);
        fmt_adapter_hash(c, &config, hc);
        assert_string_equal(hb, hc);
        fmt_adapter_destroy(&a);
        fmt_adapter_destroy(&b);
        fmt_adapter_destroy(&c);
        test_folder_deinit(&folder);
    }
}

/* What 16 bits refuse when they are read, 8 bits do too; and what is very small stays. */
static void extreme_adapters_of_8_bits(void **state)
{
    (void)state;
    static const float values[] = { NAN, INFINITY, -INFINITY, 1e-20f };
    struct fmt_config config;
    tiny(&config);
    for (size_t i = 0; i < RT_COUNT(values); i++) {
        struct rt_ctx ctx = { 0 };
        struct test_folder folder;
        struct fmt_adapter *a = read_golden(ADAPTER("plain"), &config), *b = NULL;
        struct fmt_lora *l = &a->lora[FMT_Q_PROJ];
        uint32_t out, in;
        test_folder_init(&folder);
        const char *to = test_folder_file(&folder, "eight");
        fmt_module_size(&config, FMT_Q_PROJ, &out, &in);
        for (uint32_t k = 0; k < l->rank * in; k++)
            l->a[k] = isfinite(values[i]) || k == 5 ? values[i] : l->a[k];
        for (uint32_t k = 0; isfinite(values[i]) && k < l->rank * out; k++)
            l->b[k] = 1e-24f;
        a->write_bits = 8;
        assert_int_equal(fmt_adapter_write(&ctx, to, a, &config, "tiny", NULL), RT_OK);
        const rt_status st = fmt_adapter_read(&ctx, to, &config, &b);
        assert_int_equal(st, isfinite(values[i]) ? RT_OK : RT_ERR_INPUT);
        if (st != RT_OK)
            assert_non_null(strstr(ctx.message, "not finite"));
        fmt_adapter_destroy(&a);
        fmt_adapter_destroy(&b);
        test_folder_deinit(&folder);
    }
}

static void a_new_adapter_counts_its_numbers(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct fmt_config config;
    struct fmt_adapter *a = NULL;
    tiny(&config);
    assert_int_equal(fmt_adapter_new(&ctx, &config, 4, 8, &a), RT_OK);
    /* q 96+96, k and v 32+96, o 96+96, gate and up 160+96, down 96+160: 1408 by rank 4 */
    assert_int_equal(fmt_adapter_params(a, &config), 3 * 4 * 1408);
    assert_true(a->lora[20].scale == 2.0f);
    fmt_adapter_destroy(&a);
}

static const struct {
    const char *from, *to, *message;
} refused[] = {
    { "\"use_dora\": false", "\"use_dora\": true", "DoRA" },
    { "\"bias\": \"none\"", "\"bias\": \"all\"", "biases" },
    { "\"lora_bias\": false", "\"lora_bias\": true", "lora_bias" },
    { "\"modules_to_save\": null", "\"modules_to_save\": [\"lm_head\"]",
      "modules_to_save" },
    { "\"alora_invocation_tokens\": null", "\"alora_invocation_tokens\": [1]", "alora" },
    { "\"LORA\"", "\"IA3\"", "'IA3' are not supported; LORA is" },
    { "\"init_lora_weights\": true", "\"init_lora_weights\": \"pissa_niter_4\"",
      "'pissa_niter_4'" },
    { "\"lora_alpha\": 8", "\"lora_alpha\": null", "lora_alpha" },
    { "\"r\": 4", "\"r\": 4.5", "'r' must be a whole number" },
    { "\"r\": 4", "\"r\": null", "r is missing" },
    { "\"use_rslora\": false", "\"use_rslora\": 1", "'use_rslora' must be true or" },
    { "\"use_qalora\": false", "\"use_qalora\": true", "QA-LoRA" },
    { "\"layer_replication\": null", "\"layer_replication\": [[0, 1]]",
      "layer_replication" },
    { "\"rank_pattern\": {}", "\"rank_pattern\": [2]", "must be an object" },
    { "\"r\": 4", "\"r\": 5", "4 rows, adapter_config.json gives it rank 5" },
    { "\"r\": 4", "\"r\": -4", "rank -4" },
    { "\"r\": 4", "\"r\": 4, \"r\": 4", "duplicate" },
    { "\"rank_pattern\": {}", "\"rank_pattern\": {\"q_proj\": 2}", "rank 2" },
    { "\"rank_pattern\": {}", "\"rank_pattern\": {\"q_proj\": \"2\"}", "'q_proj'" },
    { "\"rank_pattern\": {}", "\"rank_pattern\": {\"(q_proj\": 2}", "'(q_proj'" },
    { "\"alpha_pattern\": {}", "\"alpha_pattern\": {\"q_proj\": 0}", "alpha_pattern" },
};

static void what_is_not_supported_is_refused_by_name(void **state)
{
    (void)state;
    struct fmt_config config;
    tiny(&config);
    for (size_t i = 0; i < RT_COUNT(refused); i++) {
        struct rt_ctx ctx = { 0 };
        struct fmt_adapter *adapter = NULL;
        struct test_folder folder;
        test_folder_init(&folder);
        test_folder_fill(&folder, ADAPTER("plain"));
        test_file_replace(test_folder_file(&folder, "adapter_config.json"),
                          refused[i].from, refused[i].to);
        const rt_status st = fmt_adapter_read(&ctx, folder.path, &config, &adapter);
        test_refused(&ctx, st, RT_ERR_INPUT, folder.path, refused[i].message, NULL);
        assert_null(adapter);
        test_folder_deinit(&folder);
    }
}

static void an_adapter_of_another_model_is_refused(void **state)
{
    (void)state;
    struct fmt_config config;
    char path[1024];
    test_path(path, sizeof path, ADAPTER("plain"));
    for (int i = 0; i < 4; i++) {
        struct rt_ctx ctx = { 0 };
        struct fmt_adapter *adapter = NULL;
        tiny(&config);
        if (i == 0)
            config.ffn = 168;
        else if (i == 1)
            config.hidden = 104;
        else if (i == 2)
            config.layers = 2;
        else
            config.kv_heads = 3;
        const rt_status st = fmt_adapter_read(&ctx, path, &config, &adapter);
        test_refused(&ctx, st, RT_ERR_INPUT, path, "is the adapter of another model?",
                     i == 0   ? "gate_proj"
                     : i == 3 ? "k_proj"
                              : "",
                     NULL);
        assert_null(adapter);
    }
}

static void damaged_adapters_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *message;
    } cases[] = {
        { "0.self_attn.q_proj.lora_B", "0.self_attn.q_proj.lora_C", "q_proj.lora_B" },
        { "0.self_attn.q_proj.lora_A", "0.self_attn.q_proj.lora_C",
          "0.self_attn.q_proj.lora_B.weight' does not" },
        { "2.mlp.up_proj.lora_A", "7.mlp.up_proj.lora_A", "another model" },
        { "1.mlp.up_proj.lora_A.weight\":{\"dtype\":\"F32\"",
          "1.mlp.up_proj.lora_A.weight\":{\"dtype\":\"I32\"", "up_proj.lora_A" },
    };
    struct fmt_config config;
    tiny(&config);
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        struct fmt_adapter *adapter = NULL;
        struct test_folder folder;
        test_folder_init(&folder);
        test_folder_fill(&folder, ADAPTER("plain"));
        test_file_replace(test_folder_file(&folder, "adapter_model.safetensors"),
                          cases[i].from, cases[i].to);
        const rt_status st = fmt_adapter_read(&ctx, folder.path, &config, &adapter);
        test_refused(&ctx, st, RT_ERR_INPUT, folder.path, cases[i].message, NULL);
        assert_null(adapter);
        test_folder_deinit(&folder);
    }
}

static void values_that_are_not_finite_are_refused(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct fmt_config config;
    struct test_folder folder;
    struct fmt_adapter *b = NULL;
    tiny(&config);
    struct fmt_adapter *a = read_golden(ADAPTER("plain"), &config);
    test_folder_init(&folder);
    a->lora[9].b[5] = NAN;
    assert_int_equal(fmt_adapter_write(&ctx, folder.path, a, &config, "x", NULL), RT_OK);
    const rt_status st = fmt_adapter_read(&ctx, folder.path, &config, &b);
    test_refused(&ctx, st, RT_ERR_INPUT, "layers.1.self_attn.v_proj.lora_B", "not finite",
                 NULL);
    fmt_adapter_destroy(&a);
    test_folder_deinit(&folder);
}

static void running_out_of_memory_is_an_error_not_a_crash(void **state)
{
    (void)state;
    struct fmt_config config;
    struct test_folder folder;
    char path[1024];
    tiny(&config);
    test_folder_init(&folder);
    test_path(path, sizeof path, ADAPTER("qv"));
    for (uint64_t n = 1;; n++) {
        struct rt_ctx ctx = { .alloc_fail_at = n };
        struct fmt_adapter *adapter = NULL, *copy = NULL;
        rt_status st = fmt_adapter_read(&ctx, path, &config, &adapter);
        if (st == RT_OK)
            st = fmt_adapter_copy(&ctx, adapter, &config, &copy);
        if (st == RT_OK)
            st = fmt_adapter_write(&ctx, folder.path, copy, &config, "x", NULL);
        fmt_adapter_destroy(&adapter);
        fmt_adapter_destroy(&copy);
        if (st == RT_OK) {
            assert_true(n > 20);
            break;
        }
        assert_int_equal(st, RT_ERR_HOST_MEMORY);
    }
    test_folder_deinit(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_and_scales_follow_the_patterns),
        cmocka_unit_test(written_adapters_read_back_bit_for_bit),
        cmocka_unit_test(adapters_of_8_bits),
        cmocka_unit_test(extreme_adapters_of_8_bits),
        cmocka_unit_test(a_new_adapter_counts_its_numbers),
        cmocka_unit_test(what_is_not_supported_is_refused_by_name),
        cmocka_unit_test(an_adapter_of_another_model_is_refused),
        cmocka_unit_test(damaged_adapters_are_refused),
        cmocka_unit_test(values_that_are_not_finite_are_refused),
        cmocka_unit_test(running_out_of_memory_is_an_error_not_a_crash),
    };
    return cmocka_run_group_tests_name("peft", tests, NULL, NULL);
}

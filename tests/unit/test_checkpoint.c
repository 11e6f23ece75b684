/* Model folders: a good one loads, a damaged one is refused with what, where and why, by
 * the model loader as a whole (on the CPU device). */
#include "runtime/format/checkpoint.h"
#include "runtime/model/model.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TINY "tests/golden/models/qwen2-tiny"
#define PACKED "tests/golden/models/qwen2-tiny-rtn4-ct"
#define SHARDED "tests/golden/models/qwen2-tiny-untied-bf16"
#define HALVES "tests/golden/models/qwen3-tiny"
#define LLAMA "tests/golden/models/llama-tiny"

static rt_status load(struct rt_ctx *ctx, const char *folder)
{
    struct rt_device *dev = NULL;
    struct rt_model *model = NULL;
    const struct rt_device_options options = { .name = "ref" };
    rt_status st = rt_device_create(ctx, &options, &dev);
    if (st != RT_OK)
        fail_msg("%s", ctx->message);
    st = rt_model_load(dev, folder, 64, &model);
    rt_model_destroy(&model);
    rt_device_destroy(&dev);
    return st;
}

static const struct {
    const char *source, *file, *from, *to, *message, *why;
} damaged[] = {
    { TINY, "model.safetensors", "\"model.norm.weight\"", "\"model.nrom.weight\"",
      "model.norm.weight", "missing" },
    { TINY, "model.safetensors", "1.self_attn.v_proj.bias\"", "1.self_attn.v_porj.bias\"",
      "1.self_attn.v_proj.bias", "missing" },
    { TINY, "model.safetensors", "\"shape\":[331,96]", "\"shape\":[96,331]",
      "model.embed_tokens.weight", "[96, 331], [331, 96] is expected" },
    { TINY, "model.safetensors", "layers.1.mlp.down_proj.weight\":{\"dtype\":\"F32\"",
      "layers.1.mlp.down_proj.weight\":{\"dtype\":\"I32\"",
      "layers.1.mlp.down_proj.weight", "I32" },
    { TINY, "model.safetensors", "\"data_offsets\":[127104,127488]",
      "\"data_offsets\":[127100,127484]", "input_layernorm.weight", "overlap" },
    { TINY, "config.json", "\"vocab_size\": 331", "\"vocab_size\": 330",
      "model.embed_tokens.weight", "[331, 96], [330, 96] is expected" },
    { TINY, "config.json", "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 4",
      "model.layers.3.", "missing" },
    { TINY, "config.json", "\"qwen2\"", "\"mamba\"", "'mamba'", "not supported" },
    { PACKED, "model.safetensors", "2.mlp.up_proj.weight_scale\"",
      "2.mlp.up_proj.weight_slace\"", "2.mlp.up_proj.weight_scale", "missing" },
    { PACKED, "model.safetensors",
      "0.mlp.up_proj.weight_shape\":{\"dtype\":\"I64\",\"shape\":[2]",
      "0.mlp.up_proj.weight_shape\":{\"dtype\":\"F32\",\"shape\":[4]",
      "0.mlp.up_proj.weight_shape", "two sizes" },
    { PACKED, "config.json", "\"num_bits\": 4", "\"num_bits\": 8", "weight_packed",
      "is expected" },
    { PACKED, "config.json", "\"symmetric\": true", "\"symmetric\": false",
      "weight_zero_point", "missing" },
    { PACKED, "config.json", "\"quantization_config\"", "\"quantization_confix\"",
      "no quantization_config", "packed" },
    { HALVES, "model.safetensors", "1.self_attn.k_norm.weight\"",
      "1.self_attn.k_nrom.weight\"", "1.self_attn.k_norm.weight", "missing" },
    { HALVES, "config.json", "\"head_dim\": 32", "\"head_dim\": 16", "q_proj.weight",
      "[128, 64], [64, 64] is expected" },
    { HALVES, "config.json", "\"attention_bias\": false", "\"attention_bias\": true",
      "0.self_attn.q_proj.bias", "missing" },
    { LLAMA, "config.json", "\"mlp_bias\": false", "\"mlp_bias\": true",
      "0.mlp.gate_proj.bias", "missing" },
    { LLAMA, "config.json", "\"num_key_value_heads\": 1", "\"num_key_value_heads\": 2",
      "k_proj.weight", "[32, 64], [64, 64] is expected" },
    { LLAMA, "config.json", "\"intermediate_size\": 112", "\"intermediate_size\": 128",
      "gate_proj.weight", "[112, 64], [128, 64] is expected" },
    { SHARDED, "model.safetensors.index.json", "\"lm_head.weight\": \"model-00001",
      "\"lm_head.weight\": \"model-00003", "model-00003-of-00002.safetensors",
      "get the file" },
};

static void damaged_folders_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < RT_COUNT(damaged); i++) {
        struct rt_ctx ctx = { 0 };
        struct test_folder folder;
        test_folder_init(&folder);
        test_folder_fill(&folder, damaged[i].source);
        test_file_replace(test_folder_file(&folder, damaged[i].file), damaged[i].from,
                          damaged[i].to);
        const rt_status st = load(&ctx, folder.path);
        test_refused(&ctx, st, RT_ERR_INPUT, damaged[i].message, damaged[i].why,
                     folder.path, NULL);
        test_folder_deinit(&folder);
    }
}

static void a_folder_cut_short_anywhere_is_refused(void **state)
{
    (void)state;
    struct test_folder folder;
    size_t size;
    test_folder_init(&folder);
    test_folder_fill(&folder, TINY);
    const char *path = test_folder_file(&folder, "model.safetensors");
    char *data = test_file_read(path, &size);
    const size_t cuts[] = { 0, 1, 7, 8, 9, 100, size / 2, size - 4, size - 1 };
    for (size_t i = 0; i < RT_COUNT(cuts); i++) {
        struct rt_ctx ctx = { 0 };
        test_file_write(path, data, cuts[i]);
        const rt_status st = load(&ctx, folder.path);
        test_refused(&ctx, st, RT_ERR_INPUT, "model.safetensors", "cut short", NULL);
    }
    free(data);
    test_folder_deinit(&folder);
}

/* Overwrites element `index` of a float tensor. */
static void poison(const char *path, const char *name, uint64_t index, uint32_t bits)
{
    struct rt_ctx ctx = { 0 };
    struct fmt_safetensors file;
    size_t size;
    assert_int_equal(fmt_safetensors_open(&ctx, path, &file), RT_OK);
    const struct fmt_tensor *t = fmt_safetensors_find(&file, name);
    assert_non_null(t);
    const size_t at = (size_t)(t->data - file.maps[0].data) + 4 * index;
    fmt_safetensors_close(&file);
    char *data = test_file_read(path, &size);
    memcpy(data + at, &bits, sizeof bits);
    test_file_write(path, data, size);
    free(data);
}

static void weights_that_are_not_finite_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *source, *file, *tensor;
        uint64_t index; /* in words of 32 bits */
        enum fmt_dtype dtype;
    } cases[] = {
        { TINY, "model", "model.layers.2.mlp.down_proj.weight", 15359, FMT_F32 },
        { TINY, "model", "model.embed_tokens.weight", 0, FMT_F32 },
        { TINY, "model", "model.layers.0.self_attn.q_proj.bias", 95, FMT_F32 },
        { TINY, "model", "model.norm.weight", 40, FMT_F32 },
        { PACKED, "model", "model.layers.1.mlp.up_proj.weight_scale", 159, FMT_F32 },
        { SHARDED, "model-00001-of-00002", "model.embed_tokens.weight", 7, FMT_BF16 },
        { SHARDED, "model-00002-of-00002", "model.norm.weight", 0, FMT_BF16 },
        { HALVES, "model", "model.layers.1.self_attn.k_proj.weight", 100, FMT_F16 },
        { HALVES, "model", "model.layers.0.self_attn.q_norm.weight", 15, FMT_F16 },
    };
    /* NaN and -inf, twice in a word where it holds two */
    static const uint32_t bits[FMT_DTYPE_COUNT][2] = {
        [FMT_F32] = { 0x7fc00000, 0xff800000 },
        [FMT_F16] = { 0x7e007e00, 0xfc00fc00 },
        [FMT_BF16] = { 0x7fc07fc0, 0xff80ff80 },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++)
        for (int k = 0; k < 2; k++) {
            struct rt_ctx ctx = { 0 };
            struct test_folder folder;
            test_folder_init(&folder);
            test_folder_fill(&folder, cases[i].source);
            char name[64];
            snprintf(name, sizeof name, "%s.safetensors", cases[i].file);
            poison(test_folder_file(&folder, name), cases[i].tensor, cases[i].index,
                   bits[cases[i].dtype][k]);
            const rt_status st = load(&ctx, folder.path);
            test_refused(&ctx, st, RT_ERR_INPUT, folder.path, cases[i].tensor,
                         "not finite", NULL);
            test_folder_deinit(&folder);
        }
}

static void folders_that_are_missing_are_refused(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct test_folder folder;
    rt_status st = load(&ctx, "/no/such/model");
    test_refused(&ctx, st, RT_ERR_INPUT, "/no/such/model", "config.json", NULL);
    test_folder_init(&folder);
    test_folder_fill(&folder, TINY);
    assert_int_equal(remove(test_folder_file(&folder, "model.safetensors")), 0);
    st = load(&ctx, folder.path);
    test_refused(&ctx, st, RT_ERR_INPUT, "model.safetensors", "No such file", NULL);
    test_folder_deinit(&folder);
}

static void running_out_of_memory_is_an_error_not_a_crash(void **state)
{
    (void)state;
    char path[1024];
    test_path(path, sizeof path, SHARDED);
    for (uint64_t n = 1;; n++) {
        struct rt_ctx ctx = { .alloc_fail_at = n };
        struct fmt_model *model = NULL;
        const rt_status st = fmt_model_open(&ctx, path, &model);
        if (st == RT_OK) {
            assert_true(n > 8);
            fmt_model_close(&model);
            break;
        }
        assert_int_equal(st, RT_ERR_HOST_MEMORY);
        assert_null(model);
    }
}

static void the_hash_sees_every_byte(void **state)
{
    (void)state;
    char hex[3][65];
    struct test_folder folder;
    test_folder_init(&folder);
    test_folder_fill(&folder, TINY);
    for (int i = 0; i < 3; i++) {
        struct rt_ctx ctx = { 0 };
        struct fmt_model *model = NULL;
        if (i == 1)
            poison(test_folder_file(&folder, "model.safetensors"), "model.norm.weight", 3,
                   1);
        if (i == 2)
            test_file_replace(test_folder_file(&folder, "config.json"), "1e-06", "1e-05");
        assert_int_equal(fmt_model_open(&ctx, folder.path, &model), RT_OK);
        assert_int_equal(fmt_model_hash(model, hex[i]), RT_OK);
        assert_int_equal(strlen(hex[i]), 64);
        fmt_model_close(&model);
    }
    assert_string_not_equal(hex[0], hex[1]);
    assert_string_not_equal(hex[1], hex[2]);
    test_folder_deinit(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_folders_are_refused),
        cmocka_unit_test(a_folder_cut_short_anywhere_is_refused),
        cmocka_unit_test(weights_that_are_not_finite_are_refused),
        cmocka_unit_test(folders_that_are_missing_are_refused),
        cmocka_unit_test(running_out_of_memory_is_an_error_not_a_crash),
        cmocka_unit_test(the_hash_sees_every_byte),
    };
    return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}

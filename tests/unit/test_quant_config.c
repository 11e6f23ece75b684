/* quantization_config: every method that is supported is read, everything else is
 * refused by name, and the file that older GPTQ tools write beside config.json counts. */
#include "runtime/format/quant_config.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define COMPRESSED(format, weights)                                    \
    "{\"quant_method\": \"compressed-tensors\", \"format\": \"" format \
    "\", \"config_groups\": {\"group_0\": {\"weights\": {" weights "}}}}"
#define PACKED(weights) COMPRESSED("pack-quantized", weights)
#define IS(what, width, columns, is_symmetric)                                  \
    {                                                                           \
        .present = true, .method = (what), .bits = (width), .group = (columns), \
        .symmetric = (is_symmetric)                                             \
    }
#define GPTQ(more) \
    "{\"quant_method\": \"gptq\", \"bits\": 4, \"group_size\": 128" more "}"

static rt_status read(struct rt_ctx *ctx, const char *text, struct fmt_quantization *q)
{
    json_t *config = json_loads(text, JSON_DECODE_ANY, NULL);
    if (!config)
        fail_msg("the case is not JSON: %s", text);
    const rt_status st = fmt_quantization_read(ctx, "config.json", config, q);
    json_decref(config);
    return st;
}

static const struct {
    const char *config;
    struct fmt_quantization expected;
} cases[] = {
    { "null", { 0 } },
    { PACKED("\"num_bits\": 4, \"group_size\": null"),
      IS(FMT_PACK_QUANTIZED, 4, 0, true) },
    { PACKED("\"num_bits\": 3, \"group_size\": -1, \"symmetric\": true"),
      IS(FMT_PACK_QUANTIZED, 3, 0, true) },
    { PACKED("\"num_bits\": 2, \"group_size\": 96, \"symmetric\": false, "
             "\"actorder\": null"),
      IS(FMT_PACK_QUANTIZED, 2, 96, false) },
    { PACKED("\"num_bits\": 8, \"group_size\": 128, \"actorder\": \"group\""),
      IS(FMT_PACK_QUANTIZED, 8, 128, true) },
    { COMPRESSED("int-quantized", "\"num_bits\": 8, \"strategy\": \"channel\""),
      IS(FMT_INT_QUANTIZED, 8, 0, true) },
    { COMPRESSED("naive-quantized", "\"num_bits\": 8, \"symmetric\": false"),
      IS(FMT_INT_QUANTIZED, 8, 0, false) },
    { "{\"quant_method\": \"awq\", \"bits\": 4, \"group_size\": 64, \"version\": "
      "\"GEMM\", \"zero_point\": true}",
      IS(FMT_AWQ, 4, 64, false) },
    { "{\"quant_method\": \"awq\", \"w_bit\": 4, \"q_group_size\": 128, \"version\": "
      "\"GEMM\"}",
      IS(FMT_AWQ, 4, 128, false) },
    { GPTQ(", \"format\": \"gptq_v2\""), IS(FMT_GPTQ_V2, 4, 128, false) },
    { GPTQ(""), IS(FMT_GPTQ, 4, 128, false) },
    { GPTQ(", \"sym\": true, \"checkpoint_format\": \"gptq\", \"dynamic\": {}"),
      IS(FMT_GPTQ, 4, 128, true) },
    { GPTQ(", \"checkpoint_format\": \"gptq_v2\", \"desc_act\": true"),
      IS(FMT_GPTQ_V2, 4, 128, false) },
    { PACKED("\"num_bits\": 3, \"group_size\": 16, \"symmetric\": true"),
      IS(FMT_PACK_QUANTIZED, 3, 16, true) },
};

static void assert_same(const struct fmt_quantization *a,
                        const struct fmt_quantization *b)
{
    assert_int_equal(a->present, b->present);
    assert_int_equal(a->method, b->method);
    assert_int_equal(a->bits, b->bits);
    assert_int_equal(a->group, b->group);
    assert_int_equal(a->symmetric, b->symmetric);
    assert_string_equal(a->algorithm, b->algorithm);
    assert_int_equal(a->mixed, b->mixed);
}

static void every_method_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        struct fmt_quantization q;
        if (read(&ctx, cases[i].config, &q) != RT_OK)
            fail_msg("%s", ctx.message);
        assert_same(&q, &cases[i].expected);
    }
}

static const struct {
    const char *config, *message;
} refused[] = {
    { "{}", "'(none)'" },
    { "7", "'(none)'" },
    { "{\"quant_method\": \"bitsandbytes\"}",
      "'bitsandbytes' is supported with load_in_4bit" },
    { "{\"quant_method\": \"exl3\", \"bits\": 3.5}",
      "'exl3' (ExLlamaV3, trellis codes)" },
    { "{\"quant_method\": \"hqq\"}", "'hqq' (half-quadratic quantization)" },
    { "{\"quant_method\": \"nobodys\"}", "'nobodys' is not supported" },
    { "{\"quant_method\": \"fp8\", \"weight_block_size\": [128]}", "two whole numbers" },
    { "{\"quant_method\": \"fp8\", \"weight_block_size\": \"32x\"}",
      "two whole numbers" },
    { COMPRESSED("marlin-24", "\"num_bits\": 4"), "'marlin-24'" },
    { COMPRESSED("float-quantized", "\"num_bits\": 8, \"type\": \"int\""),
      "type 'int' are not supported with the format 'float-quantized'" },
    { COMPRESSED("float-quantized", "\"num_bits\": 4, \"type\": \"float\""),
      "4-bit weights of 'float-quantized'" },
    { COMPRESSED("nvfp4-pack-quantized",
                 "\"num_bits\": 4, \"type\": \"float\", \"group_size\": 32"),
      "group size of 32" },
    { COMPRESSED("mxfp6-pack-quantized", "\"num_bits\": 6, \"type\": \"float\""),
      "'mxfp6-pack-quantized' is not supported" },
    { COMPRESSED("int-quantized", "\"num_bits\": 4"),
      "4-bit weights of 'int-quantized'" },
    { "{\"quant_method\": \"compressed-tensors\", \"format\": \"pack-quantized\"}",
      "it has no config group" },
    { "{\"quant_method\": \"compressed-tensors\", \"format\": \"pack-quantized\", "
      "\"config_groups\": {\"a\": {\"weights\": null}}}",
      "no weights" },
    { "{\"quant_method\": \"compressed-tensors\", \"format\": \"pack-quantized\", "
      "\"transform_config\": {\"R1\": {}}, \"config_groups\": {\"a\": {\"weights\": "
      "{\"num_bits\": 4}}}}",
      "transform_config" },
    { PACKED(""), "does not say how many bits" },
    { PACKED("\"num_bits\": 9"), "9-bit" },
    { PACKED("\"num_bits\": \"4\""), "'num_bits' must be a whole number" },
    { PACKED("\"num_bits\": 4, \"symmetric\": 0"), "'symmetric' must be true or false" },
    { GPTQ(", \"sym\": \"yes\""), "'sym' must be true or false" },
    { "{\"quant_method\": \"awq\", \"bits\": 4, \"group_size\": \"128\"}",
      "'group_size' must be a whole number" },
    { PACKED("\"num_bits\": 4294967300"), "4294967300-bit" },
    { PACKED("\"num_bits\": 8, \"type\": \"float\""), "type 'float' are not supported" },
    { PACKED("\"num_bits\": 4, \"group_size\": 20"), "group size of 20" },
    { PACKED("\"num_bits\": 4, \"group_size\": 8"), "group size of 8" },
    { PACKED("\"num_bits\": 4, \"group_size\": 48"), "group size of 48" },
    { PACKED("\"num_bits\": 4, \"group_size\": 4294967328"), "group size of 4294967328" },
    { "{\"quant_method\": \"awq\", \"bits\": 4, \"group_size\": 128, \"version\": "
      "\"gemv_fast\"}",
      "'gemv_fast'" },
    { "{\"quant_method\": \"awq\", \"bits\": 3, \"group_size\": 128}", "3-bit" },
    { "{\"quant_method\": \"awq\", \"bits\": 4, \"group_size\": 128, \"version\": 2}",
      "AWQ packing" },
    { GPTQ(", \"checkpoint_format\": \"marlin\""), "'marlin'" },
    { GPTQ(", \"is_marlin_format\": true"), "marlin" },
    { GPTQ(", \"desc_act\": 1"), "'desc_act' must be true or false" },
    { "{\"quant_method\": \"gptq\", \"bits\": 6, \"group_size\": 128}", "6-bit" },
};

static void what_is_not_supported_is_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < RT_COUNT(refused); i++) {
        struct rt_ctx ctx = { 0 };
        struct fmt_quantization q;
        const rt_status st = read(&ctx, refused[i].config, &q);
        test_refused(&ctx, st, RT_ERR_INPUT, "config.json", refused[i].message, NULL);
    }
}

/* compressed-tensors takes the text of a block too. */
static void blocks_are_read_in_both_forms(void **state)
{
    (void)state;
    static const char *const forms[] = { "[32, 64]", "\"32x64\"" };
    for (size_t i = 0; i < RT_COUNT(forms); i++) {
        struct rt_ctx ctx = { 0 };
        struct fmt_quantization q;
        char text[256];
        snprintf(text, sizeof text,
                 COMPRESSED("float-quantized", "\"num_bits\": 8, \"type\": \"float\", "
                                               "\"block_structure\": %s"),
                 forms[i]);
        if (read(&ctx, text, &q) != RT_OK)
            fail_msg("%s", ctx.message);
        assert_int_equal(q.block[0], 32);
        assert_int_equal(q.block[1], 64);
    }
}

static struct fmt_quantization find_in(const char *folder, const json_t *root)
{
    struct rt_ctx ctx = { 0 };
    struct fmt_quantization q;
    if (fmt_quantization_find(&ctx, folder, "config.json", root, &q, NULL) != RT_OK)
        fail_msg("%s", ctx.message);
    return q;
}

/* A file beside config.json, where that has no such key. */
static void the_files_of_older_tools_count(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        struct fmt_quantization expected;
    } files[] = {
        { "quant_config.json",
          "{\"zero_point\": true, \"q_group_size\": 64, \"w_bit\": 4, \"version\": "
          "\"GEMM\", \"modules_to_not_convert\": [\"lm_head\"]}",
          IS(FMT_AWQ, 4, 64, false) },
        /* of another tool */
        { "quant_config.json",
          "{\"weights\": \"fp8\", \"quant_method\": \"nobodys\"}",
          { 0 } },
        /* goes before the one above */
        { "quantize_config.json", "{\"bits\": 3, \"group_size\": -1, \"sym\": true}",
          IS(FMT_GPTQ, 3, 0, true) },
        { "quantize_config.json",
          "{\"bits\": 4, \"group_size\": 128, \"damp_percent\": NaN, \"dynamic\": "
          "{\"-:lm_head\": {}}}",
          IS(FMT_GPTQ, 4, 128, false) },
        { "quantize_config.json",
          "{\"method\": \"awq\", \"bits\": 4, \"group_size\": 32, "
          "\"checkpoint_format\": \"gemm\"}",
          IS(FMT_AWQ, 4, 32, false) },
    };
    struct rt_ctx ctx = { 0 };
    struct test_folder folder;
    struct fmt_quantization q;
    json_t *root = json_object();
    test_folder_init(&folder);
    assert_false(find_in(folder.path, root).present);
    for (size_t i = 0; i < RT_COUNT(files); i++) {
        test_file_write(test_folder_file(&folder, files[i].name), files[i].text,
                        strlen(files[i].text));
        q = find_in(folder.path, root);
        assert_same(&q, &files[i].expected);
    }
    /* config.json has the last word */
    json_object_set_new(root, "quantization_config",
                        json_loads(cases[5].config, 0, NULL));
    assert_int_equal(find_in(folder.path, root).method, FMT_INT_QUANTIZED);
    json_object_clear(root);
    test_file_write(test_folder_file(&folder, "quantize_config.json"), "{", 1);
    const rt_status st =
        fmt_quantization_find(&ctx, folder.path, "config.json", root, &q, NULL);
    test_refused(&ctx, st, RT_ERR_INPUT, "quantize_config.json", "line 1", NULL);
    json_decref(root);
    test_folder_deinit(&folder);
}

/* The key that compressed-tensors had before transformers had one. */
static void the_older_key_counts(void **state)
{
    (void)state;
    json_t *root = json_pack("{s:{s:s, s:{s:{s:{s:i, s:i}}}}}", "compression_config",
                             "format", "pack-quantized", "config_groups", "a", "weights",
                             "num_bits", 4, "group_size", 32);
    const struct fmt_quantization q = find_in("/no/such/folder", root);
    assert_same(&q, &(struct fmt_quantization)IS(FMT_PACK_QUANTIZED, 4, 32, true));
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_is_read),
        cmocka_unit_test(what_is_not_supported_is_refused_by_name),
        cmocka_unit_test(blocks_are_read_in_both_forms),
        cmocka_unit_test(the_files_of_older_tools_count),
        cmocka_unit_test(the_older_key_counts),
    };
    return cmocka_run_group_tests_name("quantization config", tests, NULL, NULL);
}

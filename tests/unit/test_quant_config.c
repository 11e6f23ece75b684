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
      { true, FMT_PACK_QUANTIZED, 4, 0, true, "" } },
    { PACKED("\"num_bits\": 3, \"group_size\": -1, \"symmetric\": true"),
      { true, FMT_PACK_QUANTIZED, 3, 0, true, "" } },
    { PACKED("\"num_bits\": 2, \"group_size\": 96, \"symmetric\": false, "
             "\"actorder\": null"),
      { true, FMT_PACK_QUANTIZED, 2, 96, false, "" } },
    { PACKED("\"num_bits\": 8, \"group_size\": 128, \"actorder\": \"group\""),
      { true, FMT_PACK_QUANTIZED, 8, 128, true, "" } },
    { COMPRESSED("int-quantized", "\"num_bits\": 8, \"strategy\": \"channel\""),
      { true, FMT_INT_QUANTIZED, 8, 0, true, "" } },
    { COMPRESSED("naive-quantized", "\"num_bits\": 8, \"symmetric\": false"),
      { true, FMT_INT_QUANTIZED, 8, 0, false, "" } },
    { "{\"quant_method\": \"awq\", \"bits\": 4, \"group_size\": 64, \"version\": "
      "\"GEMM\", \"zero_point\": true}",
      { true, FMT_AWQ, 4, 64, false, "" } },
    { GPTQ(""), { true, FMT_GPTQ, 4, 128, false, "" } },
    { GPTQ(", \"sym\": true, \"checkpoint_format\": \"gptq\", \"dynamic\": {}"),
      { true, FMT_GPTQ, 4, 128, true, "" } },
    { GPTQ(", \"checkpoint_format\": \"gptq_v2\", \"desc_act\": true"),
      { true, FMT_GPTQ_V2, 4, 128, false, "" } },
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
    { "{\"quant_method\": \"bitsandbytes\"}", "'bitsandbytes'" },
    { COMPRESSED("marlin-24", "\"num_bits\": 4"), "'marlin-24'" },
    { COMPRESSED("float-quantized", "\"num_bits\": 8, \"type\": \"float\""),
      "'float-quantized'" },
    { COMPRESSED("int-quantized", "\"num_bits\": 4"),
      "4-bit weights of 'int-quantized'" },
    { "{\"quant_method\": \"compressed-tensors\", \"format\": \"pack-quantized\"}",
      "one config group" },
    { "{\"quant_method\": \"compressed-tensors\", \"format\": \"pack-quantized\", "
      "\"config_groups\": {\"a\": {}, \"b\": {}}}",
      "one config group" },
    { "{\"quant_method\": \"compressed-tensors\", \"format\": \"pack-quantized\", "
      "\"config_groups\": {\"a\": {\"weights\": null}}}",
      "no weights" },
    { "{\"quant_method\": \"compressed-tensors\", \"format\": \"pack-quantized\", "
      "\"transform_config\": {\"R1\": {}}, \"config_groups\": {\"a\": {\"weights\": "
      "{\"num_bits\": 4}}}}",
      "transform_config" },
    { PACKED(""), "0-bit" },
    { PACKED("\"num_bits\": 9"), "9-bit" },
    { PACKED("\"num_bits\": \"4\""), "'num_bits' must be a whole number" },
    { PACKED("\"num_bits\": 4, \"symmetric\": 0"), "'symmetric' must be true or false" },
    { GPTQ(", \"sym\": \"yes\""), "'sym' must be true or false" },
    { "{\"quant_method\": \"awq\", \"bits\": 4, \"group_size\": \"128\"}",
      "'group_size' must be a whole number" },
    { PACKED("\"num_bits\": 4294967300"), "4294967300-bit" },
    { PACKED("\"num_bits\": 8, \"type\": \"float\""), "another type" },
    { PACKED("\"num_bits\": 4, \"group_size\": 20"), "group size of 20" },
    { PACKED("\"num_bits\": 4, \"group_size\": 4294967328"), "group size of 4294967328" },
    { "{\"quant_method\": \"awq\", \"bits\": 4, \"group_size\": 128, \"version\": "
      "\"gemv_fast\"}",
      "'gemv_fast'" },
    { "{\"quant_method\": \"awq\", \"bits\": 3, \"group_size\": 128}", "3-bit" },
    { "{\"quant_method\": \"awq\", \"bits\": 4, \"group_size\": 128, \"version\": 2}",
      "AWQ packing" },
    { GPTQ(", \"checkpoint_format\": \"marlin\""), "'marlin'" },
    { GPTQ(", \"is_marlin_format\": true"), "marlin" },
    { GPTQ(", \"dynamic\": {\"-:lm_head\": {}}"), "dynamic" },
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

static void the_file_of_older_tools_counts(void **state)
{
    (void)state;
    static const char own[] = "{\"bits\": 3, \"group_size\": -1, \"sym\": true}";
    struct rt_ctx ctx = { 0 };
    struct test_folder folder;
    struct fmt_quantization q;
    json_t *root = json_object();
    test_folder_init(&folder);
    assert_int_equal(fmt_quantization_find(&ctx, folder.path, "config.json", root, &q),
                     RT_OK);
    assert_false(q.present);
    const char *path = test_folder_file(&folder, "quantize_config.json");
    test_file_write(path, own, strlen(own));
    assert_int_equal(fmt_quantization_find(&ctx, folder.path, "config.json", root, &q),
                     RT_OK);
    assert_same(&q, &(struct fmt_quantization){ true, FMT_GPTQ, 3, 0, true, "" });
    /* config.json has the last word */
    json_object_set_new(root, "quantization_config",
                        json_loads(cases[7].config, 0, NULL));
    assert_int_equal(fmt_quantization_find(&ctx, folder.path, "config.json", root, &q),
                     RT_OK);
    assert_int_equal(q.method, FMT_AWQ);
    json_object_clear(root);
    test_file_write(path, "{", 1);
    const rt_status st =
        fmt_quantization_find(&ctx, folder.path, "config.json", root, &q);
    test_refused(&ctx, st, RT_ERR_INPUT, "quantize_config.json", "line 1", NULL);
    json_decref(root);
    test_folder_deinit(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_is_read),
        cmocka_unit_test(what_is_not_supported_is_refused_by_name),
        cmocka_unit_test(the_file_of_older_tools_counts),
    };
    return cmocka_run_group_tests_name("quantization config", tests, NULL, NULL);
}

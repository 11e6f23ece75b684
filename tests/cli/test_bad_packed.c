/* Packed folders of others that are damaged or of a kind that is not read, as a user meets
 * them in `model show` and `tool dequant`: one line that names the file, the reason and
 * what to do, exit code 4. */
#include "tests/support/pack_model.h"
#include "tests/support/refusals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

static struct test_place place;

#define SHOW "model show --device ref "

static const char *in_model(const char *name)
{
    return test_folder_file(&place.model, name);
}

static void pack(enum test_packing packing, uint32_t bits)
{
    struct test_folder plain;
    test_folder_init(&plain);
    test_place_renew(&place.model);
    test_pack_model("qwen2-tiny", packing, bits, &place.model, &plain);
    test_folder_deinit(&plain);
}

#define WEIGHTS "model.safetensors"
#define DOWN "model.layers.0.mlp.down_proj"
#define QUIET " -q" /* without the warning that activations stay floats */
#define UNPACK "tool dequant --out x --tensor " DOWN " --model @M"

static void awq_nan(void)
{
    pack(TEST_AWQ, 4);
    test_place_poke(&place, WEIGHTS, DOWN ".scales", 6, "\0\x7e", 2);
}
static void awq_group(void)
{
    pack(TEST_AWQ, 4);
    test_file_replace(in_model("config.json"), "\"group_size\": 32",
                      "\"group_size\": 64");
}
static void awq_bits(void)
{
    pack(TEST_AWQ, 4);
    test_file_replace(in_model("config.json"), "\"bits\": 4", "\"bits\": \"4\"");
}
static void gptq_group_beyond(void)
{
    pack(TEST_GPTQ, 4);
    test_place_poke(&place, WEIGHTS, DOWN ".g_idx", 20, "\x63\0\0\0", 4);
}
static void gptq_group_negative(void)
{
    pack(TEST_GPTQ, 4);
    test_place_poke(&place, WEIGHTS, DOWN ".g_idx", 20, "\xff\xff\xff\xff", 4);
}
static void gptq_bits(void)
{
    pack(TEST_GPTQ, 4);
    test_file_replace(in_model("config.json"), "\"bits\": 4", "\"bits\": 8");
}

static void gptq_rule(const char *rule)
{
    char text[160];
    pack(TEST_GPTQ, 4);
    snprintf(text, sizeof text, "\"bits\": 4, \"dynamic\": {%s}", rule);
    test_file_replace(in_model("config.json"), "\"bits\": 4", text);
}
static void gptq_skips(void)
{
    gptq_rule("\"-:.*down_proj\": {}");
}
static void gptq_rule_bits(void)
{
    gptq_rule("\"+:.*down_proj\": {\"bits\": 6}");
}
static void gptq_rule_pattern(void)
{
    gptq_rule("\"+:(\": {\"bits\": 8}");
}
static void fp8_nan(void)
{
    pack(TEST_FP8, 8);
    test_place_poke(&place, WEIGHTS, DOWN ".weight", 7, "\x7f", 1);
}
static void fp8_scale_nan(void)
{
    pack(TEST_FP8, 8);
    test_place_poke(&place, WEIGHTS, DOWN ".weight_scale_inv", 0, "\0\0\xc0\x7f", 4);
}
static void fp8_block(void)
{
    pack(TEST_FP8, 8);
    test_file_replace(in_model("config.json"), "[32, 32]", "[32, 64]");
}
static void fp8_no_config(void)
{
    pack(TEST_FP8, 8);
    test_file_replace(in_model("config.json"), "\"quantization_config\"", "\"other\"");
}
static void fp8_no_scale(void)
{
    pack(TEST_FP8, 8);
    test_file_replace(in_model(WEIGHTS), "\"" DOWN ".weight_scale_inv\"",
                      "\"" DOWN ".weight_scale_out\"");
}
static void nvfp4_factor(void)
{
    pack(TEST_NVFP4, 4);
    test_place_poke(&place, WEIGHTS, DOWN ".weight_global_scale", 0, "\0\0\0\0", 4);
}
static void mxfp4_scale(void)
{
    pack(TEST_MXFP4, 4);
    test_place_poke(&place, WEIGHTS, DOWN ".weight_scale", 0, "\xff", 1);
}
static void nf4_state(void)
{
    pack(TEST_NF4, 4);
    test_place_poke(&place, WEIGHTS, DOWN ".weight.quant_state.bitsandbytes__nf4", 0, "[",
                    1);
}
static void nf4_shape(void)
{
    pack(TEST_NF4, 4);
    test_place_poke(&place, WEIGHTS, DOWN ".weight.quant_state.bitsandbytes__nf4", 49,
                    "8", 1);
}
static void nf4_eight_bits(void)
{
    pack(TEST_NF4, 4);
    test_file_replace(in_model("config.json"), "load_in_4bit", "load_in_8bit");
}
static void method(const char *from, const char *to)
{
    pack(TEST_AWQ, 4);
    test_file_replace(in_model("config.json"), from, to);
}
static void method_exl3(void)
{
    method("\"awq\", \"bits\": 4", "\"exl3\", \"bits\": 4.25");
}
static void method_hqq(void)
{
    method("\"awq\"", "\"hqq\"");
}
static void method_torchao(void)
{
    method("\"awq\"", "\"torchao\"");
}
static void format_mxfp6(void)
{
    pack(TEST_MXFP4, 4);
    test_file_replace(in_model("config.json"), "mxfp4-pack", "mxfp6-pack");
}

static void packed_folders_are_refused(void **state)
{
    (void)state;
    static const struct test_case cases[] = {
        { "AWQ: a scale that is NaN", awq_nan, UNPACK, 4,
          "/model|'" DOWN ".scales'|not finite|get it again", NULL },
        { "AWQ: another group size", awq_group, SHOW "@M", 4,
          "/model|.scales' is [|is expected|belong together", NULL },
        { "AWQ: bits that are a text", awq_bits, SHOW "@M", 4,
          "/model/config.json|'bits' must be a whole number", NULL },
        { "GPTQ: a group beyond the last", gptq_group_beyond, UNPACK, 4,
          "/model|'" DOWN ".g_idx' puts column 5 into group 99", NULL },
        { "GPTQ: a negative group", gptq_group_negative, UNPACK, 4,
          "/model|'" DOWN ".g_idx' puts column 5 into group -1", NULL },
        { "GPTQ: other bits", gptq_bits, SHOW "@M", 4,
          "/model|is expected|belong together", NULL },
        { "GPTQ: a rule that skips what is packed", gptq_skips, SHOW "@M", 4,
          "/model|'" DOWN "' is packed|'-:.*down_proj' says that it is not", NULL },
        { "GPTQ: a rule of other bits", gptq_rule_bits, SHOW "@M", 4,
          "/model/config.json|6-bit weights|'+:.*down_proj'|'" DOWN "'", NULL },
        { "GPTQ: a rule that is none", gptq_rule_pattern, SHOW "@M", 4,
          "/model/config.json|'+:(' is not a regular expression", NULL },
        { "FP8: a code that is NaN", fp8_nan, UNPACK QUIET, 4,
          "/model|'" DOWN ".weight'|not finite at [0, 7]|get it again", NULL },
        { "FP8: a scale that is NaN", fp8_scale_nan, UNPACK QUIET, 4,
          "/model|'" DOWN ".weight_scale_inv'|not finite|get it again", NULL },
        { "FP8: another block size", fp8_block, SHOW "@M" QUIET, 4,
          "/model|.weight_scale_inv' is [|is expected|belong together", NULL },
        { "FP8: scales without a configuration", fp8_no_config, SHOW "@M", 4,
          "/model|.weight_scale_inv' lies beside|quantization_config", NULL },
        { "FP8: no scales", fp8_no_scale, UNPACK QUIET, 4,
          "/model|'" DOWN ".weight_scale_inv' is missing|incomplete", NULL },
        { "NVFP4: nothing to divide by", nvfp4_factor, UNPACK, 4,
          "/model|'" DOWN ".weight_global_scale' is 0|get it again", NULL },
        { "MXFP4: a scale that is NaN", mxfp4_scale, UNPACK, 4,
          "/model|'" DOWN ".weight_scale'|not finite|get it again", NULL },
        { "NF4: a state that is no JSON", nf4_state, UNPACK, 4,
          "/model|.quant_state.bitsandbytes__nf4' is not JSON|blocksize", NULL },
        { "NF4: another shape", nf4_shape, UNPACK, 4,
          "/model|'" DOWN ".weight' has |bytes, a matrix of|needs", NULL },
        { "bitsandbytes: 8 bits", nf4_eight_bits, SHOW "@M", 4,
          "/model/config.json|'bitsandbytes'|load_in_4bit|quantize --bits 8", NULL },
        { "EXL3", method_exl3, SHOW "@M", 4,
          "/model/config.json|'exl3' (ExLlamaV3|not supported|GGUF|faultline quantize",
          NULL },
        { "HQQ", method_hqq, SHOW "@M", 4,
          "/model/config.json|'hqq' (half-quadratic|not supported|faultline quantize",
          NULL },
        { "torchao", method_torchao, SHOW "@M", 4,
          "/model/config.json|'torchao'|not supported|faultline quantize", NULL },
        { "MXFP6", format_mxfp6, SHOW "@M", 4,
          "/model/config.json|'mxfp6-pack-quantized' is not supported", NULL },
    };
    test_cases_run(&place, cases, RT_COUNT(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed_folders_are_refused),
    };
    return test_place_group("bad packed", &place, tests, RT_COUNT(tests));
}

/* A source that is quantized already: what is made of it is what is made of the same model
 * unpacked, bytes and config, and that its values stand in for others is said. */
#include "runtime/format/checkpoint.h"
#include "runtime/quant/folder.h"
#include "runtime/quant/merged.h"
#include "tests/support/devices.h"
#include "tests/support/pack_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PACKED "tests/golden/models/qwen2-tiny-rtn4-ct"

static const struct quant_options options = { .bits = 3,
                                              .group = 32,
                                              .asymmetric = true };

static void keep_line(void *user, enum rt_log_level level, const char *line)
{
    if (level == RT_LOG_WARNING && strstr(line, "stand in for"))
        snprintf(user, 512, "%s", line);
}

/* Quantizes `from` as `to` of the folder; what was warned of the source is in `line`. */
static void quantize(const char *from, const char *to, const struct quant_options *o,
                     char line[512])
{
    struct rt_ctx ctx = { .log = keep_line, .log_user = line };
    struct quant_report report;
    line[0] = '\0';
    if (quant_folder(&ctx, from, to, o, NULL, false, &report) != RT_OK)
        fail_msg("%s: %s", from, ctx.message);
    assert_true(report.matrices > 0 && report.matrices % 7 == 0);
}

static void unpack(const char *from, const char *to)
{
    struct rt_ctx ctx = { 0 };
    struct quant_merged made;
    if (quant_merge(&ctx, from, NULL, to, FMT_F32, false, &made) != RT_OK)
        fail_msg("%s: %s", from, ctx.message);
}

/* Two folders of this one have the same weights, and say the same of them. */
static void expect_same(const struct test_folder *in, const char *a, const char *b)
{
    static const char *const files[] = { "model.safetensors", "config.json" };
    for (size_t i = 0; i < RT_COUNT(files); i++) {
        char one[128], other[128];
        snprintf(one, sizeof one, "%s/%s/%s", in->path, a, files[i]);
        snprintf(other, sizeof other, "%s/%s/%s", in->path, b, files[i]);
        if (!test_file_same(one, other))
            fail_msg("%s and %s differ", one, other);
    }
}

/* Merged without an adapter and then quantized, `from` is what it is in to/direct. */
static void expect_same_unpacked(const char *from, const struct test_folder *to)
{
    char line[512];
    unpack(from, test_folder_file(to, "floats"));
    quantize(test_folder_file(to, "floats"), test_folder_file(to, "after"), &options,
             line);
    assert_string_equal(line, "");
    expect_same(to, "direct", "after");
}

static void packed_folders_are_quantized_as_if_unpacked(void **state)
{
    (void)state;
    static const struct {
        enum test_packing packing;
        uint32_t bits;
        const char *source, *said;
    } cases[] = {
        { TEST_AWQ, 4, "qwen2-tiny", "awq 4 bit" },
        { TEST_GPTQ_OWN_ORDERS, 8, "llama-tiny", "gptq 8 bit" },
        { TEST_GPTQ_MIXED, 2, "llama-tiny", "gptq 2 bit" },
        { TEST_FP8, 8, "qwen2-tiny", "fp8" },
        { TEST_NVFP4, 4, "qwen2-tiny", "nvfp4" },
        { TEST_NF4, 4, "qwen2-tiny", "4 bit" },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct test_folder packed, plain, to;
        char line[512];
        test_folder_init(&packed);
        test_folder_init(&plain);
        test_folder_init(&to);
        test_pack_model(cases[i].source, cases[i].packing, cases[i].bits, &packed,
                        &plain);
        quantize(packed.path, test_folder_file(&to, "direct"), &options, line);
        if (!strstr(line, cases[i].said))
            fail_msg("%s: '%s'", cases[i].said, line);
        expect_same_unpacked(packed.path, &to);
        test_folder_deinit(&packed);
        test_folder_deinit(&plain);
        test_folder_deinit(&to);
    }
}

static void packed_by_rows_too(void **state)
{
    (void)state;
    struct test_folder to;
    char from[1024], line[512];
    test_path(from, sizeof from, PACKED);
    test_folder_init(&to);
    quantize(from, test_folder_file(&to, "direct"), &options, line);
    assert_non_null(strstr(line, "(pack-quantized 4 bit per row)"));
    expect_same_unpacked(from, &to);
    test_folder_deinit(&to);
}

/* ---- a packed head ---- */

enum { VOCAB = 331, HIDDEN = 96, WORDS = HIDDEN / 8, TENSORS_MAX = 128 };

struct head {
    uint32_t words[VOCAB * WORDS];
    float scales[VOCAB];
    int64_t shape[2];
};

/* Adds a head of 4 bits per row to a folder of packed projections. */
static void pack_head(const struct test_folder *folder, struct head *head)
{
    struct rt_ctx ctx = { 0 };
    struct fmt_safetensors file;
    struct fmt_tensor_out tensors[TENSORS_MAX];
    char copy[128];
    snprintf(copy, sizeof copy, "%s", test_folder_file(folder, "other"));
    const char *path = test_folder_file(folder, "model.safetensors");
    for (uint32_t i = 0; i < VOCAB * WORDS; i++)
        head->words[i] = 2654435761u * (i + 1);
    for (uint32_t r = 0; r < VOCAB; r++)
        head->scales[r] = 0.01f + 0.0001f * (float)r;
    head->shape[0] = VOCAB;
    head->shape[1] = HIDDEN;
    assert_int_equal(fmt_safetensors_open(&ctx, path, &file), RT_OK);
    assert_true(file.count + 3 <= TENSORS_MAX);
    for (uint32_t i = 0; i < file.count; i++) {
        const struct fmt_tensor *t = &file.tensors[i];
        tensors[i] = (struct fmt_tensor_out){
            .name = t->name, .dtype = t->dtype, .dims = t->dims, .data = t->data
        };
        memcpy(tensors[i].shape, t->shape, sizeof t->shape);
    }
    tensors[file.count] = (struct fmt_tensor_out){
        "lm_head.weight_packed", FMT_I32, 2, { VOCAB, WORDS }, head->words
    };
    tensors[file.count + 1] = (struct fmt_tensor_out){
        "lm_head.weight_scale", FMT_F32, 2, { VOCAB, 1 }, head->scales
    };
    tensors[file.count + 2] =
        (struct fmt_tensor_out){ "lm_head.weight_shape", FMT_I64, 1, { 2 }, head->shape };
    if (fmt_safetensors_write(&ctx, copy, tensors, file.count + 3, NULL) != RT_OK)
        fail_msg("%s", ctx.message);
    fmt_safetensors_close(&file);
    assert_int_equal(rename(copy, path), 0);
    test_file_replace(test_folder_file(folder, "config.json"), "\"lm_head\"", "");
    test_file_replace(test_folder_file(folder, "config.json"),
                      "\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false");
}

/* The head of a folder is what its codes say, within half a unit in the last place. */
static void expect_head(const struct head *head, const char *folder, float unit)
{
    struct rt_ctx ctx = { 0 };
    struct fmt_model *model = NULL;
    float *values = calloc((size_t)VOCAB * HIDDEN, sizeof *values);
    assert_non_null(values);
    if (fmt_model_open(&ctx, folder, &model) != RT_OK ||
        fmt_tensor_f32(model, "lm_head.weight", VOCAB * HIDDEN, values) != RT_OK)
        fail_msg("%s: %s", folder, ctx.message);
    assert_false(fmt_model_config(model)->tied);
    for (uint32_t i = 0; i < VOCAB * HIDDEN; i++) {
        const uint32_t code = head->words[i / 8] >> 4 * (i % 8) & 15;
        const float want = ((float)code - 8) * head->scales[i / HIDDEN];
        const float error = values[i] > want ? values[i] - want : want - values[i];
        assert_true(error <= unit * (want < 0 ? -want : want));
    }
    fmt_model_close(&model);
    free(values);
}

static void a_packed_head_becomes_floats(void **state)
{
    (void)state;
    static struct head head;
    struct test_folder from, to;
    char line[512];
    struct quant_options exact = options;
    exact.keep_f32 = true;
    test_folder_init(&from);
    test_folder_init(&to);
    test_folder_fill(&from, PACKED);
    pack_head(&from, &head);
    quantize(from.path, test_folder_file(&to, "halves"), &options, line);
    quantize(from.path, test_folder_file(&to, "direct"), &exact, line);
    unpack(from.path, test_folder_file(&to, "floats"));
    quantize(test_folder_file(&to, "floats"), test_folder_file(&to, "after"), &exact,
             line);
    expect_head(&head, test_folder_file(&to, "halves"), 0x1p-11f);
    expect_head(&head, test_folder_file(&to, "direct"), 0);
    expect_head(&head, test_folder_file(&to, "floats"), 0);
    expect_head(&head, test_folder_file(&to, "after"), 0);
    test_folder_deinit(&from);
    test_folder_deinit(&to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed_folders_are_quantized_as_if_unpacked),
        cmocka_unit_test(packed_by_rows_too),
        cmocka_unit_test(a_packed_head_becomes_floats),
    };
    return cmocka_run_group_tests_name("quantized source", tests, NULL, NULL);
}

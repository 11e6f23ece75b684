/* Tensors of every GGUF block type as weights: in their own form and in the wide one the
 * device layout holds the golden values
 * bit for bit, and so does the decoded matrix. A whole file is one model by either name. */
#include "runtime/format/checkpoint.h"
#include "runtime/op/weight_blocks.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"
#include "tests/support/gguf_bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 16, COLS = 256, ROW0 = 64 };

static const char MODEL[] = "tests/golden/gguf/model/qwen2-tiny-q8_0-q4_0.gguf";

/* Bit for bit, but that 0 and -0 are one value. */
static bool same(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (a == 0 && b == 0);
}

/* The tensor among rows that are padding. */
static void check_layout(struct fmt_model *model, const char *type, const float *expected)
{
    struct rt_weight_shape s;
    assert_int_equal(fmt_weight_shape(model, "w", ROWS, COLS, &s), RT_OK);
    s.out_pad += ROW0;
    uint32_t *codes = calloc(1, rt_weight_code_bytes(&s));
    float *scales = calloc(1, rt_weight_scale_bytes(&s));
    assert_int_equal(fmt_weight_load(model, "w", &s, ROW0, 0, ROWS, codes, scales),
                     RT_OK);
    for (uint32_t r = 0; r < s.out_pad; r++)
        for (uint32_t k = 0; k < COLS; k++) {
            const bool real = r >= ROW0 && r < ROW0 + ROWS;
            const float want = real ? expected[(r - ROW0) * COLS + k] : 0;
            const float got = rt_weight_value(&s, codes, scales, r, k);
            if (!same(got, want))
                fail_msg("%s (%u, %u): the layout gives %a, not %a", type, r, k,
                         (double)got, (double)want);
        }
    printf("    %-7s %2u bits, %s\n", type, s.bits, rt_weight_form_name(s.form));
    free(codes);
    free(scales);
}

/* Bytes on a device over those in the file, of a matrix of `in` columns of this kind. Rows
 * and columns are padded to 64 and 32; texels of 16 bytes pad what a row has of each kind:
 * of 1024 columns on that is little. */
static double ratio_of(const struct rt_weight_shape *kind, double file_bytes, uint32_t in)
{
    struct rt_weight_shape s = *kind;
    s.in = in;
    s.in_pad = rt_weight_in_pad(s.bits, in);
    /* a grid is there once, however many rows there are: 1024 here */
    s.out = s.out_pad = 1024;
    return (double)rt_weight_bytes(&s) / (file_bytes * s.out * in / (ROWS * COLS));
}

static void check_size(struct fmt_model *model, const char *type)
{
    struct rt_weight_shape s;
    struct fmt_stored stored;
    assert_int_equal(fmt_weight_shape(model, "w", ROWS, COLS, &s), RT_OK);
    assert_int_equal(fmt_weight_stored(model, "w", &stored), RT_OK);
    printf("    %-7s resident / file", type);
    for (uint32_t in = 1024; in <= 12288; in += 256)
        if (!(ratio_of(&s, stored.bits / 8, in) <= 1.06))
            fail_msg("%s: %u columns take %.3f of what they take in the file", type, in,
                     ratio_of(&s, stored.bits / 8, in));
    static const uint32_t columns[] = { 256, 576, 896, 1024, 2048, 4864 };
    for (size_t i = 0; i < RT_COUNT(columns); i++)
        if ((s.group != 16 && !rt_weight_is_blocks(s.form)) || columns[i] % 256 == 0)
            printf("  %u: %.3f", columns[i], ratio_of(&s, stored.bits / 8, columns[i]));
    printf("\n");
}

static uint16_t half_at(const char *bytes, uint64_t at)
{
    return (uint16_t)((uint8_t)bytes[at] | (uint32_t)(uint8_t)bytes[at + 1] << 8);
}

/* Halves of blocks are where it is said; what has none is refused by name. */
static void check_halves(struct rt_ctx *ctx, struct fmt_model *model, const char *path,
                         const char *type)
{
    size_t size;
    struct fmt_scales s;
    struct rt_weight_scale groups[COLS / 16];
    const rt_status st = fmt_weight_scales(model, "w", &s);
    if (st != RT_OK)
        test_refused(ctx, st, RT_ERR_INPUT, type, "not trained", NULL);
    if (!s.name[0])
        return;
    char *bytes = test_file_read(path, &size);
    for (uint32_t r = 0; r < ROWS; r++) {
        struct fmt_block_row row;
        assert_int_equal(fmt_weight_groups(model, "w", r, groups), RT_OK);
        assert_int_equal(fmt_weight_block_row(model, "w", r, &row), RT_OK);
        assert_int_equal(row.blocks, COLS / s.block);
        assert_int_equal(row.blocks, s.groups);
        assert_int_equal(row.minima != 0, s.zeros != FMT_ZEROS_FIXED);
        for (uint32_t b = 0; b < row.blocks; b++) { /* one of 256, or 8 of a group each */
            const uint64_t at = row.at + (uint64_t)b * row.bytes;
            assert_true(at + row.bytes <= size);
            assert_int_equal(half_at(bytes, at + row.scale), groups[b].d);
            if (row.minima)
                assert_int_equal(half_at(bytes, at + row.minima), groups[b].m);
        }
    }
    free(bytes);
}

static void check_type(const json_t *entry)
{
    struct rt_ctx ctx = { 0 };
    struct fmt_model *model;
    char path[1024], relative[256];
    static float got[ROWS * COLS];
    const char *type = json_string_value(json_object_get(entry, "type"));
    snprintf(relative, sizeof relative, "tests/golden/gguf/types/%s",
             json_string_value(json_object_get(entry, "expected")));
    float *expected = test_floats(test_path(path, sizeof path, relative), ROWS * COLS);
    snprintf(relative, sizeof relative, "tests/golden/gguf/types/%s",
             json_string_value(json_object_get(entry, "file")));
    if (fmt_model_open_tensors(&ctx, test_path(path, sizeof path, relative), &model) !=
        RT_OK)
        fail_msg("%s: %s", type, ctx.message);
    check_layout(model, type, expected);
    check_size(model, type);
    check_halves(&ctx, model, path, type);
    fmt_model_widen(model, true);
    check_layout(model, type, expected);
    fmt_model_widen(model, false);
    assert_int_equal(fmt_weight_floats(model, "w", ROWS, COLS, got), RT_OK);
    for (size_t i = 0; i < RT_COUNT(got); i++)
        if (memcmp(&got[i], &expected[i], sizeof *got) != 0)
            fail_msg("%s element %zu is %a, not %a", type, i, (double)got[i],
                     (double)expected[i]);
    /* the wrong size is refused, not read past the end */
    const rt_status st = fmt_weight_floats(model, "w", ROWS + 1, COLS, got);
    test_refused(&ctx, st, RT_ERR_INPUT, "'w.weight'", "is expected", NULL);
    fmt_model_close(&model);
    free(expected);
}

static void every_type_is_exact_in_the_layout(void **state)
{
    (void)state;
    char path[1024];
    json_t *entry,
        *index = json_load_file(
            test_path(path, sizeof path, "tests/golden/gguf/types/index.json"), 0, NULL);
    size_t i;
    assert_int_equal(json_array_size(index), 26);
    json_array_foreach(index, i, entry) check_type(entry);
    json_decref(index);
}

/* A matrix of one row of 64 columns with a scale of its own beside it. */
static void write_scaled(const char *path, uint32_t type, size_t size, float scale)
{
    struct test_gguf g = { 0 };
    uint8_t block[36] = { 0x38, 0x01, 0x7e, 0x2b };
    for (size_t i = 4; i < sizeof block; i++)
        block[i] = (uint8_t)(i * 37);
    test_gguf_begin(&g, 2, 0);
    test_gguf_tensor(&g, "w.weight", type, 64, 1, 0);
    test_gguf_tensor(&g, "w.scale", 0, 1, 0, 64);
    test_gguf_data(&g, block, size);
    test_gguf_data(&g, &scale, sizeof scale);
    test_gguf_write(&g, path);
}

/* The scale of a whole tensor counts: in each 16 elements the product with theirs is
 * rounded, then multiplied with the level. */
static void check_scaled(struct fmt_model *model, float scale)
{
    static const float of_16[4] = { 1, 0x1p-9f, 448, 0.34375f };
    static const float levels[8] = { 0, 0.5f, 1, 1.5f, 2, 3, 4, 6 };
    float expected[64], got[64];
    for (uint32_t i = 0; i < 64; i++) {
        const uint32_t byte = (4 + i / 16 * 8 + i % 8) * 37 & 255;
        const uint32_t q = i % 16 < 8 ? byte & 15 : byte >> 4;
        const float own = of_16[i / 16] * scale;
        expected[i] = (q & 8 ? -levels[q & 7] : levels[q & 7]) * own;
    }
    assert_int_equal(fmt_weight_floats(model, "w", 1, 64, got), RT_OK);
    for (uint32_t i = 0; i < 64; i++)
        assert_true(same(got[i], expected[i]));
    for (int wide = 0; wide < 2; wide++) {
        struct rt_weight_shape s;
        fmt_model_widen(model, wide);
        assert_int_equal(fmt_weight_shape(model, "w", 1, 64, &s), RT_OK);
        uint32_t *codes = calloc(1, rt_weight_code_bytes(&s));
        float *scales = calloc(1, rt_weight_scale_bytes(&s));
        assert_int_equal(fmt_weight_load(model, "w", &s, 0, 0, 1, codes, scales), RT_OK);
        for (uint32_t i = 0; i < 64; i++)
            assert_true(same(rt_weight_value(&s, codes, scales, 0, i), expected[i]));
        free(codes);
        free(scales);
    }
}

static void a_scale_beside_a_tensor_counts(void **state)
{
    (void)state;
    struct test_folder folder;
    struct rt_ctx ctx = { 0 };
    struct fmt_model *model;
    struct rt_weight_shape s;
    test_folder_init(&folder);
    const char *path = test_folder_file(&folder, "scaled.gguf");
    write_scaled(path, 40, 36, 0.0123f);
    if (fmt_model_open_tensors(&ctx, path, &model) != RT_OK)
        fail_msg("%s", ctx.message);
    check_scaled(model, 0.0123f);
    fmt_model_close(&model);
    write_scaled(path, 2, 36, 0.5f); /* Q4_0 */
    assert_int_equal(fmt_model_open_tensors(&ctx, path, &model), RT_OK);
    test_refused(&ctx, fmt_weight_shape(model, "w", 1, 64, &s), RT_ERR_INPUT,
                 "'w.weight' of type Q4_0", "NVFP4 only", NULL);
    fmt_model_close(&model);
    write_scaled(path, 40, 36, NAN);
    test_refused(&ctx, fmt_model_open_tensors(&ctx, path, &model), RT_ERR_INPUT,
                 "'w.scale'", "not finite", NULL);
    test_folder_deinit(&folder);
}

/* As a model by Hugging Face names only; its tensors also by the file's own. */
static void names_are_those_of_the_folder(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct fmt_model *model, *tensors;
    struct fmt_stored stored;
    char path[1024], hex[65];
    test_path(path, sizeof path, MODEL);
    assert_int_equal(fmt_model_open(&ctx, path, &model), RT_OK);
    assert_int_equal(fmt_model_open_tensors(&ctx, path, &tensors), RT_OK);
    assert_true(fmt_tensor_exists(model, "model.layers.0.self_attn.q_proj.weight"));
    assert_false(fmt_tensor_exists(model, "blk.0.attn_q.weight"));
    assert_true(fmt_tensor_exists(tensors, "blk.0.attn_q.weight"));
    assert_false(fmt_has_head(model));
    const struct fmt_config *c = fmt_model_config(model);
    const size_t count = (size_t)c->hidden * c->hidden;
    float *a = calloc(count, sizeof *a), *b = calloc(count, sizeof *b);
    assert_int_equal(fmt_weight_floats(model, "model.layers.0.self_attn.q_proj",
                                       c->hidden, c->hidden, a),
                     RT_OK);
    assert_int_equal(fmt_weight_floats(tensors, "blk.0.attn_q", c->hidden, c->hidden, b),
                     RT_OK);
    assert_memory_equal(a, b, count * sizeof *a);
    assert_int_equal(fmt_weight_stored(model, "model.layers.1.mlp.down_proj", &stored),
                     RT_OK);
    assert_string_equal(stored.text, "Q8_0");
    assert_true(stored.bits == 8.5 * c->ffn * c->hidden);
    assert_int_equal(fmt_model_hash(model, hex), RT_OK);
    printf("    %s\n", hex);
    free(a);
    free(b);
    fmt_model_close(&model);
    fmt_model_close(&tensors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_exact_in_the_layout),
        cmocka_unit_test(a_scale_beside_a_tensor_counts),
        cmocka_unit_test(names_are_those_of_the_folder),
    };
    return cmocka_run_group_tests_name("weights of GGUF files", tests, NULL, NULL);
}

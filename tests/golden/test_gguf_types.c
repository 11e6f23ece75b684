/* Every block type of GGUF decodes to the golden floats bit for bit, through the floats
 * and through codes and scales alike. */
#include "runtime/format/gguf.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"

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

enum { ROWS = 16, COLS = 256 };

/* An E4M3 number without a sign. */
static float e4m3(uint32_t s)
{
    const int exponent = (int)(s >> 3);
    return exponent ? ldexpf((float)(8 + (s & 7)), exponent - 10)
                    : ldexpf((float)(s & 7), -9);
}

/* The value of element i as runtime/op/weight.h states it. */
static float value_of(const struct fmt_block_type *t, const struct fmt_block *b,
                      uint32_t i)
{
    const struct rt_weight_scale *v = &b->scale[i / rt_weight_form_group(t->form)];
    const float d = rt_half_to_float(v->d), m = rt_half_to_float(v->m), q = b->code[i];
    const float middle = (float)(1u << (t->bits - 1)),
                level = t->form > RT_FORM_MASK ? rt_weight_level(t->form, b->code[i]) : 0;
    assert_true(b->code[i] < 1u << t->bits);
    switch (t->form) {
    case RT_FORM_HALF:
        return (q - middle) * d;
    case RT_FORM_HALVES:
        return q * d + m;
    case RT_FORM_HALF | RT_LEVELS_IQ4_NL:
    case RT_FORM_HALF | RT_LEVELS_TERNARY:
        return level * d;
    case RT_FORM_S32 | RT_LEVELS_IQ4_NL:
        return level * (d * (float)(int8_t)v->s);
    case RT_FORM_E8M0 | RT_LEVELS_E2M1:
        return level * ldexpf(1, v->s - 128);
    case RT_FORM_E4M3 | RT_LEVELS_E2M1:
        return level * e4m3(v->s) / 2;
    case RT_FORM_K16:
        return (q - middle) * (d * (float)(int8_t)v->s);
    default:
        assert_true(t->form == RT_FORM_K32 || t->form == RT_FORM_K16_MIN);
        return q * (d * (float)v->s) + -(m * (float)v->l);
    }
}

/* The same of the block forms. */
static float value_of_whole(const struct fmt_block_type *t,
                            const struct rt_weight_block *b, uint32_t i)
{
    int8_t level[FMT_BLOCK_MAX];
    float scale[FMT_BLOCK_GROUPS_MAX];
    rt_weight_block_split(t->form, b, level, scale);
    return (float)level[i] * scale[i / rt_weight_form_group(t->form)];
}

static void check_same(const char *name, const float *values, const float *expected)
{
    for (size_t i = 0; i < (size_t)ROWS * COLS; i++)
        if (memcmp(&values[i], &expected[i], sizeof *values) != 0)
            fail_msg("%s element %zu is %a, %a is expected", name, i, (double)values[i],
                     (double)expected[i]);
}

static void check_type(const char *name, const char *file, const char *expected_file)
{
    struct rt_ctx ctx = { 0 };
    struct fmt_gguf gguf;
    char relative[256], path[1024];
    static float values[ROWS * COLS];
    snprintf(relative, sizeof relative, "tests/golden/gguf/types/%s", expected_file);
    float *expected = test_floats(test_path(path, sizeof path, relative), ROWS * COLS);
    snprintf(relative, sizeof relative, "tests/golden/gguf/types/%s", file);
    if (fmt_gguf_open(&ctx, test_path(path, sizeof path, relative), &gguf) != RT_OK)
        fail_msg("%s", ctx.message);
    const struct fmt_gguf_tensor *w = fmt_gguf_find(&gguf, "w");
    assert_non_null(w);
    assert_string_equal(w->type->name, name);
    assert_true(w->shape[0] == COLS && w->shape[1] == ROWS && w->dims == 2);
    fmt_gguf_floats(w, 0, w->count, values);
    check_same(name, values, expected);
    /* pieces that begin and end inside blocks */
    memset(values, 0xff, sizeof values);
    for (uint64_t at = 0, n; at < w->count; at += n) {
        n = at % 7 * 41 + 1;
        n = n < w->count - at ? n : w->count - at;
        fmt_gguf_floats(w, at, n, values + at);
    }
    check_same(name, values, expected);
    for (uint64_t k = 0; w->type->split && k < w->count / w->type->block; k++) {
        struct fmt_block b;
        fmt_block_split(w->type, w->data + k * w->type->bytes, w->factor, &b);
        for (uint32_t i = 0; i < w->type->block; i++)
            values[k * w->type->block + i] = rt_weight_is_blocks(w->type->form)
                                                 ? value_of_whole(w->type, &b.whole, i)
                                                 : value_of(w->type, &b, i);
    }
    check_same(name, values, expected);
    free(expected);
    fmt_gguf_close(&gguf);
}

static void types_are_exact(void **state)
{
    (void)state;
    char path[1024];
    json_t *index = json_load_file(
               test_path(path, sizeof path, "tests/golden/gguf/types/index.json"), 0,
               NULL),
           *entry;
    size_t i;
    assert_true(json_array_size(index) == 26);
    json_array_foreach(index, i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "type"));
        check_type(name, json_string_value(json_object_get(entry, "file")),
                   json_string_value(json_object_get(entry, "expected")));
        printf("    %s: %d values equal\n", name, ROWS * COLS);
    }
    json_decref(index);
}

/* FNV-1a of the numbers of a grid, as signed bytes, row by row. */
static uint64_t hash_grid(const uint16_t *grid, uint32_t rows, uint32_t bits,
                          const int8_t *numbers)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t i = 0; i < 16; i += bits)
            hash = (hash ^ (uint8_t)numbers[grid[r] >> i & ((1u << bits) - 1)]) *
                   0x100000001b3u;
    return hash;
}

/* Golden files reach some rows of a grid only. Hashes are of the gguf package's grids. */
static void grids_are_those_of_the_format(void **state)
{
    (void)state;
    static const int8_t by_8[8] = { 4, 12, 20, 28, 36, 44, 52, 62 };
    static const int8_t odd[8] = { 1, 3, 5, 7, 9, 11, 13, 15 };
    static const int8_t three[4] = { 8, 25, 43 }, signs[4] = { -1, 0, 1 };
    assert_true(hash_grid(rt_grid_iq3_xxs, 256, 4, by_8) == 0xdfa5dc83d6a155d5u);
    assert_true(hash_grid(rt_grid_iq3_s, 512, 4, odd) == 0xfa37020c25b44829u);
    assert_true(hash_grid(rt_grid_iq2_xxs, 256, 2, three) == 0xbb4ee025b5ac6e8eu);
    assert_true(hash_grid(rt_grid_iq2_xs, 512, 2, three) == 0xc9b1ee61e79909bdu);
    assert_true(hash_grid(rt_grid_iq2_s, 1024, 2, three) == 0x123edd38a3b62b90u);
    assert_true(hash_grid(rt_grid_iq1, 2048, 2, signs) == 0x6703ed863501ae2eu);
}

/* Of MXFP4, the scales that the golden file has not: below a float's normal numbers, and
 * the greatest. */
static void the_ends_of_scales_are_exact(void **state)
{
    (void)state;
    static const struct {
        uint32_t scale;
        float expected;
    } ends[] = { { 0, 0x1p-128f },
                 { 1, 0x1p-127f },
                 { 2, 0x1p-126f },
                 { 254, 0x1p126f },
                 { 255, 0x1p127f } };
    for (size_t i = 0; i < RT_COUNT(ends); i++)
        assert_true(rt_scale_e8m0(ends[i].scale) == ends[i].expected);
}

static void a_whole_model_is_read(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct fmt_gguf gguf;
    char path[1024];
    test_path(path, sizeof path, "tests/golden/gguf/model/qwen2-tiny-q8_0-q4_0.gguf");
    if (fmt_gguf_open(&ctx, path, &gguf) != RT_OK)
        fail_msg("%s", ctx.message);
    assert_int_equal(gguf.tensor_count, 38);
    const struct fmt_gguf_tensor *t = fmt_gguf_find(&gguf, "blk.2.attn_q.weight");
    assert_non_null(t);
    assert_string_equal(t->type->name, "Q4_0");
    char *text;
    int64_t layers;
    assert_int_equal(fmt_gguf_text(&gguf, "general.architecture", &text), RT_OK);
    assert_string_equal(text, "qwen2");
    assert_int_equal(fmt_gguf_whole(&gguf, "qwen2.block_count", -1, 1, 99, &layers),
                     RT_OK);
    assert_int_equal(layers, 3);
    rt_free(text);
    fmt_gguf_close(&gguf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_exact),
        cmocka_unit_test(grids_are_those_of_the_format),
        cmocka_unit_test(the_ends_of_scales_are_exact),
        cmocka_unit_test(a_whole_model_is_read),
    };
    return cmocka_run_group_tests_name("gguf types", tests, NULL, NULL);
}

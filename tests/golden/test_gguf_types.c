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
            values[k * w->type->block + i] = value_of(w->type, &b, i);
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
    assert_true(json_array_size(index) == 18);
    json_array_foreach(index, i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "type"));
        check_type(name, json_string_value(json_object_get(entry, "file")),
                   json_string_value(json_object_get(entry, "expected")));
        printf("    %s: %d values equal\n", name, ROWS * COLS);
    }
    json_decref(index);
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
        cmocka_unit_test(a_whole_model_is_read),
    };
    return cmocka_run_group_tests_name("gguf types", tests, NULL, NULL);
}

/* Results of quantizing as JSON: what is written can be read, with the values that were given;
 * odd numbers and bytes that are no text; and what is computed beside it. */
#include "pipeline/run/blame.h"
#include "pipeline/run/quantize_calibrated.h"
#include "pipeline/run/quantize_json.h"
#include "runtime/base/json_put.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What was written to the file, which is closed. */
static char *text_of(FILE *file)
{
    static char text[8192];
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    assert_int_equal(fclose(file), 0);
    return text;
}

static json_t *json_of(FILE *file)
{
    json_error_t error;
    json_t *value = json_loads(text_of(file), 0, &error);
    if (!value)
        fail_msg("%s at %d", error.text, error.position);
    return value;
}

static void pieces(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    rt_json_text(file, "a \"b\"\n\xc3\xa4");
    rt_json_bytes(file, "\xc3\n\"z", 4);
    rt_json_bytes(file, "a\0b", 3);
    rt_json_member(file, "n", "t");
    rt_json_number(file, "x", 1);
    rt_json_number(file, "y", 1e-5);
    rt_json_number(file, "z", NAN);
    rt_json_count(file, "c", UINT64_MAX);
    assert_string_equal(text_of(file), "\"a \\\"b\\\"\\n\xc3\xa4\""
                                       "\"\xef\xbf\xbd\\u000a\\u0022z\"\"a\\u0000b\""
                                       ",\"n\":\"t\",\"x\":1,\"y\":1e-05,\"z\":null"
                                       ",\"c\":18446744073709551615");
}

/* Whether matrix i of the list is said to be no better than rounded to nearest. */
static bool marked(const json_t *all, size_t i)
{
    const json_t *one = json_array_get(json_object_get(all, "list"), i);
    const json_t *mark = json_object_get(one, "not_better");
    assert_true(json_is_boolean(mark));
    return json_is_true(mark);
}

static void a_folder(void **state)
{
    (void)state;
    struct pipe_quantized_matrix list[] = { { "m.q", 1.5, 2 },
                                            { "m.k", 0.5, 0.5 },
                                            { "m.v", NAN, 1 } };
    struct pipe_quantized q = { .matrices = 2, .weights = 64, .bits_per_weight = 4.5 };
    struct pipe_selected s = { .count = 0 };
    FILE *file = tmpfile();
    pipe_quantized_json(file, "out", &q, &s);
    assert_string_equal(text_of(file), "{\"out\":\"out\",\"matrices\":2,\"weights\":64,"
                                       "\"bits_per_weight\":4.5,\"halved\":0,\"float_"
                                       "inputs\":{\"matrices\":0,\"weights\":0}}\n");
    q.list = list;
    q.list_count = 3;
    s = (struct pipe_selected){ .count = 2, .chosen = 1, .held_out = 3, .used = 5 };
    memcpy(s.list[0].name, "a", 2);
    s.list[0].kl = INFINITY;
    file = tmpfile();
    pipe_quantized_json(file, "out", &q, &s);
    json_t *all = json_of(file);
    const json_t *select = json_object_get(all, "select");
    assert_false(marked(all, 0)); /* lower */
    assert_true(marked(all, 1));  /* equal */
    assert_true(marked(all, 2));  /* unknown */
    assert_int_equal(json_integer_value(json_object_get(select, "chosen")), 1);
    const json_t *first = json_array_get(json_object_get(select, "candidates"), 0);
    assert_true(json_is_null(json_object_get(first, "kl")));
    json_decref(all);
}

static void costs(void **state)
{
    (void)state;
    const struct pipe_quantize_cost c = { .source_bytes = 9, .compared_bytes = 7 };
    for (uint32_t candidates = 1; candidates < 3; candidates++) {
        FILE *file = tmpfile();
        pipe_quantize_cost_json(file, &c, candidates);
        json_t *all = json_of(file);
        assert_int_equal(json_integer_value(json_object_get(all, "compared_bytes")),
                         candidates > 1 ? 7 : 0);
        json_decref(all);
    }
}

static void tensors_of_another_type_are_counted_once(void **state)
{
    (void)state;
    struct pipe_gguf_tensor list[] = {
        { .name = "a", .type = "Q4_0", .wanted = "Q4_K", .columns = 96 },
        { .name = "b",
          .type = "Q4_K",
          .wanted = "Q4_K",
          .columns = 256,
          .is_no_better = true },
        { .name = "c", .type = "Q4_0", .wanted = "Q4_K", .columns = 96 },
        { .name = "d", .type = "Q4_0", .wanted = "Q4_K", .columns = 32 },
    };
    const struct pipe_gguf_made m = { .count = 4, .list = list };
    static const uint32_t want[] = { 2, 0, 0, 1 };
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(pipe_gguf_fallbacks(&m, i), want[i]);
    FILE *file = tmpfile();
    pipe_gguf_made_json(file, "o.gguf", &m, &(struct pipe_selected){ .count = 0 });
    json_t *all = json_of(file);
    assert_int_equal(json_array_size(json_object_get(all, "list")), 4);
    assert_false(marked(all, 0));
    assert_true(marked(all, 1));
    json_decref(all);
}

/* A name of a file's tensor is any text. */
static void names_are_texts(void **state)
{
    (void)state;
    static const char odd[] = "blk.\"0\"\\\n\xff.weight",
                      read[] = "blk.\"0\"\\\n\xef\xbf\xbd.weight";
    struct pipe_gguf_tensor list[] = { { .type = "Q4_0", .wanted = "Q4_0" } };
    struct pipe_quantized_matrix matrices[1];
    const struct pipe_gguf_made m = { .count = 1, .list = list };
    const struct pipe_quantized q = { .list = matrices, .list_count = 1 };
    struct pipe_selected s = { .count = 1 };
    snprintf(list[0].name, sizeof list[0].name, "%s", odd);
    snprintf(matrices[0].name, sizeof matrices[0].name, "%s", odd);
    snprintf(s.list[0].name, sizeof s.list[0].name, "%s", odd);
    for (int i = 0; i < 2; i++) {
        FILE *file = tmpfile();
        if (i == 0)
            pipe_gguf_made_json(file, "o \"1\".gguf", &m, &s);
        else
            pipe_quantized_json(file, "o \"1\"", &q, &s);
        json_t *all = json_of(file);
        const json_t *first = json_array_get(json_object_get(all, "list"), 0);
        assert_string_equal(json_string_value(json_object_get(first, "name")), read);
        const json_t *select = json_object_get(all, "select");
        const json_t *candidate =
            json_array_get(json_object_get(select, "candidates"), 0);
        assert_string_equal(json_string_value(json_object_get(candidate, "name")), read);
        json_decref(all);
    }
}

static void what_a_method_leaves_open(void **state)
{
    (void)state;
    struct pipe_select_options open = { .search = true, .order = true, .damping = true };
    assert_true(pipe_select_of_method("gptq", &open));
    assert_true(open.search && open.order && open.damping);
    const struct pipe_calibrated_options o = { .choose = true, .open = open };
    assert_int_equal(pipe_calibrated_candidates(&o), 4);
    assert_true(pipe_select_of_method("awq", &open));
    assert_true(open.search && !open.order && !open.damping);
    open = (struct pipe_select_options){ .search = true, .order = true };
    assert_true(pipe_select_of_method("smoothquant", &open));
    assert_true(!open.search && open.order && !open.damping);
    open = (struct pipe_select_options){ true, true, true, true, NULL };
    assert_true(pipe_select_of_method("gguf", &open));
    assert_true(open.search && open.order && open.damping && open.nearest);
    const struct pipe_calibrated_options file = { .choose = true, .open = open };
    assert_int_equal(pipe_calibrated_candidates(&file), PIPE_CANDIDATES_MAX);
    assert_true(pipe_select_of_method("gptq", &open) && !open.nearest);
    open = (struct pipe_select_options){ .order = true };
    assert_false(pipe_select_of_method("rtn", &open));
}

static void shares_of_damage(void **state)
{
    (void)state;
    struct pipe_blame_part part = { .name = "layer 0", .gain = 0.5 };
    struct pipe_blame b = { .kl = 2, .parts = &part, .count = 1 };
    FILE *file = tmpfile();
    pipe_blame_json(file, &b);
    json_t *all = json_of(file);
    const json_t *p = json_array_get(json_object_get(all, "parts"), 0);
    const double share = json_real_value(json_object_get(p, "share"));
    assert_true(share >= 0.25 && share <= 0.25);
    json_decref(all);
    b.kl = 0;
    assert_true(isnan(pipe_blame_share(&b, &part)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces),
        cmocka_unit_test(a_folder),
        cmocka_unit_test(costs),
        cmocka_unit_test(tensors_of_another_type_are_counted_once),
        cmocka_unit_test(names_are_texts),
        cmocka_unit_test(what_a_method_leaves_open),
        cmocka_unit_test(shares_of_damage),
    };
    return cmocka_run_group_tests_name("results of quantizing", tests, NULL, NULL);
}

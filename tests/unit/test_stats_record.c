/* JSON records of statistics against reference values of 40 and 60 digits, and what is
 * refused. The vectors are shared reference data; the extremes are made by
 * tests/golden/statistics/make_extremes.py. */
#include "pipeline/stats/stats_record.h"
#include "pipeline/stats/power.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

static void same(const char *where, const char *key, const json_t *got,
                 const json_t *expected)
{
    if (json_is_array(expected)) {
        assert_int_equal(json_array_size(got), json_array_size(expected));
        for (size_t i = 0; i < json_array_size(expected); i++)
            same(where, key, json_array_get(got, i), json_array_get(expected, i));
    } else if (json_is_number(expected)) {
        const double x = json_number_value(got), y = json_number_value(expected);
        if (!json_is_number(got) || !(fabs(x - y) <= 1e-11 * fabs(y) + 1e-15))
            fail_msg("%s, %s: %.17g instead of %.17g", where, key, x, y);
    } else if (!json_equal(got, expected)) {
        fail_msg("%s: '%s' differs", where, key);
    }
}

static unsigned check_file(const char *name)
{
    struct rt_ctx ctx = { 0 };
    char path[1024], where[80];
    FILE *file = fopen(test_path(path, sizeof path, name), "r");
    assert_non_null(file);
    unsigned records = 0;
    for (json_t *row; (row = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL));) {
        snprintf(where, sizeof where, "record %u", ++records);
        json_t *record = json_deep_copy(row), *value;
        const char *key;
        if (pipe_stats_record(&ctx, where, record) != RT_OK)
            fail_msg("%s", ctx.message);
        json_object_foreach(row, key, value)
            same(where, key, json_object_get(record, key), value);
        assert_int_equal(json_object_size(record), json_object_size(row));
        json_decref(record);
        json_decref(row);
    }
    fclose(file);
    return records;
}

static void reference_values_are_met(void **state)
{
    (void)state;
    assert_true(check_file("tests/golden/statistics/vectors.jsonl") >= 15);
    assert_int_equal(check_file("tests/golden/statistics/extremes.jsonl"), 39);
}

static json_t *compute(const char *text)
{
    struct rt_ctx ctx = { 0 };
    json_t *record = json_loads(text, 0, NULL);
    assert_non_null(record);
    if (pipe_stats_record(&ctx, "here", record) != RT_OK)
        fail_msg("%s", ctx.message);
    return record;
}

static double number(const json_t *record, const char *key)
{
    assert_true(json_is_number(json_object_get(record, key)));
    return json_number_value(json_object_get(record, key));
}

static void the_wrong_error_is_printed_only_where_asked_for(void **state)
{
    (void)state;
    static const char *const wrong = "se_if_all_samples_were_independent";
    json_t *a = compute("{\"kind\":\"avg_at_k\",\"samples\":[\"0101\",\"1111\"]}");
    assert_null(json_object_get(a, wrong));
    json_t *b = compute("{\"kind\":\"avg_at_k\",\"samples\":[\"0101\",\"1111\"],"
                        "\"se_if_all_samples_were_independent\":0}");
    assert_true(number(b, wrong) < number(b, "se_over_question_means"));
    json_decref(a);
    json_decref(b);
}

static void other_kinds_agree_with_their_definitions(void **state)
{
    (void)state;
    json_t *r = compute("{\"kind\":\"holm\",\"p\":[0.01,0.04,0.03,0.005]}");
    assert_true(
        fabs(json_number_value(json_array_get(json_object_get(r, "adjusted"), 1)) -
             0.06) < 1e-15);
    json_decref(r);
    r = compute("{\"kind\":\"pass_at_k_over_problems\",\"n\":4,\"k\":2,\"c\":[0,2,4]}");
    assert_true(fabs(number(r, "value") - (0 + 5.0 / 6 + 1) / 3) < 1e-15);
    json_decref(r);
    r = compute("{\"kind\":\"bootstrap\",\"base\":[0,1,0,1],\"quant\":[1,1,1,1],"
                "\"draws\":500,\"seed\":3}");
    const json_t *interval = json_object_get(r, "interval");
    assert_true(number(r, "diff") == 0.5);
    assert_true(json_number_value(json_array_get(interval, 0)) < 0.5 &&
                json_number_value(json_array_get(interval, 1)) > 0.5);
    json_decref(r);
}

static void bad_records_are_refused(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        { "{}", "'kind'" },
        { "{\"kind\":\"median\"}", "'median'" },
        { "{\"kind\":\"interval95\",\"k\":4,\"n\":3}", "from 0 to 3" },
        { "{\"kind\":\"interval95\",\"k\":-1,\"n\":3}", "from 0 to 3" },
        { "{\"kind\":\"interval95\",\"k\":1.5,\"n\":3}", "whole number" },
        { "{\"kind\":\"mcnemar\",\"base_right_quant_wrong\":1}", "'base_wrong" },
        { "{\"kind\":\"tango\",\"lost\":2,\"gained\":2,\"n\":3}", "from 0 to 1" },
        { "{\"kind\":\"paired\",\"base\":\"01\",\"quant\":\"012\"}", "'quant'" },
        { "{\"kind\":\"paired\",\"base\":\"01\",\"quant\":\"010\"}", "another length" },
        { "{\"kind\":\"paired\",\"base\":\"\",\"quant\":\"\"}", "at least one" },
        { "{\"kind\":\"bootstrap\",\"base\":[1],\"quant\":[1],\"draws\":0}", "'draws'" },
        { "{\"kind\":\"bootstrap\",\"base\":[1],\"quant\":[1,0]}", "another length" },
        { "{\"kind\":\"pass_at_k\",\"n\":3,\"c\":1,\"k\":4}", "from 0 to 3" },
        { "{\"kind\":\"avg_at_k\",\"samples\":[]}", "'samples'" },
        { "{\"kind\":\"avg_at_k\",\"samples\":[\"01\",\"\"]}", "'samples'" },
        { "{\"kind\":\"holm\",\"p\":[0.5,1.5]}", "from 0 to 1" },
        { "{\"kind\":\"holm\",\"p\":[\"a\"]}", "numbers only" },
        { "{\"kind\":\"kl\",\"base_logits\":[1],\"quant_logits\":[1],\"token\":0}",
          "at least 2" },
        { "{\"kind\":\"kl\",\"base_logits\":[1,2],\"quant_logits\":[1,2],\"token\":2}",
          "from 0 to 1" },
        { "{\"kind\":\"power\",\"n\":10,\"flips\":0.1,\"difference\":0.2}", "larger" },
        { "{\"kind\":\"power\",\"n\":10,\"flips\":0,\"difference\":0}", "above 0" },
    };
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        struct rt_ctx ctx = { 0 };
        json_t *record = json_loads(rows[i][0], 0, NULL);
        assert_non_null(record);
        test_refused(&ctx, pipe_stats_record(&ctx, "here", record), RT_ERR_INPUT, "here",
                     rows[i][1], NULL);
        json_decref(record);
    }
}

static void sample_sizes_hold_their_promise(void **state)
{
    (void)state;
    static const double rows[][2] = { { 0.1, 0.04 }, { 0.2, 0.1 }, { 0.05, 0.05 } };
    for (size_t i = 0; i < RT_COUNT(rows); i++)
        for (int mid = 0; mid < 2; mid++) {
            struct pipe_power p = { rows[i][0], rows[i][1], mid };
            const uint32_t n = pipe_power_problems(&p, 0.8);
            const double normal = pipe_power_problems_normal(&p, 0.8);
            assert_true(pipe_power_of(&p, n) >= 0.8 && pipe_power_of(&p, n - 1) < 0.8);
            assert_true(n > 0.8 * normal - 10 && n < 1.3 * normal + 50);
            const double least = pipe_power_difference(&p, n, 0.8);
            assert_true(least <= p.difference && least > 0.9 * p.difference);
        }
    struct pipe_power tiny = { 0.5, 0.001, false };
    assert_int_equal(pipe_power_problems(&tiny, 0.8), 0);
    struct pipe_power few = { 0.1, 0.1, false };
    assert_true(isnan(pipe_power_difference(&few, 10, 0.8)));
    struct pipe_power none = { 0.2, 0.0, false }; /* the test holds its level */
    assert_true(pipe_power_of(&none, 200) <= 0.05 && pipe_power_of(&none, 0) == 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_values_are_met),
        cmocka_unit_test(the_wrong_error_is_printed_only_where_asked_for),
        cmocka_unit_test(other_kinds_agree_with_their_definitions),
        cmocka_unit_test(bad_records_are_refused),
        cmocka_unit_test(sample_sizes_hold_their_promise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

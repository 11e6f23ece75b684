/* JSON of others: numbers that jansson cannot hold stop no read, pass for no number and no
 * text, and are written back as they were. What is not JSON stays an error. */
#include "runtime/base/file.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static json_t *parse(const char *text, size_t size)
{
    struct rt_ctx ctx = { 0 };
    json_error_t error;
    char *exact = malloc(size); /* so that a sanitizer sees a read beyond the end */
    memcpy(exact, text, size);
    json_t *value = fmt_json_parse(&ctx, exact, size, JSON_REJECT_DUPLICATES, &error);
    free(exact);
    if (!value && !error.text[0])
        fail_msg("no message for %s", text);
    return value;
}

#define DIGITS_50 "12345678901234567890123456789012345678901234567890"

static void odd_numbers_are_read(void **state)
{
    (void)state;
    static const char *const odd[] = {
        "NaN",
        "Infinity",
        "-Infinity",
        "1000000000000000019884624838656",
        "9223372036854775808",
        "-9223372036854775809",
        DIGITS_50 DIGITS_50 DIGITS_50,
        "1e309",
        "-2E+400",
        "1.8e308",
        DIGITS_50 DIGITS_50 ".5e300",
        "0.001e999999999999999999999",
    };
    for (size_t i = 0; i < RT_COUNT(odd); i++) {
        char text[800];
        snprintf(text, sizeof text, "{\"a\\\"\": [%s, %s\n], \"b\":%s ,\"c\": 7}", odd[i],
                 odd[i], odd[i]);
        json_t *value = parse(text, strlen(text));
        if (!value)
            fail_msg("%s is not read", odd[i]);
        const json_t *b = json_object_get(value, "b");
        assert_string_equal(fmt_json_odd(b), odd[i]);
        assert_string_equal(
            fmt_json_odd(json_array_get(json_object_get(value, "a\""), 1)), odd[i]);
        assert_false(json_is_number(b));
        assert_int_equal(json_integer_value(json_object_get(value, "c")), 7);
        char *back = fmt_json_dumps(value, JSON_COMPACT);
        snprintf(text, sizeof text, "{\"a\\\"\":[%s,%s],\"b\":%s,\"c\":7}", odd[i],
                 odd[i], odd[i]);
        assert_string_equal(back, text);
        rt_free(back);
        json_decref(value);
    }
}

/* Beside an odd number, so that the text is read a second time. */
static void other_values_stay(void **state)
{
    (void)state;
    static const char text[] =
        "{\"odd\": NaN, \"NaN\": \"Infinity, NaN\", \"most\": 9223372036854775807, "
        "\"least\": -9223372036854775808, \"real\": 1.7976931348623157e308, "
        "\"zero\": 0e999, \"tiny\": 1e-999, \"quote\": \"\\\" NaN\", \"back\": \"\\\\\", "
        "\"null\": null}";
    json_t *value = parse(text, strlen(text));
    assert_non_null(value);
    assert_string_equal(json_string_value(json_object_get(value, "NaN")),
                        "Infinity, NaN");
    assert_null(fmt_json_odd(json_object_get(value, "NaN")));
    assert_true(json_integer_value(json_object_get(value, "most")) == INT64_MAX);
    assert_true(json_integer_value(json_object_get(value, "least")) == INT64_MIN);
    assert_true(json_is_real(json_object_get(value, "real")));
    assert_true(json_is_real(json_object_get(value, "zero")));
    assert_true(json_is_real(json_object_get(value, "tiny")));
    assert_string_equal(json_string_value(json_object_get(value, "quote")), "\" NaN");
    assert_string_equal(json_string_value(json_object_get(value, "back")), "\\");
    assert_true(json_is_null(json_object_get(value, "null")));
    json_decref(value);
}

static void what_is_no_json_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",          "{",          "{NaN: 1}",     "[NaNs]",    "[nan]",  "[-NaN]",
        "[+1e999]",  "[01e999]",   "[1.e999]",     "[.5]",      "[NaN",   "[\"NaN]",
        "[NaN NaN]", "[Infinity1", "[1e999 x]",    "{\"a\":N}", "[1e999", "[-]",
        "[NaN,]",    "[\"\\",      "[NaN, \"\\\"", "[NaN]]",
    };
    for (size_t i = 0; i < RT_COUNT(bad); i++) {
        json_t *value = parse(bad[i], strlen(bad[i]));
        if (value)
            fail_msg("%s is read", bad[i]);
    }
}

/* A text that begins as an odd number does, and is none, stays a text. */
static void marked_texts_stay(void **state)
{
    (void)state;
    json_t *value = json_pack("{s:s, s:s}", "a", FMT_JSON_ODD_MARK "NaNs", "b",
                              FMT_JSON_ODD_MARK "12");
    assert_null(fmt_json_odd(json_object_get(value, "a")));
    assert_null(fmt_json_odd(json_object_get(value, "b")));
    char *text = fmt_json_dumps(value, JSON_COMPACT);
    assert_string_equal(text, "{\"a\":\"" FMT_JSON_ODD_MARK "NaNs\",\"b\":\"" //
                        FMT_JSON_ODD_MARK "12\"}");
    rt_free(text);
    json_decref(value);
}

/* A place that needs a value refuses an odd number by name. */
static void a_needed_number_is_refused(void **state)
{
    (void)state;
    static const struct fmt_json_key keys[] = {
        { "whole", FMT_JSON_WHOLE },
        { "number", FMT_JSON_NUMBER },
        { "text", FMT_JSON_TEXT },
    };
    static const char *const files[] = { "{\"whole\": 1000000000000000000000}",
                                         "{\"number\": NaN}", "{\"text\": -Infinity}" };
    struct rt_ctx ctx = { 0 };
    struct test_folder folder;
    test_folder_init(&folder);
    const char *path = test_folder_file(&folder, "config.json");
    for (size_t i = 0; i < RT_COUNT(files); i++) {
        json_t *root;
        test_file_write(path, files[i], strlen(files[i]));
        assert_int_equal(fmt_json_read(&ctx, path, &root), RT_OK);
        const rt_status st = fmt_json_check(&ctx, path, "", root, keys, RT_COUNT(keys));
        test_refused(&ctx, st, RT_ERR_INPUT, "config.json", keys[i].name, "must be a",
                     NULL);
        json_decref(root);
    }
    test_folder_deinit(&folder);
}

/* Editors of some systems write a mark in front of UTF-8, or UTF-16. */
static void other_encodings_are_read_or_named(void **state)
{
    (void)state;
    static const char marked[] = "\xef\xbb\xbf{\"a\": 1}", wide[] = "{\0\"\0a\0\"\0";
    struct rt_ctx ctx = { 0 };
    struct test_folder folder;
    json_t *root;
    test_folder_init(&folder);
    const char *path = test_folder_file(&folder, "config.json");
    test_file_write(path, marked, sizeof marked - 1);
    if (fmt_json_read(&ctx, path, &root) != RT_OK)
        fail_msg("%s", ctx.message);
    assert_int_equal(json_integer_value(json_object_get(root, "a")), 1);
    json_decref(root);
    test_file_write(path, "\xff\xfe{\0", 4);
    test_refused(&ctx, fmt_json_read(&ctx, path, &root), RT_ERR_INPUT, "config.json",
                 "UTF-16", NULL);
    test_file_write(path, wide, sizeof wide - 1);
    test_refused(&ctx, fmt_json_read(&ctx, path, &root), RT_ERR_INPUT, "config.json",
                 "save it as UTF-8", NULL);
    test_folder_deinit(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_numbers_are_read),
        cmocka_unit_test(other_values_stay),
        cmocka_unit_test(what_is_no_json_is_refused),
        cmocka_unit_test(marked_texts_stay),
        cmocka_unit_test(a_needed_number_is_refused),
        cmocka_unit_test(other_encodings_are_read_or_named),
    };
    return cmocka_run_group_tests_name("json of others", tests, NULL, NULL);
}

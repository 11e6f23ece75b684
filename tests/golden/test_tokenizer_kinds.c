/* Tokenizers of many kinds, made by tests/golden/make_kinds.py: the ids and texts of the
 * tokenizers package. Long texts take time in proportion to their length. */
#include "runtime/text/tokenizer.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool is_set(const json_t *settings, const char *name)
{
    return json_is_true(json_object_get(settings, name));
}

/* The model of a case: a shared one with its settings, as make_kinds.py has it. */
static json_t *model_of(const json_t *shared, const json_t *settings)
{
    json_t *model = json_deep_copy(shared), *merges = json_object_get(model, "merges");
    json_t *lines = json_array(), *merge;
    size_t i;
    json_object_update(model, (json_t *)(uintptr_t)settings);
    if (is_set(settings, "again"))
        json_array_append_new(merges, json_pack("[ss]", "a", "b"));
    if (is_set(settings, "no_type"))
        json_object_del(model, "type");
    json_array_append_new(lines, json_string("#version: 0.2"));
    json_array_foreach(merges, i, merge)
    {
        json_array_append_new(
            lines, json_sprintf("%s %s", json_string_value(json_array_get(merge, 0)),
                                json_string_value(json_array_get(merge, 1))));
    }
    if (is_set(settings, "strings"))
        json_object_set(model, "merges", lines);
    json_decref(lines);
    return model;
}

static json_t *spec_of(const json_t *root, const json_t *c)
{
    static const char *const parts[] = { "added_tokens", "normalizer", "pre_tokenizer",
                                         "decoder" };
    json_t *spec = json_object();
    for (size_t i = 0; i < RT_COUNT(parts); i++)
        json_object_set(spec, parts[i], json_object_get(c, parts[i]));
    const char *kind = json_string_value(json_object_get(c, "kind"));
    json_object_set_new(spec, "model",
                        model_of(json_object_get(json_object_get(root, "models"), kind),
                                 json_object_get(c, "settings")));
    return spec;
}

static void check_ids(struct text_tokenizer *tok, const json_t *text, bool special,
                      const json_t *expected, const char *name)
{
    uint32_t *ids, n;
    assert_int_equal(text_encode(tok, json_string_value(text), json_string_length(text),
                                 special, &ids, &n),
                     RT_OK);
    bool same = n == json_array_size(expected);
    for (uint32_t i = 0; same && i < n; i++)
        same = ids[i] == json_integer_value(json_array_get(expected, i));
    if (!same)
        fail_msg("%s: '%s' is encoded otherwise%s", name, json_string_value(text),
                 special ? "" : " as plain text");
    rt_free(ids);
}

static void check_decoded(struct text_tokenizer *tok, const json_t *row, const char *name)
{
    const json_t *expected = json_object_get(row, "decoded");
    const json_t *list = json_object_get(row, "ids");
    uint32_t ids[512];
    const uint32_t n = (uint32_t)json_array_size(list);
    char *text;
    size_t size;
    assert_true(n <= RT_COUNT(ids));
    for (uint32_t i = 0; i < n; i++)
        ids[i] = (uint32_t)json_integer_value(json_array_get(list, i));
    assert_int_equal(text_decode(tok, ids, n, false, &text, &size), RT_OK);
    if (size != json_string_length(expected) ||
        memcmp(text, json_string_value(expected), size) != 0)
        fail_msg("%s: decoded as '%s'", name, text);
    rt_free(text);
}

static void kinds_are_exact(void **state)
{
    (void)state;
    struct test_folder folder;
    char path[1024];
    const json_t *c, *row;
    size_t i, k, rows = 0;
    json_t *root =
        json_load_file(test_path(path, sizeof path, "tests/golden/tokenizer/kinds.json"),
                       JSON_ALLOW_NUL, NULL);
    assert_non_null(root);
    test_folder_init(&folder);
    const json_t *cases = json_object_get(root, "cases");
    json_array_foreach(cases, i, c)
    {
        struct rt_ctx ctx = { 0 };
        struct text_tokenizer *tok;
        const char *name = json_string_value(json_object_get(c, "name"));
        json_t *spec = spec_of(root, c);
        assert_int_equal(
            json_dump_file(spec, test_folder_file(&folder, "tokenizer.json"), 0), 0);
        json_decref(spec);
        if (text_tokenizer_load(&ctx, folder.path, &tok) != RT_OK)
            fail_msg("%s: %s", name, ctx.message);
        json_array_foreach(json_object_get(c, "rows"), k, row)
        {
            const json_t *text = json_object_get(row, "text");
            const json_t *ids = json_object_get(row, "ids");
            const json_t *plain = json_object_get(row, "ids_plain");
            check_ids(tok, text, true, ids, name);
            check_ids(tok, text, false, plain ? plain : ids, name);
            if (json_object_get(row, "decoded"))
                check_decoded(tok, row, name);
            rows++;
        }
        text_tokenizer_destroy(&tok);
    }
    printf("    %zu tokenizers, %zu texts\n", json_array_size(cases), rows);
    assert_true(json_array_size(cases) > 120 && rows > 300);
    test_folder_deinit(&folder);
    json_decref(root);
}

/* ---- refusals ---- */

static void constructs_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *part; /* of the message */
    } cases[] = {
        { "a\\Kb", "the escape '\\K'" },
        { "\\X", "the escape '\\X'" },
        { "\\y", "the escape '\\y'" },
        { "(a)\\1", "the escape '\\1'" },
        { "\\xC3\\xA9", "the escape '\\xC3'" },
        { "\\x{110000}", "the escape" },
        { "\\p{Emoji}", "the property '\\p{Emoji}'" },
        { "\\pL", "the property '\\p'" },
        { "(?i:\\p{Lu})", "the property" },
        { "(?~ab)", "the group '(?~'" },
        { "(?x: a)", "the group '(?x'" },
        { "(?(1)a)", "the group '(?('" },
        { "(*FAIL)", "the group '(*'" },
        { "(a", "a group without end" },
        { "a)", "a bracket that closes nothing, ')'" },
        { "a{3,1}", "the interval '{3,1}'" },
        { "a{70000}", "the interval" },
        { "*a", "a quantifier of nothing, '*'" },
        { "(?=a)*", "the quantifier '*'" },
        { "^*", "the quantifier '*'" },
        { "(?i)ss", "a pair of letters" },
        { "(?i)[a-\\x{e9}]", "a letter outside ASCII" },
        { "(?i)\xc3\xa9", "a letter outside ASCII" },
        { "[a-\\d]", "the range" },
        { "[\\d-a]", "the range" },
        { "[b-a]", "the range 'b-a'" },
        { "[[:odd:]]", "the class '[:odd:]'" },
        { "[ab", "a class without end" },
        { "(?<=a+)b", "does not compile" },
    };
    struct test_folder folder;
    test_folder_init(&folder);
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        struct text_tokenizer *tok;
        json_t *spec = json_pack("{s:{s:s, s:{s:s}, s:s, s:b}, s:{s:s, s:{s:i}, s:[]}}",
                                 "pre_tokenizer", "type", "Split", "pattern", "Regex",
                                 cases[i].pattern, "behavior", "Isolated", "invert", 0,
                                 "model", "type", "BPE", "vocab", "a", 0, "merges");
        assert_non_null(spec);
        json_dump_file(spec, test_folder_file(&folder, "tokenizer.json"), 0);
        json_decref(spec);
        test_refused(&ctx, text_tokenizer_load(&ctx, folder.path, &tok), RT_ERR_INPUT,
                     "tokenizer.json", cases[i].part, NULL);
    }
    test_folder_deinit(&folder);
}

/* ---- long texts ---- */

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void a_long_text_is_no_long_wait(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    static const char *const models[] = { "qwen2",  "llama3", "gpt2",
                                          "smollm", "llama2", "sp-llama" };
    static const char *const units[] = { "a",        "A",  "1",         " ",
                                         "\n",       "<",  "'",         "\xe4\xb8\xad",
                                         "\xcc\x81", "a ", "<|im_end|>" };
    char path[1024], relative[64], *text = malloc(SIZE);
    assert_non_null(text);
    for (size_t i = 0; i < RT_COUNT(models); i++)
        for (size_t k = 0; k < RT_COUNT(units); k++) {
            struct rt_ctx ctx;
            struct text_tokenizer *tok;
            uint32_t *ids, n;
            const size_t unit = strlen(units[k]), size = SIZE / unit * unit;
            for (size_t at = 0; at < size; at += unit)
                memcpy(text + at, units[k], unit);
            test_ctx(&ctx);
            snprintf(relative, sizeof relative, "tests/golden/tokenizer/%s", models[i]);
            assert_int_equal(
                text_tokenizer_load(&ctx, test_path(path, sizeof path, relative), &tok),
                RT_OK);
            const double start = seconds();
            if (text_encode(tok, text, size, true, &ids, &n) != RT_OK)
                fail_msg("%s, '%s': %s", models[i], units[k], ctx.message);
            const double took = seconds() - start;
            if (took > 5.0)
                fail_msg("%s: 1 MB of '%s' takes %.1f s", models[i], units[k], took);
            rt_free(ids);
            text_tokenizer_destroy(&tok);
        }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_are_exact),
        cmocka_unit_test(constructs_are_named),
        cmocka_unit_test(a_long_text_is_no_long_wait),
    };
    return cmocka_run_group_tests_name("tokenizer kinds", tests, NULL, NULL);
}

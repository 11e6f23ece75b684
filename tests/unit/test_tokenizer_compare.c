/* Whether two tokenizers give the same ids: changed copies of the demo's are told apart by
 * what was changed, and copies that encode alike are not. */
#include "runtime/text/tokenizer.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"
#include "tests/support/gguf_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static struct rt_ctx ctx;
static struct text_tokenizer *demo;

static int load_demo(void **state)
{
    char path[1024];
    test_scratch_set_up(state);
    return text_tokenizer_load(&ctx, test_path(path, sizeof path, "pipeline/demo"),
                               &demo) != RT_OK;
}

static int drop_demo(void **state)
{
    text_tokenizer_destroy(&demo);
    return test_scratch_tear_down(state);
}

/* What differs between the demo's tokenizer and one at `path`. */
static struct text_difference difference(const char *path)
{
    struct text_difference d;
    struct text_tokenizer *other;
    assert_int_equal(text_tokenizer_load(&ctx, path, &other), RT_OK);
    assert_int_equal(text_tokenizer_compare(demo, other, &d), RT_OK);
    text_tokenizer_destroy(&other);
    return d;
}

/* Of a copy with up to two replacements in tokenizer.json. */
static struct text_difference changed(const char *const edits[4])
{
    test_folder_fill(&test_scratch, "pipeline/demo");
    for (int i = 0; i < 4 && edits[i]; i += 2)
        test_file_replace(test_folder_file(&test_scratch, "tokenizer.json"), edits[i],
                          edits[i + 1]);
    return difference(test_scratch.path);
}

static void the_first_difference_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *edits[4], *what;
        uint32_t at;
        const char *of_a, *of_b;
    } cases[] = {
        { { "\"\xc4\x82\": 2,", "\"\xc4\x82\": 3,", "\"\xc4\x83\": 3,",
            "\"\xc4\x83\": 2," },
          "id",
          2,
          "\\x02",
          "\\x03" },
        { { "\"content\": \"<|sep|>\"", "\"content\": \"<|cut|>\"" },
          "id",
          573,
          "<|sep|>",
          "<|cut|>" },
        { { "\"c ups\",\n\"b o\",", "\"b o\",\n\"c ups\"," },
          "merge",
          UINT32_MAX,
          "c + ups",
          "b + o" },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        const struct text_difference d = changed(cases[i].edits);
        assert_non_null(d.what);
        assert_string_equal(d.what, cases[i].what);
        assert_true(d.at == cases[i].at || cases[i].at == UINT32_MAX);
        assert_string_equal(d.of_a, cases[i].of_a);
        assert_string_equal(d.of_b, cases[i].of_b);
    }
    /* A space is no part of the word behind it. */
    const char *const split[4] = { "|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|",
                                   "|\\\\p{L}+|" };
    const struct text_difference d = changed(split);
    assert_true(d.what && strncmp(d.what, "way of splitting", 16) == 0);
}

static void what_encodes_alike_is_equal(void **state)
{
    (void)state;
    char gguf[512];
    const char *const none[4] = { NULL };
    /* A token behind the last one: files are padded, and tokens are added. */
    const char *const added[4] = {
        "\"special\": true\n}\n],\n",
        "\"special\": true\n},\n{\n\"id\": 575,\n\"content\": \"<|more|>\",\n"
        "\"single_word\": false,\n\"lstrip\": false,\n\"rstrip\": false,\n"
        "\"normalized\": false,\n\"special\": true\n}\n],\n"
    };
    assert_null(changed(none).what);
    assert_null(changed(added).what);
    test_gguf_of_folder("pipeline/demo", "qwen2", 1,
                        test_folder_file(&test_scratch, "demo"), gguf);
    assert_null(difference(gguf).what);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_difference_is_named),
        cmocka_unit_test(what_encodes_alike_is_equal),
    };
    return cmocka_run_group_tests_name("comparing tokenizers", tests, load_demo,
                                       drop_demo);
}

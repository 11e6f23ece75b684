/* Tokenizers: every golden vector exactly, decoding, and broken files. */
#include "runtime/text/tokenizer.h"
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct text_tokenizer *open_tokenizer(struct rt_ctx *ctx, const char *folder)
{
    char path[1024];
    struct text_tokenizer *tok = NULL;
    test_ctx(ctx);
    if (text_tokenizer_load(ctx, test_path(path, sizeof path, folder), &tok) != RT_OK)
        fail_msg("%s", ctx->message);
    return tok;
}

static void check_ids(struct text_tokenizer *tok, const char *text, size_t size,
                      bool special, const json_t *expected, const char *where, int line)
{
    uint32_t *ids, n;
    assert_int_equal(text_encode(tok, text, size, special, &ids, &n), RT_OK);
    bool same = n == json_array_size(expected);
    for (uint32_t i = 0; same && i < n; i++)
        same = ids[i] == json_integer_value(json_array_get(expected, i));
    if (!same)
        fail_msg("%s line %d: '%.60s' is encoded otherwise", where, line, text);
    rt_free(ids);
}

static void check_decoded(struct text_tokenizer *tok, const json_t *vector,
                          const char *where, int line)
{
    const json_t *ids = json_object_get(vector, "ids"),
                 *text = json_object_get(vector, "decoded");
    if (!text)
        text = json_object_get(vector, "text");
    uint32_t list[4096];
    const uint32_t n = (uint32_t)json_array_size(ids);
    assert_true(n <= RT_COUNT(list));
    for (uint32_t i = 0; i < n; i++)
        list[i] = (uint32_t)json_integer_value(json_array_get(ids, i));
    char *decoded;
    size_t size;
    assert_int_equal(text_decode(tok, list, n, false, &decoded, &size), RT_OK);
    if (size != json_string_length(text) ||
        memcmp(decoded, json_string_value(text), size) != 0)
        fail_msg("%s line %d: decoded as '%.60s'", where, line, decoded);
    rt_free(decoded);
}

static void check_vectors(const char *folder, const char *name)
{
    struct rt_ctx ctx;
    char path[1024], relative[256], *line = NULL;
    size_t capacity = 0;
    int number = 0;
    struct text_tokenizer *tok = open_tokenizer(&ctx, folder);
    snprintf(relative, sizeof relative, "%s/%s", folder, name);
    FILE *file = fopen(test_path(path, sizeof path, relative), "r");
    assert_non_null(file);
    while (getline(&line, &capacity, file) > 0) {
        json_t *v = json_loads(line, JSON_ALLOW_NUL, NULL);
        assert_non_null(v);
        const json_t *text = json_object_get(v, "text");
        number++;
        check_ids(tok, json_string_value(text), json_string_length(text), true,
                  json_object_get(v, "ids"), relative, number);
        const json_t *plain = json_object_get(v, "ids_plain");
        if (plain)
            check_ids(tok, json_string_value(text), json_string_length(text), false,
                      plain, relative, number);
        check_decoded(tok, v, relative, number);
        json_decref(v);
    }
    assert_true(number > 0);
    printf("    %s: %d vectors\n", relative, number);
    free(line);
    fclose(file);
    text_tokenizer_destroy(&tok);
}

static void vectors_are_exact(void **state)
{
    (void)state;
    check_vectors("tests/golden/tokenizer/qwen2", "vectors.jsonl");
    check_vectors("tests/golden/tokenizer/llama3", "vectors.jsonl");
    check_vectors("tests/golden/tokenizer/gpt2", "vectors.jsonl");
    check_vectors("tests/golden/models/qwen2-tiny", "tokenizer_vectors.jsonl");
}

static size_t from_hex(const char *hex, char *out)
{
    size_t n = 0;
    unsigned byte;
    for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
        out[n++] = (char)byte;
    return n;
}

static void bad_utf8_is_replaced(void **state)
{
    (void)state;
    static const char *const names[] = { "qwen2", "llama3", "gpt2" };
    for (size_t i = 0; i < RT_COUNT(names); i++) {
        struct rt_ctx ctx;
        char path[1024], relative[128], bytes[256];
        snprintf(relative, sizeof relative, "tests/golden/tokenizer/%s", names[i]);
        struct text_tokenizer *tok = open_tokenizer(&ctx, relative);
        snprintf(relative, sizeof relative, "tests/golden/tokenizer/%s/invalid_utf8.json",
                 names[i]);
        json_t *root = json_load_file(test_path(path, sizeof path, relative), 0, NULL),
               *v;
        size_t k;
        assert_true(json_array_size(json_object_get(root, "encode")) > 0);
        json_array_foreach(json_object_get(root, "encode"), k, v)
        {
            const size_t n =
                from_hex(json_string_value(json_object_get(v, "hex")), bytes);
            check_ids(tok, bytes, n, true, json_object_get(v, "ids_of_replaced"),
                      relative, (int)k);
        }
        json_decref(root);
        text_tokenizer_destroy(&tok);
    }
}

static void demo_problems_round_trip(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    struct text_tokenizer *tok = open_tokenizer(&ctx, "pipeline/demo");
    assert_int_equal(text_token_id(tok, "<|sep|>"), 573);
    static const char text[] =
        "Leo needs 6 dozen eggs.<|sep|>eggs: 6*12=72\n#### 8<|endoftext|>";
    uint32_t *ids, n;
    char *decoded;
    size_t size;
    assert_int_equal(text_encode(tok, text, strlen(text), true, &ids, &n), RT_OK);
    assert_int_equal(text_decode(tok, ids, n, false, &decoded, &size), RT_OK);
    assert_string_equal(decoded, text);
    assert_int_equal(ids[n - 1], 574);
    rt_free(ids);
    rt_free(decoded);
    text_tokenizer_destroy(&tok);
}

static void broken_files_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part; /* of the message */
    } cases[] = {
        { "", "is empty" },
        { "[]", "JSON object" },
        { "{\"model\":{\"type\":\"Unigram\"}}", "Unigram" },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0}}}", "merges are missing" },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}",
          "valid id" },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a b\"]}}",
          "lacks" },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[7]}}",
          "not a pair" },
    };
    char folder[] = "/tmp/faultline-test-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        struct text_tokenizer *tok;
        FILE *file = fopen(path, "w");
        fputs(cases[i].text, file);
        fclose(file);
        assert_int_equal(text_tokenizer_load(&ctx, folder, &tok), RT_ERR_INPUT);
        if (!strstr(ctx.message, cases[i].part) || !strstr(ctx.message, "tokenizer.json"))
            fail_msg("case %zu says '%s'", i, ctx.message);
    }
    remove(path);
    rmdir(folder);
}

static void a_character_is_never_split(void **state)
{
    (void)state;
    assert_int_equal(text_whole_characters("ab\xc3", 3), 2);
    assert_int_equal(text_whole_characters("ab\xc3\xa9", 4), 4);
    assert_int_equal(text_whole_characters("\xf0\x9f\x98", 3), 0);
    assert_int_equal(text_whole_characters("", 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_are_exact),
        cmocka_unit_test(bad_utf8_is_replaced),
        cmocka_unit_test(demo_problems_round_trip),
        cmocka_unit_test(broken_files_are_refused),
        cmocka_unit_test(a_character_is_never_split),
    };
    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}

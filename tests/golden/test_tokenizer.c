/* Tokenizers: every golden vector exactly, decoding, and broken files. */
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

static void check_vectors(const char *model, const char *relative)
{
    struct rt_ctx ctx;
    char path[1024], *line = NULL;
    size_t capacity = 0;
    int number = 0;
    struct text_tokenizer *tok = open_tokenizer(&ctx, model);
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
    printf("    %s: %d vectors\n", model, number);
    free(line);
    fclose(file);
    text_tokenizer_destroy(&tok);
}

#define FOLDER "tests/golden/tokenizer/"

static void vectors_are_exact(void **state)
{
    (void)state;
    static const char *const names[] = { "qwen2",  "llama3",   "gpt2",   "smollm",
                                         "llama2", "sp-llama", "sp-user" };
    char model[128], vectors[128];
    for (size_t i = 0; i < RT_COUNT(names); i++) {
        snprintf(model, sizeof model, FOLDER "%s", names[i]);
        snprintf(vectors, sizeof vectors, FOLDER "%s/vectors.jsonl", names[i]);
        check_vectors(model, vectors);
    }
    check_vectors(FOLDER "sp-llama/tokenizer.gguf", FOLDER "sp-llama/vectors.jsonl");
    check_vectors("tests/golden/models/qwen2-tiny",
                  "tests/golden/models/qwen2-tiny/tokenizer_vectors.jsonl");
    check_vectors("tests/golden/gguf/model/qwen2-tiny-q8_0-q4_0.gguf",
                  "tests/golden/models/qwen2-tiny/tokenizer_vectors.jsonl");
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

#define MODEL "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]},"

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
        { MODEL "\"normalizer\":{\"type\":\"Nmt\"}}", "normalizer 'Nmt'" },
        { MODEL "\"normalizer\":{\"type\":\"Prepend\"}}", "no text" },
        { MODEL "\"normalizer\":{\"type\":\"Replace\",\"content\":\"\"}}",
          "normalizer Replace" },
        { MODEL "\"decoder\":{\"type\":\"WordPiece\"}}", "decoder 'WordPiece'" },
        { MODEL "\"pre_tokenizer\":{\"type\":\"Whitespace\"}}",
          "pre-tokenizer 'Whitespace'" },
        { MODEL "\"pre_tokenizer\":{\"type\":\"Metaspace\"}}", "Metaspace" },
        { MODEL "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
                "{\"type\":\"BertPreTokenizer\"}]}}",
          "pre-tokenizer 'BertPreTokenizer'" },
        { MODEL "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":"
                "{\"Regex\":\"(\"}}}",
          "a group without end" },
        { MODEL "\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Odd\","
                "\"pattern\":{\"Regex\":\"a\"}}}",
          "'Odd'" },
        { MODEL "\"added_tokens\":[{\"id\":1}]}", "added token 0" },
        { MODEL "\"normalizer\":{\"type\":\"Lowercase\"},\"added_tokens\":["
                "{\"id\":1,\"content\":\"x\",\"normalized\":true},"
                "{\"id\":2,\"content\":\"X\",\"normalized\":true}]}",
          "both 'x' when normalized" },
        { "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}}",
          "another token" },
        { "{\"model\":{\"type\":\"BPE\",\"dropout\":0.1,\"vocab\":{\"a\":0},"
          "\"merges\":[]}}",
          "'dropout'" },
        { "{\"model\":{\"vocab\":{\"a\":0}}}", "type '(none)'" },
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

/* Tokens that other files of the folder add to tokenizer.model; ids of transformers 5.24
 * (texts that begin with a space apart, of which it drops one). */
static void pieces_are_added_by_other_files(void **state)
{
    (void)state;
    static const struct {
        const char *file, *content, *text;
        uint32_t ids[8], count;
    } cases[] = {
        { "added_tokens.json",
          "{\"<x>\":700,\"<y>\":701}",
          "a <x> b<x>c <y>",
          { 261, 627, 700, 340, 700, 651, 627, 701 },
          8 },
        { "tokenizer_config.json",
          "{\"added_tokens_decoder\":{\"0\":{\"content\":\"<unk>\",\"special\":true},"
          "\"700\":{\"content\":\"<x>\",\"lstrip\":true,\"special\":true}}}",
          "a <x> b<x>c <x>",
          { 261, 700, 340, 700, 651, 700 },
          6 },
        { "special_tokens_map.json",
          "{\"bos_token\":\"<s>\",\"pad_token\":{\"content\":\"<pad>\"},"
          "\"additional_special_tokens\":[\"<x>\"]}",
          "<x>the<pad>",
          { 701, 633, 260, 700 },
          4 },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        struct test_folder folder;
        struct text_tokenizer *tok;
        uint32_t *ids, n;
        test_folder_init(&folder);
        test_folder_fill(&folder, FOLDER "sp-llama");
        FILE *file = fopen(test_folder_file(&folder, cases[i].file), "w");
        assert_non_null(file);
        fputs(cases[i].content, file);
        fclose(file);
        if (text_tokenizer_load(&ctx, folder.path, &tok) != RT_OK)
            fail_msg("%s", ctx.message);
        assert_int_equal(
            text_encode(tok, cases[i].text, strlen(cases[i].text), true, &ids, &n),
            RT_OK);
        assert_int_equal(n, cases[i].count);
        assert_memory_equal(ids, cases[i].ids, n * sizeof *ids);
        rt_free(ids);
        text_tokenizer_destroy(&tok);
        test_folder_deinit(&folder);
    }
}

static void pieces_beside_a_model_are_checked(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "{\"added_tokens_decoder\":{\"5\":{\"content\":\"<x>\"}}}", "another piece" },
        { "{\"added_tokens_decoder\":{\"-5\":{\"content\":\"<x>\"}}}", "no valid id" },
        { "{\"added_tokens_decoder\":{\"700\":{}}}", "no text" },
        { "{\"added_tokens_decoder\":{\"700\":{\"content\":\"<x>\","
          "\"single_word\":true}}}",
          "single_word" },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx = { 0 };
        struct test_folder folder;
        struct text_tokenizer *tok;
        test_folder_init(&folder);
        test_folder_fill(&folder, FOLDER "sp-llama");
        FILE *file = fopen(test_folder_file(&folder, "tokenizer_config.json"), "w");
        assert_non_null(file);
        fputs(cases[i][0], file);
        fclose(file);
        test_refused(&ctx, text_tokenizer_load(&ctx, folder.path, &tok), RT_ERR_INPUT,
                     "tokenizer.model", cases[i][1], NULL);
        test_folder_deinit(&folder);
    }
}

/* A folder of qwen2-tiny whose tokenizer.json and tokenizer_config.json are changed; ids by
 * transformers 5.24 (the ids of <x> and <y>: class TokenizersBackend). */
static const struct {
    const char *rstrip, *config, *text; /* rstrip: of <|im_end|> in tokenizer.json */
    uint32_t ids[6], count;
} configs[] = {
    { "true", "{}", "a<|im_end|>  b", { 64, 330, 65 }, 3 },
    { "true",
      "{\"added_tokens_decoder\":{\"330\":{\"content\":\"<|im_end|>\",\"special\":"
      "true,"
      "\"rstrip\":false}}}",
      "a<|im_end|>  b",
      { 64, 330, 220, 220, 65 },
      5 },
    { "false",
      "{\"added_tokens_decoder\":{\"3\":{\"content\":\"<|im_end|>\",\"special\":true,"
      "\"rstrip\":true}}}",
      "a<|im_end|>  b",
      { 64, 330, 65 },
      3 },
    { "false",
      "{\"added_tokens_decoder\":{\"335\":{\"content\":\"<x>\"},\"333\":{\"content\":"
      "\"<y>\",\"special\":true}}}",
      "a<x> b<y><|im_start|>",
      { 64, 332, 220, 65, 331, 329 },
      6 },
    { "false", "{\"pad_token\":\"\\u0120t\"}", "x\u0120tx", { 87, 256, 87 }, 3 },
    { "false",
      "{\"extra_special_tokens\":{\"i_token\":\"\\u0120t\"}}",
      "x\u0120tx",
      { 87, 256, 87 },
      3 },
    { "false",
      "{\"add_prefix_space\":true,\"tokenizer_class\":\"Qwen2Tokenizer\"}",
      "the",
      { 261 },
      1 },
};

static void a_config_changes_tokenizer_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < RT_COUNT(configs); i++) {
        struct rt_ctx ctx = { 0 };
        struct test_folder folder;
        struct text_tokenizer *tok;
        char path[1024];
        uint32_t *ids, n;
        test_folder_init(&folder);
        json_t *root = json_load_file(
            test_path(path, sizeof path, "tests/golden/models/qwen2-tiny/tokenizer.json"),
            0, NULL);
        assert_non_null(root);
        json_object_set_new(json_array_get(json_object_get(root, "added_tokens"), 2),
                            "rstrip", json_boolean(*configs[i].rstrip == 't'));
        assert_int_equal(
            json_dump_file(root, test_folder_file(&folder, "tokenizer.json"), 0), 0);
        json_decref(root);
        test_file_write(test_folder_file(&folder, "tokenizer_config.json"),
                        configs[i].config, strlen(configs[i].config));
        if (text_tokenizer_load(&ctx, folder.path, &tok) != RT_OK)
            fail_msg("%s", ctx.message);
        assert_int_equal(
            text_encode(tok, configs[i].text, strlen(configs[i].text), true, &ids, &n),
            RT_OK);
        if (n != configs[i].count || memcmp(ids, configs[i].ids, n * sizeof *ids) != 0)
            fail_msg("case %zu", i);
        rt_free(ids);
        text_tokenizer_destroy(&tok);
        test_folder_deinit(&folder);
    }
}

static void keep_line(void *user, enum rt_log_level level, const char *line)
{
    if (level == RT_LOG_WARNING)
        snprintf(user, 512, "%s", line);
}

static void a_config_that_does_not_fit_is_named(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        { "{\"added_tokens_decoder\":{\"x\":{\"content\":\"<x>\"}}}", "no valid id" },
        { "{\"added_tokens_decoder\":{\"331\":7}}", "'331'" },
        { "{\"added_tokens_decoder\":", "tokenizer_config.json" },
        { "{\"add_prefix_space\":true}", NULL, "add_prefix_space" },
        { "{\"added_tokens_decoder\":{\"331\":{\"content\":\"<y>\"},\"332\":{\"content\":"
          "\"<z>\"}}}",
          NULL, "'<z>' of the tokenizer_config.json beside it has no row" },
        { "{\"added_tokens_decoder\":{\"400\":{\"content\":\"<x>\"}}}", NULL, "'<x>'" },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        char line[512] = "";
        struct rt_ctx ctx = { .log = keep_line, .log_user = line };
        struct test_folder folder;
        struct text_tokenizer *tok;
        test_folder_init(&folder);
        test_folder_fill(&folder, "tests/golden/models/qwen2-tiny");
        const char *path = test_folder_file(&folder, "tokenizer_config.json");
        (void)unlink(path);
        test_file_write(path, cases[i][0], strlen(cases[i][0]));
        path = test_folder_file(&folder, "config.json");
        (void)unlink(path);
        test_file_write(path, "{\"vocab_size\":332}", 18);
        const rt_status st = text_tokenizer_load(&ctx, folder.path, &tok);
        if (cases[i][1])
            test_refused(&ctx, st, RT_ERR_INPUT, "tokenizer_config.json", cases[i][1],
                         NULL);
        else if (st != RT_OK || !strstr(line, cases[i][2]))
            fail_msg("case %zu: '%s'", i, line);
        text_tokenizer_destroy(&tok);
        test_folder_deinit(&folder);
    }
}

static void a_character_is_never_split(void **state)
{
    (void)state;
    assert_int_equal(text_whole_characters("ab\xc3", 3), 2);
    assert_int_equal(text_whole_characters("ab\xc3\xa9", 4), 4);
    assert_int_equal(text_whole_characters("\xf0\x9f\x98", 3), 0);
    assert_int_equal(text_whole_characters("a\x80\x80", 3), 3);
    assert_int_equal(text_whole_characters("a\xe0\x80", 3), 3); /* no character */
    assert_int_equal(text_whole_characters("", 0), 0);
}

/* The text of a stream that is pushed `step` ids at a time. */
static char *streamed(const struct text_tokenizer *tok, const uint32_t *ids, uint32_t n,
                      uint32_t step, size_t *size)
{
    struct text_stream stream;
    char *all = calloc(16 * (size_t)n + 16, 1), *part;
    assert_non_null(all);
    text_stream_init(&stream, tok, false);
    *size = 0;
    for (uint32_t i = 0; i <= n; i += step) {
        size_t length;
        if (i < n)
            assert_int_equal(text_stream_push(&stream, ids + i,
                                              n - i < step ? n - i : step, &part,
                                              &length),
                             RT_OK);
        else
            assert_int_equal(text_stream_end(&stream, &part, &length), RT_OK);
        json_t *string = json_stringn(part, length); /* null: not UTF-8 */
        assert_non_null(string);
        json_decref(string);
        memcpy(all + *size, part, length);
        *size += length;
        rt_free(part);
    }
    return all;
}

static void a_stream_gives_the_same_text(void **state)
{
    (void)state;
    static const char *const models[] = { "tests/golden/tokenizer/qwen2",
                                          "tests/golden/tokenizer/sp-llama",
                                          "tests/golden/tokenizer/llama2" };
    static const char text[] = " Anna \xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x94\xac "
                               "pays 3 \xe2\x82\xac, \xc3\xa9t\xc3\xa9 \xe6\x95\xb0\n";
    for (size_t i = 0; i < RT_COUNT(models); i++)
        for (uint32_t step = 1; step < 4; step++) {
            struct rt_ctx ctx;
            uint32_t *ids, n;
            size_t size;
            struct text_tokenizer *tok = open_tokenizer(&ctx, models[i]);
            assert_int_equal(text_encode(tok, text, strlen(text), true, &ids, &n), RT_OK);
            char *all = streamed(tok, ids, n, step, &size);
            assert_int_equal(size, strlen(text));
            assert_memory_equal(all, text, size);
            free(all);
            rt_free(ids);
            text_tokenizer_destroy(&tok);
        }
}

static void a_stream_replaces_what_is_no_text(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    uint32_t *ids, n;
    size_t size;
    struct text_tokenizer *tok = open_tokenizer(&ctx, "tests/golden/tokenizer/qwen2");
    assert_int_equal(text_encode(tok, "\xf0\x9f\x98\x80", 4, true, &ids, &n), RT_OK);
    assert_true(n > 1); /* the vocabulary has no token for it */
    char *all = streamed(tok, ids, n - 1, 1, &size);
    assert_int_equal(size, 3);
    assert_memory_equal(all, "\xef\xbf\xbd", 3);
    free(all);
    const uint32_t broken[] = { ids[0], text_token_id(tok, "a"), ids[n - 1] };
    all = streamed(tok, broken, 3, 1, &size);
    assert_int_equal(size, 7);
    assert_memory_equal(all,
                        "\xef\xbf\xbd"
                        "a"
                        "\xef\xbf\xbd",
                        7);
    free(all);
    rt_free(ids);
    text_tokenizer_destroy(&tok);
}

static void the_start_token_is_known(void **state)
{
    (void)state;
    static const struct {
        const char *model, *bos; /* null: none */
    } cases[] = {
        { FOLDER "qwen2", NULL },
        { FOLDER "llama3", "<|begin_of_text|>" },
        { FOLDER "sp-llama", "<s>" },
        { FOLDER "sp-llama/tokenizer.gguf", "<s>" },
        { "tests/golden/gguf/model/qwen2-tiny-q8_0-q4_0.gguf", NULL },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct rt_ctx ctx;
        struct text_tokenizer *tok = open_tokenizer(&ctx, cases[i].model);
        assert_int_equal(text_bos_id(tok),
                         cases[i].bos ? text_token_id(tok, cases[i].bos) : UINT32_MAX);
        text_tokenizer_destroy(&tok);
    }
}

static void running_out_of_memory_is_an_error_not_a_crash(void **state)
{
    (void)state;
    static const char *const models[] = { "tests/golden/models/qwen2-tiny",
                                          FOLDER "llama2", FOLDER "llama3",
                                          FOLDER "sp-llama",
                                          FOLDER "sp-llama/tokenizer.gguf" };
    for (size_t i = 0; i < RT_COUNT(models); i++)
        for (uint64_t n = 1;; n += n < 64 ? 1 : 97) {
            struct rt_ctx ctx = { .alloc_fail_at = n };
            struct text_tokenizer *tok;
            uint32_t *ids = NULL, count;
            char path[1024];
            rt_status st =
                text_tokenizer_load(&ctx, test_path(path, sizeof path, models[i]), &tok);
            if (st == RT_OK)
                st = text_encode(tok, "a few words", 11, true, &ids, &count);
            rt_free(ids);
            text_tokenizer_destroy(&tok);
            if (st == RT_OK)
                break;
            assert_int_equal(st, RT_ERR_HOST_MEMORY);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_are_exact),
        cmocka_unit_test(bad_utf8_is_replaced),
        cmocka_unit_test(demo_problems_round_trip),
        cmocka_unit_test(broken_files_are_refused),
        cmocka_unit_test(pieces_are_added_by_other_files),
        cmocka_unit_test(pieces_beside_a_model_are_checked),
        cmocka_unit_test(a_config_changes_tokenizer_json),
        cmocka_unit_test(a_config_that_does_not_fit_is_named),
        cmocka_unit_test(a_character_is_never_split),
        cmocka_unit_test(a_stream_gives_the_same_text),
        cmocka_unit_test(a_stream_replaces_what_is_no_text),
        cmocka_unit_test(the_start_token_is_known),
        cmocka_unit_test(running_out_of_memory_is_an_error_not_a_crash),
    };
    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}

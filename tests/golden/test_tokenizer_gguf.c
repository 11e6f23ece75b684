/* Tokenizers in the keys of a GGUF file: made here from the golden tokenizer.json files
 * they give the golden ids; what is damaged is refused by key. */
#include "runtime/format/gguf.h"
#include "runtime/text/byte_level.h"
#include "runtime/text/chat.h"
#include "runtime/text/tokenizer.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"
#include "tests/support/gguf_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { NORMAL = 1 };

/* True where NFC leaves the text alone. */
static bool composed(const char *text, size_t size)
{
    uint8_t *out = NULL;
    const utf8proc_ssize_t n = utf8proc_map((const uint8_t *)text, (utf8proc_ssize_t)size,
                                            &out, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    const bool same = n == (utf8proc_ssize_t)size && memcmp(out, text, size) == 0;
    free(out);
    return same;
}

static void check_line(struct text_tokenizer *tok, const json_t *vector, const char *name)
{
    const json_t *text = json_object_get(vector, "text");
    const json_t *expected = json_object_get(vector, "ids");
    uint32_t *ids, n;
    assert_int_equal(text_encode(tok, json_string_value(text), json_string_length(text),
                                 true, &ids, &n),
                     RT_OK);
    bool same = n == json_array_size(expected);
    for (uint32_t i = 0; same && i < n; i++)
        same = ids[i] == json_integer_value(json_array_get(expected, i));
    if (!same)
        fail_msg("%s: '%.60s' is encoded otherwise", name, json_string_value(text));
    rt_free(ids);
}

/* Every vector of a golden tokenizer, of those that NFC leaves alone where asked. */
static void check_vectors(struct text_tokenizer *tok, const char *name,
                          bool only_composed)
{
    char path[1024], relative[128], *line = NULL;
    size_t capacity = 0;
    int checked = 0;
    snprintf(relative, sizeof relative, "tests/golden/tokenizer/%s/vectors.jsonl", name);
    FILE *vectors = fopen(test_path(path, sizeof path, relative), "r");
    assert_non_null(vectors);
    while (getline(&line, &capacity, vectors) > 0) {
        json_t *v = json_loads(line, JSON_ALLOW_NUL, NULL);
        const json_t *text = json_object_get(v, "text");
        if (!only_composed ||
            composed(json_string_value(text), json_string_length(text))) {
            check_line(tok, v, name);
            checked++;
        }
        json_decref(v);
    }
    printf("    %s: %d vectors\n", name, checked);
    assert_true(checked > 150);
    fclose(vectors);
    free(line);
}

/* The chats of a file and of its folder are the same. */
static void check_chat(const char *file, const char *folder)
{
    struct rt_ctx ctx = { 0 };
    struct text_chat *one = NULL, *other = NULL;
    const struct text_chat_options of_file = { .model = file },
                                   of_folder = { .model = folder };
    if (text_chat_create(&ctx, &of_file, &one) != RT_OK ||
        text_chat_create(&ctx, &of_folder, &other) != RT_OK)
        fail_msg("%s: %s", file, ctx.message);
    assert_string_equal(text_chat_hash(one), text_chat_hash(other));
    text_chat_destroy(&one);
    text_chat_destroy(&other);
}

/* The file's tokenizer; and the same written as files of a folder and read again. */
static void check_file(const char *file, const char *name, bool only_composed, bool chat)
{
    struct rt_ctx ctx = { 0 };
    struct test_folder folder;
    struct fmt_gguf gguf;
    struct text_tokenizer *tok = NULL, *again = NULL;
    test_folder_init(&folder);
    if (text_tokenizer_load(&ctx, file, &tok) != RT_OK ||
        fmt_gguf_open(&ctx, file, &gguf) != RT_OK ||
        text_gguf_export(&ctx, &gguf, folder.path) != RT_OK ||
        text_tokenizer_load(&ctx, folder.path, &again) != RT_OK)
        fail_msg("%s: %s", name, ctx.message);
    check_vectors(tok, name, only_composed);
    check_vectors(again, name, only_composed);
    assert_int_equal(text_vocab_size(again), text_vocab_size(tok));
    assert_int_equal(text_bos_id(again), text_bos_id(tok));
    if (chat)
        check_chat(file, folder.path);
    fmt_gguf_close(&gguf);
    text_tokenizer_destroy(&tok);
    text_tokenizer_destroy(&again);
    test_folder_deinit(&folder);
}

static void check_model(const char *name, const char *pre, bool only_composed)
{
    static struct test_tokens tokens;
    struct test_folder folder;
    struct test_gguf g;
    char path[1024], relative[128];
    test_folder_init(&folder);
    snprintf(relative, sizeof relative, "tests/golden/tokenizer/%s/tokenizer.json", name);
    json_t *root = json_load_file(test_path(path, sizeof path, relative), 0, NULL);
    assert_non_null(root);
    test_tokens_read(root, &tokens);
    const char *file = test_folder_file(&folder, "tokens.gguf");
    test_gguf_begin(&g, 0, TEST_TOKENS_KEYS + 2);
    test_tokens_put(&g, &tokens, pre);
    test_gguf_key_text(&g, "tokenizer.chat_template",
                       "{{ bos_token }}{{ messages[0]['content'] }}");
    test_gguf_key_u32(&g, "tokenizer.ggml.bos_token_id",
                      (uint32_t)tokens.token_count - 1);
    test_gguf_write(&g, file);
    check_file(file, name, only_composed, true);
    test_tokens_free(&tokens);
    json_decref(root);
    test_folder_deinit(&folder);
}

static void golden_ids_come_from_keys_too(void **state)
{
    (void)state;
    check_model("gpt2", "gpt-2", false);
    check_model("llama3", "llama-bpe", false);
    check_model("qwen2", "qwen2", true);
    check_model("smollm", "smollm", false);
}

static void pieces_survive_a_folder(void **state)
{
    (void)state;
    char path[1024];
    check_file(
        test_path(path, sizeof path, "tests/golden/tokenizer/sp-llama/tokenizer.gguf"),
        "sp-llama", false, false);
}

/* ---- ways of splitting ---- */

enum { BYTES = 256, PAIRS = BYTES * BYTES, SPECIAL = 3, ALL = SPECIAL + BYTES + PAIRS };

/* The vocabulary of bench/against_llama_ways.py: every byte, and every pair of them, merged
 * in an order of no sense. */
static void put_pairs(struct test_gguf *g)
{
    static char letters[BYTES][3], pairs[PAIRS][5], merges[PAIRS][6];
    static const char *tokens[ALL], *merge_list[PAIRS];
    static int32_t kinds[ALL];
    const char *const special[SPECIAL] = { "<|endoftext|>", "<|a|>", "<|a|>b" };
    for (size_t i = 0; i < SPECIAL; i++) {
        tokens[i] = special[i];
        kinds[i] = i + 1 < SPECIAL ? 3 : 4;
    }
    for (size_t i = 0; i < BYTES; i++) {
        letters[i][byte_level_put((uint8_t)i, letters[i])] = '\0';
        tokens[SPECIAL + i] = letters[i];
    }
    for (size_t i = 0; i < PAIRS; i++) {
        const size_t k = (i * 40503 + 12345) % PAIRS;
        const char *left = letters[k / BYTES], *right = letters[k % BYTES];
        snprintf(pairs[i], sizeof pairs[i], "%s%s", left, right);
        snprintf(merges[i], sizeof merges[i], "%s %s", left, right);
        tokens[SPECIAL + BYTES + i] = pairs[i];
        merge_list[i] = merges[i];
    }
    for (size_t i = SPECIAL; i < ALL; i++)
        kinds[i] = NORMAL;
    test_gguf_key_texts(g, "tokenizer.ggml.tokens", tokens, ALL);
    test_gguf_key_words(g, "tokenizer.ggml.token_type", FMT_GGUF_I32, kinds, ALL);
    test_gguf_key_texts(g, "tokenizer.ggml.merges", merge_list, PAIRS);
}

static void ways_split_as_llama_cpp(void **state)
{
    (void)state;
    struct test_folder folder;
    char path[1024];
    const char *way;
    json_t *lists;
    json_t *root = json_load_file(
        test_path(path, sizeof path, "tests/golden/tokenizer/ways.json"), 0, NULL);
    assert_non_null(root);
    const json_t *texts = json_object_get(root, "texts");
    json_t *ways = json_object_get(root, "ways");
    assert_true(json_object_size(ways) > 20 && json_array_size(texts) > 5);
    test_folder_init(&folder);
    const char *file = test_folder_file(&folder, "ways.gguf");
    json_object_foreach(ways, way, lists)
    {
        struct rt_ctx ctx = { 0 };
        struct text_tokenizer *tok;
        struct test_gguf g;
        test_gguf_begin(&g, 0, 5);
        test_gguf_key_text(&g, "tokenizer.ggml.model", "gpt2");
        test_gguf_key_text(&g, "tokenizer.ggml.pre", way);
        put_pairs(&g);
        test_gguf_write(&g, file);
        if (text_tokenizer_load(&ctx, file, &tok) != RT_OK)
            fail_msg("%s", ctx.message);
        for (size_t i = 0; i < json_array_size(texts); i++) {
            json_t *vector = json_pack("{s:O, s:O}", "text", json_array_get(texts, i),
                                       "ids", json_array_get(lists, i));
            check_line(tok, vector, way);
            json_decref(vector);
        }
        text_tokenizer_destroy(&tok);
    }
    printf("    %zu ways, %zu texts each\n", json_object_size(ways),
           json_array_size(texts));
    test_folder_deinit(&folder);
    json_decref(root);
}

/* ---- damage ---- */

struct keys {
    const char *model, *pre, *merge, *token;
    size_t kinds; /* entries of token_type; 0: no such key */
    bool no_merges, no_tokens;
};

static rt_status load_keys(struct rt_ctx *ctx, const struct keys *k)
{
    struct test_folder folder;
    struct text_tokenizer *tok;
    struct test_gguf g;
    const char *tokens[3] = { "a", "b", k->token ? k->token : "ab" };
    const char *merges[1] = { k->merge ? k->merge : "a b" };
    const int32_t kinds[4] = { NORMAL, NORMAL, NORMAL, NORMAL };
    test_folder_init(&folder);
    const char *path = test_folder_file(&folder, "keys.gguf");
    test_gguf_begin(&g, 0,
                    (k->model ? 1u : 0) + (k->pre ? 1u : 0) + (k->no_tokens ? 0 : 1u) +
                        (k->kinds ? 1u : 0) + (k->no_merges ? 0 : 1u));
    if (k->model)
        test_gguf_key_text(&g, "tokenizer.ggml.model", k->model);
    if (k->pre)
        test_gguf_key_text(&g, "tokenizer.ggml.pre", k->pre);
    if (!k->no_tokens)
        test_gguf_key_texts(&g, "tokenizer.ggml.tokens", tokens, 3);
    if (k->kinds)
        test_gguf_key_words(&g, "tokenizer.ggml.token_type", FMT_GGUF_I32, kinds,
                            k->kinds);
    if (!k->no_merges)
        test_gguf_key_texts(&g, "tokenizer.ggml.merges", merges, 1);
    test_gguf_write(&g, path);
    const rt_status st = text_tokenizer_load(ctx, path, &tok);
    text_tokenizer_destroy(&tok);
    test_folder_deinit(&folder);
    return st;
}

static void damaged_keys_are_named(void **state)
{
    (void)state;
    static const struct {
        struct keys keys;
        const char *parts[2];
    } cases[] = {
        { { .pre = "qwen2" }, { "'tokenizer.ggml.model'", "(missing)" } },
        { { .model = "t5", .pre = "qwen2" },
          { "'t5'", "llama (SentencePiece BPE) are" } },
        { { .model = "gpt2" }, { "'tokenizer.ggml.pre'", "(missing)" } },
        { { .model = "gpt2", .pre = "kimi-k2" }, { "'kimi-k2'", "llama-bpe, smollm, " } },
        { { .model = "gpt2", .pre = "qwen2", .no_tokens = true }, { ".tokens'" } },
        { { .model = "gpt2", .pre = "qwen2", .no_merges = true }, { ".merges'" } },
        { { .model = "gpt2", .pre = "qwen2", .merge = "ab" }, { "merge 0", "pair" } },
        { { .model = "gpt2", .pre = "qwen2", .merge = "b a" }, { "'b a'", "no token" } },
        { { .model = "gpt2", .pre = "qwen2", .kinds = 4 }, { "4 entries for 3 tokens" } },
        { { .model = "llama" }, { "'tokenizer.ggml.scores'" } },
    };
    struct rt_ctx ctx = { 0 };
    const struct keys good = { .model = "gpt2", .pre = "qwen2" };
    if (load_keys(&ctx, &good) != RT_OK)
        fail_msg("%s", ctx.message);
    for (size_t i = 0; i < RT_COUNT(cases); i++)
        test_refused(&ctx, load_keys(&ctx, &cases[i].keys), RT_ERR_INPUT, "keys.gguf",
                     cases[i].parts[0], cases[i].parts[1], NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_ids_come_from_keys_too),
        cmocka_unit_test(pieces_survive_a_folder),
        cmocka_unit_test(ways_split_as_llama_cpp),
        cmocka_unit_test(damaged_keys_are_named),
    };
    return cmocka_run_group_tests_name("tokenizer in GGUF", tests, NULL, NULL);
}

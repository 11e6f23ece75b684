/* Tokenizers in the keys of a GGUF file: made here from the golden tokenizer.json files
 * they give the golden ids; what is damaged is refused by key. */
#include "runtime/text/tokenizer.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"
#include "tests/support/gguf_bytes.h"

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

enum { TOKENS_MAX = 4096 };
enum { NORMAL = 1, CONTROL = 3, USER = 4 };

/* Lists as the keys have them. */
struct lists {
    const char *tokens[TOKENS_MAX], *merges[TOKENS_MAX];
    int32_t kinds[TOKENS_MAX];
    char *owned[TOKENS_MAX]; /* merges joined here */
    size_t token_count, merge_count, owned_count;
};

static void add_token(struct lists *l, json_int_t id, const char *text, int32_t kind)
{
    assert_true(id >= 0 && id < TOKENS_MAX);
    l->tokens[id] = text;
    l->kinds[id] = kind;
    if ((size_t)id >= l->token_count)
        l->token_count = (size_t)id + 1;
}

static void read_lists(const json_t *root, struct lists *l)
{
    json_t *model = json_object_get(root, "model"), *value;
    const char *text;
    size_t i;
    memset(l, 0, sizeof *l);
    json_object_foreach(json_object_get(model, "vocab"), text, value)
        add_token(l, json_integer_value(value), text, NORMAL);
    json_array_foreach(json_object_get(root, "added_tokens"), i, value)
        add_token(l, json_integer_value(json_object_get(value, "id")),
                  json_string_value(json_object_get(value, "content")),
                  json_is_true(json_object_get(value, "special")) ? CONTROL : USER);
    json_array_foreach(json_object_get(model, "merges"), i, value)
    {
        assert_true(i < TOKENS_MAX);
        l->merges[i] = json_string_value(value);
        if (json_is_array(value)) {
            char *pair = calloc(256, 1);
            snprintf(pair, 256, "%s %s", json_string_value(json_array_get(value, 0)),
                     json_string_value(json_array_get(value, 1)));
            l->merges[i] = l->owned[l->owned_count++] = pair;
        }
    }
    l->merge_count = json_array_size(json_object_get(model, "merges"));
}

static void write_lists(const char *path, const struct lists *l, const char *pre)
{
    struct test_gguf g;
    test_gguf_begin(&g, 0, 5);
    test_gguf_key_text(&g, "tokenizer.ggml.model", "gpt2");
    test_gguf_key_text(&g, "tokenizer.ggml.pre", pre);
    test_gguf_key_texts(&g, "tokenizer.ggml.tokens", l->tokens, l->token_count);
    test_gguf_key_words(&g, "tokenizer.ggml.token_type", FMT_GGUF_I32, l->kinds,
                        l->token_count);
    test_gguf_key_texts(&g, "tokenizer.ggml.merges", l->merges, l->merge_count);
    test_gguf_write(&g, path);
}

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

static void check_model(const char *name, const char *pre, bool only_composed)
{
    static struct lists lists;
    struct rt_ctx ctx = { 0 };
    struct test_folder folder;
    struct text_tokenizer *tok;
    char path[1024], relative[128], *line = NULL;
    size_t capacity = 0;
    int checked = 0;
    test_folder_init(&folder);
    snprintf(relative, sizeof relative, "tests/golden/tokenizer/%s/tokenizer.json", name);
    json_t *root = json_load_file(test_path(path, sizeof path, relative), 0, NULL);
    assert_non_null(root);
    read_lists(root, &lists);
    const char *file = test_folder_file(&folder, "tokens.gguf");
    write_lists(file, &lists, pre);
    if (text_tokenizer_load(&ctx, file, &tok) != RT_OK)
        fail_msg("%s", ctx.message);
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
    printf("    %s as %s: %d vectors\n", name, pre, checked);
    assert_true(checked > 150);
    fclose(vectors);
    free(line);
    for (size_t i = 0; i < lists.owned_count; i++)
        free(lists.owned[i]);
    json_decref(root);
    text_tokenizer_destroy(&tok);
    test_folder_deinit(&folder);
}

static void golden_ids_come_from_keys_too(void **state)
{
    (void)state;
    check_model("gpt2", "gpt-2", false);
    check_model("llama3", "llama-bpe", false);
    check_model("qwen2", "qwen2", true);
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
        { { .model = "gpt2", .pre = "tekken" }, { "'tekken'", "llama-bpe, smollm are" } },
        { { .model = "gpt2", .pre = "qwen2", .no_tokens = true }, { ".tokens'" } },
        { { .model = "gpt2", .pre = "qwen2", .no_merges = true }, { ".merges'" } },
        { { .model = "gpt2", .pre = "qwen2", .merge = "ab" }, { "merge 0", "pair" } },
        { { .model = "gpt2", .pre = "qwen2", .merge = "b a" }, { "'b a'", "no token" } },
        { { .model = "gpt2", .pre = "qwen2", .token = "\xe2\x82\xac" },
          { "token 2", "not byte-level" } },
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
        cmocka_unit_test(damaged_keys_are_named),
    };
    return cmocka_run_group_tests_name("tokenizer in GGUF", tests, NULL, NULL);
}

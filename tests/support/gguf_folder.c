#include "tests/support/gguf_folder.h"

#include "runtime/format/gguf_model.h"
#include "runtime/format/safetensors.h"
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NORMAL = 1, CONTROL = 3, USER = 4 };

/* ---- tokens ---- */

static void add_token(struct test_tokens *t, json_int_t id, const char *text,
                      int32_t kind)
{
    assert_true(id >= 0 && id < TEST_TOKENS_MAX);
    t->tokens[id] = text;
    t->kinds[id] = kind;
    if ((size_t)id >= t->token_count)
        t->token_count = (size_t)id + 1;
}

void test_tokens_read(const json_t *root, struct test_tokens *t)
{
    json_t *model = json_object_get(root, "model"), *value;
    const char *text;
    size_t i;
    memset(t, 0, sizeof *t);
    json_object_foreach(json_object_get(model, "vocab"), text, value)
        add_token(t, json_integer_value(value), text, NORMAL);
    json_array_foreach(json_object_get(root, "added_tokens"), i, value)
        add_token(t, json_integer_value(json_object_get(value, "id")),
                  json_string_value(json_object_get(value, "content")),
                  json_is_true(json_object_get(value, "special")) ? CONTROL : USER);
    json_array_foreach(json_object_get(model, "merges"), i, value)
    {
        assert_true(i < TEST_TOKENS_MAX);
        t->merges[i] = json_string_value(value);
        if (json_is_array(value)) {
            char *pair = calloc(256, 1);
            snprintf(pair, 256, "%s %s", json_string_value(json_array_get(value, 0)),
                     json_string_value(json_array_get(value, 1)));
            t->merges[i] = t->owned[t->owned_count++] = pair;
        }
    }
    t->merge_count = json_array_size(json_object_get(model, "merges"));
}

void test_tokens_free(struct test_tokens *t)
{
    for (size_t i = 0; i < t->owned_count; i++)
        free(t->owned[i]);
    t->owned_count = 0;
}

void test_tokens_put(struct test_gguf *g, const struct test_tokens *t, const char *pre)
{
    test_gguf_key_text(g, "tokenizer.ggml.model", "gpt2");
    test_gguf_key_text(g, "tokenizer.ggml.pre", pre);
    test_gguf_key_texts(g, "tokenizer.ggml.tokens", t->tokens, t->token_count);
    test_gguf_key_words(g, "tokenizer.ggml.token_type", FMT_GGUF_I32, t->kinds,
                        t->token_count);
    test_gguf_key_texts(g, "tokenizer.ggml.merges", t->merges, t->merge_count);
}

/* ---- a whole folder ---- */

static void put_whole(struct test_gguf *g, const char *key, const json_t *config,
                      const char *name)
{
    const json_t *value = json_object_get(config, name);
    assert_true(json_is_integer(value));
    test_gguf_key_u32(g, key, (uint32_t)json_integer_value(value));
}

static void put_number(struct test_gguf *g, const char *key, const json_t *config,
                       const char *name)
{
    test_gguf_key_f32(g, key, (float)json_number_value(json_object_get(config, name)));
}

enum { CONFIG_KEYS = 10 };

static void put_config(struct test_gguf *g, const json_t *config)
{
    assert_string_equal(json_string_value(json_object_get(config, "model_type")),
                        "qwen2");
    test_gguf_key_text(g, "general.architecture", "qwen2");
    put_whole(g, "qwen2.embedding_length", config, "hidden_size");
    put_whole(g, "qwen2.feed_forward_length", config, "intermediate_size");
    put_whole(g, "qwen2.block_count", config, "num_hidden_layers");
    put_whole(g, "qwen2.attention.head_count", config, "num_attention_heads");
    put_whole(g, "qwen2.attention.head_count_kv", config, "num_key_value_heads");
    put_whole(g, "qwen2.context_length", config, "max_position_embeddings");
    put_whole(g, "tokenizer.ggml.eos_token_id", config, "eos_token_id");
    put_number(g, "qwen2.attention.layer_norm_rms_epsilon", config, "rms_norm_eps");
    put_number(g, "qwen2.rope.freq_base", config, "rope_theta");
}

static void put_tensor(struct test_gguf *g, const struct fmt_tensor *t, uint64_t offset)
{
    static const uint32_t types[] = {
        [FMT_F32] = 0, [FMT_F16] = FMT_BLOCK_ID_F16, [FMT_BF16] = FMT_BLOCK_ID_BF16
    };
    char name[FMT_GGUF_NAME_MAX];
    assert_true(fmt_dtype_is_float(t->dtype));
    assert_true(fmt_gguf_name(t->name, name));
    const uint32_t type = types[t->dtype];
    if (t->dims == 2)
        test_gguf_tensor(g, name, type, t->shape[1], t->shape[0], offset);
    else
        test_gguf_tensor(g, name, type, t->shape[0], 0, offset);
}

/* Tensors [first, last) of the file as one part. */
static void put_tensors(struct test_gguf *g, const struct fmt_safetensors *file,
                        uint32_t first, uint32_t last)
{
    uint64_t offset = 0;
    for (uint32_t i = first; i < last; i++) {
        put_tensor(g, &file->tensors[i], offset);
        offset += rt_round_up(file->tensors[i].size, 32);
    }
    for (uint32_t i = first; i < last; i++)
        test_gguf_data(g, file->tensors[i].data, file->tensors[i].size);
    test_gguf_data(g, NULL, 0); /* the last one is padded too */
}

static void put_split(struct test_gguf *g, uint32_t part, uint32_t parts, uint32_t total)
{
    const uint16_t words[] = { (uint16_t)part, (uint16_t)parts };
    static const char *const names[] = { "split.no", "split.count" };
    for (int i = 0; i < 2; i++) {
        test_gguf_key(g, names[i], FMT_GGUF_U16);
        test_gguf_number(g, words[i], 2);
    }
    test_gguf_key_u32(g, "split.tensors.count", total);
}

void test_gguf_of_folder(const char *relative, const char *pre, uint32_t parts,
                         const char *stem, char *path)
{
    static struct test_tokens tokens;
    struct rt_ctx ctx = { 0 };
    struct fmt_safetensors file;
    char folder[1024], name[1100];
    if (relative[0] == '/')
        snprintf(folder, sizeof folder, "%s", relative);
    else
        test_path(folder, sizeof folder, relative);
    snprintf(name, sizeof name, "%s/config.json", folder);
    json_t *config = json_load_file(name, 0, NULL);
    snprintf(name, sizeof name, "%s/tokenizer.json", folder);
    json_t *root = json_load_file(name, 0, NULL);
    snprintf(name, sizeof name, "%s/tokenizer_config.json", folder);
    json_t *more = json_load_file(name, 0, NULL);
    const char *chat = json_string_value(json_object_get(more, "chat_template"));
    assert_true(config && root);
    test_tokens_read(root, &tokens);
    assert_int_equal(fmt_safetensors_open_folder(&ctx, folder, &file), RT_OK);
    for (uint32_t p = parts; p-- > 0;) {
        struct test_gguf g;
        const uint32_t first = file.count * p / parts,
                       last = file.count * (p + 1) / parts;
        test_gguf_begin(&g, last - first,
                        (parts > 1 ? 3u : 0) +
                            (p ? 0 : CONFIG_KEYS + TEST_TOKENS_KEYS + (chat ? 1u : 0)));
        if (parts > 1)
            put_split(&g, p, parts, file.count);
        if (p == 0) {
            put_config(&g, config);
            test_tokens_put(&g, &tokens, pre);
            if (chat)
                test_gguf_key_text(&g, "tokenizer.chat_template", chat);
        }
        put_tensors(&g, &file, first, last);
        if (parts > 1)
            snprintf(path, 512, "%s-%05u-of-%05u.gguf", stem, p + 1, parts);
        else
            snprintf(path, 512, "%s.gguf", stem);
        test_gguf_write(&g, path);
    }
    test_tokens_free(&tokens);
    fmt_safetensors_close(&file);
    json_decref(config);
    json_decref(root);
    json_decref(more);
}

#include "tests/support/chain_model.h"

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

enum {
    HIDDEN = 288,
    HEADS = 4,
    FFN = 32
}; /* an embedding is one-hot: tokens <= HIDDEN */

struct writer {
    char header[4096];
    float *data;
    size_t at; /* floats */
};

/* Adds a tensor of zeros, or of ones; rows 0: a vector. Returns its data. */
static float *add(struct writer *w, const char *name, uint32_t rows, uint32_t cols,
                  float value)
{
    const size_t n = (rows ? rows : 1) * (size_t)cols, used = strlen(w->header);
    char shape[32];
    float *data;
    if (rows)
        snprintf(shape, sizeof shape, "%u,%u", rows, cols);
    else
        snprintf(shape, sizeof shape, "%u", cols);
    snprintf(w->header + used, sizeof w->header - used,
             "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
             w->at ? "," : "", name, shape, 4 * w->at, 4 * (w->at + n));
    w->data = realloc(w->data, (w->at + n) * sizeof *w->data);
    assert_non_null(w->data);
    data = w->data + w->at;
    for (size_t i = 0; i < n; i++)
        data[i] = value;
    w->at += n;
    return data;
}

static uint32_t id_of(const json_t *root, const char *text)
{
    const json_t *vocab = json_object_get(json_object_get(root, "model"), "vocab");
    const json_t *added = json_object_get(root, "added_tokens");
    const json_t *id = json_object_get(vocab, text);
    for (size_t i = 0; i < json_array_size(added) && !id; i++) {
        const json_t *one = json_array_get(added, i);
        if (strcmp(json_string_value(json_object_get(one, "content")), text) == 0)
            id = json_object_get(one, "id");
    }
    if (!id)
        fail_msg("the tokenizer has no '%s'", text);
    return (uint32_t)json_integer_value(id);
}

static void write_weights(const struct test_folder *folder, const uint32_t *next,
                          uint32_t vocab)
{
#define LAYER "model.layers.0."
    static const char *const square[] = { "q", "k", "v", "o" };
    struct writer w = { .header = "{" };
    float *embedding = add(&w, "model.embed_tokens.weight", vocab, HIDDEN, 0);
    for (uint32_t i = 0; i < vocab; i++)
        embedding[i * HIDDEN + i] = 1;
    float *head = add(&w, "lm_head.weight", vocab, HIDDEN, 0);
    for (uint32_t i = 0; i < vocab; i++)
        head[next[i] * HIDDEN + i] = 1;
    add(&w, "model.norm.weight", 0, HIDDEN, 1);
    add(&w, LAYER "input_layernorm.weight", 0, HIDDEN, 1);
    add(&w, LAYER "post_attention_layernorm.weight", 0, HIDDEN, 1);
    for (size_t i = 0; i < RT_COUNT(square); i++) {
        char name[96];
        snprintf(name, sizeof name, LAYER "self_attn.%s_proj.weight", square[i]);
        add(&w, name, HIDDEN, HIDDEN, 0);
        snprintf(name, sizeof name, LAYER "self_attn.%s_proj.bias", square[i]);
        if (i < 3)
            add(&w, name, 0, HIDDEN, 0);
    }
    add(&w, LAYER "mlp.gate_proj.weight", FFN, HIDDEN, 0);
    add(&w, LAYER "mlp.up_proj.weight", FFN, HIDDEN, 0);
    add(&w, LAYER "mlp.down_proj.weight", HIDDEN, FFN, 0);
    snprintf(w.header + strlen(w.header), 2, "}");
    test_file_safetensors(test_folder_file(folder, "model.safetensors"), w.header, w.data,
                          4 * w.at);
    free(w.data);
}

void test_chain_model(const struct test_folder *folder, const struct test_link *links,
                      size_t count, const char *eos, const char *tokenizer_config)
{
    char path[1024], config[768];
    uint32_t next[HIDDEN];
    size_t size;
    test_path(path, sizeof path, "tests/golden/chat/tokenizer.json");
    char *text = test_file_read(path, &size);
    json_t *root = json_loads(text, 0, NULL);
    assert_non_null(root);
    const uint32_t vocab = (uint32_t)(json_object_size(json_object_get(
                                          json_object_get(root, "model"), "vocab")) +
                                      4);
    assert_true(vocab <= HIDDEN);
    for (uint32_t i = 0; i < vocab; i++)
        next[i] = i;
    for (size_t i = 0; i < count; i++)
        next[id_of(root, links[i].from)] = id_of(root, links[i].to);
    write_weights(folder, next, vocab);
    snprintf(config, sizeof config,
             "{\"architectures\":[\"Qwen2ForCausalLM\"],\"model_type\":\"qwen2\","
             "\"vocab_size\":%u,\"hidden_size\":%d,\"intermediate_size\":%d,"
             "\"num_hidden_layers\":1,\"num_attention_heads\":%d,"
             "\"num_key_value_heads\":%d,\"max_position_embeddings\":512,"
             "\"rms_norm_eps\":1e-6,\"rope_theta\":10000.0,\"tie_word_embeddings\":false,"
             "\"hidden_act\":\"silu\",\"eos_token_id\":%s}",
             vocab, HIDDEN, FFN, HEADS, HEADS, eos);
    test_file_write(test_folder_file(folder, "config.json"), config, strlen(config));
    test_file_write(test_folder_file(folder, "tokenizer.json"), text, size);
    test_file_write(test_folder_file(folder, "tokenizer_config.json"), tokenizer_config,
                    strlen(tokenizer_config));
    json_decref(root);
    free(text);
}

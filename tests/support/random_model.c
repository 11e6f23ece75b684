#include "tests/support/random_model.h"

#include "runtime/train/train.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HIDDEN = 64, FFN = 96, LAYERS = 2, HEADS = 4, KV_HEADS = 2, TENSORS_MAX = 40 };

struct tensor {
    char name[64];
    uint32_t rows, cols; /* rows 0: a vector */
};

static void add(struct tensor *list, uint32_t *count, uint32_t layer, const char *name,
                uint32_t rows, uint32_t cols)
{
    struct tensor *t = &list[(*count)++];
    assert_true(*count <= TENSORS_MAX);
    if (layer < LAYERS)
        snprintf(t->name, sizeof t->name, "model.layers.%u.%s.weight", layer, name);
    else
        snprintf(t->name, sizeof t->name, "model.%s.weight", name);
    t->rows = rows;
    t->cols = cols;
}

static uint32_t tensors_of(uint32_t hd, struct tensor *list)
{
    uint32_t n = 0;
    add(list, &n, LAYERS, "embed_tokens", TEST_RANDOM_VOCAB, HIDDEN);
    add(list, &n, LAYERS, "norm", 0, HIDDEN);
    for (uint32_t l = 0; l < LAYERS; l++) {
        add(list, &n, l, "input_layernorm", 0, HIDDEN);
        add(list, &n, l, "post_attention_layernorm", 0, HIDDEN);
        add(list, &n, l, "self_attn.q_norm", 0, hd);
        add(list, &n, l, "self_attn.k_norm", 0, hd);
        add(list, &n, l, "self_attn.q_proj", HEADS * hd, HIDDEN);
        add(list, &n, l, "self_attn.k_proj", KV_HEADS * hd, HIDDEN);
        add(list, &n, l, "self_attn.v_proj", KV_HEADS * hd, HIDDEN);
        add(list, &n, l, "self_attn.o_proj", HIDDEN, HEADS * hd);
        add(list, &n, l, "mlp.gate_proj", FFN, HIDDEN);
        add(list, &n, l, "mlp.up_proj", FFN, HIDDEN);
        add(list, &n, l, "mlp.down_proj", HIDDEN, FFN);
    }
    return n;
}

/* Norms about 1, matrices so that activations keep their size. */
static void fill(float *values, const struct tensor *t, uint32_t index, uint32_t count)
{
    const float size = t->rows ? 1.7f / sqrtf((float)t->cols) : 0.5f;
    for (uint32_t i = 0; i < count; i++) {
        const float unit = (float)train_word(7, i, index) / 2147483648.0f - 1;
        values[i] = size * unit + (t->rows ? 0 : 1);
    }
}

void test_random_model(const struct test_folder *folder, uint32_t head_dim)
{
    struct tensor list[TENSORS_MAX];
    const uint32_t count = tensors_of(head_dim, list);
    char config[512], header[8192] = "{";
    float *data = NULL;
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct tensor *t = &list[i];
        const uint32_t n = (t->rows ? t->rows : 1) * t->cols;
        const size_t used = strlen(header);
        char rows[16] = "";
        if (t->rows)
            snprintf(rows, sizeof rows, "%u,", t->rows);
        snprintf(
            header + used, sizeof header - used,
            "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s%u],\"data_offsets\":[%zu,%zu]}%s",
            i ? "," : "", t->name, rows, t->cols, 4 * at, 4 * (at + n),
            i + 1 == count ? "}" : "");
        data = realloc(data, 4 * (at + n));
        assert_non_null(data);
        fill(data + at, t, i, n);
        at += n;
    }
    assert_true(strlen(header) + 1 < sizeof header);
    snprintf(
        config, sizeof config,
        "{\"model_type\":\"qwen3\",\"hidden_size\":%d,\"intermediate_size\":%d,"
        "\"num_hidden_layers\":%d,\"num_attention_heads\":%d,"
        "\"num_key_value_heads\":%d,\"head_dim\":%u,\"vocab_size\":%d,"
        "\"max_position_embeddings\":4096,\"rms_norm_eps\":1e-6,\"rope_theta\":10000,"
        "\"hidden_act\":\"silu\",\"tie_word_embeddings\":true,\"eos_token_id\":0}",
        HIDDEN, FFN, LAYERS, HEADS, KV_HEADS, head_dim, TEST_RANDOM_VOCAB);
    test_file_write(test_folder_file(folder, "config.json"), config, strlen(config));
    test_file_safetensors(test_folder_file(folder, "model.safetensors"), header, data,
                          4 * at);
    free(data);
}

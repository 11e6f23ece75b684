/* A trained LLaMA-2 of 260 thousand parameters tells its known story, greedily, on every
 * device. The checkpoint is not part of the tree: ../shared/models/stories260K, or the
 * folder that FAULTLINE_STORIES names; without it the test is skipped.
 *
 * The file (llama2.c's first format): 7 int32 (dim, hidden_dim, layers, heads, kv_heads,
 * vocab, positions), then floats, matrices [out][in]: embedding; then of all layers the
 * attention norms, wq, wk, wv, wo, the ffn norms, w1 (gate), w2 (down), w3 (up); the last
 * norm; tables that are not needed. The head is the embedding. Rotary pairs are neighbours
 * (2i, 2i + 1), where Hugging Face has halves (i, i + hd / 2): rows of q and k move. */
#include "runtime/engine/engine.h"
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

enum { TOKENS = 200, BOS = 1, TENSORS_MAX = 64 };

/* What llama2.c prints at temperature 0. */
static const char story[] =
    "Once upon a time, there was a little girl named Lily. She loved to play outside in "
    "the park. One day, she saw a big, red ball. She wanted to play with it, but it was "
    "too high.\nLily's mom said, \"Lily, let's go to the park.\" Lily was sad and didn't "
    "know what to do. She said, \"I want to play with your ball, but I can't find "
    "it.\"\nLily was sad and didn't know what to do. She said, \"I'm sorry, Lily. I "
    "didn't know what to do.\"\nLily didn't want to help her mom, so she";

static char source[1024]; /* folder of the checkpoint */

struct header {
    int32_t dim, hidden, layers, heads, kv_heads, vocab, positions;
};

/* A tensor list under construction over the file's floats. */
struct builder {
    struct fmt_tensor_out tensors[TENSORS_MAX];
    char names[TENSORS_MAX][96];
    uint32_t count;
    float *next; /* first float not taken yet */
};

static float *take(struct builder *b, const char *name, uint64_t rows, uint64_t cols)
{
    float *data = b->next;
    assert_true(b->count < TENSORS_MAX);
    snprintf(b->names[b->count], sizeof b->names[0], "%s.weight", name);
    b->tensors[b->count] = (struct fmt_tensor_out){ .name = b->names[b->count],
                                                    .dtype = FMT_F32,
                                                    .dims = cols ? 2 : 1,
                                                    .shape = { rows, cols },
                                                    .data = data };
    b->count++;
    b->next += rows * (cols ? cols : 1);
    return data;
}

/* The same matrix of every layer, which lie one after the other. */
static float *take_layers(struct builder *b, const struct header *h, const char *module,
                          uint64_t rows, uint64_t cols)
{
    float *first = b->next;
    for (int32_t l = 0; l < h->layers; l++) {
        char name[80];
        snprintf(name, sizeof name, "model.layers.%d.%s", l, module);
        (void)take(b, name, rows, cols);
    }
    return first;
}

/* Rows of `heads` heads from neighbouring pairs to halves. */
static void split_pairs(float *w, uint32_t heads, uint32_t head_dim, uint32_t cols)
{
    float *copy = malloc((size_t)heads * head_dim * cols * sizeof *copy);
    assert_non_null(copy);
    memcpy(copy, w, (size_t)heads * head_dim * cols * sizeof *copy);
    for (uint32_t r = 0; r < heads * head_dim; r++) {
        const uint32_t h = r / head_dim, i = r % head_dim;
        const uint32_t from = h * head_dim + i % (head_dim / 2) * 2 + i / (head_dim / 2);
        memcpy(w + (size_t)r * cols, copy + (size_t)from * cols, cols * sizeof *w);
    }
    free(copy);
}

static void write_config(const struct test_folder *folder, const struct header *h)
{
    json_t *config =
        json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:b, s:i}",
                  "model_type", "llama", "hidden_size", h->dim, "intermediate_size",
                  h->hidden, "num_hidden_layers", h->layers, "num_attention_heads",
                  h->heads, "num_key_value_heads", h->kv_heads, "vocab_size", h->vocab,
                  "max_position_embeddings", h->positions, "rms_norm_eps", 1e-5,
                  "rope_theta", 1e4, "tie_word_embeddings", 1, "eos_token_id", 2);
    assert_int_equal(json_dump_file(config, test_folder_file(folder, "config.json"), 0),
                     0);
    json_decref(config);
}

static void convert(const struct test_folder *folder)
{
    struct rt_ctx ctx = { 0 };
    struct header h;
    char path[1100];
    size_t size;
    struct builder *b = calloc(1, sizeof *b);
    assert_non_null(b);
    snprintf(path, sizeof path, "%s/stories260K.bin", source);
    char *data = test_file_read(path, &size);
    memcpy(&h, data, sizeof h);
    const uint32_t dim = (uint32_t)h.dim, hidden = (uint32_t)h.hidden;
    const uint32_t head_dim = dim / (uint32_t)h.heads;
    const uint32_t kv = (uint32_t)h.kv_heads * head_dim;
    b->next = (float *)(void *)(data + sizeof h);
    (void)take(b, "model.embed_tokens", (uint32_t)h.vocab, dim);
    (void)take_layers(b, &h, "input_layernorm", dim, 0);
    float *q = take_layers(b, &h, "self_attn.q_proj", dim, dim);
    float *k = take_layers(b, &h, "self_attn.k_proj", kv, dim);
    (void)take_layers(b, &h, "self_attn.v_proj", kv, dim);
    (void)take_layers(b, &h, "self_attn.o_proj", dim, dim);
    (void)take_layers(b, &h, "post_attention_layernorm", dim, 0);
    (void)take_layers(b, &h, "mlp.gate_proj", hidden, dim);
    (void)take_layers(b, &h, "mlp.down_proj", dim, hidden);
    (void)take_layers(b, &h, "mlp.up_proj", hidden, dim);
    (void)take(b, "model.norm", dim, 0);
    assert_true((char *)b->next <= data + size);
    split_pairs(q, (uint32_t)(h.heads * h.layers), head_dim, dim);
    split_pairs(k, (uint32_t)(h.kv_heads * h.layers), head_dim, dim);
    assert_int_equal(fmt_safetensors_write(&ctx,
                                           test_folder_file(folder, "model.safetensors"),
                                           b->tensors, b->count, NULL),
                     RT_OK);
    write_config(folder, &h);
    free(data);
    free(b);
}

struct telling {
    uint32_t prompt, taken, count;
    uint32_t ids[TOKENS];
};

static bool next(void *user, struct rt_request *out)
{
    struct telling *t = user;
    *out = (struct rt_request){ .prompt = &t->prompt, .n_prompt = 1, .max_new = TOKENS };
    return t->taken++ == 0;
}

static rt_status done(void *user, const struct rt_answer *answer)
{
    struct telling *t = user;
    t->count = answer->n_gen;
    memcpy(t->ids, answer->ids, answer->n_gen * sizeof *t->ids);
    return RT_OK;
}

/* Pieces of tok512.bin (an int32, then score, length and bytes of each) one after the
 * other; the first loses its leading space, bytes are written <0xNN>. */
static void decode(const struct telling *t, char *out, size_t capacity)
{
    char path[1100];
    size_t size, used = 0;
    snprintf(path, sizeof path, "%s/tok512.bin", source);
    char *data = test_file_read(path, &size);
    for (uint32_t i = 0; i < t->count; i++) {
        const char *at = data + 4;
        int32_t length;
        memcpy(&length, at + 4, sizeof length);
        for (uint32_t id = 0; id < t->ids[i]; id++) {
            at += 8 + length;
            assert_true(at + 8 <= data + size);
            memcpy(&length, at + 4, sizeof length);
        }
        at += 8;
        unsigned byte;
        char piece[64];
        snprintf(piece, sizeof piece, "%.*s", (int)length, at);
        if (sscanf(piece, "<0x%2X>", &byte) == 1)
            snprintf(piece, sizeof piece, "%c", (int)byte);
        const char *text = i == 0 && piece[0] == ' ' ? piece + 1 : piece;
        used += (size_t)snprintf(out + used, capacity - used, "%s", text);
        assert_true(used < capacity);
    }
    free(data);
}

static void the_story_is_told_on_every_device(void **state)
{
    (void)state;
    struct test_folder folder;
    struct test_device devices[16];
    const uint32_t n = test_devices(devices, 16);
    test_folder_init(&folder);
    convert(&folder);
    for (uint32_t i = 0; i < n; i++) {
        struct rt_ctx ctx;
        struct rt_model *model = NULL;
        struct rt_engine *engine = NULL;
        struct telling t = { .prompt = BOS };
        char text[4096];
        test_ctx(&ctx);
        struct rt_device *dev = test_device_open(&ctx, &devices[i]);
        if (rt_model_load(dev, folder.path, 256, &model) != RT_OK)
            fail_msg("%s", ctx.message);
        const struct rt_engine_options options = { .slots = 1,
                                                   .rows_max = 16,
                                                   .context = 256 };
        const struct rt_engine_calls calls = { .next = next, .done = done, .user = &t };
        assert_int_equal(rt_engine_create(model, NULL, &options, &engine), RT_OK);
        assert_int_equal(rt_engine_run(engine, &calls), RT_OK);
        decode(&t, text, sizeof text);
        printf("    %-26s %u tokens, %zu characters\n", devices[i].name, t.count,
               strlen(text));
        assert_string_equal(text, story);
        rt_engine_destroy(&engine);
        rt_model_destroy(&model);
        rt_device_destroy(&dev);
    }
    test_folder_deinit(&folder);
}

int main(void)
{
    char path[1100];
    const char *named = getenv("FAULTLINE_STORIES");
    if (named)
        snprintf(source, sizeof source, "%s", named);
    else
        test_path(source, sizeof source, "../shared/models/stories260K");
    snprintf(path, sizeof path, "%s/stories260K.bin", source);
    FILE *file = fopen(path, "rb");
    if (!file) {
        printf("skipped: %s is not there\n", path);
        return 77;
    }
    fclose(file);
    const struct CMUnitTest tests[] = { cmocka_unit_test(
        the_story_is_told_on_every_device) };
    return cmocka_run_group_tests_name("stories", tests, NULL, NULL);
}

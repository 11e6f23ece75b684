/* bench/random_gguf.c
 * A model with random weights, as a GGUF file (version 3): speed does not depend on what
 * weights say. Projections are Q4_0, embedding and head Q8_0, as llama.cpp's own quantizer
 * stores a width that 256 does not divide. 0.5B and 7B have the exact shapes of Qwen2.5, with
 * vocabularies of the real size and made-up words; tiny is for trying things out.
 * Usage: random_gguf FILE [0.5B|7B|tiny] */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct shape {
    const char *name;
    uint32_t hidden, ffn, layers, heads, kv_heads, vocab;
    bool tied; /* the head is the embedding */
} shapes[] = {
    { "0.5B", 896, 4864, 24, 14, 2, 151936, true },
    { "7B", 3584, 18944, 28, 28, 4, 152064, false },
    { "tiny", 128, 384, 2, 4, 2, 1024, false },
};
static const struct shape *shape = &shapes[0];

enum { ALIGN = 32, GGUF_U32 = 4, GGUF_F32 = 6, GGUF_STRING = 8, GGUF_ARRAY = 9 };
enum type { F32 = 0, Q4_0 = 2, Q8_0 = 8 };

static FILE *out;
static uint64_t state = 0x9e3779b97f4a7c15u;

static uint64_t next_random(void) /* xorshift64 */
{
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static void put(const void *data, size_t size)
{
    if (fwrite(data, 1, size, out) != size) {
        perror("random_gguf");
        exit(1);
    }
}

static void put_u32(uint32_t v)
{
    put(&v, sizeof v);
}

static void put_u64(uint64_t v)
{
    put(&v, sizeof v);
}

static void put_text(const char *text)
{
    put_u64(strlen(text));
    put(text, strlen(text));
}

static void key_u32(const char *key, uint32_t value)
{
    put_text(key);
    put_u32(GGUF_U32);
    put_u32(value);
}

static void key_f32(const char *key, float value)
{
    put_text(key);
    put_u32(GGUF_F32);
    put(&value, sizeof value);
}

static void key_text(const char *key, const char *value)
{
    put_text(key);
    put_u32(GGUF_STRING);
    put_text(value);
}

static void key_array(const char *key, uint32_t type, uint64_t count)
{
    put_text(key);
    put_u32(GGUF_ARRAY);
    put_u32(type);
    put_u64(count);
}

/* The characters that byte-level BPE writes bytes as, then words of their own. */
static void put_tokens(void)
{
    key_array("tokenizer.ggml.tokens", GGUF_STRING, shape->vocab);
    uint32_t moved = 256;
    for (uint32_t i = 0; i < shape->vocab; i++) {
        char text[16];
        if (i < 256) {
            const bool is_plain = (i > 32 && i < 127) || (i > 160 && i < 173) || i > 173;
            const uint32_t c = is_plain ? i : moved++;
            if (c < 128)
                snprintf(text, sizeof text, "%c", (char)c);
            else
                snprintf(text, sizeof text, "%c%c", (char)(0xc0 | c >> 6),
                         (char)(0x80 | (c & 63)));
        } else if (i == 256) {
            snprintf(text, sizeof text, "ab");
        } else {
            snprintf(text, sizeof text, "<%u>", i);
        }
        put_text(text);
    }
    key_array("tokenizer.ggml.token_type", 5, shape->vocab);
    for (uint32_t i = 0; i < shape->vocab; i++)
        put_u32(i <= 256 ? 1 : 4); /* normal, user defined */
    key_array("tokenizer.ggml.merges", GGUF_STRING, 1);
    put_text("a b");
}

/* Every tensor in order: gives each to `take`. */
static void each_tensor(void (*take)(const char *, uint64_t, uint64_t, enum type))
{
    const uint32_t hidden = shape->hidden, ffn = shape->ffn;
    const uint32_t kv = hidden / shape->heads * shape->kv_heads;
    const struct {
        const char *name;
        uint32_t in, rows; /* rows 0: a vector */
        enum type type;
    } layer[] = {
        { "attn_norm.weight", hidden, 0, F32 },
        { "attn_q.weight", hidden, hidden, Q4_0 },
        { "attn_k.weight", hidden, kv, Q4_0 },
        { "attn_v.weight", hidden, kv, Q4_0 },
        { "attn_q.bias", hidden, 0, F32 },
        { "attn_k.bias", kv, 0, F32 },
        { "attn_v.bias", kv, 0, F32 },
        { "attn_output.weight", hidden, hidden, Q4_0 },
        { "ffn_norm.weight", hidden, 0, F32 },
        { "ffn_gate.weight", hidden, ffn, Q4_0 },
        { "ffn_up.weight", hidden, ffn, Q4_0 },
        { "ffn_down.weight", ffn, hidden, Q4_0 },
    };
    take("token_embd.weight", hidden, shape->vocab, Q8_0);
    if (!shape->tied)
        take("output.weight", hidden, shape->vocab, Q8_0);
    take("output_norm.weight", hidden, 0, F32);
    for (uint32_t l = 0; l < shape->layers; l++)
        for (size_t i = 0; i < sizeof layer / sizeof *layer; i++) {
            char name[64];
            snprintf(name, sizeof name, "blk.%u.%s", l, layer[i].name);
            take(name, layer[i].in, layer[i].rows, layer[i].type);
        }
}

static uint64_t tensor_bytes(uint64_t in, uint64_t rows, enum type type)
{
    const uint64_t n = in * (rows ? rows : 1);
    return type == F32 ? 4 * n : n / 32 * (type == Q4_0 ? 18 : 34);
}

static uint64_t tensor_count, data_bytes;

static void count_tensor(const char *name, uint64_t in, uint64_t rows, enum type type)
{
    (void)name, (void)in, (void)rows, (void)type;
    tensor_count++;
}

static void put_header(const char *name, uint64_t in, uint64_t rows, enum type type)
{
    put_text(name);
    put_u32(rows ? 2 : 1);
    put_u64(in);
    if (rows)
        put_u64(rows);
    put_u32((uint32_t)type);
    put_u64(data_bytes);
    data_bytes += (tensor_bytes(in, rows, type) + ALIGN - 1) / ALIGN * ALIGN;
}

static void put_padding(uint64_t at)
{
    static const uint8_t zeros[ALIGN];
    put(zeros, (ALIGN - at % ALIGN) % ALIGN);
}

/* Values of about 1 / sqrt(width), norms of about 1. */
static void put_data(const char *name, uint64_t in, uint64_t rows, enum type type)
{
    const uint64_t blocks = in * (rows ? rows : 1) / 32;
    for (uint64_t b = 0; b < blocks; b++) {
        if (type == F32) {
            float v[32];
            for (int i = 0; i < 32; i++)
                v[i] = (strstr(name, "norm") ? 1.0f : 0.0f) +
                       0.1f * ((float)(next_random() >> 40) / 8388608.0f - 1.0f);
            put(v, sizeof v);
            continue;
        }
        uint64_t words[5];
        for (int i = 0; i < 5; i++)
            words[i] = next_random();
        /* half floats: 2^-7 (4 bits) and 2^-12 (8 bits), times 1 to 1.25 */
        const uint16_t scale =
            (uint16_t)((type == Q4_0 ? 0x2000 : 0x0c00) | (words[4] & 0xff));
        put(&scale, sizeof scale);
        put(words, type == Q4_0 ? 16 : 32);
    }
    put_padding(tensor_bytes(in, rows, type));
}

int main(int argc, char **argv)
{
    const char *name = argc > 2 ? argv[2] : shapes[0].name;
    while (shape < shapes + sizeof shapes / sizeof *shapes && strcmp(shape->name, name))
        shape++;
    if (argc < 2 || argc > 3 || shape == shapes + sizeof shapes / sizeof *shapes ||
        !(out = fopen(argv[1], "wb"))) {
        fprintf(stderr, "usage: random_gguf FILE [0.5B|7B|tiny]\n");
        return 2;
    }
    each_tensor(count_tensor);
    put("GGUF", 4);
    put_u32(3);
    put_u64(tensor_count);
    put_u64(18);
    key_text("general.architecture", "qwen2");
    char title[64];
    snprintf(title, sizeof title, "random weights in the shape of Qwen2.5-%s",
             shape->name);
    key_text("general.name", title);
    key_u32("general.file_type", 2);
    key_u32("qwen2.block_count", shape->layers);
    key_u32("qwen2.context_length", 32768);
    key_u32("qwen2.embedding_length", shape->hidden);
    key_u32("qwen2.feed_forward_length", shape->ffn);
    key_u32("qwen2.attention.head_count", shape->heads);
    key_u32("qwen2.attention.head_count_kv", shape->kv_heads);
    key_f32("qwen2.attention.layer_norm_rms_epsilon", 1e-6f);
    key_f32("qwen2.rope.freq_base", 1e6f);
    key_text("tokenizer.ggml.model", "gpt2");
    key_text("tokenizer.ggml.pre", "qwen2");
    put_tokens(); /* three keys */
    key_u32("tokenizer.ggml.eos_token_id", shape->vocab - 1);
    key_u32("tokenizer.ggml.padding_token_id", shape->vocab - 2);
    each_tensor(put_header);
    put_padding((uint64_t)ftell(out));
    each_tensor(put_data);
    return fclose(out) == 0 ? 0 : 1;
}

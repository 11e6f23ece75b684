/* bench/random_gguf.c
 * A model of the exact shape of Qwen2.5-0.5B with random weights, as a GGUF file (version
 * 3): speed does not depend on what weights say. Projections are Q4_0, the tied embedding
 * Q8_0, as llama.cpp's own quantizer stores a width that 256 does not divide. The
 * vocabulary has the size of the real one and made-up words.
 * Usage: random_gguf FILE */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HIDDEN = 896, FFN = 4864, LAYERS = 24, HEADS = 14, KV = 128, VOCAB = 151936 };
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
    key_array("tokenizer.ggml.tokens", GGUF_STRING, VOCAB);
    uint32_t moved = 256;
    for (uint32_t i = 0; i < VOCAB; i++) {
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
    key_array("tokenizer.ggml.token_type", 5, VOCAB);
    for (uint32_t i = 0; i < VOCAB; i++)
        put_u32(i <= 256 ? 1 : 4); /* normal, user defined */
    key_array("tokenizer.ggml.merges", GGUF_STRING, 1);
    put_text("a b");
}

/* Every tensor in order: gives each to `take`. */
static void each_tensor(void (*take)(const char *, uint64_t, uint64_t, enum type))
{
    static const struct {
        const char *name;
        uint32_t in, rows; /* rows 0: a vector */
        enum type type;
    } layer[] = {
        { "attn_norm.weight", HIDDEN, 0, F32 },
        { "attn_q.weight", HIDDEN, HIDDEN, Q4_0 },
        { "attn_k.weight", HIDDEN, KV, Q4_0 },
        { "attn_v.weight", HIDDEN, KV, Q4_0 },
        { "attn_q.bias", HIDDEN, 0, F32 },
        { "attn_k.bias", KV, 0, F32 },
        { "attn_v.bias", KV, 0, F32 },
        { "attn_output.weight", HIDDEN, HIDDEN, Q4_0 },
        { "ffn_norm.weight", HIDDEN, 0, F32 },
        { "ffn_gate.weight", HIDDEN, FFN, Q4_0 },
        { "ffn_up.weight", HIDDEN, FFN, Q4_0 },
        { "ffn_down.weight", FFN, HIDDEN, Q4_0 },
    };
    take("token_embd.weight", HIDDEN, VOCAB, Q8_0);
    take("output_norm.weight", HIDDEN, 0, F32);
    for (uint32_t l = 0; l < LAYERS; l++)
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
    if (argc != 2 || !(out = fopen(argv[1], "wb"))) {
        fprintf(stderr, "usage: random_gguf FILE\n");
        return 2;
    }
    each_tensor(count_tensor);
    put("GGUF", 4);
    put_u32(3);
    put_u64(tensor_count);
    put_u64(18);
    key_text("general.architecture", "qwen2");
    key_text("general.name", "random weights in the shape of Qwen2.5-0.5B");
    key_u32("general.file_type", 2);
    key_u32("qwen2.block_count", LAYERS);
    key_u32("qwen2.context_length", 32768);
    key_u32("qwen2.embedding_length", HIDDEN);
    key_u32("qwen2.feed_forward_length", FFN);
    key_u32("qwen2.attention.head_count", HEADS);
    key_u32("qwen2.attention.head_count_kv", 2);
    key_f32("qwen2.attention.layer_norm_rms_epsilon", 1e-6f);
    key_f32("qwen2.rope.freq_base", 1e6f);
    key_text("tokenizer.ggml.model", "gpt2");
    key_text("tokenizer.ggml.pre", "qwen2");
    put_tokens(); /* three keys */
    key_u32("tokenizer.ggml.eos_token_id", VOCAB - 1);
    key_u32("tokenizer.ggml.padding_token_id", VOCAB - 2);
    each_tensor(put_header);
    put_padding((uint64_t)ftell(out));
    each_tensor(put_data);
    return fclose(out) == 0 ? 0 : 1;
}

/* runtime/text/sentencepiece_make.c
 * tokenizer.model of SentencePiece written from the keys of a GGUF file; the fields are
 * those of sentencepiece.c. Tokens that only fill up the embedding are written as normal
 * pieces: in a GGUF file they are no less. */
#include "runtime/text/tokenizer_impl.h"

#include "runtime/format/gguf.h"

#include <string.h>

enum { WIRE_VARINT = 0, WIRE_BYTES = 2, WIRE_32 = 5, TYPE_BPE = 2 };

/* Counts first, then writes: `at` is null in the first pass. */
struct message {
    uint8_t *at;
    size_t size;
};

static void put_byte(struct message *m, uint8_t byte)
{
    if (m->at)
        m->at[m->size] = byte;
    m->size++;
}

static void put_varint(struct message *m, uint64_t value)
{
    for (; value >= 128; value >>= 7)
        put_byte(m, (uint8_t)(value | 128));
    put_byte(m, (uint8_t)value);
}

static void put_number(struct message *m, uint32_t field, uint64_t value)
{
    put_varint(m, (uint64_t)field << 3 | WIRE_VARINT);
    put_varint(m, value);
}

static void put_bytes(struct message *m, uint32_t field, const void *data, size_t size)
{
    put_varint(m, (uint64_t)field << 3 | WIRE_BYTES);
    put_varint(m, size);
    if (m->at && size)
        memcpy(m->at + m->size, data, size);
    m->size += size;
}

static void put_float(struct message *m, uint32_t field, uint32_t bits)
{
    put_varint(m, (uint64_t)field << 3 | WIRE_32);
    for (int i = 0; i < 4; i++)
        put_byte(m, (uint8_t)(bits >> 8 * i));
}

struct vocabulary {
    const struct fmt_gguf_key *tokens, *kinds, *scores;
    int64_t unknown, bos, eos;
    bool prefix;
};

static void put_pieces(struct message *m, const struct vocabulary *v)
{
    uint64_t at = 0;
    size_t size;
    for (uint64_t i = 0; i < v->tokens->count; i++) {
        struct message piece = { 0 };
        const char *text = fmt_gguf_string_next(v->tokens, &at, &size);
        const uint32_t kind = v->kinds ? fmt_gguf_word(v->kinds, i) : KIND_NORMAL;
        for (int pass = 0; pass < 2; pass++) {
            put_bytes(&piece, 1, text, size);
            put_float(&piece, 2, fmt_gguf_word(v->scores, i));
            put_number(&piece, 3, kind == KIND_UNUSED ? KIND_NORMAL : kind);
            if (pass)
                continue;
            put_varint(m, 1 << 3 | WIRE_BYTES);
            put_varint(m, piece.size);
            if (!m->at)
                break;
            piece = (struct message){ .at = m->at + m->size };
        }
        m->size += piece.size;
    }
}

/* Field 44 is what the unknown token decodes to: its own text, as in a GGUF file. */
static void put_trainer(struct message *m, const struct vocabulary *v)
{
    uint64_t at = 0;
    size_t size = 0;
    const char *text = "";
    put_number(m, 3, TYPE_BPE);
    put_number(m, 4, v->tokens->count);
    put_number(m, 35, 1); /* bytes stand in for what has no piece */
    put_number(m, 40, (uint64_t)v->unknown);
    put_number(m, 41, (uint64_t)v->bos);
    put_number(m, 42, (uint64_t)v->eos);
    for (int64_t i = 0; i <= v->unknown; i++)
        text = fmt_gguf_string_next(v->tokens, &at, &size);
    put_bytes(m, 44, text, size);
}

static void put_normalizer(struct message *m, const struct vocabulary *v)
{
    put_bytes(m, 1, "identity", 8);
    put_number(m, 3, v->prefix);
    put_number(m, 4, 0); /* runs of spaces stay */
    put_number(m, 5, 1);
}

static void put_part(struct message *m, uint32_t field, const struct vocabulary *v,
                     void (*put)(struct message *m, const struct vocabulary *v))
{
    struct message part = { 0 };
    put(&part, v);
    put_varint(m, (uint64_t)field << 3 | WIRE_BYTES);
    put_varint(m, part.size);
    part = (struct message){ .at = m->at ? m->at + m->size : NULL };
    put(&part, v);
    m->size += part.size;
}

static void put_all(struct message *m, const struct vocabulary *v)
{
    put_pieces(m, v);
    put_part(m, 2, v, put_trainer);
    put_part(m, 3, v, put_normalizer);
}

rt_status text_sentencepiece_make(struct rt_ctx *ctx, const struct fmt_gguf *f,
                                  uint8_t **out, size_t *size)
{
    rt_status st;
    struct vocabulary v = { 0 };
    struct message m = { 0 };
    *out = NULL;
    TRY(fmt_gguf_array(f, "tokenizer.ggml.tokens", FMT_GGUF_STRING, &v.tokens));
    TRY(fmt_gguf_array(f, "tokenizer.ggml.token_type", FMT_GGUF_I32, &v.kinds));
    TRY(fmt_gguf_array(f, "tokenizer.ggml.scores", FMT_GGUF_F32, &v.scores));
    const int64_t last = (int64_t)v.tokens->count - 1;
    TRY(fmt_gguf_whole(f, "tokenizer.ggml.unknown_token_id", 0, 0, last, &v.unknown));
    TRY(fmt_gguf_whole(f, "tokenizer.ggml.bos_token_id", 1, 0, last, &v.bos));
    TRY(fmt_gguf_whole(f, "tokenizer.ggml.eos_token_id", 2, 0, last, &v.eos));
    TRY(fmt_gguf_bool(f, "tokenizer.ggml.add_space_prefix", true, &v.prefix));
    put_all(&m, &v);
    *size = m.size;
    m = (struct message){ .at = rt_alloc(ctx, m.size, 1) };
    if (!m.at)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", f->path);
    put_all(&m, &v);
    *out = m.at;

fail:
    return st;
}

/* runtime/text/sentencepiece.c
 * tokenizer.model of SentencePiece: a protocol-buffer message, read by hand. What is used:
 *   ModelProto      1: SentencePiece (repeated), 2: TrainerSpec, 3: NormalizerSpec
 *   SentencePiece   1: text, 2: score (float), 3: kind (1 where it is missing)
 *   TrainerSpec     3: model type (1 unigram, 2 BPE), 24: spaces as suffix,
 *                   41: id of the start token, 44: text of the unknown token
 *   NormalizerSpec  2: compiled rules, 3: prefix space, 4: one space, 5: escape spaces
 * Numbers of fields and their defaults: sentencepiece_model.proto of the project. */
#include "runtime/text/tokenizer_impl.h"

#include <math.h>
#include <string.h>

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

/* A message, or what is left of it. */
struct message {
    const uint8_t *at, *end;
};

struct field {
    uint32_t number, wire;
    uint64_t value; /* varint, or bits */
    struct message bytes;
};

static bool take_varint(struct message *m, uint64_t *out)
{
    *out = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (m->at == m->end)
            return false;
        const uint8_t byte = *m->at++;
        *out |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return true;
    }
    return false;
}

static bool take_bits(struct message *m, uint32_t bytes, uint64_t *out)
{
    *out = 0;
    if ((size_t)(m->end - m->at) < bytes)
        return false;
    for (uint32_t i = bytes; i-- > 0;)
        *out = *out << 8 | m->at[i];
    m->at += bytes;
    return true;
}

/* The next field; false at the end, and where *good becomes false. */
static bool next_field(struct message *m, struct field *f, bool *good)
{
    uint64_t tag;
    *f = (struct field){ 0 };
    if (m->at == m->end)
        return false;
    *good = take_varint(m, &tag) && tag >> 3 != 0 && tag >> 3 < 1u << 29;
    f->number = *good ? (uint32_t)(tag >> 3) : 0;
    f->wire = (uint32_t)(tag & 7);
    if (*good && f->wire == WIRE_VARINT)
        *good = take_varint(m, &f->value);
    else if (*good && (f->wire == WIRE_64 || f->wire == WIRE_32))
        *good = take_bits(m, f->wire == WIRE_64 ? 8 : 4, &f->value);
    else if (*good && f->wire == WIRE_BYTES) {
        *good = take_varint(m, &f->value) && f->value <= (uint64_t)(m->end - m->at);
        f->bytes = (struct message){ m->at, m->at + (*good ? f->value : 0) };
        m->at = f->bytes.end;
    } else {
        *good = false; /* groups are long out of use */
    }
    return *good;
}

/* What the file says, with the defaults of its schema. */
struct model {
    struct text_tokenizer *t;
    uint32_t count; /* of pieces */
    struct message trainer, normalizer;
    float *scores;
    bool *never; /* by id: joining does not make it */
    uint64_t type, bos, as_suffix;
    uint64_t prefix, one_space, escape;
    bool rules;
    struct message unknown_text;
};

static rt_status damaged(const struct model *m, const char *what)
{
    return rt_fail(m->t->ctx, RT_ERR_INPUT, "'%s': %s; the file is damaged, get it again",
                   m->t->path, what);
}

static bool is(const struct field *f, uint32_t number, uint32_t wire)
{
    return f->number == number && f->wire == wire;
}

/* Counts pieces and finds the other messages. */
static rt_status scan(struct model *m, struct message all)
{
    struct field f;
    bool good = true;
    while (next_field(&all, &f, &good)) {
        if (is(&f, 1, WIRE_BYTES))
            m->count++;
        else if (is(&f, 2, WIRE_BYTES))
            m->trainer = f.bytes;
        else if (is(&f, 3, WIRE_BYTES))
            m->normalizer = f.bytes;
    }
    if (!good)
        return damaged(m, "it is no SentencePiece model, or it is cut short");
    if (m->count == 0)
        return damaged(m, "it has no pieces");
    return RT_OK;
}

static rt_status read_specs(struct model *m)
{
    struct field f;
    bool good = true;
    while (next_field(&m->trainer, &f, &good)) {
        m->type = is(&f, 3, WIRE_VARINT) ? f.value : m->type;
        m->as_suffix = is(&f, 24, WIRE_VARINT) ? f.value : m->as_suffix;
        m->bos = is(&f, 41, WIRE_VARINT) ? f.value : m->bos;
        m->unknown_text = is(&f, 44, WIRE_BYTES) ? f.bytes : m->unknown_text;
    }
    while (good && next_field(&m->normalizer, &f, &good)) {
        m->rules |= is(&f, 2, WIRE_BYTES) && f.value > 0;
        m->prefix = is(&f, 3, WIRE_VARINT) ? f.value : m->prefix;
        m->one_space = is(&f, 4, WIRE_VARINT) ? f.value : m->one_space;
        m->escape = is(&f, 5, WIRE_VARINT) ? f.value : m->escape;
    }
    return good ? RT_OK : damaged(m, "its settings cannot be read");
}

/* What would be read past and give other ids than the library. */
static rt_status check_supported(const struct model *m)
{
    static const char *const types[] = { "0", "unigram", "BPE", "word", "char" };
    const char *lack = NULL;
    if (m->type != 2)
        return rt_fail(m->t->ctx, RT_ERR_INPUT,
                       "'%s': a SentencePiece model of type %s; BPE is supported",
                       m->t->path, m->type < RT_COUNT(types) ? types[m->type] : "(odd)");
    if (m->rules)
        lack = "normalization rules (precompiled_charsmap)";
    else if (m->as_suffix)
        lack = "spaces as suffixes (treat_whitespace_as_suffix)";
    else if (!m->escape)
        lack = "unescaped spaces (escape_whitespaces false)";
    return lack ? rt_fail(m->t->ctx, RT_ERR_INPUT,
                          "'%s': a SentencePiece model with %s, which is not supported",
                          m->t->path, lack)
                : RT_OK;
}

/* ---- pieces ---- */

struct piece {
    const char *text;
    size_t size;
    float score;
    uint64_t kind;
};

static bool read_piece(struct message m, struct piece *p)
{
    struct field f;
    bool good = true;
    *p = (struct piece){ .text = "", .kind = KIND_NORMAL };
    while (next_field(&m, &f, &good)) {
        if (is(&f, 1, WIRE_BYTES)) {
            p->text = (const char *)f.bytes.at;
            p->size = (size_t)(f.bytes.end - f.bytes.at);
        } else if (is(&f, 2, WIRE_32)) {
            const uint32_t bits = (uint32_t)f.value;
            memcpy(&p->score, &bits, sizeof bits);
        } else if (is(&f, 3, WIRE_VARINT)) {
            p->kind = f.value;
        }
    }
    return good;
}

/* The unknown token decodes to a text of its own (" U+2047 " where none is given). */
static rt_status add_unknown(const struct model *m, const struct piece *p, uint32_t id)
{
    rt_status st;
    const struct message *own = &m->unknown_text;
    const bool given = own->at != NULL;
    TRY(bpe_add(&m->t->bpe, m->t->ctx, given ? (const char *)own->at : " \xe2\x81\x87 ",
                given ? (size_t)(own->end - own->at) : 5, id, true));
    m->t->bpe.unknown = id;
    TRY(text_add_added(m->t, p->text, p->size, id, true));

fail:
    return st;
}

static rt_status add_piece(struct model *m, const struct piece *p, uint32_t id)
{
    rt_status st;
    struct text_tokenizer *t = m->t;
    const int byte = text_byte_of(p->text, p->size);
    m->scores[id] = p->score;
    m->never[id] = p->kind != KIND_NORMAL && p->kind != KIND_USER;
    if (p->size == 0 || isnan(p->score) || (p->kind == KIND_BYTE && byte < 0))
        return rt_fail(t->ctx, RT_ERR_INPUT,
                       "'%s': piece %u, '%.*s', has no text or no score, or is no byte; "
                       "the file is damaged, get it again",
                       t->path, id, p->size < 40 ? (int)p->size : 40, p->text);
    switch (p->kind) {
    case KIND_BYTE:
        return text_add_byte(t, byte, id);
    case KIND_UNKNOWN:
        return add_unknown(m, p, id);
    case KIND_CONTROL:
        TRY(bpe_add(&t->bpe, t->ctx, p->text, p->size, id, true));
        return text_add_added(t, p->text, p->size, id, true);
    case KIND_USER:
        TRY(text_add_piece(t, p->text, p->size, id, false));
        return text_add_added(t, p->text, p->size, id, false);
    case KIND_NORMAL:
        return text_add_piece(t, p->text, p->size, id, false);
    default:
        return rt_fail(t->ctx, RT_ERR_INPUT,
                       "'%s': piece %u, '%.*s', is of kind %llu (unused pieces have 5), "
                       "which is not supported",
                       t->path, id, p->size < 40 ? (int)p->size : 40, p->text,
                       (unsigned long long)p->kind);
    }

fail:
    return st;
}

static rt_status read_pieces(struct model *m, struct message all)
{
    rt_status st;
    struct field f;
    bool good = true;
    uint32_t id = 0;
    TRY(bpe_init(&m->t->bpe, m->t->ctx, m->count));
    m->scores = rt_alloc(m->t->ctx, m->count, sizeof *m->scores);
    m->never = rt_alloc(m->t->ctx, m->count, sizeof *m->never);
    if (!m->scores || !m->never)
        return rt_fail(m->t->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", m->t->path);
    while (next_field(&all, &f, &good)) {
        struct piece p;
        if (!is(&f, 1, WIRE_BYTES))
            continue;
        if (!read_piece(f.bytes, &p))
            return damaged(m, "a piece cannot be read");
        TRY(add_piece(m, &p, id++));
    }
    TRY(bpe_rank(&m->t->bpe, m->t->ctx, m->scores, m->never, m->count));

fail:
    return st;
}

rt_status text_sentencepiece_walk(struct rt_ctx *ctx, const char *path,
                                  const uint8_t *data, size_t size,
                                  rt_status (*piece)(void *user, uint32_t id,
                                                     const char *text, size_t size,
                                                     int32_t kind, float score),
                                  void *user)
{
    struct field f;
    bool good = true;
    uint32_t id = 0;
    struct message all = { data, data + size };
    while (next_field(&all, &f, &good)) {
        struct piece p;
        if (!is(&f, 1, WIRE_BYTES))
            continue;
        if (!read_piece(f.bytes, &p))
            break;
        const rt_status st =
            piece(user, id++, p.text, p.size, (int32_t)(p.kind & 7), p.score);
        if (st != RT_OK)
            return st;
    }
    return good ? RT_OK
                : rt_fail(
                      ctx, RT_ERR_INPUT,
                      "'%s': a piece cannot be read; the file is damaged, get it again",
                      path);
}

rt_status text_load_sentencepiece(struct text_tokenizer *t, const uint8_t *data,
                                  size_t size, const json_t *config)
{
    rt_status st;
    struct model m = {
        .t = t, .type = 1, .bos = 1, .prefix = 1, .one_space = 1, .escape = 1
    };
    if (size == 0)
        return rt_fail(t->ctx, RT_ERR_INPUT, "'%s' is empty", t->path);
    const struct message all = { data, data + size };
    TRY(scan(&m, all));
    TRY(read_specs(&m));
    TRY(check_supported(&m));
    TRY(read_pieces(&m, all));
    t->marks_are_spaces = true;
    t->one_space = m.one_space != 0;
    t->prefix = m.prefix ? TEXT_PREFIX_SPECIAL : TEXT_PREFIX_NONE;
    t->strip = m.prefix != 0;
    t->prefix_stands_alone = true;
    /* Llama's way unless the folder says otherwise; the file itself says nothing. */
    if (!json_is_false(json_object_get(config, "add_bos_token")) && m.bos < m.count &&
        t->bpe.tokens[m.bos].special)
        t->bos = (uint32_t)m.bos;

fail:
    rt_free(m.scores);
    rt_free(m.never);
    return st;
}

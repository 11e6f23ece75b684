/* runtime/text/tokenizer_decode.c
 * Ids to text, at once or as they come. */
#include "runtime/text/tokenizer_impl.h"

#include "runtime/base/utf8.h"

#include <assert.h>
#include <string.h>

/* The bytes of an id. Spaces that encoding put before a text are taken from its start
 * again, which makes the text begun: `strip` of them, or all of the first token. */
static const uint8_t *piece(const struct text_tokenizer *t, uint32_t id,
                            bool skip_special, bool *begun, size_t *size)
{
    const uint8_t *bytes = bpe_text(&t->bpe, id, size);
    const bool special = *size && t->bpe.tokens[id].special;
    const bool there = *size > 0;
    if (special && skip_special)
        *size = 0;
    if (!*begun && *size && !(special && t->marks_are_spaces)) {
        uint32_t n = 0;
        for (; *size && bytes[0] == ' ' && (t->strip_token || n < t->strip); n++) {
            *size -= 1;
            bytes++;
        }
        *begun = n && (*size || !t->one_space);
    }
    *begun |= *size > 0 || (there && t->strip_token && !(special && skip_special));
    return bytes;
}

/* Fresh memory with `room` bytes in front. */
static rt_status decode(const struct text_tokenizer *t, const uint32_t *ids,
                        uint32_t count, bool skip_special, bool *begun, size_t room,
                        char **out, size_t *size)
{
    size_t length, n = room;
    for (uint32_t i = 0; i < count; i++) {
        bpe_text(&t->bpe, ids[i], &length);
        n += length;
    }
    const size_t most = n;
    *out = rt_alloc(t->ctx, n + 1, 1);
    if (!*out)
        return rt_fail(t->ctx, RT_ERR_HOST_MEMORY, "decoding: no memory");
    n = room;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *bytes = piece(t, ids[i], skip_special, begun, &length);
        memcpy(*out + n, bytes, length);
        n += length;
    }
    assert(n <= most);
    *size = n;
    return RT_OK;
}

rt_status text_decode(const struct text_tokenizer *t, const uint32_t *ids, uint32_t count,
                      bool skip_special, char **text, size_t *size)
{
    bool begun = false;
    return decode(t, ids, count, skip_special, &begun, 0, text, size);
}

/* ---- as they come ---- */

void text_stream_init(struct text_stream *s, const struct text_tokenizer *tok,
                      bool skip_special)
{
    *s = (struct text_stream){ .tok = tok, .skip_special = skip_special };
}

rt_status text_stream_push(struct text_stream *s, const uint32_t *ids, uint32_t count,
                           char **text, size_t *size)
{
    char *bytes;
    size_t n;
    *text = NULL;
    *size = 0;
    rt_status st = decode(s->tok, ids, count, s->skip_special, &s->begun, s->pending_size,
                          &bytes, &n);
    if (st != RT_OK)
        return st;
    memcpy(bytes, s->pending, s->pending_size);
    const size_t whole = text_whole_characters(bytes, n);
    *text = utf8_repaired(s->tok->ctx, bytes, whole, size);
    if (*text) {
        assert(whole <= n && n - whole < sizeof s->pending); /* a part of a character */
        s->pending_size = n - whole;
        memcpy(s->pending, bytes + whole, s->pending_size);
    } else {
        st = rt_fail(s->tok->ctx, RT_ERR_HOST_MEMORY, "decoding: no memory");
    }
    rt_free(bytes);
    return st;
}

rt_status text_stream_end(struct text_stream *s, char **text, size_t *size)
{
    *text = utf8_repaired(s->tok->ctx, s->pending, s->pending_size, size);
    if (!*text)
        return rt_fail(s->tok->ctx, RT_ERR_HOST_MEMORY, "decoding: no memory");
    text_stream_init(s, s->tok, s->skip_special);
    return RT_OK;
}

const char *text_token_bytes(const struct text_tokenizer *t, uint32_t id, size_t *size)
{
    bool begun = true;
    return (const char *)piece(t, id, true, &begun, size);
}

/* Whether a token is white space alone, as some vocabularies have it. */
static bool is_white(const struct text_added *a)
{
    for (size_t i = 0; i < a->size; i++)
        if (!strchr(" \t\n\v\f\r", a->text[i]) || !a->text[i])
            return false;
    return true;
}

uint32_t text_mark_find(const struct text_tokenizer *t, const char *text, size_t *at,
                        size_t *size)
{
    const size_t end = strlen(text);
    for (*at = 0; *at < end; ++*at)
        for (uint32_t i = 0; i < t->added_count; i++) { /* longest first */
            const struct text_added *a = &t->added[i];
            *size = a->size;
            if (a->size && a->size <= end - *at && !is_white(a) &&
                memcmp(a->text, text + *at, a->size) == 0)
                return a->id;
        }
    *size = 0;
    return UINT32_MAX;
}

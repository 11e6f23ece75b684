/* runtime/text/tokenizer_normal.c
 * Normal forms and lower case, as the tokenizers package has them: its tables are those of
 * Unicode 9, so newer code points are taken out before utf8proc sees the text. */
#include "runtime/text/tokenizer_impl.h"

#include "runtime/text/tokenizer_unicode.h"

#include <assert.h>
#include <string.h>
#include <utf8proc.h>

size_t text_white_at(const char *text, size_t left)
{
    uint32_t c;
    const size_t n = text_character(text, left, &c);
    return text_is_white(c) ? n : 0;
}

size_t text_white_before(const char *text, size_t from, size_t end)
{
    assert(from <= end);
    while (end > from) {
        size_t at = end - 1;
        while (at > from && ((uint8_t)text[at] & 0xc0) == 0x80)
            at--;
        if (text_white_at(text + at, end - at) != end - at)
            break;
        end = at;
    }
    return end;
}

struct normalizing {
    struct rt_ctx *ctx;
    char *out;
    size_t size, capacity;
};

static rt_status put(struct normalizing *n, const void *bytes, size_t size)
{
    if (n->size + size > n->capacity) {
        const size_t capacity = 2 * (n->size + size) + 64;
        char *grown = rt_resize(n->ctx, n->out, n->capacity, capacity, 1);
        if (!grown)
            return rt_fail(n->ctx, RT_ERR_HOST_MEMORY, "encoding: no memory");
        n->out = grown;
        n->capacity = capacity;
    }
    if (size)
        memcpy(n->out + n->size, bytes, size);
    n->size += size;
    return RT_OK;
}

static rt_status put_mapped(struct normalizing *n, const char *text, size_t size,
                            utf8proc_option_t form)
{
    uint8_t *mapped = NULL;
    if (size == 0)
        return RT_OK;
    const utf8proc_ssize_t got =
        utf8proc_map((const uint8_t *)text, (utf8proc_ssize_t)size, &mapped, form);
    if (got < 0)
        return rt_fail(n->ctx, RT_ERR_HOST_MEMORY, "encoding: cannot normalise");
    const rt_status st = put(n, mapped, (size_t)got);
    rt_free(mapped); /* of utf8proc, which takes it from malloc */
    return st;
}

static rt_status put_form(struct normalizing *n, const char *text, size_t size,
                          utf8proc_option_t form)
{
    rt_status st;
    size_t from = 0, step;
    for (size_t i = 0; i < size; i += step) {
        uint32_t c;
        step = text_character(text + i, size - i, &c);
        if (c < 0x7fd || !text_is_unmoved(c))
            continue;
        TRY(put_mapped(n, text + from, i - from, form));
        TRY(put(n, text + i, step));
        from = i + step;
    }
    TRY(put_mapped(n, text + from, size - from, form));

fail:
    return st;
}

static rt_status put_lower(struct normalizing *n, const char *text, size_t size)
{
    rt_status st;
    size_t step;
    for (size_t i = 0; i < size; i += step) {
        uint32_t c;
        char out[4];
        step = text_character(text + i, size - i, &c);
        if (c == 0x130)
            TRY(put(n, "i\xcc\x87", 3));
        else
            TRY(put(n, out, text_put_character(text_lower(c), out)));
    }
    return RT_OK;

fail:
    return st;
}

static utf8proc_option_t form_of(enum text_step_kind kind)
{
    const bool compose = kind == TEXT_STEP_NFC || kind == TEXT_STEP_NFKC;
    const bool compatible = kind == TEXT_STEP_NFKC || kind == TEXT_STEP_NFKD;
    return (utf8proc_option_t)(UTF8PROC_STABLE |
                               (compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) |
                               (compatible ? UTF8PROC_COMPAT : 0));
}

rt_status text_normalized(struct rt_ctx *ctx, enum text_step_kind kind, const char *text,
                          size_t size, char **out, size_t *out_size)
{
    struct normalizing n = { .ctx = ctx };
    rt_status st = put(&n, "", 0);
    size_t ascii = 0;
    while (ascii < size && (uint8_t)text[ascii] < 0x80)
        ascii++;
    if (st == RT_OK && kind == TEXT_STEP_LOWERCASE)
        st = put_lower(&n, text, size);
    else if (st == RT_OK && ascii == size)
        st = put(&n, text, size);
    else if (st == RT_OK)
        st = put_form(&n, text, size, form_of(kind));
    *out = st == RT_OK ? n.out : NULL;
    *out_size = st == RT_OK ? n.size : 0;
    if (st != RT_OK)
        rt_free(n.out);
    return st;
}

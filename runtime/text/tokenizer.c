/* runtime/text/tokenizer.c
 * Loading in general, and encoding. */
#include "runtime/text/tokenizer_impl.h"

#include "runtime/base/file.h"
#include "runtime/format/gguf.h"
#include "runtime/base/utf8.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* ---- what loaders share ---- */

rt_status text_add_pattern(struct text_tokenizer *t, const char *text)
{
    int error;
    PCRE2_SIZE at;
    struct text_pattern *p = &t->patterns[t->pattern_count];
    if (t->pattern_count == TEXT_PATTERNS_MAX)
        return rt_fail(t->ctx, RT_ERR_INPUT,
                       "'%s': more than %d splitting patterns are not supported", t->path,
                       (int)TEXT_PATTERNS_MAX);
    p->code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
                            PCRE2_UTF | PCRE2_UCP, &error, &at, NULL);
    if (!p->code)
        return rt_fail(t->ctx, RT_ERR_INPUT,
                       "'%s': the splitting pattern does not compile", t->path);
    t->pattern_count++;
    pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE); /* slower without, not wrong */
    p->match = pcre2_match_data_create_from_pattern(p->code, NULL);
    return p->match ? RT_OK
                    : rt_fail(t->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", t->path);
}

rt_status text_add_added(struct text_tokenizer *t, const char *text, size_t size,
                         uint32_t id, bool special)
{
    if (t->added_count == t->added_capacity) {
        const uint32_t capacity = 2 * t->added_capacity + 64;
        struct text_added *list =
            rt_resize(t->ctx, t->added, t->added_capacity, capacity, sizeof *list);
        if (!list)
            return rt_fail(t->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", t->path);
        t->added = list;
        t->added_capacity = capacity;
    }
    struct text_added *a = &t->added[t->added_count];
    *a = (struct text_added){ .size = size, .id = id, .special = special };
    a->text = rt_alloc(t->ctx, size + 1, 1);
    if (!a->text)
        return rt_fail(t->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", t->path);
    memcpy(a->text, text, size);
    t->added_count++;
    t->added_first[(uint8_t)text[0]] = true;
    t->bpe.tokens[id].special = special;
    return RT_OK;
}

static int longer_first(const void *a, const void *b)
{
    const struct text_added *x = a, *y = b;
    return x->size > y->size ? -1 : x->size < y->size;
}

void text_sort_added(struct text_tokenizer *t)
{
    if (t->added_count)
        qsort(t->added, t->added_count, sizeof *t->added, longer_first);
}

/* Marks to spaces; returns the new size, which is not larger. out may be text. */
static size_t unmark(const char *text, size_t size, char *out)
{
    const size_t mark = sizeof TEXT_SPACE_MARK - 1;
    size_t n = 0;
    for (size_t i = 0; i < size;) {
        if (size - i >= mark && memcmp(text + i, TEXT_SPACE_MARK, mark) == 0) {
            out[n++] = ' ';
            i += mark;
        } else {
            out[n++] = text[i++];
        }
    }
    return n;
}

rt_status text_add_piece(struct text_tokenizer *t, const char *text, size_t size,
                         uint32_t id, bool hidden)
{
    char *spaced = rt_alloc(t->ctx, size, 1);
    if (!spaced)
        return rt_fail(t->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", t->path);
    const rt_status st =
        bpe_add(&t->bpe, t->ctx, spaced, unmark(text, size, spaced), id, hidden);
    rt_free(spaced);
    return st;
}

int text_byte_of(const char *text, size_t size)
{
    static const char digits[] = "0123456789ABCDEF";
    if (size != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>')
        return -1;
    const char *high = memchr(digits, text[3], 16), *low = memchr(digits, text[4], 16);
    return high && low ? (int)((high - digits) * 16 + (low - digits)) : -1;
}

rt_status text_add_byte(struct text_tokenizer *t, int byte, uint32_t id)
{
    const char c = (char)byte;
    if (t->bpe.byte_id[byte] == BPE_NO_ID)
        t->bpe.byte_id[byte] = id;
    return bpe_add(&t->bpe, t->ctx, &c, 1, id, true);
}

/* ---- loading ---- */

static rt_status load_gguf(struct text_tokenizer *t)
{
    struct fmt_gguf file;
    rt_status st = fmt_gguf_open(t->ctx, t->path, &file);
    if (st != RT_OK)
        return st;
    st = text_load_gguf(t, &file);
    fmt_gguf_close(&file);
    return st;
}

static rt_status load_model(struct text_tokenizer *t, const char *folder)
{
    rt_status st;
    struct fmt_map map = { 0 };
    json_t *config = NULL;
    char *path = fmt_path(t->ctx, folder, "tokenizer_config.json");
    if (!path)
        return rt_fail(t->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", folder);
    if (fmt_exists(path))
        TRY(fmt_json_read(t->ctx, path, &config));
    TRY(fmt_map_open(t->ctx, t->path, &map));
    TRY(text_load_sentencepiece(t, map.data, map.size, config));

fail:
    fmt_map_close(&map);
    json_decref(config);
    rt_free(path);
    return st;
}

static rt_status load_json(struct text_tokenizer *t)
{
    json_t *root;
    rt_status st = fmt_json_read(t->ctx, t->path, &root);
    if (st == RT_OK)
        st = text_load_json(t, root);
    json_decref(root);
    return st;
}

rt_status text_tokenizer_load(struct rt_ctx *ctx, const char *where,
                              struct text_tokenizer **out)
{
    rt_status st;
    *out = NULL;
    struct text_tokenizer *t = rt_alloc(ctx, 1, sizeof *t);
    char *json = fmt_path(ctx, where, "tokenizer.json");
    char *model = fmt_path(ctx, where, "tokenizer.model");
    if (!t || !json || !model) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", where);
        goto fail;
    }
    t->ctx = ctx;
    t->bos = BPE_NO_ID;
    if (fmt_gguf_is(where)) {
        t->path = where;
        TRY(load_gguf(t));
    } else if (!fmt_exists(json) && fmt_exists(model)) {
        t->path = model;
        TRY(load_model(t, where));
    } else {
        t->path = json; /* a missing one is named as such */
        TRY(load_json(t));
    }
    text_sort_added(t);
    *out = t;
    t = NULL;

fail:
    text_tokenizer_destroy(&t);
    rt_free(json);
    rt_free(model);
    return st;
}

void text_tokenizer_destroy(struct text_tokenizer **pt)
{
    struct text_tokenizer *t = *pt;
    if (!t)
        return;
    bpe_deinit(&t->bpe);
    for (uint32_t i = 0; i < t->pattern_count; i++) {
        pcre2_match_data_free(t->patterns[i].match);
        pcre2_code_free(t->patterns[i].code);
    }
    for (uint32_t i = 0; i < t->added_count; i++)
        rt_free(t->added[i].text);
    rt_free(t->added);
    rt_free(t);
    *pt = NULL;
}

uint32_t text_vocab_size(const struct text_tokenizer *t)
{
    return t->bpe.id_count;
}

uint32_t text_token_id(const struct text_tokenizer *t, const char *text)
{
    const size_t size = strlen(text);
    for (uint32_t i = 0; i < t->added_count; i++)
        if (t->added[i].size == size && memcmp(t->added[i].text, text, size) == 0)
            return t->added[i].id;
    return bpe_find(&t->bpe, text, size);
}

uint32_t text_bos_id(const struct text_tokenizer *t)
{
    return t->bos;
}

/* ---- encoding ---- */

struct ids {
    struct text_tokenizer *tok;
    uint32_t *list;
    uint32_t count, capacity;
    bool prefix; /* the next text starts with a space */
};

static rt_status ids_reserve(struct ids *ids, size_t more)
{
    if (ids->count + more <= ids->capacity)
        return RT_OK;
    const size_t capacity = 2 * (ids->count + more) + 64;
    uint32_t *list =
        capacity > UINT32_MAX
            ? NULL
            : rt_resize(ids->tok->ctx, ids->list, ids->capacity, capacity, sizeof *list);
    if (!list)
        return rt_fail(ids->tok->ctx, RT_ERR_HOST_MEMORY, "encoding: no memory");
    ids->list = list;
    ids->capacity = (uint32_t)capacity;
    return RT_OK;
}

static rt_status add_word(struct ids *ids, const char *text, size_t size)
{
    rt_status st = ids_reserve(ids, size);
    if (st == RT_OK)
        st = bpe_encode(&ids->tok->bpe, ids->tok->ctx, (const uint8_t *)text, size,
                        ids->list + ids->count, &ids->count);
    assert(st != RT_OK || ids->count <= ids->capacity);
    return st;
}

/* Splits by pattern `level`, what comes of it by the next one; matches and what lies
 * between them are pieces alike. Each pattern sees a piece as if it were all the text;
 * `seen` is what it sees of it, of the same size. */
static rt_status add_pieces(struct ids *ids, const char *text, const char *seen,
                            size_t size, uint32_t level)
{
    rt_status st;
    if (size == 0)
        return RT_OK;
    if (level == ids->tok->pattern_count)
        return add_word(ids, text, size);
    const struct text_pattern *p = &ids->tok->patterns[level];
    for (size_t at = 0, first, last; at < size; at = last) {
        const int found = pcre2_match(p->code, (PCRE2_SPTR)seen, size, at,
                                      PCRE2_NO_UTF_CHECK, p->match, NULL);
        if (found < 0 && found != PCRE2_ERROR_NOMATCH)
            return rt_fail(ids->tok->ctx, RT_ERR_INPUT,
                           "encoding: the splitting pattern fails (PCRE2 error %d)",
                           found);
        const PCRE2_SIZE *range = pcre2_get_ovector_pointer(p->match);
        first = found > 0 ? range[0] : size;
        last = found > 0 ? range[1] : size;
        if (last <= first) /* an empty match splits nothing */
            first = last = size;
        TRY(add_pieces(ids, text + at, seen + at, first - at, level + 1));
        TRY(add_pieces(ids, text + first, seen + first, last - first, level + 1));
    }
    return RT_OK;

fail:
    return st;
}

/* U+180E is white space to PCRE2 but not to Unicode since 6.3, nor to the tokenizers that
 * are followed here. Patterns see U+200B in its place, which is like it in all else. */
static rt_status split(struct ids *ids, const char *text, size_t size)
{
    enum { SIZE = 3 };
    size_t at = 0;
    while (at + SIZE <= size && memcmp(text + at, "\xe1\xa0\x8e", SIZE) != 0)
        at++;
    if (at + SIZE > size || ids->tok->pattern_count == 0)
        return add_pieces(ids, text, text, size, 0);
    char *seen = rt_alloc(ids->tok->ctx, size, 1);
    if (!seen)
        return rt_fail(ids->tok->ctx, RT_ERR_HOST_MEMORY, "encoding: no memory");
    memcpy(seen, text, size);
    for (; at + SIZE <= size; at++)
        if (memcmp(seen + at, "\xe1\xa0\x8e", SIZE) == 0)
            memcpy(seen + at, "\xe2\x80\x8b", SIZE);
    const rt_status st = add_pieces(ids, text, seen, size, 0);
    rt_free(seen);
    return st;
}

static bool starts_with_space(const char *text, size_t size)
{
    const size_t mark = sizeof TEXT_SPACE_MARK - 1;
    return size &&
           (text[0] == ' ' || (size >= mark && memcmp(text, TEXT_SPACE_MARK, mark) == 0));
}

/* The text as SentencePiece sees it: marks as spaces, a space before it. Fresh memory. */
static char *spaced(const struct ids *ids, const char *text, size_t *size)
{
    char *out = rt_alloc(ids->tok->ctx, *size + 1, 1);
    const bool put =
        ids->prefix && !(ids->tok->prefix_unless_space && starts_with_space(text, *size));
    if (!out)
        return NULL;
    out[0] = ' ';
    *size = (put ? 1 : 0) + unmark(text, *size, out + (put ? 1 : 0));
    return out;
}

/* Text without added tokens: normalise, split, merge. */
static rt_status add_plain(struct ids *ids, const char *text, size_t size)
{
    struct text_tokenizer *t = ids->tok;
    rt_status st;
    uint8_t *composed = NULL;
    char *own = NULL;
    if (size == 0 && !(ids->prefix && t->prefix_stands_alone))
        return RT_OK;
    if (t->nfc) {
        const utf8proc_ssize_t n =
            utf8proc_map((const uint8_t *)text, (utf8proc_ssize_t)size, &composed,
                         UTF8PROC_STABLE | UTF8PROC_COMPOSE);
        if (n < 0)
            return rt_fail(t->ctx, RT_ERR_HOST_MEMORY, "encoding: cannot normalise");
        text = (const char *)composed;
        size = (size_t)n;
    }
    if (t->marks_are_spaces) {
        own = spaced(ids, text, &size);
        if (!own) {
            st = rt_fail(t->ctx, RT_ERR_HOST_MEMORY, "encoding: no memory");
            goto fail;
        }
        text = own;
    }
    ids->prefix = false;
    TRY(split(ids, text, size));

fail:
    rt_free(composed);
    rt_free(own);
    return st;
}

/* The added token at this place, null: none. */
static const struct text_added *added_at(const struct text_tokenizer *t, const char *text,
                                         size_t left, bool special)
{
    assert(left > 0);
    if (!t->added_first[(uint8_t)*text])
        return NULL;
    for (uint32_t i = 0; i < t->added_count; i++)
        if ((special || !t->added[i].special) && t->added[i].size <= left &&
            memcmp(t->added[i].text, text, t->added[i].size) == 0)
            return &t->added[i];
    return NULL;
}

/* Length of the white space that starts here (White_Space of Unicode), 0: none. */
static size_t white_at(const char *text, size_t left)
{
    utf8proc_int32_t c;
    const utf8proc_ssize_t n =
        utf8proc_iterate((const uint8_t *)text, (utf8proc_ssize_t)left, &c);
    const bool white = (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 ||
                       c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
                       c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
    return n > 0 && white ? (size_t)n : 0;
}

/* Where the white space begins that ends at `end`, not before `from`. */
static size_t white_before(const char *text, size_t from, size_t end)
{
    assert(from <= end);
    while (end > from) {
        size_t at = end - 1;
        while (at > from && ((uint8_t)text[at] & 0xc0) == 0x80)
            at--;
        if (white_at(text + at, end - at) != end - at)
            break;
        end = at;
    }
    return end;
}

static rt_status add_added(struct ids *ids, const struct text_added *a)
{
    const rt_status st = ids_reserve(ids, 1);
    if (st != RT_OK)
        return st;
    assert(ids->count < ids->capacity);
    ids->list[ids->count++] = a->id;
    if (ids->tok->prefix >= (a->special ? TEXT_PREFIX_SPECIAL : TEXT_PREFIX_EVERY))
        ids->prefix = true;
    else if (!ids->tok->prefix_stands_alone)
        ids->prefix = false;
    return RT_OK;
}

static rt_status encode_valid(struct ids *ids, const char *text, size_t size,
                              bool special)
{
    rt_status st;
    size_t from = 0;
    for (size_t at = 0; at < size;) {
        const struct text_added *a = added_at(ids->tok, text + at, size - at, special);
        if (!a) {
            at++;
            continue;
        }
        const size_t end = a->eats_left ? white_before(text, from, at) : at;
        /* A special token ends one text and starts another: nothing stands before it. */
        if (end > from || !a->special)
            TRY(add_plain(ids, text + from, end - from));
        TRY(add_added(ids, a));
        at += a->size;
        for (size_t n = 1; a->eats_right && at < size && n; at += n)
            n = white_at(text + at, size - at);
        from = at;
    }
    assert(from <= size);
    if (size > from)
        TRY(add_plain(ids, text + from, size - from));
    return RT_OK;

fail:
    return st;
}

/* Runs of spaces to one, none at either end, where marks go too; returns the new size. */
static size_t one_space(char *text, size_t size)
{
    const size_t mark = sizeof TEXT_SPACE_MARK - 1;
    size_t n = 0;
    for (size_t i = 0; i < size; i++)
        if (text[i] != ' ' || (n && text[n - 1] != ' '))
            text[n++] = text[i];
    for (;;) {
        if (n && text[n - 1] == ' ')
            n--;
        else if (n >= mark && memcmp(text + n - mark, TEXT_SPACE_MARK, mark) == 0)
            n -= mark;
        else
            return n;
    }
}

rt_status text_encode(struct text_tokenizer *t, const char *text, size_t size,
                      bool special, uint32_t **out, uint32_t *count)
{
    struct ids ids = { .tok = t, .prefix = t->prefix != TEXT_PREFIX_NONE };
    *out = NULL;
    *count = 0;
    size_t valid_size;
    char *valid = utf8_repaired(t->ctx, text, size, &valid_size);
    if (!valid)
        return rt_fail(t->ctx, RT_ERR_HOST_MEMORY, "encoding: no memory");
    if (t->one_space)
        valid_size = one_space(valid, valid_size);
    rt_status st = ids_reserve(&ids, 1);
    if (st == RT_OK)
        st = encode_valid(&ids, valid, valid_size, special);
    rt_free(valid);
    if (st != RT_OK) {
        rt_free(ids.list);
        return st;
    }
    *out = ids.list;
    *count = ids.count;
    return RT_OK;
}

rt_status text_encode_prompt(struct text_tokenizer *t, const char *text, size_t size,
                             bool special, uint32_t **ids, uint32_t *count)
{
    const rt_status st = text_encode(t, text, size, special, ids, count);
    if (st != RT_OK || t->bos == BPE_NO_ID || (*count && **ids == t->bos))
        return st;
    uint32_t *longer = rt_resize(t->ctx, *ids, *count, *count + 1u, sizeof *longer);
    if (!longer) {
        rt_free(*ids);
        *ids = NULL;
        *count = 0;
        return rt_fail(t->ctx, RT_ERR_HOST_MEMORY, "no memory for the prompt");
    }
    memmove(longer + 1, longer, *count * sizeof *longer);
    longer[0] = t->bos;
    *ids = longer;
    ++*count;
    return RT_OK;
}

#define PCRE2_CODE_UNIT_WIDTH 8
#include "runtime/text/bpe.h"
#include "runtime/text/tokenizer.h"

#include "runtime/format/file.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static const char gpt2_pattern[] =
    "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

struct added {
    char *text;
    size_t size;
    uint32_t id;
    bool special;
};

struct text_tokenizer {
    struct rt_ctx *ctx; /* borrowed */
    struct bpe bpe;
    bool nfc;
    pcre2_code *pattern; /* null: no splitting */
    pcre2_match_data *match;
    struct added *added; /* longest first */
    uint32_t added_count;
};

/* ---- loading ---- */

static int longer_first(const void *a, const void *b)
{
    const struct added *x = a, *y = b;
    return x->size > y->size ? -1 : x->size < y->size;
}

static rt_status load_added(struct text_tokenizer *t, const char *path,
                            const json_t *list)
{
    const size_t n = json_array_size(list);
    t->added = rt_alloc(t->ctx, n, sizeof *t->added);
    if (!t->added)
        return rt_fail(t->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", path);
    for (size_t i = 0; i < n; i++) {
        const json_t *entry = json_array_get(list, i);
        const json_t *content = json_object_get(entry, "content");
        const json_t *id = json_object_get(entry, "id");
        if (!json_is_string(content) || json_string_length(content) == 0 ||
            !json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) > BPE_ID_MAX)
            return rt_fail(t->ctx, RT_ERR_INPUT, "'%s': added token %zu is not valid",
                           path, i);
        struct added *a = &t->added[t->added_count];
        a->size = json_string_length(content);
        a->text = rt_strdup(t->ctx, json_string_value(content));
        a->id = (uint32_t)json_integer_value(id);
        a->special = json_is_true(json_object_get(entry, "special"));
        if (!a->text)
            return rt_fail(t->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", path);
        t->added_count++;
        const rt_status st = bpe_add(&t->bpe, t->ctx, a->text, a->size, a->id);
        if (st != RT_OK)
            return st;
    }
    qsort(t->added, t->added_count, sizeof *t->added, longer_first);
    return RT_OK;
}

static rt_status set_pattern(struct text_tokenizer *t, const char *path, const char *text)
{
    int error;
    PCRE2_SIZE at;
    t->pattern = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
                               PCRE2_UTF | PCRE2_UCP, &error, &at, NULL);
    if (!t->pattern)
        return rt_fail(t->ctx, RT_ERR_INPUT,
                       "'%s': the splitting pattern does not compile", path);
    pcre2_jit_compile(t->pattern, PCRE2_JIT_COMPLETE); /* slower without, not wrong */
    t->match = pcre2_match_data_create_from_pattern(t->pattern, NULL);
    return t->match ? RT_OK
                    : rt_fail(t->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", path);
}

/* One pre-tokenizer: a Split by pattern, or ByteLevel with GPT-2's. */
static rt_status load_pre(struct text_tokenizer *t, const char *path, const json_t *pre)
{
    const char *type = json_string_value(json_object_get(pre, "type"));
    if (!type)
        return RT_OK;
    if (strcmp(type, "Sequence") == 0) {
        const json_t *list = json_object_get(pre, "pretokenizers");
        for (size_t i = 0; i < json_array_size(list); i++) {
            const json_t *part = json_array_get(list, i);
            const char *inner = json_string_value(json_object_get(part, "type"));
            if (inner && strcmp(inner, "Sequence") == 0)
                return rt_fail(
                    t->ctx, RT_ERR_INPUT,
                    "'%s': pre-tokenizers nested in each other are not supported", path);
            const rt_status st = load_pre(t, path, part);
            if (st != RT_OK)
                return st;
        }
        return RT_OK;
    }
    const json_t *pattern = json_object_get(json_object_get(pre, "pattern"), "Regex");
    const bool gpt2 = strcmp(type, "ByteLevel") == 0;
    if (gpt2 && json_is_true(json_object_get(pre, "add_prefix_space")))
        return rt_fail(t->ctx, RT_ERR_INPUT, "'%s': add_prefix_space is not supported",
                       path);
    if (gpt2 && json_is_false(json_object_get(pre, "use_regex")))
        return RT_OK;
    if (!gpt2 && (strcmp(type, "Split") != 0 || !json_is_string(pattern)))
        return rt_fail(t->ctx, RT_ERR_INPUT, "'%s': pre-tokenizer '%s' is not supported",
                       path, type);
    if (t->pattern)
        return rt_fail(
            t->ctx, RT_ERR_INPUT,
            "'%s': two splitting patterns one after the other are not supported", path);
    return set_pattern(t, path, gpt2 ? gpt2_pattern : json_string_value(pattern));
}

static rt_status load_root(struct text_tokenizer *t, const char *path, const json_t *root)
{
    rt_status st;
    const json_t *model = json_object_get(root, "model");
    const json_t *normalizer = json_object_get(root, "normalizer");
    const char *kind = json_string_value(json_object_get(normalizer, "type"));
    const char *type = json_string_value(json_object_get(model, "type"));
    if (!type || strcmp(type, "BPE") != 0)
        return rt_fail(t->ctx, RT_ERR_INPUT,
                       "'%s': a tokenizer of type '%s'; BPE is "
                       "supported",
                       path, type ? type : "(none)");
    if (kind && strcmp(kind, "NFC") != 0)
        return rt_fail(t->ctx, RT_ERR_INPUT,
                       "'%s': normalizer '%s' is not supported; NFC "
                       "is",
                       path, kind);
    t->nfc = kind != NULL;
    TRY(bpe_load(&t->bpe, t->ctx, path, model));
    TRY(load_pre(t, path, json_object_get(root, "pre_tokenizer")));
    TRY(load_added(t, path, json_object_get(root, "added_tokens")));
    return RT_OK;

fail:
    return st;
}

rt_status text_tokenizer_load(struct rt_ctx *ctx, const char *folder,
                              struct text_tokenizer **out)
{
    rt_status st;
    *out = NULL;
    json_t *root = NULL;
    struct text_tokenizer *t = rt_alloc(ctx, 1, sizeof *t);
    char *path = fmt_path(ctx, folder, "tokenizer.json");
    if (!t || !path) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", folder);
        goto fail;
    }
    t->ctx = ctx;
    TRY(fmt_json_read(ctx, path, &root));
    TRY(load_root(t, path, root));
    *out = t;
    t = NULL;

fail:
    text_tokenizer_destroy(&t);
    json_decref(root);
    rt_free(path);
    return st;
}

void text_tokenizer_destroy(struct text_tokenizer **pt)
{
    struct text_tokenizer *t = *pt;
    if (!t)
        return;
    bpe_deinit(&t->bpe);
    pcre2_match_data_free(t->match);
    pcre2_code_free(t->pattern);
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
    return bpe_find(&t->bpe, text, strlen(text));
}

/* ---- encoding ---- */

struct ids {
    struct rt_ctx *ctx;
    uint32_t *list;
    uint32_t count, capacity;
};

static rt_status ids_reserve(struct ids *ids, size_t more)
{
    if (ids->count + more <= ids->capacity)
        return RT_OK;
    const size_t capacity = 2 * (ids->count + more) + 64;
    uint32_t *list = capacity > UINT32_MAX ? NULL
                                           : rt_resize(ids->ctx, ids->list, ids->capacity,
                                                       capacity, sizeof *list);
    if (!list)
        return rt_fail(ids->ctx, RT_ERR_HOST_MEMORY, "encoding: no memory");
    ids->list = list;
    ids->capacity = (uint32_t)capacity;
    return RT_OK;
}

static rt_status add_word(struct text_tokenizer *t, const char *text, size_t size,
                          struct ids *ids)
{
    rt_status st = ids_reserve(ids, size);
    if (st == RT_OK)
        st = bpe_encode(&t->bpe, t->ctx, (const uint8_t *)text, size,
                        ids->list + ids->count, &ids->count);
    return st;
}

/* Text without added tokens: normalise, split, merge. */
static rt_status add_plain(struct text_tokenizer *t, const char *text, size_t size,
                           struct ids *ids)
{
    rt_status st = RT_OK;
    uint8_t *composed = NULL;
    if (size == 0)
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
    size_t at = 0;
    while (at < size) {
        size_t first = at, last = size;
        if (t->pattern) {
            const int found = pcre2_match(t->pattern, (PCRE2_SPTR)text, size, at,
                                          PCRE2_NO_UTF_CHECK, t->match, NULL);
            const PCRE2_SIZE *range = pcre2_get_ovector_pointer(t->match);
            first = found > 0 ? range[0] : size;
            last = found > 0 ? range[1] : size;
            if (found > 0 && last == first) /* an empty match splits nothing */
                first = last = size;
        }
        if (first > at)
            TRY(add_word(t, text + at, first - at, ids));
        if (last > first)
            TRY(add_word(t, text + first, last - first, ids));
        at = last;
    }

fail:
    rt_free(composed);
    return st;
}

/* The added token at this place, null: none. */
static const struct added *added_at(const struct text_tokenizer *t, const char *text,
                                    size_t left, bool special)
{
    for (uint32_t i = 0; i < t->added_count; i++)
        if ((special || !t->added[i].special) && t->added[i].size <= left &&
            memcmp(t->added[i].text, text, t->added[i].size) == 0)
            return &t->added[i];
    return NULL;
}

/* Length of the valid UTF-8 character at p, or 0; *bad is then what U+FFFD replaces. */
static size_t character(const uint8_t *p, size_t left, size_t *bad)
{
    static const struct {
        uint8_t from, to, length, low, high; /* of the second byte */
    } leads[] = {
        { 0xc2, 0xdf, 2, 0x80, 0xbf }, { 0xe0, 0xe0, 3, 0xa0, 0xbf },
        { 0xe1, 0xec, 3, 0x80, 0xbf }, { 0xed, 0xed, 3, 0x80, 0x9f },
        { 0xee, 0xef, 3, 0x80, 0xbf }, { 0xf0, 0xf0, 4, 0x90, 0xbf },
        { 0xf1, 0xf3, 4, 0x80, 0xbf }, { 0xf4, 0xf4, 4, 0x80, 0x8f },
    };
    *bad = 1;
    if (p[0] < 0x80)
        return 1;
    for (size_t i = 0; i < RT_COUNT(leads); i++) {
        if (p[0] < leads[i].from || p[0] > leads[i].to)
            continue;
        size_t n = 1;
        while (n < leads[i].length && n < left) {
            const uint8_t low = n == 1 ? leads[i].low : 0x80;
            const uint8_t high = n == 1 ? leads[i].high : 0xbf;
            if (p[n] < low || p[n] > high)
                break;
            n++;
        }
        *bad = n;
        return n == leads[i].length ? n : 0;
    }
    return 0;
}

/* A copy of text in which every bad sequence is U+FFFD. */
static char *repaired(struct rt_ctx *ctx, const char *text, size_t size, size_t *out_size)
{
    char *out = rt_alloc(ctx, 3 * size + 1, 1);
    size_t n = 0, bad;
    for (size_t i = 0; out && i < size;) {
        const size_t good = character((const uint8_t *)text + i, size - i, &bad);
        if (good) {
            memcpy(out + n, text + i, good);
            n += good;
            i += good;
        } else {
            memcpy(out + n, "\xef\xbf\xbd", 3);
            n += 3;
            i += bad;
        }
    }
    *out_size = n;
    return out;
}

static rt_status encode_valid(struct text_tokenizer *t, const char *text, size_t size,
                              bool special, struct ids *ids)
{
    rt_status st;
    size_t from = 0;
    for (size_t at = 0; at < size;) {
        const struct added *a = added_at(t, text + at, size - at, special);
        if (!a) {
            at++;
            continue;
        }
        TRY(add_plain(t, text + from, at - from, ids));
        TRY(ids_reserve(ids, 1));
        ids->list[ids->count++] = a->id;
        at += a->size;
        from = at;
    }
    TRY(add_plain(t, text + from, size - from, ids));
    return RT_OK;

fail:
    return st;
}

rt_status text_encode(struct text_tokenizer *t, const char *text, size_t size,
                      bool special, uint32_t **out, uint32_t *count)
{
    struct ids ids = { .ctx = t->ctx };
    *out = NULL;
    *count = 0;
    size_t valid_size;
    char *valid = repaired(t->ctx, text, size, &valid_size);
    if (!valid)
        return rt_fail(t->ctx, RT_ERR_HOST_MEMORY, "encoding: no memory");
    rt_status st = ids_reserve(&ids, 1);
    if (st == RT_OK)
        st = encode_valid(t, valid, valid_size, special, &ids);
    rt_free(valid);
    if (st != RT_OK) {
        rt_free(ids.list);
        return st;
    }
    *out = ids.list;
    *count = ids.count;
    return RT_OK;
}

/* ---- decoding ---- */

static bool is_special(const struct text_tokenizer *t, uint32_t id)
{
    for (uint32_t i = 0; i < t->added_count; i++)
        if (t->added[i].id == id)
            return t->added[i].special;
    return false;
}

rt_status text_decode(const struct text_tokenizer *t, const uint32_t *ids, uint32_t count,
                      bool skip_special, char **text, size_t *size)
{
    size_t length, n = 0;
    *text = NULL;
    for (uint32_t i = 0; i < count; i++) {
        bpe_text(&t->bpe, ids[i], &length);
        n += length;
    }
    char *out = rt_alloc(t->ctx, n + 1, 1);
    if (!out)
        return rt_fail(t->ctx, RT_ERR_HOST_MEMORY, "decoding: no memory");
    n = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *bytes = bpe_text(&t->bpe, ids[i], &length);
        if (skip_special && is_special(t, ids[i]))
            continue;
        memcpy(out + n, bytes, length);
        n += length;
    }
    *text = out;
    *size = n;
    return RT_OK;
}

size_t text_whole_characters(const char *text, size_t size)
{
    const uint8_t *p = (const uint8_t *)text;
    for (size_t back = 1; back <= 3 && back <= size; back++) {
        const uint8_t lead = p[size - back];
        if (lead < 0x80)
            return size;
        if (lead < 0xc0)
            continue;
        const size_t need = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
        return back < need ? size - back : size;
    }
    return size;
}

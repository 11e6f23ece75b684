/* runtime/text/tokenizer_steps_json.c
 * The normalizer, pre_tokenizer and decoder of a tokenizer.json, as steps. One that is not
 * known is refused: reading past it would give ids that are nearly right. */
#include "runtime/text/tokenizer_json.h"

#include <string.h>

enum { NESTED_MAX = 8 };

/* Numbers of Rust's char::is_numeric, whose tables are newer than PCRE2's. */
#define NUMERIC                                                              \
    "[\\p{N}\\x{10d40}-\\x{10d49}\\x{116d0}-\\x{116e3}\\x{11bf0}-\\x{11bf9}" \
    "\\x{11de0}-\\x{11de9}\\x{11f50}-\\x{11f59}\\x{16130}-\\x{16139}"        \
    "\\x{16d70}-\\x{16d79}\\x{16ff4}-\\x{16ff6}\\x{1ccf0}-\\x{1ccf9}"        \
    "\\x{1d2c0}-\\x{1d2d3}\\x{1e4f0}-\\x{1e4f9}\\x{1e5f1}-\\x{1e5fa}]"

static bool is_type(const json_t *object, const char *type)
{
    return text_json_is(json_object_get(object, "type"), type);
}

static bool is_on(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static rt_status set_text(struct text_tokenizer *t, struct text_step *step,
                          const json_t *text)
{
    if (!json_is_string(text))
        return rt_fail(t->ctx, RT_ERR_INPUT, "'%s': a step has no text", t->path);
    step->size = json_string_length(text);
    step->text = rt_alloc(t->ctx, step->size + 1, 1);
    if (!step->text)
        return rt_fail(t->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", t->path);
    memcpy(step->text, json_string_value(text), step->size);
    return RT_OK;
}

/* { "String": ... } or { "Regex": ... } */
static rt_status set_pattern(struct text_tokenizer *t, struct text_step *step,
                             const json_t *object, const char *whose)
{
    const json_t *pattern = json_object_get(object, "pattern");
    const json_t *regex = json_object_get(pattern, "Regex");
    const json_t *text = regex ? regex : json_object_get(pattern, "String");
    if (!json_is_string(text))
        return text_json_refuse(t, whose, "without Regex and String");
    return text_pattern_init(&step->pattern, t->ctx, t->path, json_string_value(text),
                             json_string_length(text),
                             regex ? TEXT_ONIGURUMA : TEXT_LITERAL);
}

/* ---- normalizers ---- */

static rt_status load_normalizer(struct text_tokenizer *t, const json_t *object)
{
    rt_status st;
    static const struct {
        const char *name;
        enum text_step_kind kind;
    } kinds[] = {
        { "NFC", TEXT_STEP_NFC },         { "NFD", TEXT_STEP_NFD },
        { "NFKC", TEXT_STEP_NFKC },       { "NFKD", TEXT_STEP_NFKD },
        { "Strip", TEXT_STEP_STRIP },     { "Lowercase", TEXT_STEP_LOWERCASE },
        { "Prepend", TEXT_STEP_PREPEND }, { "Replace", TEXT_STEP_REPLACE },
        { "ByteLevel", TEXT_STEP_BYTES },
    };
    size_t i = 0;
    while (i < RT_COUNT(kinds) && !is_type(object, kinds[i].name))
        i++;
    if (i == RT_COUNT(kinds))
        return text_json_refuse(t, "normalizer",
                                json_string_value(json_object_get(object, "type")));
    struct text_step *step = text_step_new(t, &t->normalizers, kinds[i].kind);
    if (!step)
        return RT_ERR_INPUT;
    step->left = is_on(object, "strip_left");
    step->right = is_on(object, "strip_right");
    if (step->kind == TEXT_STEP_PREPEND)
        TRY(set_text(t, step, json_object_get(object, "prepend")));
    if (step->kind == TEXT_STEP_REPLACE) {
        TRY(set_text(t, step, json_object_get(object, "content")));
        TRY(set_pattern(t, step, object, "normalizer Replace"));
    }
    t->byte_level |= step->kind == TEXT_STEP_BYTES;
    return RT_OK;

fail:
    return st;
}

/* A step, or a Sequence of them, which may hold more. */
static rt_status load_all(struct text_tokenizer *t, const json_t *object,
                          const char *list_name, uint32_t depth,
                          rt_status (*load)(struct text_tokenizer *t, const json_t *step))
{
    const json_t *list = json_object_get(object, list_name);
    if (!object || json_is_null(object))
        return RT_OK;
    if (!is_type(object, "Sequence"))
        return load(t, object);
    if (depth == NESTED_MAX)
        return text_json_refuse(t, "a Sequence in so many others", list_name);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const rt_status st =
            load_all(t, json_array_get(list, i), list_name, depth + 1, load);
        if (st != RT_OK)
            return st;
    }
    return RT_OK;
}

rt_status text_load_normalizer(struct text_tokenizer *t, const json_t *object)
{
    return load_all(t, object, "normalizers", 0, load_normalizer);
}

/* ---- pre-tokenizers: each of them splits further what the ones before have left ---- */

static rt_status behavior_of(struct text_tokenizer *t, const json_t *value,
                             enum text_behavior *out)
{
    static const char *const names[] = { "Isolated", "Removed", "Contiguous",
                                         "MergedWithPrevious", "MergedWithNext" };
    *out = TEXT_ISOLATED;
    for (size_t i = 0; i < RT_COUNT(names); i++)
        if (text_json_is(value, names[i])) {
            *out = (enum text_behavior)i;
            return RT_OK;
        }
    return !value ? RT_OK
                  : text_json_refuse(t, "behavior of a pre-tokenizer",
                                     json_string_value(value));
}

static rt_status load_split(struct text_tokenizer *t, const json_t *object)
{
    struct text_step *step = text_step_new(t, &t->splitters, TEXT_STEP_SPLIT);
    if (!step)
        return RT_ERR_INPUT;
    step->invert = is_on(object, "invert");
    const rt_status st =
        behavior_of(t, json_object_get(object, "behavior"), &step->behavior);
    return st == RT_OK ? set_pattern(t, step, object, "pre-tokenizer Split") : st;
}

static rt_status load_punctuation(struct text_tokenizer *t, const json_t *object)
{
    const rt_status st = text_add_split(t, TEXT_PUNCTUATION_PATTERN, TEXT_PCRE);
    return st == RT_OK ? behavior_of(t, json_object_get(object, "behavior"),
                                     &t->splitters.list[t->splitters.count - 1].behavior)
                       : st;
}

static rt_status load_byte_level(struct text_tokenizer *t, const json_t *object)
{
    rt_status st;
    if (is_on(object, "add_prefix_space")) {
        struct text_step *step = text_step_new(t, &t->splitters, TEXT_STEP_PREFIX);
        json_t *space = json_string(" ");
        st = step ? set_text(t, step, space) : RT_ERR_INPUT;
        json_decref(space);
        if (st != RT_OK)
            return st;
    }
    if (!json_is_false(json_object_get(object, "use_regex")))
        TRY(text_add_split(t, TEXT_GPT2_PATTERN, TEXT_ONIGURUMA));
    t->byte_level = true;
    st = text_step_new(t, &t->splitters, TEXT_STEP_BYTES) ? RT_OK : RT_ERR_INPUT;

fail:
    return st;
}

/* Spaces become marks, one is put before the text, and words begin with them. */
static rt_status load_metaspace(struct text_tokenizer *t, const json_t *object)
{
    rt_status st;
    const json_t *scheme = json_object_get(object, "prepend_scheme");
    const json_t *mark = json_object_get(object, "replacement");
    const bool never = text_json_is(scheme, "never");
    const bool first = text_json_is(scheme, "first");
    if (!json_is_string(mark))
        return text_json_refuse(t, "pre-tokenizer", "Metaspace without replacement");
    if ((scheme && !never && !first && !text_json_is(scheme, "always")) ||
        (!never && json_is_false(json_object_get(object, "add_prefix_space"))))
        return text_json_refuse(t, "prepend_scheme of Metaspace",
                                json_string_value(scheme));
    struct text_step *step = text_step_new(t, &t->splitters, TEXT_STEP_REPLACE);
    if (!step)
        return RT_ERR_INPUT;
    TRY(set_text(t, step, mark));
    TRY(text_pattern_init(&step->pattern, t->ctx, t->path, " ", 1, TEXT_LITERAL));
    if (!never) {
        step = text_step_new(t, &t->splitters, TEXT_STEP_PREFIX);
        if (!step)
            return RT_ERR_INPUT;
        step->first = first;
        TRY(set_text(t, step, mark));
    }
    if (json_is_false(json_object_get(object, "split")))
        return RT_OK;
    TRY(text_add_split(t, json_string_value(mark), TEXT_LITERAL));
    t->splitters.list[t->splitters.count - 1].behavior = TEXT_WITH_NEXT;

fail:
    return st;
}

static rt_status load_splitter(struct text_tokenizer *t, const json_t *object)
{
    if (is_type(object, "Split"))
        return load_split(t, object);
    if (is_type(object, "Metaspace"))
        return load_metaspace(t, object);
    if (is_type(object, "Digits"))
        return text_add_split(
            t, is_on(object, "individual_digits") ? NUMERIC : NUMERIC "+", TEXT_PCRE);
    if (is_type(object, "Punctuation"))
        return load_punctuation(t, object);
    if (is_type(object, "ByteLevel"))
        return load_byte_level(t, object);
    return text_json_refuse(t, "pre-tokenizer",
                            json_string_value(json_object_get(object, "type")));
}

rt_status text_load_splitter(struct text_tokenizer *t, const json_t *object)
{
    return load_all(t, object, "pretokenizers", 0, load_splitter);
}

/* ---- decoders ---- */

static rt_status load_decoder_step(struct text_json *j, const json_t *object)
{
    struct text_tokenizer *t = j->t;
    const json_t *pattern = json_object_get(json_object_get(object, "pattern"), "String");
    const json_t *content = json_object_get(object, "content");
    const json_t *start = json_object_get(object, "start");
    const char *type = json_string_value(json_object_get(object, "type"));
    if (is_type(object, "ByteLevel")) {
        j->from_bytes = true;
    } else if (is_type(object, "ByteFallback")) {
        j->byte_tokens = true;
    } else if (is_type(object, "Fuse")) {
        j->fused = true;
    } else if (is_type(object, "Replace") && json_string_length(pattern) && !j->from) {
        j->from = pattern;
        j->to = content;
    } else if (is_type(object, "Metaspace") && !j->from) {
        j->from = json_object_get(object, "replacement");
        t->strip_token =
            !text_json_is(json_object_get(object, "prepend_scheme"), "never");
    } else if (is_type(object, "Strip") && j->fused && text_json_is(content, " ") &&
               json_integer_value(json_object_get(object, "stop")) == 0 &&
               json_is_integer(start) && json_integer_value(start) >= 0 &&
               json_integer_value(start) <= BPE_ID_MAX) {
        t->strip = (uint32_t)json_integer_value(start);
    } else {
        return text_json_refuse(t, "decoder", type);
    }
    return RT_OK;
}

rt_status text_load_decoder(struct text_json *j, const json_t *object)
{
    const json_t *list = json_object_get(object, "decoders");
    if (!object || json_is_null(object)) {
        j->from_bytes = j->t->byte_level;
        j->byte_tokens = true;
        return RT_OK;
    }
    if (!is_type(object, "Sequence"))
        return load_decoder_step(j, object);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const rt_status st = load_decoder_step(j, json_array_get(list, i));
        if (st != RT_OK)
            return st;
    }
    return RT_OK;
}

/* Every `from` becomes `to`; in fresh memory. */
static char *replaced(const struct text_json *j, const char *text, size_t size,
                      size_t *out_size)
{
    const char *from = json_string_value(j->from);
    const char *to = j->to ? json_string_value(j->to) : " ";
    const size_t from_size = json_string_length(j->from);
    const size_t to_size = !to ? 0 : j->to ? json_string_length(j->to) : 1;
    char *out = rt_alloc(j->t->ctx, size * (to_size + 1) + 1, 1);
    size_t n = 0;
    for (size_t i = 0; out && i < size;) {
        if (from_size && size - i >= from_size &&
            memcmp(text + i, from, from_size) == 0) {
            if (to_size)
                memcpy(out + n, to, to_size);
            n += to_size;
            i += from_size;
        } else {
            out[n++] = text[i++];
        }
    }
    *out_size = n;
    return out;
}

/* The byte of a token as the decoder reads it: small letters are digits to it as well. */
static int shown_byte(const char *key, size_t size)
{
    char upper[6];
    for (size_t i = 0; size == sizeof upper && i < size; i++)
        upper[i] = (char)(i > 2 && key[i] >= 'a' && key[i] <= 'f' ? key[i] - 32 : key[i]);
    return size == sizeof upper ? text_byte_of(upper, size) : -1;
}

rt_status text_show(struct text_json *j, uint32_t id, const char *key, size_t size)
{
    rt_status st = RT_OK;
    struct text_tokenizer *t = j->t;
    const int byte = j->byte_tokens ? shown_byte(key, size) : -1;
    if (byte >= 0) {
        const char c = (char)byte;
        return bpe_show(&t->bpe, t->ctx, id, &c, 1);
    }
    if (j->from_bytes) {
        size_t n;
        bool good;
        st = byte_level_read(&j->level, t->ctx, key, size, &n, &good);
        if (st != RT_OK || !good)
            return st == RT_OK ? bpe_show(&t->bpe, t->ctx, id, key, size) : st;
        return bpe_show(&t->bpe, t->ctx, id, (const char *)j->level.bytes, n);
    }
    if (!json_string_length(j->from))
        return bpe_show(&t->bpe, t->ctx, id, key, size);
    char *out = replaced(j, key, size, &size);
    if (!out)
        return rt_fail(t->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", t->path);
    st = bpe_show(&t->bpe, t->ctx, id, out, size);
    rt_free(out);
    return st;
}

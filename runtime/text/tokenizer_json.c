/* runtime/text/tokenizer_json.c
 * tokenizer.json. A step of it that is not known is refused: reading past it would give
 * ids that are nearly right. */
#include "runtime/text/tokenizer_impl.h"

#include "runtime/text/byte_level.h"

#include <string.h>

static const char *type_of(const json_t *object)
{
    return json_string_value(json_object_get(object, "type"));
}

static bool is_type(const json_t *object, const char *type)
{
    return type_of(object) && strcmp(type_of(object), type) == 0;
}

static bool is_text(const json_t *value, const char *text)
{
    return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

static rt_status refuse(struct text_tokenizer *t, const char *what, const char *which)
{
    return rt_fail(t->ctx, RT_ERR_INPUT, "'%s': %s '%.60s' is not supported", t->path,
                   what, which ? which : "(none)");
}

/* ---- vocabulary and merges ---- */

struct reader {
    struct text_tokenizer *t;
    struct byte_level level;
};

/* A token's text as bytes, in level->bytes for byte-level BPE. */
static rt_status add_text(struct reader *r, const char *text, size_t size, uint32_t id)
{
    bool good;
    size_t n;
    struct text_tokenizer *t = r->t;
    if (t->bpe.characters) {
        const int byte = text_byte_of(text, size);
        return byte >= 0 ? text_add_byte(t, byte, id)
                         : text_add_piece(t, text, size, id, false);
    }
    rt_status st = byte_level_read(&r->level, t->ctx, text, size, &n, &good);
    if (st == RT_OK && !good)
        st = rt_fail(t->ctx, RT_ERR_INPUT,
                     "'%s': token '%.40s' is not byte-level text, and there is no "
                     "byte_fallback",
                     t->path, text);
    if (st == RT_OK)
        st = bpe_add(&t->bpe, t->ctx, (const char *)r->level.bytes, n, id, false);
    return st;
}

static rt_status load_vocab(struct reader *r, const json_t *vocab)
{
    rt_status st;
    const char *text;
    json_t *id;
    struct text_tokenizer *t = r->t;
    if (!json_is_object(vocab) || json_object_size(vocab) == 0)
        return rt_fail(t->ctx, RT_ERR_INPUT, "'%s': the vocabulary is missing", t->path);
    TRY(bpe_init(&t->bpe, t->ctx, json_object_size(vocab)));
    t->bpe.characters = t->marks_are_spaces;
    json_object_foreach((json_t *)(uintptr_t)vocab, text, id)
    {
        if (!json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) > BPE_ID_MAX)
            return rt_fail(t->ctx, RT_ERR_INPUT, "'%s': token '%.40s' has no valid id",
                           t->path, text);
        TRY(add_text(r, text, strlen(text), (uint32_t)json_integer_value(id)));
    }
    if (!t->bpe.characters)
        bpe_find_bytes(&t->bpe);
    return RT_OK;

fail:
    return st;
}

/* The id of a token by its text in the file, BPE_NO_ID: there is none. */
static uint32_t id_of(const json_t *vocab, const char *text)
{
    const json_t *id = json_object_get(vocab, text);
    return json_is_integer(id) ? (uint32_t)json_integer_value(id) : BPE_NO_ID;
}

/* One merge by the texts of its halves. */
static rt_status add_merge(struct text_tokenizer *t, const json_t *vocab,
                           const char *left, const char *right, uint32_t rank)
{
    const uint32_t left_id = id_of(vocab, left), right_id = id_of(vocab, right);
    const uint32_t id = left_id == BPE_NO_ID || right_id == BPE_NO_ID
                            ? BPE_NO_ID
                            : bpe_find_joined(&t->bpe, left_id, right_id);
    if (id == BPE_NO_ID)
        return rt_fail(t->ctx, RT_ERR_INPUT,
                       "'%s': merge %u makes '%.40s%.40s', which the vocabulary lacks",
                       t->path, rank, left, right);
    bpe_merge_add(&t->bpe, left_id, right_id, rank, id);
    return RT_OK;
}

/* "a b" or ["a", "b"]. */
static rt_status load_merge(struct text_tokenizer *t, const json_t *vocab,
                            const json_t *merge, uint32_t rank)
{
    const char *left = json_string_value(json_array_get(merge, 0));
    const char *right = json_string_value(json_array_get(merge, 1));
    if (left && right)
        return add_merge(t, vocab, left, right, rank);
    const char *space =
        json_is_string(merge) ? strchr(json_string_value(merge), ' ') : NULL;
    if (!space)
        return rt_fail(t->ctx, RT_ERR_INPUT, "'%s': merge %u is not a pair", t->path,
                       rank);
    char *copy = rt_strdup(t->ctx, json_string_value(merge));
    if (!copy)
        return rt_fail(t->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", t->path);
    char *half = copy + (space - json_string_value(merge));
    *half = '\0';
    const rt_status st = add_merge(t, vocab, copy, half + 1, rank);
    rt_free(copy);
    return st;
}

static rt_status load_merges(struct text_tokenizer *t, const json_t *vocab,
                             const json_t *merges)
{
    rt_status st;
    if (!json_is_array(merges))
        return rt_fail(
            t->ctx, RT_ERR_INPUT,
            "'%s': the merges are missing; without them text cannot be encoded", t->path);
    TRY(bpe_merges_init(&t->bpe, t->ctx, json_array_size(merges)));
    for (size_t i = 0; i < json_array_size(merges); i++)
        TRY(load_merge(t, vocab, json_array_get(merges, i), (uint32_t)i));
    return RT_OK;

fail:
    return st;
}

static rt_status load_model(struct text_tokenizer *t, const json_t *model)
{
    rt_status st;
    struct reader r = { .t = t };
    const json_t *vocab = json_object_get(model, "vocab");
    const json_t *unknown = json_object_get(model, "unk_token");
    const json_t *suffix = json_object_get(model, "end_of_word_suffix");
    const json_t *prefix = json_object_get(model, "continuing_subword_prefix");
    byte_level_init(&r.level);
    t->marks_are_spaces = json_is_true(json_object_get(model, "byte_fallback"));
    if (json_string_length(suffix) || json_string_length(prefix))
        return refuse(t, "marking subwords with",
                      json_string_value(json_string_length(suffix) ? suffix : prefix));
    TRY(load_vocab(&r, vocab));
    TRY(load_merges(t, vocab, json_object_get(model, "merges")));
    t->bpe.ignore_merges = json_is_true(json_object_get(model, "ignore_merges"));
    if (json_is_string(unknown))
        t->bpe.unknown = id_of(vocab, json_string_value(unknown));

fail:
    byte_level_deinit(&r.level);
    return st;
}

/* ---- added tokens ---- */

static rt_status load_added(struct text_tokenizer *t, const json_t *list)
{
    rt_status st;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        const json_t *content = json_object_get(entry, "content");
        const json_t *id = json_object_get(entry, "id");
        if (json_string_length(content) == 0 || !json_is_integer(id) ||
            json_integer_value(id) < 0 || json_integer_value(id) > BPE_ID_MAX)
            return rt_fail(t->ctx, RT_ERR_INPUT, "'%s': added token %zu is not valid",
                           t->path, i);
        if (json_is_true(json_object_get(entry, "single_word")))
            return refuse(t, "single_word of added token", json_string_value(content));
        const char *text = json_string_value(content);
        const size_t size = json_string_length(content);
        TRY(bpe_add(&t->bpe, t->ctx, text, size, (uint32_t)json_integer_value(id), true));
        TRY(text_add_added(t, text, size, (uint32_t)json_integer_value(id),
                           json_is_true(json_object_get(entry, "special"))));
        t->added[t->added_count - 1].eats_left =
            json_is_true(json_object_get(entry, "lstrip"));
        t->added[t->added_count - 1].eats_right =
            json_is_true(json_object_get(entry, "rstrip"));
    }
    return RT_OK;

fail:
    return st;
}

/* ---- normalizer and pre-tokenizer ---- */

static rt_status load_normalizer(struct text_tokenizer *t, const json_t *step)
{
    const json_t *pattern = json_object_get(json_object_get(step, "pattern"), "String");
    if (is_type(step, "NFC") && !t->marks_are_spaces)
        t->nfc = true;
    else if (is_type(step, "Prepend") && t->marks_are_spaces &&
             is_text(json_object_get(step, "prepend"), TEXT_SPACE_MARK))
        t->prefix = TEXT_PREFIX_EVERY;
    else if (!(is_type(step, "Replace") && t->marks_are_spaces && is_text(pattern, " ") &&
               is_text(json_object_get(step, "content"), TEXT_SPACE_MARK)))
        return refuse(t, "normalizer", type_of(step));
    return RT_OK;
}

static rt_status load_normalizers(struct text_tokenizer *t, const json_t *step)
{
    const json_t *list = json_object_get(step, "normalizers");
    if (!step || json_is_null(step))
        return RT_OK;
    if (!is_type(step, "Sequence"))
        return load_normalizer(t, step);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const rt_status st = load_normalizer(t, json_array_get(list, i));
        if (st != RT_OK)
            return st;
    }
    return RT_OK;
}

static rt_status load_metaspace(struct text_tokenizer *t, const json_t *step)
{
    const json_t *scheme = json_object_get(step, "prepend_scheme");
    const json_t *space = json_object_get(step, "replacement");
    if (!t->marks_are_spaces || !json_is_false(json_object_get(step, "split")) ||
        (space && !is_text(space, TEXT_SPACE_MARK)))
        return refuse(t, "pre-tokenizer", "Metaspace with split");
    if (!scheme || is_text(scheme, "always"))
        t->prefix = TEXT_PREFIX_EVERY;
    else if (is_text(scheme, "first"))
        t->prefix = TEXT_PREFIX_FIRST;
    else if (!is_text(scheme, "never"))
        return refuse(t, "prepend_scheme", json_string_value(scheme));
    t->prefix_unless_space = true;
    return RT_OK;
}

static rt_status load_split(struct text_tokenizer *t, const json_t *step)
{
    const json_t *pattern = json_object_get(json_object_get(step, "pattern"), "Regex");
    const json_t *behavior = json_object_get(step, "behavior");
    if (!json_is_string(pattern))
        return refuse(t, "pre-tokenizer", "Split without Regex");
    if ((behavior && !is_text(behavior, "Isolated")) ||
        json_is_true(json_object_get(step, "invert")))
        return refuse(t, "behavior of a Split", json_string_value(behavior));
    return text_add_pattern(t, json_string_value(pattern));
}

/* One pre-tokenizer: each of them splits further what the ones before have left. */
static rt_status load_pre(struct text_tokenizer *t, const json_t *step)
{
    if (is_type(step, "Split"))
        return load_split(t, step);
    if (is_type(step, "Metaspace"))
        return load_metaspace(t, step);
    if (is_type(step, "Digits"))
        return text_add_pattern(
            t, json_is_true(json_object_get(step, "individual_digits")) ? "\\p{N}"
                                                                        : "\\p{N}+");
    if (!is_type(step, "ByteLevel"))
        return refuse(t, "pre-tokenizer", type_of(step));
    if (json_is_true(json_object_get(step, "add_prefix_space")))
        return refuse(t, "ByteLevel with", "add_prefix_space");
    return json_is_false(json_object_get(step, "use_regex"))
               ? RT_OK
               : text_add_pattern(t, TEXT_GPT2_PATTERN);
}

static rt_status load_pres(struct text_tokenizer *t, const json_t *step)
{
    const json_t *list = json_object_get(step, "pretokenizers");
    if (!step || json_is_null(step))
        return RT_OK;
    if (!is_type(step, "Sequence"))
        return load_pre(t, step);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const rt_status st = load_pre(t, json_array_get(list, i));
        if (st != RT_OK)
            return st;
    }
    return RT_OK;
}

/* ---- what is put before a text ---- */

/* The first special token of a TemplateProcessing, by itself or in a Sequence. */
static void load_bos(struct text_tokenizer *t, const json_t *step)
{
    const json_t *list = json_object_get(step, "processors");
    for (size_t i = 0; is_type(step, "Sequence") && i < json_array_size(list); i++)
        if (is_type(json_array_get(list, i), "TemplateProcessing"))
            step = json_array_get(list, i);
    if (!is_type(step, "TemplateProcessing"))
        return;
    const json_t *first = json_array_get(json_object_get(step, "single"), 0);
    const char *text =
        json_string_value(json_object_get(json_object_get(first, "SpecialToken"), "id"));
    for (uint32_t i = 0; text && i < t->added_count; i++)
        if (strcmp(t->added[i].text, text) == 0)
            t->bos = t->added[i].id;
}

rt_status text_load_json(struct text_tokenizer *t, const json_t *root)
{
    rt_status st;
    const json_t *model = json_object_get(root, "model");
    const json_t *truncation = json_object_get(root, "truncation");
    if (!is_type(model, "BPE"))
        return rt_fail(t->ctx, RT_ERR_INPUT,
                       "'%s': a tokenizer of type '%.40s'; BPE is supported", t->path,
                       type_of(model) ? type_of(model) : "(none)");
    if (truncation && !json_is_null(truncation))
        rt_log(t->ctx, RT_LOG_INFO, "'%s': its truncation of texts is ignored", t->path);
    TRY(load_model(t, model));
    TRY(load_normalizers(t, json_object_get(root, "normalizer")));
    TRY(load_pres(t, json_object_get(root, "pre_tokenizer")));
    TRY(load_added(t, json_object_get(root, "added_tokens")));
    load_bos(t, json_object_get(root, "post_processor"));
    return RT_OK;

fail:
    return st;
}

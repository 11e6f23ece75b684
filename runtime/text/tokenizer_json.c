/* runtime/text/tokenizer_json.c
 * tokenizer.json: vocabulary, merges and added tokens. A part of it that is not known is
 * refused: reading past it would give ids that are nearly right. */
#include "runtime/text/tokenizer_json.h"

#include <stdio.h>
#include <string.h>

rt_status text_json_refuse(struct text_tokenizer *t, const char *what, const char *which)
{
    return rt_fail(t->ctx, RT_ERR_INPUT, "'%s': %s '%.60s' is not supported", t->path,
                   what, which ? which : "(none)");
}

bool text_json_is(const json_t *value, const char *text)
{
    return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

const char text_punctuation_pattern[] =
    "["
    "\\x{21}-\\x{2f}\\x{3a}-\\x{40}\\x{5b}-\\x{60}\\x{7b}-\\x{7e}\\x{a1}\\x{a7}"
    "\\x{ab}\\x{b6}-\\x{b7}\\x{bb}\\x{bf}\\x{37e}\\x{387}\\x{55a}-\\x{55f}"
    "\\x{589}-\\x{58a}\\x{5be}\\x{5c0}\\x{5c3}\\x{5c6}\\x{5f3}-\\x{5f4}"
    "\\x{609}-\\x{60a}\\x{60c}-\\x{60d}\\x{61b}\\x{61e}-\\x{61f}\\x{66a}-\\x{66d}"
    "\\x{6d4}\\x{700}-\\x{70d}\\x{7f7}-\\x{7f9}\\x{830}-\\x{83e}\\x{85e}"
    "\\x{964}-\\x{965}\\x{970}\\x{af0}\\x{df4}\\x{e4f}\\x{e5a}-\\x{e5b}"
    "\\x{f04}-\\x{f12}\\x{f14}\\x{f3a}-\\x{f3d}\\x{f85}\\x{fd0}-\\x{fd4}"
    "\\x{fd9}-\\x{fda}\\x{104a}-\\x{104f}\\x{10fb}\\x{1360}-\\x{1368}\\x{1400}"
    "\\x{166d}-\\x{166e}\\x{169b}-\\x{169c}\\x{16eb}-\\x{16ed}\\x{1735}-\\x{1736}"
    "\\x{17d4}-\\x{17d6}\\x{17d8}-\\x{17da}\\x{1800}-\\x{180a}\\x{1944}-\\x{1945}"
    "\\x{1a1e}-\\x{1a1f}\\x{1aa0}-\\x{1aa6}\\x{1aa8}-\\x{1aad}\\x{1b5a}-\\x{1b60}"
    "\\x{1bfc}-\\x{1bff}\\x{1c3b}-\\x{1c3f}\\x{1c7e}-\\x{1c7f}\\x{1cc0}-\\x{1cc7}"
    "\\x{1cd3}\\x{2010}-\\x{2027}\\x{2030}-\\x{2043}\\x{2045}-\\x{2051}"
    "\\x{2053}-\\x{205e}\\x{207d}-\\x{207e}\\x{208d}-\\x{208e}\\x{2308}-\\x{230b}"
    "\\x{2329}-\\x{232a}\\x{2768}-\\x{2775}\\x{27c5}-\\x{27c6}\\x{27e6}-\\x{27ef}"
    "\\x{2983}-\\x{2998}\\x{29d8}-\\x{29db}\\x{29fc}-\\x{29fd}\\x{2cf9}-\\x{2cfc}"
    "\\x{2cfe}-\\x{2cff}\\x{2d70}\\x{2e00}-\\x{2e2e}\\x{2e30}-\\x{2e42}"
    "\\x{3001}-\\x{3003}\\x{3008}-\\x{3011}\\x{3014}-\\x{301f}\\x{3030}\\x{303d}"
    "\\x{30a0}\\x{30fb}\\x{a4fe}-\\x{a4ff}\\x{a60d}-\\x{a60f}\\x{a673}\\x{a67e}"
    "\\x{a6f2}-\\x{a6f7}\\x{a874}-\\x{a877}\\x{a8ce}-\\x{a8cf}\\x{a8f8}-\\x{a8fa}"
    "\\x{a8fc}\\x{a92e}-\\x{a92f}\\x{a95f}\\x{a9c1}-\\x{a9cd}\\x{a9de}-\\x{a9df}"
    "\\x{aa5c}-\\x{aa5f}\\x{aade}-\\x{aadf}\\x{aaf0}-\\x{aaf1}\\x{abeb}"
    "\\x{fd3e}-\\x{fd3f}\\x{fe10}-\\x{fe19}\\x{fe30}-\\x{fe52}\\x{fe54}-\\x{fe61}"
    "\\x{fe63}\\x{fe68}\\x{fe6a}-\\x{fe6b}\\x{ff01}-\\x{ff03}\\x{ff05}-\\x{ff0a}"
    "\\x{ff0c}-\\x{ff0f}\\x{ff1a}-\\x{ff1b}\\x{ff1f}-\\x{ff20}\\x{ff3b}-\\x{ff3d}"
    "\\x{ff3f}\\x{ff5b}\\x{ff5d}\\x{ff5f}-\\x{ff65}\\x{10100}-\\x{10102}\\x{1039f}"
    "\\x{103d0}\\x{1056f}\\x{10857}\\x{1091f}\\x{1093f}\\x{10a50}-\\x{10a58}"
    "\\x{10a7f}\\x{10af0}-\\x{10af6}\\x{10b39}-\\x{10b3f}\\x{10b99}-\\x{10b9c}"
    "\\x{11047}-\\x{1104d}\\x{110bb}-\\x{110bc}\\x{110be}-\\x{110c1}"
    "\\x{11140}-\\x{11143}\\x{11174}-\\x{11175}\\x{111c5}-\\x{111c9}\\x{111cd}"
    "\\x{111db}\\x{111dd}-\\x{111df}\\x{11238}-\\x{1123d}\\x{112a9}\\x{114c6}"
    "\\x{115c1}-\\x{115d7}\\x{11641}-\\x{11643}\\x{1173c}-\\x{1173e}"
    "\\x{12470}-\\x{12474}\\x{16a6e}-\\x{16a6f}\\x{16af5}\\x{16b37}-\\x{16b3b}"
    "\\x{16b44}\\x{1bc9f}\\x{1da87}-\\x{1da8b}"
    "]";

/* ---- vocabulary and merges ---- */

static rt_status load_vocab(struct text_tokenizer *t, const json_t *vocab)
{
    rt_status st;
    const char *text;
    json_t *id;
    if (!json_is_object(vocab) || json_object_size(vocab) == 0)
        return rt_fail(t->ctx, RT_ERR_INPUT, "'%s': the vocabulary is missing", t->path);
    TRY(bpe_init(&t->bpe, t->ctx, json_object_size(vocab)));
    json_object_foreach((json_t *)(uintptr_t)vocab, text, id)
    {
        if (!json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) > BPE_ID_MAX)
            return rt_fail(t->ctx, RT_ERR_INPUT, "'%s': token '%.40s' has no valid id",
                           t->path, text);
        const uint32_t n = (uint32_t)json_integer_value(id);
        if (n < t->bpe.id_count && t->bpe.tokens[n].bytes)
            return rt_fail(t->ctx, RT_ERR_INPUT,
                           "'%s': token '%.40s' has the id %u, which another token has",
                           t->path, text, n);
        TRY(bpe_add(&t->bpe, t->ctx, text, strlen(text), n, false));
    }
    return RT_OK;

fail:
    return st;
}

/* One merge by the keys of its halves. */
static rt_status add_merge(struct text_tokenizer *t, const char *left, size_t left_size,
                           const char *right, uint32_t rank)
{
    const uint32_t left_id = bpe_find(&t->bpe, left, left_size);
    const uint32_t right_id = bpe_find(&t->bpe, right, strlen(right));
    const uint32_t id = left_id == BPE_NO_ID || right_id == BPE_NO_ID
                            ? BPE_NO_ID
                            : bpe_find_joined(&t->bpe, left_id, right_id);
    if (id == BPE_NO_ID)
        return rt_fail(t->ctx, RT_ERR_INPUT,
                       "'%s': merge %u makes '%.*s%.40s', which the vocabulary lacks",
                       t->path, rank, left_size < 40 ? (int)left_size : 40, left, right);
    bpe_merge_add(&t->bpe, left_id, right_id, rank, id);
    return RT_OK;
}

/* "a b" or ["a", "b"]. */
static rt_status load_merge(struct text_tokenizer *t, const json_t *merge, uint32_t rank)
{
    const char *left = json_string_value(json_array_get(merge, 0));
    const char *right = json_string_value(json_array_get(merge, 1));
    if (left && right)
        return add_merge(t, left, strlen(left), right, rank);
    left = json_string_value(merge);
    const char *space = left ? strchr(left, ' ') : NULL;
    if (!space)
        return rt_fail(t->ctx, RT_ERR_INPUT, "'%s': merge %u is not a pair", t->path,
                       rank);
    return add_merge(t, left, (size_t)(space - left), space + 1, rank);
}

/* Lines of a merges.txt may be in the list, its first one too. */
static rt_status load_merges(struct text_tokenizer *t, const json_t *merges)
{
    rt_status st;
    uint32_t rank = 0;
    if (!json_is_array(merges))
        return rt_fail(
            t->ctx, RT_ERR_INPUT,
            "'%s': the merges are missing; without them text cannot be encoded", t->path);
    TRY(bpe_merges_init(&t->bpe, t->ctx, json_array_size(merges)));
    t->bpe.last_pair_counts = true;
    for (size_t i = 0; i < json_array_size(merges); i++) {
        const json_t *merge = json_array_get(merges, i);
        const char *line = json_string_value(merge);
        if (!line || strncmp(line, "#version", 8) != 0)
            TRY(load_merge(t, merge, rank++));
    }
    return RT_OK;

fail:
    return st;
}

/* Bytes that stand in for characters without a token, and the unknown token. */
static void load_unknown(struct text_tokenizer *t, const json_t *model)
{
    const json_t *unknown = json_object_get(model, "unk_token");
    for (int byte = 0; byte < 256; byte++) {
        char text[8];
        snprintf(text, sizeof text, "<0x%02X>", (unsigned)byte);
        t->bpe.byte_id[byte] = json_is_true(json_object_get(model, "byte_fallback"))
                                   ? bpe_find(&t->bpe, text, 6)
                                   : BPE_NO_ID;
    }
    t->bpe.unknown_first = true;
    t->bpe.one_unknown = json_is_true(json_object_get(model, "fuse_unk"));
    if (!json_is_string(unknown))
        return;
    t->bpe.unknown =
        bpe_find(&t->bpe, json_string_value(unknown), json_string_length(unknown));
    t->bpe.unknown_missing = t->bpe.unknown == BPE_NO_ID;
}

static rt_status load_model(struct text_tokenizer *t, const json_t *model)
{
    rt_status st;
    const json_t *vocab = json_object_get(model, "vocab");
    const json_t *merges = json_object_get(model, "merges");
    const json_t *type = json_object_get(model, "type");
    const json_t *suffix = json_object_get(model, "end_of_word_suffix");
    const json_t *prefix = json_object_get(model, "continuing_subword_prefix");
    const json_t *dropout = json_object_get(model, "dropout");
    /* Without a type it is the first one that has all its parts. */
    if (!text_json_is(type, "BPE") &&
        (type || !json_is_object(vocab) || !json_is_array(merges)))
        return rt_fail(t->ctx, RT_ERR_INPUT,
                       "'%s': a tokenizer of type '%.40s'; BPE is supported", t->path,
                       json_is_string(type) ? json_string_value(type) : "(none)");
    if (json_string_length(suffix) || json_string_length(prefix))
        return text_json_refuse(
            t, "marking subwords with",
            json_string_value(json_string_length(suffix) ? suffix : prefix));
    if (json_is_number(dropout) && json_number_value(dropout) != 0.0)
        return text_json_refuse(t, "leaving out merges at random by", "dropout");
    TRY(load_vocab(t, vocab));
    TRY(load_merges(t, merges));
    t->bpe.ignore_merges = json_is_true(json_object_get(model, "ignore_merges"));
    load_unknown(t, model);

fail:
    return st;
}

/* ---- added tokens ---- */

/* The id that the tokenizers package gives an added token: that of its text where it has
 * one, else the next after the vocabulary; not the one in the file. */
static uint32_t id_for(const struct text_tokenizer *t, const char *text, size_t size,
                       uint32_t *next)
{
    const struct text_added *added = text_find_added(t, text, size);
    if (added)
        return added->id;
    const uint32_t id = bpe_find(&t->bpe, text, size);
    return id != BPE_NO_ID ? id : (*next)++;
}

/* The entry of the list for this id: a token that is listed twice is as it is last. */
static rt_status entry_for(struct text_tokenizer *t, const char *text, size_t size,
                           uint32_t id, struct text_added **out)
{
    rt_status st;
    for (uint32_t i = 0; i < t->added_count; i++)
        if (t->added[i].id == id) {
            *out = &t->added[i];
            return RT_OK;
        }
    TRY(bpe_add(&t->bpe, t->ctx, text, size, id, true));
    TRY(text_add_added(t, text, size, id, false));
    *out = &t->added[t->added_count - 1];

fail:
    return st;
}

static rt_status load_added(struct text_json *j, const json_t *entry, size_t place,
                            uint32_t *next)
{
    rt_status st;
    struct text_tokenizer *t = j->t;
    struct text_added *a;
    const json_t *content = json_object_get(entry, "content");
    const json_t *given = json_object_get(entry, "id");
    const char *text = json_string_value(content);
    const size_t size = json_string_length(content);
    if (!text || !json_is_integer(given) || json_integer_value(given) < 0 ||
        json_integer_value(given) > BPE_ID_MAX)
        return rt_fail(t->ctx, RT_ERR_INPUT, "'%s': added token %zu is not valid",
                       t->path, place);
    if (size == 0)
        return RT_OK;
    const uint32_t id = id_for(t, text, size, next);
    if (id > BPE_ID_MAX)
        return rt_fail(t->ctx, RT_ERR_INPUT, "'%s': there are too many added tokens",
                       t->path);
    if (id != json_integer_value(given) && j->other_ids++ == 0)
        rt_log(t->ctx, RT_LOG_WARNING,
               "'%s': added token '%.40s' has the id %lld there, and %u by its place, "
               "which counts; so may others",
               t->path, text, (long long)json_integer_value(given), id);
    TRY(entry_for(t, text, size, id, &a));
    a->special = json_is_true(json_object_get(entry, "special"));
    a->normalized = json_is_true(json_object_get(entry, "normalized"));
    a->whole_words = json_is_true(json_object_get(entry, "single_word"));
    a->eats_left = json_is_true(json_object_get(entry, "lstrip"));
    a->eats_right = json_is_true(json_object_get(entry, "rstrip"));
    t->bpe.tokens[id].special = a->special;
    TRY(text_show(j, id, text, size));

fail:
    return st;
}

/* Tokens of normalized text are looked for as they are there. Two that are one then would
 * be taken for one another by chance. */
static rt_status normalize_added(struct text_json *j)
{
    rt_status st = RT_OK;
    struct text_tokenizer *t = j->t;
    struct text_work w = { .ctx = t->ctx };
    for (uint32_t i = 0; i < t->added_count; i++) {
        struct text_added *a = &t->added[i];
        if (!a->normalized || t->normalizers.count == 0)
            continue;
        TRY(text_work_set(&w, a->text, a->size, true));
        TRY(text_work_run(&w, &t->normalizers));
        const size_t size = w.count ? w.pieces[0].size : 0;
        char *text = rt_alloc(t->ctx, size + 1, 1);
        if (!text) {
            st = rt_fail(t->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", t->path);
            goto fail;
        }
        if (size)
            memcpy(text, w.bytes + w.pieces[0].start, size);
        a->given = a->text;
        a->text = text;
        a->size = size;
        TRY(text_show(j, a->id, text, size));
    }

fail:
    text_work_deinit(&w);
    return st;
}

static rt_status check_added(struct text_tokenizer *t)
{
    bool words = false;
    for (uint32_t i = 0; i < t->added_count; i++) {
        const struct text_added *a = &t->added[i];
        words |= a->whole_words;
        if (!a->normalized || t->normalizers.count == 0)
            continue;
        for (uint32_t k = 0; k < i; k++)
            if (t->added[k].normalized && t->added[k].size == a->size && a->size &&
                memcmp(t->added[k].text, a->text, a->size) == 0)
                return rt_fail(t->ctx, RT_ERR_INPUT,
                               "'%s': added tokens %u and %u are both '%.40s' when "
                               "normalized, which is not supported",
                               t->path, t->added[k].id, a->id, a->text);
    }
    static const char word[] = "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200c}\\x{200d}]";
    return words ? text_pattern_init(&t->word, t->ctx, t->path, word, sizeof word - 1,
                                     TEXT_PCRE)
                 : RT_OK;
}

static rt_status load_tokens(struct text_json *j, const json_t *root)
{
    rt_status st;
    struct text_tokenizer *t = j->t;
    const json_t *list = json_object_get(root, "added_tokens");
    uint32_t next = (uint32_t)json_object_size(
        json_object_get(json_object_get(root, "model"), "vocab"));
    for (uint32_t id = 0; id < t->bpe.id_count; id++)
        if (t->bpe.tokens[id].bytes)
            TRY(text_show(j, id, (const char *)t->bpe.tokens[id].key,
                          t->bpe.tokens[id].key_size));
    for (size_t i = 0; i < json_array_size(list); i++)
        TRY(load_added(j, json_array_get(list, i), i, &next));
    TRY(normalize_added(j));
    TRY(check_added(t));

fail:
    return st;
}

/* ---- what is put before a text ---- */

static bool is_template(const json_t *step)
{
    return text_json_is(json_object_get(step, "type"), "TemplateProcessing");
}

/* The first special token of a TemplateProcessing, by itself or in a Sequence. */
static void load_bos(struct text_tokenizer *t, const json_t *step)
{
    const json_t *list = json_object_get(step, "processors");
    for (size_t i = 0; !is_template(step) && i < json_array_size(list); i++)
        if (is_template(json_array_get(list, i)))
            step = json_array_get(list, i);
    if (!is_template(step))
        return;
    const json_t *first = json_array_get(json_object_get(step, "single"), 0);
    const char *text =
        json_string_value(json_object_get(json_object_get(first, "SpecialToken"), "id"));
    const struct text_added *added = text ? text_find_added(t, text, strlen(text)) : NULL;
    if (added)
        t->bos = added->id;
}

rt_status text_load_json(struct text_tokenizer *t, const json_t *root)
{
    rt_status st;
    struct text_json j = { .t = t };
    const json_t *truncation = json_object_get(root, "truncation");
    byte_level_init(&j.level);
    TRY(load_model(t, json_object_get(root, "model")));
    if (truncation && !json_is_null(truncation))
        rt_log(t->ctx, RT_LOG_INFO, "'%s': its truncation of texts is ignored", t->path);
    TRY(text_load_normalizer(t, json_object_get(root, "normalizer")));
    TRY(text_load_splitter(t, json_object_get(root, "pre_tokenizer")));
    TRY(text_load_decoder(&j, json_object_get(root, "decoder")));
    TRY(load_tokens(&j, root));
    load_bos(t, json_object_get(root, "post_processor"));

fail:
    byte_level_deinit(&j.level);
    return st;
}

/* runtime/text/tokenizer_config.c
 * What tokenizer_config.json changes in the tokenizer.json beside it. transformers 5.24 was
 * tried with files of every kind: the tokens of added_tokens_decoder replace those of the
 * same text in added_tokens, and those that are only there come behind them in the order of
 * their ids; then special tokens of the vocabulary that are no added tokens become such;
 * and two classes of tokenizer take add_prefix_space from there. */
#include "runtime/text/tokenizer_json.h"

#include <stdlib.h>
#include <string.h>

struct merging {
    struct text_tokenizer *t;
    json_t *list;        /* borrowed: added_tokens of tokenizer.json */
    json_t *places;      /* owned: text to entry of the list */
    const json_t *vocab; /* borrowed */
    int64_t next, rows;  /* id of the next new token; ids that the model has */
};

static rt_status no_memory(const struct text_tokenizer *t)
{
    return rt_fail(t->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", t->path);
}

/* ---- added tokens ---- */

/* The flags of an entry; what it does not have is as transformers has it. */
static bool put_flags(json_t *entry, const json_t *from)
{
    static const char *const names[] = { "special", "lstrip", "rstrip", "single_word" };
    const json_t *normalized = json_object_get(from, "normalized");
    bool good = true;
    for (size_t i = 0; i < RT_COUNT(names); i++)
        good =
            good && json_object_set_new(
                        entry, names[i],
                        json_boolean(json_is_true(json_object_get(from, names[i])))) == 0;
    const bool plain = json_is_boolean(normalized)
                           ? json_is_true(normalized)
                           : !json_is_true(json_object_get(from, "special"));
    return good && json_object_set_new(entry, "normalized", json_boolean(plain)) == 0;
}

static rt_status append(struct merging *m, const char *text, int64_t id,
                        const json_t *flags)
{
    json_t *entry = json_pack("{s:I, s:s}", "id", (json_int_t)id, "content", text);
    const bool good = entry && put_flags(entry, flags) &&
                      json_object_set(m->places, text, entry) == 0 &&
                      json_array_append(m->list, entry) == 0;
    json_decref(entry);
    return good ? RT_OK : no_memory(m->t);
}

/* A token that is only in the decoder. One beyond the embedding is left out: the model
 * cannot read it. */
static rt_status append_new(struct merging *m, const char *text, int64_t id,
                            const json_t *flags)
{
    const bool known = json_object_get(m->vocab, text) != NULL;
    if (!known && m->next >= m->rows) {
        rt_log(m->t->ctx, RT_LOG_WARNING,
               "'%s': token '%.40s' of the tokenizer_config.json beside it has no row in "
               "the embedding; it is read as text",
               m->t->path, text);
        return RT_OK;
    }
    m->next += !known;
    return append(m, text, id, flags);
}

struct decoded {
    const char *text;
    int64_t id;
    const json_t *flags;
};

static int by_id(const void *a, const void *b)
{
    const struct decoded *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* { "700": { "content": "<x>", ... }, ... } in the order of the ids. */
static rt_status read_decoder(struct merging *m, const json_t *decoder,
                              struct decoded *out)
{
    const char *key;
    json_t *flags;
    size_t n = 0;
    json_object_foreach((json_t *)(uintptr_t)decoder, key, flags)
    {
        char *end;
        const long long id = strtoll(key, &end, 10);
        const char *text = json_string_value(json_object_get(flags, "content"));
        if (!text || !*key || *end || id < 0 || id > BPE_ID_MAX)
            return rt_fail(m->t->ctx, RT_ERR_INPUT,
                           "'%s': token '%.40s' of added_tokens_decoder in the "
                           "tokenizer_config.json beside it has no text or no valid id",
                           m->t->path, key);
        out[n++] = (struct decoded){ text, id, flags };
    }
    qsort(out, n, sizeof *out, by_id);
    return RT_OK;
}

static rt_status merge_decoder(struct merging *m, const json_t *decoder)
{
    rt_status st;
    const size_t count = json_object_size(decoder);
    struct decoded *list = count ? rt_alloc(m->t->ctx, count, sizeof *list) : NULL;
    if (!list)
        return count ? no_memory(m->t) : (rt_status)RT_OK;
    TRY(read_decoder(m, decoder, list));
    for (size_t i = 0; i < count; i++) {
        json_t *entry = json_object_get(m->places, list[i].text);
        if (!entry)
            TRY(append_new(m, list[i].text, list[i].id, list[i].flags));
        else if (!put_flags(entry, list[i].flags)) {
            st = no_memory(m->t);
            goto fail;
        }
    }

fail:
    rt_free(list);
    return st;
}

/* A special token by its text, or an object with it, that only the vocabulary has. */
static rt_status add_special(struct merging *m, const json_t *value)
{
    rt_status st;
    const bool whole = json_is_object(value);
    const char *text =
        json_string_value(whole ? json_object_get(value, "content") : value);
    const json_t *id = text ? json_object_get(m->vocab, text) : NULL;
    if (!json_is_integer(id) || json_object_get(m->places, text))
        return RT_OK;
    json_t *flags = whole ? json_copy((json_t *)(uintptr_t)value) : json_object();
    st = flags && json_object_set_new(flags, "special", json_true()) == 0
             ? append(m, text, json_integer_value(id), flags)
             : no_memory(m->t);
    json_decref(flags);
    return st;
}

static rt_status add_specials(struct merging *m, const json_t *config)
{
    static const char *const names[] = { "bos_token", "eos_token", "unk_token",
                                         "sep_token", "pad_token", "cls_token",
                                         "mask_token" };
    static const char *const lists[] = { "additional_special_tokens",
                                         "extra_special_tokens" };
    rt_status st;
    for (size_t i = 0; i < RT_COUNT(names); i++)
        TRY(add_special(m, json_object_get(config, names[i])));
    for (size_t i = 0; i < RT_COUNT(lists); i++) {
        json_t *more = json_object_get(config, lists[i]), *value;
        const char *key;
        for (size_t k = 0; k < json_array_size(more); k++)
            TRY(add_special(m, json_array_get(more, k)));
        json_object_foreach(more, key, value) TRY(add_special(m, value));
    }
    return RT_OK;

fail:
    return st;
}

/* The list as it is: a token whose text the vocabulary lacks has the next id. */
static bool find_places(struct merging *m)
{
    m->next = (int64_t)json_object_size(m->vocab);
    for (size_t i = 0; i < json_array_size(m->list); i++) {
        json_t *entry = json_array_get(m->list, i);
        const char *text = json_string_value(json_object_get(entry, "content"));
        if (!text)
            continue;
        m->next += !json_object_get(m->places, text) && !json_object_get(m->vocab, text);
        if (json_object_set(m->places, text, entry) != 0)
            return false;
    }
    return true;
}

static rt_status merge_added(struct text_tokenizer *t, json_t *root, const json_t *config,
                             const json_t *model)
{
    rt_status st;
    struct merging m = { .t = t, .places = json_object() };
    m.list = json_object_get(root, "added_tokens");
    if (!json_is_array(m.list)) {
        m.list = json_array();
        if (json_object_set_new(root, "added_tokens", m.list) != 0)
            m.list = NULL;
    }
    const json_t *rows = json_object_get(model, "vocab_size");
    m.rows = json_is_integer(rows) ? json_integer_value(rows) : BPE_ID_MAX;
    m.vocab = json_object_get(json_object_get(root, "model"), "vocab");
    if (!m.list || !m.places || !find_places(&m)) {
        st = no_memory(t);
        goto fail;
    }
    TRY(merge_decoder(&m, json_object_get(config, "added_tokens_decoder")));
    TRY(add_specials(&m, config));

fail:
    json_decref(m.places);
    return st;
}

/* ---- the space before a text ---- */

/* The ByteLevel pre-tokenizer, by itself or in a Sequence; null: none. */
static json_t *byte_level_of(const json_t *root)
{
    json_t *step = json_object_get(root, "pre_tokenizer");
    const json_t *list = json_object_get(step, "pretokenizers");
    if (text_json_is(json_object_get(step, "type"), "ByteLevel"))
        return step;
    for (size_t i = 0; i < json_array_size(list); i++) {
        step = json_array_get(list, i);
        if (text_json_is(json_object_get(step, "type"), "ByteLevel"))
            return step;
    }
    return NULL;
}

/* Whether transformers builds the pre-tokenizer anew, from tokenizer_config.json. */
static bool is_built_anew(const json_t *config, const json_t *model)
{
    static const char *const classes[] = { "Qwen2Tokenizer", "Qwen2TokenizerFast",
                                           "GPT2Tokenizer", "GPT2TokenizerFast" };
    const json_t *type = json_object_get(model, "model_type");
    const json_t *name = json_object_get(config, "tokenizer_class");
    if (text_json_is(type, "qwen2") || (text_json_is(type, "qwen3") && !name))
        return true;
    for (size_t i = 0; i < RT_COUNT(classes); i++)
        if (text_json_is(name, classes[i]))
            return !text_json_is(type, "mistral");
    return false;
}

static rt_status set_prefix(struct text_tokenizer *t, const json_t *root,
                            const json_t *config, const json_t *model)
{
    json_t *step = byte_level_of(root);
    const json_t *given = json_object_get(config, "add_prefix_space");
    const bool wanted = json_is_true(given);
    if (!step || !json_is_boolean(given) ||
        wanted == json_is_true(json_object_get(step, "add_prefix_space")))
        return RT_OK;
    if (is_built_anew(config, model))
        return json_object_set_new(step, "add_prefix_space", json_boolean(wanted)) == 0
                   ? RT_OK
                   : no_memory(t);
    rt_log(t->ctx, RT_LOG_WARNING,
           "'%s': its add_prefix_space is not that of the tokenizer_config.json beside "
           "it; the one of tokenizer.json counts",
           t->path);
    return RT_OK;
}

rt_status text_config_apply(struct text_tokenizer *t, json_t *root, const json_t *config,
                            const json_t *model)
{
    const rt_status st = merge_added(t, root, config, model);
    return st == RT_OK ? set_prefix(t, root, config, model) : st;
}

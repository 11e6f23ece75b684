/* runtime/text/tokenizer_extra.c
 * Tokens that a folder adds to its tokenizer.model: added_tokens_decoder of
 * tokenizer_config.json, else added_tokens.json; then special tokens that
 * special_tokens_map.json or tokenizer_config.json name and nothing has. Those get the
 * next ids, as transformers gives them. They are cut out of a text first, and no space is
 * put behind them. */
#include "runtime/text/tokenizer_impl.h"

#include "runtime/base/file.h"

#include <stdlib.h>
#include <string.h>

/* The piece of the model at this id must be the same token, where there is one. Marks of
 * pieces are held as spaces. */
static rt_status check_piece(const struct text_tokenizer *t, const char *text,
                             size_t size, uint32_t id)
{
    size_t have;
    const uint8_t *bytes = bpe_text(&t->bpe, id, &have);
    char *spaced = rt_alloc(t->ctx, size + 1, 1);
    if (!spaced)
        return rt_fail(t->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", t->path);
    const size_t n = text_unmark(text, size, spaced);
    const bool same = n == have && memcmp(spaced, bytes, n) == 0;
    rt_free(spaced);
    return same ? RT_OK
                : rt_fail(t->ctx, RT_ERR_INPUT,
                          "'%s': added token '%.40s' has the id %u, which is that of "
                          "another piece",
                          t->path, text, id);
}

static rt_status add_token(struct text_tokenizer *t, const json_t *content, int64_t id,
                           const json_t *flags)
{
    rt_status st;
    const char *text = json_string_value(content);
    const size_t size = json_string_length(content);
    const json_t *special = json_object_get(flags, "special");
    if (!text || size == 0 || id < 0 || id > BPE_ID_MAX)
        return rt_fail(t->ctx, RT_ERR_INPUT,
                       "'%s': an added token beside it has no text or no valid id",
                       t->path);
    if (text_find_added(t, text, size))
        return RT_OK;
    if ((uint32_t)id < t->bpe.id_count && t->bpe.tokens[id].bytes)
        TRY(check_piece(t, text, size, (uint32_t)id));
    TRY(bpe_add(&t->bpe, t->ctx, text, size, (uint32_t)id, true));
    TRY(text_add_added(t, text, size, (uint32_t)id, json_is_true(special)));
    struct text_added *a = &t->added[t->added_count - 1];
    a->eats_left = json_is_true(json_object_get(flags, "lstrip"));
    a->eats_right = json_is_true(json_object_get(flags, "rstrip"));
    if (json_is_true(json_object_get(flags, "single_word")))
        st = rt_fail(t->ctx, RT_ERR_INPUT,
                     "'%s': single_word of added token '%.40s' is not supported beside "
                     "tokenizer.model",
                     t->path, text);

fail:
    return st;
}

/* { "700": { "content": "<x>", ... }, ... } */
static rt_status add_decoder(struct text_tokenizer *t, const json_t *decoder)
{
    const char *key;
    const json_t *flags;
    json_object_foreach((json_t *)(uintptr_t)decoder, key, flags)
    {
        char *end;
        const long long id = strtoll(key, &end, 10);
        const rt_status st = add_token(t, json_object_get(flags, "content"),
                                       *key && !*end ? id : -1, flags);
        if (st != RT_OK)
            return st;
    }
    return RT_OK;
}

/* { "<x>": 700, ... } */
static rt_status add_list(struct text_tokenizer *t, const json_t *list)
{
    rt_status st = RT_OK;
    const char *key;
    const json_t *id;
    json_object_foreach((json_t *)(uintptr_t)list, key, id)
    {
        json_t *text = json_string(key);
        st = add_token(t, text, json_is_integer(id) ? json_integer_value(id) : -1, NULL);
        json_decref(text);
        if (st != RT_OK)
            break;
    }
    return st;
}

/* A special token by its text, or an object with it, that is no token yet: the piece of
 * that text, else the next id, if the model (`rows` of its embedding) has it. */
static rt_status add_special(struct text_tokenizer *t, const json_t *value, int64_t rows)
{
    const json_t *content =
        json_is_object(value) ? json_object_get(value, "content") : value;
    const char *text = json_string_value(content);
    const size_t size = json_string_length(content);
    if (size == 0 || text_find_added(t, text, size))
        return RT_OK;
    const uint32_t piece = bpe_find(&t->bpe, text, size);
    const int64_t id = piece != BPE_NO_ID ? piece : t->bpe.id_count;
    if (id >= rows) {
        rt_log(t->ctx, RT_LOG_WARNING,
               "'%s': special token '%.40s' is not in the vocabulary; it is read as text",
               t->path, text);
        return RT_OK;
    }
    json_t *flags = json_pack("{s:b}", "special", 1);
    const rt_status st =
        flags ? add_token(t, content, id, flags)
              : rt_fail(t->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", t->path);
    json_decref(flags);
    return st;
}

static rt_status add_specials(struct text_tokenizer *t, const json_t *map, int64_t rows)
{
    static const char *const names[] = { "bos_token", "eos_token", "unk_token",
                                         "sep_token", "pad_token", "cls_token",
                                         "mask_token" };
    const json_t *more = json_object_get(map, "additional_special_tokens");
    for (size_t i = 0; i < RT_COUNT(names); i++) {
        const rt_status st = add_special(t, json_object_get(map, names[i]), rows);
        if (st != RT_OK)
            return st;
    }
    for (size_t i = 0; i < json_array_size(more); i++) {
        const rt_status st = add_special(t, json_array_get(more, i), rows);
        if (st != RT_OK)
            return st;
    }
    return RT_OK;
}

static rt_status read_file(struct text_tokenizer *t, const char *folder, const char *name,
                           json_t **out)
{
    rt_status st = RT_OK;
    char *path = fmt_path(t->ctx, folder, name);
    *out = NULL;
    if (!path)
        return rt_fail(t->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", folder);
    if (fmt_exists(path))
        st = fmt_json_read(t->ctx, path, out);
    rt_free(path);
    return st;
}

rt_status text_load_extra(struct text_tokenizer *t, const char *folder,
                          const json_t *config)
{
    rt_status st;
    json_t *list = NULL, *map = NULL, *model = NULL;
    const json_t *decoder = json_object_get(config, "added_tokens_decoder");
    t->piece_count = t->bpe.id_count;
    TRY(read_file(t, folder, "added_tokens.json", &list));
    TRY(read_file(t, folder, "special_tokens_map.json", &map));
    TRY(json_object_size(decoder) ? add_decoder(t, decoder) : add_list(t, list));
    TRY(read_file(t, folder, "config.json", &model));
    const json_t *size = json_object_get(model, "vocab_size");
    const int64_t rows = json_is_integer(size) ? json_integer_value(size) : BPE_ID_MAX;
    TRY(add_specials(t, map, rows));
    TRY(add_specials(t, config, rows));

fail:
    json_decref(model);
    json_decref(list);
    json_decref(map);
    return st;
}

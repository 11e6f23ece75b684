/* runtime/text/tokenizer.c
 * Loading in general, and encoding. */
#include "runtime/text/tokenizer_impl.h"

#include "runtime/base/file.h"
#include "runtime/text/byte_level.h"
#include "runtime/format/gguf.h"
#include "runtime/base/utf8.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOKEN_TEXT_MAX = 128 }; /* bytes of a text that is looked up as a token */

/* ---- what loaders share ---- */

size_t text_unmark(const char *text, size_t size, char *out)
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
        bpe_add(&t->bpe, t->ctx, spaced, text_unmark(text, size, spaced), id, hidden);
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
    TRY(text_load_extra(t, folder, config));

fail:
    fmt_map_close(&map);
    json_decref(config);
    rt_free(path);
    return st;
}

/* folder/name, null where there is no such file. */
static rt_status read_beside(struct text_tokenizer *t, const char *folder,
                             const char *name, json_t **out)
{
    char *path = fmt_path(t->ctx, folder, name);
    *out = NULL;
    if (!path)
        return rt_fail(t->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", folder);
    const rt_status st =
        fmt_exists(path) ? fmt_json_read(t->ctx, path, out) : (rt_status)RT_OK;
    rt_free(path);
    return st;
}

static rt_status load_json(struct text_tokenizer *t, const char *folder)
{
    rt_status st;
    json_t *root = NULL, *config = NULL, *model = NULL;
    TRY(fmt_json_read(t->ctx, t->path, &root));
    TRY(read_beside(t, folder, "tokenizer_config.json", &config));
    if (config) {
        TRY(read_beside(t, folder, "config.json", &model));
        TRY(text_config_apply(t, root, config, model));
    }
    st = text_load_json(t, root);

fail:
    json_decref(root);
    json_decref(config);
    json_decref(model);
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
        TRY(load_json(t, where));
    }
    TRY(text_plant_added(t));
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
    text_steps_deinit(&t->normalizers);
    text_steps_deinit(&t->splitters);
    text_pattern_deinit(&t->word);
    rt_free(t->raw.nodes);
    rt_free(t->normal.nodes);
    for (uint32_t i = 0; i < t->added_count; i++) {
        rt_free(t->added[i].text);
        rt_free(t->added[i].given);
    }
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
    const struct text_added *added = text_find_added(t, text, size);
    if (added)
        return added->id;
    char key[2 * TOKEN_TEXT_MAX];
    size_t n = 0;
    if (!t->byte_level || size > TOKEN_TEXT_MAX)
        return bpe_find(&t->bpe, text, size);
    for (size_t i = 0; i < size; i++)
        n += byte_level_put((uint8_t)text[i], key + n);
    return bpe_find(&t->bpe, key, n);
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
    bool prefix; /* the next text starts with a space (SentencePiece) */
    struct text_work all, part;
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

static rt_status add_id(struct ids *ids, uint32_t id)
{
    const rt_status st = ids_reserve(ids, 1);
    if (st != RT_OK)
        return st;
    assert(ids->count < ids->capacity);
    ids->list[ids->count++] = id;
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

/* Text without those added tokens that are recognised in it as it is: normalized, cut at
 * the other added tokens, split, merged. */
static rt_status add_text(struct ids *ids, const char *text, size_t size, bool first,
                          bool special)
{
    rt_status st;
    struct text_tokenizer *t = ids->tok;
    struct text_work *w = &ids->part;
    TRY(text_work_set(w, text, size, first));
    TRY(text_work_run(w, &t->normalizers));
    TRY(text_work_cut(w, t, &t->normal, special));
    TRY(text_work_run(w, &t->splitters));
    for (size_t i = 0; i < w->count; i++) {
        const struct text_piece *p = &w->pieces[i];
        TRY(p->id == BPE_NO_ID ? add_word(ids, w->bytes + p->start, p->size)
                               : add_id(ids, p->id));
    }

fail:
    return st;
}

/* ---- SentencePiece ---- */

/* Text without added tokens as SentencePiece sees it: marks as spaces, perhaps a space
 * before it. */
static rt_status add_spaced(struct ids *ids, const char *text, size_t size)
{
    const bool put = ids->prefix;
    if (size == 0 && !(put && ids->tok->prefix_stands_alone))
        return RT_OK;
    char *own = rt_alloc(ids->tok->ctx, size + 1, 1);
    if (!own)
        return rt_fail(ids->tok->ctx, RT_ERR_HOST_MEMORY, "encoding: no memory");
    own[0] = ' ';
    size = (put ? 1 : 0) + text_unmark(text, size, own + (put ? 1 : 0));
    ids->prefix = false;
    const rt_status st = size ? add_word(ids, own, size) : RT_OK;
    rt_free(own);
    return st;
}

/* Whether a token was added to the pieces of SentencePiece by another file. */
static bool is_extra(const struct text_tokenizer *t, uint32_t id)
{
    return t->piece_count && id >= t->piece_count;
}

static rt_status add_added(struct ids *ids, uint32_t id)
{
    const struct text_tokenizer *t = ids->tok;
    const rt_status st = add_id(ids, id);
    if (is_extra(t, id))
        ids->prefix = false;
    else if (t->prefix >=
             (t->bpe.tokens[id].special ? TEXT_PREFIX_SPECIAL : TEXT_PREFIX_EVERY))
        ids->prefix = true;
    else if (!t->prefix_stands_alone)
        ids->prefix = false;
    return st;
}

/* A special token ends one text and starts another: nothing stands before it. */
static rt_status add_pieces(struct ids *ids)
{
    rt_status st;
    bool text = false; /* the piece before is text */
    for (size_t i = 0; i < ids->all.count; i++) {
        const struct text_piece *p = &ids->all.pieces[i];
        if (p->id == BPE_NO_ID) {
            TRY(add_spaced(ids, ids->all.bytes + p->start, p->size));
        } else {
            if (!text && !ids->tok->bpe.tokens[p->id].special &&
                !is_extra(ids->tok, p->id))
                TRY(add_spaced(ids, "", 0));
            TRY(add_added(ids, p->id));
        }
        text = p->id == BPE_NO_ID;
    }
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

/* ---- all kinds ---- */

static rt_status encode_valid(struct ids *ids, const char *text, size_t size,
                              bool special)
{
    rt_status st;
    struct text_tokenizer *t = ids->tok;
    TRY(ids_reserve(ids, 1));
    TRY(text_work_set(&ids->all, text, size, true));
    TRY(text_work_cut(&ids->all, t, &t->raw, special));
    if (t->marks_are_spaces)
        return add_pieces(ids);
    for (size_t i = 0; i < ids->all.count; i++) {
        const struct text_piece *p = &ids->all.pieces[i];
        TRY(p->id == BPE_NO_ID ? add_text(ids, ids->all.bytes + p->start, p->size,
                                          p->origin > 0, special)
                               : add_id(ids, p->id));
    }

fail:
    return st;
}

rt_status text_encode(struct text_tokenizer *t, const char *text, size_t size,
                      bool special, uint32_t **out, uint32_t *count)
{
    struct ids ids = { .tok = t,
                       .prefix = t->prefix != TEXT_PREFIX_NONE,
                       .all.ctx = t->ctx,
                       .part.ctx = t->ctx };
    *out = NULL;
    *count = 0;
    size_t valid_size;
    char *valid = utf8_repaired(t->ctx, text, size, &valid_size);
    if (!valid)
        return rt_fail(t->ctx, RT_ERR_HOST_MEMORY, "encoding: no memory");
    if (t->one_space)
        valid_size = one_space(valid, valid_size);
    const rt_status st = encode_valid(&ids, valid, valid_size, special);
    rt_free(valid);
    text_work_deinit(&ids.all);
    text_work_deinit(&ids.part);
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

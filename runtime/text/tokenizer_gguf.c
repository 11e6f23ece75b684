/* runtime/text/tokenizer_gguf.c
 * The tokenizer in the keys of a GGUF file. The file names the way of splitting and does
 * not hold it: the ways are in tokenizer_ways.c. */
#include "runtime/text/tokenizer_impl.h"

#include "runtime/format/gguf.h"
#include "runtime/text/byte_level.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct reader {
    struct text_tokenizer *t;
    const struct fmt_gguf *file;
    struct byte_level level;
    const struct fmt_gguf_key *tokens, *kinds;
};

static int32_t kind_of(const struct reader *r, uint64_t id)
{
    return r->kinds ? (int32_t)fmt_gguf_word(r->kinds, id) : KIND_NORMAL;
}

static rt_status read_lists(struct reader *r)
{
    rt_status st;
    TRY(fmt_gguf_array(r->file, "tokenizer.ggml.tokens", FMT_GGUF_STRING, &r->tokens));
    TRY(fmt_gguf_array(r->file, "tokenizer.ggml.token_type", FMT_GGUF_I32, &r->kinds));
    if (!r->tokens || r->tokens->count == 0)
        return rt_fail(r->t->ctx, RT_ERR_INPUT,
                       "'%s': key 'tokenizer.ggml.tokens' is missing or empty",
                       r->t->path);
    if (r->kinds && r->kinds->count != r->tokens->count)
        return rt_fail(r->t->ctx, RT_ERR_INPUT,
                       "'%s': key 'tokenizer.ggml.token_type' has %llu entries for %llu "
                       "tokens",
                       r->t->path, (unsigned long long)r->kinds->count,
                       (unsigned long long)r->tokens->count);
    TRY(bpe_init(&r->t->bpe, r->t->ctx, r->tokens->count));

fail:
    return st;
}

/* Tokens that are recognised in text before anything else. */
static rt_status add_recognised(struct reader *r, const char *text, size_t size,
                                uint32_t id, int32_t kind)
{
    if (size == 0 || (kind != KIND_USER && kind != KIND_CONTROL && kind != KIND_UNKNOWN))
        return RT_OK;
    return text_add_added(r->t, text, size, id, kind != KIND_USER);
}

/* ---- byte-level BPE ---- */

/* Normal tokens are written in the alphabet of byte-level BPE, others as they are. One
 * outside the alphabet cannot come of text; it decodes to itself. */
static rt_status add_byte_level(struct reader *r, const char *text, size_t size,
                                uint32_t id)
{
    rt_status st;
    bool good;
    size_t n;
    struct bpe *b = &r->t->bpe;
    const int32_t kind = kind_of(r, id);
    TRY(bpe_add(b, r->t->ctx, text, size, id, false));
    if (kind != KIND_NORMAL)
        return add_recognised(r, text, size, id, kind);
    TRY(byte_level_read(&r->level, r->t->ctx, text, size, &n, &good));
    if (good)
        TRY(bpe_show(b, r->t->ctx, id, (const char *)r->level.bytes, n));

fail:
    return st;
}

/* "left right". The file is made from a vocabulary that has the parts and the whole. */
static rt_status add_merge(struct reader *r, const char *text, size_t size, uint32_t rank)
{
    struct bpe *b = &r->t->bpe;
    uint32_t id = BPE_NO_ID;
    const char *space = size > 2 ? memchr(text + 1, ' ', size - 2) : NULL;
    if (!space)
        return rt_fail(r->t->ctx, RT_ERR_INPUT,
                       "'%s': key 'tokenizer.ggml.merges': merge %u is not a pair",
                       r->t->path, rank);
    const size_t left_size = (size_t)(space - text);
    const uint32_t left = bpe_find(b, text, left_size);
    const uint32_t right = bpe_find(b, space + 1, size - left_size - 1);
    if (left != BPE_NO_ID && right != BPE_NO_ID)
        id = bpe_find_joined(b, left, right);
    if (id == BPE_NO_ID)
        return rt_fail(r->t->ctx, RT_ERR_INPUT,
                       "'%s': key 'tokenizer.ggml.merges': merge %u, '%.*s', has no "
                       "token in the vocabulary",
                       r->t->path, rank, size < 60 ? (int)size : 60, text);
    bpe_merge_add(b, left, right, rank, id);
    return RT_OK;
}

static rt_status unknown_way(const struct reader *r, const char *name)
{
    char known[1024] = "";
    for (size_t i = 0; text_way_name(i); i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s",
                 i ? ", " : "", text_way_name(i));
    return rt_fail(
        r->t->ctx, RT_ERR_INPUT,
        "'%s': key 'tokenizer.ggml.pre' is '%.60s', a way of splitting that is "
        "not known; %s are",
        r->t->path, name ? name : "(missing)", known);
}

static rt_status find_way(struct reader *r, const char *name)
{
    rt_status st;
    struct text_tokenizer *t = r->t;
    const struct text_way *way = text_way_find(name ? name : "");
    if (!way)
        return unknown_way(r, name);
    for (size_t k = 0; k < TEXT_WAY_PATTERNS && way->patterns[k]; k++)
        TRY(text_add_split(t, way->patterns[k], TEXT_LLAMA_CPP));
    if (!text_step_new(t, &t->splitters, TEXT_STEP_BYTES))
        return RT_ERR_INPUT;
    t->bpe.ignore_merges = way->ignore_merges;
    t->bos = way->bos ? 0 : BPE_NO_ID; /* which one: read_bos */
    t->byte_level = true;
    return RT_OK;

fail:
    return st;
}

static rt_status load_byte_level(struct reader *r)
{
    rt_status st;
    char *way = NULL;
    uint64_t at = 0;
    size_t size;
    const struct fmt_gguf_key *merges;
    TRY(fmt_gguf_text(r->file, "tokenizer.ggml.pre", &way));
    TRY(find_way(r, way));
    for (uint64_t id = 0; id < r->tokens->count; id++) {
        const char *text = fmt_gguf_string_next(r->tokens, &at, &size);
        TRY(add_byte_level(r, text, size, (uint32_t)id));
    }
    TRY(fmt_gguf_array(r->file, "tokenizer.ggml.merges", FMT_GGUF_STRING, &merges));
    if (!merges) {
        st = rt_fail(r->t->ctx, RT_ERR_INPUT,
                     "'%s': key 'tokenizer.ggml.merges' is missing; without merges text "
                     "cannot be encoded",
                     r->t->path);
        goto fail;
    }
    TRY(bpe_merges_init(&r->t->bpe, r->t->ctx, merges->count));
    at = 0;
    for (uint64_t i = 0; i < merges->count; i++) {
        const char *text = fmt_gguf_string_next(merges, &at, &size);
        TRY(add_merge(r, text, size, (uint32_t)i));
    }

fail:
    rt_free(way);
    return st;
}

/* ---- SentencePiece ---- */

static rt_status add_pieces(struct reader *r)
{
    rt_status st;
    uint64_t at = 0;
    size_t size;
    for (uint64_t i = 0; i < r->tokens->count; i++) {
        const char *text = fmt_gguf_string_next(r->tokens, &at, &size);
        const uint32_t id = (uint32_t)i;
        const int byte = text_byte_of(text, size);
        const int32_t kind = kind_of(r, i);
        if (kind == KIND_BYTE && byte < 0)
            return rt_fail(r->t->ctx, RT_ERR_INPUT,
                           "'%s': key 'tokenizer.ggml.tokens': byte token %u is '%.*s'",
                           r->t->path, id, size < 40 ? (int)size : 40, text);
        if (kind == KIND_BYTE)
            TRY(text_add_byte(r->t, byte, id));
        else
            TRY(text_add_piece(r->t, text, size, id, false));
        TRY(add_recognised(r, text, size, id, kind));
    }
    return RT_OK;

fail:
    return st;
}

static rt_status rank_pieces(struct reader *r)
{
    rt_status st;
    const struct fmt_gguf_key *list;
    const uint32_t n = (uint32_t)r->tokens->count;
    float *scores = rt_alloc(r->t->ctx, n, sizeof *scores);
    bool *never = rt_alloc(r->t->ctx, n, sizeof *never);
    if (!scores || !never) {
        st = rt_fail(r->t->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", r->t->path);
        goto fail;
    }
    TRY(fmt_gguf_array(r->file, "tokenizer.ggml.scores", FMT_GGUF_F32, &list));
    if (!list || list->count != n) {
        st = rt_fail(r->t->ctx, RT_ERR_INPUT,
                     "'%s': key 'tokenizer.ggml.scores' must have a score for each of %u "
                     "tokens",
                     r->t->path, n);
        goto fail;
    }
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t bits = fmt_gguf_word(list, i);
        memcpy(&scores[i], &bits, sizeof bits);
        if (isnan(scores[i])) {
            st = rt_fail(r->t->ctx, RT_ERR_INPUT,
                         "'%s': key 'tokenizer.ggml.scores': score %u is not a number",
                         r->t->path, i);
            goto fail;
        }
    }
    TRY(bpe_rank(&r->t->bpe, r->t->ctx, scores, never, n));

fail:
    rt_free(scores);
    rt_free(never);
    return st;
}

static rt_status load_pieces(struct reader *r)
{
    rt_status st;
    bool prefix;
    int64_t unknown;
    r->t->marks_are_spaces = true;
    r->t->bos = 0; /* unless the file says otherwise */
    TRY(add_pieces(r));
    TRY(rank_pieces(r));
    TRY(fmt_gguf_bool(r->file, "tokenizer.ggml.add_space_prefix", true, &prefix));
    TRY(fmt_gguf_whole(r->file, "tokenizer.ggml.unknown_token_id", 0, 0,
                       r->t->bpe.id_count - 1, &unknown));
    r->t->prefix = prefix ? TEXT_PREFIX_EVERY : TEXT_PREFIX_NONE;
    r->t->strip = prefix;
    r->t->bpe.unknown = (uint32_t)unknown;

fail:
    return st;
}

/* ---- both ---- */

static rt_status read_bos(struct reader *r)
{
    rt_status st;
    bool add;
    int64_t id;
    TRY(fmt_gguf_bool(r->file, "tokenizer.ggml.add_bos_token", r->t->bos != BPE_NO_ID,
                      &add));
    const bool there = fmt_gguf_key_find(r->file, "tokenizer.ggml.bos_token_id") != NULL;
    TRY(fmt_gguf_whole(r->file, "tokenizer.ggml.bos_token_id", 0, 0,
                       r->t->bpe.id_count - 1, &id));
    r->t->bos = add && there ? (uint32_t)id : BPE_NO_ID;

fail:
    return st;
}

rt_status text_load_gguf(struct text_tokenizer *t, const struct fmt_gguf *f)
{
    rt_status st;
    char *model = NULL;
    struct reader r = { .t = t, .file = f };
    byte_level_init(&r.level);
    t->overlap = TEXT_LONGEST;
    TRY(fmt_gguf_text(f, "tokenizer.ggml.model", &model));
    TRY(read_lists(&r));
    if (model && strcmp(model, "gpt2") == 0) {
        TRY(load_byte_level(&r));
    } else if (model && strcmp(model, "llama") == 0) {
        TRY(load_pieces(&r));
    } else {
        st = rt_fail(t->ctx, RT_ERR_INPUT,
                     "'%s': key 'tokenizer.ggml.model' is '%.60s'; gpt2 (byte-level BPE) "
                     "and llama (SentencePiece BPE) are supported",
                     t->path, model ? model : "(missing)");
        goto fail;
    }
    TRY(read_bos(&r));

fail:
    byte_level_deinit(&r.level);
    rt_free(model);
    return st;
}

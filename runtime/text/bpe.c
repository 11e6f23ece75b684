/* runtime/text/bpe.c
 * The vocabulary of a BPE tokenizer and the merging of a word's pieces, with a heap of
 * neighbours. */
#include "runtime/text/bpe.h"

#include "runtime/base/utf8.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t HASH_START = 2166136261u; /* FNV-1a */

static uint32_t hash_bytes(uint32_t hash, const uint8_t *p, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ p[i]) * 16777619u;
    return hash;
}

static uint32_t hash_pair(uint32_t a, uint32_t b)
{
    uint64_t x = ((uint64_t)a << 32 | b) * UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t)(x >> 32);
}

static uint32_t places_for(size_t count)
{
    uint32_t places = 1024;
    while (places < 2 * count)
        places *= 2;
    return places;
}

/* The place of these bytes in the text table: theirs, or the empty one. */
static uint32_t text_place(const struct bpe *b, const uint8_t *bytes, size_t size)
{
    assert(b->text_places && (b->text_places & (b->text_places - 1)) == 0);
    uint32_t i = hash_bytes(HASH_START, bytes, size) & (b->text_places - 1);
    while (b->by_text[i]) {
        const struct bpe_token *t = &b->tokens[b->by_text[i] - 1];
        if (t->key_size == size && memcmp(t->key, bytes, size) == 0)
            break;
        i = (i + 1) & (b->text_places - 1);
    }
    return i;
}

uint32_t bpe_find(const struct bpe *b, const char *key, size_t size)
{
    const uint32_t id = b->by_text[text_place(b, (const uint8_t *)key, size)];
    return id ? id - 1 : BPE_NO_ID;
}

uint32_t bpe_find_joined(const struct bpe *b, uint32_t left, uint32_t right)
{
    assert(left < b->id_count && right < b->id_count);
    const struct bpe_token *l = &b->tokens[left], *r = &b->tokens[right];
    const uint32_t hash =
        hash_bytes(hash_bytes(HASH_START, l->key, l->key_size), r->key, r->key_size);
    for (uint32_t i = hash & (b->text_places - 1); b->by_text[i];
         i = (i + 1) & (b->text_places - 1)) {
        const struct bpe_token *t = &b->tokens[b->by_text[i] - 1];
        if (t->key_size == l->key_size + r->key_size &&
            memcmp(t->key, l->key, l->key_size) == 0 &&
            memcmp(t->key + l->key_size, r->key, r->key_size) == 0)
            return b->by_text[i] - 1;
    }
    return BPE_NO_ID;
}

const uint8_t *bpe_text(const struct bpe *b, uint32_t id, size_t *size)
{
    const bool known = id < b->id_count && b->tokens[id].bytes;
    *size = known ? b->tokens[id].size : 0;
    return known ? b->tokens[id].bytes : (const uint8_t *)"";
}

/* Makes the token findable, unless its text already is. */
static void put_text(struct bpe *b, uint32_t id)
{
    assert(id < b->id_count && b->tokens[id].bytes);
    const uint32_t place = text_place(b, b->tokens[id].key, b->tokens[id].key_size);
    if (!b->by_text[place])
        b->by_text[place] = id + 1;
}

static rt_status grow_texts(struct bpe *b, struct rt_ctx *ctx)
{
    const uint32_t old_places = b->text_places;
    uint32_t *old = b->by_text;
    uint32_t *table = rt_alloc(ctx, 2 * (size_t)old_places, sizeof *table);
    if (!table)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "tokenizer: no memory");
    b->by_text = table;
    b->text_places = 2 * old_places;
    for (uint32_t i = 0; i < old_places; i++)
        if (old[i])
            put_text(b, old[i] - 1);
    rt_free(old);
    return RT_OK;
}

rt_status bpe_init(struct bpe *b, struct rt_ctx *ctx, size_t expected)
{
    *b = (struct bpe){ .unknown = BPE_NO_ID };
    for (int byte = 0; byte < 256; byte++)
        b->byte_id[byte] = BPE_NO_ID;
    if (expected > BPE_ID_MAX)
        return rt_fail(ctx, RT_ERR_INPUT, "tokenizer: %zu tokens are more than %d",
                       expected, (int)BPE_ID_MAX);
    b->text_places = places_for(expected);
    b->by_text = rt_alloc(ctx, b->text_places, sizeof *b->by_text);
    return b->by_text ? RT_OK : rt_fail(ctx, RT_ERR_HOST_MEMORY, "tokenizer: no memory");
}

void bpe_deinit(struct bpe *b)
{
    for (uint32_t i = 0; i < b->id_count; i++) {
        if (b->tokens[i].key != b->tokens[i].bytes)
            rt_free(b->tokens[i].key);
        rt_free(b->tokens[i].bytes);
    }
    rt_free(b->tokens);
    rt_free(b->by_text);
    rt_free(b->merges);
}

static rt_status reserve_id(struct bpe *b, struct rt_ctx *ctx, uint32_t id)
{
    if (id < b->id_capacity)
        return RT_OK;
    const uint32_t capacity = id + id / 2 + 1024;
    struct bpe_token *tokens =
        rt_resize(ctx, b->tokens, b->id_capacity, capacity, sizeof *tokens);
    if (!tokens)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "tokenizer: no memory");
    b->tokens = tokens;
    b->id_capacity = capacity;
    return RT_OK;
}

rt_status bpe_add(struct bpe *b, struct rt_ctx *ctx, const char *bytes, size_t size,
                  uint32_t id, bool hidden)
{
    rt_status st;
    TRY(reserve_id(b, ctx, id));
    if (b->tokens[id].bytes)
        return RT_OK;
    uint8_t *copy = rt_alloc(ctx, size + 1, 1);
    if (!copy)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "tokenizer: no memory");
    if (size) /* bytes of an empty token may be null */
        memcpy(copy, bytes, size);
    b->tokens[id] = (struct bpe_token){ copy,           copy,        (uint32_t)size,
                                        (uint32_t)size, BPE_NO_RANK, false };
    if (id >= b->id_count)
        b->id_count = id + 1;
    if (b->id_count > b->text_places / 2)
        TRY(grow_texts(b, ctx));
    assert(b->id_count <= b->text_places); /* a search ends at an empty place */
    if (!hidden)
        put_text(b, id);

fail:
    return st;
}

rt_status bpe_show(struct bpe *b, struct rt_ctx *ctx, uint32_t id, const char *bytes,
                   size_t size)
{
    assert(id < b->id_count && b->tokens[id].bytes);
    struct bpe_token *t = &b->tokens[id];
    if (t->size == size && (size == 0 || memcmp(t->bytes, bytes, size) == 0))
        return RT_OK;
    uint8_t *copy = rt_alloc(ctx, size + 1, 1);
    if (!copy)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "tokenizer: no memory");
    if (size)
        memcpy(copy, bytes, size);
    if (t->key != t->bytes)
        rt_free(t->bytes);
    t->bytes = copy;
    t->size = (uint32_t)size;
    return RT_OK;
}

/* ---- what goes first ---- */

static struct bpe_merge *merge_place(const struct bpe *b, uint32_t left, uint32_t right)
{
    assert(b->merges && b->merge_places);
    uint32_t i = hash_pair(left, right) & (b->merge_places - 1);
    while (b->merges[i].left != BPE_NO_ID &&
           (b->merges[i].left != left || b->merges[i].right != right))
        i = (i + 1) & (b->merge_places - 1);
    return &b->merges[i];
}

rt_status bpe_merges_init(struct bpe *b, struct rt_ctx *ctx, size_t count)
{
    if (count > BPE_ID_MAX)
        return rt_fail(ctx, RT_ERR_INPUT, "tokenizer: %zu merges are more than %d", count,
                       (int)BPE_ID_MAX);
    b->merge_places = places_for(count);
    b->merges = rt_alloc(ctx, b->merge_places, sizeof *b->merges);
    if (!b->merges)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "tokenizer: no memory");
    for (uint32_t i = 0; i < b->merge_places; i++)
        b->merges[i].left = BPE_NO_ID;
    return RT_OK;
}

void bpe_merge_add(struct bpe *b, uint32_t left, uint32_t right, uint32_t rank,
                   uint32_t id)
{
    struct bpe_merge *place = merge_place(b, left, right);
    if (place->left == BPE_NO_ID || b->last_pair_counts)
        *place = (struct bpe_merge){ left, right, rank, id };
}

struct scored {
    float score;
    uint32_t id;
};

static int higher_first(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;
    return x->score > y->score ? -1 : x->score < y->score;
}

rt_status bpe_rank(struct bpe *b, struct rt_ctx *ctx, const float *scores,
                   const bool *never, uint32_t count)
{
    uint32_t n = 0, rank = 0;
    struct scored *order = rt_alloc(ctx, count, sizeof *order);
    if (!order)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "tokenizer: no memory");
    b->by_rank = true;
    for (uint32_t id = 0; id < count && id < b->id_count; id++)
        if (!never[id])
            order[n++] = (struct scored){ scores[id], id };
    qsort(order, n, sizeof *order, higher_first);
    for (uint32_t i = 0; i < n; i++) {
        if (i && order[i].score < order[i - 1].score)
            rank++;
        b->tokens[order[i].id].rank = rank;
    }
    rt_free(order);
    return RT_OK;
}

/* ---- encoding ---- */

/* A symbol of the word, in a list: bytes [start, start + size). Joining keeps the left
 * one, which grows, and empties the right one: a place and a size name a symbol. */
struct symbol {
    uint32_t id, start, size, previous, next;
};

/* A pair that may be joined, in a heap ordered by rank, then by place: O(n log n) for any
 * word. */
struct candidate {
    uint32_t rank, at, right, size, right_size, id;
};

struct word {
    const uint8_t *text;
    struct symbol *symbols;
    uint32_t count;
    struct candidate *heap;
    uint32_t heap_count;
};

static bool before(const struct candidate *a, const struct candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void heap_push(struct word *w, struct candidate c)
{
    uint32_t i = w->heap_count++;
    while (i > 0 && before(&c, &w->heap[(i - 1) / 2])) {
        w->heap[i] = w->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    w->heap[i] = c;
}

static struct candidate heap_pop(struct word *w)
{
    assert(w->heap_count > 0);
    const struct candidate top = w->heap[0], last = w->heap[--w->heap_count];
    uint32_t i = 0;
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= w->heap_count)
            break;
        if (child + 1 < w->heap_count && before(&w->heap[child + 1], &w->heap[child]))
            child++;
        if (!before(&w->heap[child], &last))
            break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = last;
    return top;
}

/* What joining two neighbours would make; false: they do not join. */
static bool joined(const struct bpe *b, const struct word *w, const struct symbol *left,
                   const struct symbol *right, uint32_t *rank, uint32_t *id)
{
    if (!b->by_rank) {
        if (left->id == BPE_NO_ID || right->id == BPE_NO_ID)
            return false;
        const struct bpe_merge *m = merge_place(b, left->id, right->id);
        *rank = m->rank;
        *id = m->id;
        return m->left != BPE_NO_ID;
    }
    *id = bpe_find(b, (const char *)w->text + left->start, left->size + right->size);
    *rank = *id == BPE_NO_ID ? BPE_NO_RANK : b->tokens[*id].rank;
    return *rank != BPE_NO_RANK;
}

static void consider(const struct bpe *b, struct word *w, uint32_t at)
{
    const uint32_t next = at == UINT32_MAX ? UINT32_MAX : w->symbols[at].next;
    if (next == UINT32_MAX)
        return;
    assert(at < w->count && next < w->count && at < next);
    const struct symbol *left = &w->symbols[at], *right = &w->symbols[next];
    struct candidate c = {
        .at = at, .right = next, .size = left->size, .right_size = right->size
    };
    if (joined(b, w, left, right, &c.rank, &c.id))
        heap_push(w, c);
}

static void merge_word(const struct bpe *b, struct word *w)
{
    while (w->heap_count) {
        const struct candidate c = heap_pop(w);
        struct symbol *s = &w->symbols[c.at], *gone = &w->symbols[c.right];
        if (s->size != c.size || s->next != c.right || gone->size != c.right_size)
            continue;                              /* one of both has been joined since */
        assert(s->start + s->size <= gone->start); /* what a word leaves out is between */
        s->id = c.id;
        s->size += gone->size;
        s->next = gone->next;
        gone->size = 0;
        if (s->next != UINT32_MAX)
            w->symbols[s->next].previous = c.at;
        consider(b, w, s->previous);
        consider(b, w, c.at);
    }
}

/* Adds a symbol of `size` bytes after the others. */
static void add_symbol(struct word *w, uint32_t id, size_t start, size_t size)
{
    const uint32_t n = w->count++;
    w->symbols[n] = (struct symbol){ id, (uint32_t)start, (uint32_t)size,
                                     n ? n - 1 : UINT32_MAX, UINT32_MAX };
    if (n)
        w->symbols[n - 1].next = n;
}

static bool has_bytes(const struct bpe *b, const uint8_t *bytes, size_t size)
{
    bool all = true;
    for (size_t k = 0; k < size; k++)
        all &= b->byte_id[bytes[k]] != BPE_NO_ID;
    return all;
}

/* The characters of a word, those without a token too. */
static void start_word(const struct bpe *b, struct word *w, size_t size)
{
    size_t step, bad;
    for (size_t i = 0; i < size; i += step) {
        step = utf8_character(w->text + i, size - i, &bad);
        step = step ? step : 1;
        add_symbol(w, bpe_find(b, (const char *)w->text + i, step), i, step);
    }
}

/* The same as the tokenizers package has it: a character without a token is its bytes
 * where all of them have tokens, else the unknown token, else nothing. An unknown token
 * is written when a known character comes, so bytes pass it. Here `start` is the place
 * among the symbols. */
static void start_known(const struct bpe *b, struct word *w, size_t size)
{
    size_t step, bad, at = 0, unknown = 0; /* bytes of the unknown token to come */
    for (size_t i = 0; i < size; i += step) {
        const uint8_t *c = w->text + i;
        step = utf8_character(c, size - i, &bad);
        step = step ? step : 1;
        const uint32_t id = bpe_find(b, (const char *)c, step);
        if (id == BPE_NO_ID && has_bytes(b, c, step)) {
            for (size_t k = 0; k < step; k++)
                add_symbol(w, b->byte_id[c[k]], at++, 1);
            continue;
        }
        if (id == BPE_NO_ID && b->unknown == BPE_NO_ID)
            continue;
        if (unknown && !(id == BPE_NO_ID && b->one_unknown)) {
            add_symbol(w, b->unknown, at, unknown);
            at += unknown;
            unknown = 0;
        }
        if (id == BPE_NO_ID) {
            unknown += step;
        } else {
            add_symbol(w, id, at, step);
            at += step;
        }
    }
    if (unknown)
        add_symbol(w, b->unknown, at, unknown);
}

/* A character without a token: its bytes where they have some, else the unknown token,
 * one for a run of them. */
static void put_unknown(const struct bpe *b, const uint8_t *bytes, uint32_t size,
                        bool *in_run, uint32_t *out, uint32_t *count)
{
    const bool all = has_bytes(b, bytes, size);
    for (uint32_t k = 0; all && k < size; k++)
        out[(*count)++] = b->byte_id[bytes[k]];
    if (!all && b->unknown != BPE_NO_ID && !*in_run)
        out[(*count)++] = b->unknown;
    *in_run = !all;
}

static uint32_t put_word(const struct bpe *b, const struct word *w, uint32_t *out)
{
    bool in_run = false;
    uint32_t n = 0;
    for (uint32_t i = w->count ? 0 : UINT32_MAX; i != UINT32_MAX;
         i = w->symbols[i].next) {
        const struct symbol *s = &w->symbols[i];
        if (s->id == BPE_NO_ID) {
            put_unknown(b, w->text + s->start, s->size, &in_run, out, &n);
        } else {
            out[n++] = s->id;
            in_run = false;
        }
    }
    return n;
}

/* Most words are short: up to this many bytes they need no memory of their own. */
enum { SHORT_WORD = 48 };

static rt_status check_word(const struct bpe *b, struct rt_ctx *ctx, const uint8_t *text,
                            size_t size)
{
    size_t step, bad;
    if (size > UINT32_MAX / 4)
        return rt_fail(ctx, RT_ERR_INPUT, "encoding: a word of %zu bytes is too long",
                       size);
    for (size_t i = 0; b->unknown_missing && i < size; i += step) {
        step = utf8_character(text + i, size - i, &bad);
        step = step ? step : 1;
        if (bpe_find(b, (const char *)text + i, step) == BPE_NO_ID &&
            !has_bytes(b, text + i, step))
            return rt_fail(ctx, RT_ERR_INPUT,
                           "encoding: '%.*s' needs the unknown token (unk_token), which "
                           "the vocabulary lacks",
                           (int)step, (const char *)text + i);
    }
    return RT_OK;
}

rt_status bpe_encode(const struct bpe *b, struct rt_ctx *ctx, const uint8_t *text,
                     size_t size, uint32_t *out, uint32_t *count)
{
    struct symbol symbols[SHORT_WORD];
    struct candidate heap[3 * SHORT_WORD];
    struct word w = { .text = text, .symbols = symbols, .heap = heap };
    rt_status st = check_word(b, ctx, text, size);
    if (st != RT_OK)
        return st;
    const uint32_t whole =
        b->ignore_merges ? bpe_find(b, (const char *)text, size) : BPE_NO_ID;
    if (whole != BPE_NO_ID) {
        out[0] = whole;
        ++*count;
        return RT_OK;
    }
    if (size > SHORT_WORD) {
        w.symbols = rt_alloc(ctx, size, sizeof *w.symbols);
        w.heap = rt_alloc(ctx, 3 * size, sizeof *w.heap); /* a merge adds at most two */
    }
    if (w.symbols && w.heap) {
        (b->unknown_first ? start_known : start_word)(b, &w, size);
        for (uint32_t i = 0; i < w.count; i++)
            consider(b, &w, i);
        merge_word(b, &w);
        const uint32_t n = put_word(b, &w, out);
        assert(n <= size); /* room that the caller made */
        *count += n;
    } else {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "encoding: no memory");
    }
    if (size > SHORT_WORD) {
        rt_free(w.symbols);
        rt_free(w.heap);
    }
    return st;
}

/* runtime/text/tokenizer_added.c
 * Added tokens: a tree of their texts, and cutting them out of a text. */
#include "runtime/text/tokenizer_impl.h"

#include "runtime/text/tokenizer_unicode.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

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
    t->bpe.tokens[id].special = special;
    return RT_OK;
}

const struct text_added *text_find_added(const struct text_tokenizer *t, const char *text,
                                         size_t size)
{
    for (uint32_t i = 0; i < t->added_count; i++) {
        const struct text_added *a = &t->added[i];
        const size_t have = a->given ? strlen(a->given) : a->size;
        if (have == size && memcmp(a->given ? a->given : a->text, text, size) == 0)
            return a;
    }
    return NULL;
}

/* ---- the tree ---- */

static uint32_t child_of(const struct text_tree *tree, uint32_t node, uint8_t byte)
{
    if (node == 0)
        return tree->first[byte];
    uint32_t child = tree->nodes[node].first;
    while (child && tree->nodes[child].byte != byte)
        child = tree->nodes[child].next;
    return child;
}

static rt_status grow_node(struct text_tokenizer *t, struct text_tree *tree,
                           uint32_t parent, uint8_t byte, uint32_t *out)
{
    if (tree->count == tree->capacity) {
        const uint32_t capacity = 2 * tree->capacity + 64;
        struct text_tree_node *nodes =
            rt_resize(t->ctx, tree->nodes, tree->capacity, capacity, sizeof *nodes);
        if (!nodes)
            return rt_fail(t->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", t->path);
        tree->nodes = nodes;
        tree->capacity = capacity;
        tree->count += tree->count == 0; /* the root */
    }
    *out = tree->count++;
    tree->nodes[*out] =
        (struct text_tree_node){ .byte = byte, .next = tree->nodes[parent].first };
    tree->nodes[parent].first = *out;
    if (parent == 0)
        tree->first[byte] = *out;
    return RT_OK;
}

rt_status text_plant_added(struct text_tokenizer *t)
{
    rt_status st;
    for (uint32_t i = 0; i < t->added_count; i++) {
        const struct text_added *a = &t->added[i];
        struct text_tree *tree = a->normalized ? &t->normal : &t->raw;
        uint32_t node = 0;
        for (size_t k = 0; k < a->size; k++) {
            uint32_t child = child_of(tree, node, (uint8_t)a->text[k]);
            if (!child)
                TRY(grow_node(t, tree, node, (uint8_t)a->text[k], &child));
            node = child;
        }
        if (a->size && !tree->nodes[node].added)
            tree->nodes[node].added = i + 1;
    }
    return RT_OK;

fail:
    return st;
}

/* ---- cutting ---- */

struct cutting {
    struct text_work *w;
    struct text_tokenizer *t;
    const struct text_tree *tree;
    const char *text;
    size_t size, start; /* start: of the text within the work */
    size_t from;        /* behind the last token */
    size_t origin;      /* of the piece */
    bool special;
};

/* Where special tokens are no tokens, llama.cpp and SentencePiece do not look for them;
 * the tokenizers package finds them and leaves them as text. */
static bool is_sought(const struct cutting *c, const struct text_added *a)
{
    return c->special || !a->special ||
           (c->t->overlap == TEXT_LEFTMOST && !c->t->marks_are_spaces);
}

/* The longest token that begins at this place, null: none. */
static const struct text_added *token_at(const struct cutting *c, size_t at)
{
    const struct text_added *found = NULL;
    uint32_t node = 0;
    for (size_t i = at; i < c->size; i++) {
        node = child_of(c->tree, node, (uint8_t)c->text[i]);
        if (!node)
            break;
        const uint32_t added = c->tree->nodes[node].added;
        if (added && is_sought(c, &c->t->added[added - 1]))
            found = &c->t->added[added - 1];
    }
    return found;
}

static rt_status put_text(struct cutting *c, size_t from, size_t end)
{
    const size_t origin = from < c->origin ? c->origin - from : 0;
    return text_work_put(
        c->w, (struct text_piece){ c->start + from, end - from, BPE_NO_ID, origin });
}

/* Whether a character of words touches the token. */
static bool touches_word(struct cutting *c, size_t start, size_t end)
{
    size_t before = start;
    while (before > 0 && ((uint8_t)c->text[--before] & 0xc0) == 0x80)
        ;
    return (start > 0 &&
            text_pattern_is(&c->t->word, c->text + before, start - before)) ||
           (end < c->size && text_pattern_is(&c->t->word, c->text + end, c->size - end));
}

static rt_status put_token(struct cutting *c, const struct text_added *a, size_t start)
{
    rt_status st;
    size_t end = start + a->size, n = 1;
    if (a->special && !c->special)
        return RT_OK;
    if (a->whole_words && touches_word(c, start, end))
        return RT_OK;
    if (a->eats_left && start > c->from)
        start = text_white_before(c->text, c->from, start);
    while (a->eats_right && end < c->size && n)
        end += n = text_white_at(c->text + end, c->size - end);
    if (c->from < start)
        TRY(put_text(c, c->from, start));
    TRY(text_work_put(c->w,
                      (struct text_piece){ c->start + start, end - start, a->id, 0 }));
    c->from = end;

fail:
    return st;
}

static rt_status cut_leftmost(struct cutting *c)
{
    rt_status st;
    for (size_t at = 0; at < c->size;) {
        const struct text_added *a =
            c->tree->first[(uint8_t)c->text[at]] ? token_at(c, at) : NULL;
        if (a)
            TRY(put_token(c, a, at));
        at += a ? a->size : 1;
    }
    return RT_OK;

fail:
    return st;
}

/* ---- the longest first ---- */

struct hit {
    size_t start, size;
    uint32_t added;
};

struct hits {
    struct hit *list;
    size_t count, capacity;
};

static rt_status add_hit(struct cutting *c, struct hits *hits, struct hit hit)
{
    if (hits->count == hits->capacity) {
        const size_t capacity = 2 * hits->capacity + 64;
        struct hit *list =
            rt_resize(c->w->ctx, hits->list, hits->capacity, capacity, sizeof *list);
        if (!list)
            return rt_fail(c->w->ctx, RT_ERR_HOST_MEMORY, "encoding: no memory");
        hits->list = list;
        hits->capacity = capacity;
    }
    hits->list[hits->count++] = hit;
    return RT_OK;
}

static int longest_first(const void *a, const void *b)
{
    const struct hit *x = a, *y = b;
    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    if (x->added != y->added)
        return x->added < y->added ? -1 : 1;
    return x->start < y->start ? -1 : x->start > y->start;
}

static int by_start(const void *a, const void *b)
{
    const struct hit *x = a, *y = b;
    return x->start < y->start ? -1 : x->start > y->start;
}

/* Every token at every place. */
static rt_status find_all(struct cutting *c, struct hits *hits)
{
    rt_status st;
    for (size_t at = 0; at < c->size; at++) {
        uint32_t node = 0;
        for (size_t i = at; i < c->size; i++) {
            node = child_of(c->tree, node, (uint8_t)c->text[i]);
            if (!node)
                break;
            const uint32_t added = c->tree->nodes[node].added;
            if (added && is_sought(c, &c->t->added[added - 1]))
                TRY(add_hit(c, hits, (struct hit){ at, i + 1 - at, added - 1 }));
        }
    }
    return RT_OK;

fail:
    return st;
}

/* Keeps the hits that no longer or earlier one overlaps, in order of place. */
static rt_status choose(struct cutting *c, struct hits *hits)
{
    size_t kept = 0;
    uint8_t *taken = rt_alloc(c->w->ctx, c->size, 1);
    if (!taken)
        return rt_fail(c->w->ctx, RT_ERR_HOST_MEMORY, "encoding: no memory");
    qsort(hits->list, hits->count, sizeof *hits->list, longest_first);
    for (size_t i = 0; i < hits->count; i++) {
        const struct hit hit = hits->list[i];
        /* what is taken is no shorter, so it covers an end of what it overlaps */
        if (taken[hit.start] || taken[hit.start + hit.size - 1])
            continue;
        memset(taken + hit.start, 1, hit.size);
        hits->list[kept++] = hit;
    }
    hits->count = kept;
    qsort(hits->list, kept, sizeof *hits->list, by_start);
    rt_free(taken);
    return RT_OK;
}

static rt_status cut_longest(struct cutting *c)
{
    rt_status st;
    struct hits hits = { 0 };
    TRY(find_all(c, &hits));
    if (hits.count)
        TRY(choose(c, &hits));
    for (size_t i = 0; i < hits.count; i++)
        TRY(put_token(c, &c->t->added[hits.list[i].added], hits.list[i].start));

fail:
    rt_free(hits.list);
    return st;
}

rt_status text_work_cut(struct text_work *w, struct text_tokenizer *t,
                        const struct text_tree *tree, bool special)
{
    rt_status st;
    if (tree->count == 0)
        return RT_OK;
    w->other_count = 0;
    for (size_t i = 0; i < w->count; i++) {
        const struct text_piece piece = w->pieces[i];
        struct cutting c = { .w = w,
                             .t = t,
                             .tree = tree,
                             .text = w->bytes + piece.start,
                             .size = piece.size,
                             .start = piece.start,
                             .special = special,
                             .origin = piece.origin };
        if (piece.id != BPE_NO_ID) {
            TRY(text_work_put(w, piece));
            continue;
        }
        TRY(t->overlap == TEXT_LONGEST ? cut_longest(&c) : cut_leftmost(&c));
        if (c.from < c.size)
            TRY(put_text(&c, c.from, c.size));
    }
    text_work_turn_pieces(w);
    return RT_OK;

fail:
    return st;
}

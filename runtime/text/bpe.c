#include "runtime/text/bpe.h"

#include <string.h>

static uint32_t hash_bytes(const uint8_t *p, size_t size)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
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
    uint32_t i = hash_bytes(bytes, size) & (b->text_places - 1);
    while (b->by_text[i]) {
        const struct bpe_token *t = &b->tokens[b->by_text[i] - 1];
        if (t->size == size && memcmp(t->bytes, bytes, size) == 0)
            break;
        i = (i + 1) & (b->text_places - 1);
    }
    return i;
}

uint32_t bpe_find(const struct bpe *b, const char *bytes, size_t size)
{
    const uint32_t id = b->by_text[text_place(b, (const uint8_t *)bytes, size)];
    return id ? id - 1 : UINT32_MAX;
}

const uint8_t *bpe_text(const struct bpe *b, uint32_t id, size_t *size)
{
    const bool known = id < b->id_count && b->tokens[id].bytes;
    *size = known ? b->tokens[id].size : 0;
    return known ? b->tokens[id].bytes : (const uint8_t *)"";
}

static rt_status grow_texts(struct bpe *b, struct rt_ctx *ctx)
{
    const uint32_t places = 2 * b->text_places;
    uint32_t *table = rt_alloc(ctx, places, sizeof *table);
    if (!table)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "tokenizer: no memory");
    rt_free(b->by_text);
    b->by_text = table;
    b->text_places = places;
    for (uint32_t id = 0; id < b->id_count; id++)
        if (b->tokens[id].bytes)
            b->by_text[text_place(b, b->tokens[id].bytes, b->tokens[id].size)] = id + 1;
    return RT_OK;
}

rt_status bpe_add(struct bpe *b, struct rt_ctx *ctx, const char *bytes, size_t size,
                  uint32_t id)
{
    if (id >= b->id_capacity) {
        const uint32_t capacity = id + id / 2 + 1024;
        struct bpe_token *tokens =
            rt_resize(ctx, b->tokens, b->id_capacity, capacity, sizeof *tokens);
        if (!tokens)
            return rt_fail(ctx, RT_ERR_HOST_MEMORY, "tokenizer: no memory");
        b->tokens = tokens;
        b->id_capacity = capacity;
    }
    if (b->tokens[id].bytes)
        return RT_OK;
    uint8_t *copy = rt_alloc(ctx, size + 1, 1);
    if (!copy)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "tokenizer: no memory");
    memcpy(copy, bytes, size);
    b->tokens[id] = (struct bpe_token){ copy, (uint32_t)size };
    if (id >= b->id_count)
        b->id_count = id + 1;
    if (b->id_count > b->text_places / 2) {
        const rt_status st = grow_texts(b, ctx);
        if (st != RT_OK)
            return st;
    }
    const uint32_t place = text_place(b, copy, size);
    if (!b->by_text[place])
        b->by_text[place] = id + 1;
    return RT_OK;
}

/* ---- the alphabet of byte-level BPE ----
 * Printable Latin-1 bytes stand for themselves; the other 68 bytes are shown as U+0100
 * and up, in order (GPT-2's table). */
static void make_alphabet(uint16_t shown[256])
{
    uint16_t next = 256;
    for (int byte = 0; byte < 256; byte++) {
        const bool printable =
            (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
        shown[byte] = printable ? (uint16_t)byte : next++;
    }
}

/* Shown text to bytes; false if it holds a character that stands for no byte. */
static bool to_bytes(const uint16_t shown[256], const char *text, uint8_t *out,
                     size_t *size)
{
    *size = 0;
    const uint8_t *p = (const uint8_t *)text;
    while (*p) {
        uint32_t c = *p++;
        if (c >= 0x80) {
            if ((c & 0xe0) != 0xc0 || (*p & 0xc0) != 0x80)
                return false;
            c = (c & 31) << 6 | (*p++ & 63);
        }
        int byte = 0;
        while (byte < 256 && shown[byte] != c)
            byte++;
        if (byte == 256)
            return false;
        out[(*size)++] = (uint8_t)byte;
    }
    return true;
}

/* ---- loading ---- */

struct reader {
    struct bpe *b;
    struct rt_ctx *ctx;
    const char *path;
    uint16_t shown[256];
    uint8_t *scratch; /* longer than any token */
    size_t scratch_size;
};

static rt_status shown_to_bytes(struct reader *r, const char *text, size_t *size)
{
    const size_t length = strlen(text);
    if (length > r->scratch_size) {
        rt_free(r->scratch);
        r->scratch = rt_alloc(r->ctx, 2 * length, 1);
        r->scratch_size = r->scratch ? 2 * length : 0;
        if (!r->scratch)
            return rt_fail(r->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", r->path);
    }
    if (!to_bytes(r->shown, text, r->scratch, size))
        return rt_fail(
            r->ctx, RT_ERR_INPUT,
            "'%s': token '%.40s' is not byte-level text; only byte-level BPE is "
            "supported",
            r->path, text);
    return RT_OK;
}

static rt_status load_vocab(struct reader *r, const json_t *vocab)
{
    rt_status st;
    const char *text;
    json_t *id;
    if (!json_is_object(vocab) || json_object_size(vocab) == 0)
        return rt_fail(r->ctx, RT_ERR_INPUT, "'%s': the vocabulary is missing", r->path);
    json_object_foreach((json_t *)(uintptr_t)vocab, text, id)
    {
        size_t size;
        if (!json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) > BPE_ID_MAX)
            return rt_fail(r->ctx, RT_ERR_INPUT, "'%s': token '%.40s' has no valid id",
                           r->path, text);
        TRY(shown_to_bytes(r, text, &size));
        TRY(bpe_add(r->b, r->ctx, (const char *)r->scratch, size,
                    (uint32_t)json_integer_value(id)));
    }
    for (int byte = 0; byte < 256; byte++) {
        const char c = (char)byte;
        r->b->byte_id[byte] = bpe_find(r->b, &c, 1);
    }
    return RT_OK;

fail:
    return st;
}

/* The two halves of a merge: "a b" or ["a", "b"], in fresh memory. */
static rt_status merge_halves(struct reader *r, const json_t *merge, uint32_t rank,
                              char **left, const char **right)
{
    const json_t *a = json_array_get(merge, 0), *b = json_array_get(merge, 1);
    const bool joined = json_is_string(merge);
    if (!joined && !(json_is_string(a) && json_is_string(b)))
        goto no_pair;
    *left = joined
                ? rt_strdup(r->ctx, json_string_value(merge))
                : rt_format(r->ctx, "%s %s", json_string_value(a), json_string_value(b));
    if (!*left)
        return rt_fail(r->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", r->path);
    char *space = strchr(*left, ' ');
    if (!space)
        goto no_pair;
    *space = '\0';
    *right = space + 1;
    return RT_OK;

no_pair:
    return rt_fail(r->ctx, RT_ERR_INPUT, "'%s': merge %u is not a pair", r->path, rank);
}

static struct bpe_merge *merge_place(const struct bpe *b, uint32_t left, uint32_t right)
{
    uint32_t i = hash_pair(left, right) & (b->merge_places - 1);
    while (b->merges[i].left != UINT32_MAX &&
           (b->merges[i].left != left || b->merges[i].right != right))
        i = (i + 1) & (b->merge_places - 1);
    return &b->merges[i];
}

static rt_status load_merge(struct reader *r, const json_t *merge, uint32_t rank)
{
    rt_status st;
    const char *right_text = NULL;
    char *joined = NULL, *left_text = NULL;
    size_t left_size, right_size;
    uint32_t left, right, whole;
    TRY(merge_halves(r, merge, rank, &left_text, &right_text));
    TRY(shown_to_bytes(r, left_text, &left_size));
    left = bpe_find(r->b, (const char *)r->scratch, left_size);
    TRY(shown_to_bytes(r, right_text, &right_size));
    right = bpe_find(r->b, (const char *)r->scratch, right_size);
    joined = rt_format(r->ctx, "%s%s", left_text, right_text);
    if (!joined) {
        st = rt_fail(r->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", r->path);
        goto fail;
    }
    TRY(shown_to_bytes(r, joined, &left_size));
    whole = bpe_find(r->b, (const char *)r->scratch, left_size);
    if (left == UINT32_MAX || right == UINT32_MAX || whole == UINT32_MAX) {
        st = rt_fail(r->ctx, RT_ERR_INPUT,
                     "'%s': merge %u makes '%.40s', which the vocabulary lacks", r->path,
                     rank, joined);
        goto fail;
    }
    struct bpe_merge *place = merge_place(r->b, left, right);
    if (place->left == UINT32_MAX)
        *place = (struct bpe_merge){ left, right, rank, whole };

fail:
    rt_free(joined);
    rt_free(left_text);
    return st;
}

static rt_status load_merges(struct reader *r, const json_t *merges)
{
    if (!json_is_array(merges))
        return rt_fail(
            r->ctx, RT_ERR_INPUT,
            "'%s': the merges are missing; without them text cannot be encoded", r->path);
    const size_t n = json_array_size(merges);
    r->b->merge_places = places_for(n);
    r->b->merges = rt_alloc(r->ctx, r->b->merge_places, sizeof *r->b->merges);
    if (!r->b->merges || n > BPE_ID_MAX)
        return rt_fail(r->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", r->path);
    for (uint32_t i = 0; i < r->b->merge_places; i++)
        r->b->merges[i].left = UINT32_MAX;
    for (size_t i = 0; i < n; i++) {
        const rt_status st = load_merge(r, json_array_get(merges, i), (uint32_t)i);
        if (st != RT_OK)
            return st;
    }
    return RT_OK;
}

rt_status bpe_load(struct bpe *b, struct rt_ctx *ctx, const char *path,
                   const json_t *model)
{
    rt_status st;
    struct reader r = { .b = b, .ctx = ctx, .path = path };
    make_alphabet(r.shown);
    b->ignore_merges = json_is_true(json_object_get(model, "ignore_merges"));
    b->text_places = places_for(json_object_size(json_object_get(model, "vocab")));
    b->by_text = rt_alloc(ctx, b->text_places, sizeof *b->by_text);
    if (!b->by_text)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", path);
    TRY(load_vocab(&r, json_object_get(model, "vocab")));
    TRY(load_merges(&r, json_object_get(model, "merges")));

fail:
    rt_free(r.scratch);
    return st;
}

void bpe_deinit(struct bpe *b)
{
    for (uint32_t i = 0; i < b->id_count; i++)
        rt_free(b->tokens[i].bytes);
    rt_free(b->tokens);
    rt_free(b->by_text);
    rt_free(b->merges);
}

/* ---- encoding ---- */

/* A symbol of the word, in a list; a merge candidate in a heap ordered by rank, then by
 * place: O(n log n) for any word. */
struct symbol {
    uint32_t id, previous, next;
};

struct candidate {
    uint32_t rank, at, left, right, id;
};

struct word {
    struct symbol *symbols;
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

static void consider(const struct bpe *b, struct word *w, uint32_t at)
{
    const uint32_t next = at == UINT32_MAX ? UINT32_MAX : w->symbols[at].next;
    if (next == UINT32_MAX)
        return;
    const uint32_t left = w->symbols[at].id, right = w->symbols[next].id;
    const struct bpe_merge *m = merge_place(b, left, right);
    if (m->left != UINT32_MAX)
        heap_push(w, (struct candidate){ m->rank, at, left, right, m->id });
}

static void merge_word(const struct bpe *b, struct word *w)
{
    while (w->heap_count) {
        const struct candidate c = heap_pop(w);
        struct symbol *s = &w->symbols[c.at];
        if (s->id != c.left || s->next == UINT32_MAX || w->symbols[s->next].id != c.right)
            continue; /* one of both has been merged since */
        struct symbol *gone = &w->symbols[s->next];
        s->id = c.id;
        s->next = gone->next;
        gone->id = UINT32_MAX;
        if (s->next != UINT32_MAX)
            w->symbols[s->next].previous = c.at;
        consider(b, w, s->previous);
        consider(b, w, c.at);
    }
}

rt_status bpe_encode(const struct bpe *b, struct rt_ctx *ctx, const uint8_t *word,
                     size_t size, uint32_t *out, uint32_t *count)
{
    uint32_t n = 0;
    if (size > UINT32_MAX / 4)
        return rt_fail(ctx, RT_ERR_INPUT, "encoding: a word of %zu bytes is too long",
                       size);
    if (b->ignore_merges) {
        const uint32_t whole = bpe_find(b, (const char *)word, size);
        if (whole != UINT32_MAX) {
            out[0] = whole;
            *count += 1;
            return RT_OK;
        }
    }
    struct word w = { 0 };
    w.symbols = rt_alloc(ctx, size, sizeof *w.symbols);
    w.heap = rt_alloc(ctx, 3 * size, sizeof *w.heap); /* each merge adds at most two */
    if (!w.symbols || !w.heap) {
        rt_free(w.symbols);
        rt_free(w.heap);
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "encoding: no memory");
    }
    for (size_t i = 0; i < size; i++) {
        const uint32_t id = b->byte_id[word[i]];
        if (id == UINT32_MAX)
            continue; /* a vocabulary without this byte has no id for it: left out */
        w.symbols[n] = (struct symbol){ id, n ? n - 1 : UINT32_MAX, UINT32_MAX };
        if (n)
            w.symbols[n - 1].next = n;
        n++;
    }
    for (uint32_t i = 0; i < n; i++)
        consider(b, &w, i);
    merge_word(b, &w);
    for (uint32_t i = n ? 0 : UINT32_MAX; i != UINT32_MAX; i = w.symbols[i].next) {
        *out++ = w.symbols[i].id;
        *count += 1;
    }
    rt_free(w.symbols);
    rt_free(w.heap);
    return RT_OK;
}

/* runtime/text/tokenizer_steps.c
 * What is done to text between added tokens: it is normalized, cut into pieces, and its
 * bytes are written in the alphabet of byte-level BPE. Every step goes from one buffer to
 * the other. */
#include "runtime/text/tokenizer_impl.h"

#include "runtime/text/byte_level.h"
#include "runtime/text/tokenizer_unicode.h"

#include <assert.h>
#include <string.h>

static rt_status no_memory(struct rt_ctx *ctx)
{
    return rt_fail(ctx, RT_ERR_HOST_MEMORY, "encoding: no memory");
}

/* ---- lists of steps ---- */

struct text_step *text_step_new(struct text_tokenizer *t, struct text_steps *steps,
                                enum text_step_kind kind)
{
    if (steps->count == TEXT_STEPS_MAX) {
        (void)rt_fail(t->ctx, RT_ERR_INPUT,
                      "'%s': more than %d steps between text and tokens are not "
                      "supported",
                      t->path, (int)TEXT_STEPS_MAX);
        return NULL;
    }
    struct text_step *step = &steps->list[steps->count++];
    *step = (struct text_step){ .kind = kind };
    return step;
}

rt_status text_add_split(struct text_tokenizer *t, const char *pattern,
                         enum text_dialect dialect)
{
    struct text_step *step = text_step_new(t, &t->splitters, TEXT_STEP_SPLIT);
    return step ? text_pattern_init(&step->pattern, t->ctx, t->path, pattern,
                                    strlen(pattern), dialect)
                : RT_ERR_INPUT;
}

void text_steps_deinit(struct text_steps *steps)
{
    for (uint32_t i = 0; i < steps->count; i++) {
        text_pattern_deinit(&steps->list[i].pattern);
        rt_free(steps->list[i].text);
    }
    steps->count = 0;
}

/* ---- text at work ---- */

void text_work_deinit(struct text_work *w)
{
    rt_free(w->bytes);
    rt_free(w->other);
    rt_free(w->pieces);
    rt_free(w->other_pieces);
    *w = (struct text_work){ .ctx = w->ctx };
}

/* Appends bytes to the other buffer. */
static rt_status put_bytes(struct text_work *w, const char *bytes, size_t size)
{
    if (w->other_size + size > w->other_capacity || !w->other) {
        const size_t capacity = 2 * (w->other_size + size) + 256;
        char *grown = rt_resize(w->ctx, w->other, w->other_capacity, capacity, 1);
        if (!grown)
            return no_memory(w->ctx);
        w->other = grown;
        w->other_capacity = capacity;
    }
    if (size)
        memcpy(w->other + w->other_size, bytes, size);
    w->other_size += size;
    return RT_OK;
}

rt_status text_work_put(struct text_work *w, struct text_piece piece)
{
    if (piece.size == 0 && piece.id == BPE_NO_ID)
        return RT_OK;
    if (w->other_count == w->other_piece_capacity) {
        const size_t capacity = 2 * w->other_piece_capacity + 64;
        struct text_piece *grown = rt_resize(
            w->ctx, w->other_pieces, w->other_piece_capacity, capacity, sizeof *grown);
        if (!grown)
            return no_memory(w->ctx);
        w->other_pieces = grown;
        w->other_piece_capacity = capacity;
    }
    if (piece.origin > piece.size)
        piece.origin = piece.size;
    w->other_pieces[w->other_count++] = piece;
    return RT_OK;
}

void text_work_turn_pieces(struct text_work *w)
{
    struct text_piece *pieces = w->pieces;
    const size_t capacity = w->piece_capacity;
    w->pieces = w->other_pieces;
    w->piece_capacity = w->other_piece_capacity;
    w->count = w->other_count;
    w->other_pieces = pieces;
    w->other_piece_capacity = capacity;
    w->other_count = 0;
}

/* What was written becomes what is read. */
static void turn(struct text_work *w)
{
    char *bytes = w->bytes;
    const size_t capacity = w->capacity;
    text_work_turn_pieces(w);
    w->bytes = w->other;
    w->capacity = w->other_capacity;
    w->size = w->other_size;
    w->other = bytes;
    w->other_capacity = capacity;
    w->other_size = 0;
}

rt_status text_work_set(struct text_work *w, const char *text, size_t size, bool first)
{
    rt_status st;
    uint32_t c;
    const size_t origin = first && size ? text_character(text, size, &c) : 0;
    w->other_size = w->other_count = 0;
    TRY(put_bytes(w, text, size));
    TRY(text_work_put(w, (struct text_piece){ 0, size, BPE_NO_ID, origin }));
    turn(w);

fail:
    return st;
}

/* ---- steps that change text ---- */

/* What of the first `origin` bytes lies in [from, end). */
static size_t overlap(size_t from, size_t end, size_t origin)
{
    return origin <= from ? 0 : (origin < end ? origin : end) - from;
}

/* What replaces a match comes of the last character that it replaces. */
static rt_status replace(struct text_work *w, struct text_step *step, const char *text,
                         size_t size, size_t *origin)
{
    rt_status st;
    size_t new_origin = 0;
    char *seen = NULL;
    size_t first, last, from = 0;
    bool found;
    TRY(text_pattern_seen(&step->pattern, w->ctx, text, size, &seen));
    struct text_search search = { &step->pattern, seen ? seen : text, size, 0, false, 0 };
    for (;;) {
        TRY(text_search_next(&search, w->ctx, &first, &last, &found));
        if (!found)
            break;
        new_origin += overlap(from, first, *origin);
        new_origin += *origin && last <= *origin ? step->size : 0;
        TRY(put_bytes(w, text + from, first - from));
        TRY(put_bytes(w, step->text, step->size));
        from = last;
    }
    TRY(put_bytes(w, text + from, size - from));
    *origin = new_origin + overlap(from, size, *origin);

fail:
    rt_free(seen);
    return st;
}

static rt_status strip(struct text_work *w, const struct text_step *step,
                       const char *text, size_t size, size_t *origin)
{
    size_t from = 0, n = 1;
    while (step->left && from < size && n)
        from += n = text_white_at(text + from, size - from);
    *origin = overlap(from, size, *origin);
    if (step->right)
        size = text_white_before(text, from, size);
    return put_bytes(w, text + from, size - from);
}

static rt_status put_in_alphabet(struct text_work *w, const char *text, size_t size)
{
    rt_status st;
    for (size_t i = 0; i < size; i++) {
        char c[2] = "";
        TRY(put_bytes(w, c, byte_level_put((uint8_t)text[i], c)));
    }
    return RT_OK;

fail:
    return st;
}

static rt_status put_before(struct text_work *w, const struct text_step *step,
                            const char *text, size_t size, size_t *origin)
{
    rt_status st;
    TRY(put_bytes(w, step->text, step->size));
    TRY(put_bytes(w, text, size));
    *origin += *origin ? step->size : 0;

fail:
    return st;
}

static rt_status put_normalized(struct text_work *w, const struct text_step *step,
                                const char *text, size_t size, size_t *origin)
{
    rt_status st;
    char *out = NULL;
    TRY(text_normalized(w->ctx, step->kind, text, *origin, &out, origin));
    rt_free(out);
    TRY(text_normalized(w->ctx, step->kind, text, size, &out, &size));
    while (*origin < size && ((uint8_t)out[*origin] & 0xc0) == 0x80)
        ++*origin; /* it was composed with what follows */
    st = put_bytes(w, out, size);
    rt_free(out);

fail:
    return st;
}

static rt_status change(struct text_work *w, struct text_step *step,
                        struct text_piece *piece)
{
    rt_status st;
    const size_t size = piece->size, old = w->other_size;
    size_t origin;
    const char *text = w->bytes + piece->start;
    assert(piece->origin <= size);
    switch (step->kind) {
    case TEXT_STEP_STRIP:
        return strip(w, step, text, size, &piece->origin);
    case TEXT_STEP_REPLACE:
        return replace(w, step, text, size, &piece->origin);
    case TEXT_STEP_BYTES:
        TRY(put_in_alphabet(w, text, piece->origin));
        origin = w->other_size - old;
        TRY(put_in_alphabet(w, text + piece->origin, size - piece->origin));
        piece->origin = origin;
        return RT_OK;
    case TEXT_STEP_PREFIX:
        if ((step->first && !piece->origin) ||
            (size >= step->size && memcmp(text, step->text, step->size) == 0))
            return put_bytes(w, text, size);
        return put_before(w, step, text, size, &piece->origin);
    case TEXT_STEP_PREPEND:
        return put_before(w, step, text, size, &piece->origin);
    default:
        return put_normalized(w, step, text, size, &piece->origin);
    }

fail:
    return st;
}

/* ---- the step that cuts text ---- */

/* Matches and what lies between them as they come; held back is the piece that the next
 * one may join. */
struct cutter {
    struct text_work *w;
    enum text_behavior behavior;
    const struct text_piece *whole; /* borrowed */
    struct text_piece held;         /* size 0: none */
    bool matched;                   /* what came last was a match */
    bool any;                       /* something has come */
};

static rt_status release(struct cutter *c)
{
    const rt_status st = text_work_put(c->w, c->held);
    c->held.size = 0;
    return st;
}

/* Whether a part goes into the piece before it. */
static bool joins(const struct cutter *c, bool match)
{
    switch (c->behavior) {
    case TEXT_CONTIGUOUS:
        return match == c->matched;
    case TEXT_WITH_PREVIOUS:
        return match && !c->matched;
    case TEXT_WITH_NEXT:
        return !match && c->matched;
    default:
        return false;
    }
}

static rt_status cut_at(struct cutter *c, size_t start, size_t size, bool match)
{
    rt_status st = RT_OK;
    const bool join = c->any && joins(c, match);
    if (!join)
        st = release(c);
    if (c->behavior == TEXT_REMOVED && match)
        size = 0;
    if (join) {
        c->held.size += size;
    } else {
        const size_t from = start - c->whole->start, all = c->whole->size;
        assert(from <= all);
        c->held = (struct text_piece){ start, size, BPE_NO_ID,
                                       overlap(from, all, c->whole->origin) };
    }
    c->any = true;
    c->matched = match;
    return st;
}

static rt_status cut(struct text_work *w, struct text_step *step,
                     const struct text_piece *piece)
{
    rt_status st;
    char *seen = NULL;
    size_t first, last, from = 0;
    bool found;
    const char *text = w->bytes + piece->start;
    struct cutter c = {
        .w = w, .behavior = step->behavior, .whole = piece, .held.id = BPE_NO_ID
    };
    TRY(text_pattern_seen(&step->pattern, w->ctx, text, piece->size, &seen));
    struct text_search search = { &step->pattern, seen ? seen : text,
                                  piece->size,    0,
                                  false,          0 };
    for (;;) {
        TRY(text_search_next(&search, w->ctx, &first, &last, &found));
        if (!found)
            break;
        if (first > from)
            TRY(cut_at(&c, piece->start + from, first - from, step->invert));
        TRY(cut_at(&c, piece->start + first, last - first, !step->invert));
        from = last;
    }
    if (from < piece->size)
        TRY(cut_at(&c, piece->start + from, piece->size - from, step->invert));
    TRY(release(&c));

fail:
    rt_free(seen);
    return st;
}

static rt_status run_step(struct text_work *w, struct text_step *step)
{
    rt_status st = RT_OK;
    const bool cuts = step->kind == TEXT_STEP_SPLIT;
    w->other_size = w->other_count = 0;
    for (size_t i = 0; i < w->count; i++) {
        struct text_piece piece = w->pieces[i];
        const size_t start = w->other_size;
        if (piece.id != BPE_NO_ID) {
            TRY(text_work_put(w, piece));
        } else if (cuts) {
            TRY(cut(w, step, &piece));
        } else {
            TRY(change(w, step, &piece));
            piece.start = start;
            piece.size = w->other_size - start;
            TRY(text_work_put(w, piece));
        }
    }
    if (cuts)
        text_work_turn_pieces(w);
    else
        turn(w);

fail:
    return st;
}

rt_status text_work_run(struct text_work *w, struct text_steps *steps)
{
    rt_status st = RT_OK;
    for (uint32_t i = 0; i < steps->count && st == RT_OK; i++)
        st = run_step(w, &steps->list[i]);
    return st;
}

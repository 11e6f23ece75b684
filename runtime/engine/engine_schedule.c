/* runtime/engine/engine_schedule.c
 * Who gets memory, and which rows a step computes. Requests go in the order they came, and
 * none overtakes another: those with pages of the cache are always the oldest.
 *
 * Pages. A request begins when there are pages for all of its tokens and one more for each
 * that runs and may grow, so that it is not put back at once, and the step has a row left
 * for it: pages that nobody fills yet would be memory for nothing, and a prefix that another
 * one computes now will be there to share. It takes further pages as it grows. When none is
 * left and the cache cannot grow, the youngest is put back: its pages are given up, and once
 * it begins again what it had is computed again, as one prompt. That gives the same bits,
 * because prefill and decode do. The oldest finds memory always (the cache holds one
 * request of the longest kind at least), so something ends, and everything does in turn.
 *
 * Sharing. A full page is published when its last row is put into a step, not when the step
 * is done: within a step all keys of a layer are written before any are read. Who comes
 * to the beginning of a page looks whether it is there already. So of many requests with
 * one prefix, the oldest computes it and all others read it. */
#include "runtime/engine/engine_impl.h"

#include <assert.h>
#include <string.h>

static uint32_t *table_row(struct rt_engine *e, uint32_t slot)
{
    assert(slot < SLOTS_MAX);
    return (uint32_t *)rt_buffer_map(e->table) + (size_t)slot * e->pages_per_slot;
}

static uint32_t token_at(const struct slot *s, uint32_t position)
{
    assert(position < engine_known(s));
    return position < s->request.n_prompt ? s->request.prompt[position]
                                          : s->ids[position - s->request.n_prompt];
}

/* ---- pages ---- */

static void give_up_pages(struct rt_engine *e, uint32_t slot)
{
    struct slot *s = &e->slots[slot];
    const uint32_t *row = table_row(e, slot);
    while (s->pages > 0)
        pages_release(e->pages, row[--s->pages]);
    s->named = 0;
    s->chain = 0;
    s->done = s->covered = s->request.assumed;
}

void engine_slot_begin(struct rt_engine *e, uint32_t slot)
{
    assert(e->active < SLOTS_MAX && !e->slots[slot].active);
    e->order[e->active++] = slot;
    e->slots[slot].active = true;
    give_up_pages(e, slot);
}

void engine_slot_end(struct rt_engine *e, uint32_t slot)
{
    uint32_t at = 0;
    while (at < e->active && e->order[at] != slot)
        at++;
    assert(at < e->active); /* it had begun */
    memmove(&e->order[at], &e->order[at + 1], (--e->active - at) * sizeof *e->order);
    e->slots[slot].active = false;
    give_up_pages(e, slot);
}

void engine_slot_restart(struct rt_engine *e, uint32_t slot)
{
    assert(e->slots[slot].active);
    give_up_pages(e, slot);
}

static bool may_share(const struct rt_engine *e, const struct slot *s)
{
    return !e->options.no_sharing && s->request.assumed == 0;
}

/* Whether page `page` may be of others too: its bits must not depend on who made it, so
 * where prompts are rounded all of its tokens are of the prompt. */
static bool is_common(const struct rt_engine *e, const struct slot *s, uint32_t page)
{
    return !e->options.round_prompts || (page + 1) * PAGE <= s->request.n_prompt;
}

static void copy_page(const struct slot *s, uint32_t page, uint32_t tokens[PAGE])
{
    for (uint32_t i = 0; i < PAGE; i++)
        tokens[i] = token_at(s, page * PAGE + i);
}

/* At the beginning of a page: takes over those that hold what comes next. Returns the
 * rows that need not be computed. The last token always is: its logits are wanted. */
static uint32_t share(struct rt_engine *e, uint32_t slot)
{
    struct slot *s = &e->slots[slot];
    uint32_t *row = table_row(e, slot), tokens[PAGE];
    const uint32_t before = s->done, known = engine_known(s);
    while (may_share(e, s) && s->done == s->named * PAGE && s->done + PAGE <= known &&
           is_common(e, s, s->named)) {
        copy_page(s, s->named, tokens);
        const uint32_t page = pages_find(e->pages, s->chain, tokens);
        if (page == PAGES_NONE)
            break;
        if (s->named < s->pages)
            pages_release(e->pages, row[s->named]);
        else
            s->pages++;
        row[s->named++] = page;
        s->chain = pages_id(e->pages, page);
        s->done = s->covered = s->named * PAGE;
    }
    if (s->done > before && s->done == known)
        s->done--;
    return s->done - before;
}

static void publish(struct rt_engine *e, uint32_t slot)
{
    struct slot *s = &e->slots[slot];
    uint32_t tokens[PAGE];
    while (may_share(e, s) && (s->named + 1) * PAGE <= s->done &&
           is_common(e, s, s->named)) {
        copy_page(s, s->named, tokens);
        s->chain =
            pages_publish(e->pages, table_row(e, slot)[s->named], s->chain, tokens);
        s->named++;
    }
}

static uint32_t pages_wanted(const struct slot *s)
{
    return (engine_known(s) + PAGE - 1) / PAGE;
}

/* Whether it may want more pages than it has before it ends. */
static bool may_grow(const struct slot *s)
{
    return s->pages * PAGE < s->request.n_prompt + s->limit;
}

/* Whether a waiting request finds room beside a page each for the older ones that may grow;
 * then with the pages it can share. */
static bool can_begin(struct rt_engine *e, uint32_t at, uint32_t growing)
{
    const uint32_t slot = e->order[at];
    struct slot *s = &e->slots[slot];
    const uint32_t shared = share(e, slot);
    if (at > 0 && pages_wanted(s) - s->pages + growing > engine_pages_room(e)) {
        give_up_pages(e, slot);
        return false;
    }
    e->stats.rows_shared += shared;
    return true;
}

/* Puts back the youngest with pages and returns it, unless it is older than the one at
 * `at`; NO_INDEX then. */
static uint32_t put_back_youngest(struct rt_engine *e, uint32_t at)
{
    uint32_t last = e->active - 1;
    while (last > at && e->slots[e->order[last]].pages == 0)
        last--;
    const uint32_t slot = e->order[last];
    if (e->slots[slot].pages == 0)
        return NO_INDEX;
    give_up_pages(e, slot);
    e->stats.put_back++;
    return slot;
}

/* Rows that a request with pages has for a step that computes prompts. */
static uint32_t rows_wanted(const struct rt_engine *e, const struct slot *s)
{
    const uint32_t prompt = s->request.n_prompt;
    if (!e->options.round_prompts)
        return engine_known(s) - s->done;
    return s->done < prompt ? prompt - s->done : 0;
}

/* Whether the request at `at` has pages, or begins now. One that was restarted may stand
 * before younger ones with pages, which it takes. */
static bool has_begun(struct rt_engine *e, uint32_t at, uint32_t growing)
{
    while (e->slots[e->order[at]].pages == 0 && !can_begin(e, at, growing))
        if (put_back_youngest(e, at) == NO_INDEX)
            return false;
    return true;
}

/* Pages for all tokens of each request, the oldest first, as far as they go. */
static rt_status settle(struct rt_engine *e)
{
    rt_status st;
    uint32_t growing = 0;
    uint64_t rows = 0; /* of those before this one */
    for (uint32_t at = 0; at < e->active; at++) {
        const uint32_t slot = e->order[at];
        struct slot *s = &e->slots[slot];
        if (s->pages == 0 && rows >= e->options.rows_max)
            continue;
        if (!has_begun(e, at, growing))
            return RT_OK;
        while (s->pages < pages_wanted(s)) {
            uint32_t page;
            TRY(engine_page_take(e, &page));
            if (page != PAGES_NONE) {
                assert(s->pages < e->pages_per_slot);
                table_row(e, slot)[s->pages++] = page;
                continue;
            }
            const uint32_t back = put_back_youngest(e, at);
            if (back == slot || back == NO_INDEX) /* older ones have them all */
                return RT_OK;
        }
        growing += may_grow(s);
        rows += rows_wanted(e, s);
    }
    return RT_OK;

fail:
    return st;
}

/* ---- rows ---- */

/* Puts the next token of a slot into the step. */
static void fill_row(struct rt_engine *e, uint32_t slot, struct step *step)
{
    struct slot *s = &e->slots[slot];
    assert(step->rows < e->pass.rows && s->done < s->pages * PAGE);
    uint32_t *ids = rt_buffer_map(e->pass.ids);
    uint32_t *rope = rt_buffer_map(e->pass.rope_meta);
    uint32_t *att = rt_buffer_map(e->pass.att_meta);
    const uint32_t row = step->rows++, position = s->done++;
    const uint32_t page = table_row(e, slot)[position / PAGE];
    const bool there = position < s->covered;
    ids[row] = token_at(s, position);
    rope[4 * row] = position;
    rope[4 * row + 1] = there ? NO_INDEX : page * PAGE + position % PAGE;
    att[4 * row] = position;
    att[4 * row + 1] = slot * e->pages_per_slot;
    step->keys += s->done;
    if (s->step_rows++ == 0)
        s->step_prompt = position < s->request.n_prompt;
    if (!there)
        s->covered = s->done;
    if (s->done % PAGE == 0)
        publish(e, slot);
}

void engine_fill_padding(struct rt_engine *e, const struct step *step,
                         const struct bucket *bucket)
{
    uint32_t *ids = rt_buffer_map(e->pass.ids);
    uint32_t *rope = rt_buffer_map(e->pass.rope_meta);
    uint32_t *att = rt_buffer_map(e->pass.att_meta);
    uint32_t *index = rt_buffer_map(e->head_index);
    assert(bucket->rows <= e->pass.rows && step->rows <= bucket->rows);
    assert(step->heads <= bucket->head_rows);
    for (uint32_t r = step->rows; r < bucket->rows; r++) {
        ids[r] = 0;
        rope[4 * r] = 0;
        rope[4 * r + 1] = NO_INDEX;
        att[4 * r] = 0;
        att[4 * r + 1] = 0;
    }
    for (uint32_t h = step->heads; h < bucket->head_rows; h++)
        index[h] = NO_INDEX;
}

/* The slot's last row needs logits: it is the last of what is known. */
static void want_head(struct rt_engine *e, struct slot *s, struct step *step)
{
    assert(step->rows > 0 && step->heads < SLOTS_MAX);
    uint32_t *index = rt_buffer_map(e->head_index);
    uint32_t *meta = rt_buffer_map(e->sample_meta);
    const uint32_t h = step->heads++;
    index[h] = step->rows - 1;
    meta[4 * h] = (uint32_t)s->request.draw;
    meta[4 * h + 1] = (uint32_t)(s->request.draw >> 32);
    meta[4 * h + 2] = s->n_gen;
    s->head_row = h;
}

/* Whether the slot's next row is of this step: of any, unless prompts are rounded. */
static bool has_role(const struct rt_engine *e, const struct slot *s,
                     const struct step *step)
{
    return !e->options.round_prompts ||
           (s->done < s->request.n_prompt) == step->may_round;
}

/* Whether any slot with memory has a row of a prompt to compute: such rows go first. */
static bool has_prompt(const struct rt_engine *e)
{
    for (uint32_t at = 0; at < e->active; at++) {
        const struct slot *s = &e->slots[e->order[at]];
        if (s->pages > 0 && s->done < s->request.n_prompt)
            return true;
    }
    return false;
}

/* One row of each slot that has but one to compute, generated. */
static void fill_decoding(struct rt_engine *e, struct step *step)
{
    for (uint32_t at = 0; at < e->active; at++) {
        const uint32_t slot = e->order[at];
        struct slot *s = &e->slots[slot];
        s->step_rows = 0;
        s->head_row = NO_INDEX;
        if (s->pages == 0 || s->done < s->request.n_prompt ||
            engine_known(s) - s->done != 1 || !has_role(e, s, step))
            continue;
        fill_row(e, slot, step);
        want_head(e, s, step);
    }
}

/* Decoding rows first, then as much as fits of prompts and forced tokens. */
static void fill_step(struct rt_engine *e, struct step *step)
{
    fill_decoding(e, step);
    for (uint32_t at = 0; at < e->active && step->rows < e->options.rows_max; at++) {
        const uint32_t slot = e->order[at];
        struct slot *s = &e->slots[slot];
        if (s->pages == 0 || s->step_rows != 0)
            continue;
        while (s->done < engine_known(s) && step->rows < e->options.rows_max &&
               has_role(e, s, step)) {
            e->stats.rows_shared += share(e, slot);
            if (has_role(e, s, step))
                fill_row(e, slot, step);
        }
        if (s->step_rows && s->done == engine_known(s))
            want_head(e, s, step);
    }
}

/* What requests of the step hold of the cache. */
static void count_pages(struct rt_engine *e)
{
    struct rt_engine_stats *stats = &e->stats;
    const uint32_t used = engine_pages_used(e);
    if (used > stats->pages_used_max)
        stats->pages_used_max = used;
    stats->cache_bytes_used_max =
        stats->pages_used_max * e->page_layer_bytes * e->model->config.layers;
}

rt_status engine_schedule(struct rt_engine *e, struct step *out)
{
    rt_status st;
    struct step step = { 0 };
    TRY(settle(e));
    step.may_round = e->options.round_prompts && has_prompt(e);
    fill_step(e, &step);
    if (step.rows == 0 && step.may_round) { /* all that was left of prompts was shared */
        step.may_round = false;
        fill_step(e, &step);
    }
    count_pages(e);
    *out = step;
    return RT_OK;

fail:
    return st;
}

/* pipeline/restore/curate.c
 * Candidates, what drops them, and which of the rest are taken. */
#include "pipeline/restore/curate.h"

#include "pipeline/data/near_copy.h"
#include "runtime/base/text_set.h"
#include "runtime/base/philox.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* What a random number is for: the third counter word. */
enum draw_use {
    DRAW_CELL = 0x63656c6c,
    DRAW_PROBLEM = 0x70726f62,
    DRAW_STEP = 0x73746570,
    DRAW_SWAP = 0x73776170
};

enum {
    POSITIONS = 8,
    CELLS = PIPE_CAT_COUNT * POSITIONS
}; /* later steps share the last */

static uint32_t draw(uint64_t seed, uint32_t at, enum draw_use use)
{
    return philox_word(at, 0, (uint32_t)use, 0, (uint32_t)seed, (uint32_t)(seed >> 32));
}

const char *pipe_drop_reason(enum pipe_drop drop)
{
    static const char *const reasons[PIPE_DROP_COUNT] = {
        [PIPE_DROP_NONE] = "chosen",
        [PIPE_DROP_NO_FAULT] = "no fault found",
        [PIPE_DROP_NO_REPAIR] = "no repair",
        [PIPE_DROP_UNVERIFIED] = "the repair does not reach the right answer",
        [PIPE_DROP_SAME] = "the repair differs by spacing at most",
        [PIPE_DROP_TRUNCATED] = "the faulty step was cut by the token cap",
        [PIPE_DROP_LONG] = "too long",
        [PIPE_DROP_MEASURED] = "its question is in a measured split",
        [PIPE_DROP_NEAR] = "a near copy of a question in a measured split",
        [PIPE_DROP_DUPLICATE] = "a near-duplicate",
        [PIPE_DROP_SURPLUS] = "more items than wanted",
    };
    return reasons[drop];
}

/* Equal but for spaces and line ends. */
bool pipe_same_but_spacing(const char *a, const char *b)
{
    static const char spaces[] = " \t\r\n";
    for (;; a++, b++) {
        a += strspn(a, spaces);
        b += strspn(b, spaces);
        if (*a != *b)
            return false;
        if (!*a)
            return true;
    }
}

/* What is wrong with a candidate by itself. */
static enum pipe_drop fault_of(const struct pipe_candidate *c,
                               const struct pipe_curate_options *o)
{
    const struct pipe_item *item = &c->item;
    const bool pair = o->kind == PIPE_ITEMS_DPO;
    const size_t limit = o->bytes_max ? o->bytes_max : PIPE_ITEM_BYTES_MAX;
    if (pair && item->step < 0)
        return PIPE_DROP_NO_FAULT;
    if (!item->chosen || !item->chosen[0] || (pair && !item->rejected))
        return PIPE_DROP_NO_REPAIR;
    if (!c->verified)
        return PIPE_DROP_UNVERIFIED;
    if (pair && c->truncated)
        return PIPE_DROP_TRUNCATED;
    if (pair && pipe_same_but_spacing(item->chosen, item->rejected))
        return PIPE_DROP_SAME;
    const size_t prompt = strlen(item->prompt);
    if (prompt + strlen(item->chosen) > limit ||
        (pair && prompt + strlen(item->rejected) > limit))
        return PIPE_DROP_LONG;
    return PIPE_DROP_NONE;
}

static const char *normal_form(struct rt_ctx *ctx, struct pipe_pool *pool,
                               const char *text)
{
    char *form = pipe_pool_take(ctx, pool, strlen(text) + 1, 1);
    if (form)
        pipe_text_normalise(text, form);
    return form;
}

struct screening {
    struct rt_ctx *ctx;
    struct pipe_pool pool;
    struct pipe_text_set measured, seen;
    struct pipe_near_set *near;
};

static rt_status no_memory(struct rt_ctx *ctx)
{
    return rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory to choose training items");
}

static rt_status read_measured(struct screening *s, const struct pipe_curate_options *o)
{
    rt_status st;
    TRY(pipe_near_create(s->ctx, &s->near));
    for (uint32_t m = 0; m < o->measured_count; m++)
        for (uint32_t i = 0; i < o->measured[m]->count; i++) {
            bool is_new;
            const struct pipe_problem *p = &o->measured[m]->items[i];
            const char *form = normal_form(s->ctx, &s->pool, p->question);
            if (!form)
                return no_memory(s->ctx);
            TRY(pipe_text_set_add(s->ctx, &s->measured, form, i, &is_new, NULL));
            TRY(pipe_near_add(s->near, p->question, p->answer, i));
        }

fail:
    return st;
}

/* Leaks and near-duplicates; the first of its kind stays. */
static rt_status screen(struct screening *s, const struct pipe_candidate *c,
                        const struct pipe_curate_options *o, enum pipe_drop *drop)
{
    rt_status st;
    bool is_new, near = false;
    const char *form = normal_form(s->ctx, &s->pool, c->question);
    if (!form)
        return no_memory(s->ctx);
    if (!o->allow_measured && pipe_text_set_find(&s->measured, form, NULL)) {
        *drop = PIPE_DROP_MEASURED;
        return RT_OK;
    }
    if (!o->allow_measured && c->answer)
        TRY(pipe_near_find(s->near, c->question, c->answer, &near, NULL));
    if (near) {
        *drop = PIPE_DROP_NEAR;
        return RT_OK;
    }
    TRY(pipe_text_set_add(s->ctx, &s->seen, form, 0, &is_new, NULL));
    if (!is_new)
        *drop = PIPE_DROP_DUPLICATE;
    if (!is_new || !c->item.rejected)
        return RT_OK;
    const char *pair =
        pipe_pool_format(s->ctx, &s->pool, "%s\x1f%s", c->item.prompt, c->item.rejected);
    if (!pair)
        return no_memory(s->ctx);
    TRY(pipe_text_set_add(s->ctx, &s->seen, pair, 0, &is_new, NULL));
    if (!is_new)
        *drop = PIPE_DROP_DUPLICATE;
    return RT_OK;

fail:
    return st;
}

static rt_status screen_all(struct rt_ctx *ctx, const struct pipe_candidate *all,
                            uint32_t count, const struct pipe_curate_options *o,
                            enum pipe_drop *drops)
{
    rt_status st;
    struct screening s = { .ctx = ctx };
    TRY(read_measured(&s, o));
    for (uint32_t i = 0; i < count; i++) {
        drops[i] = fault_of(&all[i], o);
        if (drops[i] == PIPE_DROP_NONE)
            TRY(screen(&s, &all[i], o, &drops[i]));
    }
    st = RT_OK;

fail:
    pipe_text_set_deinit(&s.measured);
    pipe_text_set_deinit(&s.seen);
    pipe_near_destroy(&s.near);
    pipe_pool_deinit(&s.pool);
    return st;
}

/* A usable candidate in its cell, with its random rank there. */
struct entry {
    uint32_t cell, rank, at;
};

static int by_cell_and_rank(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->cell != y->cell)
        return x->cell < y->cell ? -1 : 1;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

static uint32_t cell_of(const struct pipe_item *item)
{
    const uint32_t step = item->step < 0 ? 0 : (uint32_t)item->step;
    return (uint32_t)item->category * POSITIONS +
           (step < POSITIONS ? step : POSITIONS - 1);
}

/* Marks all but `max` of the usable ones as surplus: cells are visited in turns, each
 * gives its next entry. */
static rt_status balance(struct rt_ctx *ctx, const struct pipe_candidate *all,
                         uint32_t count, uint32_t max, uint64_t seed,
                         enum pipe_drop *drops)
{
    struct entry *entries = rt_alloc(ctx, count, sizeof *entries);
    if (!entries)
        return no_memory(ctx);
    uint32_t usable = 0, start[CELLS + 1] = { 0 };
    for (uint32_t i = 0; i < count; i++)
        if (drops[i] == PIPE_DROP_NONE)
            entries[usable++] =
                (struct entry){ cell_of(&all[i].item), draw(seed, i, DRAW_CELL), i };
    qsort(entries, usable, sizeof *entries, by_cell_and_rank);
    for (uint32_t i = 0; i < usable; i++) {
        start[entries[i].cell + 1]++;
        drops[entries[i].at] = PIPE_DROP_SURPLUS;
    }
    for (uint32_t c = 0; c < CELLS; c++)
        start[c + 1] += start[c];
    uint32_t taken = 0;
    for (uint32_t turn = 0; taken < max && taken < usable; turn++)
        for (uint32_t c = 0; c < CELLS && taken < max; c++)
            if (start[c] + turn < start[c + 1]) {
                drops[entries[start[c] + turn].at] = PIPE_DROP_NONE;
                taken++;
            }
    rt_free(entries);
    return RT_OK;
}

rt_status pipe_curate(struct rt_ctx *ctx, const struct pipe_candidate *all,
                      uint32_t count, const struct pipe_curate_options *options,
                      struct pipe_curated *out)
{
    assert((all || count == 0) && options);
    rt_status st;
    *out = (struct pipe_curated){ 0 };
    const uint32_t max = options->max_items ? options->max_items : PIPE_ITEMS_DEFAULT;
    out->picked = rt_alloc(ctx, count, sizeof *out->picked);
    out->drops = rt_alloc(ctx, count, sizeof *out->drops);
    if (!out->picked || !out->drops) {
        st = no_memory(ctx);
        goto fail;
    }
    TRY(screen_all(ctx, all, count, options, out->drops));
    TRY(balance(ctx, all, count, max, options->seed, out->drops));
    for (uint32_t i = 0; i < count; i++) {
        out->dropped[out->drops[i]]++;
        if (out->drops[i] == PIPE_DROP_NONE)
            out->picked[out->count++] = i;
    }
    return RT_OK;

fail:
    pipe_curated_deinit(out);
    return st;
}

void pipe_curated_deinit(struct pipe_curated *curated)
{
    rt_free(curated->picked);
    rt_free(curated->drops);
    *curated = (struct pipe_curated){ 0 };
}

/* ---- making candidates ---- */

/* The prompt of a question followed by the first `size` bytes of an answer. */
static rt_status asked_text(struct rt_ctx *ctx, struct pipe_pool *pool,
                            const struct pipe_prompt *prompt, const char *question,
                            const char *answer, size_t size, const char **out)
{
    char *asked;
    const rt_status st = pipe_prompt_text(ctx, prompt, question, &asked);
    if (st != RT_OK)
        return st;
    *out = pipe_pool_format(ctx, pool, "%s%.*s", asked, (int)size, answer);
    rt_free(asked);
    return *out ? RT_OK : no_memory(ctx);
}

rt_status pipe_candidate_pair(struct rt_ctx *ctx, struct pipe_pool *pool,
                              const struct pipe_prompt *prompt,
                              const struct pipe_problem *problem, const char *output,
                              int32_t step, const char *continuation,
                              struct pipe_candidate *out)
{
    assert(prompt->format && output);
    struct pipe_step steps[PIPE_STEPS_MAX];
    const struct pipe_prompt_format *format = prompt->format;
    const uint32_t count = format->dialect->split(output, steps, PIPE_STEPS_MAX);
    *out = (struct pipe_candidate){
        .item = { .problem_id = problem->id, .step = step, .prompt = "" },
        .question = problem->question,
        .answer = problem->answer,
        .given = "",
    };
    if (step < 0 || (uint32_t)step >= count)
        return RT_OK;
    const struct pipe_step *s = &steps[step];
    const rt_status st = asked_text(ctx, pool, prompt, problem->question, output,
                                    s->char_start, &out->item.prompt);
    if (st != RT_OK)
        return st;
    out->given = pipe_pool_copy(ctx, pool, output, s->char_start);
    out->item.rejected =
        pipe_pool_copy(ctx, pool, output + s->char_start, s->char_end - s->char_start);
    out->rejected_ends = (uint32_t)step + 1 == count;
    if (!out->given || !out->item.rejected)
        return no_memory(ctx);
    const uint32_t others =
        continuation ? format->dialect->split(continuation, steps, PIPE_STEPS_MAX) : 0;
    if (others == 0)
        return RT_OK;
    out->chosen_ends = others == 1;
    out->item.chosen = pipe_pool_copy(ctx, pool, continuation, steps[0].char_end);
    return out->item.chosen ? RT_OK : no_memory(ctx);
}

rt_status pipe_candidate_whole(struct rt_ctx *ctx, struct pipe_pool *pool,
                               const struct pipe_prompt *prompt,
                               const struct pipe_problem *problem, int32_t step,
                               const char *solution, struct pipe_candidate *out)
{
    *out = (struct pipe_candidate){
        .item = { .problem_id = problem->id, .step = step },
        .question = problem->question,
        .answer = problem->answer,
        .given = "",
        .chosen_ends = true,
    };
    const rt_status st =
        asked_text(ctx, pool, prompt, problem->question, "", 0, &out->item.prompt);
    if (st != RT_OK)
        return st;
    if (solution)
        out->item.chosen = pipe_pool_copy(ctx, pool, solution, strlen(solution));
    return !solution || out->item.chosen ? RT_OK : no_memory(ctx);
}

/* ---- controls ---- */

rt_status pipe_control_problems(struct rt_ctx *ctx, const bool *eligible, uint32_t count,
                                uint32_t want, uint64_t seed, uint32_t *picked,
                                uint32_t *picked_count)
{
    *picked_count = 0;
    struct entry *entries = rt_alloc(ctx, count, sizeof *entries);
    if (!entries)
        return no_memory(ctx);
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++)
        if (eligible[i])
            entries[n++] = (struct entry){ 0, draw(seed, i, DRAW_PROBLEM), i };
    qsort(entries, n, sizeof *entries, by_cell_and_rank);
    for (uint32_t i = 0; i < n && i < want; i++)
        picked[(*picked_count)++] = entries[i].at;
    rt_free(entries);
    return RT_OK;
}

int32_t pipe_control_step(const bool *differs, uint32_t count, int32_t fault,
                          uint64_t seed, uint32_t item)
{
    uint32_t options = 0;
    for (uint32_t k = 0; k < count; k++)
        options += differs[k] && (int32_t)k != fault;
    if (options == 0)
        return -1;
    uint32_t left = (uint32_t)(((uint64_t)draw(seed, item, DRAW_STEP) * options) >> 32);
    for (uint32_t k = 0; k < count; k++)
        if (differs[k] && (int32_t)k != fault && left-- == 0)
            return (int32_t)k;
    return -1;
}

bool pipe_control_swaps(uint64_t seed, uint32_t item)
{
    return draw(seed, item, DRAW_SWAP) >> 31;
}

/* ---- export ---- */

static json_t *item_json(const struct pipe_item *item, enum pipe_item_kind kind)
{
    json_t *row =
        json_pack("{s:s, s:s}", "prompt", item->prompt,
                  kind == PIPE_ITEMS_DPO ? "chosen" : "completion", item->chosen);
    bool good = row != NULL;
    if (kind == PIPE_ITEMS_DPO)
        good = good && !json_object_set_new(row, "rejected", json_string(item->rejected));
    good = good && !json_object_set_new(row, "problem_id", json_string(item->problem_id));
    good = good && !json_object_set_new(row, "category",
                                        json_string(pipe_category_code(item->category)));
    good = good && !json_object_set_new(row, "step", json_integer(item->step));
    if (item->source)
        good = good && !json_object_set_new(row, "source", json_string(item->source));
    if (good)
        return row;
    json_decref(row);
    return NULL;
}

rt_status pipe_items_write(struct rt_ctx *ctx, const struct pipe_item *items,
                           uint32_t count, enum pipe_item_kind kind, FILE *file)
{
    for (uint32_t i = 0; i < count; i++) {
        json_t *row = item_json(&items[i], kind);
        if (!row)
            return rt_fail(ctx, RT_ERR_INTERNAL,
                           "item %u (problem '%s') is not complete or not UTF-8", i,
                           items[i].problem_id);
        const bool written = json_dumpf(row, file, 0) == 0 && fputc('\n', file) != EOF;
        json_decref(row);
        if (!written)
            return rt_fail(ctx, RT_ERR_IO, "item %u: writing failed (disk full?)", i);
    }
    return RT_OK;
}

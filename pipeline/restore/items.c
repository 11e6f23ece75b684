/* pipeline/restore/items.c
 * From faults and answers to Silver Bullet items: candidates, selection, rows. */
#include "pipeline/restore/items.h"

#include "pipeline/run/ask_list.h"

#include "runtime/base/file.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILLED = 1000 }; /* items of PIPE_ITEMS_FILLED */

struct making {
    struct pipe_session *session;
    const struct pipe_material *m;
    struct pipe_item_set *set;
    uint32_t capacity;
};

static rt_status no_memory(struct pipe_session *session)
{
    return rt_fail(session->ctx, RT_ERR_HOST_MEMORY, "items: no memory");
}

static bool is_pair(enum pipe_item_source items)
{
    return items == PIPE_ITEMS_PAIRS || items == PIPE_ITEMS_PAIRS_OTHER ||
           items == PIPE_ITEMS_SHUFFLED || items == PIPE_ITEMS_PAIRS_WHOLE ||
           items == PIPE_ITEMS_PAIRS_OWN;
}

void pipe_item_set_deinit(struct pipe_item_set *set)
{
    pipe_curated_deinit(&set->curated);
    rt_free(set->all);
    rt_free(set->problem);
    pipe_pool_deinit(&set->pool);
    *set = (struct pipe_item_set){ .count = 0 };
}

static rt_status reserve(struct making *k, uint32_t count)
{
    k->capacity = count;
    k->set->all = rt_alloc(k->session->ctx, count, sizeof *k->set->all);
    k->set->problem = rt_alloc(k->session->ctx, count, sizeof *k->set->problem);
    return k->set->all && k->set->problem ? RT_OK : no_memory(k->session);
}

static struct pipe_candidate *next(struct making *k, uint32_t problem)
{
    assert(k->set->count < k->capacity && problem < k->m->mine->set.count);
    k->set->problem[k->set->count] = problem;
    return &k->set->all[k->set->count++];
}

/* Full's whole trace of a problem that it solves. */
static rt_status add_trace(struct making *k, uint32_t problem, int32_t step,
                           enum pipe_category category)
{
    const struct pipe_answer *a = &k->m->f->items[problem];
    struct pipe_candidate *c = next(k, problem);
    const rt_status st =
        pipe_candidate_whole(k->session->ctx, &k->set->pool, &k->session->prompt,
                             &k->m->mine->set.items[problem], step, a->text, c);
    c->item.category = category;
    c->item.source = "full's whole answer";
    c->verified = a->correct;
    c->truncated = a->truncated;
    return st;
}

static rt_status add_lost(struct making *k)
{
    rt_status st = RT_OK;
    for (uint32_t i = 0; i < k->m->faults->count && st == RT_OK; i++) {
        const struct pipe_located *f = &k->m->faults->items[i];
        st = add_trace(k, f->problem, f->step, f->category);
        k->set->all[i].item.fault_id = f->fault_id;
    }
    return st;
}

static rt_status make_lost(struct making *k)
{
    const rt_status st = reserve(k, k->m->faults->count);
    return st == RT_OK ? add_lost(k) : st;
}

/* Adds up to `want` random problems that full solves, none of them a lost one if
 * `with_lost`, which adds those too, before them. */
static rt_status add_random(struct making *k, uint32_t want, bool with_lost)
{
    rt_status st;
    struct rt_ctx *ctx = k->session->ctx;
    const uint32_t n = k->m->mine->set.count, lost = with_lost ? k->m->faults->count : 0;
    uint32_t count = 0;
    bool *eligible = rt_alloc(ctx, n, sizeof *eligible);
    uint32_t *picked = rt_alloc(ctx, n, sizeof *picked);
    if (!eligible || !picked) {
        st = no_memory(k->session);
        goto fail;
    }
    for (uint32_t i = 0; i < n; i++)
        eligible[i] = k->m->f->items[i].correct;
    for (uint32_t i = 0; i < lost; i++)
        eligible[k->m->faults->items[i].problem] = false;
    TRY(pipe_control_problems(ctx, eligible, n, want, k->session->seed, picked, &count));
    TRY(reserve(k, lost + count));
    if (with_lost)
        TRY(add_lost(k));
    for (uint32_t i = 0; i < count; i++)
        TRY(add_trace(k, picked[i], -1, PIPE_CAT_NONE));

fail:
    rt_free(eligible);
    rt_free(picked);
    return st;
}

/* As many random problems that full solves as the recipe it controls has items. */
static rt_status make_random(struct making *k)
{
    rt_status st;
    uint32_t want = k->m->items_max;
    if (k->m->faults) { /* calibration has none: it takes what it asks for */
        struct pipe_item_set lost = { 0 };
        TRY(pipe_item_set_make(k->session, k->m, PIPE_ITEMS_LOST, &lost));
        want = lost.curated.count;
        pipe_item_set_deinit(&lost);
    }
    return add_random(k, want, false);

fail:
    return st;
}

/* ---- kept problems, as long as the lost ones ---- */

struct length {
    uint32_t tokens, rank, problem; /* rank: random, so that ties fall by the seed */
};

static int by_length(const void *pa, const void *pb)
{
    const struct length *a = pa, *b = pb;
    if (a->tokens != b->tokens)
        return a->tokens < b->tokens ? 1 : -1;
    return a->rank < b->rank ? -1 : a->rank > b->rank;
}

static uint32_t gap(uint32_t a, uint32_t b)
{
    return a > b ? a - b : b - a;
}

/* The unused one of `kept`, which are sorted, that comes nearest to `tokens`. */
static uint32_t nearest_kept(const struct length *kept, uint32_t count, const bool *used,
                             uint32_t tokens)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < count; i++)
        if (!used[i] && (best == UINT32_MAX ||
                         gap(kept[i].tokens, tokens) < gap(kept[best].tokens, tokens)))
            best = i;
    return best;
}

/* Tokens of full's answers; the longest first, since long ones are rare among the kept. */
static void fill_lengths(const struct making *k, const struct pipe_item_set *lost,
                         struct length *of_lost, struct length *kept, uint32_t *count)
{
    const struct pipe_answer *f = k->m->f->items, *q = k->m->q->items;
    for (uint32_t i = 0; i < lost->curated.count; i++) {
        const uint32_t problem = lost->problem[lost->curated.picked[i]];
        of_lost[i] = (struct length){ f[problem].n, i, problem };
    }
    *count = 0;
    for (uint32_t i = 0; i < k->m->mine->set.count; i++)
        if (f[i].correct && q[i].correct)
            kept[(*count)++] =
                (struct length){ f[i].n, train_word(k->session->seed, i, 0x6b657074), i };
    qsort(of_lost, lost->curated.count, sizeof *of_lost, by_length);
    qsort(kept, *count, sizeof *kept, by_length);
}

/* For every lost problem that is trained on, one that both models solve whose answer has
 * about as many tokens. */
static rt_status make_kept(struct making *k)
{
    rt_status st;
    struct pipe_item_set lost = { 0 };
    struct rt_ctx *ctx = k->session->ctx;
    uint32_t count = 0;
    TRY(pipe_item_set_make(k->session, k->m, PIPE_ITEMS_LOST, &lost));
    const uint32_t want = lost.curated.count, n = k->m->mine->set.count;
    struct length *of_lost = rt_alloc(ctx, want, sizeof *of_lost);
    struct length *kept = rt_alloc(ctx, n, sizeof *kept);
    bool *used = rt_alloc(ctx, n, sizeof *used);
    st = of_lost && kept && used ? reserve(k, want) : no_memory(k->session);
    if (st == RT_OK)
        fill_lengths(k, &lost, of_lost, kept, &count);
    for (uint32_t i = 0; st == RT_OK && i < want && i < count; i++) {
        const uint32_t best = nearest_kept(kept, count, used, of_lost[i].tokens);
        used[best] = true;
        st = add_trace(k, kept[best].problem, -1, PIPE_CAT_NONE);
    }
    rt_free(of_lost);
    rt_free(kept);
    rt_free(used);

fail:
    pipe_item_set_deinit(&lost);
    return st;
}

/* All lost problems, and random ones that full solves until there are `FILLED`. */
static rt_status make_filled(struct making *k)
{
    const uint32_t lost = k->m->faults->count;
    return add_random(k, lost < FILLED ? FILLED - lost : 0, true);
}

/* ---- pairs ---- */

static rt_status add_pair(struct making *k, const struct pipe_located *f, int32_t step,
                          const char *continuation, bool verified, const char *source)
{
    struct pipe_candidate *c = next(k, f->problem);
    const struct pipe_answer *q = &k->m->q->items[f->problem];
    const rt_status st = pipe_candidate_pair(
        k->session->ctx, &k->set->pool, &k->session->prompt,
        &k->m->mine->set.items[f->problem], q->text, step, continuation, c);
    c->item.category = f->category;
    c->item.fault_id = f->fault_id;
    c->item.source = source;
    c->verified = verified;
    c->truncated = q->truncated && c->rejected_ends;
    return st;
}

static void swap_sides(struct pipe_candidate *c)
{
    const char *chosen = c->item.chosen;
    const bool ends = c->chosen_ends;
    c->item.chosen = c->item.rejected;
    c->item.rejected = chosen;
    c->chosen_ends = c->rejected_ends;
    c->rejected_ends = ends;
    c->item.source = "the same, sides swapped";
}

static rt_status make_pairs(struct making *k)
{
    rt_status st = reserve(k, k->m->faults->count);
    for (uint32_t i = 0; i < k->m->faults->count && st == RT_OK; i++) {
        const struct pipe_located *f = &k->m->faults->items[i];
        st = add_pair(k, f, f->step, f->continuation, f->verified,
                      "full's continuation at the first fault");
        struct pipe_candidate *c = &k->set->all[i];
        if (k->set->items == PIPE_ITEMS_SHUFFLED && c->item.chosen && c->item.rejected &&
            pipe_control_swaps(k->session->seed, i))
            swap_sides(c);
    }
    return st;
}

static rt_status make_own(struct making *k)
{
    rt_status st;
    const struct pipe_own_draws *own = k->m->own;
    TRY(reserve(k, k->m->faults->count));
    TRY(pipe_item_draw_own(k->session, k->m));
    for (uint32_t i = 0; i < own->count; i++) {
        const struct pipe_located *f = &k->m->faults->items[i];
        TRY(add_pair(k, f, f->step, own->texts[i], true, "quant's own draw"));
        if (k->set->items == PIPE_ITEMS_OWN)
            TRY(pipe_item_prefer_rest(k->session, &k->set->pool, own->texts[i],
                                      &k->set->all[i]));
    }

fail:
    return st;
}

/* Full's and quant's whole answers to the problems of which PIPE_ITEMS_PAIRS takes a step. */
static rt_status make_whole_pairs(struct making *k)
{
    rt_status st;
    struct pipe_item_set steps = { 0 };
    TRY(pipe_item_set_make(k->session, k->m, PIPE_ITEMS_PAIRS, &steps));
    TRY(reserve(k, steps.curated.count));
    for (uint32_t i = 0; i < steps.curated.count; i++) {
        const uint32_t at = steps.curated.picked[i], problem = steps.problem[at];
        const struct pipe_item *step = &steps.all[at].item;
        const char *wrong = k->m->q->items[problem].text;
        TRY(add_trace(k, problem, step->step, step->category));
        struct pipe_candidate *c = &k->set->all[i];
        c->item.fault_id = step->fault_id;
        c->item.source = "both whole answers";
        c->item.rejected =
            pipe_pool_copy(k->session->ctx, &k->set->pool, wrong, strlen(wrong));
        c->truncated = false; /* a rejected answer may be one that never ends */
        if (!c->item.rejected)
            TRY(no_memory(k->session));
    }

fail:
    pipe_item_set_deinit(&steps);
    return st;
}

/* Continuations by full after the steps before every step but the faulty one: jobs
 * first[i] .. first[i + 1] are those of lost answer i. */
struct others {
    struct pipe_job *jobs;
    uint32_t *first, count;
};

static rt_status ask_others(struct making *k, struct others *o)
{
    rt_status st;
    struct pipe_step steps[PIPE_STEPS_MAX];
    for (uint32_t i = 0; i < k->m->faults->count; i++) {
        const struct pipe_located *f = &k->m->faults->items[i];
        const char *text = k->m->q->items[f->problem].text;
        const uint32_t count =
            k->session->format->dialect->split(text, steps, PIPE_STEPS_MAX);
        for (uint32_t s = 0; s < count && f->step >= 0; s++) {
            struct pipe_job *job = &o->jobs[o->first[i] + s];
            if ((int32_t)s == f->step)
                continue;
            job->problem = &k->m->mine->set.items[f->problem];
            job->kept = s;
            job->given =
                rt_format(k->session->ctx, "%.*s", (int)steps[s].char_start, text);
            if (!job->given)
                return no_memory(k->session);
        }
    }
    const struct pipe_ask_list how = { .model = k->m->full->model,
                                       .what = "other steps" };
    TRY(pipe_ask_list(k->session, &how, o->jobs, o->count));

fail:
    return st;
}

/* One of the steps at which full says something else, drawn at random; -1: none. The
 * continuation need not be right: the step may come after the fault. */
static int32_t draw_other(const struct making *k, const struct others *o, uint32_t i)
{
    bool differs[PIPE_STEPS_MAX] = { false };
    struct pipe_step own[PIPE_STEPS_MAX], first[2];
    const struct pipe_located *f = &k->m->faults->items[i];
    const char *text = k->m->q->items[f->problem].text;
    const uint32_t count = k->session->format->dialect->split(text, own, PIPE_STEPS_MAX);
    for (uint32_t s = 0; s < count; s++) {
        const char *other = o->jobs[o->first[i] + s].text;
        if (!other || k->session->format->dialect->split(other, first, 2) == 0)
            continue;
        char *a = rt_format(k->session->ctx, "%.*s", (int)first[0].char_end, other);
        char *b =
            rt_format(k->session->ctx, "%.*s", (int)(own[s].char_end - own[s].char_start),
                      text + own[s].char_start);
        differs[s] = a && b && !pipe_same_but_spacing(a, b);
        rt_free(a);
        rt_free(b);
    }
    return f->step < 0 ? -1
                       : pipe_control_step(differs, count, f->step, k->session->seed, i);
}

static rt_status make_other_pairs(struct making *k)
{
    rt_status st;
    struct pipe_step steps[PIPE_STEPS_MAX];
    const uint32_t n = k->m->faults->count;
    struct others o = { .first = rt_alloc(k->session->ctx, n + 1u, sizeof *o.first) };
    for (uint32_t i = 0; o.first && i < n; i++) {
        const char *text = k->m->q->items[k->m->faults->items[i].problem].text;
        o.first[i] = o.count;
        o.count += k->session->format->dialect->split(text, steps, PIPE_STEPS_MAX);
    }
    o.jobs = rt_alloc(k->session->ctx, o.count, sizeof *o.jobs);
    if (!o.jobs || !o.first) {
        st = no_memory(k->session);
        goto fail;
    }
    TRY(reserve(k, n));
    TRY(ask_others(k, &o));
    for (uint32_t i = 0; i < n; i++) {
        const int32_t step = draw_other(k, &o, i);
        TRY(add_pair(k, &k->m->faults->items[i], step,
                     step < 0 ? NULL : o.jobs[o.first[i] + (uint32_t)step].text, true,
                     "full's continuation at another step"));
    }

fail:
    pipe_jobs_free(o.jobs, o.count);
    rt_free(o.first);
    return st;
}

static rt_status make_candidates(struct making *k)
{
    switch (k->set->items) {
    case PIPE_ITEMS_LOST:
    case PIPE_ITEMS_FAULT:
    case PIPE_ITEMS_FAULT_OTHER:
        return make_lost(k);
    case PIPE_ITEMS_KEPT:
        return make_kept(k);
    case PIPE_ITEMS_FILLED:
        return make_filled(k);
    case PIPE_ITEMS_RANDOM:
        return make_random(k);
    case PIPE_ITEMS_PAIRS:
    case PIPE_ITEMS_SHUFFLED:
        return make_pairs(k);
    case PIPE_ITEMS_PAIRS_OTHER:
        return make_other_pairs(k);
    case PIPE_ITEMS_PAIRS_WHOLE:
        return make_whole_pairs(k);
    case PIPE_ITEMS_PAIRS_OWN:
    case PIPE_ITEMS_OWN:
        return make_own(k);
    }
    return rt_fail(k->session->ctx, RT_ERR_INTERNAL, "unknown kind of items");
}

rt_status pipe_item_set_make(struct pipe_session *session,
                             const struct pipe_material *material,
                             enum pipe_item_source items, struct pipe_item_set *out)
{
    rt_status st;
    struct making k = { .session = session, .m = material, .set = out };
    const struct pipe_problem_set *const measured[] = { material->measure
                                                            ? &material->measure->set
                                                            : NULL };
    const struct pipe_curate_options options = {
        .kind = is_pair(items) ? PIPE_ITEMS_DPO : PIPE_ITEMS_SFT,
        .max_items = items == PIPE_ITEMS_FILLED ? FILLED : material->items_max,
        .seed = session->seed,
        .measured = measured,
        .measured_count = material->measure != NULL,
    };
    *out = (struct pipe_item_set){ .items = items };
    TRY(make_candidates(&k));
    TRY(pipe_curate(session->ctx, out->all, out->count, &options, &out->curated));
    return RT_OK;

fail:
    pipe_item_set_deinit(out);
    return st;
}

static const char *kind_name(enum train_loss loss)
{
    return loss == TRAIN_DPO ? "dpo" : loss == TRAIN_SFT ? "sft" : "kl";
}

rt_status pipe_item_set_store(struct pipe_session *session,
                              const struct pipe_item_set *set, enum train_loss loss,
                              const char *run_id)
{
    rt_status st;
    struct pipe_item *rows = rt_alloc(session->ctx, set->count, sizeof *rows);
    if (!rows)
        return no_memory(session);
    for (uint32_t i = 0; i < set->count; i++) {
        rows[i] = set->all[i].item;
        if (!rows[i].chosen)
            rows[i].chosen = "";
        if (set->curated.drops[i] != PIPE_DROP_NONE)
            rows[i].excluded = pipe_drop_reason(set->curated.drops[i]);
    }
    TRY(store_begin(session->store));
    TRY(store_put_items(session->store, run_id, kind_name(loss), "{}", rows, set->count));
    TRY(store_commit(session->store));

fail:
    if (st != RT_OK)
        store_rollback(session->store);
    rt_free(rows);
    return st;
}

static bool is_whole(enum pipe_item_source items)
{
    return items == PIPE_ITEMS_PAIRS_WHOLE ||
           (!is_pair(items) && items != PIPE_ITEMS_OWN);
}

/* Whole answers keep the tokens that the models gave. */
static rt_status add_whole(struct pipe_session *session,
                           const struct pipe_material *material,
                           const struct pipe_item_set *set, uint32_t at,
                           struct pipe_sequences *out)
{
    rt_status st;
    const char *question = set->all[at].question;
    const struct pipe_answer *f = &material->f->items[set->problem[at]];
    const struct pipe_answer *q = &material->q->items[set->problem[at]];
    TRY(pipe_sequences_add(session, out, question, NULL, f->ids, f->n));
    TRY(pipe_item_weigh_step(session, set, at, f, out));
    if (set->all[at].item.rejected)
        TRY(pipe_sequences_add(session, out, question, NULL, q->ids, q->n));

fail:
    return st;
}

rt_status pipe_item_set_sequences(struct pipe_session *session, uint32_t end_id,
                                  const struct pipe_material *material,
                                  const struct pipe_item_set *set,
                                  struct pipe_sequences *out)
{
    rt_status st;
    TRY(pipe_sequences_init(session, 2u * set->curated.count, out));
    if (is_pair(set->items))
        out->per_item = 2;
    for (uint32_t i = 0; i < set->curated.count; i++) {
        const uint32_t at = set->curated.picked[i];
        const struct pipe_candidate *c = &set->all[at];
        if (is_whole(set->items)) {
            TRY(add_whole(session, material, set, at, out));
            continue;
        }
        TRY(pipe_sequences_add_text(session, out, c->question, c->given, c->item.chosen,
                                    c->chosen_ends ? end_id : UINT32_MAX));
        if (c->item.rejected)
            TRY(pipe_sequences_add_text(session, out, c->question, c->given,
                                        c->item.rejected,
                                        c->rejected_ends ? end_id : UINT32_MAX));
    }

fail:
    return st;
}

/* ---- the set as a file ---- */

static void say_dropped(struct pipe_session *session, const struct pipe_item_set *set,
                        const char *path)
{
    pipe_say(session->host, "%u items of %u candidates -> %s", set->curated.count,
             set->count, path);
    for (int d = PIPE_DROP_NONE + 1; d < PIPE_DROP_COUNT; d++)
        if (set->curated.dropped[d])
            pipe_say(session->host, "  %5u not used: %s", set->curated.dropped[d],
                     pipe_drop_reason((enum pipe_drop)d));
}

rt_status pipe_curate_file(struct pipe_session *session,
                           const struct pipe_material *material,
                           const struct pipe_restore_recipe *recipe, const char *path)
{
    rt_status st;
    struct pipe_item_set set = { 0 };
    struct pipe_item *chosen = NULL;
    struct fmt_text text = { .size = 0 };
    TRY(pipe_item_set_make(session, material, recipe->items, &set));
    chosen = rt_alloc(session->ctx, set.curated.count, sizeof *chosen);
    if (!chosen) {
        st = no_memory(session);
        goto fail;
    }
    for (uint32_t i = 0; i < set.curated.count; i++)
        chosen[i] = set.all[set.curated.picked[i]].item;
    TRY(fmt_text_open(session->ctx, &text));
    TRY(pipe_items_write(session->ctx, chosen, set.curated.count,
                         is_pair(set.items)          ? PIPE_ITEMS_DPO
                         : recipe->loss == TRAIN_SFT ? PIPE_ITEMS_SFT
                                                     : PIPE_ITEMS_KL,
                         text.file));
    TRY(fmt_text_save(session->ctx, &text, path));
    say_dropped(session, &set, path);

fail:
    fmt_text_close(&text);
    rt_free(chosen);
    pipe_item_set_deinit(&set);
    return st;
}

/* pipeline/locate/rollout.c
 * The searches of pipe_rollout_search, all at once: each is run on what is known; where
 * it needs an answer that is not there, it becomes a job of the next batch. Answers are
 * rows before they count, so that a killed search is found again where it was. */
#include "pipeline/locate/locate_impl.h"

#include "store/queries.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct searching {
    const struct locating *l;
    struct locate_search *s;
};

/* Whether nothing is left to ask: drawn continuations are asked where the greedy one fails,
 * all of them, so that an interrupted search asks what it would have asked. */
static bool is_settled(const struct locate_known *known, uint32_t samples)
{
    const uint32_t all = (2u << samples) - 1;
    return known->done & 1 && (known->greedy_right || (known->done & all) == all);
}

static rt_status answer_known(void *user, uint32_t kept, bool *can)
{
    const struct searching *x = user;
    const struct locate_known *known = &x->s->known[kept];
    *can = known->can != x->l->mirror; /* in the mirror: still cannot */
    if (is_settled(known, x->l->samples))
        return RT_OK;
    x->s->asked = kept;
    x->s->pending = true;
    return RT_ERR_INTERRUPTED; /* ends the search: run_search takes it as pending */
}

/* Runs a search on what is known; afterwards it is settled or pending. */
static rt_status run_search(const struct locating *l, struct locate_search *s)
{
    struct searching x = { l, s };
    const int32_t guess = s->check.step >= 0 ? s->check.step : s->twin;
    s->pending = false;
    const rt_status st =
        pipe_rollout_search(answer_known, &x, s->step_count, guess, &s->rollout);
    return s->pending ? RT_OK : st;
}

void locate_learn(struct locate_known *known, uint32_t sample, bool right, char **text)
{
    assert(sample < 32);
    known->done |= 1u << sample;
    known->asked |= 1u << sample;
    known->right |= (uint32_t)right << sample;
    known->greedy_right |= sample == 0 && right;
    known->can |= right;
    const bool better = !known->text || (right && !known->text_right) ||
                        (right == known->text_right && sample < known->sample);
    if (!better)
        return;
    rt_free(known->text);
    known->text = *text;
    known->text_right = right;
    known->sample = sample;
    *text = NULL;
}

static rt_status put_rollout(struct locating *l, const struct locate_search *s,
                             const struct pipe_job *job, bool right)
{
    rt_status st = RT_OK;
    const struct pipe_rollout row = { .step = job->kept - 1,
                                      .sample = job->sample,
                                      .output = job->text,
                                      .correct = right,
                                      .n_gen = job->n_gen };
    if (!l->open)
        TRY(store_begin(l->session->store));
    l->open = true;
    TRY(store_put_rollout(l->session->store, l->run_id, s->gen, l->locator,
                          l->reader->row.id, &row));

fail:
    return st;
}

static rt_status job_done(void *user, uint32_t i)
{
    rt_status st;
    struct locating *l = user;
    struct pipe_job *job = &l->jobs[i];
    struct locate_search *s = &l->list[i / l->per_search];
    bool right;
    assert(job->kept == s->asked);
    TRY(pipe_job_grade(l->session, job, &right));
    if (s->gen[0])
        TRY(put_rollout(l, s, job, right));
    else if (l->keep)
        TRY(l->keep(l->keeper, (uint32_t)(s - l->list), job, right));
    s->tokens += job->n_gen;
    locate_learn(&s->known[s->asked], job->sample, right, &job->text);
    return RT_OK;

fail:
    return st;
}

static rt_status make_durable(void *user)
{
    struct locating *l = user;
    if (!l->open)
        return RT_OK;
    l->open = false;
    return store_commit(l->session->store);
}

/* Whether a search waits for this continuation. */
static bool is_wanted(const struct locate_search *s, uint32_t sample)
{
    const struct locate_known *known = &s->known[s->asked];
    return s->pending && !(known->done >> sample & 1) &&
           (sample == 0 || (known->done & 1 && !known->greedy_right));
}

static rt_status make_job(struct locating *l, const struct locate_search *s,
                          uint32_t sample, struct pipe_job *job)
{
    *job = (struct pipe_job){ .kept = s->asked, .sample = sample };
    if (!is_wanted(s, sample))
        return RT_OK;
    job->problem = &l->bench->set.items[s->problem];
    job->given =
        rt_format(l->session->ctx, "%.*s", (int)s->steps[s->asked].char_start, s->text);
    return job->given ? RT_OK
                      : rt_fail(l->session->ctx, RT_ERR_HOST_MEMORY, "locate: no memory");
}

/* Asks for every pending search what it lacks: the greedy continuation, or `samples`
 * drawn ones where that failed. */
static rt_status ask(struct locating *l, bool drawn)
{
    rt_status st = RT_OK;
    struct rt_ctx *ctx = l->session->ctx;
    const uint32_t per = drawn ? l->samples : 1;
    char what[32];
    snprintf(what, sizeof what, "locate %s", l->locator);
    struct pipe_ask_list how = { .model = l->reader->model,
                                 .adapter = l->reader->adapter,
                                 .what = what,
                                 .engine = &l->engine[drawn],
                                 .done = job_done,
                                 .between = make_durable,
                                 .user = l };
    if (drawn) {
        how.temperature = PIPE_DRAW_TEMPERATURE;
        how.top_p = PIPE_DRAW_TOP_P;
    }
    l->per_search = per;
    l->jobs = rt_alloc(ctx, (size_t)l->count * per, sizeof *l->jobs);
    if (!l->jobs)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "locate: no memory");
    for (uint32_t i = 0; i < l->count * per; i++)
        TRY(make_job(l, &l->list[i / per], drawn ? i % per + 1 : 0, &l->jobs[i]));
    TRY(pipe_ask_list(l->session, &how, l->jobs, l->count * per));

fail:
    pipe_jobs_free(l->jobs, l->count * per);
    l->jobs = NULL;
    return st;
}

static int compare_searches(const void *a, const void *b)
{
    return strcmp((*(const struct locate_search *const *)a)->gen,
                  (*(const struct locate_search *const *)b)->gen);
}

struct finding {
    struct locating *l;
    struct locate_search **sorted;
};

static rt_status find_row(void *user, const struct store_rollout *row)
{
    struct finding *f = user;
    struct locate_search key, *at = &key;
    snprintf(key.gen, sizeof key.gen, "%s", row->gen_id);
    struct locate_search **found = bsearch(
        &at, f->sorted, f->l->count, sizeof(struct locate_search *), compare_searches);
    const int64_t kept = row->step + 1;
    if (!found || kept < 0 || kept > (*found)->step_count ||
        row->sample > f->l->samples ||
        strcmp(row->variant_id, f->l->reader->row.id) != 0) /* both are asked `forced` */
        return RT_OK;
    char *text = rt_strdup(f->l->session->ctx, row->output);
    if (!text)
        return rt_fail(f->l->session->ctx, RT_ERR_HOST_MEMORY, "locate: no memory");
    (*found)->tokens += row->n_gen;
    locate_learn(&(*found)->known[kept], row->sample, row->correct, &text);
    rt_free(text);
    return RT_OK;
}

rt_status locate_find_again(struct locating *l)
{
    struct finding f = { l, rt_alloc(l->session->ctx, l->count, sizeof *f.sorted) };
    if (!f.sorted)
        return rt_fail(l->session->ctx, RT_ERR_HOST_MEMORY, "locate: no memory");
    for (uint32_t i = 0; i < l->count; i++)
        f.sorted[i] = &l->list[i];
    qsort(f.sorted, l->count, sizeof *f.sorted, compare_searches);
    const rt_status st =
        store_each_rollout(l->session->store, l->run_id, l->locator, find_row, &f);
    rt_free(f.sorted);
    return st;
}

/* Rows that continuations hang on; the finding comes with the verdict. */
rt_status locate_announce(struct locating *l, const char *locator)
{
    rt_status st;
    const struct pipe_fault open = { locator, -1, -1, PIPE_CAT_UNCLASSIFIED, 0, "{}" };
    TRY(store_begin(l->session->store));
    for (uint32_t i = 0; i < l->count; i++)
        if (l->list[i].gen[0])
            TRY(store_put_fault(l->session->store, l->run_id, l->list[i].gen, &open));
    TRY(store_commit(l->session->store));
    return RT_OK;

fail:
    store_rollback(l->session->store);
    return st;
}

/* Where the context has no room to continue, the reader cannot finish. */
static void close_without_room(struct locate_search *s)
{
    struct locate_known *known = &s->known[s->asked];
    if (s->pending && !(known->done & 1))
        known->done = UINT32_MAX;
}

rt_status locate_continue_at(struct locating *l, const int32_t *kept, bool drawn)
{
    rt_status st = RT_OK;
    for (uint32_t i = 0; i < l->count; i++) {
        struct locate_search *s = &l->list[i];
        s->pending = kept[i] >= 0 && (drawn || !(s->known[kept[i]].done & 1));
        s->asked = s->pending ? (uint32_t)kept[i] : 0;
    }
    TRY(ask(l, drawn));
    for (uint32_t i = 0; i < l->count; i++)
        close_without_room(&l->list[i]);
    return RT_OK;

fail:
    if (l->open)
        store_rollback(l->session->store);
    l->open = false;
    return st;
}

rt_status locate_pending(struct locating *l, uint32_t *pending)
{
    rt_status st = RT_OK;
    *pending = 0;
    for (uint32_t i = 0; i < l->count && st == RT_OK; i++) {
        st = run_search(l, &l->list[i]);
        *pending += l->list[i].pending;
    }
    return st;
}

rt_status locate_rollouts(struct locating *l)
{
    rt_status st;
    uint32_t pending;
    TRY(locate_announce(l, l->locator));
    TRY(locate_find_again(l));
    for (;;) {
        TRY(locate_pending(l, &pending));
        if (pending == 0)
            return RT_OK;
        TRY(ask(l, false));
        if (l->samples)
            TRY(ask(l, true));
        for (uint32_t i = 0; i < l->count; i++)
            close_without_room(&l->list[i]);
    }

fail:
    if (l->open)
        store_rollback(l->session->store);
    l->open = false;
    return st;
}

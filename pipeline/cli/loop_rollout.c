/* pipeline/cli/loop_rollout.c
 * The searches of pipe_rollout_search, all at once: each is run on what is known; where
 * it needs an answer that is not there, it becomes a job of the next batch. Answers are
 * rows before they count, so that a killed search is found again where it was. */
#include "pipeline/cli/loop_locate.h"

#include <stdlib.h>
#include <string.h>

static const struct rt_sampling draw = { .temperature = 0.6f, .top_p = 0.95f };

static rt_status answer_known(void *user, uint32_t kept, bool *can)
{
    struct locate_search *s = user;
    if (s->known[kept].can < 0) {
        s->asked = kept;
        s->pending = true;
        return RT_ERR_INTERRUPTED; /* never seen by others: see run_search */
    }
    *can = s->known[kept].can == 1;
    return RT_OK;
}

/* Runs a search on what is known; afterwards it is settled or pending. */
static rt_status run_search(struct locate_search *s)
{
    const int32_t guess = s->check.step >= 0 ? s->check.step : s->twin;
    s->pending = false;
    const rt_status st =
        pipe_rollout_search(answer_known, s, s->step_count, guess, &s->rollout);
    return s->pending ? RT_OK : st;
}

static rt_status grade(struct locating *l, uint32_t job, bool *correct)
{
    const struct locate_search *s = &l->list[job / l->per_search];
    char extracted[PIPE_EXTRACT_MAX];
    struct pipe_score score = { 0 };
    pipe_grade(l->loop->grader, l->loop->format, l->jobs[job].text, l->jobs[job].finish,
               l->bench->set.items[s->problem].answer, extracted, &score);
    *correct = score.correct;
    return RT_OK;
}

static rt_status job_done(void *user, uint32_t job)
{
    rt_status st;
    struct locating *l = user;
    struct locate_search *s = &l->list[job / l->per_search];
    struct locate_known *known = &s->known[s->asked];
    bool correct;
    TRY(grade(l, job, &correct));
    if (s->gen[0]) {
        const struct pipe_rollout row = { .step = s->asked - 1,
                                          .sample = l->sample_base + job % l->per_search,
                                          .output = l->jobs[job].text,
                                          .correct = correct,
                                          .n_gen = l->jobs[job].n_gen };
        if (!l->open)
            TRY(store_begin(l->loop->store));
        l->open = true;
        TRY(store_put_rollout(l->loop->store, l->run_id, s->gen, "rollout",
                              l->full->row.id, &row));
    }
    if (known->can != 1 && (correct || !known->text)) {
        rt_free(known->text);
        known->text = l->jobs[job].text;
        l->jobs[job].text = NULL;
        known->can = correct;
    }
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
    return store_commit(l->loop->store);
}

static rt_status make_prompt(struct locating *l, const struct locate_search *s,
                             struct loop_job *job)
{
    struct rt_ctx *ctx = l->loop->ctx;
    char *prefix = rt_format(ctx, "%.*s", (int)s->steps[s->asked].char_start, s->text);
    if (!prefix)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "locate: no memory");
    const rt_status st = loop_prompt(l->loop, l->bench->set.items[s->problem].question,
                                     prefix, &job->prompt, &job->n_prompt);
    rt_free(prefix);
    return st;
}

/* Asks every pending search, `per_search` times: greedily, or drawn where that failed. */
static rt_status ask(struct locating *l, bool drawn)
{
    rt_status st = RT_OK;
    struct rt_ctx *ctx = l->loop->ctx;
    const uint32_t per = drawn ? l->samples : 1;
    struct loop_continue how = { .model = l->full->model,
                                 .what = "locate roll-outs",
                                 .engine = &l->engine[drawn],
                                 .done = job_done,
                                 .between = make_durable,
                                 .user = l };
    if (drawn) {
        how.sampling = draw;
        how.sampling.seed = l->loop->seed;
    }
    l->per_search = per;
    l->sample_base = drawn ? 1 : 0;
    l->jobs = rt_alloc(ctx, (size_t)l->count * per, sizeof *l->jobs);
    if (!l->jobs)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "locate: no memory");
    for (uint32_t i = 0; i < l->count * per; i++) {
        const struct locate_search *s = &l->list[i / per];
        if (s->pending && s->known[s->asked].can != 1)
            TRY(make_prompt(l, s, &l->jobs[i]));
    }
    TRY(loop_continue(l->loop, &how, l->jobs, l->count * per));

fail:
    loop_jobs_free(l->jobs, l->count * per);
    l->jobs = NULL;
    return st;
}

/* What an earlier, killed run asked already. */
static int compare_searches(const void *a, const void *b)
{
    return strcmp((*(const struct locate_search *const *)a)->gen,
                  (*(const struct locate_search *const *)b)->gen);
}

struct finding {
    struct locating *l;
    struct locate_search **sorted;
};

static rt_status find_row(void *user, const struct store_row *row)
{
    struct finding *f = user;
    struct locate_search key, *at = &key;
    key.gen[0] = '\0';
    strncat(key.gen, store_row_text(row, 0), STORE_ID - 1);
    struct locate_search **found = bsearch(
        &at, f->sorted, f->l->count, sizeof(struct locate_search *), compare_searches);
    const int64_t kept = store_row_integer(row, 1) + 1;
    if (!found || kept < 0 || kept > (*found)->step_count)
        return RT_OK;
    struct locate_known *known = &(*found)->known[kept];
    const bool correct = store_row_integer(row, 3) == 1;
    if (known->can == 1 || (known->text && !correct))
        return RT_OK;
    rt_free(known->text);
    known->can = correct;
    known->text = rt_strdup(f->l->loop->ctx, store_row_text(row, 2));
    return known->text
               ? RT_OK
               : rt_fail(f->l->loop->ctx, RT_ERR_HOST_MEMORY, "locate: no memory");
}

static rt_status find_again(struct locating *l)
{
    rt_status st;
    struct finding f = { l, rt_alloc(l->loop->ctx, l->count, sizeof *f.sorted) };
    const char *const args[] = { l->run_id, NULL };
    if (!f.sorted)
        return rt_fail(l->loop->ctx, RT_ERR_HOST_MEMORY, "locate: no memory");
    for (uint32_t i = 0; i < l->count; i++)
        f.sorted[i] = &l->list[i];
    qsort(f.sorted, l->count, sizeof *f.sorted, compare_searches);
    st =
        store_query(l->loop->store,
                    "SELECT f.gen_id, r.step_idx, r.output, r.correct FROM fault f JOIN "
                    "rollout r USING(fault_id) WHERE f.run_id=?1 AND f.locator='rollout' "
                    "AND (r.sample=0 OR r.correct=1) ORDER BY 1, 2, r.sample",
                    args, find_row, &f);
    rt_free(f.sorted);
    return st;
}

/* Rows that continuations hang on; the finding comes with the verdict. */
static rt_status announce(struct locating *l)
{
    rt_status st;
    static const struct pipe_fault open = { "rollout", -1,  -1, PIPE_CAT_UNCLASSIFIED,
                                            0,         "{}" };
    TRY(store_begin(l->loop->store));
    for (uint32_t i = 0; i < l->count; i++)
        if (l->list[i].gen[0])
            TRY(store_put_fault(l->loop->store, l->run_id, l->list[i].gen, &open));
    TRY(store_commit(l->loop->store));
    return RT_OK;

fail:
    store_rollback(l->loop->store);
    return st;
}

rt_status locate_rollouts(struct locating *l)
{
    rt_status st;
    TRY(announce(l));
    TRY(find_again(l));
    for (;;) {
        uint32_t pending = 0;
        for (uint32_t i = 0; i < l->count; i++) {
            TRY(run_search(&l->list[i]));
            pending += l->list[i].pending;
        }
        if (pending == 0)
            return RT_OK;
        TRY(ask(l, false));
        if (l->samples)
            TRY(ask(l, true));
        for (uint32_t i = 0; i < l->count; i++) /* no room to go on: cannot */
            if (l->list[i].pending && l->list[i].known[l->list[i].asked].can < 0)
                l->list[i].known[l->list[i].asked].can = 0;
    }

fail:
    if (l->open)
        store_rollback(l->loop->store);
    l->open = false;
    return st;
}

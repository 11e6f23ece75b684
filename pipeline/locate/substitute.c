/* pipeline/locate/substitute.c
 * Full's step in the place of quant's, then quant by itself: does it succeed now? Asked at the
 * verdict's step (else the search's) and its neighbours, because the answer need not be
 * monotone: quant may repeat a fault that lies behind the step. The earliest step that mends
 * the answer is named. */
#include "pipeline/locate/locate_impl.h"

#include "store/queries.h"

#include <stdio.h>
#include <string.h>

enum { AROUND = 3 }; /* the step before, the step, the step after */

/* Of one answer at one step. */
struct trial {
    bool asked, right; /* asked: now or by an earlier, killed run */
};

struct trying {
    struct locating *l;
    const struct pipe_variant *quant;
    struct trial *trials;  /* [count][AROUND] */
    struct pipe_job *jobs; /* the same */
    char **step;           /* the same: full's step, owned */
    bool open;             /* a transaction is open */
};

static rt_status no_memory(const struct trying *t)
{
    return rt_fail(t->l->session->ctx, RT_ERR_HOST_MEMORY, "locate: no memory");
}

/* The step that trial `i` replaces; -1: there is none. */
static int32_t place_of(const struct trying *t, uint32_t i)
{
    const struct locate_search *s = &t->l->list[i / AROUND];
    const int32_t named = s->verdict.step >= 0 ? s->verdict.step : s->rollout.step;
    const int32_t k = named - 1 + (int32_t)(i % AROUND);
    return named >= 0 && k >= 0 && (uint32_t)k < s->step_count ? k : -1;
}

/* ---- full's steps ---- */

/* Continuations of full that the search did not need. */
static rt_status ask_full(struct trying *t)
{
    rt_status st = RT_OK;
    struct locating *l = t->l;
    int32_t *kept = rt_alloc(l->session->ctx, l->count, sizeof *kept);
    if (!kept)
        return no_memory(t);
    for (uint32_t a = 0; a < AROUND; a++) {
        for (uint32_t i = 0; i < l->count; i++)
            kept[i] = place_of(t, i * AROUND + a);
        TRY(locate_continue_at(l, kept, false));
    }

fail:
    rt_free(kept);
    locate_close_engines(l);
    return st;
}

/* Full's step k after quant's first k; NULL: it has none there, cuts otherwise, or writes the
 * same as quant. */
static rt_status step_of_full(const struct trying *t, const struct locate_search *s,
                              uint32_t k, char **out)
{
    struct pipe_step steps[PIPE_STEPS_MAX];
    const uint32_t start = s->steps[k].char_start;
    *out = NULL;
    if (!s->known[k].text)
        return RT_OK;
    char *whole =
        rt_format(t->l->session->ctx, "%.*s%s", (int)start, s->text, s->known[k].text);
    if (!whole)
        return no_memory(t);
    const uint32_t n =
        t->l->session->format->dialect->split(whole, steps, PIPE_STEPS_MAX);
    if (k < n && steps[k].char_start == start && steps[k].char_end > start) {
        const uint32_t size = steps[k].char_end - start;
        const bool same = size == s->steps[k].char_end - start &&
                          memcmp(whole + start, s->text + start, size) == 0;
        if (!same)
            *out = rt_format(t->l->session->ctx, "%.*s", (int)size, whole + start);
        if (!same && !*out) {
            rt_free(whole);
            return no_memory(t);
        }
    }
    rt_free(whole);
    return RT_OK;
}

/* ---- quant's continuations ---- */

static rt_status make_job(struct trying *t, uint32_t i)
{
    rt_status st;
    const struct locate_search *s = &t->l->list[i / AROUND];
    const int32_t k = place_of(t, i);
    if (k < 0 || t->trials[i].asked)
        return RT_OK;
    TRY(step_of_full(t, s, (uint32_t)k, &t->step[i]));
    if (!t->step[i])
        return RT_OK;
    t->jobs[i] = (struct pipe_job){ .problem = &t->l->bench->set.items[s->problem],
                                    .kept = (uint32_t)k + 1 };
    t->jobs[i].given = rt_format(t->l->session->ctx, "%.*s%s",
                                 (int)s->steps[k].char_start, s->text, t->step[i]);
    return t->jobs[i].given ? RT_OK : no_memory(t);

fail:
    return st;
}

/* The row says what follows quant's first k steps: full's step, then quant's text. */
static rt_status put_row(struct trying *t, uint32_t i, bool right)
{
    rt_status st;
    const struct pipe_job *job = &t->jobs[i];
    const struct locate_search *s = &t->l->list[i / AROUND];
    char *text = rt_format(t->l->session->ctx, "%s%s", t->step[i], job->text);
    const struct pipe_rollout row = { .step = job->kept - 2, /* kept counts full's step */
                                      .output = text,
                                      .correct = right,
                                      .n_gen = job->n_gen };
    if (!text)
        return no_memory(t);
    if (!t->open)
        TRY(store_begin(t->l->session->store));
    t->open = true;
    TRY(store_put_rollout(t->l->session->store, t->l->run_id, s->gen, "substitute",
                          t->quant->row.id, &row));

fail:
    rt_free(text);
    return st;
}

static rt_status job_done(void *user, uint32_t i)
{
    rt_status st;
    struct trying *t = user;
    bool right;
    TRY(pipe_job_grade(t->l->session, &t->jobs[i], &right));
    TRY(put_row(t, i, right));
    t->l->list[i / AROUND].substitute_tokens += t->jobs[i].n_gen;
    t->trials[i] = (struct trial){ .asked = true, .right = right };

fail:
    return st;
}

static rt_status make_durable(void *user)
{
    struct trying *t = user;
    if (!t->open)
        return RT_OK;
    t->open = false;
    return store_commit(t->l->session->store);
}

static rt_status ask_quant(struct trying *t)
{
    rt_status st = RT_OK;
    const struct pipe_ask_list how = { .model = t->quant->model,
                                       .adapter = t->quant->adapter,
                                       .what = "locate substitutes",
                                       .done = job_done,
                                       .between = make_durable,
                                       .user = t };
    for (uint32_t i = 0; i < t->l->count * AROUND; i++)
        TRY(make_job(t, i));
    TRY(pipe_ask_list(t->l->session, &how, t->jobs, t->l->count * AROUND));

fail:
    if (t->open)
        store_rollback(t->l->session->store);
    t->open = false;
    return st;
}

/* ---- an earlier run ---- */

static rt_status find_row(void *user, const struct store_rollout *row)
{
    struct trying *t = user;
    uint32_t at = 0;
    while (at < t->l->count && strcmp(t->l->list[at].gen, row->gen_id) != 0)
        at++;
    if (at == t->l->count)
        return RT_OK;
    t->l->list[at].substitute_tokens += row->n_gen;
    for (uint32_t i = at * AROUND; i < (at + 1) * AROUND; i++)
        if (place_of(t, i) == row->step + 1)
            t->trials[i] = (struct trial){ .asked = true, .right = row->correct };
    return RT_OK;
}

rt_status locate_substitutes(struct locating *l, const struct pipe_variant *quant)
{
    rt_status st;
    struct trying t = { .l = l, .quant = quant };
    const uint32_t n = l->count * AROUND;
    t.trials = rt_alloc(l->session->ctx, n, sizeof *t.trials);
    t.jobs = rt_alloc(l->session->ctx, n, sizeof *t.jobs);
    t.step = rt_alloc(l->session->ctx, n, sizeof *t.step);
    if (!t.trials || !t.jobs || !t.step) {
        st = no_memory(&t);
        goto fail;
    }
    TRY(locate_announce(l, "substitute"));
    TRY(store_each_rollout(l->session->store, l->run_id, "substitute", find_row, &t));
    TRY(ask_full(&t));
    TRY(ask_quant(&t));
    for (uint32_t i = n; i-- > 0;)
        if (t.trials[i].right)
            l->list[i / AROUND].substitute = place_of(&t, i);

fail:
    for (uint32_t i = 0; t.step && i < n; i++)
        rt_free(t.step[i]);
    rt_free(t.step);
    pipe_jobs_free(t.jobs, n);
    rt_free(t.trials);
    return st;
}

rt_status locate_put_substitutes(struct locating *l)
{
    rt_status st = RT_OK;
    for (uint32_t i = 0; i < l->count && st == RT_OK; i++) {
        const struct locate_search *s = &l->list[i];
        const struct pipe_fault f = { .locator = "substitute",
                                      .step = s->substitute,
                                      .token = -1,
                                      .category = PIPE_CAT_UNCLASSIFIED,
                                      .evidence = "{}" };
        st = store_put_fault(l->session->store, l->run_id, s->gen, &f);
    }
    return st;
}

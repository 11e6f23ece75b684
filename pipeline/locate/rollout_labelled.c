/* pipeline/locate/rollout_labelled.c
 * Labelled solutions as searches of rollout.c. What is kept of one (judge_store.h) is a series
 * per sample, 0 the greedy one, with a number per prefix: 0 is not asked, else the sign says
 * whether the continuation is right, and the rest is 1 and the tokens of the continuation. */
#include "pipeline/locate/rollout_labelled.h"

#include "pipeline/locate/judge_store.h"
#include "pipeline/locate/locate_impl.h"
#include "pipeline/prompt/locate_check.h"
#include "runtime/model/model.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SERIES = PIPE_SAMPLES_MAX + 1 };

const char *pipe_rolled_name(enum pipe_rolled_state state)
{
    static const char *const names[] = { "asked", "ends right", "no answer" };
    return names[state];
}

/* A solution under search. */
struct solution {
    const struct pipe_labelled *item; /* borrowed */
    struct pipe_rolled *out;          /* borrowed */
    double *values[SERIES];           /* owned, per prefix shorter than the solution */
};

struct rolling {
    struct pipe_session *session;
    struct locating l; /* list[i] is the search of solutions[i] */
    struct pipe_bench bench;
    struct pipe_judge_store kept;
    struct solution *solutions; /* owned */
    struct pipe_pool pool;
    uint32_t found; /* solutions with continuations that were kept before */
};

static rt_status no_memory(const struct rolling *r)
{
    return rt_fail(r->session->ctx, RT_ERR_HOST_MEMORY, "rollout: no memory");
}

/* ---- continuations that are kept ---- */

static void name_series(const struct solution *x, char names[SERIES][8],
                        struct pipe_judge_series series[SERIES])
{
    for (int s = 0; s < SERIES; s++) {
        snprintf(names[s], sizeof names[s], "s%d", s);
        series[s] =
            (struct pipe_judge_series){ .name = names[s], .values = x->values[s] };
    }
}

static uint64_t tokens_of(double value)
{
    return fabs(value) < 1 ? 0 : (uint64_t)(fabs(value) - 1);
}

static rt_status keep(void *keeper, uint32_t search, const struct pipe_job *job,
                      bool right)
{
    struct rolling *r = keeper;
    struct solution *x = &r->solutions[search];
    struct pipe_judge_series series[SERIES];
    char names[SERIES][8];
    uint64_t tokens = 0;
    const double size = 1.0 + job->n_gen;
    x->values[job->sample][job->kept] = right ? size : -size;
    for (int s = 0; s < SERIES; s++)
        for (uint32_t k = 0; k < x->item->step_count; k++)
            tokens += tokens_of(x->values[s][k]);
    name_series(x, names, series);
    return pipe_judge_store_put(&r->kept, x->item, series, SERIES, tokens, job->n_gen);
}

static rt_status find_again(struct rolling *r, uint32_t i)
{
    struct solution *x = &r->solutions[i];
    struct pipe_judge_series series[SERIES];
    char names[SERIES][8];
    uint64_t tokens;
    bool found;
    name_series(x, names, series);
    const rt_status st =
        pipe_judge_store_get(&r->kept, x->item, series, SERIES, &tokens, &found);
    if (st != RT_OK || !found)
        return st;
    r->found++;
    for (uint32_t s = 0; s < SERIES; s++) {
        rt_free(x->values[s]);
        x->values[s] = series[s].values;
        for (uint32_t k = 0; s <= r->l.samples && k < x->item->step_count; k++) {
            char *text = NULL; /* is not kept */
            if (fabs(x->values[s][k]) >= 1)
                locate_learn(&r->l.list[i].known[k], s, x->values[s][k] > 0, &text);
        }
    }
    return RT_OK;
}

/* ---- searches ---- */

/* The record's steps as the beginning of an answer of the session's format. */
static rt_status join_steps(struct rolling *r, const struct pipe_labelled *item,
                            struct locate_search *s)
{
    const char *between = r->session->format->dialect->between;
    const size_t gap = between ? strlen(between) : 0;
    const size_t size = strlen(item->text) + item->step_count * gap + 1;
    char *text = pipe_pool_take(r->session->ctx, &r->pool, size, 1);
    uint32_t at = 0;
    if (!text)
        return no_memory(r);
    for (uint32_t k = 0; k < item->step_count; k++) {
        const uint32_t length = pipe_labelled_step_size(item, k);
        s->steps[k].char_start = at;
        memcpy(text + at, item->text + item->steps[k].char_start, length);
        at += length;
        if (gap)
            memcpy(text + at, between, gap);
        at += (uint32_t)gap;
        s->steps[k].char_end = at;
    }
    s->text = text;
    return RT_OK;
}

static rt_status open_search(struct rolling *r, uint32_t i)
{
    rt_status st;
    struct rt_ctx *ctx = r->session->ctx;
    struct solution *x = &r->solutions[i];
    const struct pipe_labelled *item = x->item;
    struct locate_search *s = &r->l.list[i];
    char id[STORE_ID];
    *s = (struct locate_search){ .problem = i, .truth = -1, .twin = -1 };
    s->step_count = item->step_count;
    s->steps = rt_alloc(ctx, item->step_count, sizeof *s->steps);
    s->known = rt_alloc(ctx, item->step_count + 1u, sizeof *s->known);
    for (int k = 0; k < SERIES; k++) {
        x->values[k] = rt_alloc(ctx, item->step_count, sizeof(double));
        if (!x->values[k])
            return no_memory(r);
    }
    pipe_judge_store_id(&r->kept, item, id);
    struct pipe_problem *problem = &r->bench.set.items[i];
    *problem = (struct pipe_problem){
        .id = pipe_pool_copy(ctx, &r->pool, id, strlen(id)), /* what draws depend on */
        .question = item->question,
        .answer = item->answer,
    };
    if (!s->steps || !s->known || !problem->id)
        return no_memory(r);
    pipe_locate_check(item->question, item->text, item->steps, item->step_count,
                      &s->check); /* where the search begins */
    TRY(join_steps(r, item, s));
    TRY(find_again(r, i));

fail:
    return st;
}

/* States of all; how many there are to search. */
static uint32_t sort_out(const struct pipe_labelled_set *set, struct pipe_rolled *out)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        const struct pipe_labelled *item = &set->items[i];
        out[i] = (struct pipe_rolled){ .step = -1 };
        out[i].state = item->final == PIPE_FINAL_RIGHT ? PIPE_ROLLED_RIGHT
                       : !item->answer[0]              ? PIPE_ROLLED_NO_ANSWER
                                                       : PIPE_ROLLED_ASKED;
        count += out[i].state == PIPE_ROLLED_ASKED;
    }
    return count;
}

static rt_status open_searches(struct rolling *r, const struct pipe_labelled_set *set,
                               uint32_t count, struct pipe_rolled *out)
{
    struct rt_ctx *ctx = r->session->ctx;
    r->solutions = rt_alloc(ctx, count, sizeof *r->solutions);
    r->l.list = rt_alloc(ctx, count, sizeof *r->l.list);
    r->bench.set.items = rt_alloc(ctx, count, sizeof *r->bench.set.items);
    if (!r->solutions || !r->l.list || !r->bench.set.items)
        return no_memory(r);
    for (uint32_t i = 0; i < set->count; i++) {
        if (out[i].state != PIPE_ROLLED_ASKED)
            continue;
        const uint32_t at = r->l.count++;
        r->solutions[at].item = &set->items[i];
        r->solutions[at].out = &out[i];
        const rt_status st = open_search(r, at);
        if (st != RT_OK)
            return st;
    }
    assert(r->l.count == count);
    return RT_OK;
}

static void rolling_deinit(struct rolling *r)
{
    for (uint32_t i = 0; r->solutions && i < r->l.count; i++)
        for (int s = 0; s < SERIES; s++)
            rt_free(r->solutions[i].values[s]);
    locate_free(&r->l);
    rt_free(r->solutions);
    rt_free(r->bench.set.items);
    pipe_pool_deinit(&r->pool);
}

/* What a settled search says, and what its own prefixes took: others may be kept. */
static void take(const struct rolling *r, uint32_t i)
{
    const struct solution *x = &r->solutions[i];
    const struct pipe_rollout_result *search = &r->l.list[i].rollout;
    x->out->step = search->step;
    x->out->lost_from_start = search->lost_from_start;
    x->out->prefixes = search->asked;
    for (uint32_t k = 0; k < x->item->step_count; k++) {
        const uint32_t last = x->values[0][k] > 0 ? 0 : r->l.samples;
        for (uint32_t s = 0; search->can[k] >= 0 && s <= last; s++)
            x->out->tokens += tokens_of(x->values[s][k]);
    }
}

/* ---- the whole ---- */

static rt_status open_kept(struct rolling *r, const char *model)
{
    char question[80];
    snprintf(question, sizeof question, "continued after the first steps, 1; %u tokens",
             r->session->new_tokens_max);
    const struct pipe_judge_use use = { .locator = "rollout",
                                        .question = question,
                                        .seed = r->session->seed,
                                        .graded = true };
    const rt_status st = pipe_judge_store_open(r->session, model, &use, &r->kept);
    r->kept.use.question = ""; /* was on this stack, and is needed no more */
    snprintf(r->l.run_id, sizeof r->l.run_id, "%s", r->kept.run_id);
    return st;
}

rt_status pipe_rollout_set(struct pipe_session *session, const char *model,
                           const struct pipe_labelled_set *set, uint32_t samples,
                           struct pipe_rolled *out)
{
    rt_status st;
    uint32_t pending;
    struct rt_model *loaded = NULL;
    struct pipe_variant reader = { .model = NULL };
    struct rolling r = { .session = session };
    const uint32_t count = sort_out(set, out);
    assert(samples <= PIPE_SAMPLES_MAX);
    if (count == 0)
        return RT_OK;
    r.l = (struct locating){ .session = session,
                             .bench = &r.bench,
                             .reader = &reader,
                             .locator = "rollout",
                             .samples = samples,
                             .keep = keep,
                             .keeper = &r };
    TRY(open_kept(&r, model));
    TRY(open_searches(&r, set, count, out));
    if (r.found)
        pipe_say(session->host, "rollout: %u of %u solutions were begun before", r.found,
                 count);
    TRY(locate_pending(&r.l, &pending));
    if (pending) {
        TRY(pipe_model_load(session, model, &loaded));
        reader.model = loaded;
        TRY(locate_rollouts(&r.l));
    }
    for (uint32_t i = 0; i < count; i++)
        take(&r, i);
    TRY(pipe_judge_store_done(&r.kept));

fail:
    if (st != RT_OK)
        pipe_work_stopped(session, st);
    rolling_deinit(&r);
    rt_model_destroy(&loaded);
    return st;
}

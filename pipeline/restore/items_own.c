/* pipeline/restore/items_own.c
 * What quant itself writes instead of its faulty step: continuations from before that step,
 * drawn until one is right. */
#include "pipeline/restore/items.h"

#include "pipeline/run/ask_list.h"
#include "runtime/engine/engine.h"

#include <stdio.h>
#include <string.h>

enum { DRAWS = 16 }; /* per lost answer at most */

struct drawing {
    struct pipe_session *session;
    const struct pipe_material *m;
    char **texts;          /* the caller's */
    struct pipe_job *jobs; /* of a round: `per` for each lost answer */
    uint32_t per;
    struct rt_engine *engine;
    uint64_t drawn;
};

/* Samples first .. first + per - 1 of lost answer `at`, which has no right one yet. */
static rt_status add_jobs(struct drawing *d, uint32_t at, uint32_t first)
{
    struct pipe_step steps[PIPE_STEPS_MAX];
    const struct pipe_located *f = &d->m->faults->items[at];
    const char *text = d->m->q->items[f->problem].text;
    const uint32_t count =
        d->session->format->dialect->split(text, steps, PIPE_STEPS_MAX);
    if (d->texts[at] || f->step < 0 || (uint32_t)f->step >= count)
        return RT_OK;
    for (uint32_t s = 0; s < d->per; s++) {
        struct pipe_job *job = &d->jobs[at * d->per + s];
        job->problem = &d->m->mine->set.items[f->problem];
        job->kept = (uint32_t)f->step;
        job->sample = first + s;
        job->given =
            rt_format(d->session->ctx, "%.*s", (int)steps[f->step].char_start, text);
        if (!job->given)
            return rt_fail(d->session->ctx, RT_ERR_HOST_MEMORY, "items: no memory");
    }
    return RT_OK;
}

/* Keeps the first right one by its number. */
static rt_status keep(struct drawing *d, uint32_t at)
{
    for (uint32_t s = 0; s < d->per && !d->texts[at]; s++) {
        bool right;
        struct pipe_job *job = &d->jobs[at * d->per + s];
        const rt_status st = pipe_job_grade(d->session, job, &right);
        if (st != RT_OK)
            return st;
        d->drawn += job->text != NULL;
        if (!right)
            continue;
        d->texts[at] = job->text;
        job->text = NULL;
    }
    return RT_OK;
}

static rt_status draw_round(struct drawing *d, uint32_t first)
{
    rt_status st = RT_OK;
    const uint32_t lost = d->m->faults->count;
    const struct pipe_ask_list how = { .model = d->m->quant->model,
                                       .adapter = d->m->quant->adapter,
                                       .what = "own steps",
                                       .temperature = PIPE_DRAW_TEMPERATURE,
                                       .top_p = PIPE_DRAW_TOP_P,
                                       .engine = &d->engine };
    d->jobs = rt_alloc(d->session->ctx, (size_t)lost * d->per, sizeof *d->jobs);
    if (!d->jobs)
        return rt_fail(d->session->ctx, RT_ERR_HOST_MEMORY, "items: no memory");
    for (uint32_t i = 0; i < lost; i++)
        TRY(add_jobs(d, i, first));
    TRY(pipe_ask_list(d->session, &how, d->jobs, lost * d->per));
    for (uint32_t i = 0; i < lost; i++)
        TRY(keep(d, i));

fail:
    pipe_jobs_free(d->jobs, lost * d->per);
    d->jobs = NULL;
    return st;
}

static bool is_drawn(const struct pipe_session *session, const struct pipe_material *m)
{
    const struct pipe_own_draws *own = m->own;
    return own->texts && own->count == m->faults->count && own->seed == session->seed &&
           strcmp(own->quant, m->quant->weights_id) == 0;
}

static rt_status draw_all(struct drawing *d)
{
    rt_status st;
    uint32_t found = 0;
    /* Ever more at once: 2, 2, 4, 8. What is kept does not depend on it. */
    for (uint32_t first = 1; first <= DRAWS; first += d->per) {
        d->per = first == 1 ? 2 : first - 1;
        TRY(draw_round(d, first));
    }
    for (uint32_t i = 0; i < d->m->faults->count; i++)
        found += d->texts[i] != NULL;
    pipe_say(d->session->host, "own steps: %u of %u lost answers mended, %llu draws",
             found, d->m->faults->count, (unsigned long long)d->drawn);
    return RT_OK;

fail:
    return st;
}

rt_status pipe_item_draw_own(struct pipe_session *session,
                             const struct pipe_material *material)
{
    struct pipe_own_draws *own = material->own;
    struct drawing d = { .session = session, .m = material };
    if (is_drawn(session, material))
        return RT_OK;
    pipe_own_draws_deinit(own);
    own->count = material->faults->count;
    own->seed = session->seed;
    snprintf(own->quant, sizeof own->quant, "%s", material->quant->weights_id);
    own->texts = rt_alloc(session->ctx, own->count, sizeof *own->texts);
    if (!own->texts)
        return rt_fail(session->ctx, RT_ERR_HOST_MEMORY, "items: no memory");
    d.texts = own->texts;
    const rt_status st = draw_all(&d);
    rt_engine_destroy(&d.engine);
    if (st != RT_OK)
        pipe_own_draws_deinit(own);
    return st;
}

void pipe_own_draws_deinit(struct pipe_own_draws *own)
{
    for (uint32_t i = 0; own->texts && i < own->count; i++)
        rt_free(own->texts[i]);
    rt_free(own->texts);
    *own = (struct pipe_own_draws){ .count = 0 };
}

rt_status pipe_item_prefer_rest(struct pipe_session *session, struct pipe_pool *pool,
                                const char *rest, struct pipe_candidate *c)
{
    c->item.rejected = NULL;
    c->chosen_ends = true;
    if (!rest)
        return RT_OK;
    c->item.chosen = pipe_pool_copy(session->ctx, pool, rest, strlen(rest));
    return c->item.chosen ? RT_OK
                          : rt_fail(session->ctx, RT_ERR_HOST_MEMORY, "items: no memory");
}

/* pipeline/run/ask_list.c
 * Lists of answers and continuations that are asked of a model: roll-outs, validation. */
#include "pipeline/run/ask_list.h"

#include "pipeline/run/ask.h"
#include "pipeline/run/work.h"
#include "pipeline/grade/grade.h"
#include "runtime/engine/engine.h"

#include <assert.h>

struct continuing {
    struct pipe_session *session;
    const struct pipe_ask_list *how;
    struct pipe_job *jobs;
    uint32_t count, next, done, total;
    uint64_t started;
};

static rt_status next_job(void *user, struct pipe_asked *out, bool *got)
{
    struct continuing *c = user;
    while (c->next < c->count && !c->jobs[c->next].problem)
        c->next++;
    *got = c->next < c->count;
    if (!*got)
        return RT_OK;
    const struct pipe_job *job = &c->jobs[c->next];
    *out = (struct pipe_asked){ .key = c->next,
                                .problem = job->problem,
                                .given = job->given,
                                .kept = job->kept,
                                .sample = job->sample };
    c->next++;
    return RT_OK;
}

static rt_status take_job(void *user, const struct pipe_reply *reply)
{
    struct continuing *c = user;
    struct pipe_job *job = &c->jobs[reply->key];
    c->done++;
    if (reply->too_long)
        return RT_OK;
    job->n_gen = reply->n_gen;
    job->finish = reply->finish;
    job->text = rt_strdup(c->session->ctx, reply->text);
    if (!job->text)
        return rt_fail(c->session->ctx, RT_ERR_HOST_MEMORY, "%s: no memory",
                       c->how->what);
    return c->how->done ? c->how->done(c->how->user, (uint32_t)reply->key) : RT_OK;
}

static rt_status between(void *user)
{
    rt_status st = RT_OK;
    struct continuing *c = user;
    if (c->how->between)
        TRY(c->how->between(c->how->user));
    TRY(pipe_work_beat(c->session));
    const struct pipe_progress now = {
        .what = c->how->what, .done = c->done, .total = c->total, .started_ns = c->started
    };
    pipe_progress(c->session->host, &now);
    st = pipe_stop_status(c->session->host, c->session->ctx);

fail:
    return st;
}

rt_status pipe_ask_list(struct pipe_session *session, const struct pipe_ask_list *how,
                        struct pipe_job *jobs, uint32_t count)
{
    assert(how->model && (jobs || count == 0));
    struct rt_engine *own = NULL;
    struct continuing c = { .session = session,
                            .how = how,
                            .jobs = jobs,
                            .count = count,
                            .started = rt_time_ns() };
    const struct pipe_asker asker = { .model = how->model,
                                      .adapter = how->adapter,
                                      .temperature = how->temperature,
                                      .top_p = how->top_p,
                                      .room = 1,
                                      .engine = how->engine ? how->engine : &own,
                                      .next = next_job,
                                      .take = take_job,
                                      .between = between,
                                      .user = &c };
    for (uint32_t i = 0; i < count; i++)
        c.total += jobs[i].problem != NULL;
    rt_status st = c.total ? pipe_ask(session, &asker) : RT_OK;
    if (st == RT_OK && c.total && how->between)
        st = how->between(how->user);
    rt_engine_destroy(&own);
    return st;
}

rt_status pipe_job_grade(struct pipe_session *session, const struct pipe_job *job,
                         bool *right)
{
    char extracted[PIPE_EXTRACT_MAX];
    struct pipe_score score = { 0 };
    *right = false;
    if (!job->text)
        return RT_OK;
    char *whole =
        rt_format(session->ctx, "%s%s", job->given ? job->given : "", job->text);
    if (!whole)
        return rt_fail(session->ctx, RT_ERR_HOST_MEMORY, "grading: no memory");
    if (!pipe_grade_thought(session->format, session->prompt.thinks, whole, job->finish,
                            &score))
        pipe_grade(session->grader, session->format, whole, job->finish,
                   job->problem->answer, extracted, &score);
    *right = score.correct;
    rt_free(whole);
    return RT_OK;
}

void pipe_jobs_free(struct pipe_job *jobs, uint32_t count)
{
    for (uint32_t i = 0; jobs && i < count; i++) {
        rt_free(jobs[i].given);
        rt_free(jobs[i].text);
    }
    rt_free(jobs);
}

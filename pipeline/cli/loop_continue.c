/* pipeline/cli/loop_continue.c
 * Continuations that are asked of a model: roll-outs, validation. */
#include "pipeline/cli/loop.h"

struct continuing {
    struct loop *loop;
    const struct loop_continue *how;
    struct loop_job *jobs;
    uint32_t count, next, done, total;
    uint64_t started;
    rt_status status; /* of `between` and the sign of life */
};

static bool next_job(void *user, struct rt_request *out)
{
    struct continuing *c = user;
    while (c->next < c->count && !c->jobs[c->next].prompt)
        c->next++;
    if (c->next == c->count)
        return false;
    const struct loop_job *job = &c->jobs[c->next];
    *out = (struct rt_request){ .key = c->next,
                                .draw = c->next,
                                .prompt = job->prompt,
                                .n_prompt = job->n_prompt,
                                .max_new = c->loop->format->new_tokens_max };
    c->next++;
    return true;
}

static rt_status take_job(void *user, const struct rt_answer *a)
{
    struct continuing *c = user;
    struct loop_job *job = &c->jobs[a->key];
    uint32_t size;
    job->n_gen = a->n_gen;
    job->finish = a->finish == RT_FINISH_STOP ? PIPE_FINISH_STOP : PIPE_FINISH_LENGTH;
    c->done++;
    const rt_status st = loop_decode(c->loop, a->ids, a->n_gen, &job->text, &size);
    return st == RT_OK && c->how->done ? c->how->done(c->how->user, (uint32_t)a->key)
                                       : st;
}

static bool go_on(void *user)
{
    struct continuing *c = user;
    if (c->how->between)
        c->status = c->how->between(c->how->user);
    if (c->status == RT_OK)
        c->status = loop_work_beat(c->loop);
    cli_progress(c->loop->cli, c->how->what, c->done, c->total, c->started, "");
    return c->status == RT_OK && !cli_stopping();
}

rt_status loop_continue(struct loop *loop, const struct loop_continue *how,
                        struct loop_job *jobs, uint32_t count)
{
    rt_status st;
    struct rt_engine *own = NULL, **engine = how->engine ? how->engine : &own;
    struct continuing c = {
        .loop = loop, .how = how, .jobs = jobs, .count = count, .started = rt_time_ns()
    };
    struct rt_engine_options options = { .context = LOOP_CONTEXT,
                                         .sampling = how->sampling };
    loop_stop_ids(loop, how->model, &options);
    const struct rt_engine_calls calls = { next_job, take_job, go_on, NULL, &c };
    for (uint32_t i = 0; i < count; i++) {
        if (jobs[i].prompt && jobs[i].n_prompt + 1 >= LOOP_CONTEXT) {
            rt_free(jobs[i].prompt); /* no room to continue: counts as wrong */
            jobs[i].prompt = NULL;
        }
        c.total += jobs[i].prompt != NULL;
    }
    if (c.total == 0)
        return RT_OK;
    if (!*engine)
        TRY(rt_engine_create(how->model, how->adapter, &options, engine));
    st = rt_engine_run(*engine, &calls);
    if (st == RT_ERR_INTERRUPTED)
        st = c.status != RT_OK ? c.status : cli_stop_status(loop->ctx);
    if (st == RT_OK && how->between)
        st = how->between(how->user);

fail:
    rt_engine_destroy(&own);
    return st;
}

void loop_jobs_free(struct loop_job *jobs, uint32_t count)
{
    for (uint32_t i = 0; jobs && i < count; i++) {
        rt_free(jobs[i].prompt);
        rt_free(jobs[i].text);
    }
    rt_free(jobs);
}

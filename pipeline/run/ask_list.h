/* pipeline/run/ask_list.h
 * Lists of answers and continuations asked of a model for another purpose than measuring. */
#ifndef PIPELINE_RUN_ASK_LIST_H
#define PIPELINE_RUN_ASK_LIST_H

#include "pipeline/run/session.h"

/* Of drawn continuations (design/session.md: the sampling row). */
#define PIPE_DRAW_TEMPERATURE 0.6f
#define PIPE_DRAW_TOP_P 0.95f

/* An answer, or the rest of one. */
struct pipe_job {
    const struct pipe_problem *problem; /* borrowed, NULL: no question */
    char *given;           /* first bytes of the answer, owned, may be NULL */
    uint32_t kept, sample; /* steps in `given`, number of the drawn answer */
    char *text; /* filled, owned: what follows; NULL if the context has no room */
    uint32_t n_gen;
    enum pipe_finish finish;
};
struct pipe_ask_list {
    struct rt_model *model;
    struct rt_adapter *adapter; /* may be null */
    const char *what;           /* for progress */
    float temperature, top_p;   /* 0: greedy; 1: everything */
    /* An engine that the caller owns: created if *engine is NULL, so that another call
     * with the same model and sampling finds the beginnings of its prompts in the cache.
     * NULL: the call makes an engine and frees it. */
    struct rt_engine **engine;
    /* Called for each finished job and between steps of the engine, to make results
     * durable; both may be null. */
    rt_status (*done)(void *user, uint32_t job);
    rt_status (*between)(void *user);
    void *user;
};
/* Jobs in their order. Stops at once where the user asks for it. */
RT_CHECKED rt_status pipe_ask_list(struct pipe_session *session,
                                   const struct pipe_ask_list *how, struct pipe_job *jobs,
                                   uint32_t count);
void pipe_jobs_free(struct pipe_job *jobs, uint32_t count);
/* Whether the whole answer, `given` and what follows, is right; without text it is not. */
RT_CHECKED rt_status pipe_job_grade(struct pipe_session *session,
                                    const struct pipe_job *job, bool *right);

#endif

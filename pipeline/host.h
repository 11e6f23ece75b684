/* pipeline/host.h
 * What a stage may ask of its caller: whether to stop, and to tell people something. The
 * command line gives one, a test another. Every function may be NULL; a NULL host is one
 * that has none of them. */
#ifndef PIPELINE_HOST_H
#define PIPELINE_HOST_H

#include "runtime/base/rt.h"

/* How far countable work is. */
struct pipe_progress {
    const char *what; /* "mine full" */
    uint64_t done, total;
    uint64_t
        started_ns; /* rt_time_ns when this work began; tells one work from another */
    double
        left_seconds;  /* the most that is left, where `done` tells no pace; 0: unknown */
    const char *extra; /* what is at work, and numbers beside it; NULL: none */
};

struct pipe_host {
    /* RT_OK: continue. RT_ERR_INTERRUPTED, RT_ERR_TIME_LIMIT: end with that status. */
    rt_status (*stopping)(void *user);
    void (*say)(void *user, const char *line);
    /* May be called at any rate; the host shows what it likes. */
    void (*progress)(void *user, const struct pipe_progress *progress);
    void *user;
};

/* Whether the caller wants the stage to end. */
bool pipe_stopping(const struct pipe_host *host);
/* RT_OK, or the status to end with and the message that goes with it. */
RT_CHECKED rt_status pipe_stop_status(const struct pipe_host *host, struct rt_ctx *ctx);
void pipe_say(const struct pipe_host *host, const char *fmt, ...) RT_PRINTF(2, 3);
void pipe_progress(const struct pipe_host *host, const struct pipe_progress *progress);

#endif

/* pipeline/run/work.c
 * This process at a train or locate run, as the store sees it. */
#include "pipeline/run/work.h"

#include <assert.h>
#include <stdio.h>

rt_status pipe_work_begin(struct pipe_session *session, const char *run_id)
{
    rt_status st;
    assert(!session->attempt.id[0]); /* one run at a time */
    TRY(store_begin(session->store));
    TRY(store_attempt_open(session->store, run_id, session->env_id, &session->attempt));
    TRY(store_commit(session->store));
    return RT_OK;

fail:
    store_rollback(session->store);
    session->attempt.id[0] = '\0';
    return st;
}

rt_status pipe_work_beat(struct pipe_session *session)
{
    rt_status st;
    if (!session->attempt.id[0] ||
        rt_time_unix_ms() - session->attempt.beat_ms < STORE_BEAT_MS)
        return RT_OK;
    TRY(store_begin(session->store));
    TRY(store_attempt_beat(session->store, &session->attempt));
    TRY(store_commit(session->store));
    return RT_OK;

fail:
    store_rollback(session->store);
    return st;
}

rt_status pipe_work_commit(struct pipe_session *session)
{
    rt_status st;
    TRY(store_attempt_close(session->store, &session->attempt, "done", 0, NULL));
    TRY(store_commit(session->store));
    session->attempt.id[0] = '\0';
    return RT_OK;

fail:
    store_rollback(session->store);
    return st;
}

/* What cannot be written runs out by itself. */
static void close_early(struct pipe_session *session, rt_status why, const char *message)
{
    rt_status st;
    TRY(store_begin(session->store));
    TRY(store_attempt_close(session->store, &session->attempt, "interrupted",
                            rt_exit_code(why), message));
    TRY(store_commit(session->store));
    return;

fail:
    store_rollback(session->store);
}

void pipe_work_stopped(struct pipe_session *session, rt_status st)
{
    char kept[sizeof session->ctx->message];
    if (!session->attempt.id[0])
        return;
    snprintf(kept, sizeof kept, "%s", session->ctx->message);
    store_rollback(session->store);
    close_early(session, st, kept);
    session->attempt.id[0] = '\0';
    snprintf(session->ctx->message, sizeof kept, "%s", kept);
}

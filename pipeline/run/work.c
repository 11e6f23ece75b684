/* pipeline/run/work.c
 * This process at a train or locate run, as the store sees it. */
#include "pipeline/run/work.h"

#include <stdio.h>

rt_status loop_work_begin(struct loop *loop, const char *run_id)
{
    rt_status st;
    TRY(store_begin(loop->store));
    TRY(store_attempt_open(loop->store, run_id, loop->env_id, &loop->attempt));
    TRY(store_commit(loop->store));
    return RT_OK;

fail:
    store_rollback(loop->store);
    loop->attempt.id[0] = '\0';
    return st;
}

rt_status loop_work_beat(struct loop *loop)
{
    rt_status st;
    if (!loop->attempt.id[0] || rt_time_unix_ms() - loop->attempt.beat_ms < STORE_BEAT_MS)
        return RT_OK;
    TRY(store_begin(loop->store));
    TRY(store_attempt_beat(loop->store, &loop->attempt));
    TRY(store_commit(loop->store));
    return RT_OK;

fail:
    store_rollback(loop->store);
    return st;
}

rt_status loop_work_done(struct loop *loop)
{
    const rt_status st =
        store_attempt_close(loop->store, &loop->attempt, "done", 0, NULL);
    if (st == RT_OK)
        loop->attempt.id[0] = '\0';
    return st;
}

/* What cannot be written runs out by itself. */
static void close_early(struct loop *loop, rt_status why, const char *message)
{
    rt_status st;
    TRY(store_begin(loop->store));
    TRY(store_attempt_close(loop->store, &loop->attempt, "interrupted", rt_exit_code(why),
                            message));
    TRY(store_commit(loop->store));
    return;

fail:
    store_rollback(loop->store);
}

void loop_work_stopped(struct loop *loop, rt_status st)
{
    char kept[sizeof loop->ctx->message];
    if (!loop->attempt.id[0])
        return;
    snprintf(kept, sizeof kept, "%s", loop->ctx->message);
    store_rollback(loop->store);
    close_early(loop, st, kept);
    loop->attempt.id[0] = '\0';
    snprintf(loop->ctx->message, sizeof kept, "%s", kept);
}

/* pipeline/run/work.h
 * This process at a run, as the store sees it: signs of life, and what the work took. */
#ifndef PIPELINE_RUN_WORK_H
#define PIPELINE_RUN_WORK_H

#include "pipeline/run/session.h"

/* Work on a train or locate run, one at a time: an attempt that shows signs of life, so
 * that another process sees whether it still lives. */
RT_CHECKED rt_status pipe_work_begin(struct pipe_session *session, const char *run_id);
/* Writes a sign of life if one is due. Call it between transactions. */
RT_CHECKED rt_status pipe_work_beat(struct pipe_session *session);
/* The run is done: commits the transaction that saved its last rows. Where that fails the
 * work is still this attempt's, to be ended by pipe_work_stopped. */
RT_CHECKED rt_status pipe_work_commit(struct pipe_session *session);
/* The run ended early: "interrupted" in the store, and what was not committed is given up.
 * The message of `st` survives. Does nothing where no work was begun. */
void pipe_work_stopped(struct pipe_session *session, rt_status st);

/* What this attempt at a run has taken so far, and how much of it the store knows. A run
 * that was killed and is resumed adds to what its earlier attempts saved. */
struct pipe_costs {
    uint64_t started_ns;
    double busy_start; /* device seconds when it began */
    struct pipe_cost {
        double wall, device, tflop, tokens; /* seconds, TFLOP, tokens */
    } stored;
};
void pipe_costs_start(struct pipe_session *session, struct pipe_costs *costs);
/* Adds what is new since the last call to the metrics wall_seconds, device_seconds, tflop
 * and (if not 0) tokens, in the caller's transaction. */
RT_CHECKED rt_status pipe_costs_save(struct pipe_session *session,
                                     struct pipe_costs *costs, const char *run_id,
                                     double flops, double tokens);

#endif

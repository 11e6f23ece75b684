/* pipeline/run/check_stats.h
 * A file of statistical records (pipeline/stats/stats_record.h) computed, and what the file
 * says of their results held against what comes out. */
#ifndef PIPELINE_RUN_CHECK_STATS_H
#define PIPELINE_RUN_CHECK_STATS_H

#include "runtime/base/rt.h"

#include <jansson.h>

/* A record with its results, borrowed during the call. */
typedef void pipe_stats_fn(void *user, const json_t *record);

struct pipe_stats_check {
    uint32_t records;
    /* The largest relative deviation of a number from the one that the file has under its
     * name; 1e-12 absolute is as good as equal, which is the rule of published test vectors.
     * Infinite: another value is not equal. */
    double worst;
    char worst_at[160]; /* file, line and name; empty: nothing deviates */
};

/* Computes each record of a file (JSON Lines or one array; "-": standard input) in order.
 * RT_ERR_INPUT: as pipe_stats_record; records before it were handed out. */
RT_CHECKED rt_status pipe_stats_check(struct rt_ctx *ctx, const char *path,
                                      pipe_stats_fn *fn, void *user,
                                      struct pipe_stats_check *out);

#endif

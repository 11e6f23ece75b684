/* pipeline/run/costs.c
 * What an attempt has taken in seconds, device seconds, FLOPs and tokens, added to the
 * metrics of its run. */
#include "pipeline/run/work.h"

static double busy_seconds(const struct pipe_session *session)
{
    struct rt_device_stats stats;
    rt_device_stats_get(session->dev, &stats);
    return stats.busy_seconds;
}

void pipe_costs_start(struct pipe_session *session, struct pipe_costs *costs)
{
    *costs = (struct pipe_costs){ .started_ns = rt_time_ns(),
                                  .busy_start = busy_seconds(session) };
}

rt_status pipe_costs_save(struct pipe_session *session, struct pipe_costs *costs,
                          const char *run_id, double flops, double tokens)
{
    rt_status st;
    struct store *s = session->store;
    const struct pipe_cost *old = &costs->stored;
    const struct pipe_cost now = {
        .wall = (double)(rt_time_ns() - costs->started_ns) * 1e-9,
        .device = busy_seconds(session) - costs->busy_start,
        .tflop = flops * 1e-12,
        .tokens = tokens,
    };
    TRY(store_add_metric(s, run_id, "wall_seconds", now.wall - old->wall));
    TRY(store_add_metric(s, run_id, "device_seconds", now.device - old->device));
    TRY(store_add_metric(s, run_id, "tflop", now.tflop - old->tflop));
    if (tokens > 0)
        TRY(store_add_metric(s, run_id, "tokens", now.tokens - old->tokens));
    costs->stored = now;
    return RT_OK;

fail:
    return st;
}

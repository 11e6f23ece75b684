/* pipeline/restore/restore_costs.c
 * What each stage of the chain computed and how long it took, held against the rate of
 * the device's own matmul on 512 x 512 x 512 floats, measured now. */
#include "pipeline/restore/restore_impl.h"

#include "runtime/op/op.h"
#include "runtime/op/weight.h"
#include "store/queries.h"

enum { PEAK_SIZE = 512, PEAK_BUFFERS = 3, PEAK_REPEATS = 8 };

static rt_status peak_list(struct rt_device *dev, struct rt_buffer **buffers,
                           struct rt_list **list)
{
    rt_status st;
    const struct rt_weight_shape w = { .out = PEAK_SIZE,
                                       .in = PEAK_SIZE,
                                       .out_pad = PEAK_SIZE,
                                       .in_pad = PEAK_SIZE,
                                       .bits = 32 };
    const struct rt_buffer_info info = { .name = "peak rate",
                                         .size = rt_weight_code_bytes(&w) };
    const struct matmul_push push = { .rows = PEAK_SIZE,
                                      .out_pad = PEAK_SIZE,
                                      .in_pad = PEAK_SIZE,
                                      .bits = 32,
                                      .ldx = PEAK_SIZE,
                                      .ldy = PEAK_SIZE,
                                      .part1 = PEAK_SIZE,
                                      .part2 = PEAK_SIZE };
    for (int i = 0; i < PEAK_BUFFERS; i++)
        TRY(rt_buffer_create(dev, &info, &buffers[i]));
    const struct rt_slice codes = { .buffer = buffers[0] }, x = { .buffer = buffers[1] },
                          y = { .buffer = buffers[2] };
    const struct rt_slice slices[] = { codes, codes, x, x, codes, x, x, y };
    TRY(rt_list_create(dev, "peak rate", list));
    rt_list_op(*list, RT_OP_matmul, &push, slices);
    TRY(rt_list_end(*list));

fail:
    return st;
}

/* FLOP/s of the best of some runs; the first, which compiles, does not count. */
static rt_status peak_rate(struct rt_device *dev, double *rate)
{
    rt_status st;
    struct rt_buffer *buffers[PEAK_BUFFERS] = { NULL };
    struct rt_list *list = NULL;
    uint64_t best = UINT64_MAX;
    TRY(peak_list(dev, buffers, &list));
    for (int i = 0; i <= PEAK_REPEATS; i++) {
        const uint64_t start = rt_time_ns();
        TRY(rt_submit(dev, list));
        TRY(rt_wait(dev));
        const uint64_t time = rt_time_ns() - start;
        best = i > 0 && time < best ? time : best;
    }
    *rate = 2.0 * PEAK_SIZE * PEAK_SIZE * PEAK_SIZE / ((double)best * 1e-9);

fail:
    rt_list_destroy(&list);
    for (int i = 0; i < PEAK_BUFFERS; i++)
        rt_buffer_destroy(&buffers[i]);
    return st;
}

struct giving {
    restore_cost_fn *fn;
    void *user;
    struct restore_cost all;
};

static rt_status give_stage(void *user, const struct store_cost *cost)
{
    struct giving *g = user;
    const struct restore_cost c = { cost->stage, cost->wall_seconds, cost->device_seconds,
                                    cost->tflop };
    g->all.wall_seconds += c.wall_seconds;
    g->all.device_seconds += c.device_seconds;
    g->all.tflop += c.tflop;
    return g->fn(g->user, &c);
}

rt_status restore_each_cost(struct restoring *r, double *matmul_rate, restore_cost_fn *fn,
                            void *user)
{
    rt_status st;
    struct giving giving = { fn, user, { .stage = "all" } };
    TRY(peak_rate(r->session->dev, matmul_rate));
    TRY(store_each_cost(r->session->store, r->session->campaign_id, give_stage, &giving));
    TRY(fn(user, &giving.all));

fail:
    return st;
}

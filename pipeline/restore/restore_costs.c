/* pipeline/restore/restore_costs.c
 * What each stage of the chain computed and how long it took, held against the rate of
 * the device's own matmul on 512 x 512 x 512 floats, measured now. */
#include "pipeline/restore/restore_impl.h"

#include "runtime/op/op.h"
#include "runtime/op/weight.h"

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
};

static rt_status give_stage(void *user, const struct store_row *row)
{
    const struct giving *g = user;
    const struct restore_cost cost = {
        .stage = store_row_text(row, 0),
        .wall_seconds = store_row_number(row, 1),
        .device_seconds = store_row_number(row, 2),
        .tflop = store_row_number(row, 3),
    };
    return g->fn(g->user, &cost);
}

rt_status restore_each_cost(struct restoring *r, double *matmul_rate, restore_cost_fn *fn,
                            void *user)
{
    rt_status st;
    struct giving giving = { fn, user };
    const char *const args[] = { r->session->campaign_id, NULL };
    TRY(peak_rate(r->session->dev, matmul_rate));
    TRY(store_query(
        r->session->store,
        "SELECT CASE r.kind WHEN 'train' THEN 'train '||json_extract(r.config,'$.recipe')"
        " ELSE b.split||' '||coalesce(v.arm, v.label) END, sum(m.value*(m.name="
        "'wall_seconds')) wall, sum(m.value*(m.name='device_seconds')), sum(m.value*("
        "m.name='tflop')) FROM run r JOIN metric m USING(run_id) LEFT JOIN variant v "
        "USING(variant_id) LEFT JOIN benchmark b ON b.benchmark_id=r.benchmark_id WHERE "
        "r.run_id IN (SELECT run_id FROM campaign_run WHERE campaign_id=?1) AND r.kind "
        "IN ('eval','train') AND m.step=0 AND m.name IN "
        "('wall_seconds','device_seconds','tflop') GROUP BY r.run_id "
        "ORDER BY r.started_ms, r.run_id",
        args, give_stage, &giving));

fail:
    return st;
}

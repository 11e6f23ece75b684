/* runtime/model/model_rope.c
 * The table of angles that rotates queries and keys. */
#include "runtime/model/model_impl.h"

#include <math.h>

/* Angles in double on the host: device sin and cos are too coarse. */
static void fill_rope(const struct fmt_rope *rope, const double *frequency, uint32_t half,
                      uint32_t positions, float *table)
{
    for (uint32_t p = 0; p < positions; p++)
        for (uint32_t i = 0; i < half; i++) {
            float *pair = table + 2 * ((uint64_t)p * half + i);
            pair[0] = (float)(rope->gain * cos(p * frequency[i]));
            pair[1] = (float)(rope->gain * sin(p * frequency[i]));
        }
}

rt_status model_make_rope(struct rt_model *m)
{
    rt_status st;
    struct rt_ctx *ctx = rt_device_ctx(m->dev);
    const uint32_t half = m->config.head_dim / 2;
    const uint64_t count = (uint64_t)m->positions * half * 2;
    float *table = rt_alloc(ctx, count, sizeof *table);
    double *frequency = rt_alloc(ctx, half, sizeof *frequency);
    if (!table || !frequency) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "no host memory for the RoPE table");
        goto fail;
    }
    fmt_rope_frequencies(&m->config.rope, m->config.head_dim, frequency);
    fill_rope(&m->config.rope, frequency, half, m->positions, table);
    TRY(model_buffer(m->dev, "rope table", count * 4, RT_MEMORY_DEVICE, &m->rope_table));
    TRY(rt_buffer_write(m->rope_table, 0, table, count * 4));

fail:
    rt_free(table);
    rt_free(frequency);
    return st;
}

/* runtime/observe/row_weights.c
 * Rows times the roots of their weights, on the host and on a device. */
#include "runtime/observe/row_weights.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { TILE = RT_ROW_PAD };

static rt_status make_buffers(struct observe_weights *w, struct rt_device *dev,
                              uint32_t rows, uint32_t columns)
{
    rt_status st = RT_OK;
    w->row = rt_alloc(rt_device_ctx(dev), rows, sizeof *w->row);
    if (!w->row)
        return rt_fail(rt_device_ctx(dev), RT_ERR_HOST_MEMORY,
                       "observing layers: no host memory for weights of tokens");
    if (columns == 0)
        return RT_OK;
    TRY(model_buffer(dev, "weights of tokens", 4ull * TILE * rows, RT_MEMORY_UPLOAD,
                     &w->roots));
    TRY(model_buffer(dev, "weighted inputs", 4ull * columns * rows, RT_MEMORY_DEVICE,
                     &w->scaled));
    memset(rt_buffer_map(w->roots), 0, 4ull * TILE * rows);

fail:
    return st;
}

rt_status observe_weights_init(struct observe_weights *w, struct rt_device *dev,
                               const struct train_sequence *sequences, uint32_t count,
                               uint32_t rows, uint32_t columns)
{
    *w = (struct observe_weights){ .any = false };
    for (uint32_t s = 0; s < count; s++)
        w->any = w->any || sequences[s].weight;
    observe_weights_fill(w, sequences, count, &w->total);
    if (!(w->total > 0))
        return rt_fail(rt_device_ctx(dev), RT_ERR_USAGE,
                       "observing layers: all tokens have weight 0; give some a weight "
                       "above 0");
    return w->any ? make_buffers(w, dev, rows, columns) : RT_OK;
}

void observe_weights_deinit(struct observe_weights *w)
{
    rt_buffer_destroy(&w->roots);
    rt_buffer_destroy(&w->scaled);
    rt_free(w->row);
}

void observe_weights_fill(struct observe_weights *w,
                          const struct train_sequence *sequences, uint32_t count,
                          double *sum)
{
    uint32_t row = 0;
    float *roots = w->roots ? rt_buffer_map(w->roots) : NULL;
    for (uint32_t s = 0; s < count; s++)
        for (uint32_t t = 0; t + 1 < sequences[s].n; t++, row++) {
            const float weight = sequences[s].weight ? sequences[s].weight[t] : 1;
            assert(weight >= 0 && isfinite(weight));
            *sum += (double)weight;
            if (w->row)
                w->row[row] = weight;
            if (roots)
                roots[(size_t)row * TILE + row % TILE] = sqrtf(weight);
        }
}

float observe_weight_of(const struct observe_weights *w, uint32_t row)
{
    return w->row ? w->row[row] : 1;
}

struct rt_slice observe_weights_record(const struct observe_weights *w,
                                       struct rt_list *list, uint32_t rows, uint32_t in,
                                       struct rt_slice x, uint32_t ldx)
{
    if (!w->roots)
        return x;
    for (uint32_t row = 0; row < rows; row += TILE) {
        const uint32_t n = rows - row < TILE ? rows - row : TILE;
        const struct outer_push push = { .rows = n,
                                         .na = rt_round_up32(n, 4),
                                         .nb = rt_round_up32(in, 4),
                                         .ldp = TILE,
                                         .offp = row * TILE,
                                         .ldq = ldx,
                                         .offq = row * ldx,
                                         .ldd = ldx,
                                         .scale = 1 };
        const struct rt_slice slices[] = { model_slice(w->roots), x,
                                           model_slice_at(w->scaled, 4ull * row * ldx) };
        rt_list_op(list, RT_OP_outer, &push, slices);
    }
    return model_slice(w->scaled);
}

void observe_weights_scale(const struct observe_weights *w, uint32_t rows, uint32_t in,
                           float *x, uint32_t ldx)
{
    for (uint32_t r = 0; w->row && r < rows; r++) {
        const float root = sqrtf(w->row[r]);
        for (uint32_t i = 0; i < in; i++)
            x[(size_t)r * ldx + i] *= root;
    }
}

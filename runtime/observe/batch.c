/* runtime/observe/batch.c
 * Lays token sequences end to end in buffers and finds their targets in the rows of
 * the head. */
#include "runtime/observe/batch.h"

#include <assert.h>
#include <string.h>

rt_status batch_init(struct batch *b, struct rt_device *dev, uint32_t rows,
                     uint32_t targets)
{
    rt_status st;
    *b = (struct batch){ .rows_max = rt_round_up32(rows, RT_ROW_PAD),
                         .targets_max = rt_round_up32(targets, RT_ROW_PAD) };
    TRY(model_buffer(dev, "batch index", b->targets_max * 4ull, RT_MEMORY_UPLOAD,
                     &b->index));
    TRY(model_buffer(dev, "batch target", b->targets_max * 4ull, RT_MEMORY_UPLOAD,
                     &b->target));
    TRY(model_buffer(dev, "batch inverse", b->rows_max * 4ull, RT_MEMORY_UPLOAD,
                     &b->inverse));
    return RT_OK;

fail:
    batch_deinit(b);
    return st;
}

void batch_deinit(struct batch *b)
{
    rt_buffer_destroy(&b->index);
    rt_buffer_destroy(&b->target);
    rt_buffer_destroy(&b->inverse);
}

rt_status batch_too_long(struct rt_ctx *ctx, const struct rt_device *dev,
                         const char *what, uint32_t sequence, uint32_t tokens,
                         uint32_t most)
{
    return rt_fail(
        ctx, RT_ERR_NO_DEVICE,
        "sequence %u of the batch has %u tokens: %s on '%s' serves at most %u, "
        "its driver ends longer loops; cut it, or use another device",
        sequence, tokens, what, rt_device_info_of(dev)->name, most + 1);
}

static rt_status check_fits(const struct batch *b, struct rt_ctx *ctx,
                            const struct rt_device *dev,
                            const struct train_sequence *sequences, uint32_t count)
{
    const uint32_t most = rt_plan_keys_max(rt_device_plan(dev));
    uint64_t rows = 0, targets = 0;
    for (uint32_t s = 0; s < count; s++) {
        if (sequences[s].n < 2)
            return rt_fail(ctx, RT_ERR_USAGE,
                           "sequence %u of the batch has %u tokens, "
                           "at least 2 are needed",
                           s, sequences[s].n);
        if (sequences[s].n - 1 > most)
            return batch_too_long(ctx, dev, "attention", s, sequences[s].n, most);
        rows += sequences[s].n - 1;
        targets += train_sequence_targets(&sequences[s]);
    }
    if (rows > b->rows_max || targets > b->targets_max)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "a batch of %llu rows and %llu targets does not fit the %u and %u "
                       "that were prepared; make batches smaller",
                       (unsigned long long)rows, (unsigned long long)targets, b->rows_max,
                       b->targets_max);
    return RT_OK;
}

static void fill_row(struct model_pass *pass, uint32_t row, uint32_t id,
                     uint32_t position, uint32_t base, uint32_t end)
{
    assert(row < pass->rows && base <= row && row < end);
    uint32_t *ids = rt_buffer_map(pass->ids);
    uint32_t *rope = rt_buffer_map(pass->rope_meta);
    uint32_t *att = rt_buffer_map(pass->att_meta);
    ids[row] = id;
    rope[4 * row] = position;
    rope[4 * row + 1] = BATCH_NONE;
    att[4 * row] = position;
    att[4 * row + 1] = base;
    att[4 * row + 2] = end;
}

/* Padding rows are sequences of one token that nothing reads. */
static void fill_padding(struct batch *b, struct model_pass *pass)
{
    for (uint32_t r = b->rows; r < b->rows_padded; r++)
        fill_row(pass, r, 0, 0, r, r + 1);
}

rt_status batch_fill(struct batch *b, struct rt_ctx *ctx,
                     const struct train_sequence *sequences, uint32_t count,
                     struct model_pass *pass, struct model_pass *second)
{
    const rt_status st = check_fits(b, ctx, pass->model->dev, sequences, count);
    if (st != RT_OK)
        return st;
    uint32_t *index = rt_buffer_map(b->index);
    uint32_t *target = rt_buffer_map(b->target);
    uint32_t *inverse = rt_buffer_map(b->inverse);
    memset(index, 0xff, b->targets_max * 4ull);
    memset(target, 0xff, b->targets_max * 4ull);
    memset(inverse, 0xff, b->rows_max * 4ull);
    b->rows = b->targets = 0;
    for (uint32_t s = 0; s < count; s++) {
        const struct train_sequence *seq = &sequences[s];
        const uint32_t base = b->rows, end = base + seq->n - 1;
        for (uint32_t t = 0; t + 1 < seq->n; t++) {
            const uint32_t row = base + t;
            fill_row(pass, row, seq->ids[t], t, base, end);
            if (second)
                fill_row(second, row, seq->ids[t], t, base, end);
            if (seq->mask[t + 1]) {
                index[b->targets] = row;
                target[b->targets] = seq->ids[t + 1];
                inverse[row] = b->targets++;
            }
        }
        b->rows = end;
    }
    assert(b->rows <= b->rows_max && b->targets <= b->targets_max); /* check_fits */
    b->rows_padded = rt_round_up32(b->rows, RT_ROW_PAD);
    b->targets_padded = rt_round_up32(b->targets ? b->targets : 1, RT_ROW_PAD);
    assert(b->rows_padded <= b->rows_max && b->targets_padded <= b->targets_max);
    fill_padding(b, pass);
    if (second)
        fill_padding(b, second);
    return RT_OK;
}

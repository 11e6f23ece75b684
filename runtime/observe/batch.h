/* runtime/observe/batch.h
 * Private to runtime/train and runtime/observe: token sequences laid end to end in the
 * rows of a pass, and the targets among them in the rows of the head. */
#ifndef RUNTIME_OBSERVE_BATCH_H
#define RUNTIME_OBSERVE_BATCH_H

#include "runtime/model/model_impl.h"
#include "runtime/observe/sequence.h"

#define BATCH_NONE UINT32_MAX

/* Upload buffers of the head side and the sizes of the batch that fills them. A
 * sequence of n tokens takes n - 1 rows: its last token is only predicted. */
struct batch {
    uint32_t rows_max, targets_max; /* capacity, multiples of 64 */
    uint32_t rows, targets;         /* of the batch */
    uint32_t rows_padded, targets_padded;
    struct rt_buffer *index;   /* uint [targets_max]: row of each target */
    struct rt_buffer *target;  /* uint [targets_max]: its token id */
    struct rt_buffer *inverse; /* uint [rows_max]: target of each row or BATCH_NONE */
};

RT_CHECKED rt_status batch_init(struct batch *b, struct rt_device *dev, uint32_t rows,
                                uint32_t targets);
void batch_deinit(struct batch *b);
/* Fills the batch and the ids and meta of `pass` (and of `second`, if not null).
 * RT_ERR_USAGE if it does not fit, RT_ERR_NO_DEVICE if a sequence is longer than
 * rt_plan_keys_max. */
RT_CHECKED rt_status batch_fill(struct batch *b, struct rt_ctx *ctx,
                                const struct train_sequence *sequences, uint32_t count,
                                struct model_pass *pass, struct model_pass *second);
/* The message for a sequence of more than `most` rows (a token more), and RT_ERR_NO_DEVICE. */
rt_status batch_too_long(struct rt_ctx *ctx, const struct rt_device *dev,
                         const char *what, uint32_t sequence, uint32_t tokens,
                         uint32_t most);

#endif

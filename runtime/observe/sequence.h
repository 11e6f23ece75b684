/* runtime/observe/sequence.h
 * What teacher-forced passes read: token sequences, and which of their tokens count. */
#ifndef RUNTIME_OBSERVE_SEQUENCE_H
#define RUNTIME_OBSERVE_SEQUENCE_H

#include "runtime/model/model.h"

/* A token sequence and which of its tokens count. mask[t] != 0: token t (t >= 1), given
 * the tokens before it, is a target. */
struct train_sequence {
    const uint32_t *ids; /* borrowed */
    const uint8_t *mask; /* borrowed, n entries; entry 0 is ignored */
    uint32_t n;
    const float
        *ref; /* DPO: log p of each token under the reference, n entries; else null */
    const float
        *weight; /* of each token, n entries from 0 on; null: 1. SFT, KL: in the loss, not
                            all targets' 0. Statistics of inputs: of each token as one */
};

/* How many of its tokens are targets. */
static inline uint32_t train_sequence_targets(const struct train_sequence *s)
{
    uint32_t n = 0;
    for (uint32_t t = 1; t < s->n; t++)
        n += s->mask[t] != 0;
    return n;
}

#endif

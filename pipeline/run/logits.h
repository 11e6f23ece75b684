/* pipeline/run/logits.h
 * A model's logits for given tokens, for checks by others. */
#ifndef PIPELINE_RUN_LOGITS_H
#define PIPELINE_RUN_LOGITS_H

#include "runtime/base/rt.h"

struct pipe_logits; /* a loaded model, and room that grows with what it scores */
struct rt_device;

struct pipe_logits_options {
    struct rt_device *dev; /* outlives the session */
    const char *model;     /* folder or GGUF file; borrowed as long as the session */
    const char *adapter;   /* PEFT folder, NULL: none */
    uint32_t sequence_max; /* ids of the longest sequence; 0: not known, the default */
};
RT_CHECKED rt_status pipe_logits_create(struct rt_ctx *ctx,
                                        const struct pipe_logits_options *options,
                                        struct pipe_logits **out);
void pipe_logits_destroy(struct pipe_logits **logits);
uint32_t pipe_logits_vocab(const struct pipe_logits *logits);

/* The logits after each of n ids, [n][vocab], valid until the next call. RT_ERR_USAGE: an id
 * that the model does not have, or too many; `from` says where they stand ("--ids"). */
RT_CHECKED rt_status pipe_logits_run(struct pipe_logits *logits, const char *from,
                                     const uint32_t *ids, uint32_t n, const float **out);

struct pipe_likely {
    uint32_t id;
    double logprob; /* nats */
};
/* The k likeliest of one row of logits, best first, of equals the lower id. Returns how many
 * there are: k, or the vocabulary where that is smaller. */
uint32_t pipe_logits_top(const float *row, uint32_t vocab, uint32_t k,
                         struct pipe_likely *out);

#endif

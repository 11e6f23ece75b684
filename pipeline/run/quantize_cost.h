/* pipeline/run/quantize_cost.h
 * What a quantize run will take and give, before it is begun. */
#ifndef PIPELINE_RUN_QUANTIZE_COST_H
#define PIPELINE_RUN_QUANTIZE_COST_H

#include "pipeline/run/make_gguf.h"
#include "pipeline/run/quantize_calibrated.h"

struct pipe_quantize_cost {
    uint64_t source_bytes, out_bytes; /* of tensors */
    double bits, bits_all; /* per quantized weight; per weight of the whole model */
    uint64_t host_bytes, device_bytes; /* peaks, estimates */
    uint64_t compared_bytes; /* on the device, where candidates are compared; the same */
    /* On the disk, while several folders or files are made of one pass: what it saw
     * (runtime/quant/seen_inputs.h); 0: each has a pass of its own. The same. */
    uint64_t seen_bytes;
    uint64_t device_has; /* 0: no calibration, no device */
    uint64_t tokens;
    /* Seconds, an estimate: the forward pass by one that was timed (some rows of text
     * through the first layer on the session's device), the rest by FLOPs that were timed on
     * the host. 0: the model does not fit the device. */
    double forward, sums, method;
    /* Seconds to make all candidates and to compare them, in place of those; an estimate, as if
     * one sequence in PIPE_HELD_OUT_EVERY were held out. 0: there is one. */
    double choice;
    /* With a budget, which `bits` is then: seconds to find the widths (one pass, four quantizations
     * and the KL of groups, an estimate from the others). 0: there is none. */
    double widths;
};

/* Without calibration: `session` and `calibrated` may be NULL. */
RT_CHECKED rt_status pipe_quantize_cost(struct rt_ctx *ctx, struct pipe_session *session,
                                        const char *model,
                                        const struct pipe_quantize_options *options,
                                        const struct pipe_calibrated_options *calibrated,
                                        struct pipe_quantize_cost *out);
/* The same of a GGUF file. */
RT_CHECKED rt_status pipe_quantize_gguf_cost(
    struct rt_ctx *ctx, struct pipe_session *session, const char *model,
    const struct pipe_gguf_options *options,
    const struct pipe_calibrated_options *calibrated, struct pipe_quantize_cost *out);
/* About what the device holds while a candidate is compared with the model, by the headers of
 * the files: of a folder, or of a GGUF file (the other one is NULL). */
RT_CHECKED rt_status
pipe_quantize_compared_bytes(struct pipe_session *session, const char *model,
                             const struct pipe_quantize_options *folder,
                             const struct pipe_gguf_options *gguf, uint64_t *out);

#endif

/* pipeline/run/merge_lora.h
 * A model and an adapter as one model in floats (runtime/quant/merged.h). */
#ifndef PIPELINE_RUN_MERGE_LORA_H
#define PIPELINE_RUN_MERGE_LORA_H

#include "runtime/base/rt.h"

struct pipe_merged {
    uint32_t matrices, adapted;
    uint64_t bytes;  /* of the projections as they are written */
    double rounding; /* of them: root of sum (rounded - exact)^2 / sum exact^2 */
};

/* type: f16, bf16 or f32 (else RT_ERR_USAGE); adapter NULL: none. As quant_merge. */
RT_CHECKED rt_status pipe_merge_lora(struct rt_ctx *ctx, const char *model,
                                     const char *adapter, const char *out,
                                     const char *type, bool force,
                                     struct pipe_merged *made);

#endif

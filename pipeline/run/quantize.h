/* pipeline/run/quantize.h
 * A low-bit copy of a model folder or file. */
#ifndef PIPELINE_RUN_QUANTIZE_H
#define PIPELINE_RUN_QUANTIZE_H

#include "runtime/base/rt.h"

struct pipe_quantize_options {
    uint32_t bits;  /* 2, 3, 4, 8 */
    uint32_t group; /* codes that share a scale, a multiple of 32; 0: one per row */
    bool asymmetric;
    bool keep_f32; /* blocks of a GGUF file that are not quantized become F32, not F16 */
    bool force;    /* replace a folder that is there */
};

struct pipe_quantized {
    uint32_t matrices;
    uint64_t weights;       /* elements quantized */
    double bits_per_weight; /* codes, scales and zeros of the quantized matrices */
    /* Tensors of GGUF blocks that were rounded to F16: how many, and the element that
     * changed most, with the value it had and its tensor (empty: no value changed). */
    uint32_t halved;
    double change, changed_value;
    char changed[160];
};

/* Reads `model`, writes the folder `out`, which appears whole or not at all. */
RT_CHECKED rt_status pipe_quantize(struct rt_ctx *ctx, const char *model, const char *out,
                                   const struct pipe_quantize_options *options,
                                   struct pipe_quantized *result);

#endif

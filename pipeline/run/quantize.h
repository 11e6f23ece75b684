/* pipeline/run/quantize.h
 * A low-bit copy of a model folder or file. */
#ifndef PIPELINE_RUN_QUANTIZE_H
#define PIPELINE_RUN_QUANTIZE_H

#include "runtime/rt.h"

struct pipe_quantize_options {
    uint32_t bits;  /* 2, 3, 4, 8 */
    uint32_t group; /* codes that share a scale, a multiple of 32; 0: one per row */
    bool asymmetric;
    bool force; /* replace a folder that is there */
};

struct pipe_quantized {
    uint32_t matrices;
    uint64_t weights;       /* elements quantized */
    double bits_per_weight; /* codes, scales and zeros of the quantized matrices */
};

/* Reads `model`, writes the folder `out`, which appears whole or not at all. */
RT_CHECKED rt_status pipe_quantize(struct rt_ctx *ctx, const char *model, const char *out,
                                   const struct pipe_quantize_options *options,
                                   struct pipe_quantized *result);

#endif

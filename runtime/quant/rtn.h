/* runtime/quant/rtn.h
 * Round-to-nearest quantization of a matrix. */
#ifndef RUNTIME_QUANT_RTN_H
#define RUNTIME_QUANT_RTN_H

#include "runtime/base/rt.h"

struct quant_options {
    uint32_t bits;  /* 2, 3, 4, 8 */
    uint32_t group; /* codes that share a scale, a multiple of 32; 0: one per row */
    bool asymmetric;
    /* Of a whole model: what is not quantized and is stored in blocks of a GGUF file
     * becomes F32, which holds their values exactly, instead of F16. */
    bool keep_f32;
};

/* RT_ERR_USAGE where an option is impossible. */
RT_CHECKED rt_status quant_check(struct rt_ctx *ctx, const struct quant_options *options);

/* One matrix w [out][in], all in float, half to even.
 * Symmetric: scale = max |w| / (2^(b-1) - 1), codes -(2^(b-1)-1) .. 2^(b-1)-1 stored plus
 * 2^(b-1), zero = 2^(b-1). Asymmetric: the range holds 0, scale = (max - min) / (2^b -
 * 1), zero = clamp(round(-min / scale)), code = clamp(round(w / scale) + zero). An
 * all-zero group has scale 1. w is finite. codes [out][in], scales and zeros
 * [out][groups] (unsigned, stored). */
void quant_rtn(const float *w, uint32_t out, uint32_t in,
               const struct quant_options *options, uint8_t *codes, float *scales,
               uint8_t *zeros);

#endif

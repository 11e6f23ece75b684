/* runtime/quant/merged.h
 * A model and an adapter as one model in floats: W + scale B A, after LoRA (arXiv
 * 2106.09685, section 4.1). */
#ifndef RUNTIME_QUANT_MERGED_H
#define RUNTIME_QUANT_MERGED_H

#include "runtime/format/safetensors.h"

struct quant_merged {
    uint32_t matrices, adapted;
    uint64_t bytes;  /* of the projections as they are written */
    double rounding; /* of them: root of sum (rounded - exact)^2 / sum exact^2 */
};

/* Reads a Hugging Face folder or GGUF file, packed or not, adds the adapter (a PEFT folder;
 * NULL: none, so that a packed model is only unpacked) to the seven projections of every
 * layer and writes a folder with these in `type`: FMT_F16, FMT_BF16 or FMT_F32, nearest,
 * ties to even. The rest is kept as in quant_folder, blocks of a GGUF file as F32 if that is
 * the type, else as F16. B A is summed in double. 2 out in r
 * FLOPs per matrix; host memory of one layer. RT_ERR_INPUT: a value that F16 has no number
 * for, an adapter of another model. RT_ERR_USAGE: `target` is there and `force` is not given.
 * The folder appears whole or not at all. */
RT_CHECKED rt_status quant_merge(struct rt_ctx *ctx, const char *from,
                                 const char *adapter, const char *target,
                                 enum fmt_dtype type, bool force,
                                 struct quant_merged *out);

#endif

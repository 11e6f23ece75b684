/* runtime/quant/folder.h
 * Quantization of a whole model: a float folder or GGUF file in, a packed folder out. */
#ifndef RUNTIME_QUANT_FOLDER_H
#define RUNTIME_QUANT_FOLDER_H

#include "runtime/quant/rtn.h"

struct quant_report {
    double bits_per_weight; /* codes, scales and zeros of the quantized matrices */
    uint64_t weights;       /* elements quantized */
    uint32_t matrices;
    /* Tensors of GGUF blocks that were rounded to F16: how many, and the element that
     * changed most, with the value it had and its tensor (empty: no value changed). */
    uint32_t halved;
    double change, changed_value;
    char changed[160];
};

/* Reads a Hugging Face folder or GGUF file, quantizes the seven projections of every layer
 * and writes a compressed-tensors folder (docs/formats.md). The rest is kept as it is
 * stored: F32, F16 and BF16 byte for byte, blocks of a GGUF file as F16 (keep_f32: F32). A
 * head that is the embedding is written once. RT_ERR_INPUT for a value of blocks that F16
 * has no number for, naming keep_f32's option.
 * The folder appears whole or not at all; one that exists is refused unless `force`. */
RT_CHECKED rt_status quant_folder(struct rt_ctx *ctx, const char *from,
                                  const char *target, const struct quant_options *options,
                                  bool force, struct quant_report *report);

#endif

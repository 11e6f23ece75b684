/* runtime/quant/quant_files.h
 * Private to runtime/quant: what a quantized folder holds beside its tensors. */
#ifndef RUNTIME_QUANT_QUANT_FILES_H
#define RUNTIME_QUANT_QUANT_FILES_H

#include <jansson.h>

#include "runtime/format/safetensors.h"
#include "runtime/quant/method.h"

/* config.json, tokenizer and chat template of `from` into the folder `to`: those of a
 * folder copied, those of a GGUF file written from its keys. `tied`: the folder has no
 * head, so that config.json must say that it is the embedding. `options` NULL: the folder
 * is not quantized, its projections are `floats`. `float_inputs`: a list of the projections
 * whose inputs stay floats, of a folder whose others are rounded; borrowed, NULL: none. */
RT_CHECKED rt_status quant_files_write(struct rt_ctx *ctx, const char *from,
                                       const char *to,
                                       const struct quant_options *options,
                                       const json_t *float_inputs, enum fmt_dtype floats,
                                       bool tied);
/* The same files of a folder that is quantized already, config.json as it is. */
RT_CHECKED rt_status quant_files_copy(struct rt_ctx *ctx, const char *from,
                                      const char *to);
/* Takes back an unfinished folder, file by file: nothing that we did not write. */
void quant_files_remove(const char *folder);

#endif

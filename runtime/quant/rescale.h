/* runtime/quant/rescale.h
 * A copy of a packed folder or GGUF file with other scales, and zero points or minima: codes
 * and all the rest stay byte for byte, and so does the type of the scales. */
#ifndef RUNTIME_QUANT_RESCALE_H
#define RUNTIME_QUANT_RESCALE_H

#include "runtime/format/checkpoint.h"
#include "runtime/format/peft.h"

enum { QUANT_PATH_MAX = 4001 };

/* The folder or file to write without slashes at its end. RT_ERR_USAGE: it is `from`, or
 * exists and `force` is not given. */
RT_CHECKED rt_status quant_target(struct rt_ctx *ctx, const char *from,
                                  const char *target, bool force,
                                  char to[QUANT_PATH_MAX]);

/* Fills the new scales [out][groups] of a projection, and what lies beside them alike, NULL
 * if nothing that is replaced does (fmt_scales.zeros); whole zero points are given as they
 * are. Each must be a number that the type of the file's scales holds, or may be written. */
typedef rt_status quant_scales_fn(void *user, uint32_t layer, enum fmt_module module,
                                  uint32_t groups, float *values, float *zeros);

/* Writes `to` from the folder `from`: compressed-tensors of whole numbers, AWQ or GPTQ, as
 * one model.safetensors; or from a GGUF file, as one. `to` is of quant_target. `scales` is
 * asked for every packed projection. RT_ERR_INPUT: other formats. RT_ERR_INTERNAL: a value
 * that the type does not hold. It appears whole or not at all; a folder that was there is
 * moved aside, a file replaced. Host memory beside a mapped file: its largest projection. */
RT_CHECKED rt_status quant_rescale(struct rt_ctx *ctx, const char *from, const char *to,
                                   quant_scales_fn *scales, void *user);
/* Private to rescale*.c: of a GGUF file. */
RT_CHECKED rt_status quant_rescale_gguf(struct rt_ctx *ctx, const char *from,
                                        const char *to, quant_scales_fn *scales,
                                        void *user);

#endif

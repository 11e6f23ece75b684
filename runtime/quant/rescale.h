/* runtime/quant/rescale.h
 * A copy of a packed folder with other scales: codes, zero points and all the rest stay
 * byte for byte, and so does the type of the scales. */
#ifndef RUNTIME_QUANT_RESCALE_H
#define RUNTIME_QUANT_RESCALE_H

#include "runtime/format/checkpoint.h"
#include "runtime/format/peft.h"

enum { QUANT_PATH_MAX = 4001 };

/* The folder to write without slashes at its end. RT_ERR_USAGE: it is `from`, or exists
 * and `force` is not given. */
RT_CHECKED rt_status quant_target(struct rt_ctx *ctx, const char *from,
                                  const char *target, bool force,
                                  char to[QUANT_PATH_MAX]);

/* Fills the new scales [out][groups] of a projection. Each must be a number that the type of
 * the file's scales holds. */
typedef rt_status quant_scales_fn(void *user, uint32_t layer, enum fmt_module module,
                                  uint32_t groups, float *values);

/* Writes `to` from the folder `from`: compressed-tensors of whole numbers, AWQ or GPTQ, as
 * one model.safetensors. `to` is of quant_target. `scales` is asked for every packed projection. RT_ERR_INPUT: other
 * formats, a value that the type does not hold. The folder appears whole or not at all; what
 * was there is moved aside. */
RT_CHECKED rt_status quant_rescale(struct rt_ctx *ctx, const char *from, const char *to,
                                   quant_scales_fn *scales, void *user);

#endif

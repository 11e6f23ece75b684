/* runtime/quant/blocks_gptq.h
 * Blocks of GGUF types whose codes make good the rounding of those before them: scales and
 * minima are those that the blocks have, codes are rounded one column after the other by
 * GPTQ (gptq.h: method, source, cost). Sizes and layout stay, so every reader of the type
 * takes them.
 *
 * Memory beside gptq.h's, per element: a byte of code, and 8 bytes of scale and minimum per
 * group of 16 or 32 elements. */
#ifndef RUNTIME_QUANT_BLOCKS_GPTQ_H
#define RUNTIME_QUANT_BLOCKS_GPTQ_H

#include "runtime/quant/blocks.h"
#include "runtime/quant/method.h"

/* `blocks`: the matrix as blocks of a type with codes, row by row; its codes become others.
 * `in` of the matrix is a multiple of the type's block. *objective as quant_objective's. Of
 * the options order and damping count. *good false: as quant_gptq_round; the blocks are as
 * they were and *objective is not set. */
RT_CHECKED rt_status quant_blocks_gptq(struct rt_ctx *ctx,
                                       const struct fmt_block_type *type,
                                       const struct quant_options *options,
                                       const struct quant_matrix *matrix, uint8_t *blocks,
                                       double *objective, bool *good);

#endif

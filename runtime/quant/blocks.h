/* runtime/quant/blocks.h
 * Rows of floats as blocks of GGUF types: the search for scales, minima and codes that lose
 * least.
 *
 * What is minimised, per block: sum over elements of w (x - y)^2, y being what a reader of
 * the file gets, scales rounded as they are stored. w is the importance of the column (the
 * mean square of what is multiplied by it), 1 without one. The method is our own:
 *   1. each group by itself: for some tens of ranges, codes are rounded, and the scale (and
 *      minimum) that fit them best are the least squares over them; the best are repeated
 *      until codes stay
 *   2. scales of groups become whole multiples of the block's
 *   3. in turn: each group tries the neighbours of its multiples with codes rounded anew,
 *      and the block's two halves are the least squares over all codes; until no gain. */
#ifndef RUNTIME_QUANT_BLOCKS_H
#define RUNTIME_QUANT_BLOCKS_H

#include "runtime/format/gguf_pack.h"

/* Whether rows can be made of it: F32, F16, BF16 and the types of gguf_pack.h. */
bool quant_blocks_can(const struct fmt_block_type *type);
/* The type by its name, whatever its case, null: there is none that can be made. */
const struct fmt_block_type *quant_blocks_find(const char *name);
/* "Q8_0, Q4_K, ...": all of them. */
const char *quant_blocks_names(char *buffer, size_t size);

/* One row of `count` finite floats, a multiple of the type's block, into
 * count / block * bytes of `out`. `importance` [count]: not negative, or NULL. `plain`:
 * every group from its own extremes, rounded to nearest, without a search. False: a value
 * is too large for the halves that scales are stored in; `out` is then undefined. */
RT_CHECKED bool quant_blocks_row(const struct fmt_block_type *type, const float *x,
                                 const float *importance, uint32_t count, bool plain,
                                 uint8_t *out);

#endif

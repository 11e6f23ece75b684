/* runtime/quant/blocks_impl.h
 * Private to runtime/quant: what the blocks of a type can hold, and one group of a block. */
#ifndef RUNTIME_QUANT_BLOCKS_IMPL_H
#define RUNTIME_QUANT_BLOCKS_IMPL_H

#include "runtime/quant/blocks.h"

enum { BLOCKS_LANES = 8, BLOCKS_GROUP_MAX = 32 };

/* A value of a group is scale * level - minimum. */
struct quant_block_grid {
    uint32_t id;          /* of the type */
    uint32_t groups;      /* of a block */
    uint32_t size;        /* elements of a group, a multiple of BLOCKS_LANES */
    float bottom, top;    /* least and greatest level */
    float offset;         /* code = level + offset, but of levels of IQ4_NL */
    bool is_levels;       /* levels are those of IQ4_NL, not all whole numbers */
    bool has_minimum;     /* else 0 */
    bool is_free;         /* the minimum has any sign */
    int low, high;        /* multiples of the block's scale; both 1: it is the scale */
    int minimum_high;     /* multiples of the block's minimum, from 0; 1: as above */
    float before, beyond; /* ranges that are tried: levels below and above the extreme */
    int tries;            /* of them */
};

/* Elements of one group with their weights. */
struct quant_block_group {
    const float *x, *w;
    float sum_w, sum_x; /* weighted */
};

/* Weighted sums over levels. */
struct quant_block_sums {
    float l, ll, xl;
};

/* That of a type, NULL: it has floats. */
const struct quant_block_grid *quant_block_grid_of(const struct fmt_block_type *type);
/* The code of a level. */
uint8_t quant_block_code(const struct fmt_block_type *type,
                         const struct quant_block_grid *grid, float level);
/* The level nearest to x, for 1 / scale and a minimum. */
float quant_block_level(const struct quant_block_grid *grid, float x, float inverse,
                        float minimum);
/* Levels nearest to x, for 1 / scale and a minimum. */
void quant_block_levels(const struct quant_block_grid *grid, const float *restrict x,
                        float inverse, float minimum, float *restrict level);
struct quant_block_sums quant_block_sum(const struct quant_block_grid *grid,
                                        const struct quant_block_group *group,
                                        const float *level);
/* The weighted error of a group with this scale and minimum, and its levels. */
float quant_block_error(const struct quant_block_grid *grid,
                        const struct quant_block_group *group, float scale, float minimum,
                        float *level);
/* The scale and minimum that serve the group alone best. */
void quant_block_fit(const struct quant_block_grid *grid,
                     const struct quant_block_group *group, bool plain, float *scale,
                     float *minimum);

#endif

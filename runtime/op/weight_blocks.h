/* runtime/op/weight_blocks.h
 * The forms of weight.h that hold blocks of 256 elements as GGUF's TQ1_0 and IQ types have
 * them: five ternary numbers a byte, or rows of a grid by index with signs.
 *
 * A code is no number of a few bits here, so codes are put and got by the block. Padded
 * sizes are multiples of 256. Fields are arrays along a row, texel-interleaved like all of
 * weight.h: item i of n bits is in texel i / (128 / n), lowest bits first. Codes buffer:
 *   TRITS    13 words per block, with the bytes of TQ1_0: byte j < 32 holds elements
 *            j + 32 i, byte 32 + j elements 160 + j + 16 i (i < 5), byte 48 + j elements
 *            240 + j + 4 i (i < 4): element i is (byte * 3^i % 256) * 3 / 256. Behind the
 *            words of all blocks one half per block, d. Value: (element - 1) d. No scales
 *   IQ...    index, the row of the grid: IQ3 8 bits per 4 elements, IQ2 and IQ1 8 bits per 8,
 *            IQ2_XS 16 bits per 8 (9 of index, 7 of signs). Behind them, of IQ3, IQ2_XXS and
 *            IQ2_S, a word per 32 elements with signs, bit 1 for minus: a bit per element; of
 *            the XXS types 7 bits per 8 elements, the eighth sign makes their number even,
 *            and above them 4 bits of scale
 * Scales buffer: first the grid, its rows packed in 16 bits (weight_grids.c), once per weight;
 * then rows of
 *   extra    per 32 elements: IQ3_S 16 bits: the ninth bit of each index, 4 bits of scale;
 *            IQ2_S 16: two more bits of each index, scales of 16 elements of 4 bits each;
 *            IQ2_XS 8: such scales; IQ1_S 16: three more bits of each index, 3 bits of scale,
 *            sign of the delta; IQ1_M 16: per index three more bits and sign of the delta
 *   block    a half d per 256 elements; IQ1_M 64 bits: per 64 elements 16: four scales of 3
 *            bits and 4 bits of d
 * With s the scale, values are, all exact:
 *   IQ3_XXS  d (2 s + 1) / 4 * grid          IQ3_S   d (2 s + 1) * grid
 *   IQ2_*    d (2 s + 1) / 8 * grid          IQ1_*   d (2 s + 1) / 8 * (8 grid +- 1)
 * A grid takes 512 bytes (IQ3_XXS, IQ2_XXS), 1 KiB (IQ3_S, IQ2_XS), 2 KiB (IQ2_S) or 4 KiB. */
#ifndef RUNTIME_OP_WEIGHT_BLOCKS_H
#define RUNTIME_OP_WEIGHT_BLOCKS_H

#include "runtime/op/weight.h"

/* 256 elements of a block form. */
struct rt_weight_block {
    uint16_t d;       /* half */
    uint16_t row[64]; /* IQ: index in the grid, of each 4 (IQ3) or 8 elements */
    uint8_t
        sign[32]; /* IQ3, IQ2: bit j of byte i: element 8 i + j is negative; IQ1: 1: the
                          delta of the 8 elements is */
    uint8_t scale[16]; /* IQ: of each 32 elements; IQ2_XS, IQ2_S, IQ1_M: of each 16 */
    uint8_t trit[256]; /* TRITS: 0, 1, 2 */
};

bool rt_weight_is_blocks(uint32_t form);
/* Texels of one row of codes and of scales; texels of the grid. */
uint32_t rt_weight_block_texels(const struct rt_weight_shape *s);
uint32_t rt_weight_block_scale_texels(const struct rt_weight_shape *s);
uint32_t rt_weight_grid_texels(uint32_t form);
/* Writes the grid of a form that has one to the front of its zeroed scales. */
void rt_weight_put_grid(uint32_t form, void *scales);
/* Block b of row m, in zeroed memory. */
void rt_weight_put_block(const struct rt_weight_shape *s, uint32_t *codes, void *scales,
                         uint32_t m, uint32_t b, const struct rt_weight_block *block);
/* A block as whole numbers of at most 8 bits, and a scale for each group of
 * rt_weight_form_group elements: an element is their product, exactly. */
void rt_weight_block_split(uint32_t form, const struct rt_weight_block *block,
                           int8_t level[256], float *scale);
/* As rt_weight_value. */
float rt_weight_block_value(const struct rt_weight_shape *s, const uint32_t *codes,
                            const void *scales, uint32_t m, uint32_t k);

/* Word index of texel t of row m, of `texels` per row. */
uint64_t rt_weight_word(uint32_t texels, uint32_t m, uint32_t t);

extern const uint16_t rt_grid_iq3_xxs[256], rt_grid_iq3_s[512], rt_grid_iq2_xxs[256],
    rt_grid_iq2_xs[512], rt_grid_iq2_s[1024], rt_grid_iq1[2048];

#endif

/* runtime/weight.h
 * The one device layout of weight matrices, for every kernel, twin and converter.
 *
 * A weight is [out][in], both padded with values that are exactly 0:
 *   out_pad  a multiple of 64 (adapter matrices: of 16)
 *   in_pad   a multiple of 32 (2 bits: 64; 3 bits: 128; 32-bit adapters: of 4)
 * Rows are interleaved in blocks of 8 (RT_WEIGHT_BLOCK): all texels (16 bytes) with the same
 * index t of the 8 rows of a block lie side by side:
 *   texel index of (m, t) = (m / 8 * texels_per_row + t) * 8 + m % 8
 * A texel holds four words; codes of successive k are striped over the words, so
 * that one mask of the vector gives codes k .. k+3 and a shift the next four:
 *   bits 2, 4, 8, 16: a texel holds V = 128 / bits codes; code j = k % V of texel
 *       k / V lies in word j % 4 at bit (j / 4) * bits
 *   bits 3: 128 codes take three texels: code j < 128: its low two bits in texel
 *       (k / 128) * 3 + (j / 64), word j % 4, bit (j % 64 / 4) * 2; its high bit in
 *       texel (k / 128) * 3 + 2, word j % 4, bit j / 4
 *   bits 32: float (as bits) k in texel k / 4, word k % 4
 *   bits 16: IEEE half bits
 * Scales (bits 2, 3, 4, 8): two floats (scale, zero) per group of `group` codes (a
 * multiple of 32; with 8 bits also 16),
 * two groups a texel: texel g / 2 of row m at (m / 8 * pairs + g / 2) * 8 + m % 8,
 * pairs = ceil(groups / 2), floats (g % 2) * 2 and + 1.
 * The value of a code q, in float, each operation rounded once:
 *   RT_FORM_ZERO    (q - zero) * scale    zero is an exact small number
 *   RT_FORM_OFFSET  q * scale + zero      zero is the minimum
 * Padding rows have scale 0 and zero 0; padding columns have code = zero
 * (RT_FORM_ZERO), or lie in groups of their own with scale 0 (RT_FORM_OFFSET). */
#ifndef RUNTIME_WEIGHT_H
#define RUNTIME_WEIGHT_H

#include "runtime/rt.h"

enum { RT_WEIGHT_BLOCK = 8, RT_WEIGHT_OUT_PAD = 64 };
enum { RT_FORM_ZERO = 0, RT_FORM_OFFSET = 1 };

/* Shape and form of one weight. */
struct rt_weight_shape {
    uint32_t out, in;         /* real size */
    uint32_t out_pad, in_pad; /* stored size */
    uint32_t bits;            /* 2, 3, 4, 8, 16, 32 */
    uint32_t group;           /* codes that share a scale; 0: one scale a row */
    uint32_t form;            /* RT_FORM_* */
};

/* in rounded up to what `bits` needs. */
uint32_t rt_weight_in_pad(uint32_t bits, uint32_t in);
/* 16-byte texels of one row of codes; scale texels of one row (0 for 16, 32 bits). */
uint32_t rt_weight_texels(const struct rt_weight_shape *s);
uint32_t rt_weight_pairs(const struct rt_weight_shape *s);
uint64_t rt_weight_code_bytes(const struct rt_weight_shape *s);
uint64_t rt_weight_scale_bytes(const struct rt_weight_shape *s); /* at least 16 */

/* Element access on host memory in the layout above; m < out_pad, k < in_pad.
 * `codes` and `scales` are zeroed before the first put. */
void rt_weight_put_code(const struct rt_weight_shape *s, uint32_t *codes, uint32_t m,
                        uint32_t k, uint32_t code);
/* The same for the first n codes of a row at once, bits 2 to 8. */
void rt_weight_put_row(const struct rt_weight_shape *s, uint32_t *codes, uint32_t m,
                       const uint8_t *row, uint32_t n);
uint32_t rt_weight_get_code(const struct rt_weight_shape *s, const uint32_t *codes,
                            uint32_t m, uint32_t k);
void rt_weight_put_scale(const struct rt_weight_shape *s, float *scales, uint32_t m,
                         uint32_t g, float scale, float zero);
/* The float value of element (m, k), exactly as the kernels decode it. */
float rt_weight_value(const struct rt_weight_shape *s, const uint32_t *codes,
                      const float *scales, uint32_t m, uint32_t k);

/* IEEE binary16 to float, exact, subnormals included. */
float rt_half_to_float(uint16_t half);

#endif

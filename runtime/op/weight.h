/* runtime/op/weight.h
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
 *   bits 5, 6: the low four bits as a code of 4 bits in the first in_pad / 32 texels; behind
 *       them the high one or two bits as a code of 1 or 2 bits (V = 128 or 64)
 *   bits 32: float (as bits) k in texel k / 4, word k % 4
 *   bits 16: IEEE half bits; with RT_FORM_BF16 the upper half of a float
 *
 * Scales (bits 2 to 8) lie in texels of the same interleaving, in a separate buffer. A
 * code q becomes a value in float, each operation rounded once, by a scale and a zero of its
 * group of `group` codes, which the form of the weight (RT_FORM_*) tells:
 *   ZERO     (q - zero) * scale, zero an exact small number: two floats (scale, zero) a
 *            group (a multiple of 32, or 16), two groups per texel: texel
 *            g / 2, floats (g % 2) * 2 and + 1. group 0: one per row
 *   OFFSET   q * scale + zero, zero the minimum; stored likewise
 *   HALF     (q - 2^(bits-1)) * d, d a half: half g % 8 of texel g / 8
 *   BFLOAT   the same with d the upper half of a float
 *   FLOAT    the same with d a float: word g % 4 of texel g / 4
 *   HALF_ZERO, BFLOAT_ZERO, FLOAT_ZERO
 *            (q - zero) * d: d as above; behind these texels byte g % 16 of texel g / 16
 *            is zero
 * The others keep the bytes of the GGUF types. Their groups are fixed; d and m are halves:
 *   HALVES   q * d + m, groups of 32: word g % 4 of texel g / 4 is d, m
 *   K32      q * (d s) + -(m l), groups of 32 in blocks of 256, s and l a byte each:
 *            half g % 8 of texel g / 8 is s, l; behind these texels word b % 4 of texel
 *            b / 4 is d, m of block b
 *   K16      (q - 2^(bits-1)) * (d s), groups of 16, s a signed byte: byte g % 16 of texel
 *            g / 16; behind them half b % 8 of texel b / 8 is d of block b
 *   K16_MIN  q * (d s) + -(m l), groups of 16, s and l four bits each: byte g % 16 of texel
 *            g / 16 is s | l << 4; behind them word b % 4 of texel b / 4 is d, m
 *   S32      (q - 2^(bits-1)) * (d s), groups of 32, s a signed byte: byte g % 16 of texel
 *            g / 16; behind them half b % 8 of texel b / 8 is d of block b
 * (first named, lower bits). Products of a half and a byte are exact in float.
 * Scales of 8 bits that are floats, group g in byte g % 16 of texel g / 16:
 *   E8M0     groups of 32: 2^(s - 128), with s = 0 too
 *   E4M3     groups of 16: half of the E4M3 number s (sign, 4 bits of exponent, 3 of
 *            mantissa; no NaN) times the row's factor. Behind these texels one texel per row:
 *            the factor, a float r, and a word of eight numbers of 4 bits, c. The product of
 *            r and the number's significand 8 + i is rounded to a float, which is then moved
 *            by c[i] places (-8 to 7). So a row can be divided by a float as well, and
 *            rounded as a division is: rt_weight_divisor
 *
 * Forms of blocks of 256 elements (TRITS, IQ...) are laid out as weight_blocks.h says.
 *
 * A form may choose levels (RT_LEVELS_*, added to it): then a code q is level[q] * scale,
 * without a zero. IQ4_NL: the whole numbers of that type; E2M1: 0, .5, 1, 1.5, 2, 3, 4, 6 of
 * either sign (q & 8), doubled; TERNARY: q - 1; NF4, FP4: the floats of bitsandbytes.
 * E4M3, E5M2: floats of 8 bits, the only levels of codes of 8 bits.
 *
 * Padding rows have scale 0 and zero 0; padding columns have code = zero (RT_FORM_ZERO), or
 * lie in separate groups with scale 0. */
#ifndef RUNTIME_OP_WEIGHT_H
#define RUNTIME_OP_WEIGHT_H

#include "runtime/base/rt.h"

enum { RT_WEIGHT_BLOCK = 8, RT_WEIGHT_OUT_PAD = 64, RT_WEIGHT_K_BLOCK = 256 };

/* Shared with shaders/lib/weight_read.glsl. */
enum rt_form {
    RT_FORM_ZERO = 0,
    RT_FORM_OFFSET,
    RT_FORM_HALF, /* from here on by halves and whole numbers, as files have them */
    RT_FORM_HALVES,
    RT_FORM_S32,
    RT_FORM_K32,
    RT_FORM_K16,
    RT_FORM_K16_MIN,
    RT_FORM_BF16, /* of 16 bits: bfloat16 instead of a half */
    RT_FORM_HALF_ZERO,
    RT_FORM_FLOAT,
    RT_FORM_FLOAT_ZERO,
    RT_FORM_BFLOAT,
    RT_FORM_BFLOAT_ZERO,
    RT_FORM_E8M0,
    RT_FORM_E4M3,
    RT_FORM_TRITS, /* from here on blocks of 256: weight_blocks.h */
    RT_FORM_IQ3_XXS,
    RT_FORM_IQ3_S,
    RT_FORM_IQ2_XXS,
    RT_FORM_IQ2_XS,
    RT_FORM_IQ2_S,
    RT_FORM_IQ1_S,
    RT_FORM_IQ1_M,
    RT_FORM_COUNT
};

/* What the codes of a form stand for, added to it: RT_FORM_HALF | RT_LEVELS_IQ4_NL. */
enum rt_levels {
    RT_LEVELS_NONE = 0, /* for themselves */
    RT_LEVELS_IQ4_NL = 1 << 8,
    RT_LEVELS_E2M1 = 2 << 8,
    RT_LEVELS_TERNARY = 3 << 8,
    RT_LEVELS_NF4 = 4 << 8,
    RT_LEVELS_FP4 = 5 << 8,
    RT_LEVELS_E4M3 = 6 << 8,
    RT_LEVELS_E5M2 = 7 << 8,
    RT_LEVELS_END = 8 << 8
};

/* Of a form: how its scales are stored; the rest are its levels. */
#define RT_FORM_MASK 255u

/* Shape and form of one weight. */
struct rt_weight_shape {
    uint32_t out, in;         /* real size */
    uint32_t out_pad, in_pad; /* stored size */
    uint32_t bits;            /* 2 to 6, 8, 16, 32 */
    uint32_t group;           /* codes that share a scale; 0: one scale per row */
    uint32_t form;            /* RT_FORM_*, RT_LEVELS_* */
};

/* What multiplies the scales of a row of the form E4M3: a factor, and corrections. */
struct rt_weight_factor {
    float factor;
    uint32_t
        places; /* bits 4 i .. 4 i + 3: by how many floats the i-th product is moved */
};

/* Metadata of one group (forms >= HALF) and of the block that contains it; HALF_ZERO has
 * its zero in l. */
struct rt_weight_scale {
    uint16_t d, m;               /* halves */
    uint8_t s, l;                /* K forms; zero; scales of 8 bits */
    struct rt_weight_factor row; /* E4M3: the same for all groups of a row */
};

/* in rounded up to what `bits` needs. */
uint32_t rt_weight_in_pad(uint32_t bits, uint32_t in);
/* 16-byte texels of one row of codes; scale texels of one row (0 for 16, 32 bits). */
uint32_t rt_weight_texels(const struct rt_weight_shape *s);
uint32_t rt_weight_scale_texels(const struct rt_weight_shape *s);
uint64_t rt_weight_code_bytes(const struct rt_weight_shape *s);
uint64_t rt_weight_scale_bytes(const struct rt_weight_shape *s); /* at least 16 */
/* Both, as a model holds them. */
uint64_t rt_weight_bytes(const struct rt_weight_shape *s);
/* Codes that share a scale in a form of GGUF, else 0. */
uint32_t rt_weight_form_group(uint32_t form);
/* ZERO or OFFSET, by which the same values can be had. */
uint32_t rt_weight_form_wide(uint32_t form);
/* Whether its values are whole numbers of at most 8 bits times the scale of a group. */
bool rt_weight_form_is_whole(uint32_t form);
const char *rt_weight_form_name(uint32_t form);
/* The factor by which scales are what they are when divided by `divisor`, bit for bit. */
struct rt_weight_factor rt_weight_divisor(float divisor);

/* Element access on host memory in the layout above; m < out_pad, k < in_pad.
 * `codes` and `scales` are zeroed before the first put. */
void rt_weight_put_code(const struct rt_weight_shape *s, uint32_t *codes, uint32_t m,
                        uint32_t k, uint32_t code);
/* The same for the first n codes of a row at once, bits 2 to 8. */
void rt_weight_put_row(const struct rt_weight_shape *s, uint32_t *codes, uint32_t m,
                       const uint8_t *row, uint32_t n);
uint32_t rt_weight_get_code(const struct rt_weight_shape *s, const uint32_t *codes,
                            uint32_t m, uint32_t k);
/* Scale and zero of a group: ZERO, OFFSET, FLOAT and BFLOAT forms (exact: the scale has no
 * more bits, the zero is the form's fixed one or below 256); the others. */
void rt_weight_put_scale(const struct rt_weight_shape *s, void *scales, uint32_t m,
                         uint32_t g, float scale, float zero);
void rt_weight_put_packed(const struct rt_weight_shape *s, void *scales, uint32_t m,
                          uint32_t g, const struct rt_weight_scale *packed);
/* Whether the scales of a form are single numbers of a group that may be replaced: ZERO,
 * OFFSET, HALF, FLOAT, BFLOAT, with or without zeros or levels. */
bool rt_weight_form_has_scales(uint32_t form);
/* The scale of a group of such a form. */
float rt_weight_get_scale(const struct rt_weight_shape *s, const void *scales, uint32_t m,
                          uint32_t g);
/* Its zero. */
float rt_weight_get_zero(const struct rt_weight_shape *s, const void *scales, uint32_t m,
                         uint32_t g);
/* The float value of element (m, k), exactly as the kernels decode it. */
float rt_weight_value(const struct rt_weight_shape *s, const uint32_t *codes,
                      const void *scales, uint32_t m, uint32_t k);

/* A value from its code, by the scale and zero of its group. */
float rt_weight_decode(uint32_t form, uint32_t code, float scale, float zero);
/* The level of a code of a form with levels. */
float rt_weight_level(uint32_t form, uint32_t code);
/* Scales of 8 bits: 2^(s - 128); half of an E4M3 number times a factor, both exactly as the
 * kernels compute them. */
float rt_scale_e8m0(uint32_t s);
float rt_scale_e4m3(const struct rt_weight_factor *row, uint32_t s);
/* Scale and zero of a packed group. */
void rt_weight_unpack_scale(uint32_t form, uint32_t bits,
                            const struct rt_weight_scale *packed, float *scale,
                            float *zero);
/* Floats of 8 bits (OCP): E4M3 has no infinity, 0x7f is NaN; E5M2 is half of a half. */
float rt_e4m3_to_float(uint8_t code);
/* The nearest E4M3, ties to even, subnormals included; of finite values 448 of their sign at
 * most, of others NaN. */
uint8_t rt_e4m3_nearest(float value);
float rt_e5m2_to_float(uint8_t code);
/* IEEE binary16 to float, exact, subnormals included. */
float rt_half_to_float(uint16_t half);
/* The nearest binary16, ties to even, but without subnormals and overflow: what would be
 * below 2^-14 is a zero of its sign, finite numbers beyond 65504 are 65504 of their sign.
 * Infinities stay, NaN is 0x7e00 of its sign. Twin of half_bits in shaders/lib/half.glsl. */
uint16_t rt_half_from_float(float value);
/* The nearest binary16 of a finite value, ties to even, subnormals included; 65504 of its
 * sign at most: what a scale becomes in a file. */
uint16_t rt_half_nearest(float value);
/* The upper half of a float's bits, exact; and the nearest of them to a value that is not
 * NaN, ties to even: beyond the largest it is an infinity. */
float rt_bf16_to_float(uint16_t bf16);
uint16_t rt_bf16_nearest(float value);

#endif

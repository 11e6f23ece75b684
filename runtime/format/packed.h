/* runtime/format/packed.h
 * Packed matrices of quantized folders, read to unsigned codes, scales and zero points:
 *   value = (code - zero) * scale, rounded once in float; the difference is exact.
 * A matrix NAME is [out][in]; groups = ceil(in / group).
 *
 * pack-quantized  NAME.weight_packed I32 [out][w(in)]: codes along the input, low bits
 *                 first, signed + 2^(bits-1); NAME.weight_scale [out][groups];
 *                 NAME.weight_zero_point I32 [w(out)][groups], packed alike along the
 *                 output; NAME.weight_shape (out, in); NAME.weight_g_idx I32 [in]: the
 *                 group of every column. Since 2026 codes are one stream of bits, and
 *                 w(n) = ceil(n bits / 32). Before, a word held p = floor(32 / bits) whole
 *                 codes, and w(n) = ceil(n / p). The number of words tells them apart
 * int-quantized   NAME.weight I8 [out][in]; NAME.weight_scale [out] or [out][groups];
 *                 NAME.weight_zero_point I8 alike
 * awq             NAME.qweight I32 [in][out / 8]: nibble i of a word is output
 *                 8 c + (0, 2, 4, 6, 1, 3, 5, 7)[i]; NAME.qzeros [groups][out / 8]
 *                 alike; NAME.scales [groups][out]
 * gptq, gptq_v2   NAME.qweight I32 [in bits / 32][out]: per output one stream of bits
 *                 along the input, low bits first (3 bits straddle words); NAME.qzeros
 *                 [groups][out bits / 32], streams along the output, in gptq minus one
 *                 per field, modulo 2^bits; NAME.scales [groups][out]; NAME.g_idx I32
 *                 [in]: the group of every column (absent: in order)
 * Codes that stand for floats have levels (RT_LEVELS_* of runtime/op/weight.h):
 *   value = level[code] * scale, rounded once in float.
 * F8              NAME.weight F8_E4M3 or F8_E5M2 [out][in]. float-quantized: NAME.weight_scale
 *                 of one element, [out], [out][groups], or a block of rows and columns each
 *                 [ceil(out / rows)][ceil(in / columns)]. fp8: NAME.weight_scale_inv in
 *                 blocks, or of one element. mxfp8-quantized: NAME.weight_scale U8
 *                 [out][ceil(in / 32)], 2^(byte - 127). No configuration: scale 1
 * nvfp4-pack-quantized
 *                 NAME.weight_packed U8 [out][in / 2]: E2M1, low nibble first;
 *                 NAME.weight_scale F8_E4M3 [out][in / 16]; NAME.weight_global_scale F32 of
 *                 one element: scale = weight_scale / weight_global_scale, rounded to float
 * mxfp4-pack-quantized
 *                 the same with NAME.weight_scale U8 [out][ceil(in / 32)], 2^(byte - 127)
 * bitsandbytes    NAME.weight: two codes per byte of the matrix as one line, high nibble
 *                 first; NAME.weight.quant_state.bitsandbytes__nf4 (or __fp4): JSON with shape
 *                 and block size; NAME.weight.absmax F32: the scale of each block of the line.
 *                 Nested: absmax U8, scale = nested_quant_map[byte] * nested_absmax[block /
 *                 nested_blocksize] + nested_offset, each operation rounded to float
 *
 * A g_idx that was never set is none: an empty one, one of compressed-tensors with a -1
 * in it, and one of GPTQ without desc_act that is all 0 or -1.
 * Where columns are not in the order of their groups (act-order), fmt_packed_order gives
 * the order in which they are. */
#ifndef RUNTIME_FORMAT_PACKED_H
#define RUNTIME_FORMAT_PACKED_H

#include "runtime/format/quant_config.h"
#include "runtime/format/safetensors.h"
#include "runtime/op/weight.h"

/* How the scales of codes with levels lie in the file. */
enum fmt_scale_place {
    FMT_SCALE_ONE,    /* one for the matrix */
    FMT_SCALE_GROUPS, /* [out][groups] */
    FMT_SCALE_BLOCKS, /* [ceil(out / block_rows)][groups] */
    FMT_SCALE_LINE    /* blocks of the matrix as one line */
};

/* A packed matrix of an open file; borrows its tensors. */
struct fmt_packed {
    enum fmt_method method;
    uint32_t out, in;
    uint32_t bits;   /* of the codes that are handed out: 2 to 6, 8 */
    uint32_t stored; /* of those in the file; 1 and 7 are handed out as 2 and 8 */
    bool dense;      /* pack-quantized: one stream of bits */
    uint32_t group;  /* codes that share a scale; in, where one serves a row */
    uint32_t groups; /* of a row */
    uint32_t minus;  /* 1: zero points are stored minus one */
    const struct fmt_tensor *codes, *scales;
    const struct fmt_tensor *zeros; /* null: the middle, 2^(bits-1) */
    const struct fmt_tensor *order; /* group of every column, NULL: in order */
    enum fmt_dtype
        scale_dtype; /* F16 (never with levels), BF16 or F32: holds every scale exactly */
    /* the rest is of codes that stand for floats */
    uint32_t levels; /* RT_LEVELS_*, 0: codes are whole numbers */
    bool split;      /* groups that no form has: the matrix can be had as floats only */
    enum fmt_scale_place place;
    uint32_t block_rows; /* FMT_SCALE_BLOCKS; FMT_SCALE_LINE: codes of a block */
    float factor;        /* NVFP4: weight_global_scale */
    /* bitsandbytes, nested: scales are bytes */
    const struct fmt_tensor *nested_scales, *nested_map; /* NULL: not nested */
    uint32_t nested_block;
    float nested_offset;
};

/* Whether the file has a packed matrix of this name. */
bool fmt_packed_exists(const struct fmt_safetensors *file,
                       const struct fmt_quantization *q, const char *name);
/* Opens it and checks every size and type. `where` names the folder in messages.
 * RT_ERR_INPUT: a part is missing, sizes disagree, groups are not full. */
RT_CHECKED rt_status fmt_packed_open(struct rt_ctx *ctx, const char *where,
                                     const struct fmt_safetensors *file,
                                     const struct fmt_quantization *q, const char *name,
                                     struct fmt_packed *out);
/* Codes of rows [first, first + rows), [rows][in]. `first` is a multiple of 8. */
void fmt_packed_codes(const struct fmt_packed *p, uint32_t first, uint32_t rows,
                      uint8_t *codes);
/* Scale and zero point of group g of a row; *half is the scale as it is in the file where
 * that has halves (scales->dtype). */
/* With levels: what the level of a code is multiplied by. */
float fmt_packed_scale(const struct fmt_packed *p, uint32_t row, uint32_t g,
                       uint16_t *half);
uint32_t fmt_packed_zero(const struct fmt_packed *p, uint32_t row, uint32_t g);
/* Whether each group has a zero point of its own that could be another, and the least and the
 * greatest that every reader of the layout takes for the same number. */
bool fmt_packed_has_zeros(const struct fmt_packed *p, uint32_t *low, uint32_t *high);
/* Puts a zero point within these into `data`, a copy of zeros->data. */
void fmt_packed_put_zero(const struct fmt_packed *p, uint8_t *data, uint32_t row,
                         uint32_t g, uint32_t zero);
/* With levels: values of a row from its codes. */
void fmt_packed_values(const struct fmt_packed *p, uint32_t row, const uint8_t *codes,
                       float *values);
/* Bits, group and form on a device; bits 32: only as floats. `wide`: with float scales. */
void fmt_packed_shape(const struct fmt_packed *p, bool wide,
                      struct rt_weight_shape *shape);
/* With levels: the code of 0; and puts the scale of group g of a row into the device
 * layout. */
uint8_t fmt_packed_level_zero(const struct fmt_packed *p);
void fmt_packed_put_scale(const struct fmt_packed *p, const struct rt_weight_shape *dest,
                          void *scales, uint32_t to, uint32_t row, uint32_t g);
/* Whether the scales lie [groups][out], not [out][groups]. */
bool fmt_packed_scales_across(const struct fmt_packed *p);
/* Group of column k. */
uint32_t fmt_packed_group(const struct fmt_packed *p, uint32_t k);
/* Columns sorted by group, within one by position: order[j] is the column in place j.
 * False, and the order is 0, 1, 2 ..., where columns are stored in it already. */
bool fmt_packed_order(const struct fmt_packed *p, uint32_t *order);

#endif

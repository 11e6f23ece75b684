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
 * Where columns are not in the order of their groups (act-order), fmt_packed_order gives
 * the order in which they are. */
#ifndef RUNTIME_FORMAT_PACKED_H
#define RUNTIME_FORMAT_PACKED_H

#include "runtime/format/quant_config.h"
#include "runtime/format/safetensors.h"

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
float fmt_packed_scale(const struct fmt_packed *p, uint32_t row, uint32_t g,
                       uint16_t *half);
uint32_t fmt_packed_zero(const struct fmt_packed *p, uint32_t row, uint32_t g);
/* Group of column k. */
uint32_t fmt_packed_group(const struct fmt_packed *p, uint32_t k);
/* Columns sorted by group, within one by position: order[j] is the column in place j.
 * False, and the order is 0, 1, 2 ..., where columns are stored in it already. */
bool fmt_packed_order(const struct fmt_packed *p, uint32_t *order);

#endif

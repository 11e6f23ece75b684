/* runtime/format/gguf_pack.h
 * Blocks of GGUF types from codes and scales: the inverse of fmt_block_split. */
#ifndef RUNTIME_FORMAT_GGUF_PACK_H
#define RUNTIME_FORMAT_GGUF_PACK_H

#include "runtime/base/rt.h"
#include "runtime/format/gguf_types.h"

/* Numbers of the types that can be made, as in the file. */
enum {
    FMT_BLOCK_ID_F32 = 0,
    FMT_BLOCK_ID_Q4_0 = 2,
    FMT_BLOCK_ID_Q4_1 = 3,
    FMT_BLOCK_ID_Q5_0 = 6,
    FMT_BLOCK_ID_Q5_1 = 7,
    FMT_BLOCK_ID_Q8_0 = 8,
    FMT_BLOCK_ID_Q2_K = 10,
    FMT_BLOCK_ID_Q3_K = 11,
    FMT_BLOCK_ID_Q4_K = 12,
    FMT_BLOCK_ID_Q5_K = 13,
    FMT_BLOCK_ID_Q6_K = 14,
    FMT_BLOCK_ID_IQ4_NL = 20,
    FMT_BLOCK_ID_IQ4_XS = 23,
};

/* The nearest binary16, ties to even, subnormals included; infinite beyond 65519.99. Not
 * rt_half_from_float, which is what devices do. Not of NaN. */
uint16_t fmt_half_near(float value);

/* Whether fmt_block_join makes blocks of this type. */
bool fmt_block_joins(const struct fmt_block_type *type);
/* One block of `type->bytes` bytes from the codes and scales that fmt_block_split gives of
 * it. d and m are those of the first group. The type must be one that joins. */
void fmt_block_join(const struct fmt_block_type *type, const struct fmt_block *block,
                    uint8_t *data);

#endif

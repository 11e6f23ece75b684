/* runtime/format/gguf_types.h
 * The number formats of GGUF tensors and how their blocks are decoded, on the host.
 *
 * A row is cut into blocks of `block` elements, each stored in `bytes` bytes. A block
 * yields one small unsigned code an element and one (scale, zero) a group of `group`
 * elements; the value is, in float, each operation rounded once:
 *   FMT_BLOCK_ZERO    (code - zero) * scale     zero is a small whole number
 *   FMT_BLOCK_OFFSET  code * scale + zero       zero is the minimum
 *   FMT_BLOCK_TABLE   table[code] * scale       table holds small whole numbers
 * The first two are RT_FORM_ZERO and RT_FORM_OFFSET of runtime/weight.h. A consumer
 * without a table takes table[code] + 128 as an 8-bit code with zero 128: the same value.
 *
 * This is exact, not near: scales are a half, or a half times a whole number of at most 8
 * bits, so that the scale and its product with a code fit in the 24 bits of a float; only
 * the sum of FMT_BLOCK_OFFSET is rounded, once, as the format's own definition does.
 * Layouts: docs of the container (ggml's gguf.md), restated beside each decoder. */
#ifndef RUNTIME_FORMAT_GGUF_TYPES_H
#define RUNTIME_FORMAT_GGUF_TYPES_H

#include "runtime/rt.h"

enum { FMT_BLOCK_MAX = 256, FMT_BLOCK_GROUPS_MAX = 16, FMT_BLOCK_ID_F16 = 1 };

enum fmt_block_form {
    FMT_BLOCK_FLOAT, /* no codes: F32, F16, BF16 */
    FMT_BLOCK_ZERO,
    FMT_BLOCK_OFFSET,
    FMT_BLOCK_TABLE
};

struct fmt_block {
    uint8_t code[FMT_BLOCK_MAX];
    float scale[FMT_BLOCK_GROUPS_MAX], zero[FMT_BLOCK_GROUPS_MAX];
};

struct fmt_block_type {
    uint32_t id; /* in the file */
    const char *name;
    uint32_t block, bytes; /* elements and bytes of a block; bytes 0: not supported */
    enum fmt_block_form form;
    uint32_t bits;       /* of a code; 0: floats */
    uint32_t group;      /* elements that share a scale */
    const int8_t *table; /* FMT_BLOCK_TABLE: 1 << bits whole numbers */
    void (*split)(const uint8_t *data, struct fmt_block *out); /* null: floats */
};

/* Null: no such type. One that is known but not supported has bytes 0. */
const struct fmt_block_type *fmt_block_type_find(uint32_t id);
/* The names of all supported types, with commas. */
const char *fmt_block_type_names(char *buffer, size_t size);

/* One block as codes, scales and zeros; not for FMT_BLOCK_FLOAT. */
void fmt_block_split(const struct fmt_block_type *type, const uint8_t *data,
                     struct fmt_block *out);
/* `blocks` blocks that lie one after the other as floats. */
void fmt_block_floats(const struct fmt_block_type *type, const uint8_t *data,
                      uint64_t blocks, float *out);

#endif

/* runtime/format/gguf_types.h
 * The number formats of GGUF tensors and how their blocks are decoded, on the host.
 *
 * A row is cut into blocks of `block` elements, each stored in `bytes` bytes. A block
 * yields one small unsigned code an element and, per group, the numbers that its form of
 * runtime/op/weight.h makes a scale and a zero of: the device keeps just those, and the
 * values are the form's.
 *
 * This is exact, not near: scales are a half, or a half times a whole number of at most 8
 * bits, or a float of 8 bits, so that the scale and its product with a code fit in the 24
 * bits of a float, and so do the numbers of the grids; only a sum with a minimum is rounded, once, as the format's own
 * definition does. A factor of a whole tensor (NVFP4) is rounded into the scales, once.
 * Layouts: docs of the container (ggml's gguf.md), restated beside each decoder. */
#ifndef RUNTIME_FORMAT_GGUF_TYPES_H
#define RUNTIME_FORMAT_GGUF_TYPES_H

#include "runtime/op/weight_blocks.h"

enum {
    FMT_BLOCK_MAX = 256,
    FMT_BLOCK_GROUPS_MAX = 16,
    FMT_BLOCK_ID_F16 = 1,
    FMT_BLOCK_ID_BF16 = 30
};

struct fmt_block {
    uint8_t code[FMT_BLOCK_MAX];
    struct rt_weight_scale scale[FMT_BLOCK_GROUPS_MAX];
    struct rt_weight_block whole; /* instead of both, of block forms (weight_blocks.h) */
};

struct fmt_block_type {
    uint32_t id; /* in the file */
    const char *name;
    uint32_t block, bytes; /* elements and bytes of a block; bytes 0: not supported */
    uint32_t bits;         /* of a code; 0: floats */
    uint32_t form;         /* RT_FORM_*, from HALF on; not of floats */
    void (*split)(const uint8_t *data, struct fmt_block *out); /* null: floats */
};

/* Null: no such type. One that is known but not supported has bytes 0. */
const struct fmt_block_type *fmt_block_type_find(uint32_t id);
/* The same by its name, to the letter. */
const struct fmt_block_type *fmt_block_type_named(const char *name);
/* The names of all supported types, with commas. */
const char *fmt_block_type_names(char *buffer, size_t size);

/* One block as codes and scales; not of floats. `factor` as below. */
void fmt_block_split(const struct fmt_block_type *type, const uint8_t *data, float factor,
                     struct fmt_block *out);
/* Whether a float beside the tensor (NAME.scale of NAME.weight) multiplies its scales. */
bool fmt_block_has_factor(const struct fmt_block_type *type);
/* Where in a block its half scale lies, and the half that scales its minima, bytes; *minima
 * 0: it has none. False: a block of this type has no half scale that could be replaced. */
bool fmt_block_halves(const struct fmt_block_type *type, uint32_t *scale,
                      uint32_t *minima);
/* `blocks` blocks that lie one after the other as floats. `factor`: of the tensor; 1 if its
 * type has none. */
void fmt_block_floats(const struct fmt_block_type *type, const uint8_t *data,
                      uint64_t blocks, float factor, float *out);

#endif

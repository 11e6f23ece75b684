/* runtime/format/packed_impl.h
 * Private to packed*.c: what opening needs, and matrices whose codes stand for floats. */
#ifndef RUNTIME_FORMAT_PACKED_IMPL_H
#define RUNTIME_FORMAT_PACKED_IMPL_H

#include "runtime/format/packed.h"

/* What opening needs; the messages name folder and tensor. */
struct fmt_opener {
    struct rt_ctx *ctx;
    const char *where;
    const struct fmt_safetensors *file;
    const char *name;
};

/* The tensor NAME plus suffix, NULL: not there. */
const struct fmt_tensor *fmt_part_of(const struct fmt_safetensors *file, const char *name,
                                     const char *suffix);
/* RT_ERR_INPUT: not there. */
RT_CHECKED rt_status fmt_part_find(const struct fmt_opener *o, const char *suffix,
                                   const struct fmt_tensor **out);
/* RT_ERR_INPUT: not of this size (cols 1: also of one dimension), or `kind` is false, which
 * tells that it is one of `kinds`. */
RT_CHECKED rt_status fmt_part_check(const struct fmt_opener *o,
                                    const struct fmt_tensor *t, uint64_t rows,
                                    uint64_t cols, bool kind, const char *kinds);
/* Takes the size of a matrix. RT_ERR_INPUT: none that can be. */
RT_CHECKED rt_status fmt_part_size(const struct fmt_opener *o, uint64_t out, uint64_t in,
                                   struct fmt_packed *p);

/* First bit of the nibble of a word in which AutoAWQ keeps output `row` of its eight. */
uint32_t fmt_awq_shift(uint32_t row);
/* What codes and zero points of a width without a layout of its own are moved by, so that
 * the middle stays the middle. */
uint32_t fmt_packed_shift(const struct fmt_packed *p);

/* ---- codes that stand for floats ---- */

bool fmt_levels_exist(const struct fmt_safetensors *file,
                      const struct fmt_quantization *q, const char *name);
RT_CHECKED rt_status fmt_levels_open(const struct fmt_opener *o,
                                     const struct fmt_quantization *q,
                                     struct fmt_packed *p);
RT_CHECKED rt_status fmt_bitsandbytes_open(const struct fmt_opener *o,
                                           struct fmt_packed *p);
void fmt_levels_codes(const struct fmt_packed *p, uint32_t first, uint32_t rows,
                      uint8_t *codes);
/* What the level of a code is multiplied by. Of E2M1, whose levels are doubled, half. */
float fmt_levels_scale(const struct fmt_packed *p, uint32_t row, uint32_t g);
/* Scale of block i of bitsandbytes. */
float fmt_bitsandbytes_scale(const struct fmt_packed *p, uint64_t i);

#endif

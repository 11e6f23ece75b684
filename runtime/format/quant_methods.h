/* runtime/format/quant_methods.h
 * Private to quant_config*.c: the methods by which matrices are packed, their names and
 * widths, and the names of those that are not read. */
#ifndef RUNTIME_FORMAT_QUANT_METHODS_H
#define RUNTIME_FORMAT_QUANT_METHODS_H

#include "runtime/format/quant_config.h"

/* Whether a method packs this width; "2, 3, 4 and 8 bits are" where it does not. */
bool fmt_method_has_bits(enum fmt_method method, json_int_t bits);
const char *fmt_method_widths(enum fmt_method method);
/* Whether groups of this size can be read. */
bool fmt_method_has_group(enum fmt_method method, json_int_t group);

/* Method of a "format" of compressed-tensors with weights of a "type" (NULL: int).
 * RT_ERR_INPUT: none that is read. */
RT_CHECKED rt_status fmt_method_of_format(struct rt_ctx *ctx, const char *path,
                                          const char *format, const char *type,
                                          enum fmt_method *out);
/* Refuses a quant_method that no reader here has, by what it is and with what to do. */
RT_CHECKED rt_status fmt_method_refuse(struct rt_ctx *ctx, const char *path,
                                       const char *method);

/* "block_structure" of compressed-tensors or "weight_block_size" of fp8: rows and columns
 * that share a scale. null or not there: neither. RT_ERR_INPUT: no two sizes. */
RT_CHECKED rt_status fmt_method_take_block(struct rt_ctx *ctx, const char *path,
                                           const json_t *block,
                                           struct fmt_quantization *q);
/* The configurations of transformers' "fp8" and of "bitsandbytes". */
RT_CHECKED rt_status fmt_method_read_fp8(struct rt_ctx *ctx, const char *path,
                                         const json_t *config,
                                         struct fmt_quantization *q);
RT_CHECKED rt_status fmt_method_read_bitsandbytes(struct rt_ctx *ctx, const char *path,
                                                  const json_t *config,
                                                  struct fmt_quantization *q);
#endif

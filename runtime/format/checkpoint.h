/* runtime/format/checkpoint.h
 * A model folder as the model loader needs it: sizes, float tensors, and linear weights
 * in the device layout (runtime/weight.h), whatever they are stored as.
 *
 * Packed weights are compressed-tensors "pack-quantized":
 *   NAME.weight_packed     int32 [out][ceil(in / (32 / bits))]: 32 / bits codes a word
 *                          (3 bits: 10), low bits first, stored as code + 2^(bits-1)
 *   NAME.weight_scale      float [out][groups]
 *   NAME.weight_zero_point int32, packed alike along `out` (asymmetric only)
 *   NAME.weight_shape      int64 [2]: out, in
 * and mean (code - zero) * scale with signed codes. */
#ifndef RUNTIME_FORMAT_CHECKPOINT_H
#define RUNTIME_FORMAT_CHECKPOINT_H

#include "runtime/format/model_config.h"
#include "runtime/format/safetensors.h"
#include "runtime/weight.h"

struct fmt_model;

/* Opens config and tensors; nothing is read into memory yet. */
RT_CHECKED rt_status fmt_model_open(struct rt_ctx *ctx, const char *folder,
                                    struct fmt_model **out);
void fmt_model_close(struct fmt_model **model);
const struct fmt_config *fmt_model_config(const struct fmt_model *model);

bool fmt_tensor_exists(const struct fmt_model *model, const char *name);
/* All `count` elements of a float tensor. RT_ERR_INPUT: not there, another size,
 * another type, or not finite. */
RT_CHECKED rt_status fmt_tensor_f32(struct fmt_model *model, const char *name,
                                    uint64_t count, float *out);

/* How the weight `name` (without ".weight") is stored, for an [out][in] matrix: fills
 * bits, group, form, out, in, in_pad; out_pad is out rounded up to 64. */
RT_CHECKED rt_status fmt_weight_shape(struct fmt_model *model, const char *name,
                                      uint32_t out, uint32_t in,
                                      struct rt_weight_shape *shape);
/* Puts its rows at row0 of a zeroed weight of shape `dest` (same bits, group, form, in).
 */
RT_CHECKED rt_status fmt_weight_load(struct fmt_model *model, const char *name,
                                     const struct rt_weight_shape *dest, uint32_t row0,
                                     uint32_t out, uint32_t *codes, float *scales);
/* The same weight as plain floats [out][in], decoded. */
RT_CHECKED rt_status fmt_weight_floats(struct fmt_model *model, const char *name,
                                       uint32_t out, uint32_t in, float *values);

/* SHA-256 over config.json and all tensors in name order, hexadecimal. */
RT_CHECKED rt_status fmt_model_hash(struct fmt_model *model, char hex[65]);

#endif

/* runtime/train/scales.h
 * The scales of a packed model as parameters: codes stay, each scale is multiplied by a
 * parameter that begins at 1, and the product is rounded to what the files hold (F32, F16,
 * BF16). Minima of GGUF types are parameters likewise; in types with scales of groups within
 * a block of 256, those are whole numbers and stay, and the two halves of the block are
 * trained. Whole zero points may be trained too: a parameter moves one, and the sum is
 * rounded to a whole number within the range of the format. Rounding counts as the identity
 * in gradients (straight through). So the model on the device is at every step one that its
 * format can hold.
 *
 * For a scale s of a group, w = (code - zero) s and s = s0 p: dL/dp = s0 / s sum over the
 * group of dL/dw w, dL/dw = dY^T X (ops scale_back and scale_fold of shaders/push.h, which
 * has the other cases). */
#ifndef RUNTIME_TRAIN_SCALES_H
#define RUNTIME_TRAIN_SCALES_H

#include "runtime/model/model.h"

struct rt_scales;

/* The scales of all packed projections of `model`, which was loaded from `folder` (or a GGUF
 * file) and whose weights change from now on. RT_ERR_INPUT: nothing is packed, a weight has
 * scales that cannot be replaced (fmt_weight_scales), a GGUF file is in several parts, or
 * matrices that are one weight have scales of different kinds. `zeros`: whole zero points of
 * folders are trained too, but of weights whose last group is not full on the device.
 * RT_ERR_USAGE: `zeros`, and no weight has any that are. */
RT_CHECKED rt_status rt_scales_create(struct rt_model *model, const char *folder,
                                      bool zeros, struct rt_scales **out);
/* The model keeps the scales that it has then. */
void rt_scales_destroy(struct rt_scales **scales);
/* How many numbers are trained, padding apart. */
uint64_t rt_scales_count(const struct rt_scales *scales);
/* The scales of a matrix as the device has them, [out][groups], and zeros or minima if they
 * are trained, alike, rounded as files hold them (else `zeros` stays); `groups` as the file
 * has it (fmt_scales). `zeros`: NULL, not asked for. RT_ERR_USAGE: the matrix is not
 * packed. */
RT_CHECKED rt_status rt_scales_read(struct rt_scales *scales, uint32_t layer,
                                    enum fmt_module module, uint32_t groups,
                                    float *values, float *zeros);

#endif

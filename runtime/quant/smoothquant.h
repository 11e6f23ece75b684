/* runtime/quant/smoothquant.h
 * SmoothQuant (arXiv 2211.10438): columns of large inputs are multiplied by a factor in the
 * weights, and what makes the input is divided by it, so that inputs can be rounded to 8
 * bits too (int8.h).
 *
 * Factors. x = largest magnitude of each input on the calibration text, w = largest of its
 * column in all matrices that read it, both at least 1e-5:
 *     s = x^a / w^(1 - a), at least 1e-5, a = 0.1, 0.2, .. 0.9
 * The a with the least relative error of the matrices' outputs, rounded as they are executed,
 * on the sample of their inputs (quant_int8_relative, over all of them) is taken, or no
 * factors (s = 1) where none is better; of equals the first. In double, rounded to float.
 *
 * The search rounds weights to nearest. Their codes come afterwards, by GPTQ.
 *
 * FLOPs: 10 x 4 sampled out in, and those of GPTQ. */
#ifndef RUNTIME_QUANT_SMOOTHQUANT_H
#define RUNTIME_QUANT_SMOOTHQUANT_H

#include "runtime/quant/method.h"

enum { QUANT_SMOOTH_STEPS = 9 };

/* [in] factors of `count` matrices that read the same input; all have `seen`. */
RT_CHECKED rt_status quant_smoothquant_scale(struct rt_ctx *ctx,
                                             const struct quant_options *options,
                                             const struct quant_matrix *matrices,
                                             uint32_t count, const double *means,
                                             float *factors);
/* Codes of one matrix, whose factors are in w and in `divisors` already: by GPTQ (gptq.h),
 * or to nearest if the options say so. */
RT_CHECKED rt_status quant_smoothquant(struct rt_ctx *ctx,
                                       const struct quant_options *options,
                                       const struct quant_matrix *matrix,
                                       struct quant_codes *out);

#endif

/* runtime/quant/awq.h
 * AWQ (arXiv 2306.00978): columns that see large inputs are multiplied by a factor before
 * rounding and what makes the input is divided by it, then the range of groups is searched.
 *
 * Factors. x = mean magnitude of each input, w = mean over the rows of all matrices of the
 * group of |w| / largest |w| of its quantization group. For ratio r = i / 20, i = 0 .. 19:
 *     s = x^r / (w^(1 - r) + 1e-4), at least 1e-4, divided by sqrt(max s min s)
 * The ratio with the least output error is taken, or no factors (s = 1) where none is
 * better; of equals the first. The output error is that of the matrices themselves by
 * their inputs' second moments: trace(D H D^T), D = W - Q(W s) / s, summed over them. (The
 * authors' program scores the output of the whole attention or MLP; for one matrix that is
 * the same.)
 *
 * Ranges, of all matrices but q and k: the largest magnitude of a group is cut to 1 - i / 20
 * of itself, i = 0 .. 9, with the least error of the group's own share of an output: e H_gg
 * e^T over the group's columns; of equals the widest.
 *
 * FLOPs: 21 x 1.1 out in^2 for the factors, 10 x 2 out in group for the ranges. */
#ifndef RUNTIME_QUANT_AWQ_H
#define RUNTIME_QUANT_AWQ_H

#include "runtime/quant/method.h"

enum { QUANT_AWQ_RATIOS = 20, QUANT_AWQ_CUTS = 10 };

/* [in] factors of `count` matrices that read the same input; all have its moment. */
RT_CHECKED rt_status quant_awq_scale(struct rt_ctx *ctx,
                                     const struct quant_options *options,
                                     const struct quant_matrix *matrices, uint32_t count,
                                     const double *means, float *factors);
/* Ranges and codes of one matrix, whose factors are in w and in `divisors` already. */
RT_CHECKED rt_status quant_awq(struct rt_ctx *ctx, const struct quant_options *options,
                               const struct quant_matrix *matrix,
                               struct quant_codes *out);

#endif

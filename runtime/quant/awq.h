/* runtime/quant/awq.h
 * AWQ (arXiv 2306.00978): columns that see large inputs are multiplied by a factor before
 * rounding and what makes the input is divided by it, then the ranges of groups are
 * searched. Factors and search space are the paper's; what the ranges are searched by is
 * our own.
 *
 * Factors. x = mean magnitude of each input, w = mean over the rows of all matrices of the
 * group of |w| / largest |w| of its quantization group. For ratio r = i / 20, i = 0 .. 19:
 *     s = x^r / (w^(1 - r) + 1e-4), at least 1e-4, divided by sqrt(max s min s)
 * The ratio with the least output error is taken, or no factors (s = 1) where none is
 * better; of equals the first. The output error is that of the matrices themselves by
 * their inputs' second moments: trace(D H D^T), D = W - Q(W s) / s, with the ranges of a
 * draft (below). It is that of QUANT_AWQ_ROWS rows of each matrix, times its rows over
 * these: row i is that of the matrix i rows / QUANT_AWQ_ROWS. (The authors' program scores
 * the output of the whole attention or MLP, with ranges that are not searched.)
 *
 * Ranges. The lowest and the highest value of a group are each cut to 1 - i / 10 of
 * themselves, i = 0 .. 5, in all combinations. Symmetric grids, drafts, and groups of more
 * than QUANT_AWQ_ENDS_MAX columns cut both alike, to 1 - i / 20, i = 0 .. 9. Of a row with
 * the errors D, group g takes the range with the least e H_gg e^T + 2 e sum over other
 * groups j of H_gj D_j^T, e being its own error: the change of the row's output error. Of
 * equals the first. Groups go in order, in QUANT_AWQ_SWEEPS sweeps, a draft in one; in the
 * first sweep the later groups count as exact. So the errors of groups, which inputs that
 * move together would add up, are made to cancel, by numbers that the format has anyway;
 * every value still has the nearest code. (The authors' search sees each group alone, cuts
 * by magnitude, and leaves q and k out.)
 *
 * FLOPs per weight: a sweep has 2 group for each range that is tried, and 2 in, the first
 * one in. The search for factors makes 21 drafts of the rows that it takes. */
#ifndef RUNTIME_QUANT_AWQ_H
#define RUNTIME_QUANT_AWQ_H

#include "runtime/quant/method.h"

enum {
    QUANT_AWQ_RATIOS = 20,
    QUANT_AWQ_ROWS = 128,
    QUANT_AWQ_CUTS = 10,
    QUANT_AWQ_ENDS = 6,
    QUANT_AWQ_ENDS_MAX = 512,
    QUANT_AWQ_SWEEPS = 2
};

/* [in] factors of `count` matrices that read the same input; all have its moment. */
RT_CHECKED rt_status quant_awq_scale(struct rt_ctx *ctx,
                                     const struct quant_options *options,
                                     const struct quant_matrix *matrices, uint32_t count,
                                     const double *means, float *factors);
/* Scales and zeros of one matrix, whose factors are in w and in `divisors` already, without
 * codes. Sets the objective if there was one sweep, else NAN. */
RT_CHECKED rt_status quant_awq_ranges(struct rt_ctx *ctx,
                                      const struct quant_options *options,
                                      const struct quant_matrix *matrix, bool is_draft,
                                      struct quant_codes *out);
/* The same and codes; with the options' search, its ranges. */
RT_CHECKED rt_status quant_awq(struct rt_ctx *ctx, const struct quant_options *options,
                               const struct quant_matrix *matrix,
                               struct quant_codes *out);

#endif

/* runtime/quant/int8.h
 * Matrices of 8 bits per row whose inputs are rounded to 8 bits too, as `quantize` and
 * `matmul_w8a8` (shaders/push.h) execute them: what that does to the outputs, and how it is
 * written (compressed-tensors "int-quantized").
 *
 * y = (sum of whole numbers) sx sw. sw is the scale of a row of the matrix; sx is max |x| /
 * 127 of the token (QUANT_INPUTS_ROWS), or of all tokens (QUANT_INPUTS_GIVEN: of the largest
 * magnitudes that the calibration text has, so that none of its values is cut). */
#ifndef RUNTIME_QUANT_INT8_H
#define RUNTIME_QUANT_INT8_H

#include "runtime/quant/folder_impl.h"

/* What has to be known of inputs for it (enum observe_what); 0: nothing. */
uint32_t quant_int8_needs(const struct quant_options *options);

/* The scale of all inputs of a matrix, by their maxima and its divisors. */
float quant_int8_given(const struct quant_matrix *matrix);

/* The codes of a row of n inputs, each divided by its divisor (NULL: 1) and rounded to a
 * float, as doubles; *scale is `given` or, where that is 0, of the row. */
void quant_int8_row(const float *x, const float *divisors, uint32_t n, float given,
                    double *codes, float *scale);

/* Mean over the sample (observe.h) of the squared error of all outputs of a matrix: of what
 * the codes give for rounded inputs, against floats. In double; the sums of whole numbers
 * are exact. 4 sampled out in FLOPs. The matrix has `seen` with a sample. */
RT_CHECKED rt_status quant_int8_objective(struct rt_ctx *ctx,
                                          const struct quant_options *options,
                                          const struct quant_matrix *matrix,
                                          const struct quant_codes *codes, double *out);

/* The squared error of a token's outputs, and the squares of the outputs themselves. */
struct quant_int8_token {
    double error, output;
};

/* Adds those of a matrix, as quant_int8_objective, to tokens [sampled]. */
RT_CHECKED rt_status quant_int8_tokens(struct rt_ctx *ctx,
                                       const struct quant_options *options,
                                       const struct quant_matrix *matrix,
                                       const struct quant_codes *codes,
                                       struct quant_int8_token *tokens);

/* The mean over tokens of error / output. A token of large activations (arXiv 2402.17762: a
 * few have a thousand times those of others) counts like any other, where a sum of errors
 * hears that token alone. */
double quant_int8_relative(const struct quant_int8_token *tokens, uint32_t count);

/* What 8 bits cost the outputs of matrices that read the same input, each part alone:
 * quant_int8_relative of all of them together. */
struct quant_int8_costs {
    double inputs; /* of rounded inputs, divided by the factors, with weights as floats */
    double weights; /* of weights rounded to nearest without factors, with float inputs */
};

/* The matrices have `seen` with a sample, their weights no factors yet; `factors` [in], NULL:
 * 1. In double. 8 sampled out in FLOPs. */
RT_CHECKED rt_status quant_int8_costs_of(struct rt_ctx *ctx,
                                         const struct quant_options *options,
                                         const struct quant_matrix *matrices,
                                         uint32_t count, const float *factors,
                                         struct quant_int8_costs *out);

/* Adds the tensors of a matrix: weight, weight_scale and, where it is given, input_scale.
 * Takes `scales`, also on failure. */
RT_CHECKED rt_status quant_int8_pack(struct quant_writer *w,
                                     const struct quant_matrix *matrix,
                                     const uint8_t *codes, float *scales);

#endif

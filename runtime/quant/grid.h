/* runtime/quant/grid.h
 * The grids that matrices are rounded to: scale, zero and codes of one group, in float,
 * half to even. A value is (code - zero) scale, code and zero unsigned as they are stored.
 *
 * Symmetric: scale = 2 range / (2^b - 1), zero = 2^(b-1), all codes. The largest magnitude
 * is half a step beyond a code, on either side; in return the steps are shorter than if the
 * lowest code were not used (6 : 7 at 3 bits). It is the grid of GPTQModel and of
 * compressed-tensors. 8 bits: scale = range / 127, and the lowest code is not used.
 * Asymmetric: the range low .. high holds 0, scale = (high - low) / (2^b - 1), zero =
 * clamp(round(-low / scale)). A group of zeros has scale 1.
 *
 * Search: the range is shrunk to QUANT_SHRINK_MIN of what the values need, in
 * QUANT_SHRINKS equal steps, and the one with the least sum of weight (v - Q(v))^2 is
 * taken, the wider of two equals. Weights are the diagonal of the inputs' second moments,
 * or 1. (The range search of GPTQ's "mse" option and of observers weighted by an
 * importance matrix; exponent 2, because that is what the outputs see.) */
#ifndef RUNTIME_QUANT_GRID_H
#define RUNTIME_QUANT_GRID_H

#include "runtime/quant/method.h"

enum { QUANT_SHRINKS = 31 };
#define QUANT_SHRINK_MIN 0.4

/* Scale and zero of n finite values. `weights` [n] is read by a search only; NULL: 1. */
void quant_grid_fit(const struct quant_options *options, const float *values, uint32_t n,
                    const double *weights, float *scale, uint8_t *zero);
/* The code of a value. */
uint8_t quant_grid_code(const struct quant_options *options, float value, float scale,
                        uint8_t zero);

/* The values that n values are rounded to: quant_grid_value of their codes. */
void quant_grid_values(const struct quant_options *options, const float *values,
                       uint32_t n, float scale, uint8_t zero, float *out);

static inline float quant_grid_value(uint8_t code, float scale, uint8_t zero)
{
    return (float)((int)code - (int)zero) * scale;
}

/* Scales and zeros of all groups of a matrix, searched if the options say so. */
RT_CHECKED rt_status quant_grid_matrix(struct rt_ctx *ctx,
                                       const struct quant_options *options,
                                       const struct quant_matrix *matrix,
                                       struct quant_codes *out);
/* Codes of all values by the scales and zeros that are there. */
void quant_grid_codes(const struct quant_options *options,
                      const struct quant_matrix *matrix, struct quant_codes *out);
/* The range of n values and 0. */
void quant_grid_range(const float *values, uint32_t n, float *low, float *high);
/* Diagonal of the second moments of a matrix' inputs, [in]. */
void quant_diagonal(const struct quant_matrix *matrix, double *out);
/* Scale and zero of a range that holds 0. */
void quant_grid_of(const struct quant_options *options, float low, float high,
                   float *scale, uint8_t *zero);

#endif

/* runtime/quant/gptq_impl.h
 * Private to runtime/quant: what GPTQ on the host and on a device share.
 *
 * Columns are kept in the reverse of the order of visit, because LAPACK factors L L^T with
 * L lower triangular: column r is visited before column r - 1, and L is the factor M of
 * gptq.h read backwards. */
#ifndef RUNTIME_QUANT_GPTQ_IMPL_H
#define RUNTIME_QUANT_GPTQ_IMPL_H

#include "runtime/quant/gptq.h"

struct gptq_factor {
    uint32_t *column; /* [in] of the matrix, at r: r = in - 1 is visited first */
    double *diagonal; /* [in] of the matrix' columns */
    double *l;        /* [in][in] column-major: the factor */
    uint32_t *at;     /* [in] r of each column of the matrix */
    double added;     /* to the diagonal of H */
};

/* *good false: the matrix' moment is not positive definite, however damped, and that was
 * logged. To be given back by deinit also on failure. */
RT_CHECKED rt_status quant_factor_init(struct rt_ctx *ctx,
                                       const struct quant_options *options,
                                       const struct quant_matrix *matrix,
                                       struct gptq_factor *out, bool *good);
void quant_factor_deinit(struct gptq_factor *factor);
rt_status quant_gptq_no_memory(struct rt_ctx *ctx, const struct quant_matrix *matrix);

/* Codes, their objective and that of rounding to nearest, on the options' device; scales
 * and zeros are there. */
RT_CHECKED rt_status quant_gptq_on_device(struct rt_ctx *ctx,
                                          const struct quant_options *options,
                                          const struct quant_matrix *matrix,
                                          const struct gptq_factor *factor,
                                          struct quant_codes *out);

#endif

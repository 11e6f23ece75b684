/* runtime/quant/gptq.h
 * GPTQ (arXiv 2210.17323) in the form of LDLQ (arXiv 2307.13304): columns are rounded one
 * after the other, and each takes over what rounding those before it did to the outputs.
 *
 * With H = X^T X / rows + damping mean(diag) I, in the order of visit, and H = M M^T, M
 * upper triangular:
 *     t_j = w_j + sum over i < j of (w_i - q_i) M_ij / M_jj,    q_j = round(t_j)
 * This equals GPTQ's update by the inverse's Cholesky factor, without an inverse. Grids are
 * fixed beforehand from the matrix itself ("static groups"), so that visiting columns by
 * descending activation (the default) leaves the stored layout as it is.
 *
 * The output error comes with it: the sum of L_jj^2 (t_j - q_j)^2 is that of the damped H.
 *
 * On a device (quant_options.device): the factor stays the host's, in double; errors, what
 * is gained and their products are floats, in another order of sums (docs/numerics.md). The
 * same inputs give the same codes there again.
 *
 * On the host in double; the value that is rounded, scale and code are floats, as they are stored.
 * FLOPs: in^3 / 3 for the factor, out in^2 for the rounding. Memory beside the arguments:
 * 8 in^2 for the factor, and 16 MB (QUANT_GPTQ_ERRORS doubles) or 128 rows of errors. */
#ifndef RUNTIME_QUANT_GPTQ_H
#define RUNTIME_QUANT_GPTQ_H

#include "runtime/quant/method.h"

enum {
    QUANT_GPTQ_BLOCK = 128,
    QUANT_GPTQ_ERRORS = 1 << 21,
    QUANT_GPTQ_PART = 1024,            /* columns of a product on a device */
    QUANT_GPTQ_ROWS_BYTES = 256 << 20, /* of values of the rows that go together there */
};

/* Rows of a matrix that go together on a device, and the bytes that a matrix takes there and
 * beside it on the host, without the factor. */
uint32_t quant_gptq_rows(uint32_t out, uint32_t in, uint64_t binding_bytes_max);
uint64_t quant_gptq_device_bytes(uint32_t out, uint32_t in, uint32_t groups);
uint64_t quant_gptq_host_bytes(uint32_t out, uint32_t in);

/* The grid that values are rounded to. */
struct quant_gptq_grid {
    /* What `wanted` becomes at (row, column); its code is the callee's to keep. Every place
     * is asked once. */
    float (*round)(void *user, uint32_t row, uint32_t column, float wanted);
    void *user;
};

/* Rounds a matrix to any fixed grid; of the options order and damping count. A moment that
 * is not positive definite gets ten times the damping, three times at most; then nothing
 * is rounded, *good is false, and the matrix' name is in a warning. *objective: that of
 * quant_objective. RT_ERR_INPUT: the moment is not finite. */
RT_CHECKED rt_status quant_gptq_round(struct rt_ctx *ctx,
                                      const struct quant_options *options,
                                      const struct quant_matrix *matrix,
                                      const struct quant_gptq_grid *grid,
                                      double *objective, bool *good);
/* The same to the grid of the options; where it cannot, to nearest. */
RT_CHECKED rt_status quant_gptq(struct rt_ctx *ctx, const struct quant_options *options,
                                const struct quant_matrix *matrix,
                                struct quant_codes *out);

#endif

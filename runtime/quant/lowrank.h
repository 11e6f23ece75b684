/* runtime/quant/lowrank.h
 * Training-free repair of a quantized matrix: the rank-r correction that is closest to
 * W - Q(W) as the matrix' own inputs see it (EoRA, arXiv 2410.21271; QERA, 2410.06040). */
#ifndef RUNTIME_QUANT_LOWRANK_H
#define RUNTIME_QUANT_LOWRANK_H

#include "runtime/rt.h"

/* Square root and its inverse of a second moment, [in][in] doubles each. */
struct quant_roots {
    uint32_t in;
    double *root, *inverse;
};

/* From X^T X / n (symmetric), after adding damping times its mean diagonal to the
 * diagonal. Eigenvalues below 0 by rounding count as 0. LAPACK's dsyevd. */
RT_CHECKED rt_status quant_roots_init(struct rt_ctx *ctx, const double *moment,
                                      uint32_t in, double damping,
                                      struct quant_roots *out);
void quant_roots_deinit(struct quant_roots *roots);

/* a [rank][in] and b [out][rank] with scale * b a = the best rank-r fit of (w - wq)
 * under those inputs: with (w - wq) S = U s V^T (LAPACK's dgesdd), S the root,
 * b = U sqrt(s) / scale, a = sqrt(s) V^T S^-1. */
RT_CHECKED rt_status quant_lowrank(struct rt_ctx *ctx, const float *w, const float *wq,
                                   uint32_t out, uint32_t in,
                                   const struct quant_roots *roots, uint32_t rank,
                                   float scale, float *a, float *b);

#endif

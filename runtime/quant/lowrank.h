/* runtime/quant/lowrank.h
 * Training-free repair of a quantized matrix: the rank-r correction that is closest to
 * W - Q(W) as the matrix' own inputs see it (EoRA, arXiv 2410.21271; QERA, 2410.06040).
 *
 * With D = W - Q(W) [out][in] and H = X^T X / n the second moment of the inputs, the
 * correction of rank r that leaves the least output error trace((D - C) H (D - C)^T) is
 * C = U U^T D, where U [out][r] holds the first eigenvectors of M = D H D^T. So no root or
 * inverse of H is needed, and M is applied to vectors, never formed.
 *
 * Accuracy. Up to QUANT_EXACT outputs M is formed in double and decomposed by LAPACK: the
 * error left is the least possible up to rounding. Above, U comes from a block Krylov
 * space of M (Musco and Musco 2015, blocks of r + 8 vectors) that grows until a step adds
 * less than 1e-4 of the share that U explains. On flat spectra, where that is worst, the
 * error left was within 1e-3 of the least possible (tests/unit/test_lowrank.c).
 * Directions whose share is below 1e-14 of the first are rounding and are left out. */
#ifndef RUNTIME_QUANT_LOWRANK_H
#define RUNTIME_QUANT_LOWRANK_H

#include "runtime/observe/moments.h"

enum { QUANT_EXACT = 384 };

struct quant_lowrank_task {
    const float *w, *wq; /* [out][in]: the matrix, and what quantization made of it */
    uint32_t out, in;
    const struct observe_moment *moment; /* of its inputs, a sum of moment->weight */
    double damping; /* H gets this much of its mean diagonal added to its diagonal */
    uint32_t rank;
    float scale;
};

struct quant_lowrank_report {
    double explained; /* of trace(D H D^T), the output error without the fit */
    uint32_t steps;   /* applications of M to a block */
};

/* a [rank][in] and b [out][rank] with scale * b a = U U^T D, the singular values of the
 * weighted difference split evenly between a and b. Beside its arguments it takes about
 * 8 (out (3 r + 24) steps + 2 in (r + 72)) bytes. RT_ERR_INPUT where the moment is not
 * positive. report may be null. */
RT_CHECKED rt_status quant_lowrank(struct rt_ctx *ctx,
                                   const struct quant_lowrank_task *task, float *a,
                                   float *b, struct quant_lowrank_report *report);

#endif

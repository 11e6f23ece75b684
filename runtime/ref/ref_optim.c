/* runtime/ref/ref_optim.c
 * Twins of shaders/optim/: gradient norm, clipping, AdamW (Loshchilov and Hutter,
 * arXiv 1711.05101). */
#include "runtime/ref/ref.h"

#include <math.h>

enum { SUMSQ_BLOCK = 1024 };

void REF(sumsq)(const void *push, void *const *b)
{
    const struct sumsq_push *p = push;
    const real *x = b[0];
    real *partial = b[1];
    for (uint32_t i = 0; i < p->count; i += SUMSQ_BLOCK) {
        double sum = 0;
        for (uint32_t j = i; j < p->count && j < i + SUMSQ_BLOCK; j++)
            sum += (double)x[j] * (double)x[j];
        partial[i / SUMSQ_BLOCK] = (real)sum;
    }
}

void REF(clip)(const void *push, void *const *b)
{
    const struct clip_push *p = push;
    const real *partial = b[0];
    real *state = b[1];
    double sum = 0;
    for (uint32_t i = 0; i < p->count; i++)
        sum += (double)partial[i];
    const double norm = sqrt(sum), factor = (double)p->max_norm / (norm + 1e-6);
    state[0] = (real)norm;
    state[1] = (real)(p->max_norm > 0 && factor < 1 ? factor : 1);
}

void REF(adamw)(const void *push, void *const *b)
{
    const struct adamw_push *p = push;
    const real *hyper = b[0], *state = b[1], *grad = b[2];
    real *w = b[3], *m = b[4], *v = b[5];
    const double lr = hyper[0], b1 = hyper[1], b2 = hyper[2], eps = hyper[3];
    for (uint32_t i = 0; i < p->count; i++) {
        const double g = (double)state[1] * (double)grad[i];
        m[i] = (real)(b1 * (double)m[i] + (1 - b1) * g);
        v[i] = (real)(b2 * (double)v[i] + (1 - b2) * g * g);
        const double kept = (double)w[i] - lr * (double)hyper[4] * (double)w[i];
        w[i] = (real)(kept - lr * ((double)m[i] / (double)hyper[5]) /
                                 (sqrt((double)v[i] / (double)hyper[6]) + eps));
    }
}

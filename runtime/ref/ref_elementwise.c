/* runtime/ref/ref_elementwise.c
 * Twins of shaders/elementwise/: SwiGLU, addition, gathering of rows and of columns. */
#include "runtime/ref/ref.h"

#include <math.h>

static double sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

void REF(swiglu)(const void *push, void *const *b)
{
    const struct swiglu_push *p = push;
    for (uint32_t r = 0; r < p->rows; r++) {
        const real *x = (const real *)b[0] + (size_t)r * p->ldx;
        real *h = (real *)b[1] + (size_t)r * p->ldh;
        for (uint32_t c = 0; c < p->cols; c++) {
            const double gate = x[p->offg + c], up = x[p->offu + c];
            h[c] = (real)(gate * sigmoid(gate) * up);
        }
    }
}

void REF(swiglu_back)(const void *push, void *const *b)
{
    const struct swiglu_back_push *p = push;
    for (uint32_t r = 0; r < p->rows; r++) {
        const real *x = (const real *)b[0] + (size_t)r * p->ldx;
        const real *dh = (const real *)b[1] + (size_t)r * p->lddh;
        real *dx = (real *)b[2] + (size_t)r * p->lddx;
        for (uint32_t c = 0; c < p->cols; c++) {
            const double gate = x[p->offg + c], up = x[p->offu + c], s = sigmoid(gate);
            dx[p->offu + c] = (real)(dh[c] * gate * s);
            dx[p->offg + c] = (real)(dh[c] * up * s * (1 + gate * (1 - s)));
        }
    }
}

void REF(add)(const void *push, void *const *b)
{
    const struct add_push *p = push;
    const real *x = b[0];
    real *y = b[1];
    for (uint32_t i = 0; i < p->count; i++)
        y[i] = (real)((double)y[i] + (double)p->scale * (double)x[i]);
}

void REF(gather)(const void *push, void *const *b)
{
    const struct gather_push *p = push;
    const uint32_t *index = b[0];
    for (uint32_t r = 0; r < p->rows; r++)
        for (uint32_t c = 0; c < p->cols; c++)
            ((real *)b[2])[(size_t)r * p->ldy + c] =
                index[r] == 0xffffffff
                    ? 0
                    : ((const real *)b[1])[(size_t)index[r] * p->ldx + c];
}

void REF(columns)(const void *push, void *const *b)
{
    const struct columns_push *p = push;
    const uint32_t *index = b[0];
    for (uint32_t r = 0; r < p->rows; r++) {
        const real *x = (const real *)b[1] + (size_t)r * p->ldx + p->offx;
        real *y = (real *)b[2] + (size_t)r * p->ldy + p->offy;
        for (uint32_t c = 0; c < p->cols; c++) {
            const real v = index[c] == 0xffffffff ? 0 : x[index[c]];
            y[c] = p->accumulate ? y[c] + v : v;
        }
    }
}

/* runtime/ref/ref_norm.c
 * Twins of shaders/norm/: RMSNorm and its gradient, per row or per head of a row. */
#include "runtime/ref/ref.h"

#include <math.h>

static double inverse_rms(const real *x, uint32_t cols, float eps)
{
    double sum = 0;
    for (uint32_t c = 0; c < cols; c++)
        sum += (double)x[c] * (double)x[c];
    return 1.0 / sqrt(sum / cols + (double)eps);
}

void REF(rmsnorm)(const void *push, void *const *b)
{
    const struct rmsnorm_push *p = push;
    const real *w = b[1];
    for (uint32_t r = 0; r < p->rows; r++)
        for (uint32_t h = 0; h < p->heads; h++) {
            const real *x =
                (const real *)b[0] + (size_t)r * p->ldx + p->offx + (size_t)h * p->cols;
            real *y = (real *)b[2] + (size_t)r * p->ldy + p->offy + (size_t)h * p->cols;
            const double scale = inverse_rms(x, p->cols, p->eps);
            for (uint32_t c = 0; c < p->cols; c++)
                y[c] = (real)(w[c] * (x[c] * scale));
        }
}

void REF(rmsnorm_back)(const void *push, void *const *b)
{
    const struct rmsnorm_back_push *p = push;
    const real *w = b[1];
    for (uint32_t r = 0; r < p->rows; r++)
        for (uint32_t h = 0; h < p->heads; h++) {
            const size_t head = (size_t)h * p->cols;
            const real *x = (const real *)b[0] + (size_t)r * p->ldx + p->offx + head;
            const real *dy = (const real *)b[2] + (size_t)r * p->lddy + p->offdy + head;
            real *dx = (real *)b[3] + (size_t)r * p->lddx + p->offdx + head;
            const double scale = inverse_rms(x, p->cols, p->eps);
            double mean = 0;
            for (uint32_t c = 0; c < p->cols; c++)
                mean += (double)dy[c] * (double)w[c] * (double)x[c];
            mean = mean / p->cols * scale * scale;
            for (uint32_t c = 0; c < p->cols; c++) {
                const double d = scale * ((double)dy[c] * (double)w[c] - x[c] * mean);
                dx[c] = (real)(d + (p->accumulate ? (double)dx[c] : 0.0));
            }
        }
}

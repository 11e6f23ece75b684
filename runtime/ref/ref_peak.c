/* runtime/ref/ref_peak.c
 * Twins of shaders/peak/: what the device's limits are measured with. */
#include "runtime/ref/ref.h"

#include <string.h>

/* Floats that go through their steps together, so that the compiler can pair them. */
enum { SIDE_BY_SIDE = 16 };

void REF(peak_fma)(const void *push, void *const *b)
{
    const struct peak_fma_push *p = push;
    const real *x = b[0];
    real *y = b[1];
    for (uint32_t i = 0; i < p->count; i += SIDE_BY_SIDE) {
        const uint32_t n = p->count - i < SIDE_BY_SIDE ? p->count - i : SIDE_BY_SIDE;
        double v[SIDE_BY_SIDE] = { 0 };
        for (uint32_t k = 0; k < n; k++)
            v[k] = x[i + k];
        for (uint32_t s = 0; s < p->steps; s++)
            for (uint32_t k = 0; k < SIDE_BY_SIDE; k++)
                v[k] = v[k] * (double)p->a + (double)p->b;
        for (uint32_t k = 0; k < n; k++)
            y[i + k] = (real)v[k];
    }
}

void REF(peak_copy)(const void *push, void *const *b)
{
    const struct peak_copy_push *p = push;
    memcpy(b[1], b[0], p->count * sizeof(real));
}

void REF(peak_read)(const void *push, void *const *b)
{
    const struct peak_read_push *p = push;
    const real *x = b[0];
    real *y = b[1];
    for (uint32_t block = 0; block < p->blocks; block++, y += PEAK_COLUMNS) {
        double sum[PEAK_COLUMNS] = { 0 };
        for (uint32_t r = 0; r < p->rows; r++, x += PEAK_COLUMNS)
            for (uint32_t c = 0; c < PEAK_COLUMNS; c++)
                sum[c] += x[c];
        for (uint32_t c = 0; c < PEAK_COLUMNS; c++)
            y[c] = (real)sum[c];
    }
}

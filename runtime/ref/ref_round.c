/* runtime/ref/ref_round.c
 * Twin of round_block: columns of a weight rounded one after the other, each with what
 * rounding those before it did to the outputs. */
#include "runtime/ref/ref.h"

#include <math.h>

/* In float also where reals are doubles: codes are those of float values. */
static double whole_of(double v, double scale, double low, double high)
{
    const double whole = (double)rintf((float)v / (float)scale);
    return whole < low ? low : whole > high ? high : whole;
}

static void round_row(const struct round_block_push *p, void *const *b, uint32_t row)
{
    const real *factor = b[0];
    const uint32_t *group = b[1];
    const real *scales = (const real *)b[2] + (size_t)row * p->groups;
    const real *zeros = (const real *)b[3] + (size_t)row * p->groups;
    const real *gained = (const real *)b[4] + (size_t)row * ROUND_BLOCK;
    real *w = (real *)b[5] + (size_t)row * p->ldw + p->offw;
    uint32_t *codes = (uint32_t *)b[6] + (size_t)row * p->ldc + p->offw / 4;
    real *sums = (real *)b[7] + 2 * (size_t)row;
    double damped = 0, squares = 0;
    for (uint32_t j = 0; j < ROUND_BLOCK; j++) {
        uint32_t code = 0;
        double g = (double)gained[j], e = 0;
        for (uint32_t i = 0; i < j; i++)
            g += (double)w[i] * (double)factor[i * ROUND_BLOCK + j];
        if (group[j] != 0xffffffffu) {
            const double scale = (double)scales[group[j]], zero = (double)zeros[group[j]];
            const double t = (double)w[j] + (p->nearest ? 0 : g);
            const double q = whole_of(t, scale, p->lowest - zero, p->top - zero);
            e = (double)w[j] - q * scale;
            code = (uint32_t)(q + zero);
            const double all = (double)factor[j * ROUND_BLOCK + j] * (g + e);
            damped += all * all;
            squares += e * e;
        }
        w[j] = (real)e;
        codes[j / 4] = (codes[j / 4] & ~(255u << 8 * (j % 4))) | (code & 255u)
                                                                     << 8 * (j % 4);
    }
    sums[0] += (real)damped;
    sums[1] += (real)squares;
}

void REF(round_block)(const void *push, void *const *b)
{
    const struct round_block_push *p = push;
    for (uint32_t row = 0; row < p->rows; row++)
        round_row(p, b, row);
}

/* runtime/train/schedule.c
 * Learning rate over the steps, and the order of the items in each epoch, from the
 * seed. */
#include "runtime/train/train.h"

#include "runtime/base/philox.h"

#include <assert.h>
#include <math.h>

double train_rate(double lr, uint64_t k, uint64_t n, uint64_t warmup, double last_share)
{
    if (k < warmup)
        return lr * (double)(k + 1) / (double)warmup;
    const double pi = 3.14159265358979323846;
    const double span = n > warmup ? (double)(n - warmup) : 1.0;
    const double along = (double)(k + 1 - warmup) / span;
    return lr * (last_share + (1 - last_share) * 0.5 * (1 + cos(pi * along)));
}

uint32_t train_word(uint64_t seed, uint32_t a, uint32_t b)
{
    return philox_word(a, b, 1, 0, (uint32_t)seed, (uint32_t)(seed >> 32));
}

void train_order(uint64_t seed, uint64_t epoch, uint32_t n, uint32_t *order)
{
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    for (uint32_t i = n; i > 1; i--) {
        const uint32_t word = philox_word(i, 0, (uint32_t)epoch, (uint32_t)(epoch >> 32),
                                          (uint32_t)seed, (uint32_t)(seed >> 32));
        const uint32_t j = (uint32_t)((uint64_t)word * i >> 32), kept = order[i - 1];
        assert(j < i);
        order[i - 1] = order[j];
        order[j] = kept;
    }
}

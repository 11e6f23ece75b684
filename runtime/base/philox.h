/* runtime/base/philox.h
 * Philox 4x32 with ten rounds (Salmon et al., "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011): a counter-based generator, so that a draw depends on what it is
 * for and never on what was drawn before. The same words in shaders/lib/philox.glsl. */
#ifndef RUNTIME_BASE_PHILOX_H
#define RUNTIME_BASE_PHILOX_H

#include <stdint.h>

/* First output word for counter (c0, c1, c2, c3) and key (k0, k1). */
static inline uint32_t philox_word(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3,
                                   uint32_t k0, uint32_t k1)
{
    for (int round = 0; round < 10; round++) {
        const uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        const uint32_t n0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        const uint32_t n2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)b;
        c3 = (uint32_t)a;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return c0;
}

#endif

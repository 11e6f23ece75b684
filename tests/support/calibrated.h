/* tests/support/calibrated.h
 * Matrices and inputs of quantizer tests, the numbers of make_gptq.py and make_awq.py: made
 * by a generator that both sides have, so that only results are stored. */
#ifndef TESTS_SUPPORT_CALIBRATED_H
#define TESTS_SUPPORT_CALIBRATED_H

#include "runtime/quant/method.h"

/* Up to MODEL_PARTS_MAX matrices that read the same input, its moments and magnitudes, and
 * room for the codes of the largest. */
struct test_calibrated {
    uint32_t parts, in, tokens, out[MODEL_PARTS_MAX];
    float *w[MODEL_PARTS_MAX], *h;
    double *means;
    float *maxima, *sample; /* of `seen`, as observe.h says */
    struct observe_group seen;
    struct observe_moment moment;
    struct quant_matrix matrix[MODEL_PARTS_MAX];
    struct quant_codes codes;
};
void test_calibrated_init(struct test_calibrated *c, const uint32_t *out, uint32_t parts,
                          uint32_t in, uint32_t tokens);
void test_calibrated_deinit(struct test_calibrated *c);

#endif

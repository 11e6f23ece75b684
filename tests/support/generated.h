/* tests/support/generated.h
 * What an engine answered, kept beyond its callback. */
#ifndef TESTS_SUPPORT_GENERATED_H
#define TESTS_SUPPORT_GENERATED_H

#include "runtime/engine/engine.h"

enum { TEST_GENERATED_MAX = 112 };

struct test_generated {
    uint32_t n, ids[TEST_GENERATED_MAX];
    float logprob[TEST_GENERATED_MAX], margin[TEST_GENERATED_MAX];
};

/* Copies an answer of at most TEST_GENERATED_MAX tokens; the rest is zero. */
void test_generated_take(const struct rt_answer *answer, struct test_generated *out);

#endif

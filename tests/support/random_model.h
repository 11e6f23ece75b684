/* tests/support/random_model.h
 * Tiny models of any head size, of random weights: what no published tiny model has. */
#ifndef TESTS_SUPPORT_RANDOM_MODEL_H
#define TESTS_SUPPORT_RANDOM_MODEL_H

#include "tests/support/files.h"

enum { TEST_RANDOM_VOCAB = 97 };

/* Writes config.json and model.safetensors (f32, the same for a head size): two layers, four
 * heads on two of keys, norms of heads, a context of 4,096; no tokenizer. */
void test_random_model(const struct test_folder *folder, uint32_t head_dim);

#endif

/* tests/support/tiny.h
 * The tiny qwen2 model on `ref`, a text for it, and a folder to write to. */
#ifndef TESTS_SUPPORT_TINY_H
#define TESTS_SUPPORT_TINY_H

#include "runtime/model/model.h"
#include "runtime/observe/sequence.h"
#include "tests/support/files.h"

enum {
    TEST_TINY_TOKENS = 48,
    TEST_TINY_LAYERS = 3,
    TEST_TINY_MATRICES = 7 /* of a layer */
};

struct test_tiny {
    struct rt_ctx ctx;
    struct rt_device *dev;
    struct rt_model *model;
    struct test_folder to;
    char from[1024]; /* the model's folder */
    uint32_t ids[TEST_TINY_TOKENS];
    uint8_t mask[TEST_TINY_TOKENS];
    struct train_sequence sequence; /* of these */
};

/* `streamed`: rt_model_load_streamed. */
void test_tiny_init(struct test_tiny *t, bool streamed);
/* Takes a copy of the model, streamed, in which the norm before gate and up of layer 1 is so
 * large that what it makes overflows when squared. */
void test_tiny_overflow(struct test_tiny *t);
void test_tiny_deinit(struct test_tiny *t);

#endif

/* tests/support/int8_folders.h
 * W8A8 folders, what they compute and how far that is from others: for tests of the method
 * and of devices. Each fails the running test where it cannot. */
#ifndef TESTS_SUPPORT_INT8_FOLDERS_H
#define TESTS_SUPPORT_INT8_FOLDERS_H

#include "runtime/quant/folder.h"
#include "tests/support/generated.h"

/* "ref", or with `float_inputs` as by --int8 off. The caller destroys it. */
struct rt_device *test_int8_ref(struct rt_ctx *ctx, bool float_inputs);

/* Makes the folder `to` of `from`, calibrated on some tokens. */
void test_int8_quantize(struct rt_device *dev, const char *from, const char *to,
                        const char *method, enum quant_inputs inputs, double float_inputs,
                        struct quant_report *report);

/* Root of the mean squared difference of the logits of two folders, each on a device. */
double test_int8_apart(struct rt_device *a, const char *from, struct rt_device *b,
                       const char *to);

/* Answers to the first `count` prompts, at most TEST_ASKING_MAX, in an engine of `slots`. */
void test_int8_ask(struct rt_model *model, uint32_t slots, uint32_t count,
                   struct test_generated *answers);

#endif

/* tests/support/slopes.h
 * Gradients of a model's adapter, seen from outside: moving the matrices of one kind
 * (q, k, v, ...) along their gradient changes the loss by the gradient's norm. */
#ifndef TESTS_SUPPORT_SLOPES_H
#define TESTS_SUPPORT_SLOPES_H

#include "runtime/train/train.h"

/* A and B of every module at random in +-size, so that no gradient vanishes; the same of
 * every model of a shape. fmt_adapter_destroy it, or give it to rt_adapter_create. */
struct fmt_adapter *test_random_adapter(struct rt_ctx *ctx, const struct fmt_config *c,
                                        uint32_t rank, float size);
/* The adapter of tests/golden/lora, on a qwen2-tiny model, to be trained. */
struct rt_adapter *test_golden_adapter(struct rt_model *model);
/* The norm of all matrices of a gradient. */
double test_gradient_norm(const struct fmt_adapter *g, const struct fmt_config *c);
/* Worst ||g - h|| / ||h|| over the matrices of two gradients of the same shapes; NaN is the
 * worst. A matrix whose gradient nearly cancels (attention that looks at one key only) is
 * held against that share of the largest matrix instead. */
double test_gradients_differ(const struct fmt_adapter *g, const struct fmt_adapter *h,
                             const struct fmt_config *c, double cancelled);
/* The gradient of an SFT loss on random tokens for a random adapter of rank 4, the same of
 * every model of a shape; fmt_adapter_destroy it. */
struct fmt_adapter *test_gradient(struct rt_model *model);
/* Greatest |measured / promised - 1| over the seven kinds, for the same adapter and
 * tokens; kinds[] gets each. The test fails where a gradient vanishes. */
double test_worst_slope(struct rt_model *model, double kinds[FMT_MODULE_COUNT]);

#endif

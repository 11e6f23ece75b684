/* tests/support/slopes.h
 * Gradients of a model's adapter, seen from outside: moving the matrices of one kind
 * (q, k, v, ...) along their gradient changes the loss by the gradient's norm. */
#ifndef TESTS_SUPPORT_SLOPES_H
#define TESTS_SUPPORT_SLOPES_H

#include "runtime/train/train.h"

/* The gradient of an SFT loss on random tokens for a random adapter of rank 4, the same of
 * every model of a shape; fmt_adapter_destroy it. */
struct fmt_adapter *test_gradient(struct rt_model *model);
/* Greatest |measured / promised - 1| over the seven kinds, for the same adapter and
 * tokens; kinds[] gets each. The test fails where a gradient vanishes. */
double test_worst_slope(struct rt_model *model, double kinds[FMT_MODULE_COUNT]);

#endif

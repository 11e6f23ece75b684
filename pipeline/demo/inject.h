/* pipeline/demo/inject.h
 * Injected faults: a right answer with one step altered at a known place, to test
 * locators where the truth is known by construction.
 *
 *   value     the result of the step is wrong: one digit changed, or off by 1 or 10
 *   operand   an operand is another number of the question or another earlier result, or
 *             the operator is another one; the step's own arithmetic is right
 *
 * Later lines stay consistent: an operand that was the altered result, or a result that
 * changed with it, takes its new value, the line's own result is computed anew, and the
 * final answer follows the last line. So the altered step is the only false one. An
 * alteration is used only if every later line still has a whole result that is not
 * negative, the final answer changes, and the altered line is no other line of the right
 * answer. */
#ifndef PIPELINE_DEMO_INJECT_H
#define PIPELINE_DEMO_INJECT_H

#include "pipeline/prompt/dialect.h"

/* Alters `output`, a right answer in the demo format to `question`. The draw depends on
 * (seed, index) alone. An answer that cannot be read, or with more than 32 lines, gives
 * none. */
RT_CHECKED rt_status pipe_inject(struct rt_ctx *ctx, struct pipe_pool *pool,
                                 const struct pipe_dialect *dialect, const char *question,
                                 const char *output, enum pipe_inject_kind kind,
                                 uint64_t seed, uint32_t index,
                                 struct pipe_injected *out);

#endif

/* pipeline/prompt/inject_text.h
 * Injected faults in free text: a right solution with one step altered at a known place, and
 * the change carried through to the end, so that everything behind it is consistent.
 *
 *   value      the result of the step is wrong: one digit changed, or off by 1 or 10
 *   operand    an operand is another number of the question or another earlier result
 *   operator   another operator between the same operands
 *   dropped    the step is left out; what used its result uses its first operand
 *   owner      an operand is a number that another sentence of the question states
 *
 * A step is altered in its equation (equation.h). From there on every number that was the old
 * result becomes the new one, and every equation that it enters is calculated anew. An
 * alteration is used only if that can be told: the old result is no number of the question and
 * no other result, later results stay whole where they were whole, positive, with at most two
 * decimals, and the final answer, the last number of the text, changes. GSM8K's <<...>> are
 * taken out first. */
#ifndef PIPELINE_PROMPT_INJECT_TEXT_H
#define PIPELINE_PROMPT_INJECT_TEXT_H

#include "pipeline/prompt/dialect.h"

/* Alters `output`, a right solution of `question` whose steps `split` cuts. out->output is NULL
 * if no such alteration was found in 64 draws. The draw depends on (seed, index) alone. */
RT_CHECKED rt_status pipe_inject_text(struct rt_ctx *ctx, struct pipe_pool *pool,
                                      const struct pipe_dialect *dialect,
                                      const char *question, const char *output,
                                      enum pipe_inject_kind kind, uint64_t seed,
                                      uint32_t index, struct pipe_injected *out);
/* "value", "operand", ... */
const char *pipe_inject_kind_name(enum pipe_inject_kind kind);

#endif

/* pipeline/prompt/locate_check.h
 * The mechanical locator `check`. It sees the question and the answer as text, never a model,
 * a reference or the known answer, and tests what holds in any text:
 *
 *   repetition   the same one to eight steps at least four times at the end
 *   arithmetic   an equation or a chain that is false under every reading (equation.h)
 *   copy         a result that is repeated as another number: <<48/2=24>>25
 *   unknown      a number is calculated with that nothing gave: it stands neither in the
 *                question (as digits, a word, or a factor that its words imply: half, percent,
 *                hours) nor before in the answer, and is no sum, difference, product or
 *                quotient of two numbers that are given
 *   answer       the final answer is a number that stands nowhere before
 *
 * No rule reads the sentences of a generator: words count for the numbers that they stand for
 * and for the units that they are. A text that it cannot follow makes it abstain. That it
 * abstains does not mean that the answer is right. How often each rule names the first faulty
 * step is measured, per data set, in docs/locate.md. */
#ifndef PIPELINE_PROMPT_LOCATE_CHECK_H
#define PIPELINE_PROMPT_LOCATE_CHECK_H

#include "pipeline/prompt/dialect.h"

const char *pipe_check_rule_name(enum pipe_check_rule rule);

/* Tests an answer that is cut into steps. Fills `out`: the first step of every rule that
 * fails, and in out->step the first of them all. */
void pipe_locate_check(const char *question, const char *output,
                       const struct pipe_step *steps, uint32_t count,
                       struct pipe_checked *out);
/* The same of an answer that the dialect cuts: its `check` (dialect.h). */
void pipe_locate_check_cut(const struct pipe_dialect *dialect, const char *question,
                           const char *output, struct pipe_checked *out);

#endif

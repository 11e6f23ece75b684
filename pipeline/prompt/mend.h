/* pipeline/prompt/mend.h
 * Which single alteration of a solution gives the right final answer? A wrong operator is
 * calculated with rightly, so nothing in the text is false. But where the right final answer is
 * known, as it is to whoever grades, an alteration can be undone: every other operator of every
 * equation is tried, carried through to the end (carry.h), and counts if the end is the right
 * answer. If no operator does, every number of the question and every earlier result is tried
 * in the place of each operand. If one step only can be mended so, that step is named. No word
 * of the text is read, and no right solution. */
#ifndef PIPELINE_PROMPT_MEND_H
#define PIPELINE_PROMPT_MEND_H

#include "pipeline/record.h"

struct pipe_mended {
    int32_t step;     /* -1: none, or several */
    uint32_t steps;   /* that can be mended in this way */
    uint32_t at, end; /* bytes of the operator or operand, of the last of these steps */
    char sign;        /* that the operator should be; 0: an operand */
};

/* `answer`: the right final answer. Abstains unless it is one number, if the text has a false
 * equation (pipe_locate_check names that), or if its last number is the answer already. A
 * mended result must be positive, and whole if all results of the text are. */
void pipe_mend(struct rt_ctx *ctx, const char *question, const char *output,
               const struct pipe_step *steps, uint32_t count, const char *answer,
               struct pipe_mended *out);

#endif

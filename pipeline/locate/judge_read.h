/* pipeline/locate/judge_read.h
 * One solution read by a judging model, in one teacher-forced pass. The user's turn has the
 * problem, the solution with its steps numbered, and says that one step made the first error; the
 * judge's turn begins "The first error is in step". Three numbers per step:
 *
 *   asked      log of the probability of the step's number as the next word there, of 1 among
 *              all steps: what the model says if it is asked
 *   numbers    - log p of the tokens with a digit in the step, summed, nats: a number that the
 *              model did not expect
 *   surprise   the largest log p(best token) - log p(token) of the step's tokens, nats
 *
 * The model sees no reference, no label and no right answer. A solution of more than nine steps
 * is read once more for each first token that several numbers share, but for one (of Qwen's
 * tokenizer, which has a token per digit: from 20 steps on). */
#ifndef PIPELINE_LOCATE_JUDGE_READ_H
#define PIPELINE_LOCATE_JUDGE_READ_H

#include "pipeline/locate/labelled.h"
#include "pipeline/run/session.h"

/* The format that a judging session is opened with. */
extern const struct pipe_prompt_format pipe_format_judge;

/* Arrays of step_count entries of the caller. */
struct pipe_judge_reading {
    double *asked, *numbers, *surprise;
};

/* *tokens: how many were read; 0: the solution does not fit into the session's context, or the
 * tokenizer does not give its text back, and nothing was read. */
RT_CHECKED rt_status pipe_judge_read(struct pipe_session *session, struct rt_model *model,
                                     const struct pipe_labelled *item,
                                     const struct pipe_judge_reading *out,
                                     uint64_t *tokens);

/* Makes log weights log shares: of 1 among all. Returns the log of their sum. count > 0. */
double pipe_log_shares(double *logs, uint32_t count);

#endif

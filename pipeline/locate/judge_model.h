/* pipeline/locate/judge_model.h
 * The locator `judge`: a model reads a problem and its numbered steps once (judge_read.h) and
 * says two things: which step it would call the first wrong one, and which numbers it did not
 * expect.
 *
 *   first(k)   log P(step k is the first wrong one, if one is) = asked(k) + numbers(k), normalized
 *              over the steps of the solution. asked is the prior, by the model's own answer;
 *              exp(numbers) the likelihood ratio of the step's numbers: of a wrong step any
 *              number is as likely as another, of a right one they have the model's probability.
 *              Both have weight 1: there is nothing to fit
 *   doubt      log of what the sum was before, less its mean over all solutions that are judged
 *              together: over 0, the solution is doubted. What a model generally answers cancels
 *              out, without a label (joint over a batch as arXiv 2605.10158 is)
 *
 * The model never sees a reference, a label or the final answer's correctness. */
#ifndef PIPELINE_LOCATE_JUDGE_MODEL_H
#define PIPELINE_LOCATE_JUDGE_MODEL_H

#include "pipeline/locate/judge_read.h"

/* What is asked, in words, with a version: it changes when judge_read.h changes the text or the
 * meaning of a number, and readings that were kept under another one are not used
 * (judge_store.h). */
extern const char pipe_judge_question[];

/* What a model says of one solution; arrays of its steps, owned. */
struct pipe_judgement {
    double *first; /* log probability that the step is the first wrong one, if one is */
    double doubt;  /* over 0: that some step is wrong */
    double *surprise; /* the largest margin against a token of the step, nats */
    uint64_t tokens;  /* that were read, now or before */
};

/* Who judges. */
struct pipe_judge_by {
    const char *folder; /* or GGUF file, that of the session; borrowed */
    struct rt_model
        *model; /* of that folder, borrowed; NULL: loaded if one must be read */
};

/* out: set->count entries, of which those of solutions that cannot be read (judge_read.h) stay
 * null. *tokens: how many were read, now or before. Each solution is kept in the session's
 * results file as soon as it is read, and what is there is not read again. wrong_only: solutions
 * whose final answer is known to be right are not read, their entries stay null. */
RT_CHECKED rt_status pipe_judge_set(struct pipe_session *session,
                                    const struct pipe_judge_by *by,
                                    const struct pipe_labelled_set *set, bool wrong_only,
                                    struct pipe_judgement *out, uint64_t *tokens);
void pipe_judgements_free(struct pipe_judgement *all, uint32_t count);

/* first[k] of `steps` steps from what was read, in place if it is `asked`; returns the log of
 * the sum. */
double pipe_judge_joint(double *first, const double *asked, const double *numbers,
                        uint32_t steps);

#endif

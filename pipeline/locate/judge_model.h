/* pipeline/locate/judge_model.h
 * The locator `judge`: a model reads a problem and its numbered steps, with "yes" written behind
 * each as the answer to "Right?", and its probability of that "yes" says where it first
 * doubts. One teacher-forced pass per solution gives all steps, and the model's surprise at
 * every step beside it.
 *
 *   doubt of step k     z(k) = log p(best other token) - log p(yes)
 *   over the batch      z'(k) = (z(k) - mean) / deviation - log(steps per solution - 1), over
 *                       all steps of all solutions that are judged together, so that a step of
 *                       mean doubt has the odds of one fault per solution: what a model generally answers cancels out, without
 *                       a label (after arXiv 2605.10158, whose score is joint over a batch too;
 *                       theirs puts several solutions into one context, ours does not)
 *   first faulty step   log P(k) = sum over j < k of log s(-z'(j)) + log s(z'(k)), s the logistic
 *                       function; log P(none) = the sum over all steps of log s(-z'(j))
 *
 * The model never sees a reference, a label or the final answer's correctness. */
#ifndef PIPELINE_LOCATE_JUDGE_MODEL_H
#define PIPELINE_LOCATE_JUDGE_MODEL_H

#include "pipeline/locate/labelled.h"
#include "pipeline/run/session.h"

/* The format that a judging session is opened with. */
extern const struct pipe_prompt_format pipe_format_judge;
/* What is written between the steps and read back from them, in words, with a version: it
 * changes when `mark` or the meaning of a number changes, and readings that were kept under
 * another one are not used (judge_store.h). */
extern const char pipe_judge_question[];

/* What a model says of one solution; arrays of its steps, owned. */
struct pipe_judgement {
    double *first;    /* log probability that the step is the first wrong one */
    double none;      /* log probability that none is */
    double *surprise; /* the largest margin against a token of the step, nats */
};

/* model: folder or GGUF file, that of the session. out: set->count entries, of which those of solutions that do not fit into the model's
 * context stay null. *tokens: how many were read, now or before. Each solution is kept in the
 * session's results file as soon as it is read, and what is there is not read again. */
RT_CHECKED rt_status pipe_judge_set(struct pipe_session *session, const char *model,
                                    const struct pipe_labelled_set *set,
                                    struct pipe_judgement *out, uint64_t *tokens);
void pipe_judgements_free(struct pipe_judgement *all, uint32_t count);

/* The joint score by itself: doubts in place, steps[i] of them per solution, one after the
 * other; none[i] gets log P(none). */
void pipe_judge_joint(double *doubts, const uint32_t *steps, uint32_t count,
                      double *none);

#endif

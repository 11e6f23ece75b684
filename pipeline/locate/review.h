/* pipeline/locate/review.h
 * Verdicts for people and outside judges to decide on: questions out, votes in.
 *
 * Out, one JSON object per located answer:
 *   {"fault", "problem_id", "question", "steps": [...], "step", "category", "confidence"}
 *   steps count from 0; the last three are left out if the judges are to be blind.
 * In, one object per fault and judge:
 *   {"fault", "judge", "step"}   step null: this judge abstains; -1: no step is wrong
 *
 * The majority of a fault's votes is its `vote` row; a tie, and a fault that all abstain on,
 * has none. The verdict is confirmed if the majority names its step, rejected if it names
 * another or none, and stays as it is otherwise. A rejected fault is not trained on. */
#ifndef PIPELINE_LOCATE_REVIEW_H
#define PIPELINE_LOCATE_REVIEW_H

#include "pipeline/record.h"
#include "store/store.h"

enum { PIPE_JUDGES_MAX = 16 };

/* Hands out one line per fault, without its line end. */
typedef rt_status pipe_line_fn(void *user, const char *line);
/* run: id of a locate run, "": the newest. RT_ERR_USAGE: there is none. */
RT_CHECKED rt_status pipe_review_questions(struct rt_ctx *ctx, struct store *store,
                                           const char *run, bool blind, pipe_line_fn *fn,
                                           void *user);

struct pipe_review_result {
    uint32_t faults, voted, confirmed, rejected, tied;
    uint32_t judges;
    double kappa;         /* Cohen's, mean over pairs of judges; NaN: no pair */
    double kappa_verdict; /* of the majority and the verdict; NaN: no majority */
};

/* Reads votes of files (JSON Lines) on the verdicts of a run and writes rows. RT_ERR_INPUT: a
 * fault of another run, a step that is not there, two votes of one judge on one fault, more
 * than PIPE_JUDGES_MAX judges; then nothing is written. */
RT_CHECKED rt_status pipe_review_votes(struct rt_ctx *ctx, struct store *store,
                                       const char *run, const char *const *paths,
                                       uint32_t count, struct pipe_review_result *out);

/* Cohen's kappa of two judges over the items on which both say something; < -1 entries are
 * abstentions. NaN if there are none, or chance agreement is perfect. */
double pipe_kappa(const int32_t *a, const int32_t *b, uint32_t count);

#endif

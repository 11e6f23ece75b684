/* pipeline/locate/review.h
 * Verdicts for people and outside judges to decide on: questions out, votes in.
 *
 * Out, one JSON object per located answer:
 *   {"fault", "problem_id", "question", "steps": [...], "step", "category", "confidence"}
 *   steps count from 0; the last three are left out if the judges are to be blind.
 * In, one object per fault and judge:
 *   {"fault", "judge", "step"}   step null: this judge abstains; -1: no step is wrong
 *
 * A vote is a row; a later one of the same judge on the same fault takes its place. The majority
 * of a fault's stored votes is its `vote` row; a tie, and a fault that all abstain on, has
 * none. The verdict is confirmed if the majority names its step, rejected if it names another
 * or none, and stays as it is otherwise. A rejected fault is not trained on. */
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
 * fault of another run, a step that is not there, two votes of one judge on one fault in these
 * files, more than PIPE_JUDGES_MAX judges with those stored; then nothing is written. */
RT_CHECKED rt_status pipe_review_votes(struct rt_ctx *ctx, struct store *store,
                                       const char *run, const char *const *paths,
                                       uint32_t count, struct pipe_review_result *out);

/* ---- vote by vote ---- */

enum { PIPE_VOTE_OPEN = -3, PIPE_VOTE_ABSTAINS = -2, PIPE_VOTE_NONE_WRONG = -1 };

struct pipe_review_fault {
    const char *id, *gen, *problem, *question, *output, *category; /* borrowed */
    int32_t named; /* step of the verdict, -1: none */
    double confidence;
    struct pipe_review_span {
        uint32_t start, end; /* bytes of output, without blanks at the end */
    } * steps;
    uint32_t step_count;
    int32_t votes[PIPE_JUDGES_MAX]; /* steps from 0, or PIPE_VOTE_ */
    uint32_t read;                  /* bit j: judge j votes in the files at hand */
};

/* The verdicts of a locate run with the votes that are stored. */
struct pipe_review;
/* run: id of a locate run, "": the newest. RT_ERR_USAGE: there is none. `store` is borrowed and
 * outlives the review. */
RT_CHECKED rt_status pipe_review_open(struct rt_ctx *ctx, struct store *store,
                                      const char *run, struct pipe_review **out);
void pipe_review_close(struct pipe_review **review);
uint32_t pipe_review_count(const struct pipe_review *review);
/* By problem and answer; borrowed, changed by a vote. */
const struct pipe_review_fault *pipe_review_fault_at(const struct pipe_review *review,
                                                     uint32_t index);
/* Index of a judge of that name. RT_ERR_USAGE: there are PIPE_JUDGES_MAX others. */
RT_CHECKED rt_status pipe_review_judge(struct pipe_review *review, const char *name,
                                       uint32_t *judge);
/* Stores a vote and what the votes on this fault decide now, before it returns. step: below
 * the fault's step_count, or PIPE_VOTE_; PIPE_VOTE_OPEN takes a vote back. */
RT_CHECKED rt_status pipe_review_vote(struct pipe_review *review, uint32_t index,
                                      uint32_t judge, int32_t step);
/* What all stored votes decide and how far judges agree. */
RT_CHECKED rt_status pipe_review_agreement(const struct pipe_review *review,
                                           struct pipe_review_result *out);

/* Cohen's kappa of two judges over the items on which both say something; < -1 entries are
 * abstentions. NaN if there are none, or chance agreement is perfect. */
double pipe_kappa(const int32_t *a, const int32_t *b, uint32_t count);

#endif

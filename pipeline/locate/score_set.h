/* pipeline/locate/score_set.h
 * The locators asked about every solution of a labelled set, with no model or with one that
 * judges or continues, and how often each names the labelled step (score_labelled.h). Each
 * locator answers for three kinds of readers: one that does not know whether the final answer
 * is right, one that knows, and one that is given the right answer. */
#ifndef PIPELINE_LOCATE_SCORE_SET_H
#define PIPELINE_LOCATE_SCORE_SET_H

#include "pipeline/locate/judge_model.h"
#include "pipeline/locate/rollout_labelled.h"
#include "pipeline/locate/score_labelled.h"
#include "pipeline/prompt/locate_check.h"

/* The baseline; what locates; the verdict, and its most probable step without abstaining; then
 * the rules of the check by themselves. */
enum pipe_scored {
    PIPE_SCORED_SECOND_STEP,
    PIPE_SCORED_CHECK,
    PIPE_SCORED_MEND,
    PIPE_SCORED_JUDGE,
    PIPE_SCORED_SURPRISE,
    PIPE_SCORED_ROLLOUT, /* of the reader who is given the right answer; no part of the verdict */
    PIPE_SCORED_VERDICT,
    PIPE_SCORED_VERDICT_ALWAYS,
    PIPE_SCORED_RULES,
    PIPE_SCORED = PIPE_SCORED_RULES + PIPE_CHECK_RULE_COUNT
};
/* "second-step", "check", ...; the names of the rules behind them. */
const char *pipe_scored_name(uint32_t locator);

/* What a reader knows: nothing, whether the final answer is right, or the right one. */
enum pipe_knows { PIPE_KNOWS_NOTHING, PIPE_KNOWS_FINAL, PIPE_KNOWS_ANSWER, PIPE_KNOWS };
/* "not known", "known", "given": the final answer. */
const char *pipe_knows_name(enum pipe_knows known);

/* A set and what was said of it. Zero with `name` and `set` filled is a valid start. */
struct pipe_score_set {
    const char *name; /* of the file, for evidence; borrowed */
    struct pipe_labelled_set set;
    /* Readers know whether the final answer is right: then the judge reads no solution that
     * ends right, and no row is for a reader who does not know. */
    bool final_known;
    struct pipe_judgement *judged; /* by record, owned; NULL: no model was asked */
    struct pipe_rolled *rolled;    /* the same */
    int32_t *said[PIPE_KNOWS][PIPE_SCORED]; /* by record: the step, -1: none; owned */
};
void pipe_score_set_deinit(struct pipe_score_set *s);

/* Keeps `limit` records (0: all), drawn by the seed without replacement, in the order of the
 * file: selection sampling (Knuth, TAOCP 2, algorithm 3.4.2 S). */
void pipe_labelled_draw(struct pipe_labelled_set *set, uint32_t limit, uint64_t seed);

/* Has the model of the session (opened with pipe_format_judge) judge the set. *tokens: how
 * many were read. */
RT_CHECKED rt_status pipe_score_judge(struct pipe_session *session, const char *model,
                                      struct pipe_score_set *s, uint64_t *tokens);

/* Asks roll-outs of the model of the session (opened with a format for solutions) about the
 * set: pipe_rollout_set. */
RT_CHECKED rt_status pipe_score_rollouts(struct pipe_session *session, const char *model,
                                         uint32_t samples, struct pipe_score_set *s);

/* What pipe_score_ask does beside asking. Zero: nothing. */
struct pipe_score_calls {
    const char *evidence; /* file that a line is added to for each record with a fault
                             (weights_fit.h); NULL: none */
    /* A step that the check names; NULL: nobody hears of it. */
    void (*named)(void *user, uint32_t record, const struct pipe_labelled *item,
                  const struct pipe_checked *c);
    void *user;
};
/* Fills s->said. RT_ERR_IO: the evidence cannot be written. */
RT_CHECKED rt_status pipe_score_ask(struct rt_ctx *ctx, struct pipe_score_set *s,
                                    const struct pipe_score_calls *calls);

/* One locator for one reader, over the records of one kind. */
struct pipe_score_row {
    const char *kind; /* borrowed; NULL: all records */
    uint32_t locator; /* enum pipe_scored */
    enum pipe_knows known;
    struct pipe_locator_score score;
    uint32_t wrongly;        /* steps named in records without a fault */
    double exact, precision; /* of records with a fault; of named steps; 0 of none */
    uint64_t tokens; /* that a model read or wrote for it; 0: no model was asked */
};
typedef void pipe_score_row_fn(void *user, const struct pipe_score_row *row);
/* All locators that speak, for every reader that the records allow, the best informed first;
 * what the right answer adds only if it adds something. kinds: then also the records of
 * each kind by itself, in order of appearance. After pipe_score_ask. */
RT_CHECKED rt_status pipe_score_each(struct rt_ctx *ctx, const struct pipe_score_set *s,
                                     bool kinds, pipe_score_row_fn *fn, void *user);

#endif

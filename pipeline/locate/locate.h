/* pipeline/locate/locate.h
 * The first faulty steps of wrong answers, and how far a variant moved from full. */
#ifndef PIPELINE_LOCATE_LOCATE_H
#define PIPELINE_LOCATE_LOCATE_H

#include "pipeline/run/answers.h"

/* Locators that cost more continuations, and are asked if named. check, twin and rollout always
 * are: training items come from their continuations. */
enum pipe_locator_more {
    /* Quant continues full's own right answer; twin-back with it. */
    PIPE_LOCATE_HANDOVER = 1,
    /* Quant continues after full's step in its own answer. */
    PIPE_LOCATE_SUBSTITUTE = 2,
    /* Draws of both after quant's wrong step. */
    PIPE_LOCATE_FORCED = 4,
    /* Full, asked in a chat, reads the answer and says which step it would call wrong. */
    PIPE_LOCATE_JUDGE = 8,
};
/* For how many tokens full is to be loaded if the judge is asked: at least the context of the
 * session, and twice that, or what the judge's prompt takes at most, for the answer with its
 * steps numbered. */
uint32_t pipe_judge_positions(const struct pipe_session *session);
/* Reads "handover,substitute" (check, twin and rollout may be named too) into bits.
 * RT_ERR_USAGE: a name that is no locator. */
RT_CHECKED rt_status pipe_locators_read(struct rt_ctx *ctx, const char *list,
                                        uint32_t *more);

/* Continuations that PIPE_LOCATE_FORCED draws where `samples` is 0, and of how many answers if
 * nothing is said. */
enum { PIPE_SAMPLES_MAX = 16, PIPE_FORCED_DRAWS = 2, PIPE_FORCED_MOST = 64 };

struct pipe_locate_options {
    uint32_t
        samples;   /* continuations drawn where the greedy one fails, so many at most */
    uint32_t more; /* bits of enum pipe_locator_more */
    uint32_t
        forced_most; /* PIPE_LOCATE_FORCED: of how many answers at most, evenly spread
                             over the list; UINT32_MAX: of all */
};

/* Locates the first faulty step of every wrong answer of `quant` (any variant) that full
 * answers right: fault rows of a run, whose id (STORE_ID bytes) is out. What was asked of
 * a model is durable as it comes, and found again; a run that is done is left as it is. */
RT_CHECKED rt_status
pipe_locate(struct pipe_session *session, const struct pipe_variant *full,
            const struct pipe_variant *quant, const struct pipe_bench *bench,
            const struct pipe_answers *f, const struct pipe_answers *q,
            const struct pipe_locate_options *options, char run_id[STORE_ID]);

/* One located problem, as its rows say. */
struct pipe_located {
    uint32_t problem; /* index in the split */
    int32_t step;     /* of the verdict, -1: none */
    enum pipe_category category;
    char *continuation; /* full's own text after the steps before it, NULL if not known */
    bool verified;      /* and that reaches the right answer */
    char fault_id[STORE_ID];
};
struct pipe_faults {
    struct pipe_located *items; /* in the order of the problems */
    uint32_t count;
};
/* The verdicts of a locate run that no person has rejected; `f` are full's answers. */
RT_CHECKED rt_status pipe_faults_read(struct pipe_session *session,
                                      const struct pipe_bench *bench,
                                      const struct pipe_answers *f,
                                      const char *locate_run, struct pipe_faults *out);
void pipe_faults_deinit(struct pipe_faults *faults);
/* The same locators on right answers of full with one step altered at a known place:
 * how often they name it. Half wrong values, half wrong operands or operators. Of the options
 * the samples and the judge count. */
RT_CHECKED rt_status pipe_locate_injected(struct pipe_session *session,
                                          const struct pipe_variant *full,
                                          const struct pipe_bench *bench,
                                          const struct pipe_answers *f, uint32_t count,
                                          const struct pipe_locate_options *options);

/* How far a variant is from full along full's own answers: nats per token, and the share of
 * tokens with the same first choice. No tokens: full answered nothing, the others are NaN. */
struct pipe_diverged {
    double kl, same_top;
    uint32_t tokens;
};
/* KL(full || variant) and share of equal first choices, teacher-forced over full's own
 * answers to the first problems of a split; metrics of the variant's run, which are read
 * where they are there already and of the same full model. */
RT_CHECKED rt_status pipe_divergence(struct pipe_session *session,
                                     const struct pipe_variant *full,
                                     const struct pipe_variant *variant,
                                     const struct pipe_bench *bench,
                                     const struct pipe_answers *f, const char *run_id,
                                     struct pipe_diverged *out);

#endif

/* pipeline/locate/damage.h
 * What a variant lost beside accuracy: how long its answers are, how they end, and where they
 * leave full's. Counts over the same problems; no model is asked. */
#ifndef PIPELINE_LOCATE_DAMAGE_H
#define PIPELINE_LOCATE_DAMAGE_H

#include "pipeline/run/answers.h"

/* Of `problems` answers; an answer of no tokens (an error) is one without a readable answer. */
struct pipe_damage {
    uint32_t problems;
    double length_ratio; /* tokens of all answers, over full's; NaN: full wrote none */
    double tokens_each; /* of an answer in the mean, with those that rescues threw away */
    uint32_t rescued;   /* taken out of a loop (run/rescue.h) */
    uint32_t loops;     /* the same tokens again and again: pipe_form_degenerate */
    uint32_t no_answer; /* no final answer can be read */
    uint32_t went_on;   /* one can, and the answer still ran into the token cap */
    uint32_t early_end; /* none can, and the model ended the answer by itself */
    uint32_t in_form;   /* pipe_answer_in_form: one can, where the prompt asks for it */
    /* Of answers whose tokens are not full's: the median number of the first differing token
     * from 1 on, and of the margins over the runner-up there, nats, in both models. NaN where
     * there is none. */
    uint32_t differing;
    double first_token, margin, margin_full;
    /* Against quant: right answers more, and how many more of those where both answers end by
     * themselves with a readable answer and no loop. */
    int32_t gain, gain_ended;
};

/* `q` NULL: no quantized model to compare with. All of the same problems. */
RT_CHECKED rt_status pipe_damage_of(struct rt_ctx *ctx, const struct pipe_answers *f,
                                    const struct pipe_answers *q,
                                    const struct pipe_answers *a,
                                    struct pipe_damage *out);
/* Whether a gain comes with changed endings: at least half of it is lost where only problems
 * count that end properly in both. */
bool pipe_damage_by_ending(const struct pipe_damage *damage);
/* Metrics of the variant's eval run. */
RT_CHECKED rt_status pipe_damage_save(struct pipe_session *session,
                                      const struct pipe_answers *f,
                                      const struct pipe_answers *q,
                                      const struct pipe_answers *a);

#endif

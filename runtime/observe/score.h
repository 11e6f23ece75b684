/* runtime/observe/score.h
 * Teacher-forced passes: what models say about given tokens. No gradients. Moments of the
 * inputs of layers are in runtime/observe/moments.h. */
#ifndef RUNTIME_OBSERVE_SCORE_H
#define RUNTIME_OBSERVE_SCORE_H

#include "runtime/observe/sequence.h"

struct rt_scorer;

/* `other` (null: none) is a second model on the same device and vocabulary; with it
 * KL(other || model) is measured per token. */
RT_CHECKED rt_status rt_scorer_create(struct rt_model *model, struct rt_adapter *adapter,
                                      struct rt_model *other, uint32_t rows,
                                      struct rt_scorer **out);
void rt_scorer_destroy(struct rt_scorer **scorer);
/* From now on products are computed as in training (struct rt_plan.rounded): the reference
 * of preference losses must have the numerics of what is held against it. Before the first
 * run. */
void rt_scorer_as_training(struct rt_scorer *scorer);

/* Per target token, in batch order. Arrays of the caller, as many entries as there
 * are targets, NULL if not wanted. */
struct score_out {
    float *logprob; /* log p(token) under the model */
    float *margin;  /* log p(token) - max log p(other token) */
    uint32_t *best; /* the model's own first choice */
    float *kl;      /* KL(other || model), needs `other` */
    uint8_t *same;  /* 1: both models' first choices agree, needs `other` */
};
RT_CHECKED rt_status rt_scorer_run(struct rt_scorer *scorer,
                                   const struct train_sequence *batch, uint32_t count,
                                   const struct score_out *out);
/* log p of each of `count` tokens in place of target `target` of the last run, given what
 * stands before it there. */
RT_CHECKED rt_status rt_scorer_instead(struct rt_scorer *scorer, uint32_t target,
                                       const uint32_t *tokens, uint32_t count,
                                       double *out);
/* Logits of all rows of one sequence of n ids, [n][vocab] floats. */
RT_CHECKED rt_status rt_scorer_logits(struct rt_scorer *scorer, const uint32_t *ids,
                                      uint32_t n, float *out);

#endif

/* runtime/train/score.h
 * Teacher-forced passes: what models say about given tokens, and second moments of
 * the inputs of every linear group. No gradients. */
#ifndef RUNTIME_TRAIN_SCORE_H
#define RUNTIME_TRAIN_SCORE_H

#include "runtime/train/train.h"

struct rt_scorer;

/* `other` (null: none) is a second model on the same device and vocabulary; with it
 * KL(other || model) is measured per token. */
RT_CHECKED rt_status rt_scorer_create(struct rt_model *model, struct rt_adapter *adapter,
                                      struct rt_model *other, uint32_t rows,
                                      struct rt_scorer **out);
void rt_scorer_destroy(struct rt_scorer **scorer);

/* Per target token, in batch order. Arrays of the caller, as many entries as there
 * are targets; null: not wanted. */
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
/* Logits of all rows of one sequence of n ids, [n][vocab] floats. */
RT_CHECKED rt_status rt_scorer_logits(struct rt_scorer *scorer, const uint32_t *ids,
                                      uint32_t n, float *out);

/* Sums X^T X of the inputs of every (layer, group) over all rows of the sequences,
 * on the device in float per batch. moments[l * MODEL_GROUP_COUNT + g] holds in x in
 * doubles of the caller and is added to; *count += rows. */
RT_CHECKED rt_status rt_scorer_moments(struct rt_scorer *scorer,
                                       const struct train_sequence *batch, uint32_t count,
                                       double *const *moments, uint64_t *rows);

#endif

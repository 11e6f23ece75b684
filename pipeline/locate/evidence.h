/* pipeline/locate/evidence.h
 * What all locators say about one wrong answer, and the verdict that weighs it.
 *
 * Every step k gets a score, the sum of weights of the signs that hold for it. The probability
 * that k is the first faulty step is the softmax of the scores over the steps of the answer.
 * The verdict is the most probable step; below PIPE_VERDICT_LEAST it abstains. Signs of a
 * locator that was not asked are zero for every step, so they drop out.
 *
 * The weights are fitted (weights_fit.h) and stand in weights.def, with the command and the
 * sets that they come from. */
#ifndef PIPELINE_LOCATE_EVIDENCE_H
#define PIPELINE_LOCATE_EVIDENCE_H

#include "pipeline/locate/locate_rules.h"
#include "pipeline/prompt/contrast.h"
#include "pipeline/prompt/dialect.h"

enum pipe_sign {
#define SIGN(name, weight) PIPE_SIGN_##name,
#include "pipeline/locate/weights.def"
#undef SIGN
    PIPE_SIGNS
};

/* More likely right than not: named by the verdict only from here on. */
#define PIPE_VERDICT_LEAST 0.5

const char *pipe_sign_name(enum pipe_sign sign);
/* The fitted table. */
extern const double pipe_weights[PIPE_SIGNS];

/* All borrowed; a null pointer: that locator was not asked. */
struct pipe_testimony {
    uint32_t step_count;
    const struct pipe_checked *check;
    const struct pipe_contrasted *contrast;
    const struct pipe_rollout_result *rollout;
    int32_t twin;   /* step, -1: none or not asked */
    bool twin_sure; /* by PIPE_TWIN_SURE */
    /* Step, counted from 1; 0: none, or not asked. Counts only where no search was asked. */
    uint32_t mend;
    bool mend_sign; /* by an operator, not by an operand */
    /* Steps that these name, counted from 1; 0: none, or not asked. No sign of the verdict: for
     * evidence files. */
    uint32_t handover, twin_back, substitute;
    const float
        *surprise;       /* per step: the largest margin of full against a token, nats */
    const double *judge; /* per step: log probability that it is the first wrong one */
};

/* The signs of step k. */
void pipe_signs_of(const struct pipe_testimony *t, uint32_t k, double signs[PIPE_SIGNS]);

/* The most probable step under these weights and its probability. -1: no locator speaks. */
int32_t pipe_most_probable(const struct pipe_testimony *t, const double *weights,
                           double *probability);

/* The probability of step k under the fitted weights: what a locator by itself is worth, where
 * the testimony holds that locator only. 0 for k < 0. */
double pipe_probability(const struct pipe_testimony *t, int32_t k);

/* The verdict: step, confidence and whose token it is. `check`, `rollout` and `twin` give the
 * category (check's if it names that step) and the token; any may be null. A category that
 * nobody knows is `by_difference`. */
void pipe_verdict(const struct pipe_testimony *t, const struct pipe_fault *check,
                  const struct pipe_fault *twin, enum pipe_category by_difference,
                  struct pipe_fault *out);

#endif

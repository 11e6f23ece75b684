/* pipeline/locate/evidence.h
 * What all locators say about one wrong answer, and the verdict that weighs it.
 *
 * The verdict is the step that most locators name. Ties go to the more probable step: every
 * step k gets a score, the sum of weights of the signs that hold for it, and the probability
 * that k is the first faulty step is the softmax of the scores over the steps of the answer.
 * Signs of a locator that was not asked are zero for every step, so they drop out.
 *
 * The confidence, where models were asked, is a logistic function of the number of locators that
 * name the step and of how unsure quant was before it; below PIPE_SURE_least the verdict
 * abstains. From the text alone it is the probability, and the verdict abstains below
 * PIPE_VERDICT_LEAST.
 *
 * Weights and the numbers of the confidence are fitted (weights_fit.h, confidence_fit.h) and
 * stand in weights.def, with the command and the sets that they come from. */
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

/* What the confidence is made of; the last one is the least at which the verdict speaks. */
enum pipe_sure {
#define SURE(name, value) PIPE_SURE_##name,
#include "pipeline/locate/weights.def"
#undef SURE
    PIPE_SURES
};

/* More likely right than not: named from the text alone only from here on. */
#define PIPE_VERDICT_LEAST 0.5

const char *pipe_sign_name(enum pipe_sign sign);
const char *pipe_sure_name(enum pipe_sure value);
/* The fitted tables. */
extern const double pipe_weights[PIPE_SIGNS];
extern const double pipe_sures[PIPE_SURES];

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
    const double *unsure; /* per step: pipe_unsure at its least margin */
    const double *judge;  /* per step: log probability that it is the first wrong one */
};

/* The signs of step k. */
void pipe_signs_of(const struct pipe_testimony *t, uint32_t k, double signs[PIPE_SIGNS]);

/* How probable the runner-up was against the token that a model chose by `margin` nats. */
double pipe_unsure(double margin);
/* How unsure quant was before a step: the largest of the steps before. 0: unsure is null. */
double pipe_unsure_before(const double *unsure, uint32_t step);
/* Where the largest of some values stands, of equal ones the first. count > 0. */
uint32_t pipe_largest(const double *values, uint32_t count);
/* The step that most locators name, of several the more probable. */
uint32_t pipe_choose(const uint32_t *named_by, const double *probability, uint32_t count);
/* The logistic function of what a verdict by models is believed for. */
double pipe_sureness(const double sures[PIPE_SURES], uint32_t named_by,
                     double unsure_before);

/* The step of the verdict without abstaining, and its confidence. -1: no locator speaks. */
int32_t pipe_verdict_step(const struct pipe_testimony *t, double *confidence);

/* How many locators name step k: check, rollout, twin, contrast, and mend where no search was
 * asked. */
uint32_t pipe_named_by(const struct pipe_testimony *t, uint32_t k);
/* The probability of step k under the fitted weights: what a locator by itself is worth, where
 * the testimony holds that locator only. 0 for k < 0. */
double pipe_probability(const struct pipe_testimony *t, int32_t k);

/* The verdict: step, confidence and whose token it is. `check`, `rollout` and `twin` give the
 * category (check's if it names that step) and the token; any may be null. A category that
 * nobody knows is `by_difference`. An answer of no step is degenerate: no step is named, and
 * the evidence says that there is no answer. */
#define PIPE_VERDICT_NO_ANSWER "{\"by\":\"none\",\"rule\":\"no answer\"}"
void pipe_verdict(const struct pipe_testimony *t, const struct pipe_fault *check,
                  const struct pipe_fault *twin, enum pipe_category by_difference,
                  struct pipe_fault *out);

#endif

/* pipeline/locate/evidence.c
 * Signs of a step, their sum, and the verdict. */
#include "pipeline/locate/evidence.h"

#include <assert.h>
#include <math.h>
#include <string.h>

const double pipe_weights[PIPE_SIGNS] = {
#define SIGN(name, weight) weight,
#include "pipeline/locate/weights.def"
#undef SIGN
};

const char *pipe_sign_name(enum pipe_sign sign)
{
    static const char *const names[PIPE_SIGNS] = {
#define SIGN(name, weight) #name,
#include "pipeline/locate/weights.def"
#undef SIGN
    };
    assert(sign < PIPE_SIGNS);
    return names[sign];
}

static void signs_of_check(const struct pipe_checked *c, uint32_t k, double *signs)
{
    static const enum pipe_sign of_rule[PIPE_CHECK_RULE_COUNT] = {
        [PIPE_CHECK_NONE] = PIPE_SIGN_check_false,
        [PIPE_CHECK_REPETITION] = PIPE_SIGN_check_repetition,
        [PIPE_CHECK_ARITHMETIC] = PIPE_SIGN_check_false,
        [PIPE_CHECK_COPY] = PIPE_SIGN_check_false,
        [PIPE_CHECK_UNKNOWN] = PIPE_SIGN_check_unknown,
        [PIPE_CHECK_ANSWER] = PIPE_SIGN_check_answer,
    };
    if (!c || c->step < 0)
        return;
    for (int r = 1; r < PIPE_CHECK_RULE_COUNT; r++)
        if (c->named[r] == k + 1)
            signs[of_rule[r]] = 1;
    if (c->rule == PIPE_CHECK_NONE && c->step == (int32_t)k)
        signs[of_rule[c->rule]] = 1;
    signs[PIPE_SIGN_check_passed] = c->step < (int32_t)k;
}

/* Beside the step that the search names: whether a prefix without step k cannot be finished
 * any more, so that the harm is before it. */
static void signs_of_rollout(const struct pipe_rollout_result *r, uint32_t k,
                             double *signs)
{
    if (!r || r->lost_from_start)
        return;
    const enum pipe_sign named =
        r->monotone ? PIPE_SIGN_rollout_sure : PIPE_SIGN_rollout_unsure;
    if (r->step == (int32_t)k)
        signs[named] = 1;
    for (uint32_t kept = 0; kept <= k && kept <= PIPE_ROLLOUT_MAX; kept++)
        if (r->can[kept] == 0)
            signs[PIPE_SIGN_rollout_lost] = 1;
}

static void signs_of_contrast(const struct pipe_contrasted *c, uint32_t k, double *signs)
{
    if (!c || c->step < 0)
        return;
    const enum pipe_sign named = c->end ? PIPE_SIGN_contrast_end
                                 : c->of[k] == PIPE_CONTRAST_OWNER
                                     ? PIPE_SIGN_contrast_owner
                                     : PIPE_SIGN_contrast_new;
    if (c->step == (int32_t)k)
        signs[named] = 1;
    signs[PIPE_SIGN_contrast_before] = c->step > (int32_t)k;
    signs[PIPE_SIGN_contrast_passed] = c->step < (int32_t)k;
}

void pipe_signs_of(const struct pipe_testimony *t, uint32_t k, double signs[PIPE_SIGNS])
{
    memset(signs, 0, PIPE_SIGNS * sizeof *signs);
    signs_of_check(t->check, k, signs);
    signs_of_rollout(t->rollout, k, signs);
    signs_of_contrast(t->contrast, k, signs);
    if (t->twin >= 0 && t->twin == (int32_t)k)
        signs[t->twin_sure ? PIPE_SIGN_twin_sure : PIPE_SIGN_twin_weak] = 1;
    if (t->judge)
        signs[PIPE_SIGN_judge] = t->judge[k];
    if (t->mend == k + 1 && !t->rollout) /* models know more */
        signs[t->mend_sign ? PIPE_SIGN_mend_operator : PIPE_SIGN_mend_operand] = 1;
}

static bool speaks(const struct pipe_testimony *t)
{
    return t->judge || t->mend || t->twin >= 0 || (t->check && t->check->step >= 0) ||
           (t->contrast && t->contrast->step >= 0) ||
           (t->rollout && t->rollout->step >= 0);
}

/* Probabilities of all steps; the index of the largest. */
static uint32_t weigh(const struct pipe_testimony *t, const double *weights, double *p)
{
    double total = 0;
    uint32_t best = 0;
    assert(t->step_count > 0 && t->step_count <= PIPE_STEPS_MAX);
    for (uint32_t k = 0; k < t->step_count; k++) {
        double signs[PIPE_SIGNS];
        pipe_signs_of(t, k, signs);
        p[k] = 0;
        for (int s = 0; s < PIPE_SIGNS; s++)
            p[k] += weights[s] * signs[s];
        if (p[k] > p[best])
            best = k;
    }
    const double most = p[best];
    for (uint32_t k = 0; k < t->step_count; k++)
        total += p[k] = exp(p[k] - most);
    for (uint32_t k = 0; k < t->step_count; k++)
        p[k] /= total;
    return best;
}

int32_t pipe_most_probable(const struct pipe_testimony *t, const double *weights,
                           double *probability)
{
    double p[PIPE_STEPS_MAX];
    *probability = 0;
    if (t->step_count == 0 || !speaks(t))
        return -1;
    const uint32_t best = weigh(t, weights, p);
    *probability = p[best];
    return (int32_t)best;
}

double pipe_probability(const struct pipe_testimony *t, int32_t k)
{
    double p[PIPE_STEPS_MAX];
    if (k < 0 || (uint32_t)k >= t->step_count)
        return 0;
    (void)weigh(t, pipe_weights, p);
    return p[k];
}

void pipe_verdict(const struct pipe_testimony *t, const struct pipe_fault *check,
                  const struct pipe_fault *twin, enum pipe_category by_difference,
                  struct pipe_fault *out)
{
    double p;
    const int32_t step = pipe_most_probable(t, pipe_weights, &p);
    *out = (struct pipe_fault){
        .locator = "verdict", .step = -1, .token = -1, .confidence = p, .evidence = "{}"
    };
    if (step < 0 || !(p >= PIPE_VERDICT_LEAST))
        return;
    out->step = step;
    if (twin && twin->step == step)
        out->token = twin->token;
    if (check && check->step == step)
        out->category = check->category;
    if (out->category == PIPE_CAT_NONE || out->category == PIPE_CAT_UNCLASSIFIED)
        out->category =
            by_difference == PIPE_CAT_NONE ? PIPE_CAT_UNCLASSIFIED : by_difference;
}

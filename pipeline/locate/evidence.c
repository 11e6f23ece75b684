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

const double pipe_sures[PIPE_SURES] = {
#define SURE(name, value) value,
#include "pipeline/locate/weights.def"
#undef SURE
};

const char *pipe_sure_name(enum pipe_sure value)
{
    static const char *const names[PIPE_SURES] = {
#define SURE(name, value) #name,
#include "pipeline/locate/weights.def"
#undef SURE
    };
    assert(value < PIPE_SURES);
    return names[value];
}

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

/* Probabilities of all steps. */
static void weigh(const struct pipe_testimony *t, const double *weights, double *p)
{
    double total = 0, most = -INFINITY;
    assert(t->step_count > 0 && t->step_count <= PIPE_STEPS_MAX);
    for (uint32_t k = 0; k < t->step_count; k++) {
        double signs[PIPE_SIGNS];
        pipe_signs_of(t, k, signs);
        p[k] = 0;
        for (int s = 0; s < PIPE_SIGNS; s++)
            p[k] += weights[s] * signs[s];
        most = p[k] > most ? p[k] : most;
    }
    for (uint32_t k = 0; k < t->step_count; k++)
        total += p[k] = exp(p[k] - most);
    for (uint32_t k = 0; k < t->step_count; k++)
        p[k] /= total;
}

double pipe_unsure(double margin)
{
    return 1 / (1 + exp(margin));
}

double pipe_unsure_before(const double *unsure, uint32_t step)
{
    double most = 0;
    for (uint32_t k = 0; unsure && k < step; k++)
        most = unsure[k] > most ? unsure[k] : most;
    return most;
}

uint32_t pipe_named_by(const struct pipe_testimony *t, uint32_t k)
{
    const int32_t step = (int32_t)k;
    return (uint32_t)((t->check && t->check->step == step) +
                      (t->rollout && t->rollout->step == step) + (t->twin == step) +
                      (t->contrast && t->contrast->step == step) +
                      (!t->rollout && t->mend == k + 1));
}

uint32_t pipe_largest(const double *values, uint32_t count)
{
    uint32_t best = 0;
    for (uint32_t k = 1; k < count; k++)
        if (values[k] > values[best])
            best = k;
    return best;
}

uint32_t pipe_choose(const uint32_t *named_by, const double *probability, uint32_t count)
{
    uint32_t best = 0;
    for (uint32_t k = 1; k < count; k++)
        if (named_by[k] > named_by[best] ||
            (named_by[k] == named_by[best] && probability[k] > probability[best]))
            best = k;
    return best;
}

double pipe_sureness(const double sures[PIPE_SURES], uint32_t named_by,
                     double unsure_before)
{
    return 1 / (1 + exp(-(sures[PIPE_SURE_base] + sures[PIPE_SURE_named_by] * named_by +
                          sures[PIPE_SURE_unsure_before] * unsure_before)));
}

int32_t pipe_verdict_step(const struct pipe_testimony *t, double *confidence)
{
    double p[PIPE_STEPS_MAX];
    uint32_t named_by[PIPE_STEPS_MAX];
    *confidence = 0;
    if (t->step_count == 0 || !speaks(t))
        return -1;
    weigh(t, pipe_weights, p);
    for (uint32_t k = 0; k < t->step_count; k++)
        named_by[k] = pipe_named_by(t, k);
    const uint32_t best = pipe_choose(named_by, p, t->step_count);
    *confidence = t->rollout ? pipe_sureness(pipe_sures, named_by[best],
                                             pipe_unsure_before(t->unsure, best))
                             : p[best];
    return (int32_t)best;
}

double pipe_probability(const struct pipe_testimony *t, int32_t k)
{
    double p[PIPE_STEPS_MAX];
    if (k < 0 || (uint32_t)k >= t->step_count)
        return 0;
    weigh(t, pipe_weights, p);
    return p[k];
}

void pipe_verdict(const struct pipe_testimony *t, const struct pipe_fault *check,
                  const struct pipe_fault *twin, enum pipe_category by_difference,
                  struct pipe_fault *out)
{
    double p;
    const int32_t step = pipe_verdict_step(t, &p);
    const double least = t->rollout ? pipe_sures[PIPE_SURE_least] : PIPE_VERDICT_LEAST;
    *out = (struct pipe_fault){
        .locator = "verdict", .step = -1, .token = -1, .confidence = p
    };
    if (t->step_count == 0)
        out->category = PIPE_CAT_DEGENERATE;
    out->evidence = t->step_count == 0 ? PIPE_VERDICT_NO_ANSWER : "{\"by\":\"none\"}";
    if (step < 0 || !(p >= least))
        return;
    out->step = step;
    out->evidence = "{\"by\":\"voices\"}";
    if (twin && twin->step == step)
        out->token = twin->token;
    if (check && check->step == step)
        out->category = check->category;
    if (out->category == PIPE_CAT_NONE || out->category == PIPE_CAT_UNCLASSIFIED)
        out->category =
            by_difference == PIPE_CAT_NONE ? PIPE_CAT_UNCLASSIFIED : by_difference;
}

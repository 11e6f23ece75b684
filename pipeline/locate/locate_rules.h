/* pipeline/locate/locate_rules.h
 * The logic of the locators that need models, without the models: what is asked of them
 * comes in as arrays and callbacks, so that every rule runs in a test.
 *
 *   rollout   bisection over "can the answer still be finished after step k?"
 *   twin      suspects from the margins of both models along one answer
 * The verdict over all locators is in evidence.h.
 */
#ifndef PIPELINE_LOCATE_LOCATE_RULES_H
#define PIPELINE_LOCATE_LOCATE_RULES_H

#include "pipeline/record.h"

/* ---- rollout ---- */

/* Whether the trusted model reaches the right answer when it continues after the first
 * `kept` steps of the answer. Called at most once for each `kept`. */
typedef rt_status pipe_can_fn(void *user, uint32_t kept, bool *can);

enum { PIPE_ROLLOUT_MAX = 256 };

struct pipe_rollout_result {
    /* First faulty step: the smallest k, in the neighbourhood that was searched, after
     * which the answer is lost while it was not before. -1: not even the empty prefix can
     * be finished, or all of them can. */
    int32_t step;
    bool monotone;        /* the neighbours agree with the search */
    bool lost_from_start; /* the empty prefix cannot be finished: no step can be blamed */
    uint32_t asked;       /* calls of `can` */
    int8_t can[PIPE_ROLLOUT_MAX + 1]; /* by kept steps: 1 yes, 0 no, -1 not asked */
};

/* Searches the change from yes to no over kept = 0 .. count (count: the whole answer,
 * which is known to be wrong and is not asked). Then asks for the neighbours on both
 * sides; where one disagrees, the search moves to the earliest change from yes to no
 * among what was asked. `guess` (a step, -1: none) is tried first. */
RT_CHECKED rt_status pipe_rollout_search(pipe_can_fn *can, void *user, uint32_t count,
                                         int32_t guess, struct pipe_rollout_result *out);

/* ---- twin ---- */

/* Along the quantized model's answer, per token: what both models say. */
struct pipe_twin_view {
    uint32_t n;
    const uint32_t *ids;           /* the answer's tokens */
    const uint32_t *full_top;      /* the full model's choice after the same prefix */
    const float *full_margin;      /* its log p(top) - log p(ids): 0 where it agrees */
    const float *quant_margin;     /* the quantized model's own margin; may be null */
    const struct pipe_step *steps; /* with token ranges */
    uint32_t step_count;
};

struct pipe_twin_suspect {
    uint32_t step, token;
    float full_margin;
    float quant_margin; /* 0 if not known */
};

/* Margin in nats above which the full model is sure of another token. */
#define PIPE_TWIN_SURE 0.5f

/* One suspect per step: its first token where the full model prefers another token by at
 * least `sure` nats. In order of steps. Returns the number, at most `max`. */
uint32_t pipe_twin_suspects(const struct pipe_twin_view *view, float sure,
                            struct pipe_twin_suspect *out, uint32_t max);
/* Step of the first suspect, else of the strongest disagreement, else -1. */
int32_t pipe_twin_step(const struct pipe_twin_view *view, struct pipe_twin_suspect *out);

/* First token at which two generations differ, -1 if neither differs from the other. */
int32_t pipe_first_difference(const uint32_t *a, uint32_t a_count, const uint32_t *b,
                              uint32_t b_count);

#endif

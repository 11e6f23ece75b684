/* pipeline/restore/items_step.c
 * More weight on the step of full's answer at which quant's answer goes wrong, or on another
 * one. */
#include "pipeline/restore/items.h"

#include <assert.h>

static void fill(const struct pipe_step *step, uint32_t prompt, uint32_t n,
                 float *weights)
{
    for (uint32_t t = 0; t < n; t++) {
        const int64_t at = (int64_t)t - prompt;
        weights[t] = at >= step->tok_start && at < step->tok_end ? PIPE_STEP_WEIGHT : 1;
    }
}

/* Which of `count` steps of full's answer to candidate `at` counts more; -1: none. */
static int32_t choose(const struct pipe_item_set *set, uint32_t at, uint32_t count,
                      uint64_t seed)
{
    bool eligible[PIPE_STEPS_MAX];
    const int32_t step = set->all[at].item.step, last = (int32_t)count - 1;
    if (step < 0 || last < 0)
        return -1;
    const int32_t fault = step < last ? step : last;
    if (set->items == PIPE_ITEMS_FAULT)
        return fault;
    for (uint32_t s = 0; s < count; s++)
        eligible[s] = true;
    return pipe_control_step(eligible, count, fault, seed, at);
}

rt_status pipe_item_weigh_step(struct pipe_session *session,
                               const struct pipe_item_set *set, uint32_t at,
                               const struct pipe_answer *answer,
                               struct pipe_sequences *sequences)
{
    rt_status st;
    struct pipe_step steps[PIPE_STEPS_MAX];
    struct train_sequence *sequence = &sequences->list[sequences->count - 1];
    assert(sequences->count > 0 && sequence->n >= answer->n && !sequence->weight);
    if (set->items != PIPE_ITEMS_FAULT && set->items != PIPE_ITEMS_FAULT_OTHER)
        return RT_OK;
    const uint32_t count =
        session->format->dialect->split(answer->text, steps, PIPE_STEPS_MAX);
    const int32_t step = choose(set, at, count, session->seed);
    if (step < 0)
        return RT_OK;
    uint32_t *ends = rt_alloc(session->ctx, answer->n + 1u, sizeof *ends);
    float *weights = rt_alloc(session->ctx, sequence->n, sizeof *weights);
    sequence->weight = weights;
    if (!ends || !weights) {
        st = rt_fail(session->ctx, RT_ERR_HOST_MEMORY, "items: no memory");
        goto fail;
    }
    TRY(pipe_token_ends(session, answer->ids, answer->n, ends));
    pipe_steps_map_tokens(steps, count, ends, answer->n);
    fill(&steps[step], sequence->n - answer->n, sequence->n, weights);

fail:
    rt_free(ends);
    return st;
}

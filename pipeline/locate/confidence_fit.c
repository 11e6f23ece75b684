/* pipeline/locate/confidence_fit.c
 * A logistic function is a conditional logit of two choices, "right" with its signs and "wrong"
 * without any, so the fit of the weights fits it. */
#include "pipeline/locate/confidence_fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)PIPE_SURE_least < (int)PIPE_SIGNS, "a choice has room for its signs");

/* Search of roll-outs always names a step where models were asked. */
static bool was_asked(const struct pipe_case *c)
{
    return c->said[PIPE_SAID_ROLLOUT] >= 0;
}

int32_t pipe_case_verdict(const struct pipe_case *c, const double weights[PIPE_SIGNS],
                          const double sures[PIPE_SURES], double *confidence)
{
    uint32_t by;
    const int32_t step = pipe_case_step(c, weights, confidence, &by);
    if (step >= 0 && was_asked(c))
        *confidence =
            pipe_sureness(sures, by, pipe_unsure_before(c->unsure, (uint32_t)step));
    return step;
}

bool pipe_case_abstains(const struct pipe_case *c, const double sures[PIPE_SURES],
                        double confidence)
{
    return !(confidence >= (was_asked(c) ? sures[PIPE_SURE_least] : PIPE_VERDICT_LEAST));
}

/* A verdict as a choice: step 0 "it is right", step 1 "it is wrong". */
static rt_status add_choice(struct rt_ctx *ctx, struct pipe_cases *out,
                            const struct pipe_case *c, const double *weights)
{
    double p;
    uint32_t by;
    const int32_t step = pipe_case_step(c, weights, &p, &by);
    double *signs =
        pipe_pool_take(ctx, &out->pool, (size_t)2 * PIPE_SIGNS, sizeof *signs);
    struct pipe_case *more =
        rt_resize(ctx, out->items, out->count, out->count + 1u, sizeof *more);
    if (more)
        out->items = more;
    if (!more || !signs || step < 0)
        return step < 0 ? RT_OK
                        : rt_fail(ctx, RT_ERR_HOST_MEMORY, "confidence: no memory");
    memset(signs, 0, 2 * PIPE_SIGNS * sizeof *signs);
    signs[PIPE_SURE_base] = 1;
    signs[PIPE_SURE_named_by] = by;
    signs[PIPE_SURE_unsure_before] = pipe_unsure_before(c->unsure, (uint32_t)step);
    more[out->count++] = (struct pipe_case){
        .set = c->set, .step_count = 2, .truth = step != (int32_t)c->truth, .signs = signs
    };
    return RT_OK;
}

rt_status pipe_sures_fit(struct rt_ctx *ctx, const struct pipe_cases *cases,
                         const char *but, const double weights[PIPE_SIGNS],
                         double sures[PIPE_SURES])
{
    rt_status st = RT_OK;
    double fitted[PIPE_SIGNS] = { 0 };
    struct pipe_cases choices = { 0 };
    for (uint32_t i = 0; i < cases->count; i++) {
        const struct pipe_case *c = &cases->items[i];
        if (c->unsure && !(but && pipe_same_generator(c->set, but)))
            TRY(add_choice(ctx, &choices, c, weights));
    }
    if (choices.count)
        TRY(pipe_weights_fit(ctx, &choices, NULL, fitted));
    memcpy(sures, fitted, PIPE_SURES * sizeof *sures);
    sures[PIPE_SURE_least] = PIPE_VERDICT_LEAST;

fail:
    pipe_cases_deinit(&choices);
    return st;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

bool pipe_cases_asked(const struct pipe_cases *cases, uint32_t end, const char *set,
                      bool same)
{
    for (uint32_t i = 0; i < end; i++)
        if (cases->items[i].unsure &&
            pipe_same_generator(cases->items[i].set, set) == same)
            return true;
    return false;
}

/* The least confidence of one generator; `values` holds one per case. */
static rt_status least_of(struct rt_ctx *ctx, const struct pipe_cases *cases,
                          const char *set, double *values, double *least)
{
    rt_status st;
    double weights[PIPE_SIGNS], sures[PIPE_SURES];
    uint32_t count = 0;
    const char *but = pipe_cases_asked(cases, cases->count, set, false) ? set : NULL;
    TRY(pipe_weights_fit(ctx, cases, but, weights));
    TRY(pipe_sures_fit(ctx, cases, but, weights, sures));
    for (uint32_t i = 0; i < cases->count; i++)
        if (cases->items[i].unsure && pipe_same_generator(cases->items[i].set, set))
            (void)pipe_case_verdict(&cases->items[i], weights, sures, &values[count++]);
    qsort(values, count, sizeof *values, by_value);
    *least = values[(uint32_t)floor((1 - PIPE_COVERAGE_LEAST) * count + 1e-9)];

fail:
    return st;
}

rt_status pipe_sures_least(struct rt_ctx *ctx, const struct pipe_cases *cases,
                           double *least)
{
    rt_status st = RT_OK;
    double lowest = INFINITY, one;
    double *values = rt_alloc(ctx, cases->count, sizeof *values);
    if (!values)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "confidence: no memory");
    for (uint32_t i = 0; i < cases->count; i++) {
        const struct pipe_case *c = &cases->items[i];
        if (!c->unsure || pipe_cases_asked(cases, i, c->set, true))
            continue;
        TRY(least_of(ctx, cases, c->set, values, &one));
        lowest = one < lowest ? one : lowest;
    }
    if (isfinite(lowest))
        *least = lowest;

fail:
    rt_free(values);
    return st;
}

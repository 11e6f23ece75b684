/* pipeline/locate/weights_cross.c
 * Cross-validation of the verdict's weights over generators of text. */
#include "pipeline/locate/weights_cross.h"

#include "pipeline/locate/judge.h"

#include <stdio.h>
#include <string.h>

enum { SETS_MAX = 64 };

static uint32_t list_sets(const struct pipe_cases *cases, const char *names[SETS_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < cases->count; i++) {
        uint32_t k = 0;
        while (k < count && strcmp(names[k], cases->items[i].set) != 0)
            k++;
        if (k == count && k < SETS_MAX)
            names[count++] = cases->items[i].set;
    }
    return count;
}

/* What the rows of one set are of. */
struct crossing {
    const struct pipe_cases *cases;
    const char *set;
    bool asked; /* all cases of the confidence of the set's generator */
    const double *weights, *sures;
    pipe_cross_row_fn *fn;
    void *user;
};

static bool is_in(const struct crossing *x, const struct pipe_case *c)
{
    return x->asked ? c->unsure && pipe_same_generator(c->set, x->set)
                    : strcmp(c->set, x->set) == 0;
}

static void send(const struct crossing *x, const char *locator, uint32_t total,
                 uint32_t named, uint32_t right)
{
    struct pipe_cross_row r = { .locator = locator,
                                .total = total,
                                .named = named,
                                .right = right,
                                .precision = named ? (double)right / named : 0.0,
                                .recall = total ? (double)right / total : 0.0,
                                .precision_interval = pipe_wilson(right, named),
                                .recall_interval = pipe_wilson(right, total) };
    size_t size;
    const char *generator = pipe_generator_of(x->set, &size);
    if (x->asked)
        snprintf(r.set, sizeof r.set, "%.*s: asked", (int)size, generator);
    else
        snprintf(r.set, sizeof r.set, "%s", x->set);
    x->fn(x->user, &r);
}

static void row_of_locator(const struct crossing *x, int locator)
{
    uint32_t total = 0, named = 0, right = 0;
    for (uint32_t i = 0; i < x->cases->count; i++) {
        const struct pipe_case *c = &x->cases->items[i];
        if (!is_in(x, c))
            continue;
        total++;
        named += c->said[locator] >= 0;
        right += c->said[locator] == (int32_t)c->truth;
    }
    if (named)
        send(x, pipe_said_name(locator), total, named, right);
}

/* Verdicts in the cases of a set; each array holds one per case. */
struct verdicts {
    int32_t *step, *spoken, *truth, *kept; /* spoken: -1 where the verdict abstains */
    double *confidence;
};

static void send_judged(const struct crossing *x, const char *locator,
                        const struct verdicts *v, const int32_t *named, uint32_t count)
{
    struct pipe_judged j;
    pipe_judge(named, v->truth, count, &j);
    send(x, locator, j.total, j.located, j.right);
}

static rt_status rows_of_verdict(struct rt_ctx *ctx, const struct crossing *x,
                                 const struct verdicts *v)
{
    static const struct {
        double share;
        const char *name;
    } shares[] = { { 0.9, "surest 0.9" }, { 0.8, "surest 0.8" } };
    rt_status st = RT_OK;
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->cases->count; i++) {
        const struct pipe_case *c = &x->cases->items[i];
        if (!is_in(x, c))
            continue;
        v->truth[n] = (int32_t)c->truth;
        v->step[n] = pipe_case_verdict(c, x->weights, x->sures, &v->confidence[n]);
        v->spoken[n] =
            pipe_case_abstains(c, x->sures, v->confidence[n]) ? -1 : v->step[n];
        n++;
    }
    send_judged(x, "verdict", v, v->spoken, n);
    for (size_t s = 0; x->asked && s < RT_COUNT(shares); s++) {
        TRY(pipe_judge_surest(ctx, v->step, v->confidence, v->truth, n, shares[s].share,
                              v->kept));
        send_judged(x, shares[s].name, v, v->kept, n);
    }

fail:
    return st;
}

static rt_status rows_of(struct rt_ctx *ctx, const struct crossing *x,
                         const struct verdicts *v)
{
    for (int locator = 0; locator < PIPE_SAID; locator++)
        row_of_locator(x, locator);
    return rows_of_verdict(ctx, x, v);
}

rt_status pipe_weights_cross(struct rt_ctx *ctx, const struct pipe_cases *cases,
                             const double all[PIPE_SIGNS], const double sures[PIPE_SURES],
                             pipe_cross_row_fn *fn, void *user)
{
    rt_status st = RT_OK;
    const char *names[SETS_MAX];
    const uint32_t count = list_sets(cases, names);
    bool others = false; /* more than one generator */
    double weights[PIPE_SIGNS], sure[PIPE_SURES];
    const struct verdicts v = {
        .step = rt_alloc(ctx, cases->count, sizeof *v.step),
        .spoken = rt_alloc(ctx, cases->count, sizeof *v.spoken),
        .truth = rt_alloc(ctx, cases->count, sizeof *v.truth),
        .kept = rt_alloc(ctx, cases->count, sizeof *v.kept),
        .confidence = rt_alloc(ctx, cases->count, sizeof *v.confidence),
    };
    if (!v.step || !v.spoken || !v.truth || !v.kept || !v.confidence) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "weights: no memory");
        goto fail;
    }
    memcpy(weights, all, sizeof weights);
    memcpy(sure, sures, sizeof sure);
    for (uint32_t s = 1; s < count; s++)
        others |= !pipe_same_generator(names[s], names[0]);
    for (uint32_t s = 0; s < count; s++) {
        struct crossing x = { cases, names[s], false, weights, sure, fn, user };
        const bool known = s && pipe_same_generator(names[s], names[s - 1]);
        const bool last = s + 1 == count || !pipe_same_generator(names[s], names[s + 1]);
        if (others && !known) {
            TRY(pipe_weights_fit(ctx, cases, names[s], weights));
            TRY(pipe_sures_fit(ctx, cases, names[s], weights, sure));
            sure[PIPE_SURE_least] = sures[PIPE_SURE_least];
        }
        TRY(rows_of(ctx, &x, &v));
        x.asked = true;
        if (last && pipe_cases_asked(cases, cases->count, names[s], true))
            TRY(rows_of(ctx, &x, &v));
    }

fail:
    rt_free(v.step);
    rt_free(v.spoken);
    rt_free(v.truth);
    rt_free(v.kept);
    rt_free(v.confidence);
    return st;
}

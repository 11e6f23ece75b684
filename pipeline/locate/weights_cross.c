/* pipeline/locate/weights_cross.c
 * Cross-validation of the verdict's weights over generators of text. */
#include "pipeline/locate/weights_cross.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
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

struct said {
    double confidence;
    uint32_t at; /* in order of the cases */
    bool right;
};

static int surest_first(const void *a, const void *b)
{
    const struct said *x = a, *y = b;
    const int sure = (x->confidence < y->confidence) - (x->confidence > y->confidence);
    return sure ? sure : (x->at > y->at) - (x->at < y->at);
}

static void rows_of_verdict(const struct crossing *x, struct said *list)
{
    uint32_t total = 0, named = 0, right = 0, spoken = 0;
    for (uint32_t i = 0; i < x->cases->count; i++) {
        const struct pipe_case *c = &x->cases->items[i];
        struct said s = { .at = i };
        if (!is_in(x, c))
            continue;
        const int32_t step = pipe_case_verdict(c, x->weights, x->sures, &s.confidence);
        s.right = step == (int32_t)c->truth;
        total++;
        if (step < 0)
            continue;
        list[spoken++] = s;
        if (!pipe_case_abstains(c, x->sures, s.confidence)) {
            named++;
            right += s.right;
        }
    }
    send(x, "verdict", total, named, right);
    qsort(list, spoken, sizeof *list, surest_first);
    for (uint32_t tenths = 9; x->asked && tenths >= 8; tenths--) {
        const uint32_t most = (uint32_t)ceil(tenths * total / 10.0 - 1e-9);
        named = right = 0;
        for (uint32_t i = 0; i < spoken && i < most; i++) {
            named++;
            right += list[i].right;
        }
        send(x, tenths == 9 ? "surest 0.9" : "surest 0.8", total, named, right);
    }
}

static void rows_of(const struct crossing *x, struct said *list)
{
    for (int locator = 0; locator < PIPE_SAID; locator++)
        row_of_locator(x, locator);
    rows_of_verdict(x, list);
}

static bool has_asked(const struct pipe_cases *cases, const char *set)
{
    for (uint32_t i = 0; i < cases->count; i++)
        if (cases->items[i].unsure && pipe_same_generator(cases->items[i].set, set))
            return true;
    return false;
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
    struct said *list = rt_alloc(ctx, cases->count, sizeof *list);
    if (!list)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "weights: no memory");
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
        rows_of(&x, list);
        x.asked = true;
        if (last && has_asked(cases, names[s]))
            rows_of(&x, list);
    }

fail:
    rt_free(list);
    return st;
}

/* pipeline/locate/weights_cross.c
 * Cross-validation of the verdict's weights over generators of text. */
#include "pipeline/locate/weights_cross.h"

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

/* locator PIPE_SAID: the verdict. */
static struct pipe_cross_row row_of(const struct pipe_cases *cases, const char *set,
                                    int locator, const double *weights)
{
    struct pipe_cross_row r = {
        .set = set,
        .locator = locator < PIPE_SAID ? pipe_said_name(locator) : "verdict",
    };
    for (uint32_t i = 0; i < cases->count; i++) {
        const struct pipe_case *c = &cases->items[i];
        if (strcmp(c->set, set) != 0)
            continue;
        const int32_t said =
            locator < PIPE_SAID ? c->said[locator] : pipe_case_verdict(c, weights);
        r.total++;
        r.named += said >= 0;
        r.right += said == (int32_t)c->truth;
    }
    r.precision = r.named ? (double)r.right / r.named : 0.0;
    r.recall = r.total ? (double)r.right / r.total : 0.0;
    r.precision_interval = pipe_wilson(r.right, r.named);
    r.recall_interval = pipe_wilson(r.right, r.total);
    return r;
}

rt_status pipe_weights_cross(struct rt_ctx *ctx, const struct pipe_cases *cases,
                             const double all[PIPE_SIGNS], pipe_cross_row_fn *fn,
                             void *user)
{
    rt_status st = RT_OK;
    const char *names[SETS_MAX];
    const uint32_t count = list_sets(cases, names);
    bool others = false; /* more than one generator */
    double weights[PIPE_SIGNS];
    memcpy(weights, all, sizeof weights);
    for (uint32_t s = 1; s < count; s++)
        others |= !pipe_same_generator(names[s], names[0]);
    for (uint32_t s = 0; s < count; s++) {
        const bool known = s && pipe_same_generator(names[s], names[s - 1]);
        if (others && !known)
            TRY(pipe_weights_fit(ctx, cases, names[s], weights));
        for (int locator = 0; locator <= PIPE_SAID; locator++) {
            const struct pipe_cross_row r = row_of(cases, names[s], locator, weights);
            if (r.named || locator == PIPE_SAID)
                fn(user, &r);
        }
    }

fail:
    return st;
}

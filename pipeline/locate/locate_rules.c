/* pipeline/locate/locate_rules.c
 * The search of `rollout`, the suspects of `twin`. Asks no model itself. */
#include "pipeline/locate/locate_rules.h"

#include <assert.h>
#include <string.h>

/* ---- rollout ---- */

struct search {
    pipe_can_fn *can;
    void *user;
    uint32_t count;
    struct pipe_rollout_result *out;
};

static rt_status ask(struct search *s, uint32_t kept, bool *can)
{
    if (s->out->can[kept] < 0) {
        const rt_status st = s->can(s->user, kept, can);
        if (st != RT_OK)
            return st;
        s->out->asked++;
        s->out->can[kept] = *can;
    }
    *can = s->out->can[kept] == 1;
    return RT_OK;
}

/* Narrows (yes, no] to neighbours. */
static rt_status bisect(struct search *s, uint32_t yes, uint32_t no, uint32_t *kept)
{
    while (no - yes > 1) {
        const uint32_t middle = yes + (no - yes) / 2;
        bool can;
        const rt_status st = ask(s, middle, &can);
        if (st != RT_OK)
            return st;
        if (can)
            yes = middle;
        else
            no = middle;
    }
    *kept = yes;
    return RT_OK;
}

/* Starts at the guess: one or two questions settle it where it is right. */
static rt_status from_guess(struct search *s, int32_t guess, uint32_t *yes, uint32_t *no)
{
    rt_status st;
    bool can;
    if (guess < 0 || (uint32_t)guess >= s->count)
        return RT_OK;
    TRY(ask(s, (uint32_t)guess, &can));
    if (!can) {
        *no = (uint32_t)guess;
        return RT_OK;
    }
    *yes = (uint32_t)guess;
    TRY(ask(s, (uint32_t)guess + 1, &can));
    if (can)
        *yes = (uint32_t)guess + 1;
    else
        *no = (uint32_t)guess + 1;
    return RT_OK;

fail:
    return st;
}

/* The earliest change from yes to no among neighbours that were both asked. */
static int32_t earliest_change(const struct search *s)
{
    for (uint32_t k = 0; k < s->count; k++)
        if (s->out->can[k] == 1 && s->out->can[k + 1] == 0)
            return (int32_t)k;
    return -1;
}

rt_status pipe_rollout_search(pipe_can_fn *can, void *user, uint32_t count, int32_t guess,
                              struct pipe_rollout_result *out)
{
    rt_status st;
    *out = (struct pipe_rollout_result){ .step = -1 };
    memset(out->can, -1, sizeof out->can);
    if (count == 0 || count > PIPE_ROLLOUT_MAX)
        return RT_OK;
    struct search s = { can, user, count, out };
    out->can[count] = 0; /* the whole answer is wrong */
    bool at_start, reached;
    TRY(ask(&s, 0, &at_start));
    if (!at_start) {
        out->lost_from_start = true;
        return RT_OK;
    }
    uint32_t yes = 0, no = count, kept;
    TRY(from_guess(&s, guess, &yes, &no));
    TRY(bisect(&s, yes, no, &kept));
    out->monotone = true;
    if (kept > 0) {
        TRY(ask(&s, kept - 1, &reached));
        out->monotone = reached;
    }
    if (kept + 2 <= count) {
        TRY(ask(&s, kept + 2, &reached));
        out->monotone = out->monotone && !reached;
    }
    if (kept > 0 && out->can[kept - 1] == 0) { /* an earlier change must exist */
        uint32_t low = kept - 1;
        while (low > 0 && out->can[low] != 1)
            low--;
        TRY(bisect(&s, low, kept - 1, &kept));
    }
    out->step = earliest_change(&s);
    return RT_OK;

fail:
    return st;
}

/* ---- twin ---- */

static bool disagrees(const struct pipe_twin_view *v, uint32_t t)
{
    return v->full_top[t] != v->ids[t];
}

static struct pipe_twin_suspect suspect_at(const struct pipe_twin_view *v, uint32_t step,
                                           uint32_t t)
{
    return (struct pipe_twin_suspect){
        .step = step,
        .token = t,
        .full_margin = v->full_margin[t],
        .quant_margin = v->quant_margin ? v->quant_margin[t] : 0.0f,
    };
}

uint32_t pipe_twin_suspects(const struct pipe_twin_view *view, float sure,
                            struct pipe_twin_suspect *out, uint32_t max)
{
    uint32_t count = 0;
    for (uint32_t k = 0; k < view->step_count && count < max; k++)
        for (uint32_t t = view->steps[k].tok_start;
             t < view->steps[k].tok_end && t < view->n; t++)
            if (disagrees(view, t) && view->full_margin[t] >= sure) {
                out[count++] = suspect_at(view, k, t);
                break;
            }
    return count;
}

int32_t pipe_twin_step(const struct pipe_twin_view *view, struct pipe_twin_suspect *out)
{
    assert(view->steps || view->step_count == 0);
    *out = (struct pipe_twin_suspect){ 0 };
    if (pipe_twin_suspects(view, PIPE_TWIN_SURE, out, 1) == 1)
        return (int32_t)out->step;
    int32_t found = -1;
    for (uint32_t k = 0; k < view->step_count; k++)
        for (uint32_t t = view->steps[k].tok_start;
             t < view->steps[k].tok_end && t < view->n; t++)
            if (disagrees(view, t) &&
                (found < 0 || view->full_margin[t] > out->full_margin)) {
                found = (int32_t)k;
                *out = suspect_at(view, k, t);
            }
    return found;
}

int32_t pipe_first_difference(const uint32_t *a, uint32_t a_count, const uint32_t *b,
                              uint32_t b_count)
{
    const uint32_t both = a_count < b_count ? a_count : b_count;
    for (uint32_t i = 0; i < both; i++)
        if (a[i] != b[i])
            return (int32_t)i;
    return a_count == b_count ? -1 : (int32_t)both;
}

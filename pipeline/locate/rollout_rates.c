/* pipeline/locate/rollout_rates.c
 * How often full's drawn continuations after a prefix are right, with Wilson intervals: in the
 * evidence of `rollout`, and as lines for people who ask for more. The search itself asks only
 * whether one is. */
#include "pipeline/locate/locate_impl.h"

#include "pipeline/stats/statistics.h"
#include "runtime/base/json.h"

#include <string.h>

enum { EVIDENCE_SIZE = 128 };

struct rate {
    bool greedy; /* the greedy continuation is right */
    uint32_t drawn, right;
    struct pipe_interval within;
};

/* False: nothing was asked after so many steps. */
static bool rate_of(const struct locate_known *known, uint32_t samples, struct rate *out)
{
    *out = (struct rate){ .greedy = known->right & 1 };
    for (uint32_t s = 1; s <= samples; s++) {
        out->drawn += known->asked >> s & 1;
        out->right += known->right >> s & 1;
    }
    out->within = pipe_wilson(out->right, out->drawn);
    return known->asked != 0;
}

/* NULL: no memory. */
static json_t *rates_of(const struct locate_search *s, uint32_t samples)
{
    json_t *all = json_array();
    struct rate r;
    for (uint32_t kept = 0; all && kept <= s->step_count; kept++) {
        if (!rate_of(&s->known[kept], samples, &r))
            continue;
        json_t *one = json_pack("{s:I, s:b}", "kept", (json_int_t)kept, "greedy_right",
                                (int)r.greedy);
        json_t *drawn = r.drawn
                            ? json_pack("{s:I, s:I, s:f, s:f, s:f}", "drawn",
                                        (json_int_t)r.drawn, "right", (json_int_t)r.right,
                                        "rate", (double)r.right / r.drawn, "low",
                                        r.within.low, "high", r.within.high)
                            : NULL;
        if (!one || (r.drawn && !drawn) || (drawn && json_object_update(one, drawn) != 0))
            json_decref(all), all = NULL;
        json_decref(drawn);
        if (all)
            json_array_append_new(all, one);
        else
            json_decref(one);
    }
    return all;
}

rt_status locate_put_search(struct locating *l, const struct locate_search *s)
{
    rt_status st;
    struct rt_ctx *ctx = l->session->ctx;
    char evidence[EVIDENCE_SIZE], *more = NULL, *text = NULL;
    struct pipe_fault f =
        locate_fault_of_search(s, l->locator, evidence, sizeof evidence);
    if (l->samples) {
        json_t *rates = rates_of(s, l->samples);
        more =
            rates ? fmt_json_dumps(rates, JSON_COMPACT | JSON_REAL_PRECISION(4)) : NULL;
        json_decref(rates);
        if (more) /* within the object */
            text = rt_format(ctx, "%.*s,\"rates\":%s}", (int)strlen(evidence) - 1,
                             evidence, more);
        if (!text) {
            st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "locate: no memory");
            goto fail;
        }
        f.evidence = text;
    }
    TRY(store_put_fault(l->session->store, l->run_id, s->gen, &f));

fail:
    rt_free(more);
    rt_free(text);
    return st;
}

static void tell(const struct locating *l, const struct locate_search *s, uint32_t kept,
                 const struct rate *r)
{
    const char *id = l->bench->set.items[s->problem].id;
    if (r->drawn)
        rt_log(l->session->ctx, RT_LOG_INFO,
               "%s: after %u of %u steps full draws %u of %u right: %.3f [%.3f, %.3f]",
               id, kept, s->step_count, r->right, r->drawn, (double)r->right / r->drawn,
               r->within.low, r->within.high);
    else
        rt_log(l->session->ctx, RT_LOG_INFO,
               "%s: after %u of %u steps full is %s, nothing is drawn", id, kept,
               s->step_count, r->greedy ? "right" : "wrong");
}

void locate_tell_rates(const struct locating *l)
{
    struct rate r;
    for (uint32_t i = 0; l->samples && i < l->count; i++)
        for (uint32_t kept = 0; kept <= l->list[i].step_count; kept++)
            if (rate_of(&l->list[i].known[kept], l->samples, &r))
                tell(l, &l->list[i], kept, &r);
}

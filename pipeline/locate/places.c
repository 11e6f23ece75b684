/* pipeline/locate/places.c
 * Is early really early? Where the verdicts lie beside where uniformly random steps would, and
 * how often full rescues the answer when it takes over one step before, at or after the step,
 * beside taking over before a random step of the same answer. From the roll-outs that the
 * search asked; nothing more is asked. */
#include "pipeline/locate/locate_impl.h"

#include "pipeline/stats/statistics.h"

#include <assert.h>
#include <stdio.h>

/* Of answers at one place of the take-over. */
struct takeover {
    uint32_t asked, right;
};

enum { EARLIER, AT, LATER, PLACES };

struct places {
    uint32_t none, placed, early;
    double chance, early_chance;     /* sums over placed answers */
    double random_right, random_all; /* prefixes before a step, over searched answers */
    struct takeover takeover[PLACES];
    struct takeover full, quant; /* after the same wrong step */
    uint64_t tokens;             /* that both wrote after it, beside the search */
};

static rt_status put(struct locating *l, const char *prefix, const char *name,
                     const char *what, double value)
{
    char full[64];
    snprintf(full, sizeof full, "%s%s%s", prefix, name, what);
    return store_put_metric(l->session->store, l->run_id, full, 0, value);
}

static void add_takeover(struct takeover *t, const struct locate_search *s, int64_t kept)
{
    if (kept < 0 || kept > s->step_count || !s->known[kept].done)
        return;
    t->asked++;
    t->right += s->known[kept].can;
}

/* Before every step of the answer: asked, or as the nearest shorter prefix that was. */
static void add_random(struct places *p, const struct locate_search *s)
{
    bool can = true;
    if (s->rollout.step < 0)
        return;
    for (uint32_t kept = 0; kept < s->step_count && kept <= PIPE_ROLLOUT_MAX; kept++) {
        if (s->rollout.can[kept] >= 0)
            can = s->rollout.can[kept] == 1;
        p->random_right += (double)can / s->step_count;
    }
    p->random_all++;
}

static void add_answer(struct places *p, const struct locate_search *s)
{
    const int32_t k = s->verdict.step;
    p->tokens += s->forced_tokens;
    p->none += k < 0;
    if (k < 0 || (uint32_t)k >= s->step_count)
        return;
    p->placed++;
    p->chance += 1.0 / s->step_count;
    p->early += 2 * (uint32_t)k + 1 < s->step_count;
    const uint32_t half = s->step_count / 2;
    p->early_chance += (double)half / s->step_count;
    add_takeover(&p->takeover[EARLIER], s, (int64_t)k - 1);
    add_takeover(&p->takeover[AT], s, k);
    add_takeover(&p->takeover[LATER], s, (int64_t)k + 1);
    add_random(p, s);
    if (!s->forced)
        return;
    p->full.asked++;
    p->full.right += s->forced_full;
    p->quant.asked++;
    p->quant.right += s->forced_right;
}

static void say(const struct locating *l, const char *what, struct takeover t,
                const char *beside)
{
    const struct pipe_interval i = pipe_wilson(t.right, t.asked);
    if (t.asked)
        pipe_say(l->session->host, "  %-42s %u of %u: %.3f [%.3f, %.3f]%s", what, t.right,
                 t.asked, (double)t.right / t.asked, i.low, i.high, beside);
}

static void tell(const struct locating *l, const struct places *p)
{
    char beside[64];
    snprintf(beside, sizeof beside, "; of random steps %.3f",
             p->placed ? p->early_chance / p->placed : 0.0);
    say(l, "verdict in the first half of the steps",
        (struct takeover){ p->placed, p->early }, beside);
    say(l, "full takes over one step earlier: right", p->takeover[EARLIER], "");
    snprintf(beside, sizeof beside, "; before a random step %.3f",
             p->random_all > 0 ? p->random_right / p->random_all : 0.0);
    say(l, "full takes over before the step: right", p->takeover[AT], beside);
    say(l, "full takes over after the step: right", p->takeover[LATER], "");
    snprintf(beside, sizeof beside, "; %llu tokens", (unsigned long long)p->tokens);
    say(l, "the same wrong step given to full: right", p->full, "");
    say(l, "the same wrong step given to quant: right", p->quant, beside);
}

static rt_status put_takeovers(struct locating *l, const char *prefix,
                               const struct places *p)
{
    rt_status st = RT_OK;
    static const char *const names[PLACES] = { "takeover_earlier", "takeover_at",
                                               "takeover_later" };
    for (int i = 0; i < PLACES; i++) {
        TRY(put(l, prefix, names[i], "", p->takeover[i].right));
        TRY(put(l, prefix, names[i], "_asked", p->takeover[i].asked));
    }
    if (p->random_all > 0)
        TRY(put(l, prefix, "takeover_chance", "", p->random_right / p->random_all));

fail:
    return st;
}

rt_status locate_put_places(struct locating *l, const char *prefix)
{
    rt_status st;
    struct places p = { 0 };
    for (uint32_t i = 0; i < l->count; i++)
        add_answer(&p, &l->list[i]);
    assert(p.none + p.placed <= l->count && p.early <= p.placed);
    const double n = p.placed ? p.placed : 1;
    TRY(put(l, prefix, "no_fault", "", p.none));
    TRY(put(l, prefix, "placed", "", p.placed));
    TRY(put(l, prefix, "chance", "", p.chance / n));
    TRY(put(l, prefix, "early", "", p.early));
    TRY(put(l, prefix, "early_chance", "", p.early_chance / n));
    TRY(put_takeovers(l, prefix, &p));
    if (l->more & PIPE_LOCATE_FORCED) {
        TRY(put(l, prefix, "forced_asked", "", p.quant.asked));
        TRY(put(l, prefix, "forced_full", "", p.full.right));
        TRY(put(l, prefix, "forced_quant", "", p.quant.right));
        TRY(put(l, prefix, "forced_tokens", "", (double)p.tokens));
    }
    tell(l, &p);

fail:
    return st;
}

/* pipeline/locate/locate_judge.c
 * How good the locators were, where a judge knows the first fault, and what they cost. */
#include "pipeline/locate/locate_impl.h"

#include "pipeline/locate/judge.h"
#include "pipeline/locate/weights_fit.h"

#include <stdio.h>
#include <string.h>

enum { LOCATORS = 10 };

/* `more`: only where it was asked. */
static const struct {
    const char *name;
    uint32_t more;
} locators[LOCATORS] = { { "check", 0 },
                         { "mend", 0 },
                         { "contrast", 0 },
                         { "rollout", 0 },
                         { "twin", 0 },
                         { "handover", PIPE_LOCATE_HANDOVER },
                         { "twin-back", PIPE_LOCATE_HANDOVER },
                         { "substitute", PIPE_LOCATE_SUBSTITUTE },
                         { "judge", PIPE_LOCATE_JUDGE },
                         { "verdict", 0 } };

static int32_t named(const struct locate_search *s, int locator)
{
    const int32_t steps[LOCATORS] = { s->check.step,   s->mended.step, s->contrast.step,
                                      s->rollout.step, s->twin,        s->handover,
                                      s->twin_back,    s->substitute,  s->judge_step,
                                      s->verdict.step };
    return steps[locator];
}

/* Tokens that models read of answers (twins) or wrote (continuations) for a locator. Prompts
 * and kept steps come from the cache and are not counted. */
static uint64_t tokens_of(const struct locating *l, int locator)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < l->count; i++) {
        const struct locate_search *s = &l->list[i];
        const struct locate_search *b = l->back ? &l->back->list[i] : NULL;
        const uint64_t tokens[LOCATORS] = { 0,
                                            0,
                                            0,
                                            s->tokens,
                                            s->n,
                                            b ? b->tokens : 0,
                                            b ? b->n : 0,
                                            s->substitute_tokens,
                                            s->judge_tokens,
                                            0 };
        sum += tokens[locator];
    }
    return sum;
}

static rt_status put(struct locating *l, const char *prefix, const char *name,
                     const char *what, double value)
{
    char full[64];
    snprintf(full, sizeof full, "%s%s%s", prefix, name, what);
    return store_put_metric(l->session->store, l->run_id, full, 0, value);
}

/* How good a locator is where the judge knows the step, and what it cost. */
static rt_status put_locator(struct locating *l, const char *prefix, int locator,
                             const struct pipe_judged *j)
{
    rt_status st;
    uint32_t said = 0;
    const char *name = locators[locator].name;
    const uint64_t tokens = tokens_of(l, locator);
    for (uint32_t i = 0; i < l->count; i++)
        said += named(&l->list[i], locator) >= 0;
    TRY(put(l, prefix, name, "_tokens", (double)tokens));
    if (j->total == 0) {
        pipe_say(l->session->host, "  %-10s names a step in %u of %u; %llu tokens", name,
                 said, l->count, (unsigned long long)tokens);
        return RT_OK;
    }
    TRY(put(l, prefix, name, "_said", j->located));
    TRY(put(l, prefix, name, "_right", j->right));
    TRY(put(l, prefix, name, "_near", j->within_one));
    pipe_say(
        l->session->host,
        "  %-10s names a step in %u of %u, the right one in %u: precision %.3f [%.3f, "
        "%.3f], recall %.3f [%.3f, %.3f]; %llu tokens",
        name, j->located, j->total, j->right,
        j->located ? (double)j->right / j->located : 0.0, j->precision.low,
        j->precision.high, (double)j->right / j->total, j->recall.low, j->recall.high,
        (unsigned long long)tokens);

fail:
    return st;
}

/* Precision at lower coverage, where the verdict names more: metrics and lines. */
static rt_status put_surest(struct locating *l, const char *prefix, const int32_t *truth)
{
    static const struct {
        double share;
        const char *name;
    } shares[] = { { 0.9, "verdict_surest_90" }, { 0.8, "verdict_surest_80" } };
    rt_status st = RT_OK;
    struct rt_ctx *ctx = l->session->ctx;
    int32_t *steps = rt_alloc(ctx, l->count, sizeof *steps);
    int32_t *kept = rt_alloc(ctx, l->count, sizeof *kept);
    double *confidence = rt_alloc(ctx, l->count, sizeof *confidence);
    struct pipe_judged all, j;
    if (!steps || !kept || !confidence) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "locate: no memory");
        goto fail;
    }
    for (uint32_t i = 0; i < l->count; i++) {
        steps[i] = l->list[i].verdict.step;
        confidence[i] = l->list[i].verdict.confidence;
    }
    pipe_judge(steps, truth, l->count, &all);
    for (size_t s = 0; s < RT_COUNT(shares); s++) {
        TRY(pipe_judge_surest(ctx, steps, confidence, truth, l->count, shares[s].share,
                              kept));
        pipe_judge(kept, truth, l->count, &j);
        if (j.located == all.located)
            continue;
        TRY(put(l, prefix, shares[s].name, "_said", j.located));
        TRY(put(l, prefix, shares[s].name, "_right", j.right));
        pipe_say(l->session->host,
                 "  verdict at a coverage of %.1f: names %u, the right one in %u: "
                 "precision %.3f [%.3f, %.3f]",
                 shares[s].share, j.located, j.right, (double)j.right / j.located,
                 j.precision.low, j.precision.high);
    }

fail:
    rt_free(steps);
    rt_free(kept);
    rt_free(confidence);
    return st;
}

/* What stands behind the last '/' of a path: the name of the set. */
static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static rt_status write_case(struct rt_ctx *ctx, FILE *file, const char *path,
                            const char *set, const struct locate_search *s,
                            const struct pipe_testimony *t)
{
    char *line = NULL;
    rt_status st = pipe_case_line(ctx, set, (uint32_t)s->truth, t, &line);
    if (st == RT_OK && fprintf(file, "%s\n", line) < 0)
        st = rt_fail(ctx, RT_ERR_IO, "'%s' cannot be written", path);
    rt_free(line);
    return st;
}

/* Per answer: what all locators say, what they say where nothing can be contrasted, and what is
 * known from the text alone. */
static rt_status write_evidence(struct locating *l, const char *path, const char *prefix)
{
    rt_status st = RT_OK;
    struct rt_ctx *ctx = l->session->ctx;
    char set[160], text[170], shared[170], models[170];
    FILE *file = fopen(path, "a");
    snprintf(set, sizeof set, "%s%s", prefix, base_name(path));
    snprintf(text, sizeof text, "%s/text", set);
    snprintf(models, sizeof models, "%s/models", set);
    snprintf(shared, sizeof shared, "%s" PIPE_SET_SHARED, set);
    if (!file)
        return rt_fail(ctx, RT_ERR_IO, "'%s' cannot be written", path);
    for (uint32_t i = 0; i < l->count && st == RT_OK; i++) {
        const struct locate_search *s = &l->list[i];
        const struct pipe_testimony all = locate_testimony(s);
        const struct pipe_testimony read = { .step_count = s->step_count,
                                             .check = &s->check,
                                             .mend = all.mend,
                                             .mend_sign = all.mend_sign,
                                             .twin = -1 };
        struct pipe_testimony asked = all;
        asked.contrast = NULL;
        asked.unsure = NULL; /* the confidence is fitted on all that is known */
        if (s->truth < 0 || (uint32_t)s->truth >= s->step_count)
            continue;
        st = write_case(ctx, file, path, s->shared ? shared : set, s, &all);
        if (st == RT_OK && s->gen[0] &&
            !s->shared) /* an injected one is not contrasted */
            st = write_case(ctx, file, path, models, s, &asked);
        if (st == RT_OK)
            st = write_case(ctx, file, path, text, s, &read);
    }
    if (fclose(file) != 0 && st == RT_OK)
        st = rt_fail(ctx, RT_ERR_IO, "'%s' cannot be written", path);
    return st;
}

static void say_count(const struct locating *l, const char *what)
{
    uint32_t empty = 0;
    char more[64] = "";
    for (uint32_t i = 0; i < l->count; i++)
        empty += l->list[i].step_count == 0;
    if (empty)
        snprintf(more, sizeof more, ", %u of them without a step: no answer", empty);
    pipe_say(l->session->host, "locate %-21s %u wrong answers%s", what, l->count, more);
}

rt_status locate_judge(struct locating *l, const char *prefix, const char *what)
{
    rt_status st;
    struct rt_ctx *ctx = l->session->ctx;
    int32_t *said = rt_alloc(ctx, l->count, sizeof *said);
    int32_t *truth = rt_alloc(ctx, l->count, sizeof *truth);
    struct pipe_judged j = { 0 };
    uint32_t shared_count = 0;
    if (!said || !truth) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "locate: no memory");
        goto fail;
    }
    for (uint32_t i = 0; i < l->count; i++)
        truth[i] = l->list[i].truth;
    say_count(l, what);
    for (int k = 0; k < LOCATORS; k++) {
        if (locators[k].more & ~l->more)
            continue;
        for (uint32_t i = 0; i < l->count; i++)
            said[i] = named(&l->list[i], k);
        pipe_judge(said, truth, l->count, &j);
        TRY(put_locator(l, prefix, k, &j));
    }
    TRY(put_surest(l, prefix, truth));
    if (l->session->evidence)
        TRY(write_evidence(l, l->session->evidence, prefix));
    TRY(put(l, prefix, "judged", "", j.total));
    for (uint32_t i = 0; i < l->count; i++)
        shared_count += l->list[i].shared && l->list[i].truth >= 0;
    TRY(put(l, prefix, "shared", "", shared_count));
    if (shared_count)
        pipe_say(l->session->host,
                 "  the judge finds a fault in full's own right answer too: %u of %u",
                 shared_count, j.total);
    TRY(locate_put_places(l, prefix));

fail:
    rt_free(said);
    rt_free(truth);
    return st;
}

/* pipeline/locate/forced.c
 * The same wrong step given to both models: quant draws continuations after the step that the
 * verdict names, as full draws them in its search, or here if it has drawn none. Does only full
 * recover from it? Quant's greedy continuation is its own wrong answer and is not asked. */
#include "pipeline/locate/locate_impl.h"

#include <stdio.h>

/* Quant's answers again, for another reader; the greedy continuations count as asked. */
static rt_status list_own(struct locating *x, const struct locating *l)
{
    rt_status st = RT_OK;
    struct rt_ctx *ctx = l->session->ctx;
    x->list = rt_alloc(ctx, l->count, sizeof *x->list);
    if (!x->list)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "locate: no memory");
    x->count = l->count;
    for (uint32_t i = 0; i < l->count && st == RT_OK; i++) {
        const struct locate_search *from = &l->list[i];
        struct locate_search *s = &x->list[i];
        *s = (struct locate_search){ .problem = from->problem,
                                     .text = from->text,
                                     .ids = from->ids,
                                     .n = from->n,
                                     .truth = -1 };
        snprintf(s->gen, sizeof s->gen, "%s", from->gen);
        st = locate_search_init(x, s, from->text);
        for (uint32_t k = 1; st == RT_OK && k <= s->step_count; k++)
            s->known[k].done = 1; /* of quant it is the wrong answer itself */
    }
    return st;
}

/* The steps up to that of the verdict; -1: it names none, or the last, behind which nothing
 * is left to continue. */
static int32_t after_verdict(const struct locate_search *s)
{
    const int32_t k = s->verdict.step;
    return k >= 0 && (uint32_t)k + 1 < s->step_count ? k + 1 : -1;
}

/* Where both can be asked: full's greedy continuation is known. */
static bool is_eligible(const struct locate_search *s)
{
    const int32_t kept = after_verdict(s);
    return kept >= 0 && s->known[kept].done & 1;
}

/* Of all eligible answers `most`, evenly spread over the list. */
static void choose(const struct locating *l, int32_t *kept)
{
    uint64_t eligible = 0, most = l->forced_most, at = 0;
    for (uint32_t i = 0; i < l->count; i++)
        eligible += is_eligible(&l->list[i]);
    most = most < eligible ? most : eligible;
    for (uint32_t i = 0; i < l->count; i++) {
        const bool here = is_eligible(&l->list[i]);
        const bool taken = here && at * most / eligible != (at + 1) * most / eligible;
        kept[i] = taken ? after_verdict(&l->list[i]) : -1;
        at += here;
    }
}

/* What `reader` draws after kept[i] steps of answer i; -1: nothing. */
static rt_status draw(struct locating *x, const struct locating *l,
                      const struct pipe_variant *reader, const int32_t *kept)
{
    rt_status st;
    *x = (struct locating){ .session = l->session,
                            .bench = l->bench,
                            .reader = reader,
                            .locator = "forced",
                            .mirror = true,
                            .samples = l->samples ? l->samples : PIPE_FORCED_DRAWS };
    snprintf(x->run_id, sizeof x->run_id, "%s", l->run_id);
    TRY(list_own(x, l));
    TRY(locate_find_again(x));
    TRY(locate_continue_at(x, kept, true));
    locate_close_engines(x); /* the other reader needs the memory */

fail:
    return st;
}

/* Draws of full where its search has none and its greedy continuation is wrong. */
static rt_status draw_full(struct locating *l, const int32_t *kept)
{
    rt_status st = RT_OK;
    struct locating x = { .count = 0 };
    int32_t *lacks = rt_alloc(l->session->ctx, l->count, sizeof *lacks);
    if (!lacks)
        return rt_fail(l->session->ctx, RT_ERR_HOST_MEMORY, "locate: no memory");
    for (uint32_t i = 0; i < l->count; i++) {
        struct locate_search *s = &l->list[i];
        s->forced_full = kept[i] >= 0 && s->known[kept[i]].can;
        lacks[i] = l->samples == 0 && !s->forced_full ? kept[i] : -1;
    }
    if (l->samples == 0)
        TRY(draw(&x, l, l->reader, lacks));
    for (uint32_t i = 0; i < x.count; i++)
        if (lacks[i] >= 0) {
            l->list[i].forced_full = x.list[i].known[lacks[i]].can;
            l->list[i].forced_tokens = x.list[i].tokens;
        }

fail:
    rt_free(lacks);
    locate_free(&x);
    return st;
}

rt_status locate_forced(struct locating *l, const struct pipe_variant *quant)
{
    rt_status st;
    struct locating x = { .count = 0 };
    int32_t *kept = rt_alloc(l->session->ctx, l->count, sizeof *kept);
    if (!kept) {
        st = rt_fail(l->session->ctx, RT_ERR_HOST_MEMORY, "locate: no memory");
        goto fail;
    }
    choose(l, kept);
    TRY(locate_announce(l, "forced"));
    TRY(draw_full(l, kept));
    TRY(draw(&x, l, quant, kept));
    for (uint32_t i = 0; i < l->count; i++) {
        l->list[i].forced = kept[i] >= 0;
        l->list[i].forced_right = kept[i] >= 0 && x.list[i].known[kept[i]].can;
        l->list[i].forced_tokens += x.list[i].tokens;
    }

fail:
    rt_free(kept);
    locate_free(&x);
    return st;
}

rt_status locate_put_forced(struct locating *l)
{
    rt_status st = RT_OK;
    char evidence[48];
    for (uint32_t i = 0; i < l->count && st == RT_OK; i++) {
        const struct locate_search *s = &l->list[i];
        const struct pipe_fault f = { .locator = "forced",
                                      .step = s->verdict.step,
                                      .token = -1,
                                      .category = PIPE_CAT_UNCLASSIFIED,
                                      .evidence = evidence };
        snprintf(evidence, sizeof evidence, "{\"full_right\":%s,\"quant_right\":%s}",
                 s->forced_full ? "true" : "false", s->forced_right ? "true" : "false");
        if (!s->forced)
            snprintf(evidence, sizeof evidence, "{}");
        st = store_put_fault(l->session->store, l->run_id, s->gen, &f);
    }
    return st;
}

void locate_forced_config(const struct locating *l, char *out, size_t size)
{
    size_t n = 0;
    out[0] = '\0';
    if (!(l->more & PIPE_LOCATE_FORCED))
        return;
    if (l->forced_most != UINT32_MAX)
        n += (size_t)snprintf(out, size, ",\"forced\":%u", l->forced_most);
    if (l->samples == 0)
        snprintf(out + n, size - n, ",\"draws\":%d", PIPE_FORCED_DRAWS);
}

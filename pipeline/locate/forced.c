/* pipeline/locate/forced.c
 * The same wrong step given to both models: quant draws continuations after the step that the
 * verdict names, as full drew them in its search. Does only full recover from it? Quant's
 * greedy continuation is its own wrong answer and is not asked. */
#include "pipeline/locate/locate_impl.h"

#include <assert.h>
#include <stdio.h>

/* Quant's answers again, with quant as the reader. */
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
            s->known[k].done = 1; /* greedily: the wrong answer itself */
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

rt_status locate_forced(struct locating *l, const struct pipe_variant *quant)
{
    rt_status st;
    struct locating x = { .session = l->session,
                          .bench = l->bench,
                          .reader = quant,
                          .locator = "forced",
                          .mirror = true,
                          .samples = l->samples };
    int32_t *kept = rt_alloc(l->session->ctx, l->count, sizeof *kept);
    assert(l->samples > 0);
    snprintf(x.run_id, sizeof x.run_id, "%s", l->run_id);
    if (!kept) {
        st = rt_fail(l->session->ctx, RT_ERR_HOST_MEMORY, "locate: no memory");
        goto fail;
    }
    TRY(list_own(&x, l));
    TRY(locate_announce(&x, "forced"));
    TRY(locate_find_again(&x));
    for (uint32_t i = 0; i < l->count; i++)
        kept[i] = after_verdict(&l->list[i]);
    TRY(locate_continue_at(&x, kept, true));
    for (uint32_t i = 0; i < l->count; i++) {
        l->list[i].forced = kept[i] >= 0;
        l->list[i].forced_right = kept[i] >= 0 && x.list[i].known[kept[i]].can;
        l->list[i].forced_tokens = x.list[i].tokens;
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
        snprintf(evidence, sizeof evidence, "{\"quant_right\":%s}",
                 s->forced_right ? "true" : "false");
        st = store_put_fault(l->session->store, l->run_id, s->gen, &f);
    }
    return st;
}

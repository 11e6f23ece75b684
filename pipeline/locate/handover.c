/* pipeline/locate/handover.c
 * The mirror of the search: quant reads and continues full's own right answers. `twin-back` is
 * the first step that quant would write otherwise, `handover` the step that it cannot make:
 * after the steps before it quant's greedy answer is wrong, after it right. Both are rows of
 * full's answer, so their steps are those of full's text. */
#include "pipeline/locate/locate_impl.h"

#include <assert.h>
#include <stdio.h>

static rt_status list_back(struct locating *back, const struct locating *l,
                           const struct pipe_answers *f)
{
    rt_status st = RT_OK;
    struct rt_ctx *ctx = l->session->ctx;
    back->list = rt_alloc(ctx, l->count, sizeof *back->list);
    if (!back->list)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "locate: no memory");
    back->count = l->count;
    for (uint32_t i = 0; i < l->count && st == RT_OK; i++) {
        const uint32_t p = l->list[i].problem;
        struct locate_search *s = &back->list[i];
        *s = (struct locate_search){ .problem = p,
                                     .text = f->items[p].text,
                                     .ids = f->items[p].ids,
                                     .margin = f->items[p].margin,
                                     .n = f->items[p].n,
                                     .truth = -1 };
        store_gen_id(f->run_id, l->bench->set.items[p].id, 0, s->gen);
        st = locate_search_init(back, s, l->list[i].text);
    }
    return st;
}

rt_status locate_handover(struct locating *l, const struct pipe_variant *quant,
                          const struct pipe_answers *f, struct locating *back)
{
    rt_status st;
    assert(!l->mirror && !l->back);
    *back = (struct locating){ .session = l->session,
                               .bench = l->bench,
                               .reader = quant,
                               .locator = "handover",
                               .mirror = true };
    snprintf(back->run_id, sizeof back->run_id, "%s", l->run_id);
    TRY(list_back(back, l, f));
    TRY(locate_twins(back));
    TRY(locate_rollouts(back));
    locate_close_engines(back);
    for (uint32_t i = 0; i < l->count; i++) {
        l->list[i].handover = back->list[i].rollout.step;
        l->list[i].twin_back = back->list[i].twin;
    }
    l->back = back;

fail:
    return st;
}

static rt_status put_both(struct locating *back, const struct locate_search *s)
{
    rt_status st;
    char evidence[128];
    struct pipe_fault f =
        locate_fault_of_search(s, "handover", evidence, sizeof evidence);
    f.confidence = 0; /* no weight of evidence was shown */
    TRY(store_put_fault(back->session->store, back->run_id, s->gen, &f));
    f = locate_fault_of_twin(s, "twin-back", evidence, sizeof evidence);
    f.confidence = 0;
    TRY(store_put_fault(back->session->store, back->run_id, s->gen, &f));

fail:
    return st;
}

rt_status locate_put_handover(struct locating *back)
{
    rt_status st = RT_OK;
    for (uint32_t i = 0; i < back->count && st == RT_OK; i++)
        st = put_both(back, &back->list[i]);
    return st;
}

/* pipeline/cli/loop_twin.c
 * Teacher-forced comparisons with the full-precision model: its choices along wrong
 * answers (the twin locator), and how far a variant has moved from it. */
#include "pipeline/cli/loop_locate.h"

#include <string.h>

enum { BATCH = 8, ROWS = BATCH * LOOP_CONTEXT, DIVERGENCE_PROBLEMS = 64 };

/* Sequences of one batch, each a prompt and an answer whose tokens are the targets. */
struct forced {
    struct train_sequence batch[BATCH];
    uint32_t *ids[BATCH];
    uint8_t *mask; /* [ROWS] */
    float *margin, *kl;
    uint32_t *best;
    uint8_t *same;
    uint32_t count, targets;
};

static void forced_reset(struct forced *f)
{
    for (int i = 0; i < BATCH; i++) {
        rt_free(f->ids[i]);
        f->ids[i] = NULL;
    }
    f->count = f->targets = 0;
}

static void forced_free(struct forced *f)
{
    forced_reset(f);
    rt_free(f->mask);
    rt_free(f->margin);
    rt_free(f->kl);
    rt_free(f->best);
    rt_free(f->same);
    *f = (struct forced){ .count = 0 };
}

static rt_status forced_alloc(struct rt_ctx *ctx, struct forced *f)
{
    *f = (struct forced){ .mask = rt_alloc(ctx, ROWS, 1),
                          .margin = rt_alloc(ctx, ROWS, sizeof *f->margin),
                          .kl = rt_alloc(ctx, ROWS, sizeof *f->kl),
                          .best = rt_alloc(ctx, ROWS, sizeof *f->best),
                          .same = rt_alloc(ctx, ROWS, 1) };
    if (f->mask && f->margin && f->kl && f->best && f->same)
        return RT_OK;
    forced_free(f);
    return rt_fail(ctx, RT_ERR_HOST_MEMORY, "comparing models: no memory");
}

static rt_status forced_add(struct loop *loop, struct forced *f, const char *question,
                            const uint32_t *answer, uint32_t n)
{
    uint32_t n_prompt;
    uint32_t **ids = &f->ids[f->count];
    rt_status st = loop_prompt(loop, question, NULL, ids, &n_prompt);
    if (st != RT_OK)
        return st;
    uint32_t *all = rt_resize(loop->ctx, *ids, n_prompt, n_prompt + n, sizeof *all);
    if (!all)
        return rt_fail(loop->ctx, RT_ERR_HOST_MEMORY, "comparing models: no memory");
    *ids = all;
    uint8_t *mask = f->mask + f->count * LOOP_CONTEXT;
    memcpy(all + n_prompt, answer, n * sizeof *all);
    memset(mask, 0, LOOP_CONTEXT);
    memset(mask + n_prompt, 1, n);
    f->batch[f->count++] =
        (struct train_sequence){ .ids = all, .mask = mask, .n = n_prompt + n };
    f->targets += n;
    return RT_OK;
}

/* The suspects of one answer from what full said at its tokens [at, at + n). */
static rt_status take_suspect(struct rt_ctx *ctx, struct locate_search *s,
                              const struct forced *f, uint32_t at)
{
    float *margin = rt_alloc(ctx, s->n, sizeof *margin);
    if (!margin)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "comparing models: no memory");
    for (uint32_t t = 0; t < s->n; t++)
        margin[t] = f->best[at + t] == s->ids[t] ? 0.0f : -f->margin[at + t];
    const struct pipe_twin_view view = { .n = s->n,
                                         .ids = s->ids,
                                         .full_top = f->best + at,
                                         .full_margin = margin,
                                         .quant_margin = s->margin,
                                         .steps = s->steps,
                                         .step_count = s->step_count };
    s->twin = pipe_twin_step(&view, &s->suspect, &s->twin_confidence);
    rt_free(margin);
    return RT_OK;
}

rt_status locate_twins(struct locating *l)
{
    rt_status st;
    struct rt_scorer *scorer = NULL;
    struct forced f;
    TRY(forced_alloc(l->loop->ctx, &f));
    TRY(rt_scorer_create(l->full->model, NULL, NULL, ROWS, &scorer));
    for (uint32_t first = 0; first < l->count; first += BATCH) {
        const uint32_t n = l->count - first < BATCH ? l->count - first : BATCH;
        const struct score_out out = { .margin = f.margin, .best = f.best };
        uint32_t at = 0;
        if (cli_stopping()) {
            st = cli_stop_status(l->loop->ctx);
            goto fail;
        }
        TRY(loop_work_beat(l->loop));
        forced_reset(&f);
        for (uint32_t i = first; i < first + n; i++)
            TRY(forced_add(l->loop, &f, l->bench->set.items[l->list[i].problem].question,
                           l->list[i].ids, l->list[i].n));
        TRY(rt_scorer_run(scorer, f.batch, n, &out));
        for (uint32_t i = first; i < first + n; i++) {
            TRY(take_suspect(l->loop->ctx, &l->list[i], &f, at));
            at += l->list[i].n;
        }
    }

fail:
    forced_free(&f);
    rt_scorer_destroy(&scorer);
    return st;
}

rt_status loop_divergence(struct loop *loop, const struct loop_variant *full,
                          const struct loop_variant *variant,
                          const struct loop_bench *bench, const struct loop_answers *f,
                          const char *run_id)
{
    rt_status st;
    struct rt_scorer *scorer = NULL;
    struct forced forced;
    double kl = 0, same = 0;
    uint64_t tokens = 0;
    const uint32_t n =
        bench->set.count < DIVERGENCE_PROBLEMS ? bench->set.count : DIVERGENCE_PROBLEMS;
    TRY(forced_alloc(loop->ctx, &forced));
    TRY(rt_scorer_create(variant->model, variant->adapter, full->model, ROWS, &scorer));
    for (uint32_t first = 0; first < n; first += BATCH) {
        const struct score_out out = { .kl = forced.kl, .same = forced.same };
        forced_reset(&forced);
        for (uint32_t i = first; i < n && i < first + BATCH; i++)
            if (f->items[i].n)
                TRY(forced_add(loop, &forced, bench->set.items[i].question,
                               f->items[i].ids, f->items[i].n));
        if (forced.count == 0)
            continue;
        TRY(rt_scorer_run(scorer, forced.batch, forced.count, &out));
        for (uint32_t t = 0; t < forced.targets; t++) {
            kl += (double)forced.kl[t];
            same += forced.same[t];
        }
        tokens += forced.targets;
    }
    if (tokens) {
        TRY(store_begin(loop->store));
        TRY(store_put_metric(loop->store, run_id, "kl_mean", 0, kl / (double)tokens));
        TRY(store_put_metric(loop->store, run_id, "same_top", 0, same / (double)tokens));
        TRY(store_put_metric(loop->store, run_id, "kl_tokens", 0, (double)tokens));
        TRY(store_commit(loop->store));
    }

fail:
    if (st != RT_OK)
        store_rollback(loop->store);
    forced_free(&forced);
    rt_scorer_destroy(&scorer);
    return st;
}

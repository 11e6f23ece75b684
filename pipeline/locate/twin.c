/* pipeline/locate/twin.c
 * Teacher-forced comparisons with the full-precision model: its choices along wrong
 * answers (the twin locator), and how far a variant has moved from it. */
#include "pipeline/locate/locate_impl.h"
#include "pipeline/run/sequences.h"
#include "runtime/observe/score.h"
#include "store/queries.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIVERGENCE_PROBLEMS = 64 };

/* What a scorer says of the targets of one batch. */
struct said {
    float *margin, *kl;
    uint32_t *best;
    uint8_t *same;
};

static void said_deinit(struct said *s)
{
    rt_free(s->margin);
    rt_free(s->kl);
    rt_free(s->best);
    rt_free(s->same);
}

static rt_status said_init(struct rt_ctx *ctx, uint32_t targets, struct said *s)
{
    *s = (struct said){ .margin = rt_alloc(ctx, targets, sizeof *s->margin),
                        .kl = rt_alloc(ctx, targets, sizeof *s->kl),
                        .best = rt_alloc(ctx, targets, sizeof *s->best),
                        .same = rt_alloc(ctx, targets, 1) };
    return s->margin && s->kl && s->best && s->same
               ? RT_OK
               : rt_fail(ctx, RT_ERR_HOST_MEMORY, "comparing models: no memory");
}

/* The suspects of one answer from what full said at its tokens [at, at + n). */
static rt_status take_suspect(struct rt_ctx *ctx, struct locate_search *s,
                              const struct said *f, uint32_t at)
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
    s->twin = pipe_twin_step(&view, &s->suspect);
    rt_free(margin);
    return RT_OK;
}

/* Every wrong answer after the prompt that it answers, but those of no token. */
static rt_status add_answers(struct locating *l, struct pipe_sequences *out)
{
    rt_status st;
    TRY(pipe_sequences_init(l->session, l->count, out));
    for (uint32_t i = 0; i < l->count; i++)
        if (l->list[i].n)
            TRY(pipe_sequences_add(l->session, out,
                                   l->bench->set.items[l->list[i].problem].question, NULL,
                                   l->list[i].ids, l->list[i].n));

fail:
    return st;
}

/* The suspects of the next `n` answers that have tokens, from list[*at] on. */
static rt_status take_suspects(struct locating *l, const struct said *said, uint32_t n,
                               uint32_t *at)
{
    rt_status st = RT_OK;
    for (uint32_t taken = 0, target = 0; st == RT_OK && taken < n; ++*at) {
        struct locate_search *s = &l->list[*at];
        assert(*at < l->count);
        if (s->n == 0)
            continue;
        st = take_suspect(l->session->ctx, s, said, target);
        target += s->n;
        taken++;
    }
    return st;
}

rt_status locate_twins(struct locating *l)
{
    rt_status st;
    struct rt_scorer *scorer = NULL;
    struct pipe_sequences all = { 0 };
    struct said said = { 0 };
    uint32_t n, targets, at = 0;
    if (l->count == 0)
        return RT_OK;
    TRY(add_answers(l, &all));
    if (all.count == 0)
        goto fail;
    const uint32_t rows = pipe_sequences_rows(&all);
    TRY(said_init(l->session->ctx, rows, &said));
    TRY(rt_scorer_create(l->reader->model, l->reader->adapter, NULL, rows, &scorer));
    for (uint32_t first = 0; first < all.count; first += n) {
        const struct score_out out = { .margin = said.margin, .best = said.best };
        n = pipe_sequences_batch(&all, first, rows, &targets);
        TRY(pipe_stop_status(l->session->host, l->session->ctx));
        TRY(pipe_work_beat(l->session));
        TRY(rt_scorer_run(scorer, all.list + first, n, &out));
        TRY(take_suspects(l, &said, n, &at));
    }

fail:
    said_deinit(&said);
    pipe_sequences_free(&all);
    rt_scorer_destroy(&scorer);
    return st;
}

/* ---- divergence ---- */

/* Which full model: a number of the first 48 bits of its hash. */
static double mark_of(const struct pipe_variant *full)
{
    char digits[13] = "";
    const char *hash = strchr(full->weights_id, ':');
    snprintf(digits, sizeof digits, "%.12s", hash ? hash + 1 : full->weights_id);
    return (double)strtoull(digits, NULL, 16);
}

static rt_status put_divergence(struct pipe_session *session, const char *run_id,
                                const struct pipe_variant *full,
                                const struct pipe_diverged *d)
{
    rt_status st;
    struct store *s = session->store;
    TRY(store_begin(s));
    TRY(store_put_metric(s, run_id, "kl_mean", 0, d->kl));
    TRY(store_put_metric(s, run_id, "same_top", 0, d->same_top));
    TRY(store_put_metric(s, run_id, "kl_tokens", 0, d->tokens));
    TRY(store_put_metric(s, run_id, "kl_full", 0, mark_of(full)));
    TRY(store_commit(s));
    return RT_OK;

fail:
    store_rollback(s);
    return st;
}

static rt_status take_value(void *user, const struct pipe_metric *m)
{
    *(double *)user = m->value;
    return RT_OK;
}

/* The numbers of an earlier command, if they are of this full model and as many tokens. */
static rt_status find_divergence(struct pipe_session *session, const char *run_id,
                                 const struct pipe_variant *full, uint32_t tokens,
                                 struct pipe_diverged *out, bool *found)
{
    rt_status st;
    double kl = NAN, same = NAN, of = NAN, mark = NAN;
    TRY(store_each_metric(session->store, run_id, "kl_mean", take_value, &kl));
    TRY(store_each_metric(session->store, run_id, "same_top", take_value, &same));
    TRY(store_each_metric(session->store, run_id, "kl_tokens", take_value, &of));
    TRY(store_each_metric(session->store, run_id, "kl_full", take_value, &mark));
    *found = isfinite(kl) && isfinite(same) && of >= tokens && of <= tokens &&
             mark >= mark_of(full) && mark <= mark_of(full);
    if (*found)
        *out = (struct pipe_diverged){ kl, same, tokens };

fail:
    return st;
}

static uint32_t count_targets(const struct pipe_sequences *all)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < all->count; i++)
        sum += train_sequence_targets(&all->list[i]);
    return sum;
}

static rt_status add_first_answers(struct pipe_session *session,
                                   const struct pipe_bench *bench,
                                   const struct pipe_answers *f,
                                   struct pipe_sequences *all)
{
    rt_status st;
    TRY(pipe_sequences_init(session, DIVERGENCE_PROBLEMS, all));
    for (uint32_t i = 0; i < bench->set.count && i < DIVERGENCE_PROBLEMS; i++)
        if (f->items[i].n)
            TRY(pipe_sequences_add(session, all, bench->set.items[i].question, NULL,
                                   f->items[i].ids, f->items[i].n));

fail:
    return st;
}

static rt_status sum_divergence(struct pipe_session *session,
                                const struct pipe_variant *full,
                                const struct pipe_variant *variant,
                                const struct pipe_sequences *all,
                                struct pipe_diverged *out)
{
    rt_status st;
    struct rt_scorer *scorer = NULL;
    struct said said = { 0 };
    double kl = 0, same = 0;
    uint32_t n, targets, tokens = 0;
    const uint32_t rows = pipe_sequences_rows(all);
    TRY(said_init(session->ctx, rows, &said));
    TRY(rt_scorer_create(variant->model, variant->adapter, full->model, rows, &scorer));
    for (uint32_t first = 0; first < all->count; first += n) {
        const struct score_out score = { .kl = said.kl, .same = said.same };
        n = pipe_sequences_batch(all, first, rows, &targets);
        TRY(pipe_stop_status(session->host, session->ctx));
        TRY(rt_scorer_run(scorer, all->list + first, n, &score));
        for (uint32_t t = 0; t < targets; t++) {
            kl += (double)said.kl[t];
            same += said.same[t];
        }
        tokens += targets;
    }
    *out = (struct pipe_diverged){ kl / tokens, same / tokens, tokens };

fail:
    said_deinit(&said);
    rt_scorer_destroy(&scorer);
    return st;
}

rt_status pipe_divergence(struct pipe_session *session, const struct pipe_variant *full,
                          const struct pipe_variant *variant,
                          const struct pipe_bench *bench, const struct pipe_answers *f,
                          const char *run_id, struct pipe_diverged *out)
{
    rt_status st;
    struct pipe_sequences all = { 0 };
    bool found;
    *out = (struct pipe_diverged){ NAN, NAN, 0 };
    TRY(add_first_answers(session, bench, f, &all));
    if (all.count == 0)
        goto fail;
    TRY(find_divergence(session, run_id, full, count_targets(&all), out, &found));
    if (found)
        goto fail;
    TRY(sum_divergence(session, full, variant, &all, out));
    TRY(put_divergence(session, run_id, full, out));

fail:
    pipe_sequences_free(&all);
    return st;
}

/* pipeline/run/regrade.c
 * Reads the stored answers, grades each, and keeps the scores that differ until all are read. */
#include "pipeline/run/regrade.h"

#include "pipeline/prompt/prompt_format.h"
#include "runtime/base/text_pool.h"
#include "store/queries.h"

#include <string.h>

/* A verdict that differs from the stored one; strings in the pool. */
struct change {
    struct change *next;
    const char *gen_id;
    struct pipe_score score;
};

struct regrading {
    struct rt_ctx *ctx;
    struct store *store;
    const struct pipe_regrade_options *options;
    struct pipe_grader *grader;
    struct pipe_pool pool;
    struct change *first, **last;
    struct pipe_regrade_result *out;
};

static const char *keep(struct regrading *g, const char *text)
{
    return text ? pipe_pool_copy(g->ctx, &g->pool, text, strlen(text)) : NULL;
}

/* columns of store_score_rows */
enum {
    GEN,
    PROBLEM,
    SAMPLE,
    OUTPUT,
    FINISH,
    GOLD,
    FORMAT,
    LABEL,
    GRADER,
    CORRECT,
    EXTRACTED,
    OK,
    REASON,
    THINKS
};

static bool same(const struct store_row *row, const struct pipe_score *now)
{
    const bool has = !store_row_null(row, EXTRACTED);
    return !store_row_null(row, CORRECT) &&
           (store_row_integer(row, CORRECT) != 0) == now->correct &&
           (store_row_integer(row, OK) != 0) == now->extract_ok &&
           has == (now->extracted != NULL) &&
           (!has || strcmp(store_row_text(row, EXTRACTED), now->extracted) == 0);
}

static rt_status add_change(struct regrading *g, const struct store_row *row,
                            const struct pipe_score *now)
{
    struct change *c = pipe_pool_take(g->ctx, &g->pool, 1, sizeof *c);
    if (!c)
        return rt_fail(g->ctx, RT_ERR_HOST_MEMORY, "no memory for a verdict");
    c->gen_id = keep(g, store_row_text(row, GEN));
    c->score = *now;
    c->score.extracted = keep(g, now->extracted);
    c->score.reason = keep(g, now->reason);
    *g->last = c;
    g->last = &c->next;
    const struct pipe_regraded change = {
        .problem_id = store_row_text(row, PROBLEM),
        .label = store_row_text(row, LABEL),
        .sample = store_row_integer(row, SAMPLE),
        .was_correct = store_row_integer(row, CORRECT) != 0,
        .was_extracted = store_row_text_or_null(row, EXTRACTED),
        .now = now,
    };
    g->out->to_right += !change.was_correct && now->correct;
    g->out->to_wrong += change.was_correct && !now->correct;
    g->out->other += change.was_correct == now->correct;
    if (change.was_correct != now->correct && g->options->fn)
        g->options->fn(g->options->user, &change);
    return c->gen_id ? RT_OK
                     : rt_fail(g->ctx, RT_ERR_HOST_MEMORY, "no memory for a verdict");
}

static rt_status take_answer(void *user, const struct store_row *row)
{
    struct regrading *g = user;
    char extracted[PIPE_EXTRACT_MAX];
    struct pipe_score now;
    const struct pipe_prompt_format *format =
        pipe_prompt_format_find(store_row_text(row, FORMAT));
    /* A verdict of another grader is its own row and stays. */
    if (!format || (!store_row_null(row, GRADER) &&
                    strcmp(store_row_text(row, GRADER), format->grader) != 0)) {
        g->out->unknown++;
        return RT_OK;
    }
    const enum pipe_finish end = store_row_finish(row, FINISH);
    const char *output = store_row_text(row, OUTPUT);
    if (!pipe_grade_thought(format, store_row_integer(row, THINKS) != 0, output, end,
                            &now))
        pipe_grade(g->grader, format, output, end, store_row_text(row, GOLD), extracted,
                   &now);
    g->out->answers++;
    g->out->undecided += pipe_is_undecided(now.reason);
    return same(row, &now) ? RT_OK : add_change(g, row, &now);
}

/* A run that is named must be there: a slip of the pen is no success. */
static rt_status check_run(const struct regrading *g)
{
    int64_t runs;
    const char *run = g->options->run;
    const rt_status st = store_count_eval_runs(g->store, run, &runs);
    if (st == RT_OK && runs == 0)
        return rt_fail(g->ctx, RT_ERR_USAGE,
                       "no eval run%s%.80s is in the results file; see: faultline status",
                       run[0] ? " of " : "", run);
    return st;
}

static rt_status save(struct regrading *g)
{
    rt_status st;
    TRY(store_begin(g->store));
    for (const struct change *c = g->first; c; c = c->next)
        TRY(store_put_score(g->store, c->gen_id, &c->score));
    TRY(store_commit(g->store));
    return RT_OK;

fail:
    store_rollback(g->store);
    return st;
}

rt_status pipe_regrade(struct rt_ctx *ctx, struct store *store,
                       const struct pipe_regrade_options *options,
                       struct pipe_regrade_result *out)
{
    rt_status st;
    struct regrading g = {
        .ctx = ctx, .store = store, .options = options, .last = &g.first, .out = out
    };
    *out = (struct pipe_regrade_result){ 0 };
    TRY(pipe_grader_create(ctx, options->policies, &g.grader));
    TRY(check_run(&g));
    TRY(store_score_rows(store, options->run, take_answer, &g));
    if (!options->dry)
        TRY(save(&g));

fail:
    pipe_grader_destroy(&g.grader);
    pipe_pool_deinit(&g.pool);
    return st;
}

/* pipeline/cli/grade_store.c
 * Grades the stored answers again by the format of their run and prints which verdicts
 * change. */
#include "pipeline/cli/grade_store.h"

#include "pipeline/grade/grade.h"
#include "pipeline/prompt/prompt_format.h"
#include "runtime/base/text_pool.h"
#include "store/queries.h"

#include <stdio.h>
#include <string.h>

/* A verdict that differs from the stored one; strings in the pool. */
struct change {
    struct change *next;
    const char *gen_id;
    struct pipe_score score;
};

struct regrading {
    struct cli *cli;
    struct store *store;
    struct pipe_grader *grader;
    struct pipe_pool pool;
    struct change *first, **last;
    int64_t runs;
    uint32_t answers, unknown, to_right, to_wrong, undecided, other;
};

static const char *keep(struct regrading *g, const char *text)
{
    return text ? pipe_pool_copy(&g->cli->ctx, &g->pool, text, strlen(text)) : NULL;
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

static void print_change(const struct regrading *g, const struct store_row *row,
                         const struct pipe_score *now)
{
    const char *old =
        store_row_null(row, EXTRACTED) ? NULL : store_row_text(row, EXTRACTED);
    if (!cli_flag(g->cli, "json")) {
        printf("%s\t%s\t%s\t%s -> %s\t'%.60s' -> '%.60s'\t%s\n",
               store_row_text(row, PROBLEM), store_row_text(row, SAMPLE),
               store_row_text(row, LABEL),
               store_row_integer(row, CORRECT) ? "right" : "wrong",
               now->correct ? "right" : "wrong", old ? old : "",
               now->extracted ? now->extracted : "", now->reason ? now->reason : "");
        return;
    }
    static const char *const names[] = { "problem", "variant", "old", "new", "rule" };
    const char *const texts[] = { store_row_text(row, PROBLEM),
                                  store_row_text(row, LABEL), old, now->extracted,
                                  now->reason };
    printf("{\"sample\":%lld,\"was\":%s,\"is\":%s",
           (long long)store_row_integer(row, SAMPLE),
           store_row_integer(row, CORRECT) ? "true" : "false",
           now->correct ? "true" : "false");
    for (size_t i = 0; i < RT_COUNT(names); i++) {
        printf(",\"%s\":", names[i]);
        if (texts[i])
            cli_print_json_text(texts[i]);
        else
            fputs("null", stdout);
    }
    puts("}");
}

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
    struct change *c = pipe_pool_take(&g->cli->ctx, &g->pool, 1, sizeof *c);
    if (!c)
        return rt_fail(&g->cli->ctx, RT_ERR_HOST_MEMORY, "no memory for a verdict");
    c->gen_id = keep(g, store_row_text(row, GEN));
    c->score = *now;
    c->score.extracted = keep(g, now->extracted);
    c->score.reason = keep(g, now->reason);
    *g->last = c;
    g->last = &c->next;
    const bool was = store_row_integer(row, CORRECT) != 0;
    g->to_right += !was && now->correct;
    g->to_wrong += was && !now->correct;
    g->other += was == now->correct;
    if (was != now->correct)
        print_change(g, row, now);
    return c->gen_id
               ? RT_OK
               : rt_fail(&g->cli->ctx, RT_ERR_HOST_MEMORY, "no memory for a verdict");
}

static rt_status take_answer(void *user, const struct store_row *row)
{
    struct regrading *g = user;
    char extracted[PIPE_EXTRACT_MAX];
    struct pipe_score now;
    const struct pipe_prompt_format *format =
        pipe_prompt_format_find(store_row_text(row, FORMAT));
    const char *finish = store_row_text(row, FINISH);
    /* A verdict of another grader is its own row and stays. */
    if (!format || (!store_row_null(row, GRADER) &&
                    strcmp(store_row_text(row, GRADER), format->grader) != 0)) {
        g->unknown++;
        return RT_OK;
    }
    const enum pipe_finish end = strcmp(finish, "stop") == 0     ? PIPE_FINISH_STOP
                                 : strcmp(finish, "length") == 0 ? PIPE_FINISH_LENGTH
                                                                 : PIPE_FINISH_ERROR;
    const char *output = store_row_text(row, OUTPUT);
    if (!pipe_grade_thought(format, store_row_integer(row, THINKS) != 0, output, end,
                            &now))
        pipe_grade(g->grader, format, output, end, store_row_text(row, GOLD), extracted,
                   &now);
    g->answers++;
    g->undecided += now.reason && strncmp(now.reason, "undecided", 9) == 0;
    return same(row, &now) ? RT_OK : add_change(g, row, &now);
}

/* A run that is named must be there: a slip of the pen is no success. */
static rt_status check_run(struct regrading *g, const char *run)
{
    const rt_status st = store_count_eval_runs(g->store, run, &g->runs);
    if (st == RT_OK && g->runs == 0)
        return rt_fail(&g->cli->ctx, RT_ERR_USAGE,
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

rt_status grade_store(struct cli *cli)
{
    rt_status st;
    const char *unknown = NULL;
    const bool dry = cli_flag(cli, "dry-run");
    const char *of = cli_value(cli, "run", "");
    struct pipe_policies policies = { 0 };
    struct regrading g = { .cli = cli, .last = &g.first };
    if (!pipe_policies_switch_off(&policies, cli_value(cli, "without", ""), &unknown))
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "there is no rule '%.40s'; grade --policies lists them", unknown);
    TRY(pipe_grader_create(&cli->ctx, &policies, &g.grader));
    TRY(cli_store_open(cli, STORE_READ, &g.store));
    if (!dry) { /* the file must be there: a new one is not made */
        store_close(&g.store);
        TRY(cli_store_open(cli, STORE_WRITE, &g.store));
    }
    TRY(check_run(&g, of));
    TRY(store_score_rows(g.store, of, take_answer, &g));
    if (!dry)
        TRY(save(&g));
    cli_say(cli,
            "%u answers graded again: %u verdicts %s (%u to right, %u to wrong), %u "
            "others extracted otherwise, %u undecided%s",
            g.answers, g.to_right + g.to_wrong, dry ? "would change" : "changed",
            g.to_right, g.to_wrong, g.other, g.undecided,
            g.unknown ? "; answers of formats or graders that are not known were left "
                        "alone"
                      : "");

fail:
    store_close(&g.store);
    pipe_grader_destroy(&g.grader);
    pipe_pool_deinit(&g.pool);
    return st;
}

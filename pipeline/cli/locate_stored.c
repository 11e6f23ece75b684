/* pipeline/cli/locate_stored.c
 * Reads the wrong answers of a run, asks the check of its dialect, and writes what it
 * names as faults. */
#include "pipeline/cli/locate_stored.h"

#include "pipeline/prompt/prompt_format.h"
#include "runtime/base/text_pool.h"

#include <stdio.h>
#include <string.h>

struct finding {
    struct finding *next;
    const char *gen_id, *evidence; /* in the pool */
    struct pipe_fault fault;
};

struct locating_stored {
    struct cli *cli;
    struct store *store;
    const struct pipe_prompt_format *format;
    char run[STORE_ID], locate[STORE_ID], variant[STORE_ID], benchmark[STORE_ID],
        campaign[STORE_ID], format_name[48], label[80];
    struct pipe_pool pool;
    struct finding *first, **last;
    uint32_t wrong, named;
};

static rt_status take_run(void *user, const struct store_row *row)
{
    struct locating_stored *l = user;
    snprintf(l->run, STORE_ID, "%s", store_row_text(row, 0));
    snprintf(l->variant, STORE_ID, "%s", store_row_text(row, 1));
    snprintf(l->benchmark, STORE_ID, "%s", store_row_text(row, 2));
    snprintf(l->campaign, STORE_ID, "%s", store_row_text(row, 3));
    snprintf(l->format_name, sizeof l->format_name, "%.47s", store_row_text(row, 4));
    snprintf(l->label, sizeof l->label, "%.79s", store_row_text(row, 5));
    return RT_OK;
}

static rt_status take_answer(void *user, const struct store_row *row)
{
    struct locating_stored *l = user;
    struct finding *f = pipe_pool_take(&l->cli->ctx, &l->pool, 1, sizeof *f);
    const char *id = store_row_text(row, 0);
    struct pipe_checked c;
    l->format->dialect->check(store_row_text(row, 1), store_row_text(row, 2), &c);
    if (f) {
        f->gen_id = pipe_pool_copy(&l->cli->ctx, &l->pool, id, strlen(id));
        f->evidence =
            pipe_pool_copy(&l->cli->ctx, &l->pool, c.evidence, strlen(c.evidence));
        f->fault = (struct pipe_fault){ .locator = "check",
                                        .step = c.step,
                                        .token = -1,
                                        .category = c.category,
                                        .confidence = c.confidence };
    }
    if (!f || !f->gen_id || !f->evidence)
        return rt_fail(&l->cli->ctx, RT_ERR_HOST_MEMORY, "no memory to locate");
    *l->last = f;
    l->last = &f->next;
    l->wrong++;
    l->named += f->fault.step >= 0;
    return RT_OK;
}

static rt_status save(struct locating_stored *l)
{
    rt_status st;
    char config[160];
    snprintf(config, sizeof config, "{\"answers\":\"%s\",\"locators\":\"check\"}",
             l->run);
    struct store_run run = { .campaign_id = l->campaign[0] ? l->campaign : NULL,
                             .kind = "locate",
                             .variant_id = l->variant,
                             .benchmark_id = l->benchmark,
                             .config = config };
    TRY(store_begin(l->store));
    TRY(store_run_open(l->store, &run));
    snprintf(l->locate, STORE_ID, "%s", run.id);
    for (struct finding *f = l->first; f; f = f->next) {
        f->fault.evidence = f->evidence;
        TRY(store_put_fault(l->store, run.id, f->gen_id, &f->fault));
        f->fault.locator = "verdict";
        f->fault.evidence =
            f->fault.step < 0 ? "{\"by\":\"none\"}" : "{\"by\":\"check\"}";
        TRY(store_put_fault(l->store, run.id, f->gen_id, &f->fault));
    }
    TRY(store_run_close(l->store, run.id, "done", 0, NULL));
    TRY(store_commit(l->store));
    return RT_OK;

fail:
    store_rollback(l->store);
    return st;
}

static rt_status print_faults(struct locating_stored *l)
{
    return cli_print_query(
        l->cli, l->store,
        "SELECT g.problem_id, g.sample, f.step_idx AS step, f.category, "
        /* places count bytes, substr of a text characters */
        "rtrim(CAST(substr(CAST(g.output AS BLOB), "
        "coalesce(json_extract(f.evidence,'$.at[0]'), s.char_start)+1, "
        "coalesce(json_extract(f.evidence,'$.at[1]'), s.char_end)-"
        "coalesce(json_extract(f.evidence,'$.at[0]'), s.char_start)) AS TEXT), "
        "char(10)) AS text "
        "FROM fault f JOIN generation g USING(gen_id) LEFT JOIN step s ON "
        "s.gen_id=g.gen_id AND s.segmenter=?2 AND s.idx=f.step_idx WHERE f.run_id=?1 AND "
        "f.locator='check' AND f.step_idx IS NOT NULL ORDER BY g.problem_id, g.sample",
        (const char *const[]){ l->locate, l->format->dialect->segmenter, NULL });
}

rt_status locate_stored(struct cli *cli, const char *run)
{
    rt_status st;
    struct locating_stored l = { .cli = cli, .last = &l.first };
    TRY(cli_store_open(cli, STORE_READ, &l.store));
    TRY(store_query(
        l.store,
        "SELECT r.run_id, r.variant_id, r.benchmark_id, (SELECT campaign_id FROM "
        "campaign_run c WHERE c.run_id=r.run_id ORDER BY joined_ms DESC LIMIT 1), "
        "json_extract(r.config,'$.format'), v.label FROM run r "
        "JOIN variant v USING(variant_id) WHERE r.kind='eval' AND ?1 IN "
        "(r.run_id, v.label) ORDER BY r.started_ms DESC, r.run_id LIMIT 1",
        (const char *const[]){ run, NULL }, take_run, &l));
    l.format = pipe_prompt_format_find(l.format_name);
    if (!l.run[0] || !l.format || !l.format->dialect->check) {
        st = rt_fail(&cli->ctx, RT_ERR_USAGE,
                     l.run[0]
                         ? "the run '%.80s' has answers of no format whose steps can be "
                           "checked"
                         : "no eval run '%.80s' is in the results file; see: "
                           "faultline status",
                     run);
        goto fail;
    }
    store_close(&l.store);
    TRY(cli_store_open(cli, STORE_WRITE, &l.store));
    TRY(store_query(
        l.store,
        "SELECT g.gen_id, p.question, g.output FROM generation g JOIN problem "
        "p USING(problem_id) WHERE g.run_id=?1 AND g.error IS NULL AND "
        "(SELECT correct FROM v_verdict s WHERE s.gen_id=g.gen_id)=0 ORDER "
        "BY g.problem_id, g.sample",
        (const char *const[]){ l.run, NULL }, take_answer, &l));
    TRY(save(&l));
    cli_say(cli, "%s: %u wrong answers, a faulty step named in %u", l.label, l.wrong,
            l.named);
    TRY(print_faults(&l));

fail:
    store_close(&l.store);
    pipe_pool_deinit(&l.pool);
    return st;
}

/* pipeline/cli/cmd_status.c
 * What runs and how far, from the results file alone: status once, watch again and again.
 * A run whose processes are gone, or have sent no sign of life within their lease, is
 * "stopped", whatever its row says. */
#include "pipeline/cli/cli.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* 60000: STORE_LEASE_MS of store_claim.h, and the longest time in which the pace is
 * measured: since the first of those who work now began. */
#define CLOCK \
    "clock AS (SELECT CAST((julianday('now')-2440587.5)*86400000 AS INTEGER) AS now)"
#define LIVE                                                                  \
    "live AS (SELECT a.* FROM attempt a, clock WHERE a.ended_ms IS NULL AND " \
    "a.heartbeat_ms>now-60000 AND NOT process_gone(a.host, a.pid))"

static const char runs[] =
    "WITH " CLOCK ", " LIVE ", pace AS (SELECT l.run_id, count(*) AS workers, "
    "max(now-60000, min(l.started_ms)) AS since FROM live l, clock GROUP BY l.run_id), "
    "progress AS (SELECT r.*, coalesce(c.workers,0) AS workers, c.since, "
    "EXISTS(SELECT 1 FROM attempt a WHERE a.run_id=r.run_id) AS attempted, "
    "CASE r.kind WHEN 'eval' THEN (SELECT count(*) FROM generation g WHERE "
    "g.run_id=r.run_id) WHEN 'locate' THEN (SELECT count(DISTINCT f.gen_id) FROM fault f "
    "WHERE f.run_id=r.run_id) WHEN 'train' THEN (SELECT count(*) FROM metric m WHERE "
    "m.run_id=r.run_id AND m.name='loss') END AS done, coalesce((SELECT m.value FROM "
    "metric m WHERE m.run_id=r.run_id AND m.name='wanted'), b.n_problems) AS wanted, "
    "(SELECT count(*) FROM generation g WHERE g.run_id=r.run_id AND "
    "g.created_ms>c.since) "
    "AS fresh, (SELECT avg(s.correct) FROM generation g JOIN score s USING(gen_id) WHERE "
    "g.run_id=r.run_id) AS acc FROM run r LEFT JOIN benchmark b USING(benchmark_id) LEFT "
    "JOIN pace c USING(run_id)) "
    "SELECT p.kind, coalesce(json_extract(p.config,'$.recipe'),v.label,'') AS variant, "
    "coalesce(b.name,'') AS bench, coalesce(b.split,'') AS split, CASE WHEN "
    "p.status='running' AND p.attempted AND p.workers=0 THEN 'stopped' ELSE p.status END "
    "AS status, p.done, CASE p.kind WHEN 'eval' THEN CAST(max(p.wanted, p.done) AS "
    "INTEGER) END AS total, CASE p.kind WHEN 'eval' THEN round(100*p.acc,2) END AS "
    "accuracy, p.workers, max(0,(now-p.heartbeat_ms)/1000) AS seconds_since, CASE WHEN "
    "p.workers>0 AND p.fresh>0 THEN CAST((p.wanted-p.done)*max(1000,now-p.since)/1000.0/"
    "p.fresh AS INTEGER) END AS seconds_left, coalesce(p.error,'') AS error FROM clock, "
    "progress p LEFT JOIN variant v USING(variant_id) LEFT JOIN benchmark b "
    "USING(benchmark_id) ORDER BY p.started_ms, p.run_id";

static const char working_now[] = "WITH " CLOCK ", " LIVE " SELECT count(*) FROM live";

static rt_status take_count(void *user, const struct store_row *row)
{
    *(int64_t *)user = store_row_integer(row, 0);
    return RT_OK;
}

/* *working: how many processes show signs of life; may be null. */
static rt_status print_runs(struct cli *cli, int64_t *working)
{
    rt_status st;
    struct store *store = NULL;
    TRY(cli_store_open(cli, STORE_READ, &store));
    TRY(cli_print_query(cli, store, runs, NULL));
    if (working)
        TRY(store_query(store, working_now, NULL, take_count, working));

fail:
    store_close(&store);
    return st;
}

static rt_status status(struct cli *cli)
{
    return print_runs(cli, NULL);
}

const struct cli_command cli_status = { "status",
                                        "what ran and how far, from the file alone", "",
                                        NULL, status };

static rt_status watch(struct cli *cli)
{
    rt_status st;
    int64_t every, working = 1;
    const bool screen = isatty(STDOUT_FILENO) && !cli_flag(cli, "json");
    TRY(cli_number(cli, "every", 2, 1, 3600, &every));
    for (;;) {
        if (screen)
            fputs("\033[H\033[J", stdout);
        TRY(print_runs(cli, &working));
        if (working == 0 || fflush(stdout) != 0)
            break;
        const struct timespec pause = { (time_t)every, 0 };
        nanosleep(&pause, NULL); /* a signal ends it early */
        if (cli_stopping())
            break;
        if (!screen && !cli_flag(cli, "json"))
            putchar('\n');
    }

fail:
    return st;
}

static const struct cli_option watch_options[] = {
    { "every", "N", "seconds between two looks (default 2)" },
    { NULL, NULL, NULL },
};

const struct cli_command cli_watch = { "watch",
                                       "status again and again while a process works", "",
                                       watch_options, watch };

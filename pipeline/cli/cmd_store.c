/* pipeline/cli/cmd_store.c
 * Commands that only read the results file: sql, status, report. */
#include "pipeline/cli/cli.h"

#include "store/report/report.h"

#include <stdio.h>
#include <string.h>

struct printing {
    bool json, headed;
    uint64_t rows;
};

static void print_quoted(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            printf("\\%c", *text);
        else if ((unsigned char)*text < 32)
            printf("\\u%04x", *text);
        else
            putchar(*text);
    }
    putchar('"');
}

static rt_status print_row(void *user, const struct store_row *row)
{
    struct printing *p = user;
    const int n = store_row_count(row);
    for (int i = 0; !p->json && !p->headed && i < n; i++)
        printf("%s%s", store_row_name(row, i), i + 1 < n ? "\t" : "\n");
    p->headed = true;
    if (p->json)
        fputs(p->rows ? ",\n{" : "[{", stdout);
    for (int i = 0; i < n; i++) {
        if (p->json) {
            print_quoted(store_row_name(row, i));
            putchar(':');
            if (store_row_null(row, i))
                fputs("null", stdout);
            else
                print_quoted(store_row_text(row, i));
            if (i + 1 < n)
                putchar(',');
        } else {
            printf("%s%s", store_row_text(row, i), i + 1 < n ? "\t" : "\n");
        }
    }
    if (p->json)
        putchar('}');
    p->rows++;
    return RT_OK;
}

static rt_status query(struct cli *cli, const char *sql)
{
    struct store *store = NULL;
    struct printing p = { .json = cli_flag(cli, "json") };
    rt_status st = store_open(&cli->ctx, cli_store_path(cli), STORE_READ, &store);
    if (st == RT_OK)
        st = store_query(store, sql, NULL, print_row, &p);
    if (p.json && st == RT_OK)
        puts(p.rows ? "]" : "[]");
    store_close(&store);
    return st;
}

static rt_status sql(struct cli *cli)
{
    if (cli->positional_count != 1)
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "sql needs one statement in quotes");
    return query(cli, cli->positional[0]);
}

const struct cli_command cli_sql = { "sql", "run a query on the results file",
                                     "\"SELECT ...\"", NULL, sql };

static rt_status status(struct cli *cli)
{
    return query(
        cli,
        "SELECT r.kind, coalesce(v.label,'') AS variant, coalesce(b.split,'') AS split,"
        " r.status, (SELECT count(*) FROM generation g WHERE g.run_id=r.run_id) AS done,"
        " coalesce(b.n_problems,0) AS total, (strftime('%s','now')*1000-r.heartbeat_ms)"
        "/1000 AS seconds_since, coalesce(r.error,'') AS error FROM run r LEFT JOIN "
        "variant v USING(variant_id) LEFT JOIN benchmark b USING(benchmark_id) "
        "ORDER BY r.started_ms, r.run_id");
}

const struct cli_command cli_status = { "status",
                                        "what ran and how far, from the file alone", "",
                                        NULL, status };

static const struct cli_option report_options[] = {
    { "campaign", "ID", "default: the newest" },
    { "out", "FILE", "default report.html" },
    { NULL, NULL, NULL },
};

static rt_status report(struct cli *cli)
{
    struct store *store = NULL;
    const char *out = cli_value(cli, "out", "report.html");
    rt_status st = store_open(&cli->ctx, cli_store_path(cli), STORE_READ, &store);
    if (st == RT_OK)
        st = report_write(store, &cli->ctx, cli_value(cli, "campaign", NULL), out);
    if (st == RT_OK)
        cli_say(cli, "report: %s", out);
    store_close(&store);
    return st;
}

const struct cli_command cli_report = { "report", "write the HTML page of a campaign", "",
                                        report_options, report };

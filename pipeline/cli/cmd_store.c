/* pipeline/cli/cmd_store.c
 * Commands about the results file: sql, report; store migrate, store merge. */
#include "pipeline/cli/cli.h"

#include "runtime/base/file.h"
#include "store/merge.h"
#include "store/report/report.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A value between tabs: one line, and nothing that could steer a terminal. */
static void print_plain(const char *text, size_t size)
{
    for (const char *end = text + size; text < end; text++) {
        if (*text == '\n' || *text == '\t' || *text == '\0')
            fputs(*text == '\n' ? "\\n" : *text ? "\\t" : "\\0", stdout);
        else
            putchar((unsigned char)*text < 32 || *text == 127 ? '?' : *text);
    }
}

static void print_blob(const struct store_row *row, int i)
{
    int size;
    const uint8_t *bytes = store_row_blob(row, i, &size);
    for (int k = 0; k < size; k++)
        printf("%02X", bytes[k]);
}

/* ---- names of columns ---- */

static void print_name(const struct cli_rows *p, const struct store_row *row, int i)
{
    const char *name = store_row_name(row, i);
    const int suffix = p->renamed ? store_row_suffix(row, i) : 0;
    json_t *longer = suffix ? json_sprintf("%s_%d", name, suffix) : NULL;
    if (suffix && !longer) /* a name that is not UTF-8 */
        longer = json_sprintf("column_%d", i + 1);
    const char *text = longer ? json_string_value(longer) : name;
    if (p->json)
        rt_json_text(stdout, text);
    else
        fputs(text, stdout);
    json_decref(longer);
}

/* ---- values ---- */

static void print_json(const struct cli_rows *p, const struct store_row *row, int i)
{
    const char *text = store_row_text(row, i);
    if (store_row_null(row, i))
        fputs("null", stdout);
    else if (p->json_column && strcmp(store_row_name(row, i), p->json_column) == 0)
        fputs(text, stdout);
    else if (store_row_is_number(row, i) && isfinite(store_row_number(row, i)))
        fputs(text, stdout);
    else
        rt_json_bytes(stdout, text, store_row_size(row, i));
}

static void print_value(const struct cli_rows *p, const struct store_row *row, int i)
{
    if (store_row_is_blob(row, i)) {
        fputs(p->json ? "\"" : "", stdout);
        print_blob(row, i);
        fputs(p->json ? "\"" : "", stdout);
    } else if (p->json) {
        print_json(p, row, i);
    } else {
        const char *text = store_row_text(row, i);
        print_plain(text, store_row_size(row, i));
    }
}

static void print_head(struct cli_rows *p, const struct store_row *row)
{
    const int n = store_row_count(row);
    p->renamed = store_row_names_twice(row);
    for (int i = 0; !p->json && i < n; i++) {
        print_name(p, row, i);
        putchar(i + 1 < n ? '\t' : '\n');
    }
    p->headed = true;
}

rt_status cli_rows_add(void *rows, const struct store_row *row)
{
    struct cli_rows *p = rows;
    const int n = store_row_count(row);
    if (!p->headed)
        print_head(p, row);
    if (p->json)
        fputs(p->rows ? ",\n{" : "[{", stdout);
    for (int i = 0; i < n; i++) {
        if (p->json) {
            print_name(p, row, i);
            putchar(':');
        }
        print_value(p, row, i);
        if (i + 1 < n)
            putchar(p->json ? ',' : '\t');
    }
    putchar(p->json ? '}' : '\n');
    p->rows++;
    /* Nobody reads on, or nothing fits: main says which. */
    return ferror(stdout) ? RT_ERR_IO : RT_OK;
}

struct cli_rows cli_rows_begin(const struct cli *cli)
{
    return (struct cli_rows){ .json = cli_flag(cli, "json") };
}

rt_status cli_rows_end(struct cli_rows *rows, rt_status st)
{
    if (ferror(stdout))
        st = RT_OK;
    if (rows->json && st == RT_OK)
        puts(rows->rows ? "]" : "[]");
    return st;
}

rt_status cli_print_query(struct cli *cli, struct store *store, const char *sql,
                          const char *const *args)
{
    struct cli_rows rows = cli_rows_begin(cli);
    return cli_rows_end(&rows, args ? store_query(store, sql, args, cli_rows_add, &rows)
                                    : store_query_given(store, sql, cli_rows_add, &rows));
}

static rt_status query(struct cli *cli, const char *sql)
{
    struct store *store = NULL;
    rt_status st = cli_store_open(cli, STORE_READ, &store);
    if (st == RT_OK)
        st = cli_print_query(cli, store, sql, NULL);
    store_close(&store);
    return st;
}

static rt_status sql(struct cli *cli)
{
    if (cli->positional_count != 1)
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "sql needs one statement in quotes");
    return query(cli, cli->positional[0]);
}

const struct cli_command cli_sql = {
    "sql", "query the results file; blobs as hexadecimal, a second column A as A_2",
    "\"SELECT ...\"", /* lint: help, not a query */
    NULL, sql
};

static const struct cli_option report_options[] = {
    { "campaign", "ID", "default: the newest" },
    { "out", "FILE", "default report.html" },
    { NULL, NULL, NULL },
};

static rt_status report(struct cli *cli)
{
    struct store *store = NULL;
    const char *out = cli_value(cli, "out", "report.html");
    rt_status st = cli_store_open(cli, STORE_READ, &store);
    if (st == RT_OK)
        st = report_write(store, &cli->ctx, cli_value(cli, "campaign", NULL), out);
    if (st == RT_OK)
        cli_say(cli, "report: %s", out);
    store_close(&store);
    return st;
}

const struct cli_command cli_report = { "report", "write the HTML page of a campaign", "",
                                        report_options, report };

/* ---- the file itself ---- */

/* Opening it for writing brings it forward. */
static rt_status migrate(struct cli *cli)
{
    struct store *store = NULL;
    const bool there = fmt_exists(cli_store_path(cli));
    const rt_status st = cli_store_open(cli, there ? STORE_WRITE : STORE_READ, &store);
    if (st == RT_OK)
        cli_say(cli, "%s: of the present version", cli_store_path(cli));
    store_close(&store);
    return st;
}

static rt_status merge(struct cli *cli)
{
    rt_status st;
    struct store *store = NULL;
    if (cli->positional_count < 2)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "store merge needs the files whose rows go into %s",
                       cli_store_path(cli));
    TRY(cli_store_open(cli, STORE_WRITE, &store));
    for (int i = 1; i < cli->positional_count; i++) {
        struct store_merge_counts n;
        TRY(store_merge(store, cli->positional[i], &n));
        cli_say(cli, "%s: %lld rows added, %lld were there, %lld settled by rule",
                cli->positional[i], (long long)n.added, (long long)n.same,
                (long long)n.settled);
    }

fail:
    store_close(&store);
    return st;
}

static rt_status store_run(struct cli *cli)
{
    const char *what = cli->positional_count ? cli->positional[0] : "";
    if (strcmp(what, "migrate") == 0 && cli->positional_count > 1)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "store migrate takes no file name; the file is named by --store, "
                       "as in: faultline store migrate --store %.200s",
                       cli->positional[1]);
    if (strcmp(what, "migrate") == 0)
        return migrate(cli);
    if (strcmp(what, "merge") == 0)
        return merge(cli);
    return rt_fail(&cli->ctx, RT_ERR_USAGE, "store '%.40s': migrate and merge are there",
                   what);
}

const struct cli_command cli_store = {
    "store", "bring a results file forward, merge others into it",
    "migrate | merge FILE ...", NULL, store_run
};

/* pipeline/cli/cmd_bench.c
 * bench: measures cases on devices, stores them, prints them, holds them against another
 * run and that against a gate. */
#include "pipeline/cli/bench_print.h"
#include "pipeline/cli/cli.h"

#include "runtime/base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 64 };

/* What the command line asks for. */
struct asked {
    enum bench_format format;
    const char *compare, *gate_text, *model;
    struct pipe_bench_gate gate;
    uint32_t passes;
    double seconds;
    struct store *base;      /* null: no comparison, or one within the store */
    char base_run[STORE_ID]; /* empty: the newest of `base` */
    struct bench_gate_hits hits;
};

static rt_status read_format(struct cli *cli, enum bench_format *out)
{
    static const char *const names[] = { "table", "md", "csv", "json" };
    const char *given = cli_value(cli, "out", cli_flag(cli, "json") ? "json" : "table");
    for (size_t i = 0; i < RT_COUNT(names); i++)
        if (strcmp(given, names[i]) == 0) {
            *out = (enum bench_format)i;
            return RT_OK;
        }
    return rt_fail(&cli->ctx, RT_ERR_USAGE,
                   "--out %.20s: table, md, csv or json is needed", given);
}

static rt_status read_asked(struct cli *cli, struct asked *a)
{
    rt_status st;
    int64_t passes;
    char *end = NULL;
    const char *seconds = cli_value(cli, "seconds", "0.15");
    *a = (struct asked){ .compare = cli_value(cli, "compare", NULL),
                         .gate_text = cli_value(cli, "fail-if", NULL),
                         .model = cli_value(cli, "model", NULL) };
    TRY(read_format(cli, &a->format));
    TRY(cli_number(cli, "passes", 3, 1, PIPE_BENCH_PASSES_MAX, &passes));
    a->passes = (uint32_t)passes;
    a->seconds = strtod(seconds, &end);
    if (end == seconds || *end || !(a->seconds > 0 && a->seconds <= 3600)) {
        st = rt_fail(&cli->ctx, RT_ERR_USAGE,
                     "--seconds %.20s: a number above 0, at most 3600, is needed",
                     seconds);
        goto fail;
    }
    if (a->gate_text)
        TRY(pipe_bench_gate_parse(&cli->ctx, a->gate_text, &a->gate));
    if (a->gate_text && a->gate.kind != PIPE_BENCH_GATE_INVALID && !a->compare)
        st = rt_fail(&cli->ctx, RT_ERR_USAGE,
                     "--fail-if \"%.60s\" needs --compare FILE or a run", a->gate_text);

fail:
    return st;
}

/* ---- measuring ---- */

static rt_status measure_device(struct cli *cli, const struct asked *a,
                                const char *device, struct bench_cases *cases,
                                struct store *store, char run_id[STORE_ID])
{
    rt_status st;
    struct bench_options o = {
        .host = cli_host(cli),
        .store = store,
        .model_folder = a->model,
        .suites = cli_value(cli, "suite", "quick"),
        .passes = a->passes,
        .seconds = a->seconds,
        .profile = cli_flag(cli, "profile"),
        .validation = cli_flag(cli, "validation"),
    };
    if (bench_cases_need_model(cases) && !o.model_folder)
        TRY(cli_demo_folder(cli, &o.model_folder));
    TRY(cli_tune(cli, &o.tune));
    TRY(cli_device_open_named(cli, device, &o.dev));
    TRY(bench_run(&cli->ctx, &o, cases, run_id));
    cli_print_profile(cli, o.dev);

fail:
    rt_device_destroy(&o.dev);
    return st;
}

/* ---- reporting ---- */

static rt_status find_base(struct cli *cli, struct asked *a, struct store *store)
{
    if (!a->compare)
        return RT_OK;
    if (fmt_exists(a->compare))
        return store_open(&cli->ctx, a->compare, STORE_READ, &a->base);
    if (strpbrk(a->compare, "/."))
        return rt_fail(&cli->ctx, RT_ERR_INPUT, "--compare '%s': there is no such file",
                       a->compare);
    return bench_run_find(store, &cli->ctx, a->compare, a->base_run);
}

static rt_status report(struct cli *cli, struct asked *a, struct store *store,
                        const char *run_id)
{
    rt_status st;
    struct bench_rows rows = { 0 };
    TRY(bench_rows_load(store, &cli->ctx, run_id, &rows));
    if (a->compare)
        TRY(bench_rows_compare(&rows, store, a->base ? a->base : store, &cli->ctx,
                               a->base_run[0] ? a->base_run : NULL));
    bench_rows_print(&rows, a->format);
    if (a->gate_text)
        bench_gate_count(&a->gate, &rows, &a->hits);
    if (a->format == BENCH_TABLE)
        cli_say(cli, "run %.15s  in %s", run_id, cli_store_path(cli));

fail:
    bench_rows_deinit(&rows);
    return st;
}

static rt_status check_gate(struct cli *cli, const struct asked *a)
{
    if (!a->gate_text || !bench_gate_fires(&a->gate, &a->hits))
        return RT_OK;
    return rt_fail(&cli->ctx, RT_ERR_GATE,
                   "gate: %.60s holds for %u case%s, the first is '%s'", a->gate_text,
                   a->hits.count, a->hits.count == 1 ? "" : "s", a->hits.first);
}

static rt_status measure_and_report(struct cli *cli, struct asked *a,
                                    struct bench_cases *cases, struct store *store)
{
    rt_status st = RT_OK;
    bool named = false;
    for (int i = 0; i < cli->given_count; i++) {
        const char *list = cli->given[i].value;
        if (strcmp(cli->given[i].name, "device") != 0)
            continue;
        named = true;
        while (*list) {
            char device[NAME_MAX_BYTES], run_id[STORE_ID];
            const size_t length = strcspn(list, ",");
            snprintf(device, sizeof device, "%.*s", (int)length, list);
            TRY(measure_device(cli, a, device, cases, store, run_id));
            TRY(report(cli, a, store, run_id));
            list += length + (list[length] == ',');
        }
    }
    if (!named) {
        char run_id[STORE_ID];
        TRY(measure_device(cli, a, getenv("FAULTLINE_DEVICE"), cases, store, run_id));
        TRY(report(cli, a, store, run_id));
    }

fail:
    return st;
}

static void print_list(const struct bench_cases *cases)
{
    printf("%-8s %-58s %-8s %s\n", "suite", "case", "unit", "what");
    for (uint32_t i = 0; i < cases->count; i++) {
        const struct bench_case *c = &cases->items[i];
        printf("%-8s %-58s %-8s %s%s\n", c->suite, c->name, c->unit, c->explain,
               c->quick ? " [quick]" : "");
    }
}

static rt_status bench(struct cli *cli)
{
    rt_status st;
    struct asked a;
    struct bench_cases cases = { 0 };
    struct store *store = NULL;
    const char *stored = cli_value(cli, "run", NULL);
    char run_id[STORE_ID];
    TRY(read_asked(cli, &a));
    TRY(bench_cases_all(&cli->ctx, &cases));
    TRY(bench_cases_select(&cli->ctx, &cases, cli_value(cli, "suite", "quick"),
                           cli_value(cli, "case", NULL)));
    if (cli_flag(cli, "list")) {
        print_list(&cases);
        goto fail;
    }
    TRY(cli_store_open(cli, stored ? STORE_READ : STORE_WRITE, &store));
    TRY(find_base(cli, &a, store));
    if (stored) {
        TRY(bench_run_find(store, &cli->ctx, stored, run_id));
        TRY(report(cli, &a, store, run_id));
    } else {
        TRY(measure_and_report(cli, &a, &cases, store));
    }
    TRY(check_gate(cli, &a));

fail:
    store_close(&a.base);
    store_close(&store);
    bench_cases_deinit(&cases);
    return st;
}

static const struct cli_option options[] = {
    { "suite", "LIST",
      "of peak, ops (with peak), cases, decode, context, prefill, train; quick (default) "
      "or full" },
    { "case", "GLOB", "only cases whose name fits" },
    { "model", "DIR",
      "of decode, context, prefill and train (default: the bundled one)" },
    { "passes", "N", "over all cases, each in another order (default 3)" },
    { "seconds", "X", "measured in each case and pass (default 0.15)" },
    { "run", "ID", "measure nothing: show this stored run (or latest)" },
    { "compare", "BASE", "results file or run that the numbers are held against" },
    { "fail-if", "CONDITION", "exit 6: \"slower>5%\", \"invalid>0\", \"unclear>0\"" },
    { "out", "FORMAT", "table, md, csv or json (also -o)" },
    { "list", NULL, "print the cases and stop" },
    { NULL, NULL, NULL },
};

const struct cli_command cli_bench = { "bench",
                                       "device benchmark: checked, timed, compared",
                                       "[--suite LIST] [--device LIST] [--compare BASE]",
                                       options, bench };

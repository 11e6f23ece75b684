/* pipeline/cli/cmd_status.c
 * What runs and how far, from the results file alone: status once, watch again and again.
 * A run whose processes are gone, or have sent no sign of life within their lease, is
 * "stopped", whatever its row says. */
#include "pipeline/cli/cli.h"

#include "runtime/base/os.h"
#include "store/queries.h"

#include <stdio.h>

/* *working: how many processes show signs of life; may be null. */
static rt_status print_runs(struct cli *cli, int64_t *working)
{
    rt_status st;
    struct store *store = NULL;
    struct cli_rows rows = cli_rows_begin(cli);
    TRY(cli_store_open(cli, STORE_READ, &store));
    st = store_status_rows(store, cli_rows_add, &rows);
    TRY(cli_rows_end(&rows, st));
    if (working)
        TRY(store_count_working(store, working));

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
    const bool screen = os_is_terminal(stdout) && !cli_flag(cli, "json");
    TRY(cli_number(cli, "every", 2, 1, 3600, &every));
    for (;;) {
        if (screen)
            fputs("\033[H\033[J", stdout);
        TRY(print_runs(cli, &working));
        if (working == 0 || fflush(stdout) != 0)
            break;
        os_sleep_ms(every * 1000); /* a signal ends it early */
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

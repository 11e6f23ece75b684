/* pipeline/cli/cmd_export.c
 * export: the answers of a run in the formats of other programs. */
#include "pipeline/cli/cli.h"

#include "pipeline/exchange/export_run.h"

static const struct cli_option options[] = {
    { "run", "ID",
      "the run, or the label of its variant (default: the newest eval run)" },
    { "as", "KIND", "jsonl, csv, lm-eval, inspect or inspect-eval (default jsonl)" },
    { "out", "FILE", "where to (also -o)" },
    { NULL, NULL, NULL },
};

static rt_status run(struct cli *cli)
{
    rt_status st;
    struct store *store = NULL;
    struct store_eval_run of;
    uint32_t answers;
    const char *as = cli_value(cli, "as", "jsonl"), *out = cli_value(cli, "out", NULL);
    const enum pipe_export_kind kind = pipe_export_kind_of(as);
    if (!out || kind == PIPE_EXPORT_KIND_COUNT)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "export needs -o FILE, and --as jsonl, csv, lm-eval, inspect or "
                       "inspect-eval");
    TRY(cli_store_open(cli, STORE_READ, &store));
    TRY(pipe_export_run(&cli->ctx, store, cli_value(cli, "run", ""), out, kind, &of,
                        &answers));
    cli_say(cli, "%u answers of %s to %s: %s (%s)", answers, of.label, of.bench, out,
            pipe_export_kind_name(kind));

fail:
    store_close(&store);
    return st;
}

const struct cli_command cli_export = { "export", "answers in the formats of others", "",
                                        options, run };

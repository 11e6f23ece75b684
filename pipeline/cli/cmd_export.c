/* pipeline/cli/cmd_export.c
 * export: the answers of a run in the formats of other programs. */
#include "pipeline/cli/cli.h"

#include "pipeline/exchange/export.h"
#include "runtime/base/version.h"
#include "store/queries.h"

#include <stdio.h>
#include <string.h>

static const struct cli_option options[] = {
    { "run", "ID",
      "the run, or the label of its variant (default: the newest eval run)" },
    { "as", "KIND", "jsonl, csv, lm-eval, inspect or inspect-eval (default jsonl)" },
    { "out", "FILE", "where to (also -o)" },
    { NULL, NULL, NULL },
};

struct exporting {
    struct cli *cli;
    struct pipe_export *export;
    struct store_eval_run of;
    uint32_t answers;
};

static const char *text_or_null(const struct store_row *row, int column)
{
    return store_row_null(row, column) ? NULL : store_row_text(row, column);
}

static rt_status put_answer(void *user, const struct store_row *row)
{
    struct exporting *e = user;
    e->answers++;
    return pipe_export_put(e->export, &(struct pipe_export_answer){
                                          .problem_id = store_row_text(row, 0),
                                          .question = store_row_text(row, 1),
                                          .gold = store_row_text(row, 2),
                                          .sample = (uint32_t)store_row_integer(row, 3),
                                          .output = store_row_text(row, 4),
                                          .finish = store_row_text(row, 5),
                                          .n_prompt = (uint32_t)store_row_integer(row, 6),
                                          .n_gen = (uint32_t)store_row_integer(row, 7),
                                          .error = text_or_null(row, 8),
                                          .extracted = text_or_null(row, 9),
                                          .correct = store_row_integer(row, 10) != 0,
                                          .rule = text_or_null(row, 11),
                                      });
}

static rt_status find_run(struct exporting *e, struct store *store)
{
    const char *wanted = cli_value(e->cli, "run", "");
    const rt_status st = store_find_eval_run(store, wanted, &e->of);
    if (st == RT_OK && !e->of.run_id[0])
        return rt_fail(&e->cli->ctx, RT_ERR_USAGE,
                       "no eval run%s%.80s is in the results file; see: faultline status",
                       wanted[0] ? " of " : "", wanted);
    return st;
}

static rt_status run(struct cli *cli)
{
    rt_status st;
    struct store *store = NULL;
    struct exporting e = { .cli = cli };
    const char *as = cli_value(cli, "as", "jsonl"), *out = cli_value(cli, "out", NULL);
    const enum pipe_export_kind kind = pipe_export_kind_of(as);
    if (!out || kind == PIPE_EXPORT_KIND_COUNT)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "export needs -o FILE, and --as jsonl, csv, lm-eval, inspect or "
                       "inspect-eval");
    TRY(cli_store_open(cli, STORE_READ, &store));
    TRY(find_run(&e, store));
    const struct pipe_export_head head = { e.of.label,      e.of.bench,    e.of.run_id,
                                           e.of.started_ms, e.of.ended_ms, rt_version };
    TRY(pipe_export_open(&cli->ctx, out, kind, &head, &e.export));
    TRY(store_export_rows(store, e.of.run_id, put_answer, &e));
    TRY(pipe_export_end(e.export));
    cli_say(cli, "%u answers of %s to %s: %s (%s)", e.answers, e.of.label, e.of.bench,
            out, pipe_export_kind_name(kind));

fail:
    pipe_export_destroy(&e.export);
    store_close(&store);
    return st;
}

const struct cli_command cli_export = { "export", "answers in the formats of others", "",
                                        options, run };

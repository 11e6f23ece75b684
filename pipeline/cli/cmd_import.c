/* pipeline/cli/cmd_import.c
 * import: answers that another program produced become generations like any other, graded
 * here, with their provenance. */
#include "pipeline/cli/cli_session.h"

#include "pipeline/exchange/import_run.h"
#include "pipeline/stats/statistics.h"

#include <stdio.h>

static const struct cli_option options[] = {
    { "bench", "SPEC", "the problems: a problem file or a data set, gsm8k:test" },
    { "role", "NAME", "full, quant, restored or control (default full)" },
    { "label", "NAME", "of the variant (default: the model that the file names)" },
    { "format", "NAME",
      "how answers are cut into steps and graded (default: the usual one of the data "
      "set)" },
    { "as", "KIND", "lm-eval, inspect or jsonl (default: told by the content)" },
    { "filter", "NAME",
      "of lm-eval, whose lines are taken (default: the first of the file)" },
    { NULL, NULL, NULL },
};

static void tell(const struct cli *cli, const struct pipe_import_result *r)
{
    const struct pipe_interval w = pipe_wilson(r->right, r->import.count);
    if (cli_flag(cli, "json")) {
        fputs("{\"variant\":", stdout);
        rt_json_text(stdout, r->label);
        if (r->import.filter)
            rt_json_member(stdout, "filter", r->import.filter);
        if (r->import.left_out)
            rt_json_count(stdout, "left_out", r->import.left_out);
        printf(",\"kind\":\"%s\",\"answers\":%u,\"added\":%lld,\"right\":%u,"
               "\"unparsed\":%u,\"run\":\"%s\"}\n",
               pipe_import_kind_name(r->import.kind), r->import.count,
               (long long)r->added, r->right, r->unparsed, r->run);
        return;
    }
    printf(
        "%s, %s: %u answers (%s), %lld new, %u right: %.2f %% (95 %% %.2f to %.2f), %u "
        "unparsed\n",
        r->bench, r->label, r->import.count, pipe_import_kind_name(r->import.kind),
        (long long)r->added, r->right, 100.0 * r->right / r->import.count, 100 * w.low,
        100 * w.high, r->unparsed);
}

/* The harness writes every answer once per filter; one record of each is taken. */
static void tell_filter(struct cli *cli, const struct pipe_import *in)
{
    char left_out[64] = "";
    if (in->left_out)
        snprintf(left_out, sizeof left_out, "; documents left out that it lacks: %u",
                 in->left_out);
    if (in->filter_count > 1)
        cli_say(
            cli,
            "the file has answers under several filters (%s, %s%s); those of '%s' were "
            "taken, --filter names another%s",
            in->filters[0], in->filters[1], in->filter_count > 2 ? ", ..." : "",
            in->filter, left_out);
}

static rt_status import_file(struct cli *cli, struct store *store,
                             struct pipe_import_options *o)
{
    rt_status st;
    struct pipe_import_result result = { 0 };
    TRY(cli_format(cli, o->bench, &o->format));
    TRY(pipe_import_run(&cli->ctx, cli_host(cli), store, o, &result));
    tell_filter(cli, &result.import);
    tell(cli, &result);

fail:
    pipe_import_result_deinit(&result);
    return st;
}

static rt_status run(struct cli *cli)
{
    rt_status st;
    struct store *store = NULL;
    const char *as = cli_value(cli, "as", "auto");
    struct pipe_import_options o = {
        .kind = pipe_import_kind_of(as),
        .filter = cli_value(cli, "filter", NULL),
        .bench = cli_value(cli, "bench", NULL),
        .role = cli_value(cli, "role", "full"),
        .label = cli_value(cli, "label", NULL),
    };
    if (cli->positional_count == 0 || !o.bench)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "import needs a FILE of answers and --bench with their problems");
    if (o.kind == PIPE_IMPORT_KIND_COUNT)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--as %.40s: lm-eval, inspect or jsonl is needed", as);
    TRY(cli_store_open(cli, STORE_WRITE, &store));
    for (int i = 0; i < cli->positional_count; i++) {
        o.path = cli->positional[i];
        TRY(import_file(cli, store, &o));
    }

fail:
    store_close(&store);
    return st;
}

const struct cli_command cli_import = { "import",
                                        "answers of another program, with provenance",
                                        "FILE... --bench SPEC", options, run };

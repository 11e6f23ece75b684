/* pipeline/cli/cmd_grade.c
 * grade: JSON records for others to check, or the answers of a results file again. */
#include "pipeline/cli/cli.h"

#include "pipeline/run/grade_records.h"
#include "pipeline/run/regrade.h"

#include <stdio.h>

static const struct cli_option options[] = {
    { "jsonl", "FILE",
      "objects (of a file, or - for the standard input) with gold and pred (kind: "
      "answer, or text where the answer stands in "
      "prose), or with gold, text and style" },
    { "style", "NAME",
      "for records without one: gsm8k, math, aime, text, gsm8k-strict, "
      "gsm8k-flexible" },
    { "without", "LIST", "rules that are switched off, or 'all' (see --policies)" },
    { "run", "ID", "with --store: only this run, or the runs of this variant's label" },
    { "dry-run", NULL, "with --store: say what would change, and change nothing" },
    { "policies", NULL, "the rules on which graders differ, and what is done here" },
    { NULL, NULL, NULL },
};

static void print_policies(void)
{
    for (int i = 0; i < PIPE_POLICY_COUNT; i++)
        printf("%-22s %s\n", pipe_policy_name((enum pipe_policy)i),
               pipe_policy_text((enum pipe_policy)i));
}

static rt_status read_policies(struct cli *cli, struct pipe_policies *out)
{
    const char *unknown = NULL;
    *out = (struct pipe_policies){ 0 };
    if (!pipe_policies_switch_off(out, cli_value(cli, "without", ""), &unknown))
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "there is no rule '%.40s'; grade --policies lists them", unknown);
    return RT_OK;
}

/* ---- records ---- */

static void print_record(void *user, const json_t *record)
{
    (void)user;
    cli_print_record(record, 6);
}

static rt_status records(struct cli *cli, const char *path)
{
    rt_status st;
    const char *style = cli_value(cli, "style", NULL);
    struct pipe_policies policies;
    struct pipe_grade_records_result n;
    const struct pipe_grade_records_options o = { pipe_answer_style_find(style),
                                                  &policies, print_record, NULL };
    if (style && !o.style)
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "unknown style '%.40s'; see help grade",
                       style);
    TRY(read_policies(cli, &policies));
    TRY(pipe_grade_records(&cli->ctx, path, &o, &n));
    cli_say(cli,
            "%u records: %u correct, %u wrong, %u of these without an answer, %u "
            "undecided",
            n.records, n.correct, n.records - n.correct - n.undecided, n.unanswered,
            n.undecided);

fail:
    return st;
}

/* ---- stored answers ---- */

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static void print_change(void *user, const struct pipe_regraded *c)
{
    const struct cli *cli = user;
    if (!cli_flag(cli, "json")) {
        printf("%s\t%lld\t%s\t%s -> %s\t'%.60s' -> '%.60s'\t%s\n", c->problem_id,
               (long long)c->sample, c->label, c->was_correct ? "right" : "wrong",
               c->now->correct ? "right" : "wrong", or_empty(c->was_extracted),
               or_empty(c->now->extracted), or_empty(c->now->reason));
        return;
    }
    static const char *const names[] = { "problem", "variant", "old", "new", "rule" };
    const char *const texts[] = { c->problem_id, c->label, c->was_extracted,
                                  c->now->extracted, c->now->reason };
    printf("{\"sample\":%lld,\"was\":%s,\"is\":%s", (long long)c->sample,
           c->was_correct ? "true" : "false", c->now->correct ? "true" : "false");
    for (size_t i = 0; i < RT_COUNT(names); i++)
        if (texts[i])
            rt_json_member(stdout, names[i], texts[i]);
        else
            printf(",\"%s\":null", names[i]);
    puts("}");
}

static rt_status stored(struct cli *cli)
{
    rt_status st;
    struct store *store = NULL;
    struct pipe_policies policies;
    struct pipe_regrade_result n;
    const struct pipe_regrade_options o = { .run = cli_value(cli, "run", ""),
                                            .policies = &policies,
                                            .dry = cli_flag(cli, "dry-run"),
                                            .fn = print_change,
                                            .user = cli };
    TRY(read_policies(cli, &policies));
    TRY(cli_store_open(cli, STORE_READ, &store));
    if (!o.dry) { /* the file must be there: a new one is not made */
        store_close(&store);
        TRY(cli_store_open(cli, STORE_WRITE, &store));
    }
    TRY(pipe_regrade(&cli->ctx, store, &o, &n));
    cli_say(cli,
            "%u answers graded again: %u verdicts %s (%u to right, %u to wrong), %u "
            "others extracted otherwise, %u undecided%s",
            n.answers, n.to_right + n.to_wrong, o.dry ? "would change" : "changed",
            n.to_right, n.to_wrong, n.other, n.undecided,
            n.unknown ? "; answers of formats or graders that are not known were left "
                        "alone"
                      : "");

fail:
    store_close(&store);
    return st;
}

static rt_status run(struct cli *cli)
{
    const char *path = cli_value(cli, "jsonl", NULL);
    if (cli_flag(cli, "policies")) {
        print_policies();
        return RT_OK;
    }
    if (path)
        return records(cli, path);
    if (cli_flag(cli, "store"))
        return stored(cli);
    return rt_fail(&cli->ctx, RT_ERR_USAGE,
                   "grade needs --jsonl FILE, --store FILE or --policies");
}

const struct cli_command cli_grade = {
    "grade", "grade JSON records, or the answers of a results file again",
    "--jsonl FILE | --store FILE", options, run
};

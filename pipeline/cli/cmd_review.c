/* pipeline/cli/cmd_review.c
 * review: verdicts out as questions, votes of reviewers (people, outside models) in, or both in
 * the terminal. */
#include "pipeline/cli/review_terminal.h"

#include <math.h>
#include <stdio.h>

static const struct cli_option options[] = {
    { "run", "ID", "the locate run (default: the newest)" },
    { "blind", NULL, "questions without the verdict" },
    { "terminal", NULL, "ask here, fault by fault; every vote is stored at once" },
    { "judge", "NAME", "the reviewer whose votes these are; needed with --terminal" },
    { NULL, NULL, NULL },
};

static rt_status print_line(void *user, const char *line)
{
    (void)user;
    puts(line);
    return RT_OK;
}

static void say_agreement(struct cli *cli, const struct pipe_review_result *r)
{
    cli_say(cli,
            "%u faults, %u reviewers: %u decided, %u tied; %u verdicts confirmed, %u "
            "rejected",
            r->faults, r->judges, r->voted, r->tied, r->confirmed, r->rejected);
    if (!isnan(r->kappa))
        cli_say(cli, "agreement of the reviewers: kappa %.3f (mean over pairs)",
                r->kappa);
    if (!isnan(r->kappa_verdict))
        cli_say(cli, "agreement of the majority with the verdict: kappa %.3f",
                r->kappa_verdict);
}

static rt_status check_options(struct cli *cli)
{
    const bool terminal = cli_flag(cli, "terminal");
    const char *judge = cli_value(cli, "judge", NULL);
    if (terminal && cli->positional_count > 0)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "review reads votes of files or asks with --terminal, not both");
    if (terminal && (!judge || !*judge))
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "review --terminal needs --judge NAME: whose votes these are");
    if (!terminal && judge)
        return rt_fail(
            &cli->ctx, RT_ERR_USAGE,
            "--judge is of review --terminal; votes of a file name their reviewer");
    return RT_OK;
}

static rt_status review(struct cli *cli)
{
    rt_status st;
    struct store *store = NULL;
    struct pipe_review_result r;
    const bool terminal = cli_flag(cli, "terminal");
    const char *run = cli_value(cli, "run", "");
    TRY(check_options(cli));
    TRY(cli_store_open(cli, STORE_READ, &store));
    if (!terminal && cli->positional_count == 0) {
        st = pipe_review_questions(&cli->ctx, store, run, cli_flag(cli, "blind"),
                                   print_line, NULL);
        goto fail;
    }
    store_close(&store);
    TRY(cli_store_open(cli, STORE_WRITE, &store));
    if (terminal)
        TRY(cli_review_terminal(cli, store, run, &r));
    else
        TRY(pipe_review_votes(&cli->ctx, store, run, cli->positional,
                              (uint32_t)cli->positional_count, &r));
    say_agreement(cli, &r);
    if (terminal)
        st = pipe_stop_status(cli_host(cli), &cli->ctx);

fail:
    store_close(&store);
    return st;
}

const struct cli_command cli_review = {
    "review", "verdicts for reviewers as JSON Lines, and their votes", "[VOTES.jsonl...]",
    options, review
};

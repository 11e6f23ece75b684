/* pipeline/cli/cmd_review.c
 * review: verdicts out as questions, votes of people and outside judges in. */
#include "pipeline/cli/cli.h"

#include "pipeline/locate/review.h"

#include <math.h>
#include <stdio.h>

static const struct cli_option options[] = {
    { "run", "ID", "the locate run (default: the newest)" },
    { "blind", NULL, "questions without the verdict" },
    { NULL, NULL, NULL },
};

static rt_status print_line(void *user, const char *line)
{
    (void)user;
    puts(line);
    return RT_OK;
}

static rt_status review(struct cli *cli)
{
    rt_status st;
    struct store *store = NULL;
    struct pipe_review_result r;
    const bool votes = cli->positional_count > 0;
    const char *run = cli_value(cli, "run", "");
    TRY(cli_store_open(cli, STORE_READ, &store));
    if (!votes) {
        st = pipe_review_questions(&cli->ctx, store, run, cli_flag(cli, "blind"),
                                   print_line, NULL);
        goto fail;
    }
    store_close(&store);
    TRY(cli_store_open(cli, STORE_WRITE, &store));
    TRY(pipe_review_votes(&cli->ctx, store, run, cli->positional,
                          (uint32_t)cli->positional_count, &r));
    cli_say(
        cli,
        "%u faults, %u judges: %u decided, %u tied; %u verdicts confirmed, %u rejected",
        r.faults, r.judges, r.voted, r.tied, r.confirmed, r.rejected);
    if (!isnan(r.kappa))
        cli_say(cli, "agreement of the judges: kappa %.3f (mean over pairs)", r.kappa);
    if (!isnan(r.kappa_verdict))
        cli_say(cli, "agreement of the majority with the verdict: kappa %.3f",
                r.kappa_verdict);

fail:
    store_close(&store);
    return st;
}

const struct cli_command cli_review = {
    "review", "verdicts for judges as JSON Lines, and their votes", "[VOTES.jsonl...]",
    options, review
};

/* pipeline/cli/cmd_stats.c
 * Statistics for others to check, and how many problems a comparison needs. */
#include "pipeline/cli/cli.h"

#include "pipeline/run/check_stats.h"
#include "pipeline/stats/power.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const struct cli_option options[] = {
    { "jsonl", "FILE",
      "records of kind interval95, mcnemar, tango, paired, bootstrap, "
      "pass_at_k, avg_at_k, holm, kl, power" },
    { "check", "X", "compare with the results in FILE; fail beyond X relative" },
    { "power", NULL, "how many problems show a difference, or what N problems show" },
    { "difference", "D", "of accuracies, as a share: 0.02 is two points (--power)" },
    { "flips", "F", "share of problems that change sides, 0.1 is usual (--power)" },
    { "problems", "N", "how many there are (--power)" },
    { "chance", "P", "of finding the difference (default 0.8; --power)" },
    { "mid-p", NULL, "mid-p McNemar instead of the exact test (--power)" },
    { NULL, NULL, NULL },
};

/* A share: above 0, at most 1. */
static rt_status read_share(struct cli *cli, const char *name, double otherwise,
                            double *out)
{
    const char *text = cli_value(cli, name, NULL);
    char *end = NULL;
    *out = text ? strtod(text, &end) : otherwise;
    if (text && (end == text || *end || !(*out > 0.0 && *out <= 1.0)))
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--%s %.30s: a number above 0 and at most 1 is needed", name,
                       text);
    return RT_OK;
}

/* ---- records ---- */

static void print_record(void *user, const json_t *record)
{
    (void)user;
    cli_print_record(record, 17);
}

static rt_status records(struct cli *cli, const char *path)
{
    rt_status st;
    double limit; /* negative: nothing is compared */
    struct pipe_stats_check c;
    TRY(read_share(cli, "check", -1.0, &limit));
    TRY(pipe_stats_check(&cli->ctx, path, print_record, NULL, &c));
    if (limit > 0.0)
        cli_say(cli, "%u records, largest relative deviation %.2g%s%s%s", c.records,
                c.worst, c.worst > 0.0 ? " (" : "", c.worst_at, c.worst > 0.0 ? ")" : "");
    if (limit > 0.0 && !(c.worst <= limit))
        st = rt_fail(&cli->ctx, RT_ERR_GATE, "%s deviates by %.2g where %.2g is allowed",
                     c.worst_at, c.worst, limit);

fail:
    return st;
}

/* ---- power ---- */

static void print_power(struct cli *cli, const struct pipe_power *p, uint32_t n,
                        double chance)
{
    if (cli_flag(cli, "json"))
        printf("{\"flips\":%.17g,\"difference\":%.17g,\"problems\":%u,\"test\":\"%s\","
               "\"chance\":%.17g}\n",
               p->flips, p->difference, n, p->mid ? "mid_p" : "exact", chance);
    else
        printf("%u problems, %.3g %% flips: a difference of %.4g points is found with a "
               "chance of %.2f %% (%s McNemar, 5 %% two-sided)\n",
               n, 100 * p->flips, 100 * p->difference, 100 * chance,
               p->mid ? "mid-p" : "exact");
}

static rt_status needed(struct cli *cli, const struct pipe_power *p, double chance)
{
    const uint32_t n = pipe_power_problems(p, chance);
    if (n == 0)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "more than %d problems are needed (about %.0f by the normal "
                       "formula)",
                       PIPE_POWER_PROBLEMS_MAX, pipe_power_problems_normal(p, chance));
    print_power(cli, p, n, pipe_power_of(p, n));
    cli_say(cli, "the normal formula says %.1f problems",
            pipe_power_problems_normal(p, chance));
    return RT_OK;
}

static rt_status power(struct cli *cli)
{
    rt_status st;
    int64_t n;
    double chance, difference;
    struct pipe_power p = { .mid = cli_flag(cli, "mid-p") };
    TRY(read_share(cli, "flips", 0.1, &p.flips));
    TRY(read_share(cli, "difference", 0.0, &difference));
    TRY(read_share(cli, "chance", 0.8, &chance));
    TRY(cli_number(cli, "problems", 0, 1, PIPE_POWER_PROBLEMS_MAX, &n));
    p.difference = difference;
    if ((difference == 0.0 && n == 0) || difference > p.flips || chance >= 1.0)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "stats --power needs --difference D, at most the --flips, or "
                       "--problems N, or both; --chance is below 1");
    if (n == 0)
        return needed(cli, &p, chance);
    if (difference == 0.0)
        p.difference = pipe_power_difference(&p, (uint32_t)n, chance);
    if (isnan(p.difference))
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "%lld problems with %.3g %% flips cannot show any difference with "
                       "that chance",
                       (long long)n, 100 * p.flips);
    print_power(cli, &p, (uint32_t)n, pipe_power_of(&p, (uint32_t)n));

fail:
    return st;
}

static rt_status run(struct cli *cli)
{
    const char *path = cli_value(cli, "jsonl", NULL);
    if (cli_flag(cli, "power"))
        return power(cli);
    if (path)
        return records(cli, path);
    return rt_fail(&cli->ctx, RT_ERR_USAGE, "stats needs --jsonl FILE or --power");
}

const struct cli_command cli_stats = {
    "stats", "intervals, tests, distances of JSON records; sample sizes",
    "--jsonl FILE | --power --difference D --flips F", options, run
};

/* pipeline/cli/locate_fit.c
 * locate --fit: the weights of the verdict, and whether they hold on generators that they were
 * not fitted on. */
#include "pipeline/cli/locate_score.h"

#include "pipeline/locate/judge.h"
#include "pipeline/locate/weights_fit.h"

#include <stdio.h>
#include <string.h>

enum { SETS_MAX = 64 };

struct sets {
    const char *names[SETS_MAX];
    uint32_t count;
};

static void list_sets(const struct pipe_cases *cases, struct sets *out)
{
    for (uint32_t i = 0; i < cases->count; i++) {
        uint32_t k = 0;
        while (k < out->count && strcmp(out->names[k], cases->items[i].set) != 0)
            k++;
        if (k == out->count && k < SETS_MAX)
            out->names[out->count++] = cases->items[i].set;
    }
}

/* One row: what was said in the cases of a set. locator PIPE_SAID: the verdict. */
static void print_row(const struct pipe_cases *cases, const char *set, int locator,
                      const double *weights)
{
    uint32_t total = 0, named = 0, right = 0;
    for (uint32_t i = 0; i < cases->count; i++) {
        const struct pipe_case *c = &cases->items[i];
        if (strcmp(c->set, set) != 0)
            continue;
        const int32_t said =
            locator < PIPE_SAID ? c->said[locator] : pipe_case_verdict(c, weights);
        total++;
        named += said >= 0;
        right += said == (int32_t)c->truth;
    }
    if (named == 0 && locator < PIPE_SAID)
        return;
    const struct pipe_interval p = pipe_wilson(right, named),
                               r = pipe_wilson(right, total);
    fprintf(stderr, "%-28s %-8s %6u %6u %6u   %.3f [%.3f, %.3f]   %.3f [%.3f, %.3f]\n",
            set, locator < PIPE_SAID ? pipe_said_name(locator) : "verdict", total, named,
            right, named ? (double)right / named : 0.0, p.low, p.high,
            total ? (double)right / total : 0.0, r.low, r.high);
}

static rt_status cross_validate(struct cli *cli, const struct pipe_cases *cases,
                                const struct sets *sets, const double *all)
{
    rt_status st = RT_OK;
    bool others = false; /* more than one generator */
    double weights[PIPE_SIGNS];
    memcpy(weights, all, sizeof weights);
    for (uint32_t s = 1; s < sets->count; s++)
        others |= !pipe_same_generator(sets->names[s], sets->names[0]);
    fprintf(stderr, "%-28s %-8s %6s %6s %6s   precision               recall\n", "set",
            "locator", "faults", "named", "right");
    for (uint32_t s = 0; s < sets->count; s++) {
        const bool known = s && pipe_same_generator(sets->names[s], sets->names[s - 1]);
        if (others && !known)
            TRY(pipe_weights_fit(&cli->ctx, cases, sets->names[s], weights));
        for (int locator = 0; locator <= PIPE_SAID; locator++)
            print_row(cases, sets->names[s], locator, weights);
    }

fail:
    return st;
}

rt_status cli_locate_fit(struct cli *cli)
{
    rt_status st;
    struct pipe_cases cases = { 0 };
    struct sets sets = { .count = 0 };
    double weights[PIPE_SIGNS];
    if (cli->positional_count == 0)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "locate --fit: files made with --evidence are needed");
    for (int i = 0; i < cli->positional_count; i++)
        TRY(pipe_cases_read(&cli->ctx, cli->positional[i], &cases));
    list_sets(&cases, &sets);
    TRY(pipe_weights_fit(&cli->ctx, &cases, NULL, weights));
    TRY(cross_validate(cli, &cases, &sets, weights));
    for (int s = 0; s < PIPE_SIGNS; s++)
        printf("SIGN(%s, %.4f)\n", pipe_sign_name((enum pipe_sign)s), weights[s]);

fail:
    pipe_cases_deinit(&cases);
    return st;
}

/* pipeline/cli/quantize_plan.c
 * quantize --plan and --budget. */
#include "pipeline/cli/quantize_plan.h"

#include <stdio.h>
#include <string.h>

rt_status cli_plan_read(struct cli *cli, struct quant_plan *plan,
                        struct pipe_quantize_options *options)
{
    const char *path = cli_value(cli, "plan", NULL);
    *plan = (struct quant_plan){ .count = 0 };
    if (!path)
        return RT_OK;
    const rt_status st = quant_plan_read(&cli->ctx, path, plan);
    options->plan = plan;
    return st;
}

rt_status cli_budget_check(struct cli *cli, const char *method)
{
    const char *sensitivity = cli_value(cli, "sensitivity", NULL);
    if (!cli_value(cli, "budget", NULL))
        return sensitivity
                   ? rt_fail(&cli->ctx, RT_ERR_USAGE, "--sensitivity is of --budget BITS")
                   : RT_OK;
    if (!cli_value(cli, "calib", NULL))
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "--budget needs --calib P");
    if (cli_value(cli, "plan", NULL) || cli_value(cli, "bits", NULL))
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--budget chooses the widths, --%s says them; give one",
                       cli_value(cli, "plan", NULL) ? "plan" : "bits");
    if (strcmp(method, "awq") == 0 || strcmp(method, "smoothquant") == 0)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--budget quantizes single groups of matrices, which %s cannot: "
                       "it changes norms too; use rtn or gptq",
                       method);
    if (strcmp(cli_value(cli, "activations", "float"), "float") != 0)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--budget chooses widths, activations of 8 bits need 8 bits "
                       "everywhere; leave one away");
    if (cli_flag(cli, "dry-run"))
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--dry-run does not measure what widths --budget chooses; give "
                       "--bits or a plan");
    if (sensitivity && strcmp(sensitivity, "all") != 0 &&
        strcmp(sensitivity, "estimate") != 0)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--sensitivity %.40s: estimate or all is possible", sensitivity);
    return RT_OK;
}

static const char *const group_names[MODEL_GROUP_COUNT] = { "q, k, v", "o", "gate, up",
                                                            "down" };

/* A row per group; a star stands at the width that is chosen, a ~ before an estimate. */
static void print_table(const struct pipe_budget *b, const char *plan)
{
    printf("KL with one group quantized alone, %llu tokens; * chosen, ~ estimated:\n",
           (unsigned long long)b->tokens);
    printf("  layer %-10s", "group");
    for (int w = 0; w < QUANT_PLAN_WIDTHS; w++)
        printf("   %8u bits", quant_plan_widths[w]);
    putchar('\n');
    for (uint32_t i = 0; i < b->count; i++) {
        const struct pipe_budget_group *g = &b->groups[i];
        printf("  %5u %-10s", g->layer, group_names[g->group]);
        for (uint32_t w = 0; w < QUANT_PLAN_WIDTHS; w++)
            printf("  %c%c%12.4g", w == g->chosen ? '*' : ' ',
                   g->cell[w].measured ? ' ' : '~', g->cell[w].kl);
        putchar('\n');
    }
    printf("%s: %.3f bits per weight, sum of KL %.5f\n", plan, b->bits, b->kl);
}

rt_status cli_budget_plan(struct cli *cli, struct pipe_session *session,
                          const struct pipe_select_from *from, const char *out,
                          struct pipe_budget *budget,
                          struct pipe_quantize_options *options)
{
    rt_status st;
    float bits = 0;
    char comment[200], path[4200];
    size_t length = strlen(out);
    *budget = (struct pipe_budget){ .count = 0 };
    if (!cli_value(cli, "budget", NULL))
        return RT_OK;
    while (length > 1 && out[length - 1] == '/')
        length--;
    TRY(cli_real(cli, "budget", 1, 16, &bits));
    TRY(pipe_budget_make(session, from, out, options, (double)bits,
                         strcmp(cli_value(cli, "sensitivity", ""), "all") == 0, budget));
    snprintf(path, sizeof path, "%.*s.plan", (int)length, out);
    snprintf(comment, sizeof comment,
             "%.3f bits per weight of a budget of %g, scales included\nsum of KL of "
             "groups quantized alone: %.6f on %llu tokens",
             budget->bits, (double)bits, budget->kl, (unsigned long long)budget->tokens);
    TRY(quant_plan_write(&cli->ctx, path, &budget->plan, comment));
    options->plan = &budget->plan;
    if (!cli_flag(cli, "json"))
        print_table(budget, path);

fail:
    return st;
}

/* pipeline/cli/quantize_select.c
 * quantize --select and --budget: which choices there are, and their tables. */
#include "pipeline/cli/quantize_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What the user left open. False: nothing, or there is to be no choice. With
 * --true-sequential there is one only where it is asked for. */
static bool read_open(const struct cli *cli, const char *method,
                      struct pipe_select_options *out)
{
    const char *usual = cli_flag(cli, "true-sequential") ? "none" : "kl";
    const bool gptq = strcmp(cli_value(cli, "rounding", "gptq"), "gptq") == 0;
    const bool gguf = strcmp(method, "gguf") == 0;
    *out =
        (struct pipe_select_options){ .search = !cli_flag(cli, gguf ? "plain" : "search"),
                                      .order = gptq && !cli_flag(cli, "order"),
                                      .damping = gptq && !cli_flag(cli, "damping"),
                                      .nearest = !cli_flag(cli, "rounding"),
                                      .text = cli_value(cli, "select-text", NULL) };
    return pipe_select_of_method(method, out) &&
           strcmp(cli_value(cli, "select", usual), "kl") == 0;
}

rt_status cli_select_check(struct cli *cli, const char *method)
{
    struct pipe_select_options open;
    const char *select = cli_value(cli, "select", NULL);
    const char *text = cli_value(cli, "select-text", NULL);
    if (select && strcmp(select, "kl") != 0 && strcmp(select, "none") != 0)
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "--select %.40s: kl or none is possible",
                       select);
    if (!cli_value(cli, "calib", NULL) &&
        (text || (select && strcmp(select, "none") != 0)))
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "--%s needs --calib P",
                       text ? "select-text" : "select kl");
    if (text && select && strcmp(select, "none") == 0)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--select-text has no part in --select none");
    if ((text || (select && strcmp(select, "kl") == 0)) && !read_open(cli, method, &open))
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--%s: %s, so there are no candidates to choose among",
                       text ? "select-text" : "select kl",
                       cli_flag(cli, "true-sequential") && !select
                           ? "--true-sequential makes one folder"
                           : "the method and the options leave nothing open");
    return RT_OK;
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
    if (sensitivity && strcmp(sensitivity, "all") != 0 &&
        strcmp(sensitivity, "estimate") != 0)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--sensitivity %.40s: estimate or all is possible", sensitivity);
    return RT_OK;
}

rt_status cli_calibrated_read(struct cli *cli, const char *method, const char *model,
                              const char *out, struct pipe_calibrated_options *options)
{
    rt_status st;
    float budget = 0;
    *options = (struct pipe_calibrated_options){
        .model = model,
        .out = out,
        .seen = cli_value(cli, "seen", NULL),
        .choice_asked = cli_flag(cli, "select"),
        .budget_is_all = strcmp(cli_value(cli, "sensitivity", ""), "all") == 0,
    };
    options->choose = read_open(cli, method, &options->open);
    options->says_one = !options->choose && !options->choice_asked &&
                        cli_flag(cli, "true-sequential") &&
                        pipe_select_of_method(method, &options->open);
    TRY(cli_calibration_options(cli, model, &options->read));
    TRY(cli_real(cli, "budget", 1, 16, &budget));
    options->budget = (double)budget;

fail:
    return st;
}

static const char *const group_names[MODEL_GROUP_COUNT] = { "q, k, v", "o", "gate, up",
                                                            "down" };

/* A row per group; a star stands at the width that is chosen, a ~ before an estimate. */
static void print_budget(void *user, const struct pipe_budget *b, const char *plan)
{
    (void)user;
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

enum { KL_TEXT = 24 };

/* Six places, or three digits of what these do not show. */
static const char *kl_text(double kl, char out[KL_TEXT])
{
    const bool is_small = kl != 0 && fabs(kl) < 1e-4;
    snprintf(out, KL_TEXT, is_small ? "%.2e" : "%.6f", kl);
    return out;
}

static void print_selected(void *user, const struct pipe_selected *s)
{
    (void)user;
    printf("candidates on %llu tokens of %u sequences that none was calibrated on:\n",
           (unsigned long long)s->tokens, s->held_out);
    printf("    %-44s %10s %23s %7s %12s %8s\n", "", "KL", "behind the chosen", "same",
           "layer error", "seconds");
    for (uint32_t i = 0; i < s->count; i++) {
        const struct pipe_candidate *c = &s->list[i];
        char error[32] = "-", text[3][KL_TEXT];
        if (!isnan(c->objective))
            snprintf(error, sizeof error, "%.6g", c->objective);
        printf("  %c %-44s %10s %9s +- %9s  %5.1f %% %12s %8.1f\n",
               i == s->chosen ? '*' : ' ', c->name, kl_text(c->kl, text[0]),
               kl_text(c->behind, text[1]), kl_text(1.96 * c->behind_error, text[2]),
               100 * c->same_top, error, c->seconds);
    }
}

static struct pipe_calibrated_calls calls_of(const struct cli *cli)
{
    if (cli_flag(cli, "json"))
        return (struct pipe_calibrated_calls){ NULL, NULL, NULL };
    return (struct pipe_calibrated_calls){ print_budget, print_selected, NULL };
}

rt_status cli_quantize_calibrated(struct cli *cli, struct pipe_session *session,
                                  const struct pipe_calibrated_options *options,
                                  struct pipe_quantize_options *quantize,
                                  struct pipe_selected *selected,
                                  struct pipe_quantized *result)
{
    const struct pipe_calibrated_calls calls = calls_of(cli);
    return pipe_quantize_calibrated(session, options, &calls, quantize, selected, result);
}

rt_status cli_quantize_gguf_calibrated(struct cli *cli, struct pipe_session *session,
                                       const struct pipe_calibrated_options *options,
                                       struct pipe_gguf_options *quantize,
                                       struct pipe_selected *selected,
                                       struct pipe_gguf_made *made)
{
    const struct pipe_calibrated_calls calls = calls_of(cli);
    return pipe_quantize_gguf_calibrated(session, options, &calls, quantize, selected,
                                         made);
}

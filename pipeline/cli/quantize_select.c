/* pipeline/cli/quantize_select.c
 * quantize --select: which candidates, and their table. */
#include "pipeline/cli/quantize_select.h"

#include "pipeline/cli/cli_session.h"
#include "pipeline/cli/quantize_plan.h"
#include "pipeline/run/made.h"

#include <stdio.h>
#include <string.h>

/* What the user left open. False: nothing, or there is to be no choice. With
 * --true-sequential there is one only where it is asked for. */
static bool read_open(const struct cli *cli, const char *method,
                      struct pipe_select_options *out)
{
    const bool gptq = strcmp(method, "gptq") == 0;
    const bool grid = gptq || strcmp(method, "rtn") == 0 || strcmp(method, "awq") == 0;
    *out = (struct pipe_select_options){
        .search = grid && !cli_flag(cli, "search"),
        .order = gptq && !cli_value(cli, "order", NULL),
        .damping = gptq && !cli_value(cli, "damping", NULL),
        .text = cli_value(cli, "select-text", NULL),
    };
    const char *usual = cli_flag(cli, "true-sequential") ? "none" : "kl";
    return strcmp(cli_value(cli, "select", usual), "kl") == 0 &&
           (out->search || out->order || out->damping);
}

uint32_t cli_select_candidates(const struct cli *cli, const char *method)
{
    struct pipe_select_options open;
    if (!cli_value(cli, "calib", NULL) || !read_open(cli, method, &open))
        return 1;
    return 1u + open.search + open.order + open.damping;
}

rt_status cli_select_check(struct cli *cli, const char *method)
{
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
    if ((text || (select && strcmp(select, "kl") == 0)) &&
        cli_select_candidates(cli, method) == 1)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--%s: %s, so there are no candidates to choose among",
                       text ? "select-text" : "select kl",
                       cli_flag(cli, "true-sequential") && !select
                           ? "--true-sequential makes one folder"
                           : "the method and the options leave nothing open");
    return RT_OK;
}

rt_status cli_calibration_options(struct cli *cli, const char *model,
                                  struct pipe_calibration_options *out)
{
    rt_status st;
    int64_t items, length;
    TRY(cli_number(cli, "calib-items", 512, 1, 1 << 20, &items));
    TRY(cli_number(cli, "calib-length", PIPE_CALIBRATION_LENGTH, 8, 1 << 20, &length));
    *out = (struct pipe_calibration_options){ .from = cli_value(cli, "calib", NULL),
                                              .model = model,
                                              .length = (uint32_t)length,
                                              .items = (uint32_t)items };

fail:
    return st;
}

rt_status cli_calibration_format(struct cli *cli, const char *from,
                                 const struct pipe_prompt_format **out)
{
    rt_status st;
    char name[48] = "";
    struct store *store = NULL;
    const char *self = pipe_calibration_self(from);
    *out = NULL;
    if (pipe_calibration_is_text(from))
        return RT_OK;
    if (pipe_calibration_kind_of(from) == PIPE_CALIBRATION_RUN) {
        TRY(cli_store_open(cli, STORE_READ, &store));
        TRY(pipe_calibration_run_format(&cli->ctx, store, from, name));
        *out = name[0] ? pipe_prompt_format_find(name) : NULL;
    }
    if (!*out || cli_value(cli, "format", NULL))
        TRY(cli_format(cli, self ? self : from, out));
    st = RT_OK;

fail:
    store_close(&store);
    return st;
}

static void print_table(const struct pipe_selected *s)
{
    printf("candidates on %llu tokens of %u sequences that none was calibrated on:\n",
           (unsigned long long)s->tokens, s->held_out);
    printf("    %-44s %10s %23s %7s %12s %8s\n", "", "KL", "behind the chosen", "same",
           "layer error", "seconds");
    for (uint32_t i = 0; i < s->count; i++) {
        const struct pipe_candidate *c = &s->list[i];
        printf("  %c %-44s %10.6f %9.6f +- %9.6f  %5.1f %% %12.6g %8.1f\n",
               i == s->chosen ? '*' : ' ', c->name, c->kl, c->behind,
               1.96 * c->behind_error, 100 * c->same_top, c->objective, c->seconds);
    }
}

void cli_select_print_json(const struct pipe_selected *s)
{
    if (s->count == 0)
        return;
    printf(",\"select\":{\"held_out\":%u,\"calibrate\":%u,\"tokens\":%llu,\"chosen\":%u,"
           "\"candidates\":[",
           s->held_out, s->used, (unsigned long long)s->tokens, s->chosen);
    for (uint32_t i = 0; i < s->count; i++) {
        const struct pipe_candidate *c = &s->list[i];
        printf("%s{\"name\":\"%s\"", i ? "," : "", c->name);
        cli_print_json_number("kl", c->kl);
        cli_print_json_number("kl_error", c->kl_error);
        cli_print_json_number("behind", c->behind);
        cli_print_json_number("behind_error", c->behind_error);
        cli_print_json_number("same_top", c->same_top);
        cli_print_json_number("objective", c->objective);
        cli_print_json_number("seconds", c->seconds);
        putchar('}');
    }
    fputs("]}", stdout);
}

rt_status cli_quantize_calibrated(struct cli *cli, struct pipe_session *session,
                                  const char *model, const char *out,
                                  struct pipe_quantize_options *options,
                                  const struct pipe_calibration_options *read,
                                  struct pipe_selected *selected,
                                  struct pipe_quantized *result)
{
    rt_status st;
    char hash[65];
    struct rt_model *full = NULL;
    struct pipe_calibration c = { 0 };
    struct pipe_select_options open;
    struct pipe_budget budget = { .count = 0 };
    const struct quant_plan *plan = options->plan;
    const uint64_t started = rt_time_ns();
    bool choose = read_open(cli, options->method, &open);
    *selected = (struct pipe_selected){ 0 };
    const bool whole = choose || cli_value(cli, "budget", NULL) ||
                       pipe_calibration_kind_of(read->from) == PIPE_CALIBRATION_SELF;
    if (options->true_sequential && whole)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--true-sequential holds one layer at a time: it needs --select "
                       "none, no --budget, and text or stored answers as --calib");
    TRY(whole ? pipe_model_load(session, model, &full)
              : pipe_model_load_streamed(session, model, &full));
    TRY(pipe_calibration_read(session, read, full, &c));
    const struct pipe_select_from from = { full, model, &c, read };
    TRY(cli_budget_plan(cli, session, &from, out, &budget, options));
    if (choose && !open.text && c.sequences.count < 2 &&
        !cli_value(cli, "select", NULL)) {
        cli_say(cli, "the calibration text is one sequence, nothing is held out: one "
                     "candidate is made, as the options say");
        choose = false;
    }
    if (choose) {
        TRY(pipe_quantize_select(session, &from, out, options, &open, selected, result));
        *options = selected->list[selected->chosen].options;
        if (!cli_flag(cli, "json"))
            print_table(selected);
    } else {
        TRY(pipe_quantize_on(session, full, c.sequences.list, c.sequences.count, model,
                             out, options, result));
    }
    snprintf(hash, sizeof hash, "%s", rt_model_hash(full));
    rt_model_destroy(&full); /* makes room for the folder */
    const struct pipe_made made = {
        hash, out, options, &c, selected, result, (double)(rt_time_ns() - started) / 1e9
    };
    TRY(pipe_made_save(session, &made));

fail:
    options->plan = plan;
    pipe_budget_deinit(&budget);
    pipe_calibration_deinit(&c);
    rt_model_destroy(&full);
    return st;
}

/* pipeline/cli/cmd_choice.c
 * choice: multiple-choice questions, answered by the choice whose letter the model finds
 * most likely. */
#include "pipeline/cli/cli.h"
#include "pipeline/cli/cli_session.h"

#include "pipeline/run/choice.h"
#include "pipeline/stats/statistics.h"

#include <stdio.h>

static const struct cli_option options[] = {
    { "model", "DIR", "model folder or GGUF file" },
    { "adapter", "DIR", "PEFT adapter folder" },
    { "role", "NAME", "full, quant, restored or control (default full)" },
    { "csv", "FILE", "question, choices, letter a line, as MMLU has it (.gz too)" },
    { "limit", "N", "only the first N questions" },
    { NULL, NULL, NULL },
};

static void tell(struct cli *cli, const struct pipe_choice_options *o,
                 const struct pipe_choice_result *r)
{
    const struct pipe_interval w = pipe_wilson(r->right, r->n);
    if (cli_flag(cli, "json"))
        printf("{\"right\":%u,\"n\":%u,\"low\":%.6f,\"high\":%.6f,\"errors\":%u,"
               "\"run\":\"%s\"}\n",
               r->right, r->n, w.low, w.high, r->errors, r->run_id);
    else
        printf("%s, %s: %u of %u right: %.2f %% (95 %% %.2f to %.2f)%s\n", o->set->name,
               o->variant->row.role, r->right, r->n, 100.0 * r->right / r->n, 100 * w.low,
               100 * w.high, r->fresh ? "" : "  [from before]");
}

static rt_status choice(struct cli *cli)
{
    rt_status st;
    int64_t limit;
    struct pipe_session session = { 0 };
    struct pipe_problem_set set = { 0 };
    struct pipe_choice_result result;
    struct pipe_variant v = { 0 };
    const char *path = cli_value(cli, "csv", NULL);
    const char *adapter = cli_value(cli, "adapter", NULL);
    const char *model = cli_value(cli, "model", NULL);
    const char *role = cli_value(cli, "role", adapter ? "restored" : "full");
    struct pipe_choice_options o = { .variant = &v, .set = &set, .split = "measure" };
    if (!model || !path)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "choice needs --model DIR and --csv FILE");
    TRY(cli_number(cli, "limit", UINT32_MAX, 1, UINT32_MAX, &limit));
    o.limit = (uint32_t)limit;
    TRY(pipe_choice_read(&cli->ctx, path, &set));
    TRY(cli_session_open(cli, model, NULL, "eval", "{}", &session));
    TRY(pipe_variant_load(&session, model, adapter, role, role, &v));
    TRY(pipe_choice_run(&session, &o, &result));
    tell(cli, &o, &result);

fail:
    pipe_variant_close(&v);
    pipe_problems_deinit(&set);
    cli_session_close(cli, &session);
    return st;
}

const struct cli_command cli_choice = { "choice",
                                        "multiple choice by the likelier letter",
                                        "--model DIR --csv FILE", options, choice };

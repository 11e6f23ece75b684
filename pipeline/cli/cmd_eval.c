#include "pipeline/cli/loop.h"

#include "pipeline/statistics.h"

#include <stdio.h>

static const struct cli_option options[] = {
    { "model", "DIR", "model folder" },
    { "adapter", "DIR", "PEFT adapter folder" },
    { "problems", "FILE", "FILE[0:500], or a data set: gsm8k:test[0:200]" },
    { "role", "NAME", "full, quant, restored or control (default full)" },
    { NULL, NULL, NULL },
};

static rt_status run(struct cli *cli)
{
    rt_status st;
    struct loop loop = { 0 };
    struct loop_bench bench = { 0 };
    struct loop_variant v;
    struct loop_answers answers = { 0 };
    struct rt_model *model = NULL;
    struct rt_adapter *adapter = NULL;
    const char *folder = cli_value(cli, "model", NULL);
    const char *problems = cli_value(cli, "problems", NULL);
    const char *extra = cli_value(cli, "adapter", NULL);
    if (!folder || !problems)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "eval needs --model DIR and --problems FILE");
    TRY(loop_open(&loop, cli, folder, "eval", "{}"));
    TRY(loop_bench_open(&loop, problems, "measure", &bench));
    TRY(loop_model_load(&loop, folder, &model));
    if (extra) {
        struct fmt_adapter *source = NULL;
        TRY(fmt_adapter_read(&cli->ctx, extra, &model->config, &source));
        TRY(rt_adapter_create(model, source, false, &adapter));
    }
    const char *role = cli_value(cli, "role", extra ? "restored" : "full");
    TRY(loop_variant_put(&loop, model, adapter, folder, role, role, NULL, &v));
    TRY(loop_measure(&loop, &v, &bench, &answers));
    const struct pipe_interval w = pipe_wilson(answers.correct, answers.count);
    if (cli_flag(cli, "json"))
        printf("{\"right\":%u,\"n\":%u,\"low\":%.6f,\"high\":%.6f,\"truncated\":%u,"
               "\"unparsed\":%u,\"degenerate\":%u,\"run\":\"%s\"}\n",
               answers.correct, answers.count, w.low, w.high, answers.truncated,
               answers.unparsed, answers.degenerate, answers.run_id);
    else
        printf(
            "%u of %u right: %.2f %% (95 %% %.2f to %.2f), %u truncated, %u unparsed, %u "
            "degenerate\n",
            answers.correct, answers.count,
            100.0 * answers.correct / (answers.count ? answers.count : 1), 100 * w.low,
            100 * w.high, answers.truncated, answers.unparsed, answers.degenerate);
    cli_print_profile(cli, loop.dev);

fail:
    loop_answers_deinit(&answers);
    rt_adapter_destroy(&adapter);
    rt_model_destroy(&model);
    loop_bench_close(&bench);
    loop_close(&loop);
    return st;
}

const struct cli_command cli_eval = { "eval",
                                      "generate and grade answers; resumes by itself",
                                      "--model DIR --problems FILE", options, run };

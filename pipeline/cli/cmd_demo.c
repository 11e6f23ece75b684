/* pipeline/cli/cmd_demo.c
 * The whole loop on the bundled model, and fresh problems of its family. */
#include "pipeline/cli/restore_print.h"

#include "pipeline/demo/generator.h"

#include <stdio.h>
#include <stdlib.h>

static const struct cli_option options[] = {
    { "problems", "N", "only print N fresh problems as JSON Lines, by --seed" },
    { "controls", NULL, "all recipes and controls but dpo-own and sft-own" },
    { "recipes", "LIST", "as in restore" },
    { "nearest", "on|off", "as in restore" },
    { "mine", "FILE", "instead of the bundled problems" },
    { "mine-until", "N",
      "no more are mined once N are lost (default: --items; with --controls all are)" },
    { "validate", "FILE", "instead of the first 100 bundled ones" },
    { "measure", "FILE",
      "instead of the first 300 bundled ones; with --controls of all" },
    { "full", "DIR", "instead of the bundled model" },
    { "quant", "DIR", "quantized folder (default: made)" },
    { "method", "NAME", "default gptq; rtn, awq" },
    { "bits", "N", "default 2" },
    { "group", "N|row", "default 32, with zero points" },
    { "asym", NULL, "with --group: with zero points" },
    { "calib", "P", "default the 512 bundled problems for it" },
    { "calib-items", "N", "default 512" },
    { "select", "kl|none", "default none; with --controls kl" },
    { "seeds", "N", "default 1; with --controls 3" },
    { "items", "N", "default 332" },
    { "samples", "N", "as in restore" },
    { "forced", "N", "as in restore" },
    { "retain", "LIST", "as in restore" },
    { "rank", "N", "as in restore" },
    { "epochs", "N", "as in restore" },
    { "lr", "X", "as in restore" },
    { "work", "DIR", "default faultline-demo" },
    { "out", "FILE", "default faultline-demo/report.html; with --problems: stdout" },
    { NULL, NULL, NULL },
};

/* The arms, and those of --controls. */
static const char arms[] = "refine,rtn,more-bits,nearest";
static const char all_arms[] =
    "refine,refine-random,refine-kept,refine-step,refine-1000,refine+adapter,adapter,"
    "gptq-bullets,gptq-self,gptq-step,gptq-random-step,awq-self,rescue,adapter-random,"
    "lowrank,sft,kl,dpo,dpo+sft,random-step,whole,"
    "shuffled,on-full,rtn,more-"
    "bits,"
    "plain-2-row,plain-3-row,plain-4-row,plain-4-g32,nearest";

/* Gives an option that was not given. */
static void otherwise(struct cli *cli, const char *name, const char *value)
{
    if (cli_flag(cli, name) || cli->given_count == CLI_OPTIONS_MAX)
        return;
    cli->given[cli->given_count].name = name;
    cli->given[cli->given_count++].value = value;
}

/* Problems that no bundled split has, so that they can be mined or measured beside it. */
static rt_status print_problems(struct cli *cli, const char *folder)
{
    rt_status st;
    int64_t count, seed;
    struct pipe_problem_set fresh = { 0 };
    const char *path = cli_value(cli, "out", NULL);
    TRY(cli_number(cli, "problems", 0, 1, 1000000, &count));
    TRY(cli_number(cli, "seed", 1, 0, INT64_MAX, &seed));
    TRY(pipe_demo_fresh(&cli->ctx, folder, (uint64_t)seed, (uint32_t)count, &fresh));
    TRY(path ? pipe_problems_save(&cli->ctx, &fresh, path)
             : pipe_problems_write(&cli->ctx, &fresh, stdout));

fail:
    pipe_problems_deinit(&fresh);
    return st;
}

/* The quantized model, and how much is mined and measured. */
static void choose_size(struct cli *cli, bool controls)
{
    otherwise(cli, "method", "gptq");
    otherwise(cli, "bits", "2");
    if (!cli_flag(cli, "group"))
        otherwise(cli, "asym", "");
    otherwise(cli, "group", "32");
    otherwise(cli, "select", controls ? "kl" : "none");
    otherwise(cli, "seeds", controls ? "3" : "1");
    if (!controls)
        otherwise(cli, "mine-until", cli_value(cli, "items", "332"));
}

static rt_status demo(struct cli *cli)
{
    char mine[700], validate[700], measure[700], calibrate[700];
    const char *folder, *store = getenv("FAULTLINE_STORE");
    const bool controls = cli_flag(cli, "controls");
    const rt_status st = cli_demo_folder(cli, &folder);
    if (st != RT_OK)
        return st;
    if (cli_flag(cli, "problems"))
        return print_problems(cli, folder);
    snprintf(mine, sizeof mine, "%.600s/mine.jsonl", folder);
    snprintf(validate, sizeof validate, "%.600s/validate.jsonl[0:100]", folder);
    snprintf(measure, sizeof measure, "%.600s/measure.jsonl%s", folder,
             controls ? "" : "[0:300]");
    snprintf(calibrate, sizeof calibrate, "%.600s/calibrate.jsonl", folder);
    otherwise(cli, "full", folder);
    otherwise(cli, "mine", mine);
    otherwise(cli, "calib", calibrate);
    choose_size(cli, controls);
    otherwise(cli, "validate", validate);
    otherwise(cli, "measure", measure);
    otherwise(cli, "work", "faultline-demo");
    if (!store || !store[0])
        otherwise(cli, "store", "faultline-demo/faultline.db");
    otherwise(cli, "out", "faultline-demo/report.html");
    return cli_restore_run(cli, arms, all_arms);
}

const struct cli_command cli_demo = { "demo", "the whole loop on the bundled model", "",
                                      options, demo };

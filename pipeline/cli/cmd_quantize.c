/* pipeline/cli/cmd_quantize.c
 * quantize: a low-bit copy of a model. */
#include "pipeline/cli/cli.h"

#include "pipeline/run/quantize.h"

#include <stdio.h>
#include <string.h>

static const struct cli_option options[] = {
    { "model", "DIR", "model folder or GGUF file to read" },
    { "out", "DIR", "folder to write; made, with those above it" },
    { "method", "NAME", "rtn (default)" },
    { "bits", "N", "2, 3, 4 or 8" },
    { "group", "N|row", "codes that share a scale, a multiple of 32 (default row)" },
    { "asym", NULL, "asymmetric: with zero points" },
    { "keep", "f16|f32",
      "what blocks of a GGUF file become where they are not quantized: f16 (default), or "
      "f32, which is exact" },
    { "force", NULL, "replace a folder that is there" },
    { NULL, NULL, NULL },
};

/* What the copy changed of that which it keeps. */
static void print_changes(const struct pipe_quantized *report)
{
    if (report->halved == 0)
        return;
    printf("kept as F16 instead of GGUF blocks: %u tensor%s, ", report->halved,
           report->halved == 1 ? "" : "s");
    if (report->change > 0)
        printf("largest change %.3g, of %.6g in '%s' (--keep f32 is exact)\n",
               report->change, report->changed_value, report->changed);
    else
        printf("no value changed\n");
}

static rt_status run(struct cli *cli)
{
    rt_status st;
    int64_t bits, group = 0;
    const char *model = cli_value(cli, "model", NULL), *out = cli_value(cli, "out", NULL);
    const char *group_text = cli_value(cli, "group", "row");
    if (!model || !out)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "quantize needs --model DIR and --out DIR");
    if (strcmp(cli_value(cli, "method", "rtn"), "rtn") != 0)
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "--method %s is not known; rtn is",
                       cli_value(cli, "method", ""));
    const char *keep = cli_value(cli, "keep", "f16");
    if (strcmp(keep, "f16") != 0 && strcmp(keep, "f32") != 0)
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "--keep %s: f16 or f32 is possible",
                       keep);
    TRY(cli_number(cli, "bits", 4, 2, 8, &bits));
    if (strcmp(group_text, "row") != 0)
        TRY(cli_number(cli, "group", 0, 32, 1 << 20, &group));
    const struct pipe_quantize_options q = { .bits = (uint32_t)bits,
                                             .group = (uint32_t)group,
                                             .asymmetric = cli_flag(cli, "asym"),
                                             .keep_f32 = strcmp(keep, "f32") == 0,
                                             .force = cli_flag(cli, "force") };
    struct pipe_quantized report;
    TRY(pipe_quantize(&cli->ctx, model, out, &q, &report));
    printf("%s: %u matrices, %llu weights, %.3f bits a weight\n", out, report.matrices,
           (unsigned long long)report.weights, report.bits_per_weight);
    print_changes(&report);
    return RT_OK;

fail:
    return st;
}

const struct cli_command cli_quantize = { "quantize", "write a low-bit copy of a model",
                                          "--model DIR --bits N --out DIR", options,
                                          run };

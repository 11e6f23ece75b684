/* pipeline/cli/cmd_merge.c
 * merge: a model and an adapter as one model in floats. */
#include "pipeline/cli/cli.h"

#include "pipeline/run/merge_lora.h"

#include <stdio.h>

static const struct cli_option options[] = {
    { "model", "DIR", "model folder or GGUF file, quantized or not" },
    { "adapter", "DIR",
      "PEFT adapter folder (default: none, the model is only unpacked)" },
    { "out", "DIR", "folder to write" },
    { "type", "NAME", "f16 (default), bf16 or f32: what the projections are rounded to" },
    { "force", NULL, "replace a folder that is there" },
    { NULL, NULL, NULL },
};

static rt_status run(struct cli *cli)
{
    struct quant_merged made;
    const char *model = cli_value(cli, "model", NULL);
    const char *adapter = cli_value(cli, "adapter", NULL);
    const char *out = cli_value(cli, "out", NULL);
    const char *name = cli_value(cli, "type", "f16");
    if (!model || !out)
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "merge needs --model M and --out DIR");
    const rt_status st = pipe_merge_lora(&cli->ctx, model, adapter, out, name,
                                         cli_flag(cli, "force"), &made);
    if (st != RT_OK)
        return st;
    if (cli_flag(cli, "json")) {
        fputs("{\"out\":", stdout);
        rt_json_text(stdout, out);
        printf(",\"matrices\":%u,\"adapted\":%u,\"bytes\":%llu", made.matrices,
               made.adapted, (unsigned long long)made.bytes);
        rt_json_number(stdout, "rounding", made.rounding);
        puts("}");
        return RT_OK;
    }
    printf(
        "%s: %u matrices in %s, %u of them adapted; rounding is %.2g of their values\n",
        out, made.matrices, name, made.adapted, made.rounding);
    return RT_OK;
}

const struct cli_command cli_merge = { "merge",
                                       "a model and an adapter as one, in floats",
                                       "--model M --adapter DIR --out DIR", options,
                                       run };

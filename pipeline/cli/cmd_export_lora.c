/* pipeline/cli/cmd_export_lora.c
 * export-lora: an adapter in the format of another program. */
#include "pipeline/cli/cli.h"

#include "pipeline/run/export_lora.h"

#include <stdio.h>

static const struct cli_option options[] = {
    { "model", "DIR", "model folder or GGUF file that the adapter belongs to" },
    { "adapter", "DIR", "PEFT adapter folder" },
    { "gguf", "FILE", "where to: a file for llama.cpp's --lora" },
    { "force", NULL, "replace a file that is there" },
    { NULL, NULL, NULL },
};

static rt_status run(struct cli *cli)
{
    struct fmt_adapter_gguf made = { 0 };
    const char *model = cli_value(cli, "model", NULL);
    const char *adapter = cli_value(cli, "adapter", NULL);
    const char *out = cli_value(cli, "gguf", NULL);
    if (!model || !adapter || !out)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "export-lora needs --model M, --adapter DIR and --gguf FILE");
    const rt_status st =
        pipe_export_lora(&cli->ctx, model, adapter, out, cli_flag(cli, "force"), &made);
    if (st != RT_OK)
        return st;
    if (cli_flag(cli, "json")) {
        fputs("{\"out\":", stdout);
        rt_json_text(stdout, out);
        printf(",\"matrices\":%u,\"alpha\":%.9g,\"adjusted\":%u}\n", made.matrices,
               (double)made.alpha, made.adjusted);
        return RT_OK;
    }
    printf("%s: %u matrices, alpha %g\n", out, made.matrices, (double)made.alpha);
    if (made.adjusted)
        printf("%u matrices have another alpha: their B is multiplied by the quotient\n",
               made.adjusted);
    return RT_OK;
}

const struct cli_command cli_export_lora = { "export-lora",
                                             "an adapter as llama.cpp reads it",
                                             "--model M --adapter DIR --gguf FILE",
                                             options, run };

/* pipeline/cli/commands.c
 * The list of commands and the options that all of them take. */
#include "pipeline/cli/cli.h"

#include "runtime/base/similar.h"

#define COMMAND(name) extern const struct cli_command cli_##name;
#include "pipeline/cli/commands.def"
#undef COMMAND

const struct cli_command *const cli_commands[] = {
#define COMMAND(name) &cli_##name,
#include "pipeline/cli/commands.def"
#undef COMMAND
    NULL,
};

const struct cli_option cli_global_options[] = {
    { "store", "FILE", "results file (default ./faultline.db, or FAULTLINE_STORE)" },
    { "device", "NAME", "device from `faultline devices`, auto, or ref (default auto)" },
    { "cache-dir", "DIR", "pipelines, tune results, file hashes (default XDG cache)" },
    { "profile", NULL, "print time, GFLOP/s and GB/s of every op at the end" },
    { "validation", NULL, "run with the Vulkan validation layer" },
    { "family", "NAME",
      "kernels: lanes (CPUs), tiled (GPUs; packed weights as the file has them), auto" },
    { "products", "TYPE",
      "what is multiplied is rounded to f16 or int8, or not (f32); auto (default): f16 "
      "in "
      "training and in prompts of generate, on GPUs with matrix units" },
    { "kv", "TYPE",
      "KV cache: f32, f16 (half the memory, rounded), auto (f16 on GPUs; default)" },
    { "int8", "HOW",
      "on: a folder made for 8-bit activations is multiplied so (default); off: in "
      "floats" },
    { "tune", "HOW",
      "on: time the kernels that pass a check, once (default); off: by rule" },
    { "json", NULL, "print results as JSON, where a command has any" },
    { "progress", "HOW", "auto, plain, json (a line each) or none" },
    { "seed", "N", "seed of items, starts and samples (default 1)" },
    { "no-color", NULL, "accepted; nothing is coloured" },
    { "no-input", NULL, "accepted; nothing is ever asked" },
    { "help", NULL, "explain this command" },
    { "quiet", NULL, "errors only (also -q)" },
    { "verbose", NULL, "say more (also -v)" },
    { NULL, NULL, NULL },
};

const char *cli_similar_command(const char *name)
{
    for (int i = 0; cli_commands[i]; i++)
        if (rt_similar(name, cli_commands[i]->name))
            return cli_commands[i]->name;
    return NULL;
}

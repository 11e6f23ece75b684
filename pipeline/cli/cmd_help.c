/* pipeline/cli/cmd_help.c
 * Commands and topics, explained from the tables that run them. */
#include "pipeline/cli/cli.h"

#include "runtime/base/similar.h"

#include <stdio.h>
#include <string.h>

static void print_options(const struct cli_option *o)
{
    for (; o && o->name; o++) {
        char left[64];
        snprintf(left, sizeof left, "--%s %s", o->name, o->value ? o->value : "");
        printf("  %-26s %s\n", left, o->help);
    }
}

static const struct {
    const char *name, *text;
} topics[] = {
    { "exit-codes",
      "0    done; a repeated command on finished work too\n"
      "1    a bug or an unexpected failure\n"
      "2    wrong usage\n"
      "3    no usable device, or none with room for the model\n"
      "4    an input is missing, damaged or not what was declared\n"
      "5    stopped early on purpose (SIGTERM): run the same command again\n"
      "6    a --fail-if gate failed\n"
      "7    results file: locked, newer, corrupt, full or read-only\n"
      "8    device lost or out of device memory; finished work is saved\n"
      "130  Ctrl-C; finished work is saved\n" },
    { "environment",
      "FAULTLINE_STORE    results file, where --store is not given\n"
      "FAULTLINE_DEVICE   device, where --device is not given\n"
      "FAULTLINE_CACHE    folder of pipelines, tune results and file hashes\n"
      "                   (default: faultline in XDG_CACHE_HOME or ~/.cache)\n"
      "FAULTLINE_DEMO     folder of the bundled model and its problems\n"
      "                   (default: the installed, else the source tree's)\n"
      "VK_ICD_FILENAMES   Vulkan drivers the loader uses\n"
      "LP_NUM_THREADS     worker threads of lavapipe\n" },
};

void cli_print_help(const struct cli_command *c)
{
    printf("faultline %s%s%s\n\n%s\n", c->name, c->usage[0] ? " " : "", c->usage,
           c->summary);
    if (c->options)
        putchar('\n');
    print_options(c->options);
    printf("\neverywhere:\n");
    print_options(cli_global_options);
}

static rt_status unknown(struct cli *cli, const char *name)
{
    const char *meant = cli_similar_command(name);
    for (size_t i = 0; !meant && i < RT_COUNT(topics); i++)
        if (rt_similar(name, topics[i].name))
            meant = topics[i].name;
    return rt_fail(&cli->ctx, RT_ERR_USAGE, "there is no command or topic '%.60s'%s%s",
                   name, meant ? ", did you mean " : "", meant ? meant : "");
}

static rt_status run(struct cli *cli)
{
    const char *name = cli->positional_count ? cli->positional[0] : NULL;
    for (size_t i = 0; name && i < RT_COUNT(topics); i++)
        if (strcmp(topics[i].name, name) == 0) {
            fputs(topics[i].text, stdout);
            return RT_OK;
        }
    for (int i = 0; name && cli_commands[i]; i++) {
        if (strcmp(cli_commands[i]->name, name) != 0)
            continue;
        cli_print_help(cli_commands[i]);
        return RT_OK;
    }
    if (name)
        return unknown(cli, name);
    printf(
        "faultline measures what low-bit quantization does to step-by-step reasoning,\n"
        "finds the first step that goes wrong, and repairs it there.\n\n");
    for (int i = 0; cli_commands[i]; i++)
        printf("  %-11s %s\n", cli_commands[i]->name, cli_commands[i]->summary);
    printf("\n  faultline help COMMAND, faultline help exit-codes, faultline help "
           "environment\n");
    return RT_OK;
}

const struct cli_command cli_help = { "help", "explain a command or a topic",
                                      "[COMMAND|TOPIC]", NULL, run };

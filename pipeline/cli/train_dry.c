/* pipeline/cli/train_dry.c
 * train --dry-run: bytes on the device by part, in lines or as JSON. */
#include "pipeline/cli/restore_print.h"

#include "pipeline/restore/train_cost.h"

#include <stdio.h>

static void print_lines(const struct pipe_train_cost *c)
{
    const double mib = 1048576;
    for (int i = 0; i < PIPE_TRAIN_PARTS; i++)
        if (c->parts[i].bytes)
            printf("%-12s %9.1f MiB  %s\n", c->parts[i].name,
                   (double)c->parts[i].bytes / mib, c->parts[i].what);
    printf("%-12s %9.1f MiB  the device has %.1f free%s\n", "sum", (double)c->sum / mib,
           (double)c->device / mib,
           c->sum <= c->device ? "" : ": it does not fit; use fewer --tokens or bits");
}

rt_status cli_train_dry(struct cli *cli)
{
    rt_status st;
    int64_t rank, tokens;
    struct pipe_train_cost cost;
    struct rt_device *dev = NULL;
    uint64_t seed;
    struct pipe_train_cost_options options = {
        .recipe = pipe_restore_recipe_of_arm(cli_value(cli, "recipe", "refine"), &seed),
        .quant = cli_value(cli, "quant", NULL),
        .full = cli_value(cli, "full", NULL),
    };
    TRY(cli_number(cli, "rank", 16, 1, 256, &rank));
    TRY(cli_number(cli, "tokens", 1024, 2, 1 << 20, &tokens));
    options.rank = (uint32_t)rank;
    options.tokens = (uint32_t)tokens;
    TRY(cli_device_open(cli, &dev));
    TRY(pipe_train_cost(dev, &options, &cost));
    if (cli_flag(cli, "json"))
        pipe_train_cost_json(stdout, &cost);
    else
        print_lines(&cost);

fail:
    rt_device_destroy(&dev);
    return st;
}

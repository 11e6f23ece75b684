/* pipeline/cli/train_dry.c
 * train --dry-run: bytes on the device by part, in lines or as JSON. */
#include "pipeline/cli/train_dry.h"

#include "pipeline/restore/train_cost.h"

#include <stdio.h>

enum { PARTS = 8 };

struct part {
    const char *name, *what;
    uint64_t bytes;
};

static void list_parts(const struct train_size *s, struct part out[PARTS])
{
    const struct part parts[PARTS] = {
        { "weights", "the frozen model", s->weights },
        { "teacher", "the full model, and its activations", s->teacher },
        { "adapter", "parameters, and copies that kernels read", s->adapter },
        { "optimizer", "gradient and two moments", s->optimizer },
        { "kept", "the input of every layer", s->kept },
        { "activations", "of one layer and the loss, both ways", s->activations },
        { "decoded", "one weight and the head, as floats", s->decoded },
        { "logits", "of one chunk of target tokens", s->logits },
    };
    for (int i = 0; i < PARTS; i++)
        out[i] = parts[i];
}

static void print_json(const struct part parts[PARTS], const struct pipe_train_cost *c)
{
    printf("{\"bytes\":{");
    for (int i = 0; i < PARTS; i++)
        printf("%s\"%s\":%llu", i ? "," : "", parts[i].name,
               (unsigned long long)parts[i].bytes);
    printf("},\"sum\":%llu,\"device_free\":%llu,\"chunk\":%u,\"fits\":%s}\n",
           (unsigned long long)c->sum, (unsigned long long)c->device, c->size.chunk,
           c->sum <= c->device ? "true" : "false");
}

static void print_lines(const struct part parts[PARTS], const struct pipe_train_cost *c)
{
    const double mib = 1048576;
    for (int i = 0; i < PARTS; i++)
        if (parts[i].bytes)
            printf("%-12s %9.1f MiB  %s\n", parts[i].name, (double)parts[i].bytes / mib,
                   parts[i].what);
    printf("%-12s %9.1f MiB  the device has %.1f free%s\n", "sum", (double)c->sum / mib,
           (double)c->device / mib,
           c->sum <= c->device ? "" : ": it does not fit; use fewer --tokens or bits");
}

rt_status cli_train_dry(struct cli *cli)
{
    rt_status st;
    int64_t rank, tokens;
    struct part parts[PARTS];
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
    list_parts(&cost.size, parts);
    if (cli_flag(cli, "json"))
        print_json(parts, &cost);
    else
        print_lines(parts, &cost);

fail:
    rt_device_destroy(&dev);
    return st;
}

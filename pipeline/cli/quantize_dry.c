/* pipeline/cli/quantize_dry.c
 * quantize --dry-run: what a run will take and give, in lines or as JSON. */
#include "pipeline/cli/quantize_dry.h"

#include <stdio.h>

static void print_json(const struct pipe_quantize_cost *c, uint32_t candidates)
{
    printf("{\"source_bytes\":%llu,\"bytes\":%llu,\"bits_per_weight\":%.6g,"
           "\"bits_of_all\":%.6g,\"host_bytes\":%llu,\"device_bytes\":%llu,"
           "\"device_free\":%llu,"
           "\"tokens\":%llu,\"seconds\":{\"forward\":%.1f,\"sums\":%.1f,"
           "\"method\":%.1f},\"candidates\":%u,\"compared_bytes\":%llu}\n",
           (unsigned long long)c->source_bytes, (unsigned long long)c->out_bytes, c->bits,
           c->bits_all, (unsigned long long)c->host_bytes,
           (unsigned long long)c->device_bytes, (unsigned long long)c->device_has,
           (unsigned long long)c->tokens, c->forward, c->sums, c->method, candidates,
           (unsigned long long)(candidates > 1 ? c->compared_bytes : 0));
}

/* What the numbers leave out. */
static void print_choice(const struct pipe_quantize_cost *c, uint32_t candidates)
{
    const double mib = 1048576;
    if (candidates <= 1)
        return;
    printf("choice   that is one folder (--select none); --select kl makes up to %u and "
           "compares them, with the whole model on the device: about %.0f MiB%s\n",
           candidates, (double)c->compared_bytes / mib,
           c->compared_bytes > c->device_has ? ", which does not fit it" : "");
}

void cli_quantize_print_cost(struct cli *cli, const struct pipe_quantize_cost *c,
                             uint32_t candidates)
{
    const double mib = 1048576;
    if (cli_flag(cli, "json")) {
        print_json(c, candidates);
        return;
    }
    printf(
        "writes   %.1f MiB (the source has %.1f), %.3f bits per quantized weight, %.3f "
        "per weight of the model\n",
        (double)c->out_bytes / mib, (double)c->source_bytes / mib, c->bits, c->bits_all);
    printf("memory   about %.0f MiB on the host", (double)c->host_bytes / mib);
    if (c->device_has)
        printf(", %.0f MiB on the device (%.0f are free)", (double)c->device_bytes / mib,
               (double)c->device_has / mib);
    puts(", beside the mapped files");
    if (c->device_has && c->device_bytes > c->device_has)
        puts("time     unknown: it does not fit the device");
    else if (c->tokens)
        printf("time     about %.0f s on %llu tokens: forward %.0f, sums of inputs %.0f, "
               "quantizer %.0f (an estimate from one pass)\n",
               c->forward + c->sums + c->method, (unsigned long long)c->tokens,
               c->forward, c->sums, c->method);
    else
        printf("time     about %.0f s (an estimate)\n", c->method);
    print_choice(c, candidates);
}

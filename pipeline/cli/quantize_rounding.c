/* pipeline/cli/quantize_rounding.c
 * The options of the command quantize for how weights become codes. */
#include "pipeline/cli/quantize_parts.h"

#include <string.h>

static const char *const names[] = { "order", "damping", "rounding" };
enum { OF_GPTQ = 2 /* the first of these */ };

const char *cli_quantize_has_rounding(const struct cli *cli)
{
    for (size_t i = 0; i < RT_COUNT(names); i++)
        if (cli_value(cli, names[i], NULL))
            return names[i];
    return NULL;
}

/* Refuses what the method does not take. */
static rt_status check(struct cli *cli, const char *method)
{
    const bool both = strcmp(method, "smoothquant") == 0 || strcmp(method, "gguf") == 0;
    const bool is_nearest = strcmp(cli_value(cli, "rounding", "gptq"), "nearest") == 0;
    const char *first = cli_quantize_has_rounding(cli);
    if (cli_value(cli, "rounding", NULL) && !both)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--rounding is of --method smoothquant and gguf, not of %s",
                       method);
    if (first && both && !cli_value(cli, "calib", NULL))
        return rt_fail(&cli->ctx, RT_ERR_USAGE, "--%s needs --calib P", first);
    for (size_t i = 0; i < OF_GPTQ; i++)
        if (cli_value(cli, names[i], NULL) &&
            (both ? is_nearest : strcmp(method, "gptq") != 0))
            return rt_fail(&cli->ctx, RT_ERR_USAGE,
                           "--%s is of --method gptq, smoothquant and gguf, not of %s%s",
                           names[i], method, is_nearest ? " --rounding nearest" : "");
    return RT_OK;
}

rt_status cli_quantize_rounding(struct cli *cli, const char *method,
                                struct cli_rounding *out)
{
    float damping = 0;
    const char *order = cli_value(cli, "order", "activation");
    const char *rounding = cli_value(cli, "rounding", "gptq");
    rt_status st = check(cli, method);
    if (st != RT_OK)
        return st;
    out->nearest = strcmp(rounding, "nearest") == 0;
    if (!out->nearest && strcmp(rounding, "gptq") != 0)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--rounding %.40s: gptq or nearest is possible", rounding);
    out->natural_order = strcmp(order, "natural") == 0;
    if (!out->natural_order && strcmp(order, "activation") != 0)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--order %s: activation or natural is possible", order);
    st = cli_real(cli, "damping", 0, 1, &damping);
    out->damping = (double)damping;
    return st;
}

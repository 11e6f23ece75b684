/* pipeline/cli/quantize_plan.c
 * quantize --plan. */
#include "pipeline/cli/quantize_plan.h"

rt_status cli_plan_read(struct cli *cli, struct quant_plan *plan,
                        struct pipe_quantize_options *options)
{
    const char *path = cli_value(cli, "plan", NULL);
    *plan = (struct quant_plan){ .count = 0 };
    if (!path)
        return RT_OK;
    const rt_status st = quant_plan_read(&cli->ctx, path, plan);
    options->plan = plan;
    return st;
}

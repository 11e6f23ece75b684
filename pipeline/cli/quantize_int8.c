/* pipeline/cli/quantize_int8.c
 * The option --activations of the command quantize. */
#include "pipeline/cli/quantize_int8.h"

#include <string.h>

rt_status cli_quantize_int8(struct cli *cli, struct pipe_quantize_options *q)
{
    const bool is_smooth = strcmp(q->method, "smoothquant") == 0;
    const char *how = cli_value(cli, "activations", is_smooth ? "dynamic" : "float");
    q->given = strcmp(how, "static") == 0;
    q->int8 = q->given || strcmp(how, "dynamic") == 0;
    if (!q->int8 && strcmp(how, "float") != 0)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--activations %.40s: float, dynamic or static is possible", how);
    if (q->given && !cli_value(cli, "calib", NULL))
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--activations static needs --calib P: the scales are measured");
    return RT_OK;
}

/* pipeline/cli/quantize_int8.c
 * The options of the command quantize for activations of 8 bits. */
#include "pipeline/cli/quantize_parts.h"

#include <stdio.h>
#include <string.h>

static rt_status read_float_inputs(struct cli *cli, bool is_smooth,
                                   struct pipe_quantize_options *q)
{
    float times = is_smooth ? (float)QUANT_FLOAT_INPUTS : 0;
    const rt_status st = cli_real(cli, "float-inputs", 0, 1e6f, &times);
    q->float_inputs = q->int8 ? (double)times : 0;
    if (st != RT_OK || !cli_value(cli, "float-inputs", NULL))
        return st;
    if (!q->int8)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--float-inputs is for activations of 8 bits: --activations "
                       "dynamic or static");
    if (!cli_value(cli, "calib", NULL))
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "--float-inputs needs --calib P: the cost is measured");
    return RT_OK;
}

rt_status cli_quantize_int8(struct cli *cli, struct pipe_quantize_options *q)
{
    rt_status st;
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
    TRY(read_float_inputs(cli, is_smooth, q));

fail:
    return st;
}

void cli_quantize_print_int8(const struct pipe_quantize_options *q,
                             const struct pipe_quantized *r)
{
    if (!q->int8)
        return;
    printf("inputs of 8 bits: %u of %u matrices, %.1f %% of the products\n",
           r->matrices - r->float_matrices, r->matrices,
           r->weights
               ? 100.0 * (double)(r->weights - r->float_weights) / (double)r->weights
               : 0.0);
    if (r->float_matrices)
        printf("inputs of %u matrices stay floats: rounding them costs more than %.4g "
               "times what rounding their weights does\n",
               r->float_matrices, q->float_inputs);
}

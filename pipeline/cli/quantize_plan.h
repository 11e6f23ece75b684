/* pipeline/cli/quantize_plan.h
 * quantize --plan and --budget: widths of single matrices. */
#ifndef PIPELINE_CLI_QUANTIZE_PLAN_H
#define PIPELINE_CLI_QUANTIZE_PLAN_H

#include "pipeline/cli/cli.h"
#include "pipeline/run/quantize.h"

/* Rows of the command's table of options. */
#define CLI_PLAN_OPTIONS                                                              \
    {                                                                                 \
        "plan", "FILE",                                                               \
            "widths of single matrices: lines TENSOR TYPE, with * ? [a-z] in TENSOR " \
            "and int2, "                                                              \
            "int3, int4 or int8 as TYPE; the rest gets --bits"                        \
    }

/* Reads --plan into `plan`, which is freed with quant_plan_deinit in any case, and points
 * the options to it; without the option nothing changes. */
RT_CHECKED rt_status cli_plan_read(struct cli *cli, struct quant_plan *plan,
                                   struct pipe_quantize_options *options);

#endif

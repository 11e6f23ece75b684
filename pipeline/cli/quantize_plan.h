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
            "lines TENSOR TYPE with * ? [a-z] in TENSOR that count before --bits or " \
            "--type; TYPE is int2, int3, int4 or int8, or one of GGUF"                \
    }

/* Reads --plan into `plan`, which is freed with quant_plan_deinit in any case, and points
 * the options to it; without the option nothing changes. */
RT_CHECKED rt_status cli_plan_read(struct cli *cli, struct quant_plan *plan,
                                   struct pipe_quantize_options *options);

#endif

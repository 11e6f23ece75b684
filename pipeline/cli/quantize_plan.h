/* pipeline/cli/quantize_plan.h
 * quantize --plan and --budget: widths of single matrices. */
#ifndef PIPELINE_CLI_QUANTIZE_PLAN_H
#define PIPELINE_CLI_QUANTIZE_PLAN_H

#include "pipeline/cli/cli.h"
#include "pipeline/run/budget.h"

/* Rows of the command's table of options. */
/* clang-format off */
#define CLI_PLAN_OPTIONS \
    { "plan", "FILE", \
      "widths of single matrices: lines TENSOR TYPE, with * ? [a-z] in TENSOR and int2, " \
      "int3, int4 or int8 as TYPE; the rest gets --bits. gguf: as --write-plan writes it" }, \
    { "budget", "BITS", \
      "per weight, scales included: widths by how much the model suffers on --calib, " \
      "written as the plan OUT.plan" }, \
    { "sensitivity", "NAME", \
      "of --budget: estimate (default: measured at 2 bits, then by the error of layers) " \
      "or all (measured at every width)" }
/* clang-format on */

/* Reads --plan into `plan`, which is freed with quant_plan_deinit in any case, and points
 * the options to it; without the option nothing changes. */
RT_CHECKED rt_status cli_plan_read(struct cli *cli, struct quant_plan *plan,
                                   struct pipe_quantize_options *options);

/* With --budget: makes the plan, writes it, prints it unless --json is given, and points
 * the options to it. */
RT_CHECKED rt_status cli_budget_plan(struct cli *cli, struct pipe_session *session,
                                     const struct pipe_select_from *from, const char *out,
                                     struct pipe_budget *budget,
                                     struct pipe_quantize_options *options);
/* RT_ERR_USAGE where --budget does not fit the other options. */
RT_CHECKED rt_status cli_budget_check(struct cli *cli, const char *method);

#endif

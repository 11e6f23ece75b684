/* pipeline/cli/quantize_dry.h
 * quantize --dry-run. */
#ifndef PIPELINE_CLI_QUANTIZE_DRY_H
#define PIPELINE_CLI_QUANTIZE_DRY_H

#include "pipeline/cli/cli.h"
#include "pipeline/run/quantize_cost.h"

void cli_quantize_print_cost(struct cli *cli, const struct pipe_quantize_cost *cost);

#endif

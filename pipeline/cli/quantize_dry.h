/* pipeline/cli/quantize_dry.h
 * quantize --dry-run. */
#ifndef PIPELINE_CLI_QUANTIZE_DRY_H
#define PIPELINE_CLI_QUANTIZE_DRY_H

#include "pipeline/cli/cli.h"
#include "pipeline/run/quantize_cost.h"

/* `candidates`: as cli_select_candidates. Costs are those of one. */
void cli_quantize_print_cost(struct cli *cli, const struct pipe_quantize_cost *cost,
                             uint32_t candidates);

#endif

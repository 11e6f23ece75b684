/* pipeline/cli/quantize_int8.h
 * The options of the command quantize for activations of 8 bits: --activations,
 * --float-inputs, --rounding. */
#ifndef PIPELINE_CLI_QUANTIZE_INT8_H
#define PIPELINE_CLI_QUANTIZE_INT8_H

#include "pipeline/cli/cli.h"
#include "pipeline/run/quantize.h"

/* Fills int8, given, float_inputs and nearest, whose defaults the method decides.
 * RT_ERR_USAGE for a value that is none, or an option that changes nothing. */
RT_CHECKED rt_status cli_quantize_int8(struct cli *cli, struct pipe_quantize_options *q);
/* A line that says how much of the products is in whole numbers; nothing for float inputs. */
void cli_quantize_print_int8(const struct pipe_quantize_options *q,
                             const struct pipe_quantized *result);

#endif

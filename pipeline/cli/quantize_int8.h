/* pipeline/cli/quantize_int8.h
 * The option --activations of the command quantize. */
#ifndef PIPELINE_CLI_QUANTIZE_INT8_H
#define PIPELINE_CLI_QUANTIZE_INT8_H

#include "pipeline/cli/cli.h"
#include "pipeline/run/quantize.h"

/* Fills int8 and given by --activations, whose default the method decides. RT_ERR_USAGE for
 * a value that is none. */
RT_CHECKED rt_status cli_quantize_int8(struct cli *cli, struct pipe_quantize_options *q);

#endif

/* pipeline/cli/quantize_used.h
 * quantize has three ways of work: a folder, a GGUF file (--method gguf), a comparison
 * (--compare). Which options belong to which. */
#ifndef PIPELINE_CLI_QUANTIZE_USED_H
#define PIPELINE_CLI_QUANTIZE_USED_H

#include "pipeline/cli/cli.h"

/* RT_ERR_USAGE: an option is given that changes nothing in the way that is asked for. */
RT_CHECKED rt_status cli_quantize_used(struct cli *cli);

#endif

/* pipeline/cli/quantize_gguf.h
 * quantize --method gguf: its options, its work, what it prints. */
#ifndef PIPELINE_CLI_QUANTIZE_GGUF_H
#define PIPELINE_CLI_QUANTIZE_GGUF_H

#include "pipeline/cli/cli.h"

/* Whether --method is gguf. */
bool cli_quantize_is_gguf(const struct cli *cli);
RT_CHECKED rt_status cli_quantize_gguf(struct cli *cli);

#endif

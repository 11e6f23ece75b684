/* pipeline/cli/quantize_compare.h
 * quantize --compare: variants beside the full model on a text. */
#ifndef PIPELINE_CLI_QUANTIZE_COMPARE_H
#define PIPELINE_CLI_QUANTIZE_COMPARE_H

#include "pipeline/cli/cli.h"
#include "pipeline/run/calibration.h"

/* Rows of the command's table of options. */
#define CLI_COMPARE_OPTIONS                                                             \
    { "compare", "A,B,...",                                                             \
      "write nothing: folders or GGUF files beside --model on --text" },                \
        { "text", "T", "of --compare: text (.txt), or problems with solutions" },       \
        { "context", "N",                                                               \
          "of --compare: tokens of a window of a text (default 512, or what the model " \
          "has)" },                                                                     \
    {                                                                                   \
        "stride", "N",                                                                  \
            "of --compare: tokens between windows (default: half of the context)"       \
    }

/* --text, --context and --stride, for measuring with a model's tokens. */
RT_CHECKED rt_status cli_text_options(struct cli *cli, const char *model,
                                      struct pipe_calibration_options *out);
/* Prints the table, or JSON. */
RT_CHECKED rt_status cli_quantize_compare(struct cli *cli);

#endif

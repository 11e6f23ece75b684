/* pipeline/cli/quantize_select.h
 * quantize with calibration text: whether candidates are made and which of their options
 * are open. */
#ifndef PIPELINE_CLI_QUANTIZE_SELECT_H
#define PIPELINE_CLI_QUANTIZE_SELECT_H

#include "pipeline/cli/cli.h"
#include "pipeline/run/select.h"

/* Rows of the command's table of options. */
#define CLI_SELECT_OPTIONS                                                               \
    { "select", "kl|none",                                                               \
      "candidates beside each other, the nearest to the full model on text held out of " \
      "--calib is kept (kl, the default with --calib), or one as the options say" },     \
    {                                                                                    \
        "select-text", "T", "text to choose by; then all of --calib calibrates"          \
    }

/* RT_ERR_USAGE where --select does not fit the other options, or leaves nothing to choose. */
RT_CHECKED rt_status cli_select_check(struct cli *cli, const char *method);
/* Folders that --select makes at most; 1: there is no choice. */
uint32_t cli_select_candidates(const struct cli *cli, const char *method);
/* --calib, --calib-items and --calib-length, of the full model in `model`. */
RT_CHECKED rt_status cli_calibration_options(struct cli *cli, const char *model,
                                             struct pipe_calibration_options *out);
/* The prompt format that calibration or other text needs: of --format, of the run, or the
 * usual one of the problems; NULL for plain text. */
RT_CHECKED rt_status cli_calibration_format(struct cli *cli, const char *from,
                                            const struct pipe_prompt_format **out);
/* Quantizes by --select, prints the candidates, and saves how the folder was made.
 * `options` become those of the chosen one. */
RT_CHECKED rt_status
cli_quantize_calibrated(struct cli *cli, struct pipe_session *session, const char *model,
                        const char *out, struct pipe_quantize_options *options,
                        const struct pipe_calibration_options *calibration,
                        struct pipe_selected *selected, struct pipe_quantized *result);
/* ,"select":{...} where there was a choice. */
void cli_select_print_json(const struct pipe_selected *selected);

#endif

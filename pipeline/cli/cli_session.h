/* pipeline/cli/cli_session.h
 * A session, and texts to see models on, of the options that a command has. */
#ifndef PIPELINE_CLI_CLI_SESSION_H
#define PIPELINE_CLI_CLI_SESSION_H

#include "pipeline/cli/cli.h"
#include "pipeline/run/calibration.h"
#include "pipeline/run/session.h"

/* --device and its kin, --store, --seed, --chat-format, --examples, --max-new. A model that
 * cannot be read is refused before a results file is made. Arguments as in pipe_session_options. */
RT_CHECKED rt_status cli_session_open(struct cli *cli, const char *model,
                                      const struct pipe_prompt_format *format,
                                      const char *campaign, const char *plan,
                                      struct pipe_session *out);
/* Prints the profile where --profile asks for it. */
void cli_session_close(struct cli *cli, struct pipe_session *session);
/* The format of --format, else the usual one of a list. RT_ERR_USAGE: no such name. */
RT_CHECKED rt_status cli_format(struct cli *cli, const char *bench,
                                const struct pipe_prompt_format **out);

/* --text, --context and --stride, for measuring with a model's tokens. */
RT_CHECKED rt_status cli_text_options(struct cli *cli, const char *model,
                                      struct pipe_calibration_options *out);
/* --calib, --calib-items and --calib-length, of the full model in `model`. */
RT_CHECKED rt_status cli_calibration_options(struct cli *cli, const char *model,
                                             struct pipe_calibration_options *out);
/* The prompt format that calibration or other text needs: of --format, of the run, or the
 * usual one of the problems; NULL for plain text. */
RT_CHECKED rt_status cli_calibration_format(struct cli *cli, const char *from,
                                            const struct pipe_prompt_format **out);

#endif

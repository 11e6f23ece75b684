/* pipeline/cli/cli_session.h
 * A session of the options that a command has. */
#ifndef PIPELINE_CLI_CLI_SESSION_H
#define PIPELINE_CLI_CLI_SESSION_H

#include "pipeline/cli/cli.h"
#include "pipeline/run/session.h"

/* --device and its kin, --store, --seed, --chat-format, --examples, --max-new. A model that
 * cannot be read is refused before a results file is made. Arguments as in pipe_session_options. */
RT_CHECKED rt_status cli_session_open(struct cli *cli, const char *model,
                                      const struct pipe_prompt_format *format,
                                      const char *campaign, const char *plan,
                                      struct pipe_session *out);
/* The format of --format, else the usual one of a list. RT_ERR_USAGE: no such name. */
RT_CHECKED rt_status cli_format(struct cli *cli, const char *bench,
                                const struct pipe_prompt_format **out);

#endif

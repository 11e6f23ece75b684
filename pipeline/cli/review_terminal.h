/* pipeline/cli/review_terminal.h
 * A person walks through the faults of a locate run. */
#ifndef PIPELINE_CLI_REVIEW_TERMINAL_H
#define PIPELINE_CLI_REVIEW_TERMINAL_H

#include "pipeline/cli/cli.h"
#include "pipeline/locate/review.h"

/* Shows each fault that --judge has no vote on, on stdout, and reads one line per key from stdin
 * until q, the end of the input, a signal or the last fault. A vote is stored before the next
 * fault is shown. *out: what all votes decide then. */
RT_CHECKED rt_status cli_review_terminal(struct cli *cli, struct store *store,
                                         const char *run, struct pipe_review_result *out);

#endif

/* pipeline/cli/locate_stored.h
 * locate --run: the first faulty step of wrong answers that are in the results file, told
 * from their text alone, whatever engine made them. */
#ifndef PIPELINE_CLI_LOCATE_STORED_H
#define PIPELINE_CLI_LOCATE_STORED_H

#include "pipeline/cli/cli.h"

/* By the locator `check`: of the demo's format pipe_locate_check, else
 * pipe_locate_arithmetic. A run of kind locate; faults `check` and `verdict` for every
 * wrong answer, without a step where none is named. `run`: id, or label of a variant. */
RT_CHECKED rt_status locate_stored(struct cli *cli, const char *run);

#endif

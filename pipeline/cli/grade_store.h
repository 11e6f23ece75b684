/* pipeline/cli/grade_store.h
 * grade --store: the answers of a results file graded again, without a model. */
#ifndef PIPELINE_CLI_GRADE_STORE_H
#define PIPELINE_CLI_GRADE_STORE_H

#include "pipeline/cli/cli.h"

/* Every answer of every eval run (--run ID: of one) by the format of its run. Verdicts that
 * change are printed and replaced (not with --dry-run); the old ones go to score_history.
 * Answers whose format this program does not know are counted and left alone. */
RT_CHECKED rt_status grade_store(struct cli *cli);

#endif

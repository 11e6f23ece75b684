/* pipeline/cli/train_dry.h
 * train --dry-run. */
#ifndef PIPELINE_CLI_TRAIN_DRY_H
#define PIPELINE_CLI_TRAIN_DRY_H

#include "pipeline/cli/cli.h"

/* Prints what training takes on the device; loads and trains nothing. */
RT_CHECKED rt_status cli_train_dry(struct cli *cli);

#endif

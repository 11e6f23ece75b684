/* pipeline/cli/restore_print.h
 * The chain as a command: its options, and the tables that end it. */
#ifndef PIPELINE_CLI_RESTORE_PRINT_H
#define PIPELINE_CLI_RESTORE_PRINT_H

#include "pipeline/cli/cli.h"
#include "pipeline/restore/restore.h"

/* The table of arms on stdout. */
RT_CHECKED rt_status cli_print_restore(struct restoring *r);
/* What each stage computed and took, against the device's measured rate, on stdout. */
RT_CHECKED rt_status cli_print_restore_costs(struct restoring *r);
/* The whole chain, as restore and demo run it, with the arms of --recipes, else `usual` or,
 * with --controls, `all`. */
RT_CHECKED rt_status cli_restore_run(struct cli *cli, const char *usual, const char *all);
/* train --dry-run: prints what training takes on the device; loads and trains nothing. */
RT_CHECKED rt_status cli_train_dry(struct cli *cli);

#endif

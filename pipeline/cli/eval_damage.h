/* pipeline/cli/eval_damage.h
 * The table of eval --damage. */
#ifndef PIPELINE_CLI_EVAL_DAMAGE_H
#define PIPELINE_CLI_EVAL_DAMAGE_H

#include "pipeline/cli/cli.h"
#include "pipeline/locate/damage_table.h"

/* The rows of one list on stdout, in words; with --json one object per variant. */
void cli_print_damage(const struct cli *cli, const char *bench,
                      const struct pipe_damage_row *rows, uint32_t count);

#endif

/* pipeline/cli/locate_score.h
 * locate --score: the locators on labelled solutions. */
#ifndef PIPELINE_CLI_LOCATE_SCORE_H
#define PIPELINE_CLI_LOCATE_SCORE_H

#include "pipeline/cli/cli.h"
#include "pipeline/locate/score_set.h"

/* Every positional argument is a file in this format. */
RT_CHECKED rt_status cli_locate_score(struct cli *cli, const char *format);
/* Gives records the right final answers of --answers; without it nothing. open: the results
 * file, if it is open already. */
RT_CHECKED rt_status cli_score_answers(struct cli *cli, struct store *open,
                                       struct pipe_score_set *s);
/* Roll-outs of `model` on the set, after cli_score_answers, and what each record got. */
RT_CHECKED rt_status cli_score_rollouts(struct cli *cli, const char *model,
                                        struct pipe_score_set *s);
/* Alters --injected right solutions of the file and prints them as JSON Lines. */
RT_CHECKED rt_status cli_locate_inject(struct cli *cli, const char *format);

/* Fits the weights of the verdict on evidence files, prints weights.def, and how each locator
 * and the verdict do on every set, the verdict with weights fitted on the other sets. */
RT_CHECKED rt_status cli_locate_fit(struct cli *cli);

#endif

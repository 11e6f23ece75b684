/* pipeline/run/budget_state.h
 * Private to pipeline/run/budget*.c: what is known of a width of `quantize --budget`, beside
 * the wanted folder, so that a command that was killed need not find it again.
 *
 *     OUT.width-B        the model at B bits, until all that is asked of it is known
 *     OUT.width-B.json   what it is made of (a hash), the error of each group, and the KL of
 *                        the first groups, as many as were measured; floats as hexadecimal
 *                        texts, which lose nothing */
#ifndef PIPELINE_RUN_BUDGET_STATE_H
#define PIPELINE_RUN_BUDGET_STATE_H

#include "pipeline/run/budget.h"

/* The file beside a width's folder, written whole or not at all: the errors of all groups at
 * this width, and the KL of the first `measured`. */
RT_CHECKED rt_status pipe_budget_state_write(struct rt_ctx *ctx, const char *folder,
                                             const char *key,
                                             const struct pipe_budget *budget,
                                             uint32_t width, uint32_t measured);
/* Whether there is one of this key. Then errors are taken over, and the KL of as many groups as
 * it has, up to `most`: *measured. */
bool pipe_budget_state_read(struct rt_ctx *ctx, const char *folder, const char *key,
                            uint32_t most, struct pipe_budget *budget, uint32_t width,
                            uint32_t *measured);
/* Removes the file, then the folder. */
void pipe_budget_state_remove(const char *folder);

#endif

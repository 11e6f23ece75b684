/* pipeline/run/compare_endings.h
 * Whether right answers that restored has more than quant come from answers that end
 * otherwise, and not from other reasoning. */
#ifndef PIPELINE_RUN_COMPARE_ENDINGS_H
#define PIPELINE_RUN_COMPARE_ENDINGS_H

#include "pipeline/run/compare_runs.h"

/* Fills c->endings from the stored answers; after the pairs were read. Of runs with answers
 * that have no tokens (imported ones) it stays unknown. */
RT_CHECKED rt_status pipe_compare_endings(struct rt_ctx *ctx, struct store *store,
                                          struct pipe_comparison *c);

#endif

/* pipeline/locate/inject_set.h
 * A set of injected faults made of right solutions (inject_text.h): a yardstick that anybody
 * can make again from the same file, seed and number. */
#ifndef PIPELINE_LOCATE_INJECT_SET_H
#define PIPELINE_LOCATE_INJECT_SET_H

#include "pipeline/locate/labelled.h"

#include <stdio.h>

/* Alters solutions without a fault of `from`, one per problem, until there are `want` items or
 * none is left. Solutions are taken in an order drawn from the seed, kinds in turns; a solution
 * that gives no fault of the kind whose turn it is gives one of the next kind that it can. The
 * items have label, kind, and a final answer that is wrong; they hold nothing of the unaltered
 * solution. *out owns its text. RT_ERR_INPUT if nothing could be altered. */
RT_CHECKED rt_status pipe_inject_set(struct rt_ctx *ctx,
                                     const struct pipe_labelled_set *from, uint32_t want,
                                     uint64_t seed, struct pipe_labelled_set *out);
/* One JSON object per item, in the fields of processbench; rt_free. */
RT_CHECKED rt_status pipe_labelled_line(struct rt_ctx *ctx,
                                        const struct pipe_labelled *item, char **out);
/* The lines of all items, to `out`, whose errors are the caller's to look for. */
RT_CHECKED rt_status pipe_labelled_write(struct rt_ctx *ctx,
                                         const struct pipe_labelled_set *set, FILE *out);

#endif

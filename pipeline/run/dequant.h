/* pipeline/run/dequant.h
 * The values of one tensor of a model, for checks by others. */
#ifndef PIPELINE_RUN_DEQUANT_H
#define PIPELINE_RUN_DEQUANT_H

#include "runtime/base/rt.h"

/* Floats in fresh memory (rt_free): of a packed or float matrix, by its module's or tensor's
 * name, [out][in]; of a float tensor of any shape. RT_ERR_INPUT: there is no such tensor; the
 * message shows how they are named. */
RT_CHECKED rt_status pipe_dequant(struct rt_ctx *ctx, const char *model,
                                  const char *tensor, float **out, uint64_t *count);

#endif

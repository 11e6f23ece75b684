/* pipeline/run/merge_lora.h
 * A model and an adapter as one model in floats. */
#ifndef PIPELINE_RUN_MERGE_LORA_H
#define PIPELINE_RUN_MERGE_LORA_H

#include "runtime/quant/merged.h"

/* quant_merge with the type by name: f16, bf16 or f32 (else RT_ERR_USAGE). */
RT_CHECKED rt_status pipe_merge_lora(struct rt_ctx *ctx, const char *model,
                                     const char *adapter, const char *out,
                                     const char *type, bool force,
                                     struct quant_merged *made);

#endif

/* pipeline/run/export_lora.h
 * A PEFT adapter in the format of another program. */
#ifndef PIPELINE_RUN_EXPORT_LORA_H
#define PIPELINE_RUN_EXPORT_LORA_H

#include "runtime/format/peft_gguf.h"

/* The adapter of folder `adapter`, which belongs to `model` (folder or GGUF file), as a GGUF
 * file for llama.cpp. One that exists is refused unless `force`. */
RT_CHECKED rt_status pipe_export_lora(struct rt_ctx *ctx, const char *model,
                                      const char *adapter, const char *out, bool force,
                                      struct fmt_adapter_gguf *made);

#endif

/* runtime/format/peft_gguf.h
 * LoRA adapters as llama.cpp reads them (--lora): a GGUF file of general.type "adapter",
 * adapter.type "lora", adapter.lora.alpha, and per adapted matrix NAME.lora_a [rank][in] and
 * NAME.lora_b [out][rank], NAME being the matrix' in a model's file, all F32. Rows of q and k
 * have the order of that file (gguf_model.h). */
#ifndef RUNTIME_FORMAT_PEFT_GGUF_H
#define RUNTIME_FORMAT_PEFT_GGUF_H

#include "runtime/format/gguf_model.h"
#include "runtime/format/peft.h"

struct fmt_adapter_gguf {
    uint32_t matrices;
    float alpha;       /* of the file: the first adapted matrix' scale times its rank */
    uint32_t adjusted; /* matrices of another alpha: their b holds the quotient */
};

/* Writes `path` whole or not at all. RT_ERR_USAGE: nothing is adapted. */
RT_CHECKED rt_status fmt_adapter_write_gguf(struct rt_ctx *ctx, const char *path,
                                            const struct fmt_adapter *adapter,
                                            const struct fmt_config *config,
                                            const struct fmt_gguf_arch *arch,
                                            struct fmt_adapter_gguf *made);

#endif

/* runtime/format/gguf_config.h
 * The keys of a GGUF file that say what a model of a Hugging Face folder is: the inverse of
 * fmt_gguf_config. */
#ifndef RUNTIME_FORMAT_GGUF_CONFIG_H
#define RUNTIME_FORMAT_GGUF_CONFIG_H

#include "runtime/format/gguf_model.h"
#include "runtime/format/gguf_write.h"

/* general.* and ARCH.*; `path`: the folder, which names the model. */
void fmt_gguf_put_config(struct fmt_gguf_out *out, const struct fmt_gguf_arch *arch,
                         const struct fmt_config *config, const char *path);
/* rope_freqs.weight: by what the scaling of llama3 divides each of the head_dim / 2
 * frequencies. */
RT_CHECKED rt_status fmt_gguf_rope_divisors(struct rt_ctx *ctx,
                                            const struct fmt_config *config, float *out);

#endif

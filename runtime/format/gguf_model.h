/* runtime/format/gguf_model.h
 * A model in a GGUF file as readers of Hugging Face folders know it: the keys as a
 * config.json, tensors by their Hugging Face names with rows in their order.
 *
 * The converters of architecture `llama` store the rows of q and k for rotary embedding
 * of neighbouring pairs: of a head of d rows, row 2 j + s of the file is row s d / 2 + j
 * of the Hugging Face tensor. `qwen2` and `qwen3` are stored as they are. */
#ifndef RUNTIME_FORMAT_GGUF_MODEL_H
#define RUNTIME_FORMAT_GGUF_MODEL_H

#include "runtime/format/gguf.h"
#include "runtime/format/model_config.h"

enum { FMT_GGUF_NAME_MAX = 160 };

struct fmt_gguf_arch {
    const char *name; /* general.architecture, and model_type of config.json */
    bool permuted;    /* rows of q and k, see above */
};

/* RT_ERR_INPUT names an architecture that is not supported and those that are. */
RT_CHECKED rt_status fmt_gguf_arch_find(const struct fmt_gguf *file,
                                        const struct fmt_gguf_arch **out);
/* That of a model_type of config.json, NULL: there is none. Mistral's is llama. */
const struct fmt_gguf_arch *fmt_gguf_arch_of(const char *model_type);
/* The keys as the object of a config.json (json_decref). Sizes are checked where they
 * are read from it. The scaling of llama3 rotary embedding, which the file stores as one
 * divisor a frequency (rope_freqs.weight), is recovered as its four parameters; what no
 * such parameters give is refused. */
RT_CHECKED rt_status fmt_gguf_config_json(const struct fmt_gguf *file, json_t **out);
RT_CHECKED rt_status fmt_gguf_config(const struct fmt_gguf *file, struct fmt_config *out);
/* A template of tokenizer.chat_template in fresh memory, NULL if the file has none. */
RT_CHECKED rt_status fmt_gguf_chat_template(const struct fmt_gguf *file, char **out);

/* "model.layers.3.self_attn.q_proj.weight" to "blk.3.attn_q.weight" and back; false: no
 * such name. buffer: FMT_GGUF_NAME_MAX bytes. */
bool fmt_gguf_name(const char *hf_name, char *buffer);
bool fmt_gguf_hf_name(const char *name, char *buffer);
/* Where in the file row `row` of this Hugging Face tensor lies, and which one of that lies
 * in row `row` of the file. */
uint32_t fmt_gguf_row(const struct fmt_gguf_arch *arch, const char *hf_name,
                      uint32_t head_dim, uint32_t row);
uint32_t fmt_gguf_hf_row(const struct fmt_gguf_arch *arch, const char *hf_name,
                         uint32_t head_dim, uint32_t row);
/* The whole tensor as float in Hugging Face order; a vector has `rows` 1. RT_ERR_INPUT:
 * not there, of another shape, or not finite. */
RT_CHECKED rt_status fmt_gguf_weight(const struct fmt_gguf *file,
                                     const struct fmt_gguf_arch *arch,
                                     const char *hf_name, uint32_t rows, uint32_t columns,
                                     uint32_t head_dim, float *out);

/* Private to gguf_model.c: the rope_scaling object of a config.json, null where there is
 * none. */
RT_CHECKED rt_status fmt_gguf_rope(const struct fmt_gguf *file, const char *arch,
                                   uint32_t head_dim, json_t **out);

#endif

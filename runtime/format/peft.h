/* runtime/format/peft.h
 * LoRA adapters in the layout of Hugging Face PEFT: adapter_config.json and
 * adapter_model.safetensors with base_model.model.<module>.lora_A.weight [r][in] and
 * lora_B.weight [out][r]. */
#ifndef RUNTIME_FORMAT_PEFT_H
#define RUNTIME_FORMAT_PEFT_H

#include "runtime/format/model_config.h"

enum fmt_module {
    FMT_Q_PROJ,
    FMT_K_PROJ,
    FMT_V_PROJ,
    FMT_O_PROJ,
    FMT_GATE_PROJ,
    FMT_UP_PROJ,
    FMT_DOWN_PROJ,
    FMT_MODULE_COUNT
};

/* "self_attn.q_proj" and so on: the path below model.layers.N. */
extern const char *const fmt_module_path[FMT_MODULE_COUNT];
/* Rows (out) and columns (in) of a module's weight. */
void fmt_module_size(const struct fmt_config *config, enum fmt_module module,
                     uint32_t *out, uint32_t *in);

/* One adapted matrix: y += scale (x a^T) b^T. rank 0: not adapted. */
struct fmt_lora {
    uint32_t rank;
    float scale; /* alpha / r, or alpha / sqrt(r) */
    float *a;    /* [rank][in] */
    float *b;    /* [out][rank] */
};

struct fmt_adapter {
    uint32_t layers;
    uint32_t bits;       /* of a number in the file it was read from: 8, 16 or 32 */
    uint32_t write_bits; /* of a number when it is written: see fmt_adapter_write */
    char
        base[65]; /* fmt_model_hash of the weights that it was trained on, as the metadata
                      "base" of its file has it; "": not known */
    struct fmt_lora *lora; /* [layers][FMT_MODULE_COUNT] */
};

/* An adapter of zeros: rank r and scale alpha / r on every module. */
RT_CHECKED rt_status fmt_adapter_new(struct rt_ctx *ctx, const struct fmt_config *config,
                                     uint32_t rank, float alpha,
                                     struct fmt_adapter **out);
/* Reads a folder. RT_ERR_INPUT names what does not fit `config` or is not supported
 * (DoRA, trained biases, modules_to_save). */
RT_CHECKED rt_status fmt_adapter_read(struct rt_ctx *ctx, const char *folder,
                                      const struct fmt_config *config,
                                      struct fmt_adapter **out);
/* Writes a folder (made if needed), each file atomically. Ranks and scales may differ
 * from module to module. write_bits 32: F32, the values as they are; 16: F16; 8: F8_E4M3,
 * after rows of A, columns of B and the scale have been multiplied by powers of two whose
 * product is 1, so that the values lie in its range: rounding then changes a value by at
 * most 2^-4 of it, or by 2^-10 where the multiplication leaves it below 2^-6. What is not
 * finite becomes NaN, which fmt_adapter_read refuses. PyTorch 2.1 and later read all three.
 * Writing again what was read changes no value. base: name of the model it belongs to.
 * metadata as in fmt_safetensors_write, may be null. RT_ERR_USAGE: nothing is adapted. */
RT_CHECKED rt_status fmt_adapter_write(struct rt_ctx *ctx, const char *folder,
                                       const struct fmt_adapter *adapter,
                                       const struct fmt_config *config, const char *base,
                                       const char *const *metadata);
void fmt_adapter_destroy(struct fmt_adapter **adapter);
/* A deep copy. */
RT_CHECKED rt_status fmt_adapter_copy(struct rt_ctx *ctx, const struct fmt_adapter *from,
                                      const struct fmt_config *config,
                                      struct fmt_adapter **out);
/* Numbers in the adapter. */
uint64_t fmt_adapter_params(const struct fmt_adapter *adapter,
                            const struct fmt_config *config);
/* SHA-256 of shapes and values, hexadecimal. */
void fmt_adapter_hash(const struct fmt_adapter *adapter, const struct fmt_config *config,
                      char hex[65]);

#endif

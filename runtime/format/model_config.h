/* runtime/format/model_config.h
 * config.json (and generation_config.json) of a Hugging Face folder. */
#ifndef RUNTIME_FORMAT_MODEL_CONFIG_H
#define RUNTIME_FORMAT_MODEL_CONFIG_H

#include <jansson.h>

#include "runtime/format/quant_config.h"
#include "runtime/format/rope_config.h"

/* Which layers attend to the last sliding_window positions only. */
enum fmt_window {
    FMT_WINDOW_NONE,   /* none but those that layer_types names */
    FMT_WINDOW_LAYERS, /* with use_sliding_window: by layer_types or max_window_layers */
    FMT_WINDOW_ALL,    /* all, unless sliding_window is null */
};

/* What distinguishes one model family from another, as data: a family is a row. */
struct fmt_family {
    const char *model_type; /* of config.json */
    bool qkv_bias;          /* q, k, v have biases */
    bool bias_keys;         /* attention_bias and mlp_bias say whether there are more */
    bool qk_norm;           /* RMSNorm over each head of q and k */
    enum fmt_window window;
    uint32_t head_dim; /* where the file gives none; 0: hidden over heads */
};

enum { FMT_EOS_MAX = 8, FMT_HEAD_DIM_MAX = 512 };

struct fmt_config {
    const struct fmt_family *family;
    uint32_t hidden, ffn, layers, heads, kv_heads, head_dim, vocab;
    uint32_t max_positions;
    float rms_eps;
    struct fmt_rope rope;
    bool tied;                       /* the head is the embedding */
    bool bias_qkv, bias_o, bias_mlp; /* which projections have biases */
    uint32_t eos[FMT_EOS_MAX], eos_count;
    struct fmt_quantization quantization;
};

/* RT_ERR_INPUT for anything missing, out of range or not supported, naming the file. */
RT_CHECKED rt_status fmt_config_read(struct rt_ctx *ctx, const char *folder,
                                     struct fmt_config *out);
/* The same with the settings of single modules (quant_rules.h; NULL: none): freed by the
 * caller, also after a failure. */
RT_CHECKED rt_status fmt_config_read_rules(struct rt_ctx *ctx, const char *folder,
                                           struct fmt_config *out,
                                           struct fmt_quant_rules *rules);
/* The same from the object of a config.json, made elsewhere; path is for messages. */
RT_CHECKED rt_status fmt_config_parse(struct rt_ctx *ctx, const char *path,
                                      const json_t *root, struct fmt_config *out);

#endif

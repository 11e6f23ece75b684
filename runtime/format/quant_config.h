/* runtime/format/quant_config.h
 * How a folder says that its matrices are packed: the quantization_config of its
 * config.json (compression_config in older files of compressed-tensors), or else a file
 * beside it: quantize_config.json of GPTQ tools, quant_config.json of AutoAWQ. What the
 * packings look like is in packed.h. */
#ifndef RUNTIME_FORMAT_QUANT_CONFIG_H
#define RUNTIME_FORMAT_QUANT_CONFIG_H

#include <jansson.h>

#include "runtime/base/rt.h"

enum fmt_method {
    FMT_PACK_QUANTIZED,  /* compressed-tensors, integers packed along the input */
    FMT_INT_QUANTIZED,   /* compressed-tensors, one byte per weight (W8A8) */
    FMT_AWQ,             /* AutoAWQ, "gemm" */
    FMT_GPTQ,            /* GPTQ, zero points stored minus one (v1) */
    FMT_GPTQ_V2,         /* GPTQ, zero points as they are */
    FMT_FLOAT_QUANTIZED, /* compressed-tensors, F8 */
    FMT_NVFP4,           /* compressed-tensors, E2M1 with E4M3 scales */
    FMT_MXFP4,           /* compressed-tensors, E2M1 with E8M0 scales */
    FMT_MXFP8,           /* compressed-tensors, F8 with E8M0 scales */
    FMT_FP8,             /* transformers' fine-grained FP8 */
    FMT_BITSANDBYTES,    /* NF4 and FP4 */
    FMT_METHOD_COUNT
};

/* How the inputs of packed matrices are rounded before they are multiplied. */
enum fmt_inputs {
    FMT_INPUTS_FLOATS, /* not at all */
    FMT_INPUTS_ROWS,   /* to 8 bits, a scale for every token, as it comes ("dynamic") */
    FMT_INPUTS_GIVEN,  /* to 8 bits by NAME.input_scale ("static") */
};
/* Inputs of a matrix whose sums of products of 8 bits fit 32: more stay floats. */
enum { FMT_INT8_INPUTS_MAX = 131040 };

struct fmt_quantization {
    bool present;
    enum fmt_method method;
    uint32_t bits;
    uint32_t group; /* 0: one scale per row, or by blocks */
    bool symmetric;
    char algorithm[16]; /* "rtn": what chose the codes, empty where the file is silent */
    uint32_t block[2];  /* rows and columns that share a scale; 0, 0: not in blocks */
    enum fmt_inputs inputs; /* of int-quantized: rounded as the file says */
    bool activations; /* made for activations of few bits too, which stay floats here */
    bool act_order;   /* GPTQ's desc_act: columns may be in any order */
    bool mixed;       /* modules differ (quant_rules.h); these are the settings of one */
};

const char *fmt_method_name(enum fmt_method method); /* "gptq_v2" */

/* RT_ERR_INPUT for what is missing or not supported, naming path and key. `config` is
 * the object itself; null or JSON null: nothing is packed. */
RT_CHECKED rt_status fmt_quantization_read(struct rt_ctx *ctx, const char *path,
                                           const json_t *config,
                                           struct fmt_quantization *out);
struct fmt_quant_rules;
/* The same from a folder: `root` is its config.json, read before. `rules`: settings of
 * single modules (fmt_quant_rules_free), null: they are checked only. */
RT_CHECKED rt_status fmt_quantization_find(struct rt_ctx *ctx, const char *folder,
                                           const char *path, const json_t *root,
                                           struct fmt_quantization *out,
                                           struct fmt_quant_rules *rules);

#endif

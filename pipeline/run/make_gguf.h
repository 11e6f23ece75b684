/* pipeline/run/make_gguf.h
 * A low-bit copy of a model as a GGUF file (runtime/quant/gguf_file.h). */
#ifndef PIPELINE_RUN_MAKE_GGUF_H
#define PIPELINE_RUN_MAKE_GGUF_H

#include "pipeline/run/calibration.h"

struct quant_seen;

#define PIPE_GGUF_TYPE "Q4_K_M"

struct pipe_gguf_options {
    const char *type;        /* mix, NULL: PIPE_GGUF_TYPE */
    const char *plan;        /* file of types per tensor, NULL: none */
    const char *write_plan;  /* NULL, or where to: then nothing else is written */
    const char *imatrix;     /* importance in llama.cpp's format, NULL: none */
    const char *imatrix_out; /* NULL, or where to write what calibration gives */
    bool plain;              /* no search */
    /* Of a calibrated file: matrices of layers are rounded by GPTQ, or each weight to its
     * nearest code. */
    bool nearest;
    bool natural_order; /* of GPTQ, as quant_options */
    double damping;
    bool force; /* replace a file that is there */
};

/* A quantized tensor. */
struct pipe_gguf_tensor {
    char name[65];
    const char *type, *wanted; /* names; they differ where rows do not divide */
    uint64_t rows, columns;
    double error, rtn, outputs; /* quant_gguf_fared */
    bool is_weighted, is_rounded, is_no_better;
};

struct pipe_gguf_made {
    uint64_t bytes, weights;
    double bits_per_weight;
    uint32_t fallbacks, unweighted, not_better;
    uint64_t tokens; /* of calibration, 0: none */
    uint32_t count, capacity;
    struct pipe_gguf_tensor *list; /* owned */
};

/* The name of its mix, in the right case; the type is known. */
const char *pipe_gguf_type(const struct pipe_gguf_options *options);
/* Whether matrices get codes, so that there are several ways to round. */
bool pipe_gguf_has_codes(const struct pipe_gguf_options *options);
/* RT_ERR_USAGE names a type that is not known and those that are. */
RT_CHECKED rt_status pipe_gguf_check(struct rt_ctx *ctx,
                                     const struct pipe_gguf_options *options);
/* Writes the file `out`, whole or not at all. `host` may be NULL. Deinit in any case. */
RT_CHECKED rt_status pipe_quantize_gguf(struct rt_ctx *ctx, const struct pipe_host *host,
                                        const char *model, const char *out,
                                        const struct pipe_gguf_options *options,
                                        struct pipe_gguf_made *made);
/* Fails as that does before it reads a value: before calibration text is read. */
RT_CHECKED rt_status pipe_gguf_check_file(struct rt_ctx *ctx, const char *model,
                                          const char *out,
                                          const struct pipe_gguf_options *options);
/* The full model on the device, and the text that it is seen on. */
struct pipe_gguf_text {
    struct rt_model **full; /* of the caller */
    bool is_last;           /* it is destroyed as soon as the file needs it no longer */
    const struct train_sequence *sequences; /* borrowed */
    uint32_t count;
    struct quant_seen *shared;                   /* as pipe_quantize_text.shared */
    const struct pipe_calibration_options *read; /* where the text is from */
};
/* The same with the inputs of matrices seen on calibration text, as
 * pipe_quantize_on: their mean squares weigh columns, and rounding is GPTQ's. */
RT_CHECKED rt_status pipe_quantize_gguf_on(struct pipe_session *session,
                                           const struct pipe_gguf_text *text,
                                           const char *model, const char *out,
                                           const struct pipe_gguf_options *options,
                                           struct pipe_gguf_made *made);
/* How many tensors share type, wanted type and columns with tensor i, itself included, where
 * its type is not the wanted one and it is the first of them; else 0. */
uint32_t pipe_gguf_fallbacks(const struct pipe_gguf_made *made, uint32_t i);
void pipe_gguf_made_deinit(struct pipe_gguf_made *made);

#endif

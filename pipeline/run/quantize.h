/* pipeline/run/quantize.h
 * A low-bit copy of a model folder or file. */
#ifndef PIPELINE_RUN_QUANTIZE_H
#define PIPELINE_RUN_QUANTIZE_H

#include "pipeline/run/calibration.h"
#include "runtime/quant/width_plan.h"
#include "runtime/quant/method.h"

struct quant_seen;

struct pipe_quantize_options {
    const char *method; /* name, NULL: the first of the table */
    uint32_t bits;      /* 2, 3, 4, 8 */
    uint32_t group; /* codes that share a scale, 16 or a multiple of 32; 0: one per row */
    bool asymmetric;
    bool search;          /* for the range of every group */
    bool natural_order;   /* gptq: not by activation */
    bool true_sequential; /* with calibration: inputs of the quantized layers before */
    double damping;       /* gptq; 0: the usual */
    bool int8;            /* activations of 8 bits too, a scale per token */
    bool given;           /* the same, one scale per matrix, of the calibration text */
    double float_inputs;  /* with them: quant_options.float_inputs; 0: none */
    bool nearest;         /* smoothquant: weights to nearest, not by gptq */
    bool keep_f32; /* blocks of a GGUF file that are not quantized become F32, not F16 */
    bool force;    /* replace a folder that is there */
    const struct quant_plan *plan; /* widths of single matrices; NULL: none */
    bool once; /* no later command continues what fails: nothing is kept */
};

/* How a matrix fared on the calibration text; both numbers as quant_objective. */
struct pipe_quantized_matrix {
    char name[96];
    double objective, rtn;
};
/* Whether it fared no better than rounded to nearest. */
bool pipe_quantized_is_no_better(const struct pipe_quantized_matrix *matrix);

struct pipe_quantized {
    uint32_t matrices;
    uint64_t weights;       /* elements quantized */
    double bits_per_weight; /* codes, scales and zeros of the quantized matrices */
    /* With activations of 8 bits: matrices whose inputs stay floats, and their elements. */
    uint32_t float_matrices;
    uint64_t float_weights;
    /* Tensors of GGUF blocks that were rounded to F16: how many, and the element that
     * changed most, with the value it had and its tensor (empty: no value changed). */
    uint32_t halved;
    double change, changed_value;
    char changed[160];
    /* With calibration: how many tokens, sums over matrices, the matrices that fared no
     * better than rounded to nearest, and each one; owned. */
    uint64_t tokens;
    double objective, objective_rtn;
    /* Seconds: layers of the model, sums of their inputs on the host, the quantizer. The first
     * two are those of the pass, whoever had it, as far as this command made it. */
    double forward, sums, method;
    uint32_t not_better, list_count;
    struct pipe_quantized_matrix *list;
};

/* The same for the quantizers. */
struct quant_options
pipe_quantize_options_of(const struct pipe_quantize_options *options);
/* Whether a method of this name exists, and needs calibration. */
bool pipe_quantize_method(const char *name, bool *calibrated);
/* "rtn, gptq". */
const char *pipe_quantize_methods(char *buffer, size_t size);

/* RT_ERR_USAGE: options do not go together; `out` (NULL: none) is `model`, or exists and
 * options->force is not given. Asked before the work and anew by it. */
RT_CHECKED rt_status pipe_quantize_check(struct rt_ctx *ctx, const char *model,
                                         const char *out,
                                         const struct pipe_quantize_options *options);
/* Reads `model`, writes the folder `out`, which appears whole or not at all. */
RT_CHECKED rt_status pipe_quantize(struct rt_ctx *ctx, const char *model, const char *out,
                                   const struct pipe_quantize_options *options,
                                   struct pipe_quantized *result);
/* The full model on the device, and the text that it is seen on; all borrowed. */
struct pipe_quantize_text {
    struct rt_model *full;
    const struct train_sequence *sequences;
    uint32_t count;
    struct quant_seen
        *shared; /* NULL, or what several folders are made of (seen_inputs.h) */
};
/* The same with the inputs of matrices seen on calibration text. */
RT_CHECKED rt_status pipe_quantize_on(struct pipe_session *session,
                                      const struct pipe_quantize_text *text,
                                      const char *model, const char *out,
                                      const struct pipe_quantize_options *options,
                                      struct pipe_quantized *result);
void pipe_quantized_deinit(struct pipe_quantized *result);

/* The layer that is at work after `done` passes of `total`, of a model of so many layers. */
uint32_t pipe_layer_of_pass(uint64_t done, uint64_t total, uint32_t layers);

#endif

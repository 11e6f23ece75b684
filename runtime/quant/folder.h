/* runtime/quant/folder.h
 * Quantization of a whole model: a float folder or GGUF file in, a packed folder out. */
#ifndef RUNTIME_QUANT_FOLDER_H
#define RUNTIME_QUANT_FOLDER_H

#include "runtime/quant/method.h"

struct quant_seen;

/* How a matrix fared: mean squared output error per token (quant_objective), its own and
 * that of rounding to nearest on the same grid without a search. */
struct quant_fared {
    const char *name; /* "model.layers.3.mlp.up_proj", valid until the callback returns */
    double objective, rtn;
};
/* Whether it is not lower than that of rounding to nearest; also where one is NaN. */
bool quant_is_no_better(double objective, double rtn);

/* What the inputs of the matrices are seen on. The model is run layer by layer, and each
 * matrix is quantized when its inputs are known. */
struct quant_calibration {
    struct rt_model *model; /* the same files, loaded in full precision; borrowed */
    const struct train_sequence *sequences; /* borrowed */
    uint32_t count;
    /* What was seen of the same sequences, shared with other folders (seen_inputs.h), borrowed;
     * NULL: this folder has a pass of its own. Not with true_sequential. */
    struct quant_seen *shared;
    /* Both may be NULL; what they return other than RT_OK ends the work. */
    rt_status (*pass)(void *user, uint64_t done, uint64_t total);
    rt_status (*matrix)(void *user, const struct quant_fared *fared);
    void *user;
};

struct quant_report {
    /* With calibration: sums over matrices, and matrices no better than rounded to nearest. */
    double objective, objective_rtn;
    uint32_t not_better;
    double bits_per_weight; /* codes, scales and zeros of the quantized matrices */
    uint64_t weights;       /* elements quantized */
    uint32_t matrices;
    /* With inputs of 8 bits: matrices whose inputs stay floats, and their elements. */
    uint32_t float_matrices;
    uint64_t float_weights;
    /* Tensors of GGUF blocks that were rounded to F16: how many, and the element that
     * changed most, with the value it had and its tensor (empty: no value changed). */
    uint32_t halved;
    double change, changed_value;
    char changed[160];
    struct observe_times times; /* with calibration */
};

/* Reads a Hugging Face folder or GGUF file, quantizes by the options' method the seven projections of every layer
 * and writes a compressed-tensors folder (docs/formats.md). The rest is kept as it is
 * stored: F32, F16 and BF16 byte for byte, blocks of a GGUF file as F16 (keep_f32: F32). A
 * head that is the embedding is written once. RT_ERR_INPUT for a value of blocks that F16
 * has no number for, naming keep_f32's option.
 * `calibration` may be NULL for a method that needs none (RT_ERR_USAGE for others).
 * The folder appears whole or not at all; one that exists is refused unless `force`. */
RT_CHECKED rt_status quant_folder(struct rt_ctx *ctx, const char *from,
                                  const char *target, const struct quant_options *options,
                                  const struct quant_calibration *calibration, bool force,
                                  struct quant_report *report);

/* What has to be known of inputs for these options (enum observe_what), with calibration. */
uint32_t quant_folder_needs(const struct quant_options *options);

/* Whether what was finished before this status can be taken up again: not where all is done,
 * nor where the same command would fail the same way (RT_ERR_USAGE, RT_ERR_INPUT). */
bool quant_is_resumable(rt_status status);

/* Puts a finished folder in place of `to`. What is there is moved aside, not deleted: it
 * may hold files that are not ours. */
RT_CHECKED rt_status quant_folder_place(struct rt_ctx *ctx, const char *part,
                                        const char *to);

#endif

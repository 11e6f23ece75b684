/* pipeline/run/blame.h
 * Where the damage of quantization arises: one part of the quantized model at a time back in
 * full precision, and how much nearer that brings it to the full model on a text.
 *
 * The text is what quantize --compare takes; stored answers of the full model ("run:LABEL")
 * are what the loop asks about. KL is no answer, so with the worst layers and matrices problems
 * are answered too: how many lost ones come right, and how many others get lost. First all projections, each kind in all layers and each
 * layer; then the matrices of the layers that brought most. A finished part is a row before
 * the next is begun, so that a stopped command resumes with it. */
#ifndef PIPELINE_RUN_BLAME_H
#define PIPELINE_RUN_BLAME_H

#include "pipeline/blame_part.h"
#include "pipeline/run/calibration.h"

#include <stdio.h>

struct pipe_blame_part {
    struct pipe_blame_place place;
    char name[PIPE_BLAME_NAME];
    double kl; /* KL(full || model with the part back), nats per token */
    /* How much lower than the quantized model's, and the standard error of that over
     * sequences, which both have seen; infinite with fewer than two. */
    double gain, gain_error;
    bool asked; /* problems were answered with it */
    /* Of struct pipe_blame: lost problems that it has right, kept ones that it has wrong. */
    uint32_t mended, broken;
};

struct pipe_blame {
    double kl, kl_error; /* of the quantized model: struct pipe_kl */
    uint64_t tokens;
    struct pipe_blame_part *parts; /* owned; by level, then by gain, the largest first */
    uint32_t count,
        found; /* found: parts that were rows of an earlier, stopped command */
    /* Problems that the parts were tried on: full right and the quantized model wrong; the
     * quantized model right. `answered`: that both answered to find these. */
    uint32_t lost, kept, answered;
};

struct pipe_blame_options {
    const char *full, *quant; /* folders or GGUF files */
    struct pipe_calibration_options text;
    uint32_t worst; /* layers whose matrices are measured */
    /* Layers and matrices that problems are answered with, the worst ones; 0: none. The cost is
     * at most mend + 2 answers to each of the first mend_problems problems of the text. */
    uint32_t mend, mend_problems;
};

/* Both models are on the device at once. RT_ERR_USAGE: the text is of no problems, and parts
 * are to be tried on some. RT_ERR_INPUT: the models are no variants of one model.
 * Free in any case. */
RT_CHECKED rt_status pipe_blame_measure(struct pipe_session *session,
                                        const struct pipe_blame_options *options,
                                        struct pipe_blame *out);
void pipe_blame_deinit(struct pipe_blame *blame);

/* The share of the damage that a part explains: its gain per KL of the quantized model. NaN:
 * nothing was lost. */
double pipe_blame_share(const struct pipe_blame *blame,
                        const struct pipe_blame_part *part);
/* Damage and parts as a JSON object in one line; numbers that are not known are null. */
void pipe_blame_json(FILE *out, const struct pipe_blame *blame);

#endif

/* pipeline/run/select.h
 * Several ways to quantize one model to one format, chosen among by how far each is from
 * the full model on text that none of them was calibrated on. A lower error of the layers
 * is not a better model (docs/quantizers.md). */
#ifndef PIPELINE_RUN_SELECT_H
#define PIPELINE_RUN_SELECT_H

#include "pipeline/run/kl.h"
#include "pipeline/run/make_gguf.h"
#include "pipeline/run/quantize.h"

enum { PIPE_CANDIDATES_MAX = 5, PIPE_HELD_OUT_EVERY = 8 };

struct pipe_select_options {
    /* What may be varied; the rest stays as the options of quantizing say. */
    bool search, order, damping;
    bool nearest; /* a GGUF file's weights, each to its nearest code, not by GPTQ */
    /* Text as pipe_calibration_options.from. NULL: of every PIPE_HELD_OUT_EVERY windows or
     * problems of the calibration text the last one, which then does not calibrate. */
    const char *text;
};

struct pipe_candidate {
    char name[64];                        /* "by activation, searched, damping 0.01" */
    struct pipe_quantize_options options; /* of a folder */
    struct pipe_gguf_options gguf;        /* or of a file */
    double kl, kl_error, same_top;        /* on the held-out text: struct pipe_kl */
    /* By how much the mean KL is above that of the chosen one, and the standard error of
     * that over sequences, which both have seen; 0 of the chosen one itself. */
    double behind, behind_error;
    double objective; /* sum of the errors of layers; NaN: the way to round has none */
    double seconds;   /* to make it and to measure it */
};

struct pipe_selected {
    struct pipe_candidate list[PIPE_CANDIDATES_MAX]; /* in the order they were made */
    uint32_t count, chosen;
    uint64_t tokens;         /* held-out tokens that are compared */
    uint32_t held_out, used; /* sequences that were held out, that calibrate */
};

/* Keeps in `open` what quantizers of this name ("gguf": files) have of it. False: nothing is left. */
bool pipe_select_of_method(const char *method, struct pipe_select_options *open);

/* The full model on the device and the text that it is seen on. */
struct pipe_select_from {
    struct rt_model *full; /* borrowed, as all */
    const char *model;     /* its files */
    const struct pipe_calibration *calibration;
    const struct pipe_calibration_options *read; /* how that was read */
    const char
        *seen; /* folder that keeps what the pass saw, for others; NULL: none does */
};

/* Makes candidates beside `out`, one change at a time: search, then order, then damping; a
 * change stays where it brings the model nearer by more than the standard error of the
 * difference, so that chance does not move what the options say. The last that stayed becomes `out`, the others are
 * removed. `result` is that of the chosen one. Candidates that a command which was stopped or
 * killed had finished, and layers of the one after, are taken over (select_state.h). RT_ERR_INPUT where there is nothing to hold
 * out, or the text is the calibration text. */
RT_CHECKED rt_status pipe_quantize_select(
    struct pipe_session *session, const struct pipe_select_from *from, const char *out,
    const struct pipe_quantize_options *options, const struct pipe_select_options *select,
    struct pipe_selected *selected, struct pipe_quantized *result);

/* The same of a GGUF file: search or the plain extremes, order, damping, then each weight to
 * its nearest code. The importance of options->imatrix_out is that of what calibrates. */
RT_CHECKED rt_status pipe_quantize_gguf_select(
    struct pipe_session *session, const struct pipe_select_from *from, const char *out,
    const struct pipe_gguf_options *options, const struct pipe_select_options *select,
    struct pipe_selected *selected, struct pipe_gguf_made *made);

#endif

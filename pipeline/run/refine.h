/* pipeline/run/refine.h
 * Restoring a quantized model inside its format, at no extra bit: its scales are trained by
 * KL to the full-precision model, codes and zero points stay (runtime/train/scales.h). A
 * folder becomes a folder, a GGUF file a GGUF file. */
#ifndef PIPELINE_RUN_REFINE_H
#define PIPELINE_RUN_REFINE_H

#include "pipeline/run/calibration.h"

enum {
    PIPE_REFINE_BATCH = 8,
    PIPE_REFINE_EPOCHS = 3,
    PIPE_REFINE_CHECKPOINT = 30 /* seconds */
};
/* Where the model has fewer bits per weight than PIPE_REFINE_BITS, scales included, and
 * where it is so near to the full one that steps of the former move it away. */
#define PIPE_REFINE_RATE 3e-3
#define PIPE_REFINE_RATE_FINE 3e-4
#define PIPE_REFINE_BITS 4.0

struct pipe_refine_options {
    const char *full, *model, *out;     /* folders, or GGUF files */
    struct pipe_calibration_options on; /* problems with solutions, or a text */
    uint32_t batch, epochs;
    double rate;               /* of AdamW, at the top of the warm-up; 0: by bits */
    double checkpoint_seconds; /* of steps, between two checkpoints */
    bool zeros;                /* train whole zero points of a folder too */
    bool force;                /* replace a folder that is there */
};

struct pipe_refined {
    uint32_t items, steps;
    uint64_t scales;          /* that were trained */
    double kl_first, kl_last; /* mean loss of the first and the last epoch, nats */
    double rate;              /* that was taken */
    double seconds, tflop;    /* of this process */
};

/* Writes options->out, a folder or file like options->model with other scales (and minima).
 * Its answers are those of the model that was trained, word for word. A call that was cut goes
 * on where its last checkpoint is, beside what is written; the result is the same, bit
 * for bit. RT_ERR_INPUT: a model that is not packed, or in a format whose scales cannot be
 * replaced. RT_ERR_USAGE: options->zeros of a model that has no whole zero points. */
RT_CHECKED rt_status pipe_refine(struct pipe_session *session,
                                 const struct pipe_refine_options *options,
                                 struct pipe_refined *result);

#endif

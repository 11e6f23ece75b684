/* pipeline/run/made.h
 * How a quantized model was made, as a run of the results file: by which options, on which
 * text, at what cost, and the error of every layer. */
#ifndef PIPELINE_RUN_MADE_H
#define PIPELINE_RUN_MADE_H

#include "pipeline/run/calibration.h"
#include "pipeline/run/make_gguf.h"
#include "pipeline/run/quantize.h"
#include "pipeline/run/select.h"

struct pipe_made {
    const char *full_hash, *out;                /* of the full model; what was written */
    const struct pipe_calibration *calibration; /* NULL: no text was seen */
    double seconds;                       /* candidates and their comparison included */
    const struct pipe_selected *selected; /* count 0 or NULL: there was no choice */
    /* a folder */
    const struct pipe_quantize_options *options;
    const struct pipe_quantized *quantized;
    /* or a GGUF file; errors are kept of matrices that were rounded by GPTQ */
    const struct pipe_gguf_options *gguf; /* NULL: a folder */
    const struct pipe_gguf_made *gguf_made;
};
/* Loads it, which must be readable, and saves a run of it. One that the device has
 * no room for is said, and no failure: the folder is written. */
RT_CHECKED rt_status pipe_made_save(struct pipe_session *session,
                                    const struct pipe_made *made);

/* The same of a model that was made without text, by the host alone: no session is open, and
 * the environment is that of `ref`. full_hash is found from `model`. */
RT_CHECKED rt_status pipe_made_save_alone(struct rt_ctx *ctx, struct store *store,
                                          const char *model,
                                          const struct pipe_made *made);

#endif

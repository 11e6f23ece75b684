/* pipeline/run/compare_models.h
 * Variants of one model beside each other: what each takes, and how far it is from the
 * full-precision model on a text. */
#ifndef PIPELINE_RUN_COMPARE_MODELS_H
#define PIPELINE_RUN_COMPARE_MODELS_H

#include "pipeline/run/calibration.h"
#include "pipeline/run/kl.h"
#include "pipeline/run/quantize.h"
#include "store/queries.h"

struct pipe_compare_options {
    const char *full; /* folder or GGUF file */
    /* The same, or "plan:FILE": what quantize would make by that plan of widths. */
    const char *const *variants;
    uint32_t count;
    /* How those are made, without calibration, and the folder that each is made in: it is
     * removed when it has been measured, or on failure. */
    struct pipe_quantize_options make;
    const char *scratch;
    struct pipe_calibration_options text; /* measuring */
};

/* What is known of a variant. */
struct pipe_compared {
    const char *path; /* of a plan: "plan:FILE" */
    char stored[64];  /* how it is quantized; empty: floats */
    double bits;      /* per weight of the projections: codes, scales, zeros */
    double
        bits_all; /* all bytes of the file's tensors, per parameter of the full model */
    struct store_made made; /* its time, memory and layers, if this program made it */
    const struct pipe_kl *kl;
    const struct pipe_calibration *text;
};

/* The full model first, with a KL of zero tokens, then each variant as it is measured and
 * saved. What `row` gets is valid during the call. One variant is on the device at a time. */
struct pipe_compare_calls {
    rt_status (*row)(void *user, const struct pipe_compared *row);
    void *user;
};
RT_CHECKED rt_status pipe_compare_models(struct pipe_session *session,
                                         const struct pipe_compare_options *options,
                                         const struct pipe_compare_calls *calls);

/* The file of a variant "plan:FILE"; NULL: it is no plan. */
const char *pipe_compare_plan(const char *variant);

/* The longest context of a model, by its files. */
RT_CHECKED rt_status pipe_compare_context(struct rt_ctx *ctx, const char *model,
                                          uint32_t *out);

#endif

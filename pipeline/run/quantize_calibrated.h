/* pipeline/run/quantize_calibrated.h
 * A low-bit folder or GGUF file of a model that calibration text is seen through: reads the
 * text, chooses widths by a budget (budget.h) and candidates by KL (select.h) where that is
 * asked for, quantizes, and saves how the folder was made (made.h). */
#ifndef PIPELINE_RUN_QUANTIZE_CALIBRATED_H
#define PIPELINE_RUN_QUANTIZE_CALIBRATED_H

#include "pipeline/run/budget.h"

/* Strings are borrowed. */
struct pipe_calibrated_options {
    const char *model, *out; /* files of the full model; what to write */
    struct pipe_calibration_options read;
    bool choose; /* among candidates; `open` says of what */
    /* By name: then text too short to hold some out is an error, else one candidate is made
     * and that is said. */
    bool choice_asked;
    bool says_one; /* there is one though several could be made, and that is said */
    struct pipe_select_options open;
    /* Folder that keeps what the pass over the text saw, for commands of other methods, or
     * takes it from one; NULL: nothing is kept. */
    const char *seen;
    double budget;      /* bits per weight; 0: none */
    bool budget_is_all; /* as `all` of pipe_budget_make */
};
/* What is told as soon as it is known; each may be NULL. */
struct pipe_calibrated_calls {
    /* plan: the file that was written, OUT.plan. */
    void (*budget)(void *user, const struct pipe_budget *budget, const char *plan);
    void (*selected)(void *user, const struct pipe_selected *selected);
    void *user;
};

/* How many candidates that makes at most. */
uint32_t pipe_calibrated_candidates(const struct pipe_calibrated_options *options);

/* `quantize` becomes those of the chosen candidate, with the plan that it had: the plan of a
 * budget is in its file. selected->count 0: there was no choice.
 * RT_ERR_USAGE: quantize->true_sequential, which holds one layer at a time, with a budget, with
 * options->seen, or with a model that answers first and no choice; a choice has that layer
 * beside the model. RT_ERR_NO_DEVICE: candidates are asked for by name, and the device does not
 * hold the model and one of them; if they are not, one is made and that is said. The errors of
 * what it calls; pipe_quantized_deinit
 * in any case. */
RT_CHECKED rt_status pipe_quantize_calibrated(
    struct pipe_session *session, const struct pipe_calibrated_options *options,
    const struct pipe_calibrated_calls *calls, struct pipe_quantize_options *quantize,
    struct pipe_selected *selected, struct pipe_quantized *result);

/* The same of a GGUF file, without a budget; with quantize->write_plan the plan alone. */
RT_CHECKED rt_status pipe_quantize_gguf_calibrated(
    struct pipe_session *session, const struct pipe_calibrated_options *options,
    const struct pipe_calibrated_calls *calls, struct pipe_gguf_options *quantize,
    struct pipe_selected *selected, struct pipe_gguf_made *made);

#endif

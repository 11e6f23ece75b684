/* pipeline/run/perplexity.h
 * How well a model predicts a text, and how far it is from another model there.
 * Windows of `context` tokens that begin `stride` apart; in each the tokens count that no
 * earlier window held, so that every token but the first counts once, with at least
 * context - stride tokens before it from the second window on. */
#ifndef PIPELINE_RUN_PERPLEXITY_H
#define PIPELINE_RUN_PERPLEXITY_H

#include "pipeline/data/data_file.h"

struct pipe_session;
struct pipe_perplexity; /* models and the tokens of a text */

/* Borrowed until the object is destroyed. */
struct pipe_perplexity_options {
    const char *model;   /* folder or GGUF file */
    const char *adapter; /* PEFT folder, NULL: none */
    const char *base;    /* folder or GGUF file to compare with, NULL: none */
    const char *role;    /* of the variant in the store */
    const struct pipe_data_file *text;
    const char *path; /* of the text */
};
/* Loads what is needed into the session, which outlives the object. RT_ERR_INPUT: the text has
 * less than two tokens. */
RT_CHECKED rt_status pipe_perplexity_create(struct pipe_session *session,
                                            const struct pipe_perplexity_options *options,
                                            struct pipe_perplexity **out);
void pipe_perplexity_destroy(struct pipe_perplexity **perplexity);
/* The longest context that the models were loaded for. */
uint32_t pipe_perplexity_context_max(const struct pipe_perplexity *perplexity);

struct pipe_perplexity_result {
    uint64_t tokens;
    uint32_t windows;
    double nll, nll_error; /* nats per token; standard error over windows */
    double perplexity, bits_per_byte;
    bool compared;       /* there is a base: */
    double kl, same_top; /* KL(base || model) per token; share of equal first choices */
};
/* Scores the text and saves the numbers as metrics of a run. context within [2,
 * context_max], stride within [1, context - 1]. Call once. RT_ERR_INTERRUPTED: the host
 * wanted it to end, nothing is saved. */
RT_CHECKED rt_status pipe_perplexity_run(struct pipe_perplexity *perplexity,
                                         uint32_t context, uint32_t stride,
                                         struct pipe_perplexity_result *out);

#endif

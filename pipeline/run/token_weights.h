/* pipeline/run/token_weights.h
 * Weights of texts (pipeline/data/text_weights.h) as weights of tokens: a token counts as
 * the span that its last byte lies in. */
#ifndef PIPELINE_RUN_TOKEN_WEIGHTS_H
#define PIPELINE_RUN_TOKEN_WEIGHTS_H

#include "pipeline/data/text_weights.h"
#include "pipeline/run/sequences.h"

/* Of the n tokens of a text in fresh memory (rt_free). RT_ERR_INPUT: weights that were
 * refused; spans of a text that the tokenizer does not give back as it is. */
RT_CHECKED rt_status pipe_weights_of(struct pipe_session *session,
                                     const struct pipe_text_weights *weights,
                                     const char *text, const uint32_t *ids, uint32_t n,
                                     float **out);
/* Copies weights of the last n tokens to the sequence that was added last; those before
 * count 1, and weights of 1 alone are none. */
RT_CHECKED rt_status pipe_weights_put(struct pipe_session *session, const float *weights,
                                      uint32_t n, struct pipe_sequences *sequences);
/* Weighs the sequence that was added last, whose targets are the tokens of `text`, then the
 * end token if it `ends`. `text` NULL: an answer that the weights are not of, so they have no
 * spans. */
RT_CHECKED rt_status pipe_weights_put_answer(struct pipe_session *session,
                                             const struct pipe_text_weights *weights,
                                             const char *text, bool ends,
                                             struct pipe_sequences *sequences);
/* Whether a target of the sequence counts more than 0. */
bool pipe_weights_count(const struct train_sequence *sequence);

#endif

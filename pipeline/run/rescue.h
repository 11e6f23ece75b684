/* pipeline/run/rescue.h
 * Decoding that leaves a loop: an answer that repeats itself (prompt/repetition.h) is taken
 * back into its first repetition, to the token there that the model was least sure of, and
 * continues with that token's runner-up. Nothing is trained, and no second model is asked.
 * After "loop rescue" of arXiv 2606.02011, which falls back to full precision or to an
 * earlier answer instead.
 *
 * What an answer becomes depends on its own tokens and margins alone: it is the same at any
 * batch size and after a kill. Tokens that were replaced have a negative margin in the trace
 * of a greedy answer, and so they are never replaced again. Tokens thrown away count towards
 * the limit of the answer: it never takes more tokens than without. */
#ifndef PIPELINE_RUN_RESCUE_H
#define PIPELINE_RUN_RESCUE_H

#include "pipeline/prompt/repetition.h"

struct rt_answer;      /* runtime/engine/engine.h */
struct text_tokenizer; /* runtime/text/tokenizer.h */

enum { PIPE_RESCUES_MAX = 64 };

/* Of one greedy answer. Zero, with `left` set, is its start. */
struct pipe_rescue {
    struct pipe_repetition seen;
    uint32_t left;   /* rescues that it may still have; 0: none from the start */
    uint32_t made;   /* those that it had, */
    uint32_t thrown; /* and the tokens thrown away by them */
};

/* Reads the tokens that came since the last call. True: the answer repeats itself and is to
 * be taken back to token *to, which becomes its runner-up. */
bool pipe_rescue_feed(struct pipe_rescue *r, const struct text_tokenizer *tok,
                      const struct rt_answer *so_far, uint32_t *to);

#endif

/* pipeline/prompt/answer_turn.h
 * How an answer continues while it is written: where stop texts end it, and where
 * a numbered format forces the next line to begin with "Step k:". The rule of a numbered
 * format depends on the text alone, never on a probability, so that it is the same at every
 * precision: the answer begins with "Step 1:"; after a line end it ends if a \boxed{...} has
 * been closed, else "Step k+1:" is forced; it ends after PIPE_NUMBERED_MAX steps. */
#ifndef PIPELINE_PROMPT_ANSWER_TURN_H
#define PIPELINE_PROMPT_ANSWER_TURN_H

#include "pipeline/prompt/prompt_format.h"

enum { PIPE_NUMBERED_MAX = 64, PIPE_TAIL = 64 };

/* What is known of one answer so far. Zero is its start. */
struct pipe_turn {
    uint32_t tokens;         /* of the caller: fed so far */
    uint32_t step;           /* of the last "Step k:" asked for */
    bool boxed;              /* a box was closed */
    uint32_t matched, depth; /* of "\boxed{" and of braces within */
    bool escaped;
    uint32_t tail_size;
    char tail[PIPE_TAIL]; /* the last bytes */
    const char *stop;     /* of the caller: pipe_prompt.chat_end; at most PIPE_TAIL / 2
                             bytes, NULL: none */
};

enum pipe_turn_act {
    PIPE_TURN_ON,   /* as the model chooses */
    PIPE_TURN_END,  /* here */
    PIPE_TURN_STEP, /* force "Step k:", k = turn->step */
};

/* Begins an answer whose first bytes are given (null or "": none): what the model does
 * next is what it would do had it written them itself. `turn` is zeroed first, but `stop`
 * stays. */
enum pipe_turn_act pipe_turn_start(const struct pipe_prompt_format *format,
                                   struct pipe_turn *turn, const char *given);
/* Takes the bytes that came since the last call. */
enum pipe_turn_act pipe_turn_feed(const struct pipe_prompt_format *format,
                                  struct pipe_turn *turn, const char *bytes, size_t size);
/* Whether a format needs any of it, beside `stop`. */
bool pipe_turn_needed(const struct pipe_prompt_format *format);

#endif

/* pipeline/prompt/repetition.h
 * Whether a text repeats itself, found while it is written: no rule reads a word of it.
 * - A cycle: the same 3 to 40 tokens at least 4 times in a row at its end.
 * - A line: one of 3 tokens or more that stands there for the 4th time, whatever is between;
 *   of the last 64 different lines.
 * A token takes time that does not grow with the text, and no memory is taken. */
#ifndef PIPELINE_PROMPT_REPETITION_H
#define PIPELINE_PROMPT_REPETITION_H

#include "runtime/base/rt.h"

enum {
    PIPE_CYCLE_MIN = 3, /* tokens */
    PIPE_CYCLE_MAX = 40,
    PIPE_REPEATED = 4, /* times */
    PIPE_LINES_SEEN = 64
};

/* Tokens from .. to - 1 of a text. */
struct pipe_token_range {
    uint32_t from, to;
};

/* What is known of a text so far. Zero is its start. */
struct pipe_repetition {
    uint32_t tokens; /* fed */
    /* Of each period: how many of the last tokens equal the one a period before. */
    uint32_t same[PIPE_CYCLE_MAX + 1];
    struct pipe_line_seen {
        uint64_t hash;
        uint32_t count;
        struct pipe_token_range second; /* where it stood for the second time */
    } lines[PIPE_LINES_SEEN];
    uint32_t line_count; /* different ones, also those that were given up */
    uint64_t hash;       /* of the line that is being written, */
    uint32_t bytes;      /* its bytes, */
    uint32_t line_from;  /* and its first token */
    bool line_found;     /* the last token ended a line for the 4th time or more, */
    struct pipe_token_range line_second; /* and this is its second time */
};

/* Takes token number r->tokens of `ids`, whose text has these bytes; no bytes: lines are not
 * looked for. */
void pipe_repetition_feed(struct pipe_repetition *r, const uint32_t *ids,
                          const char *bytes, size_t size);
/* The shortest cycle, in tokens, at the end of what was fed; 0: none. */
uint32_t pipe_repetition_period(const struct pipe_repetition *r);
/* Whether the text repeats itself at its end; then *first is the first repetition: what
 * stands there for the second time. */
bool pipe_repetition_found(const struct pipe_repetition *r,
                           struct pipe_token_range *first);

#endif

/* pipeline/prompt/given.h
 * The numbers that a question and the steps so far give to those after them. */
#ifndef PIPELINE_PROMPT_GIVEN_H
#define PIPELINE_PROMPT_GIVEN_H

#include "pipeline/prompt/math_tokens.h"

enum { PIPE_GIVEN_MAX = 256 };

struct pipe_given {
    struct pipe_exact values[PIPE_GIVEN_MAX];
    uint32_t count;
    bool full; /* more than fit: what is not found may still be given */
};

void pipe_given_add(struct pipe_given *given, struct pipe_exact value);
/* All numbers of a text: digits, words, factors that words imply, shares of percentages. */
void pipe_given_add_text(struct pipe_given *given, const char *text);
bool pipe_given_has(const struct pipe_given *given, struct pipe_exact value);
/* Given, at most 5 halves or a power of ten (what everybody knows: two sides, four legs), or
 * one operation on two that are given. True if `full`. */
bool pipe_given_reaches(const struct pipe_given *given, struct pipe_exact value);

#endif

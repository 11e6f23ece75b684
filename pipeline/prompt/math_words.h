/* pipeline/prompt/math_words.h
 * English words and LaTeX commands beside numbers: which of them may change a value, which
 * are measures that convert into one another, which numbers they stand for. Private to
 * math_tokens.c and locate_check.c. */
#ifndef PIPELINE_PROMPT_MATH_WORDS_H
#define PIPELINE_PROMPT_MATH_WORDS_H

#include "runtime/base/rt.h"

enum { PIPE_MEASURE_DOLLAR = 1 };

enum pipe_latex {
    PIPE_LATEX_SIGN,     /* \times: *sign is set */
    PIPE_LATEX_FRACTION, /* \frac */
    PIPE_LATEX_SPACE,    /* \left, \quad, \text: what stands around counts */
    PIPE_LATEX_BREAK,    /* \leq, \approx: ends an expression */
    PIPE_LATEX_OTHER,    /* \sqrt, \pi: not understood */
};

/* Of a command without its backslash. */
enum pipe_latex pipe_latex_command(const char *name, uint32_t size, char *sign);
/* "times", "half", "than": may change the value of a number beside it. */
bool pipe_word_computes(const char *word, uint32_t size);
/* "or", "is", "because": joins sentences, so no unit holds it. */
bool pipe_word_joins(const char *word, uint32_t size);
/* May stand right behind digits as a unit: "5km", "3rd". */
bool pipe_word_attaches(const char *word, uint32_t size);
/* A measure that converts into others (feet, minutes, cents), as a number; 0: none. Singular
 * and plural are one. */
uint16_t pipe_word_measure(const char *word, uint32_t size);

#endif

/* pipeline/prompt/math_tokens.h
 * Numbers and signs in free text, plain or LaTeX, as a list of tokens for whoever wants to
 * compute with them. Words are kept only for what they mean beside numbers: a unit behind a
 * value, or nothing. What might change a value in a way that is not understood (a variable,
 * "times", a root, a mixed number) becomes POISON, so that a reader abstains beside it.
 *
 *   read    1,200  3.5  $4  20%  \frac{1}{2}  (  )  + - * / x \times \cdot \div  2^3  =
 *   skipped $ \( \[ \left \right \, { } ** << & \boxed{ \text{ } around what is read
 *   UNIT    up to four words, or \text{words}, between a value and a sign; "/hour" too */
#ifndef PIPELINE_PROMPT_MATH_TOKENS_H
#define PIPELINE_PROMPT_MATH_TOKENS_H

#include "pipeline/prompt/exact.h"

enum pipe_math_kind {
    PIPE_MATH_NUMBER,
    PIPE_MATH_SIGN,  /* + - * / ^ */
    PIPE_MATH_OPEN,  /* ( */
    PIPE_MATH_CLOSE, /* ) */
    PIPE_MATH_EQUALS,
    PIPE_MATH_COPY,  /* >>: what stands behind repeats what stands before */
    PIPE_MATH_UNIT,  /* words of a value */
    PIPE_MATH_WORD,  /* only while they are read: no token of a finished list */
    PIPE_MATH_BREAK, /* ends an expression */
    PIPE_MATH_POISON /* ends an expression that cannot be trusted */
};

struct pipe_math_token {
    uint8_t kind;
    char sign;        /* of a SIGN; of a BREAK: '\n' a line end, 'w' words, '?' */
    bool tight;       /* no white space before it */
    bool percent;     /* a % behind the NUMBER */
    bool alone;       /* a WORD: of one letter, or one that may change a value */
    bool shares;      /* the WORD "of": behind a value it multiplies */
    bool joins;       /* a WORD that joins sentences and is no part of a unit */
    uint8_t decimals; /* digits behind the point of a NUMBER */
    uint16_t unit;    /* of UNIT and WORD: which measure, 0: none of those that convert;
                         of a NUMBER: that of its currency sign */
    uint32_t at, end; /* bytes of the text */
    struct pipe_exact value; /* of a NUMBER, without its percent sign */
};

/* Tokens of text[from, to). Returns their number, at most `max`; what does not fit is left
 * out. Linear in the length. */
uint32_t pipe_math_tokens(const char *text, uint32_t from, uint32_t to,
                          struct pipe_math_token *out, uint32_t max);

/* Numbers that words stand for: 3 of "three", 2 of "half" and "twice", 12 of "dozen", 60 of
 * "hours", 100 of "percent". At most `max` of them for the word; returns how many. */
uint32_t pipe_math_word_numbers(const char *word, uint32_t size, int64_t *out,
                                uint32_t max);

#endif

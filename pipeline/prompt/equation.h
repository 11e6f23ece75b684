/* pipeline/prompt/equation.h
 * Equations between numbers, read from tokens (math_tokens.h) and tested exactly. An equation
 * is called false only if it is false under every reading that a text may mean:
 *
 *   start     the left side may begin at any of its numbers ("2 - 5 + 4 = 9" may be a list)
 *   end       the right side may end after any of its values ("3 * 4 = 12 + 1 = 13")
 *   percent   20% is 20 or 0.2, and the sides may differ by 100
 *   rounding  the last digit of a stated decimal may be rounded or cut; factors with two
 *             decimals or more may have been rounded themselves. A whole number for a value
 *             that is not whole is false: of 7,473 right GSM8K solutions 1 writes so
 *   units     sides in different measures that convert (feet, inches) may differ by a factor */
#ifndef PIPELINE_PROMPT_EQUATION_H
#define PIPELINE_PROMPT_EQUATION_H

#include "pipeline/prompt/math_tokens.h"

/* The sides of one sign of equality, as half-open ranges of tokens. */
struct pipe_sides {
    uint32_t left, equals, right, end;
    uint32_t signs; /* operators on the left; 0: nothing is calculated there */
    bool chained;   /* the left side is itself the right side of a sign before */
    bool trusted;   /* nothing beside the sides may change them */
    struct pipe_exact value, stated; /* whole sides with % as 1/100; may be unknown */
};

/* Reads the sides of all[equals]. False if one of them is empty. */
bool pipe_sides_read(const struct pipe_math_token *all, uint32_t count, uint32_t equals,
                     struct pipe_sides *out);
/* Both sides are read, something is calculated, and no reading makes them equal. */
bool pipe_sides_false(const struct pipe_math_token *all, const struct pipe_sides *sides);

/* The value of all[from, to); unknown if it is no expression. percent: 20% is 0.2, not 20. */
struct pipe_exact pipe_math_value(const struct pipe_math_token *all, uint32_t from,
                                  uint32_t to, bool percent);

#endif

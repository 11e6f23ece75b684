/* pipeline/prompt/carry.h
 * The equations of a solution as a calculation: what each gives if one of them is altered, and
 * numbers that were its result have become others. */
#ifndef PIPELINE_PROMPT_CARRY_H
#define PIPELINE_PROMPT_CARRY_H

#include "pipeline/prompt/equation.h"

enum { PIPE_CARRY_TOKENS = 1024, PIPE_CARRY_EQUATIONS = 32 };

/* One equation: tokens of its sides, its result. */
struct pipe_carry_equation {
    struct pipe_sides sides;
    uint32_t result; /* token of its only number on the right */
};

/* A number that has become another one, from some byte on. */
struct pipe_carry_change {
    struct pipe_exact before, after;
};

/* An alteration: token `token` (a number or a sign; UINT32_MAX: none) becomes something else,
 * and the result of equation `at` is `result`. */
struct pipe_alteration {
    uint32_t at, token;
    char sign;                /* of an operator */
    struct pipe_exact number; /* of an operand */
    struct pipe_exact result;
};

struct pipe_carry {
    struct pipe_math_token tokens[PIPE_CARRY_TOKENS];
    uint32_t count;
    struct pipe_carry_equation
        equations[PIPE_CARRY_EQUATIONS]; /* that are true exactly */
    uint32_t equation_count;
    struct pipe_carry_change changes[PIPE_CARRY_EQUATIONS];
    uint32_t change_count;
};

/* Tokens and equations of a text without marks (<<...>>); no changes yet. */
void pipe_carry_read(struct pipe_carry *c, const char *text);
/* The value of an equation's left side with the changes, and with the alteration unless it is
 * null; may be unknown. */
struct pipe_exact pipe_carry_value(const struct pipe_carry *c,
                                   const struct pipe_carry_equation *e,
                                   const struct pipe_alteration *a);
/* Whether every sign of equality from token `from` on is one of the equations: else a number
 * that nothing read may hang on a change. */
bool pipe_carry_understood(const struct pipe_carry *c, uint32_t from);

#endif

/* pipeline/prompt/exact.h
 * Exact arithmetic with fractions of 64-bit numbers, for what a text calculates. A result
 * that does not fit is unknown, and so is everything computed from it: nothing is rounded. */
#ifndef PIPELINE_PROMPT_EXACT_H
#define PIPELINE_PROMPT_EXACT_H

#include "runtime/base/rt.h"

/* A fraction in lowest terms, den > 0. den == 0: unknown. */
struct pipe_exact {
    int64_t num, den;
};

struct pipe_exact pipe_exact_of(int64_t num, int64_t den);
static inline bool pipe_exact_known(struct pipe_exact a)
{
    return a.den != 0;
}
static inline bool pipe_exact_whole(struct pipe_exact a)
{
    return a.den == 1;
}
/* False if either is unknown. */
static inline bool pipe_exact_same(struct pipe_exact a, struct pipe_exact b)
{
    return a.den != 0 && a.den == b.den && a.num == b.num;
}
struct pipe_exact pipe_exact_add(struct pipe_exact a, struct pipe_exact b);
struct pipe_exact pipe_exact_subtract(struct pipe_exact a, struct pipe_exact b);
struct pipe_exact pipe_exact_multiply(struct pipe_exact a, struct pipe_exact b);
/* Unknown for b = 0. */
struct pipe_exact pipe_exact_divide(struct pipe_exact a, struct pipe_exact b);
/* a to the power of b, a whole number from 0 to 40; else unknown. */
struct pipe_exact pipe_exact_power(struct pipe_exact a, struct pipe_exact b);
/* a <op> b, op one of + - * / ^. */
struct pipe_exact pipe_exact_apply(struct pipe_exact a, char op, struct pipe_exact b);
/* Nearest double; NaN: unknown. */
double pipe_exact_double(struct pipe_exact a);

#endif

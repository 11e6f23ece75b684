/* pipeline/prompt/exact.c
 * Fractions in lowest terms; every product and sum is checked before it is formed. */
#include "pipeline/prompt/exact.h"

#include <math.h>

enum { POWER_MAX = 40 };

static const struct pipe_exact UNKNOWN = { 0, 0 };

/* Below 2^62, so that a sum of two fits. */
static const int64_t LIMIT = (int64_t)1 << 62;

static int64_t magnitude(int64_t a)
{
    return a < 0 ? -a : a;
}

static int64_t common(int64_t a, int64_t b)
{
    while (b) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static bool multiply(int64_t a, int64_t b, int64_t *out)
{
    if (b && magnitude(a) > LIMIT / magnitude(b))
        return false;
    *out = a * b;
    return true;
}

struct pipe_exact pipe_exact_of(int64_t num, int64_t den)
{
    if (den == 0 || num > LIMIT || num < -LIMIT || den > LIMIT || den < -LIMIT)
        return UNKNOWN;
    const int64_t by = common(magnitude(num), magnitude(den)) * (den < 0 ? -1 : 1);
    return (struct pipe_exact){ num / by, den / by };
}

struct pipe_exact pipe_exact_add(struct pipe_exact a, struct pipe_exact b)
{
    int64_t left, right, den;
    if (!a.den || !b.den)
        return UNKNOWN;
    const int64_t by = common(a.den, b.den);
    if (!multiply(a.num, b.den / by, &left) || !multiply(b.num, a.den / by, &right) ||
        !multiply(a.den, b.den / by, &den))
        return UNKNOWN;
    return pipe_exact_of(left + right, den);
}

struct pipe_exact pipe_exact_subtract(struct pipe_exact a, struct pipe_exact b)
{
    b.num = -b.num;
    return pipe_exact_add(a, b);
}

struct pipe_exact pipe_exact_multiply(struct pipe_exact a, struct pipe_exact b)
{
    int64_t num, den;
    if (!a.den || !b.den)
        return UNKNOWN;
    const struct pipe_exact x = pipe_exact_of(a.num, b.den);
    const struct pipe_exact y = pipe_exact_of(b.num, a.den);
    if (!multiply(x.num, y.num, &num) || !multiply(x.den, y.den, &den))
        return UNKNOWN;
    return pipe_exact_of(num, den);
}

struct pipe_exact pipe_exact_divide(struct pipe_exact a, struct pipe_exact b)
{
    if (!a.den || !b.den || !b.num)
        return UNKNOWN;
    return pipe_exact_multiply(a, pipe_exact_of(b.den, b.num));
}

struct pipe_exact pipe_exact_power(struct pipe_exact a, struct pipe_exact b)
{
    struct pipe_exact out = { 1, 1 };
    if (b.den != 1 || b.num < 0 || b.num > POWER_MAX)
        return UNKNOWN;
    for (int64_t i = 0; i < b.num; i++)
        out = pipe_exact_multiply(out, a);
    return out;
}

struct pipe_exact pipe_exact_apply(struct pipe_exact a, char op, struct pipe_exact b)
{
    switch (op) {
    case '+':
        return pipe_exact_add(a, b);
    case '-':
        return pipe_exact_subtract(a, b);
    case '*':
        return pipe_exact_multiply(a, b);
    case '/':
        return pipe_exact_divide(a, b);
    case '^':
        return pipe_exact_power(a, b);
    default:
        return UNKNOWN;
    }
}

double pipe_exact_double(struct pipe_exact a)
{
    return a.den ? (double)a.num / (double)a.den : NAN;
}

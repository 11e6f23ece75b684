/* pipeline/prompt/given.c
 * A small set of exact numbers, and what is one operation away from it. */
#include "pipeline/prompt/given.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

enum { TOKENS_MAX = 1024, MEANINGS_MAX = 4 };

bool pipe_given_has(const struct pipe_given *given, struct pipe_exact value)
{
    for (uint32_t i = 0; i < given->count; i++)
        if (pipe_exact_same(given->values[i], value))
            return true;
    return false;
}

void pipe_given_add(struct pipe_given *given, struct pipe_exact value)
{
    if (!pipe_exact_known(value) || pipe_given_has(given, value))
        return;
    if (given->count < PIPE_GIVEN_MAX)
        given->values[given->count++] = value;
    else
        given->full = true;
}

/* A percentage, what is left of it and what it adds, also as parts of one. */
static void add_percentage(struct pipe_given *given, struct pipe_exact value)
{
    const struct pipe_exact hundred = pipe_exact_of(100, 1);
    const struct pipe_exact all[] = { hundred, value, pipe_exact_subtract(hundred, value),
                                      pipe_exact_add(hundred, value) };
    for (size_t i = 0; i < RT_COUNT(all); i++) {
        pipe_given_add(given, all[i]);
        pipe_given_add(given, pipe_exact_divide(all[i], hundred));
    }
}

static uint32_t letters(const char *text)
{
    uint32_t n = 0;
    while (isalpha((unsigned char)text[n]))
        n++;
    return n;
}

/* "twenty-five" is 20, 5 and 25. */
static const char *add_words(struct pipe_given *given, const char *at)
{
    int64_t numbers[MEANINGS_MAX];
    int64_t before = 0;
    for (;;) {
        const uint32_t size = letters(at);
        const uint32_t n = pipe_math_word_numbers(at, size, numbers, MEANINGS_MAX);
        for (uint32_t i = 0; i < n; i++)
            pipe_given_add(given, pipe_exact_of(numbers[i], 1));
        if (n && before)
            pipe_given_add(given, pipe_exact_of(before + numbers[0], 1));
        before = n ? numbers[0] : 0;
        at += size;
        if (*at != '-' || !isalpha((unsigned char)at[1]))
            return at;
        at++;
    }
}

void pipe_given_add_text(struct pipe_given *given, const char *text)
{
    struct pipe_math_token tokens[TOKENS_MAX];
    const uint32_t n =
        pipe_math_tokens(text, 0, (uint32_t)strlen(text), tokens, TOKENS_MAX);
    given->full |= n == TOKENS_MAX;
    for (uint32_t i = 0; i < n; i++)
        if (tokens[i].kind == PIPE_MATH_NUMBER) {
            pipe_given_add(given, tokens[i].value);
            if (tokens[i].percent)
                add_percentage(given, tokens[i].value);
        }
    for (const char *at = text; *at;)
        if (isalpha((unsigned char)*at)) {
            at = add_words(given, at);
        } else if (isdigit((unsigned char)*at)) {
            /* 5-dollar, 10:30: their digits are given too */
            int64_t value = 0;
            for (int d = 0; isdigit((unsigned char)*at); at++, d++)
                value = d < 15 ? 10 * value + (*at - '0') : value;
            pipe_given_add(given, pipe_exact_of(value, 1));
        } else {
            at++;
        }
}

static bool is_power_of_ten(struct pipe_exact value)
{
    int64_t n = value.num < 0 ? -value.num : value.num, d = value.den;
    while (n && n % 10 == 0)
        n /= 10;
    while (d && d % 10 == 0)
        d /= 10;
    return n == 1 && d == 1;
}

/* 0, 1/2, 1, ... 5. */
static bool is_small(struct pipe_exact value)
{
    return value.num >= 0 && value.den <= 2 && value.num <= 5 * value.den;
}

/* The same but for the rounding of its decimals. */
static bool is_near(struct pipe_exact a, struct pipe_exact b)
{
    const double x = pipe_exact_double(a), y = pipe_exact_double(b);
    return !(pipe_exact_whole(a) && pipe_exact_whole(b)) &&
           fabs(x - y) <= 0.01 * (fabs(x) + fabs(y)) / 2;
}

bool pipe_given_reaches(const struct pipe_given *given, struct pipe_exact value)
{
    static const char signs[] = "+-*/";
    if (given->full || !pipe_exact_known(value) || pipe_given_has(given, value) ||
        is_small(value) || is_power_of_ten(value))
        return true;
    for (uint32_t i = 0; i < given->count; i++) {
        if (is_near(given->values[i], value))
            return true;
        for (uint32_t j = 0; j < given->count; j++)
            for (const char *sign = signs; *sign; sign++) {
                const struct pipe_exact v =
                    pipe_exact_apply(given->values[i], *sign, given->values[j]);
                if (pipe_exact_same(v, value) ||
                    (pipe_exact_known(v) && is_near(v, value)))
                    return true;
            }
    }
    return false;
}

/* pipeline/prompt/carry.c
 * Equations of a text, and their values under changes. */
#include "pipeline/prompt/carry.h"

#include <string.h>

/* The only number of [from, to), or UINT32_MAX. */
static uint32_t only_number(const struct pipe_carry *c, uint32_t from, uint32_t to)
{
    uint32_t found = UINT32_MAX;
    for (uint32_t i = from; i < to; i++) {
        if (c->tokens[i].kind == PIPE_MATH_UNIT)
            continue;
        if (c->tokens[i].kind != PIPE_MATH_NUMBER || found != UINT32_MAX ||
            c->tokens[i].percent)
            return UINT32_MAX;
        found = i;
    }
    return found;
}

void pipe_carry_read(struct pipe_carry *c, const char *text)
{
    c->equation_count = c->change_count = 0;
    c->count =
        pipe_math_tokens(text, 0, (uint32_t)strlen(text), c->tokens, PIPE_CARRY_TOKENS);
    for (uint32_t i = 0; i < c->count && c->equation_count < PIPE_CARRY_EQUATIONS; i++) {
        struct pipe_carry_equation e;
        if (c->tokens[i].kind != PIPE_MATH_EQUALS ||
            !pipe_sides_read(c->tokens, c->count, i, &e.sides))
            continue;
        e.result = only_number(c, e.sides.right, e.sides.end);
        if (e.result != UINT32_MAX && e.sides.signs && e.sides.trusted &&
            pipe_exact_same(e.sides.value, e.sides.stated))
            c->equations[c->equation_count++] = e;
    }
}

struct pipe_exact pipe_carry_value(const struct pipe_carry *c,
                                   const struct pipe_carry_equation *e,
                                   const struct pipe_alteration *a)
{
    struct pipe_math_token side[96];
    const uint32_t n = e->sides.equals - e->sides.left;
    if (n > RT_COUNT(side))
        return (struct pipe_exact){ 0, 0 };
    for (uint32_t i = 0; i < n; i++) {
        struct pipe_math_token t = c->tokens[e->sides.left + i];
        for (uint32_t k = 0; t.kind == PIPE_MATH_NUMBER && k < c->change_count; k++)
            if (pipe_exact_same(t.value, c->changes[k].before)) {
                t.value = c->changes[k].after;
                break;
            }
        if (a && e->sides.left + i == a->token) {
            t.value = a->number;
            t.sign = a->sign;
        }
        side[i] = t;
    }
    return pipe_math_value(side, 0, n, true);
}

bool pipe_carry_understood(const struct pipe_carry *c, uint32_t from)
{
    for (uint32_t i = from; i < c->count; i++) {
        bool known = c->tokens[i].kind != PIPE_MATH_EQUALS;
        for (uint32_t e = 0; e < c->equation_count; e++)
            known |= c->equations[e].sides.equals == i;
        if (!known)
            return false;
    }
    return true;
}

/* pipeline/grade/separation.c
 * How close to each other two different algebraic numbers can be (C. Burnikel, R. Fleischer,
 * K. Mehlhorn, S. Schirra, "A strong and easily computable separation bound for arithmetic
 * expressions involving radicals", Algorithmica 27, 2000). An expression is a quotient of
 * two algebraic integers whose conjugates are at most 2^upper and 2^lower; D is a bound on
 * its degree. Then it is zero or at least 2^-((D - 1) upper + lower). Cosines of rational
 * parts of a turn are halves of algebraic integers whose conjugates are at most 2. */
#include "pipeline/grade/evaluator.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

struct field_degree { /* distinct radicals, by residue, and the order of roots of unity */
    uint64_t radicals[SEPARATION_RADICALS_MAX];
    uint32_t count;
    double degree;
    int64_t order;
    bool known;
};

static double log2_of(const fmpz_t x)
{
    slong exponent;
    if (fmpz_is_zero(x))
        return 0.0;
    const double mantissa = fabs(fmpz_get_d_2exp(&exponent, x));
    return fmax(0.0, log2(mantissa) + (double)exponent);
}

static struct bound add(struct bound a, struct bound b)
{
    return (struct bound){ fmax(a.upper + b.lower, b.upper + a.lower) + 1.0,
                           a.lower + b.lower, a.known && b.known };
}

static struct bound multiply(struct bound a, struct bound b)
{
    return (struct bound){ a.upper + b.upper, a.lower + b.lower, a.known && b.known };
}

static struct bound invert(struct bound a)
{
    return (struct bound){ a.lower, a.upper, a.known };
}

static void adjoin(struct field_degree *f, uint64_t radical, double index)
{
    for (uint32_t i = 0; i < f->count; i++)
        if (f->radicals[i] == radical)
            return;
    if (f->count == SEPARATION_RADICALS_MAX) {
        f->known = false;
        return;
    }
    f->radicals[f->count++] = radical;
    f->degree *= index;
}

static int64_t common_order(int64_t a, int64_t b)
{
    int64_t x = a, y = b;
    while (y) {
        const int64_t rest = x % y;
        x = y;
        y = rest;
    }
    return a / x > 100000 ? 0 : a / x * b;
}

/* The p / q-th power: q-th root of the p-th. */
static struct bound power(struct field_degree *f, struct bound a, const fmpq_t e,
                          uint64_t residue)
{
    if (fmpz_bits(fmpq_numref(e)) > 20 || fmpz_bits(fmpq_denref(e)) > 10)
        return (struct bound){ .known = false };
    const double p = fabs(fmpz_get_d(fmpq_numref(e))), q = fmpz_get_d(fmpq_denref(e));
    struct bound b = fmpz_sgn(fmpq_numref(e)) < 0 ? invert(a) : a;
    b.upper *= p;
    b.lower *= p;
    if (q > 1.0) {
        adjoin(f, hash_mix(residue, (uint64_t)q), q);
        if (b.upper >= b.lower)
            b.upper = (b.upper + (q - 1.0) * b.lower) / q;
        else
            b.lower = ((q - 1.0) * b.upper + b.lower) / q;
    }
    return b;
}

/* ---- multiples of pi ---- */

static struct turn turn_of(const struct evaluator *e, const struct node *nodes,
                           uint32_t at)
{
    const struct node *n = &nodes[at];
    const struct turn none = { 0, 0 };
    const struct node *a = n->count ? &nodes[n->first] : NULL;
    const struct turn first = a ? e->turns[n->first] : none;
    if (n->kind == N_CONST && n->op == C_PI)
        return (struct turn){ 1, 1 };
    if (!a)
        return none;
    const bool exact = a->flags & IS_EXACT;
    const struct node *b = n->count > 1 ? &nodes[a->next] : NULL;
    const struct turn second = b ? e->turns[a->next] : none;
    const struct node *factor = exact ? a : b;
    const struct turn base = exact ? second : first;
    if ((n->kind == N_DEGREE || n->kind == N_UNIT) && (n->flags & IS_DEGREES) && exact &&
        fmpz_bits(fmpq_numref(&a->value)) < 20 && fmpz_bits(fmpq_denref(&a->value)) < 12)
        return (struct turn){ fmpz_get_si(fmpq_numref(&a->value)),
                              180 * fmpz_get_si(fmpq_denref(&a->value)) };
    if (n->kind == N_NEG)
        return first;
    if ((n->kind == N_MUL || (n->kind == N_DIV && !exact)) && base.under && factor &&
        (factor->flags & IS_EXACT) && fmpz_bits(fmpq_numref(&factor->value)) < 16 &&
        fmpz_bits(fmpq_denref(&factor->value)) < 16) {
        int64_t over = fmpz_get_si(fmpq_numref(&factor->value));
        int64_t under = fmpz_get_si(fmpq_denref(&factor->value));
        if (n->kind == N_DIV) {
            const int64_t swap = over;
            over = under;
            under = swap;
        }
        if (under && llabs(base.over) < 1 << 20 && base.under < 1 << 20)
            return (struct turn){ base.over * over, llabs(base.under * under) };
    }
    if (n->kind == N_ADD && first.under && second.under && first.under < 1 << 20 &&
        second.under < 1 << 20)
        return (struct turn){ 1, first.under * second.under };
    return none;
}

static struct bound trigonometric(struct field_degree *f, uint8_t op, struct turn turn)
{
    const struct bound half = { 1.0, 1.0, true };
    if (turn.under == 0 || op > F_CSC)
        return (struct bound){ .known = false };
    f->order = f->order ? common_order(f->order, 4 * turn.under) : 0;
    switch (op) {
    case F_SIN:
    case F_COS:
        return half;
    case F_SEC:
    case F_CSC:
        return invert(half);
    default:
        return multiply(half, invert(half));
    }
}

/* ---- all ---- */

static struct bound bound_of(struct evaluator *e, const struct node *nodes, uint32_t at,
                             struct field_degree *f)
{
    const struct node *n = &nodes[at];
    const struct bound unknown = { .known = false };
    if (n->flags & IS_EXACT)
        return (struct bound){ log2_of(fmpq_numref(&n->value)),
                               log2_of(fmpq_denref(&n->value)), true };
    const struct bound a = n->count ? e->bounds[n->first] : unknown;
    const struct node *second = n->count > 1 ? &nodes[nodes[n->first].next] : NULL;
    const struct bound b = second ? e->bounds[nodes[n->first].next] : unknown;
    switch (n->kind) {
    case N_CONST:
        if (n->op != C_I)
            return unknown;
        adjoin(f, 0x4000, 2.0);
        return (struct bound){ 0.0, 0.0, true };
    case N_ADD:
        return add(a, b);
    case N_NEG:
    case N_PM:
        return a;
    case N_MUL:
        return multiply(a, b);
    case N_DIV:
        return multiply(a, invert(b));
    case N_POW:
        assert(second);
        return second->flags & IS_EXACT
                   ? power(f, a, &second->value, e->residues[0][n->first])
                   : unknown;
    case N_CALL:
        return n->count == 1 ? trigonometric(f, n->op, e->turns[n->first]) : unknown;
    default:
        return unknown;
    }
}

static struct bound tree_bound(struct evaluator *e, struct item a, struct field_degree *f)
{
    const struct node *nodes = a.t->nodes;
    if (!grade_residue_of(e, a).valid)
        f->known = false;
    for (uint32_t i = nodes[a.node].start; i <= a.node; i++)
        if (e->needed[i]) {
            e->turns[i] = turn_of(e, nodes, i);
            e->bounds[i] = bound_of(e, nodes, i, f);
        }
    return e->bounds[a.node];
}

double grade_separation_bits(struct evaluator *e, struct item a, struct item b)
{
    struct field_degree f = { .degree = 1.0, .order = 1, .known = true };
    const struct bound x = tree_bound(e, a, &f);
    const struct bound y = tree_bound(e, b, &f);
    const struct bound gap = add(x, y);
    if (!f.known || !gap.known || f.order == 0)
        return -1.0;
    const double degree = f.degree * (double)f.order;
    return (degree - 1.0) * gap.upper + gap.lower + 2.0;
}

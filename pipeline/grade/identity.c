/* pipeline/grade/identity.c
 * Whether two expressions are equal: modulo primes, at certified points, or as
 * constants with intervals. */
#include "pipeline/grade/tree_value.h"
#include "pipeline/grade/grade.h"

#include <math.h>

enum { POINTS = 8, POINTS_MIN = 4, BITS_FIRST = 128, BITS_NUMERIC = 1024 };
enum { BITS_PROOF_MAX = 30000 };

static bool has(struct item a, unsigned flags)
{
    return (item_node(a)->flags & flags) != 0;
}

int grade_infinity_sign(struct item a)
{
    int sign = 1;
    const struct node *n = item_node(a);
    for (; n->kind == N_NEG; n = &a.t->nodes[n->first])
        sign = -sign;
    if (n->kind == N_PM && a.sign) {
        sign = (a.sign > 0) == (n->op == 0) ? sign : -sign;
        n = &a.t->nodes[n->first];
    }
    return n->kind == N_CONST && n->op == C_INFINITY ? sign : 0;
}

struct pair { /* the values of both sides */
    acb_t a, b;
};

static void pair_init(struct pair *p)
{
    acb_init(p->a);
    acb_init(p->b);
}

static void pair_clear(struct pair *p)
{
    acb_clear(p->a);
    acb_clear(p->b);
}

/* The values at one point, with the precision raised until both are known to `good` bits.
 * False: they cannot be had. */
static bool values(struct evaluator *e, struct item a, struct item b, uint32_t point,
                   bool signs, struct pair *p)
{
    for (slong bits = BITS_FIRST; bits <= 8 * BITS_FIRST; bits *= 2) {
        if (!grade_ball_of(e, a, point, signs, bits, p->a) ||
            !grade_ball_of(e, b, point, signs, bits, p->b))
            return false;
        if (!acb_overlaps(p->a, p->b))
            return true;
        const bool zero = acb_contains_zero(p->a) && acb_contains_zero(p->b);
        mag_t radius;
        mag_init(radius);
        acb_sub(p->b, p->a, p->b, bits);
        acb_get_mag(radius, p->b);
        const bool small = mag_cmp_2exp_si(radius, -64) < 0;
        mag_clear(radius);
        acb_set(p->b, p->a); /* they overlap: the caller asks no more */
        if (small && (zero || acb_rel_accuracy_bits(p->a) > 64))
            return true;
    }
    return false;
}

/* Expressions with variables: equal at several points, or different at one. Points are
 * positive, as the quantities of textbooks are, unless signs of variables matter. */
static int at_points(struct evaluator *e, struct item a, struct item b, const char **rule)
{
    const bool signs = has(a, HAS_ABS) || has(b, HAS_ABS);
    uint32_t good = 0;
    bool apart = false;
    struct pair p;
    pair_init(&p);
    for (uint32_t point = 0; point < POINTS && !apart; point++) {
        if (!values(e, a, b, point, signs, &p))
            continue;
        good++;
        apart = !acb_overlaps(p.a, p.b);
    }
    pair_clear(&p);
    *rule = !apart && good < POINTS_MIN ? "no certified value" : "values at points";
    if (!apart && good < POINTS_MIN)
        return PIPE_VERDICT_UNDECIDED;
    return apart ? PIPE_VERDICT_DIFFERENT : PIPE_VERDICT_EQUAL;
}

/* Constants to this many bits: disjoint (different), or nearer than 2^-near. */
static int constants_to(struct evaluator *e, struct item a, struct item b, slong bits,
                        slong near)
{
    struct pair p;
    int verdict = PIPE_VERDICT_UNDECIDED;
    pair_init(&p);
    if (grade_ball_of(e, a, 0, false, bits, p.a) &&
        grade_ball_of(e, b, 0, false, bits, p.b)) {
        mag_t radius;
        mag_init(radius);
        acb_sub(p.a, p.a, p.b, bits);
        acb_get_mag(radius, p.a);
        if (!acb_contains_zero(p.a))
            verdict = PIPE_VERDICT_DIFFERENT;
        else if (mag_cmp_2exp_si(radius, -near) < 0)
            verdict = PIPE_VERDICT_EQUAL;
        mag_clear(radius);
    }
    pair_clear(&p);
    return verdict;
}

static int constants(struct evaluator *e, struct item a, struct item b, const char **rule)
{
    *rule = "certified value";
    const int first = constants_to(e, a, b, BITS_FIRST, BITS_FIRST / 2);
    if (first != PIPE_VERDICT_EQUAL && first != PIPE_VERDICT_UNDECIDED)
        return first;
    const double bits = grade_separation_bits(e, a, b);
    if (bits >= 0.0 && bits < BITS_PROOF_MAX) {
        const int proved =
            constants_to(e, a, b, (slong)bits + BITS_FIRST, (slong)ceil(bits));
        if (proved != PIPE_VERDICT_UNDECIDED)
            return proved;
    }
    const int verdict = constants_to(e, a, b, BITS_NUMERIC, BITS_NUMERIC - 100);
    *rule =
        verdict == PIPE_VERDICT_UNDECIDED ? "no certified value" : "value to 1000 bits";
    return verdict;
}

int grade_identity(struct evaluator *e, struct item a, struct item b, const char **rule)
{
    *rule = "identity";
    if (has(a, HAS_DIVISION_BY_ZERO) || has(b, HAS_DIVISION_BY_ZERO))
        return PIPE_VERDICT_DIFFERENT;
    const int left = grade_infinity_sign(a), right = grade_infinity_sign(b);
    if (left || right)
        return left == right ? PIPE_VERDICT_EQUAL : PIPE_VERDICT_DIFFERENT;
    if (has(a, IS_EXACT) && has(b, IS_EXACT)) {
        *rule = "number";
        return fmpq_equal(&item_node(a)->value, &item_node(b)->value)
                   ? PIPE_VERDICT_EQUAL
                   : PIPE_VERDICT_DIFFERENT;
    }
    const struct residue x = grade_residue_of(e, a), y = grade_residue_of(e, b);
    if (residue_equal(x, y))
        return PIPE_VERDICT_EQUAL;
    if (!x.valid || !y.valid || !(has(a, HAS_FUNCTION) || has(b, HAS_FUNCTION)) ||
        has(a, HAS_INFINITY) || has(b, HAS_INFINITY))
        return PIPE_VERDICT_DIFFERENT;
    if (has(a, HAS_STRUCTURE) != has(b, HAS_STRUCTURE))
        return PIPE_VERDICT_DIFFERENT;
    if (has(a, HAS_SYMBOL | HAS_OPAQUE) || has(b, HAS_SYMBOL | HAS_OPAQUE))
        return at_points(e, a, b, rule);
    return constants(e, a, b, rule);
}

int grade_constant_compare(struct evaluator *e, struct item a, struct item b)
{
    const int left = grade_infinity_sign(a), right = grade_infinity_sign(b);
    if (left || right)
        return (left > right) - (left < right);
    if (has(a, IS_EXACT) && has(b, IS_EXACT)) {
        const int order = fmpq_cmp(&item_node(a)->value, &item_node(b)->value);
        return (order > 0) - (order < 0);
    }
    const char *rule;
    if (has(a, HAS_SYMBOL | HAS_OPAQUE | HAS_STRUCTURE) ||
        has(b, HAS_SYMBOL | HAS_OPAQUE | HAS_STRUCTURE))
        return 2;
    const int same = grade_identity(e, a, b, &rule);
    if (same != PIPE_VERDICT_DIFFERENT)
        return same == PIPE_VERDICT_EQUAL ? 0 : 2;
    int order = 2;
    struct pair p;
    pair_init(&p);
    for (slong bits = BITS_FIRST; bits <= 16 * BITS_FIRST && order == 2; bits *= 4)
        if (grade_ball_of(e, a, 0, false, bits, p.a) &&
            grade_ball_of(e, b, 0, false, bits, p.b) && acb_is_real(p.a) &&
            acb_is_real(p.b))
            order = arb_lt(acb_realref(p.a), acb_realref(p.b))   ? -1
                    : arb_gt(acb_realref(p.a), acb_realref(p.b)) ? 1
                                                                 : 2;
    pair_clear(&p);
    return order;
}

int grade_constant_compare_negative(struct evaluator *e, struct item a, struct item b)
{
    uint64_t primes[2];
    grade_evaluator_primes(e, primes);
    const struct residue x = grade_residue_of(e, a), y = grade_residue_of(e, b);
    bool zero = x.valid && y.valid;
    for (int k = 0; k < 2; k++)
        zero = zero && (x.value[k] + y.value[k]) % primes[k] == 0;
    if (zero)
        return 0;
    struct pair p;
    int order = 2;
    pair_init(&p);
    if (grade_ball_of(e, a, 0, false, BITS_FIRST, p.a) &&
        grade_ball_of(e, b, 0, false, BITS_FIRST, p.b) && acb_is_real(p.a) &&
        acb_is_real(p.b)) {
        acb_neg(p.b, p.b);
        order = arb_lt(acb_realref(p.a), acb_realref(p.b))   ? -1
                : arb_gt(acb_realref(p.a), acb_realref(p.b)) ? 1
                                                             : 2;
    }
    pair_clear(&p);
    return order;
}

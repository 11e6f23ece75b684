/* pipeline/grade/relation.c
 * Equality of equations and inequalities, up to a factor and the side on which things
 * stand. */
#include "pipeline/grade/tree_compare.h"

#include <assert.h>
#include <stdlib.h>

static bool is_equation(struct item a)
{
    const struct node *n = item_node(a);
    if (n->kind != N_RELATION)
        return false;
    for (uint32_t i = 0; i + 1 < n->count; i++)
        if (relation_op(n, i) != R_EQ && relation_op(n, i) != R_APPROX)
            return false;
    return true;
}

bool grade_relation_value(struct item a, struct item *name, struct item *value)
{
    if (!is_equation(a))
        return false;
    *name = item_child(a, 0);
    *value = item_child(a, item_node(a)->count - 1);
    return true;
}

/* ---- equations up to a factor ---- */

/* The fraction with numerator and denominator below 2^30 that is r modulo p (Wang 1981). */
static bool reconstruct(uint64_t r, uint64_t p, int64_t *over, int64_t *under)
{
    int64_t a = (int64_t)p, b = (int64_t)r, s = 0, t = 1;
    while (b >= (INT64_C(1) << 30)) {
        const int64_t q = a / b, rest = a % b, next = s - q * t;
        a = b;
        b = rest;
        s = t;
        t = next;
    }
    *over = t < 0 ? -b : b;
    *under = llabs(t);
    return *under > 0 && *under < (INT64_C(1) << 30) && b > 0;
}

/* The sign of the rational factor between two differences, 0: there is none. The fields
 * are those of grade_residue_of; ratio[k] is the quotient in field k. */
static int factor_sign(const uint64_t ratio[2], const uint64_t primes[2])
{
    int64_t over, under;
    if (!reconstruct(ratio[0], primes[0], &over, &under))
        return 0;
    const uint64_t p = primes[1], inverse = n_invmod((uint64_t)under, p);
    const uint64_t top = over < 0 ? p - (uint64_t)-over : (uint64_t)over;
    return n_mulmod2_preinv(top, inverse, p, n_preinvert_limb(p)) == ratio[1]
               ? (over < 0 ? -1 : 1)
               : 0;
}

/* Left side less right side, times the divisors in it if `cleared`. */
static bool difference_of(struct evaluator *e, struct item relation, bool cleared,
                          const uint64_t primes[2], uint64_t out[2])
{
    const struct item left = item_child(relation, 0), right = item_child(relation, 1);
    const struct residue a = grade_residue_of(e, left), b = grade_residue_of(e, right);
    struct residue under[2] = { { { 1, 1 }, true }, { { 1, 1 }, true } };
    if (cleared) {
        under[0] = grade_residue_denominator(e, left);
        under[1] = grade_residue_denominator(e, right);
    }
    for (int k = 0; k < 2; k++) {
        const uint64_t p = primes[k], inverse = n_preinvert_limb(p);
        out[k] = n_submod(a.value[k], b.value[k], p);
        for (int i = 0; i < 2 && under[i].valid; i++)
            out[k] = n_mulmod2_preinv(out[k], under[i].value[k], p, inverse);
    }
    return a.valid && b.valid && under[0].valid && under[1].valid;
}

/* The sign of the rational factor by which two equations differ, 0: none. */
static int proportion(struct comparer *c, struct item a, struct item b, bool cleared)
{
    uint64_t primes[2], ratio[2], x[2], y[2];
    grade_evaluator_primes(c->e, primes);
    if (!difference_of(c->e, a, cleared, primes, x) ||
        !difference_of(c->e, b, cleared, primes, y))
        return 0;
    for (int k = 0; k < 2; k++) {
        if (x[k] == 0 || y[k] == 0)
            return x[k] == y[k] ? 1 : 0;
        ratio[k] = n_mulmod2_preinv(x[k], n_invmod(y[k], primes[k]), primes[k],
                                    n_preinvert_limb(primes[k]));
    }
    return factor_sign(ratio, primes);
}

/* ---- pairs of relations ---- */

static bool is_order(unsigned op)
{
    return op >= R_LT && op <= R_GE;
}

static unsigned flipped(unsigned op)
{
    static const unsigned table[] = { R_EQ, R_NE, R_GT, R_GE, R_LT, R_LE };
    return op <= R_GE ? table[op] : op;
}

/* Left and right sides equal in turn, with the same signs between. */
static int same_chain(struct comparer *c, struct item gold, struct item pred)
{
    const struct node *x = item_node(gold), *y = item_node(pred);
    int verdict = PIPE_VERDICT_EQUAL;
    if (x->count != y->count || x->name != y->name)
        return PIPE_VERDICT_DIFFERENT;
    for (uint32_t i = 0; i < x->count && verdict != PIPE_VERDICT_DIFFERENT; i++) {
        const int v = grade_compare(c, item_child(gold, i), item_child(pred, i));
        verdict = v == PIPE_VERDICT_EQUAL ? verdict : v;
    }
    return verdict;
}

static int equations(struct comparer *c, struct item gold, struct item pred)
{
    struct item name_a, value_a, name_b, value_b;
    const char *rule;
    const bool both = grade_relation_value(gold, &name_a, &value_a) &&
                      grade_relation_value(pred, &name_b, &value_b);
    assert(both); /* two_relations asked */
    const bool names = grade_is_name(name_a) && grade_is_name(name_b);
    if (grade_identity(c->e, name_a, name_b, &rule) == PIPE_VERDICT_EQUAL ||
        (names && !policy(c, PIPE_POLICY_VARIABLE_NAME))) {
        const int v = grade_compare(c, value_a, value_b);
        c->rule = "equation";
        if (v != PIPE_VERDICT_DIFFERENT)
            return v;
    }
    c->rule = "equation";
    if (item_node(gold)->count != 2 || item_node(pred)->count != 2 ||
        !policy(c, PIPE_POLICY_EQUATION_SCALING))
        return PIPE_VERDICT_DIFFERENT;
    return proportion(c, gold, pred, false) || proportion(c, gold, pred, true)
               ? PIPE_VERDICT_EQUAL
               : PIPE_VERDICT_DIFFERENT;
}

static int inequalities(struct comparer *c, struct item gold, struct item pred)
{
    const struct node *x = item_node(gold), *y = item_node(pred);
    const unsigned a = relation_op(x, 0), b = relation_op(y, 0);
    c->rule = "inequality";
    if (x->count != 2 || y->count != 2 || a > R_GE || b > R_GE)
        return PIPE_VERDICT_DIFFERENT;
    const int sign = proportion(c, gold, pred, false);
    const bool same =
        sign && (is_order(a) && is_order(b) ? a == (sign > 0 ? b : flipped(b)) : a == b);
    return same ? PIPE_VERDICT_EQUAL : PIPE_VERDICT_DIFFERENT;
}

static int two_relations(struct comparer *c, struct item gold, struct item pred)
{
    if (is_equation(gold) && is_equation(pred))
        return equations(c, gold, pred);
    const int sets = grade_compare_sets(c, gold, pred);
    if (sets == PIPE_VERDICT_EQUAL)
        return sets;
    const int chain = same_chain(c, gold, pred);
    if (chain == PIPE_VERDICT_EQUAL) {
        c->rule = "relation";
        return chain;
    }
    return inequalities(c, gold, pred);
}

/* ---- a relation against something else ---- */

/* 69 + 3 = 72 is worth 72. */
static bool is_true_equality(struct comparer *c, struct item relation, struct item *value)
{
    struct item first;
    const char *rule;
    return !(item_node(relation)->flags & (HAS_SYMBOL | HAS_OPAQUE | HAS_TEXT)) &&
           grade_relation_value(relation, &first, value) &&
           grade_identity(c->e, first, *value, &rule) == PIPE_VERDICT_EQUAL;
}

/* x = 5 against 5, x in S against S. -1: its left side is not only a name. */
static int one_relation(struct comparer *c, struct item relation, struct item other,
                        bool relation_is_gold)
{
    struct item name, value;
    const struct node *n = item_node(relation);
    const bool membership = n->count == 2 && relation_op(n, 0) == R_IN;
    if (membership && policy(c, PIPE_POLICY_SET_RELATION))
        value = item_child(relation, 1);
    else if (grade_relation_value(relation, &name, &value) &&
             (c->prose || grade_is_name(name)) && policy(c, PIPE_POLICY_LHS_DROP)) {
        /* a = exact = about: either */
        const struct item middle = item_child(relation, n->count - 2);
        if (n->count > 2 && relation_op(n, n->count - 2) == R_APPROX) {
            const int v = relation_is_gold ? grade_compare(c, middle, other)
                                           : grade_compare(c, other, middle);
            if (v == PIPE_VERDICT_EQUAL)
                return v;
        }
    } else if (!is_true_equality(c, relation, &value)) {
        return -1;
    }
    return relation_is_gold ? grade_compare(c, value, other)
                            : grade_compare(c, other, value);
}

int grade_compare_relations(struct comparer *c, struct item gold, struct item pred)
{
    const bool x = item_node(gold)->kind == N_RELATION,
               y = item_node(pred)->kind == N_RELATION;
    if (!x && !y)
        return -1;
    if (((item_node(gold)->flags & HAS_PM) && gold.sign == 0) ||
        ((item_node(pred)->flags & HAS_PM) && pred.sign == 0))
        return -1; /* a collection */
    if (x && y)
        return two_relations(c, gold, pred);
    const uint8_t other = item_node(x ? pred : gold)->kind;
    const struct item relation = x ? gold : pred;
    const bool of_set = relation_op(item_node(relation), 0) == R_IN && /* x in {2,3} */
                        item_node(item_child(relation, 1))->kind == N_SET;
    if (other == N_LIST && !of_set) /* of relations, or of values with one name */
        return -1;
    const int v =
        x ? one_relation(c, gold, pred, true) : one_relation(c, pred, gold, false);
    if (v >= 0)
        return v;
    const int sets = grade_compare_sets(c, gold, pred);
    c->rule = sets >= 0 ? c->rule : "relation";
    return sets >= 0 ? sets : PIPE_VERDICT_DIFFERENT;
}

/* pipeline/grade/fold.c
 * Exact values of nodes over rational numbers. Sizes are bounded before each step. */
#include "pipeline/grade/tree.h"

#include <math.h>

static flint_bitcnt_t bits(const fmpq_t x)
{
    const flint_bitcnt_t n = fmpz_bits(fmpq_numref(x)), d = fmpz_bits(fmpq_denref(x));
    return n > d ? n : d;
}

static bool is_whole(const fmpq_t x)
{
    return fmpz_is_one(fmpq_denref(x));
}

/* Whether x is a whole number within [low, high], which *out then is. */
static bool whole_within(const fmpq_t x, slong low, slong high, slong *out)
{
    if (!is_whole(x) || fmpz_cmp_si(fmpq_numref(x), low) < 0 ||
        fmpz_cmp_si(fmpq_numref(x), high) > 0)
        return false;
    *out = fmpz_get_si(fmpq_numref(x));
    return true;
}

/* r = n-th root of x where that is a whole number. */
static bool whole_root(fmpz_t r, const fmpz_t x, slong n)
{
    if (fmpz_sgn(x) < 0 && n % 2 == 0)
        return false;
    fmpz_t check;
    fmpz_init(check);
    fmpz_abs(check, x);
    fmpz_root(r, check, n);
    fmpz_pow_ui(check, r, (ulong)n);
    const bool exact = fmpz_cmpabs(check, x) == 0;
    if (fmpz_sgn(x) < 0)
        fmpz_neg(r, r);
    fmpz_clear(check);
    return exact;
}

static bool power_whole(fmpq_t out, const fmpq_t base, slong e)
{
    const ulong size = (ulong)(e < 0 ? -e : e);
    if (fmpq_is_zero(base) && e <= 0)
        return false;
    if (bits(base) > 1 && size > TREE_BITS_MAX / bits(base))
        return false;
    fmpq_pow_si(out, base, e);
    return true;
}

static bool power(fmpq_t out, const fmpq_t base, const fmpq_t exponent)
{
    slong p, q;
    fmpq_t e;
    fmpq_init(e);
    fmpq_set_fmpz(e, fmpq_numref(exponent));
    bool done = whole_within(e, -TREE_BITS_MAX, TREE_BITS_MAX, &p);
    fmpq_set_fmpz(e, fmpq_denref(exponent));
    done = done && whole_within(e, 1, 64, &q);
    if (done && q > 1)
        done = whole_root(fmpq_numref(e), fmpq_numref(base), q) &&
               whole_root(fmpq_denref(e), fmpq_denref(base), q) && power_whole(out, e, p);
    else if (done)
        done = power_whole(out, base, p);
    fmpq_clear(e);
    return done;
}

/* log of a to the base b where it is p / q with small p, q: a^q = b^p. */
static bool logarithm(fmpq_t out, const fmpq_t a, const fmpq_t b)
{
    if (fmpq_sgn(a) <= 0 || fmpq_sgn(b) <= 0 || fmpq_is_one(b) || bits(a) > 4000 ||
        bits(b) > 4000)
        return false;
    const double guess = log(fmpq_get_d(a)) / log(fmpq_get_d(b));
    bool found = false;
    fmpq_t x, y;
    fmpq_init(x);
    fmpq_init(y);
    for (slong q = 1; q <= 12 && !found && fabs(guess) < 4000.0; q++) {
        const slong p = lround(guess * (double)q);
        if (fabs(guess * (double)q - (double)p) > 1e-6 || !power_whole(x, a, q) ||
            !power_whole(y, b, p))
            continue;
        found = fmpq_equal(x, y);
        if (found)
            fmpq_set_si(out, p, (ulong)q);
    }
    fmpq_clear(x);
    fmpq_clear(y);
    return found;
}

/* n (n - k) (n - 2k) ... */
static bool multifactorial(fmpz_t out, const fmpq_t a, const fmpq_t step)
{
    slong n, k;
    if (!whole_within(a, 0, 4000, &n) || !whole_within(step, 2, 4000, &k))
        return false;
    fmpz_one(out);
    for (; n > 1; n -= k)
        fmpz_mul_ui(out, out, (ulong)n);
    return true;
}

static bool whole_call(uint8_t function, fmpq_t out, const fmpq_t a, const fmpq_t b)
{
    slong n, k;
    fmpz *value = fmpq_numref(out);
    fmpz_one(fmpq_denref(out));
    switch (function) {
    case F_FACTORIAL:
        if (!whole_within(a, 0, 2000, &n))
            return false;
        fmpz_fac_ui(value, (ulong)n);
        return true;
    case F_MULTIFACTORIAL:
        return multifactorial(value, a, b);
    case F_BINOMIAL:
        if (!whole_within(a, 0, 20000, &n) || !whole_within(b, 0, 20000, &k))
            return false;
        fmpz_bin_uiui(value, (ulong)n, (ulong)k);
        return true;
    case F_GCD:
    case F_LCM:
    case F_MOD:
        if (!is_whole(a) || !is_whole(b) || fmpq_sgn(b) <= 0)
            return false;
        (function == F_GCD   ? fmpz_gcd
         : function == F_LCM ? fmpz_lcm
                             : fmpz_mod)(value, fmpq_numref(a), fmpq_numref(b));
        return true;
    default:
        return false;
    }
}

static bool call(uint8_t function, fmpq_t out, const fmpq_t a, const fmpq_t b)
{
    switch (function) {
    case F_ABS:
        fmpq_abs(out, a);
        return true;
    case F_FLOOR:
    case F_CEIL:
        (function == F_FLOOR ? fmpz_fdiv_q : fmpz_cdiv_q)(fmpq_numref(out),
                                                          fmpq_numref(a), fmpq_denref(a));
        fmpz_one(fmpq_denref(out));
        return true;
    case F_LOG:
    case F_LN:
        if (b && function == F_LOG)
            return logarithm(out, a, b);
        fmpq_zero(out);
        return fmpq_is_one(a);
    case F_SIN:
    case F_TAN:
    case F_ASIN:
    case F_ATAN:
    case F_SINH:
    case F_TANH:
        fmpq_zero(out);
        return fmpq_is_zero(a);
    case F_COS:
    case F_EXP:
    case F_COSH:
    case F_SEC:
        fmpq_one(out);
        return fmpq_is_zero(a);
    case F_MAX:
    case F_MIN:
        if (!b)
            return false;
        fmpq_set(out, (fmpq_cmp(a, b) > 0) == (function == F_MAX) ? a : b);
        return true;
    default:
        return b ? whole_call(function, out, a, b)
                 : function == F_FACTORIAL && whole_call(function, out, a, a);
    }
}

bool grade_tree_fold(const struct tree *t, const struct node *n, fmpq_t value)
{
    const struct node *a = &t->nodes[n->first];
    const struct node *b = n->count > 1 ? &t->nodes[a->next] : NULL;
    if (!(a->flags & IS_EXACT) || (b && !(b->flags & IS_EXACT)) || n->count > 2 ||
        bits(&a->value) > TREE_BITS_MAX || (b && bits(&b->value) > TREE_BITS_MAX))
        return false;
    if (!b && n->kind != N_NEG && n->kind != N_CALL)
        return false; /* an operand was left out */
    switch (n->kind) {
    case N_ADD:
        fmpq_add(value, &a->value, &b->value);
        return true;
    case N_NEG:
        fmpq_neg(value, &a->value);
        return true;
    case N_MUL:
        fmpq_mul(value, &a->value, &b->value);
        return true;
    case N_DIV:
        if (fmpq_is_zero(&b->value))
            return false;
        fmpq_div(value, &a->value, &b->value);
        return true;
    case N_POW:
        return power(value, &a->value, &b->value);
    case N_CALL:
        return call(n->op, value, &a->value, b ? &b->value : NULL);
    default:
        return false;
    }
}

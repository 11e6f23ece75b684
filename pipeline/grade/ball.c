/* pipeline/grade/ball.c
 * Evaluation in complex balls (Arb): the true value lies within. Roots of negative real
 * numbers with an odd index are real; other powers take the principal branch. */
#include "pipeline/grade/evaluator.h"

enum { POINT_BITS = 20, ARGUMENT_BITS_MAX = 20 };

/* Beyond this an exponential is only a long number. */
static bool is_moderate(const acb_t x)
{
    return acb_is_finite(x) && mag_cmp_2exp_si(arb_radref(acb_realref(x)), 0) < 0 &&
           arf_cmpabs_2exp_si(arb_midref(acb_realref(x)), ARGUMENT_BITS_MAX) < 0 &&
           arf_cmpabs_2exp_si(arb_midref(acb_imagref(x)), ARGUMENT_BITS_MAX) < 0;
}

/* Points lie in (0, 1), (0, 4), (0, 4), (0, 16) in turn. */
static void draw(acb_t out, uint64_t name, uint32_t point, bool signs)
{
    static const int widths[] = { 0, 2, 2, 4 };
    const uint64_t h = hash_mix(hash_mix(name, 0x452821e6u), point);
    slong value = (slong)(h % ((1u << POINT_BITS) - 1)) + 1;
    if (signs && ((h >> 40) & 1u) && point > 0)
        value = -value;
    acb_set_si(out, value);
    acb_mul_2exp_si(out, out, widths[point % 4] - POINT_BITS);
}

static void rational_power(acb_t out, const acb_t base, const fmpq_t exponent, slong bits)
{
    const fmpz *p = fmpq_numref(exponent), *q = fmpq_denref(exponent);
    if (fmpz_cmpabs(p, q) > 0 && fmpz_bits(p) > ARGUMENT_BITS_MAX) {
        acb_indeterminate(out);
        return;
    }
    if (fmpz_is_one(q)) {
        acb_pow_fmpz(out, base, p, bits);
        return;
    }
    const bool real_root = acb_is_real(base) && arb_is_negative(acb_realref(base)) &&
                           fmpz_is_odd(q) && fmpz_bits(q) < ARGUMENT_BITS_MAX;
    acb_t root;
    acb_init(root);
    if (real_root)
        acb_neg(root, base);
    else
        acb_set(root, base);
    if (fmpz_cmp_ui(q, 2) == 0)
        acb_sqrt(root, root, bits);
    else if (acb_is_real(root) && arb_is_nonnegative(acb_realref(root)) &&
             fmpz_bits(q) < ARGUMENT_BITS_MAX) {
        arb_root_ui(acb_realref(root), acb_realref(root), fmpz_get_ui(q), bits);
    } else {
        acb_t e;
        acb_init(e);
        acb_set_fmpz(e, q);
        acb_inv(e, e, bits);
        acb_pow(root, root, e, bits);
        acb_clear(e);
    }
    if (real_root)
        acb_neg(root, root);
    acb_pow_fmpz(out, root, p, bits);
    acb_clear(root);
}

static void power(acb_t out, const acb_t a, const acb_t b, const struct node *exponent,
                  const struct node *base, slong bits)
{
    if (exponent->flags & IS_EXACT) {
        rational_power(out, a, &exponent->value, bits);
        return;
    }
    acb_t log;
    acb_init(log);
    if (base->kind == N_CONST && base->op == C_E) {
        acb_set(log, b);
    } else {
        acb_log(log, a, bits);
        acb_mul(log, log, b, bits);
    }
    if (is_moderate(log))
        acb_exp(out, log, bits);
    else
        acb_indeterminate(out);
    acb_clear(log);
}

/* ---- functions ---- */

typedef void ball_fn(acb_t out, const acb_t x, slong bits);

static void reciprocal_arc(acb_t out, const acb_t x, ball_fn *function, slong bits)
{
    acb_inv(out, x, bits);
    function(out, out, bits);
}

static void whole_part(acb_t out, const acb_t x, bool up, slong bits)
{
    if (!acb_is_real(x)) {
        acb_indeterminate(out);
        return;
    }
    acb_zero(out);
    (up ? arb_ceil : arb_floor)(acb_realref(out), acb_realref(x), bits);
}

static void factorial(acb_t out, const acb_t x, slong bits)
{
    acb_add_ui(out, x, 1, bits);
    if (is_moderate(out))
        acb_gamma(out, out, bits);
    else
        acb_indeterminate(out);
}

/* n over k by the gamma function, or as a product where k is small. */
static void binomial(acb_t out, const acb_t n, const acb_t k, slong bits)
{
    acb_t a, b;
    acb_init(a);
    acb_init(b);
    if (acb_is_int(k) && arf_cmpabs_2exp_si(arb_midref(acb_realref(k)), 5) <= 0 &&
        arb_is_nonnegative(acb_realref(k))) {
        const ulong count = (ulong)arf_get_si(arb_midref(acb_realref(k)), ARF_RND_NEAR);
        acb_sub(a, n, k, bits);
        acb_add_ui(a, a, 1, bits);
        acb_rising_ui(out, a, count, bits);
        arb_fac_ui(acb_realref(b), count, bits);
        acb_div(out, out, b, bits);
    } else {
        factorial(a, k, bits);
        acb_sub(b, n, k, bits);
        factorial(b, b, bits);
        acb_mul(b, a, b, bits);
        factorial(out, n, bits);
        acb_div(out, out, b, bits);
    }
    acb_clear(a);
    acb_clear(b);
}

static void extreme(acb_t out, const acb_t a, const acb_t b, bool most, slong bits)
{
    if (!acb_is_real(a) || !acb_is_real(b)) {
        acb_indeterminate(out);
        return;
    }
    acb_zero(out);
    (most ? arb_max : arb_min)(acb_realref(out), acb_realref(a), acb_realref(b), bits);
}

static void two(acb_t out, uint8_t op, const acb_t a, const acb_t b, slong bits)
{
    acb_t log;
    switch (op) {
    case F_LOG:
        acb_init(log);
        acb_log(log, b, bits);
        acb_log(out, a, bits);
        acb_div(out, out, log, bits);
        acb_clear(log);
        break;
    case F_BINOMIAL:
        binomial(out, a, b, bits);
        break;
    case F_MAX:
    case F_MIN:
        extreme(out, a, b, op == F_MAX, bits);
        break;
    default:
        acb_indeterminate(out);
    }
}

static void one(acb_t out, uint8_t op, const acb_t a, slong bits)
{
    static ball_fn *const table[F_COUNT] = {
        [F_SIN] = acb_sin,   [F_COS] = acb_cos,   [F_TAN] = acb_tan,
        [F_COT] = acb_cot,   [F_SEC] = acb_sec,   [F_CSC] = acb_csc,
        [F_ASIN] = acb_asin, [F_ACOS] = acb_acos, [F_ATAN] = acb_atan,
        [F_SINH] = acb_sinh, [F_COSH] = acb_cosh, [F_TANH] = acb_tanh,
        [F_EXP] = acb_exp,   [F_LN] = acb_log,    [F_LOG] = acb_log,
    };
    switch (op) {
    case F_ACOT:
    case F_ASEC:
    case F_ACSC:
        reciprocal_arc(out, a,
                       op == F_ACOT   ? acb_atan
                       : op == F_ASEC ? acb_acos
                                      : acb_asin,
                       bits);
        break;
    case F_ABS:
        acb_abs(acb_realref(out), a, bits);
        arb_zero(acb_imagref(out));
        break;
    case F_FLOOR:
    case F_CEIL:
        whole_part(out, a, op == F_CEIL, bits);
        break;
    case F_FACTORIAL:
        factorial(out, a, bits);
        break;
    default:
        if (table[op] && is_moderate(a))
            table[op](out, a, bits);
        else if (table[op] && (op == F_LN || op == F_LOG) && acb_is_finite(a))
            acb_log(out, a, bits);
        else
            acb_indeterminate(out);
    }
}

/* ---- nodes ---- */

static void constant(acb_t out, uint8_t op, slong bits)
{
    switch (op) {
    case C_PI:
        acb_const_pi(out, bits);
        break;
    case C_E:
        acb_zero(out);
        arb_const_e(acb_realref(out), bits);
        break;
    case C_I:
        acb_onei(out);
        break;
    default:
        acb_indeterminate(out);
    }
}

static void degrees(acb_t out, const acb_t a, bool within, slong bits)
{
    acb_set(out, a);
    if (!within)
        return;
    acb_t pi;
    acb_init(pi);
    acb_const_pi(pi, bits);
    acb_mul(out, out, pi, bits);
    acb_div_ui(out, out, 180, bits);
    acb_clear(pi);
}

struct evaluation {
    struct evaluator *e;
    const struct node *nodes;
    uint32_t point;
    bool signs;
    int sign;
    slong bits;
};

static void evaluate(const struct evaluation *v, uint32_t at)
{
    const struct node *n = &v->nodes[at];
    const uint32_t first = n->first;
    acb_ptr out = v->e->balls + at, balls = v->e->balls;
    acb_srcptr a = n->count > 0 ? balls + first : NULL;
    acb_srcptr b = n->count > 1 ? balls + v->nodes[first].next : NULL;
    const slong bits = v->bits;
    if (n->flags & IS_EXACT) {
        acb_set_fmpq(out, &n->value, bits);
        return;
    }
    switch (n->kind) {
    case N_SYMBOL:
        draw(out, n->name, v->point, v->signs);
        return;
    case N_CONST:
        constant(out, n->op, bits);
        return;
    case N_ADD:
        acb_add(out, a, b, bits);
        return;
    case N_NEG:
        acb_neg(out, a);
        return;
    case N_PM:
        if ((v->sign > 0) == (n->op == 0))
            acb_set(out, a);
        else
            acb_neg(out, a);
        return;
    case N_MUL:
        acb_mul(out, a, b, bits);
        return;
    case N_DIV:
        acb_div(out, a, b, bits);
        return;
    case N_POW:
        power(out, a, b, &v->nodes[v->nodes[first].next], &v->nodes[first], bits);
        return;
    case N_CALL:
        if (n->count == 1)
            one(out, n->op, a, bits);
        else if (n->count == 2)
            two(out, n->op, a, b, bits);
        else
            acb_indeterminate(out);
        return;
    case N_DEGREE:
    case N_UNIT:
        degrees(out, a, (n->flags & IS_DEGREES) != 0, bits);
        return;
    case N_PERCENT:
        acb_set(out, a);
        return;
    case N_OPAQUE: /* a variable of its own, by its residue */
        draw(out, v->e->residues[0][at], v->point, v->signs);
        return;
    default:
        acb_indeterminate(out);
    }
}

/* About the time in 10 ns, from timings at 128 to 30,000 bits. */
static int64_t units_of(const struct node *n, slong bits)
{
    const bool function = n->kind == N_CALL || n->kind == N_POW;
    return function ? 300 + bits * bits / 2500 : 20 + bits * bits / 100000;
}

bool grade_ball_of(struct evaluator *e, struct item a, uint32_t point, bool signs,
                   slong bits, acb_t out)
{
    const struct node *nodes = a.t->nodes;
    const struct evaluation v = { e, nodes, point, signs, a.sign, bits };
    if (nodes[a.node].flags & HAS_OPAQUE) {
        if (!grade_residue_of(e, a).valid)
            return false;
    } else {
        grade_mark_needed(e, a);
    }
    if (e->balls_used <= a.node)
        e->balls_used = a.node + 1;
    for (uint32_t i = nodes[a.node].start; i <= a.node; i++) {
        if (!e->needed[i])
            continue;
        grade_evaluator_spend(e, units_of(&nodes[i], bits));
        if (grade_evaluator_spent(e))
            return false;
        evaluate(&v, i);
        if (!acb_is_finite(e->balls + i))
            return false;
    }
    acb_set(out, e->balls + a.node);
    return true;
}

/* pipeline/grade/quantity.c
 * Equality of numbers with units, percent, rounding and the number of places that was
 * asked for. */
#include "pipeline/grade/tree_compare.h"

enum { BITS = 256 };

/* ---- numbers and rounding ---- */

/* Nearest whole numbers to both sides times 10^places. False: no real values. */
static bool scaled(struct comparer *c, struct item a, long places, arb_t out)
{
    acb_t x;
    arb_t ten;
    acb_init(x);
    arb_init(ten);
    const bool real = grade_ball_of(c->e, a, 0, false, BITS, x) && acb_is_real(x);
    if (real) {
        arb_set_ui(ten, 10);
        arb_pow_ui(ten, ten, (ulong)places, BITS);
        arb_mul(out, acb_realref(x), ten, BITS);
    }
    acb_clear(x);
    arb_clear(ten);
    return real;
}

/* |a - b| * 10^places <= 1/2 (rounds up or down alike where it is a tie). */
static bool rounds_to(struct comparer *c, struct item a, struct item rounded, long places)
{
    arb_t x, y;
    arb_init(x);
    arb_init(y);
    bool within = scaled(c, a, places, x) && scaled(c, rounded, places, y);
    if (within) {
        arb_sub(x, x, y, BITS);
        arb_abs(x, x);
        arb_set_d(y, 0.5 + 1e-30);
        within = arb_le(x, y) || arb_overlaps(x, y);
    }
    arb_clear(x);
    arb_clear(y);
    return within;
}

/* Both rounded to so many places are the same. */
static bool same_places(struct comparer *c, struct item a, struct item b, long places)
{
    arb_t x, y;
    fmpz_t p, q;
    arb_init(x);
    arb_init(y);
    fmpz_init(p);
    fmpz_init(q);
    bool same = scaled(c, a, places, x) && scaled(c, b, places, y) &&
                arf_cmpabs_2exp_si(arb_midref(x), BITS) < 0 && /* larger ones are whole */
                arf_cmpabs_2exp_si(arb_midref(y), BITS) < 0;
    if (same) {
        arf_get_fmpz(p, arb_midref(x), ARF_RND_NEAR);
        arf_get_fmpz(q, arb_midref(y), ARF_RND_NEAR);
        same = fmpz_equal(p, q);
    }
    arb_clear(x);
    arb_clear(y);
    fmpz_clear(p);
    fmpz_clear(q);
    return same;
}

/* |a - b| <= 1e-6 |a| */
static bool within_millionth(struct comparer *c, struct item a, struct item b)
{
    arb_t x, y;
    arb_init(x);
    arb_init(y);
    bool within = scaled(c, a, 6, x) && scaled(c, b, 6, y);
    if (within) {
        arb_sub(y, x, y, BITS);
        arb_abs(y, y);
        arb_abs(x, x);
        arb_mul_2exp_si(y, y, 0);
        arb_div_ui(x, x, 1000000, BITS);
        within = arb_le(y, x);
    }
    arb_clear(x);
    arb_clear(y);
    return within;
}

static bool is_whole(const struct node *n)
{
    return (n->flags & IS_EXACT) && fmpz_is_one(fmpq_denref(&n->value));
}

static bool is_constant(const struct node *n)
{
    return !(n->flags &
             (HAS_SYMBOL | HAS_OPAQUE | HAS_TEXT | HAS_STRUCTURE | HAS_INFINITY));
}

/* A decimal that stands for something else: by the number of places asked for, or by the
 * rounding rule. */
static bool rounded_equal(struct comparer *c, struct item gold, struct item pred)
{
    const struct node *a = item_node(gold), *b = item_node(pred);
    if (!is_constant(a) || !is_constant(b))
        return false;
    if (c->places >= 0)
        return same_places(c, gold, pred, c->places);
    if (!policy(c, PIPE_POLICY_ROUNDING))
        return false;
    const bool x = a->flags & IS_DECIMAL, y = b->flags & IS_DECIMAL;
    if (x && !y && !is_whole(b))
        return rounds_to(c, pred, gold, a->places);
    return !x && y && !is_whole(b) && within_millionth(c, gold, pred);
}

static bool is_structure(const struct node *n)
{
    return n->kind >= N_BASED && n->kind != N_TEXT && n->kind != N_BAD;
}

/* A division by something with a variable in it. */
static bool divides(struct item a)
{
    const struct node *nodes = a.t->nodes;
    for (uint32_t i = nodes[a.node].start; i <= a.node; i++)
        if (nodes[i].kind == N_DIV && (nodes[tree_child(a.t, i, 1)].flags & HAS_SYMBOL))
            return true;
    return false;
}

static int values(struct comparer *c, struct item gold, struct item pred)
{
    const struct node *a = item_node(gold), *b = item_node(pred);
    if (is_structure(a) != is_structure(b) || (is_structure(a) && a->kind != b->kind)) {
        c->rule = "kind";
        return PIPE_VERDICT_DIFFERENT;
    }
    if (a->kind == N_NAMED && b->kind == N_NAMED)
        return a->op == b->op ? PIPE_VERDICT_EQUAL : PIPE_VERDICT_DIFFERENT;
    if (!policy(c, PIPE_POLICY_PARENTHESES) && a->kind == N_NUMBER &&
        b->kind == N_NUMBER && ((a->flags ^ b->flags) & IS_BRACKETED))
        return PIPE_VERDICT_DIFFERENT;
    const int verdict = grade_identity(c->e, gold, pred, &c->rule);
    const bool exact = (a->flags & IS_EXACT) && (b->flags & IS_EXACT);
    if (verdict == PIPE_VERDICT_EQUAL) {
        const bool unreduced = exact && ((a->flags | b->flags) & IS_UNREDUCED);
        const bool form = !exact && a->kind != b->kind;
        return (unreduced && !policy(c, PIPE_POLICY_UNREDUCED)) ||
                       (form && !policy(c, PIPE_POLICY_FORM)) ||
                       (!policy(c, PIPE_POLICY_CANCELLATION) &&
                        divides(gold) != divides(pred))
                   ? PIPE_VERDICT_DIFFERENT
                   : verdict;
    }
    if (rounded_equal(c, gold, pred)) {
        c->rule = "rounded";
        return PIPE_VERDICT_EQUAL;
    }
    return verdict;
}

/* ---- units and percent ---- */

struct quantity {
    struct item value;
    uint64_t unit; /* sum of hashes; 0: none */
    uint8_t kind;  /* enum unit_kind */
    bool percent;
};

static struct quantity quantity_of(struct item a)
{
    struct quantity q = { .value = a };
    for (;;) {
        const struct node *n = item_node(q.value);
        if (n->kind == N_UNIT) {
            q.unit += n->name;
            q.kind = n->op > q.kind ? n->op : q.kind;
        } else if (n->kind == N_DEGREE) {
            q.unit += grade_hash_bytes("degree", 6);
            q.kind = UNIT_DEGREE;
        } else if (n->kind == N_PERCENT) {
            q.percent = true;
        } else {
            return q;
        }
        q.value = item_child(q.value, 0);
    }
}

/* p% is p, or p/100 where one side only carries the sign. */
static int percents(struct comparer *c, struct item gold, struct item pred, bool gold_has)
{
    const int plain = values(c, gold, pred);
    if (plain != PIPE_VERDICT_DIFFERENT)
        return plain;
    const struct node *p = item_node(gold_has ? gold : pred),
                      *v = item_node(gold_has ? pred : gold);
    if (!(p->flags & IS_EXACT) || !(v->flags & IS_EXACT))
        return plain;
    fmpq_t hundredth;
    fmpq_init(hundredth);
    fmpq_div_fmpz(hundredth, &p->value, (fmpz_t){ 100 });
    const bool equal = fmpq_equal(hundredth, &v->value);
    fmpq_clear(hundredth);
    c->rule = "percent";
    return equal ? PIPE_VERDICT_EQUAL : plain;
}

/* ---- ratios, times, bases ---- */

enum { PARTS_MAX = 16 };

/* The parts of a:b:c, which hang to the left. */
static uint32_t ratio_parts(struct item a, struct item *parts)
{
    uint32_t count = 0;
    for (; item_node(a)->kind == N_RATIO && count + 1 < PARTS_MAX; a = item_child(a, 0))
        parts[count++] = item_child(a, 1);
    parts[count++] = a;
    for (uint32_t i = 0; i < count / 2; i++) {
        const struct item swap = parts[i];
        parts[i] = parts[count - 1 - i];
        parts[count - 1 - i] = swap;
    }
    return count;
}

static bool all_exact(const struct item *parts, uint32_t count, bool *zero)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!(item_node(parts[i])->flags & IS_EXACT))
            return false;
        *zero |= fmpq_is_zero(&item_node(parts[i])->value) != 0;
    }
    return true;
}

static bool in_proportion(const struct item *a, const struct item *b, uint32_t count)
{
    bool equal = true;
    fmpq_t x, y;
    fmpq_init(x);
    fmpq_init(y);
    for (uint32_t i = 1; i < count && equal; i++) {
        fmpq_mul(x, &item_node(a[0])->value, &item_node(b[i])->value);
        fmpq_mul(y, &item_node(b[0])->value, &item_node(a[i])->value);
        equal = fmpq_equal(x, y);
    }
    fmpq_clear(x);
    fmpq_clear(y);
    return equal;
}

static int ratios(struct comparer *c, struct item gold, struct item pred)
{
    struct item a[PARTS_MAX], b[PARTS_MAX];
    const uint32_t n = ratio_parts(gold, a), m = ratio_parts(pred, b);
    bool zero = false;
    c->rule = "ratio";
    if (n != m)
        return PIPE_VERDICT_DIFFERENT;
    if (all_exact(a, n, &zero) && all_exact(b, m, &zero) && !zero &&
        policy(c, PIPE_POLICY_RATIO))
        return in_proportion(a, b, n) ? PIPE_VERDICT_EQUAL : PIPE_VERDICT_DIFFERENT;
    for (uint32_t i = 0; i < n; i++) {
        const int v = values(c, a[i], b[i]);
        if (v != PIPE_VERDICT_EQUAL)
            return v;
    }
    c->rule = "ratio";
    return PIPE_VERDICT_EQUAL;
}

/* 3:4 against 3/4 */
static int ratio_and_number(struct comparer *c, struct item ratio, struct item number)
{
    struct item parts[PARTS_MAX];
    const uint32_t n = ratio_parts(ratio, parts);
    bool zero = false, equal = false;
    c->rule = "ratio";
    if (n == 2 && all_exact(parts, 2, &zero) && !zero && policy(c, PIPE_POLICY_RATIO) &&
        (item_node(number)->flags & IS_EXACT)) {
        fmpq_t x;
        fmpq_init(x);
        fmpq_div(x, &item_node(parts[0])->value, &item_node(parts[1])->value);
        equal = fmpq_equal(x, &item_node(number)->value);
        fmpq_clear(x);
    }
    return equal ? PIPE_VERDICT_EQUAL : PIPE_VERDICT_DIFFERENT;
}

/* Seconds since midnight; -1: no time of day. */
static long time_of(struct quantity q)
{
    struct item parts[PARTS_MAX];
    const uint32_t n = ratio_parts(q.value, parts);
    long seconds = 0;
    if (n > 3)
        return -1;
    for (uint32_t i = 0; i < 3; i++) {
        const struct node *part = i < n ? item_node(parts[i]) : NULL;
        if (part && (!is_whole(part) || fmpz_cmp_ui(fmpq_numref(&part->value), 59) > 0 ||
                     fmpz_sgn(fmpq_numref(&part->value)) < 0))
            return -1;
        long value = part ? fmpz_get_si(fmpq_numref(&part->value)) : 0;
        if (i == 0 && value > 24)
            return -1;
        if (i == 0 && (q.kind == UNIT_AM || q.kind == UNIT_PM))
            value = value % 12 + (q.kind == UNIT_PM ? 12 : 0);
        seconds = seconds * 60 + value;
    }
    return seconds;
}

/* The hash of the digits of a number, with its base or without. */
static uint64_t digits_of(struct item a)
{
    const struct node *n = item_node(a);
    return n->kind == N_BASED ? n->name
                              : grade_digits_hash(a.t->text + n->from, n->to - n->from);
}

static int based(struct comparer *c, struct item gold, struct item pred)
{
    const bool both =
        item_node(gold)->kind == N_BASED && item_node(pred)->kind == N_BASED;
    c->rule = "base";
    if (digits_of(gold) != digits_of(pred) || (!both && policy(c, PIPE_POLICY_BASE)))
        return PIPE_VERDICT_DIFFERENT;
    return both ? values(c, item_child(gold, 0), item_child(pred, 0))
                : PIPE_VERDICT_EQUAL;
}

/* ---- all ---- */

static int quantities(struct comparer *c, struct quantity a, struct quantity b)
{
    const uint8_t x = item_node(a.value)->kind, y = item_node(b.value)->kind;
    if (x == N_BASED || y == N_BASED)
        return based(c, a.value, b.value);
    if (x == N_RATIO && y == N_RATIO)
        return ratios(c, a.value, b.value);
    if (x == N_RATIO)
        return ratio_and_number(c, a.value, b.value);
    if (y == N_RATIO)
        return ratio_and_number(c, b.value, a.value);
    if (a.percent != b.percent) {
        if (policy(c, PIPE_POLICY_PERCENT))
            return percents(c, a.value, b.value, a.percent);
        c->rule = "percent";
        return PIPE_VERDICT_DIFFERENT;
    }
    return values(c, a.value, b.value);
}

int grade_compare_quantities(struct comparer *c, struct item gold, struct item pred)
{
    const struct quantity a = quantity_of(gold), b = quantity_of(pred);
    const bool clock =
        a.kind == UNIT_AM || a.kind == UNIT_PM || b.kind == UNIT_AM || b.kind == UNIT_PM;
    if (clock && policy(c, PIPE_POLICY_TIME)) {
        c->rule = "time";
        return time_of(a) >= 0 && time_of(a) == time_of(b) ? PIPE_VERDICT_EQUAL
                                                           : PIPE_VERDICT_DIFFERENT;
    }
    c->rule = "units";
    if (a.unit && b.unit && a.unit != b.unit && policy(c, PIPE_POLICY_UNIT_MISMATCH))
        return PIPE_VERDICT_DIFFERENT;
    if (((a.percent && b.unit) || (b.percent && a.unit)) &&
        policy(c, PIPE_POLICY_UNIT_MISMATCH))
        return PIPE_VERDICT_DIFFERENT;
    if (!a.unit != !b.unit && (!policy(c, PIPE_POLICY_UNITS) ||
                               ((a.kind == UNIT_SUBUNIT || b.kind == UNIT_SUBUNIT) &&
                                policy(c, PIPE_POLICY_SUBUNIT))))
        return PIPE_VERDICT_DIFFERENT;
    return quantities(c, a, b);
}

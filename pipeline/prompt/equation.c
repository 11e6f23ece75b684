/* pipeline/prompt/equation.c
 * Evaluates both sides of a sign of equality under all readings. */
#include "pipeline/prompt/equation.h"

#include <math.h>

enum { SIDE_MAX = 96, DEPTH_MAX = 24 };

static const struct pipe_exact UNKNOWN = { 0, 0 };

/* ---- one expression ---- */

struct reader {
    const struct pipe_math_token *all;
    uint32_t at, to, depth;
    bool percent; /* 20% is 0.2 */
    bool binds;   /* 1/3 without white space is one value */
    bool divided; /* the term has a quotient: a product without a sign is ambiguous */
};

static struct pipe_exact read_sum(struct reader *r);

static void skip_units(struct reader *r)
{
    while (r->at < r->to && r->all[r->at].kind == PIPE_MATH_UNIT)
        r->at++;
}

static bool is_sign(const struct reader *r, const char *signs)
{
    if (r->at >= r->to || r->all[r->at].kind != PIPE_MATH_SIGN)
        return false;
    for (; *signs; signs++)
        if (r->all[r->at].sign == *signs)
            return true;
    return false;
}

static bool is_kind(const struct reader *r, enum pipe_math_kind kind)
{
    return r->at < r->to && r->all[r->at].kind == kind;
}

/* A quotient sign and a number that follow without white space. */
static bool is_fraction(const struct reader *r)
{
    const struct pipe_math_token *t = &r->all[r->at];
    return r->at + 1 < r->to && t[0].kind == PIPE_MATH_SIGN && t[0].sign == '/' &&
           t[0].tight && t[1].kind == PIPE_MATH_NUMBER && t[1].tight;
}

static struct pipe_exact read_atom(struct reader *r)
{
    struct pipe_exact v = UNKNOWN;
    if (is_kind(r, PIPE_MATH_NUMBER)) {
        const struct pipe_math_token *t = &r->all[r->at++];
        v = t->percent && r->percent ? pipe_exact_divide(t->value, pipe_exact_of(100, 1))
                                     : t->value;
        if (r->binds && is_fraction(r)) {
            v = pipe_exact_divide(v, r->all[r->at + 1].value);
            r->at += 2;
        }
    } else if (is_kind(r, PIPE_MATH_OPEN) && r->depth < DEPTH_MAX) {
        const bool divided = r->divided;
        r->at++;
        r->depth++;
        v = read_sum(r);
        r->depth--;
        r->divided = divided;
        if (!is_kind(r, PIPE_MATH_CLOSE))
            return UNKNOWN;
        r->at++;
    }
    skip_units(r);
    return v;
}

/* A value with its minus and its exponent. */
static struct pipe_exact read_factor(struct reader *r)
{
    if (is_sign(r, "-") && r->depth < DEPTH_MAX) {
        r->at++;
        r->depth++;
        const struct pipe_exact v = read_factor(r);
        r->depth--;
        return pipe_exact_subtract(pipe_exact_of(0, 1), v);
    }
    const struct pipe_exact base = read_atom(r);
    if (!is_sign(r, "^"))
        return base;
    r->at++;
    return pipe_exact_power(base, read_atom(r));
}

static struct pipe_exact read_product(struct reader *r)
{
    r->divided = false;
    struct pipe_exact v = read_factor(r);
    for (;;) {
        if (is_sign(r, "*/")) {
            const char sign = r->all[r->at++].sign;
            r->divided |= sign == '/';
            v = pipe_exact_apply(v, sign, read_factor(r));
        } else if (is_kind(r, PIPE_MATH_OPEN) && r->all[r->at].tight && !r->divided) {
            v = pipe_exact_multiply(v, read_factor(r)); /* 2(3 + 4) */
        } else {
            return v;
        }
    }
}

static struct pipe_exact read_sum(struct reader *r)
{
    struct pipe_exact v = read_product(r);
    while (is_sign(r, "+-")) {
        const char sign = r->all[r->at++].sign;
        v = pipe_exact_apply(v, sign, read_product(r));
    }
    return v;
}

static struct pipe_exact value_of(const struct pipe_math_token *all, uint32_t from,
                                  uint32_t to, bool percent, bool binds)
{
    struct reader r = {
        .all = all, .at = from, .to = to, .percent = percent, .binds = binds
    };
    if (from >= to || to - from > SIDE_MAX)
        return UNKNOWN;
    const struct pipe_exact v = read_sum(&r);
    return r.at == to ? v : UNKNOWN;
}

struct pipe_exact pipe_math_value(const struct pipe_math_token *all, uint32_t from,
                                  uint32_t to, bool percent)
{
    return value_of(all, from, to, percent, false);
}

/* ---- the sides ---- */

static bool is_inside(const struct pipe_math_token *t)
{
    return t->kind == PIPE_MATH_NUMBER || t->kind == PIPE_MATH_SIGN ||
           t->kind == PIPE_MATH_OPEN || t->kind == PIPE_MATH_CLOSE ||
           t->kind == PIPE_MATH_UNIT;
}

/* Start of the run that ends before `equals`, not beyond a bracket that stays open. */
static uint32_t left_of(const struct pipe_math_token *all, uint32_t equals)
{
    uint32_t at = equals, depth = 0;
    while (at > 0 && is_inside(&all[at - 1])) {
        if (all[at - 1].kind == PIPE_MATH_CLOSE)
            depth++;
        if (all[at - 1].kind == PIPE_MATH_OPEN && depth-- == 0)
            break;
        at--;
    }
    while (at < equals && all[at].kind == PIPE_MATH_UNIT)
        at++;
    return at;
}

static uint32_t right_of(const struct pipe_math_token *all, uint32_t count, uint32_t from)
{
    uint32_t at = from, depth = 0;
    while (at < count && is_inside(&all[at])) {
        if (all[at].kind == PIPE_MATH_OPEN) {
            if (depth == 0 && at > from && !all[at].tight &&
                all[at - 1].kind != PIPE_MATH_SIGN)
                break; /* "= 8 (since ..." */
            depth++;
        }
        if (all[at].kind == PIPE_MATH_CLOSE && depth-- == 0)
            break;
        at++;
    }
    return at;
}

static bool begins_line(const struct pipe_math_token *all, uint32_t at)
{
    return at == 0 || (all[at - 1].kind == PIPE_MATH_BREAK && all[at - 1].sign == '\n');
}

/* Whether nothing before a run may change its value. A run that begins with a sign behind a
 * word continues what the word names: "profit - 3". */
static bool is_clean_before(const struct pipe_math_token *all, uint32_t from)
{
    if (begins_line(all, from))
        return true;
    const struct pipe_math_token *before = &all[from - 1];
    if (before->kind == PIPE_MATH_SIGN)
        return begins_line(all, from - 1); /* the mark of a list */
    return before->kind != PIPE_MATH_POISON &&
           !(before->kind == PIPE_MATH_BREAK && before->sign == 'w' &&
             all[from].kind == PIPE_MATH_SIGN);
}

static bool is_clean_behind(const struct pipe_math_token *all, uint32_t count,
                            uint32_t to)
{
    return to >= count || (all[to].kind != PIPE_MATH_POISON &&
                           !(all[to].kind == PIPE_MATH_BREAK && all[to].sign == '?'));
}

/* "weeks 3-4": a range, no difference. */
static bool is_range(const struct pipe_math_token *all, uint32_t from, uint32_t to)
{
    return to - from >= 3 && all[from].kind == PIPE_MATH_NUMBER &&
           all[from + 1].kind == PIPE_MATH_SIGN && all[from + 1].sign == '-' &&
           all[from + 1].tight && all[from + 2].tight && from > 0 &&
           all[from - 1].kind == PIPE_MATH_BREAK && all[from - 1].sign == 'w' &&
           all[from].value.num < all[from + 2].value.num;
}

static uint32_t operators(const struct pipe_math_token *all, uint32_t from, uint32_t to)
{
    uint32_t n = 0;
    for (uint32_t i = from; i < to; i++) {
        const bool unary = i == from || all[i - 1].kind == PIPE_MATH_SIGN ||
                           all[i - 1].kind == PIPE_MATH_OPEN;
        n += all[i].kind == PIPE_MATH_SIGN && !(unary && all[i].sign == '-');
        n += all[i].kind == PIPE_MATH_OPEN && all[i].tight && !unary;
    }
    return n;
}

bool pipe_sides_read(const struct pipe_math_token *all, uint32_t count, uint32_t equals,
                     struct pipe_sides *out)
{
    const uint32_t end = right_of(all, count, equals + 1);
    uint32_t left = left_of(all, equals);
    if (left < equals && all[left].kind == PIPE_MATH_SIGN && all[left].sign != '-')
        left++; /* a mark of a list, or what stands before is no number */
    *out = (struct pipe_sides){
        .left = left, .equals = equals, .right = equals + 1, .end = end
    };
    if (left == equals || end == equals + 1)
        return false;
    /* "(a = b": the text before the bracket does not touch the side */
    const bool bracket = left > 0 && all[left - 1].kind == PIPE_MATH_OPEN;
    out->chained = left > 0 && all[left - 1].kind == PIPE_MATH_EQUALS;
    out->trusted = (bracket || is_clean_before(all, left)) &&
                   is_clean_behind(all, count, end) && !is_range(all, left, equals);
    out->signs = operators(all, left, equals);
    out->value = pipe_math_value(all, left, equals, true);
    out->stated = pipe_math_value(all, equals + 1, end, true);
    return true;
}

/* ---- readings ---- */

/* One reading of both sides. */
struct pair {
    struct pipe_exact left, right;
    uint8_t decimals; /* of the right side, if it is one number; else 0 */
    bool one;         /* the right side is one number */
    bool rounded;     /* the left side has factors that may be rounded */
};

static double distance(const struct pair *p)
{
    return fabs(pipe_exact_double(p->left) - pipe_exact_double(p->right));
}

static bool agrees(const struct pair *p)
{
    if (!pipe_exact_known(p->left) || !pipe_exact_known(p->right))
        return true; /* cannot be told */
    if (pipe_exact_same(p->left, p->right))
        return true;
    const double away = distance(p), size = fabs(pipe_exact_double(p->left));
    if (p->one && p->decimals && away < pow(10, -p->decimals) * 1.0000001)
        return true;
    return p->rounded && away <= 0.01 * size;
}

static bool has_percent(const struct pipe_math_token *all, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        if (all[i].percent)
            return true;
    return false;
}

static bool has_rounded(const struct pipe_math_token *all, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        if (all[i].kind == PIPE_MATH_NUMBER && all[i].decimals >= 2)
            return true;
    return false;
}

/* A percentage added to or taken from a number may be a share of that number. */
static bool adds_percent(const struct pipe_math_token *all, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        if (all[i].percent && i > from && all[i - 1].kind == PIPE_MATH_SIGN &&
            (all[i - 1].sign == '+' || all[i - 1].sign == '-'))
            return true;
    return false;
}

/* Both sides with one meaning of the percent sign, and with the right side in hundredths. */
static bool readings_agree(const struct pipe_math_token *all, uint32_t from,
                           uint32_t equals, uint32_t end)
{
    const bool any = has_percent(all, from, end);
    struct pair p = { .rounded = has_rounded(all, from, equals) };
    uint32_t values = 0;
    for (uint32_t i = equals + 1; i < end; i++)
        if (all[i].kind == PIPE_MATH_NUMBER) {
            values++;
            p.decimals = all[i].decimals;
        }
    p.one = values == 1;
    if (!p.one)
        p.decimals = 0;
    for (int how = 0; how < (any ? 8 : 2); how++) {
        p.left = value_of(all, from, equals, how & 2, how & 1);
        p.right = value_of(all, equals + 1, end, how & 4, how & 1);
        if (agrees(&p))
            return true;
    }
    const struct pipe_exact hundred = pipe_exact_of(100, 1);
    p.left = pipe_exact_multiply(pipe_math_value(all, from, equals, true), hundred);
    return any && agrees(&p);
}

/* Whether a side may begin at this token: at the start, or behind a dash that may be the mark
 * of a list, "2 - 5 + 4 = 9" at the start of a line. */
static bool may_begin(const struct pipe_math_token *all, uint32_t from, uint32_t i)
{
    if (i == from)
        return true;
    const bool dash = all[i - 1].kind == PIPE_MATH_SIGN && all[i - 1].sign == '-';
    return dash && (i - 1 == from ||
                    (i - 2 == from && !all[i - 1].tight && begins_line(all, from) &&
                     all[from].kind == PIPE_MATH_NUMBER));
}

/* Whether the right side may end before token i. */
static bool may_end(const struct pipe_math_token *all, uint32_t end, uint32_t i)
{
    return (all[i - 1].kind == PIPE_MATH_NUMBER || all[i - 1].kind == PIPE_MATH_CLOSE ||
            all[i - 1].kind == PIPE_MATH_UNIT) &&
           (i == end || all[i].kind != PIPE_MATH_NUMBER); /* 18 000 */
}

/* The measures of a side: 0 none, else one of them; *several: they differ. */
static uint16_t measure_of(const struct pipe_math_token *all, uint32_t from, uint32_t to,
                           bool *several)
{
    uint16_t unit = 0;
    for (uint32_t i = from; i < to; i++) {
        if (!all[i].unit)
            continue;
        *several |= unit && unit != all[i].unit;
        unit = all[i].unit;
    }
    return unit;
}

static bool has_sum(const struct pipe_math_token *all, const struct pipe_sides *s)
{
    for (uint32_t i = s->left; i < s->end; i++)
        if (all[i].kind == PIPE_MATH_SIGN && (all[i].sign == '+' || all[i].sign == '-'))
            return true;
    return false;
}

/* Sides in different measures may both be right: 5 feet + 3 inches = 63 inches, 3 * 25 cents
 * = $0.75. */
static bool may_convert(const struct pipe_math_token *all, const struct pipe_sides *s)
{
    static const int factors[] = { 2,  3,  4,  7,  8,   10,  12,   16,   24,
                                   30, 36, 52, 60, 100, 365, 1000, 1440, 3600 };
    bool several = false;
    const uint16_t left = measure_of(all, s->left, s->equals, &several);
    const uint16_t right = measure_of(all, s->right, s->end, &several);
    several |= left && right && left != right;
    if (!several || has_sum(all, s))
        return several;
    const double ratio = fabs(pipe_exact_double(pipe_exact_divide(s->value, s->stated)));
    for (size_t i = 0; i < RT_COUNT(factors); i++)
        if (fabs(ratio / factors[i] - 1) < 0.02 || fabs(ratio * factors[i] - 1) < 0.02)
            return true;
    return false;
}

bool pipe_sides_false(const struct pipe_math_token *all, const struct pipe_sides *s)
{
    if (!s->trusted || (!s->signs && !s->chained) || s->equals - s->left > SIDE_MAX ||
        s->end - s->right > SIDE_MAX)
        return false;
    if (!s->signs && !operators(all, s->right, s->end))
        return false; /* two names of one number: nothing is calculated */
    if (!pipe_exact_known(s->value) || adds_percent(all, s->left, s->equals) ||
        may_convert(all, s))
        return false;
    bool read = false;
    for (uint32_t to = s->right + 1; to <= s->end; to++) {
        if (!may_end(all, s->end, to) ||
            !pipe_exact_known(pipe_math_value(all, s->right, to, true)))
            continue;
        read = true;
        for (uint32_t from = s->left; from < s->equals; from++)
            if (may_begin(all, s->left, from) &&
                pipe_exact_known(pipe_math_value(all, from, s->equals, true)) &&
                readings_agree(all, from, s->equals, to))
                return false;
    }
    return read;
}

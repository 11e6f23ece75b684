/* pipeline/prompt/locate_arithmetic.c
 * Finds equations between numbers in free text and evaluates their sides, to name the
 * first false one. */
#include "pipeline/prompt/locate_arithmetic.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

enum { EXPRESSION_MAX = 160, DEPTH_MAX = 32 };

/* ---- signs ---- */

/* The operator at `text`, 0: none; *size: its bytes. A letter x multiplies only between
 * white space or digits. */
static char operator_at(const char *text, size_t before, size_t *size)
{
    *size = 1;
    if (strchr("+-*/()", *text) && *text)
        return *text;
    *size = 2;
    if (strncmp(text, "\xc3\x97", 2) == 0)
        return '*';
    if (strncmp(text, "\xc3\xb7", 2) == 0)
        return '/';
    *size = 3;
    if (strncmp(text, "\xe2\x88\x92", 3) == 0)
        return '-';
    *size = 1;
    const bool left = before && (isdigit((unsigned char)text[-1]) || text[-1] == ' ');
    const bool right = isdigit((unsigned char)text[1]) || text[1] == ' ';
    return *text == 'x' && left && right ? '*' : 0;
}

static bool is_filler(char c)
{
    return c == ' ' || c == '$' || c == '%';
}

/* ---- numbers and expressions ---- */

/* Digits with thousands commas and a fraction; *decimals: digits after the point. */
static const char *read_number(const char *at, double *value, int *decimals)
{
    double v = 0, unit = 1;
    *decimals = 0;
    if (!isdigit((unsigned char)*at))
        return NULL;
    for (;
         isdigit((unsigned char)*at) ||
         (*at == ',' && isdigit((unsigned char)at[1]) && isdigit((unsigned char)at[2]) &&
          isdigit((unsigned char)at[3]) && !isdigit((unsigned char)at[4]));
         at++)
        v = *at == ',' ? v : 10 * v + (*at - '0');
    if (*at == '.' && isdigit((unsigned char)at[1]))
        for (at++; isdigit((unsigned char)*at); at++, ++*decimals) {
            unit /= 10;
            v += unit * (*at - '0');
        }
    *value = v;
    return at;
}

struct machine {
    double values[DEPTH_MAX];
    char signs[DEPTH_MAX];
    int value_count, sign_count;
};

static int rank(char sign)
{
    return sign == '*' || sign == '/' ? 2 : sign == '(' ? 0 : 1;
}

static bool apply(struct machine *m)
{
    if (m->value_count < 2 || m->sign_count < 1)
        return false;
    const double b = m->values[--m->value_count], a = m->values[m->value_count - 1];
    const char sign = m->signs[--m->sign_count];
    m->values[m->value_count - 1] = sign == '+'   ? a + b
                                    : sign == '-' ? a - b
                                    : sign == '*' ? a * b
                                                  : a / b;
    return sign != '(' && (sign != '/' || b != 0);
}

static bool close_bracket(struct machine *m)
{
    while (m->sign_count && m->signs[m->sign_count - 1] != '(')
        if (!apply(m))
            return false;
    return m->sign_count-- > 0;
}

static bool push_sign(struct machine *m, char sign)
{
    while (sign != '(' && m->sign_count &&
           rank(m->signs[m->sign_count - 1]) >= rank(sign))
        if (!apply(m))
            return false;
    if (m->sign_count == DEPTH_MAX)
        return false;
    m->signs[m->sign_count++] = sign;
    return true;
}

/* What one reading of an expression gives. */
struct reading {
    double value;
    int signs, decimals; /* operators; digits after the point of the last number */
    bool percent;        /* a sign % is in it */
};

/* An expression on its way through the machine. */
struct scan {
    const char *start, *at;
    struct machine m;
    bool operand; /* the last thing was one */
    struct reading *out;
};

static bool push_value(struct machine *m, double value)
{
    if (m->value_count == DEPTH_MAX)
        return false;
    m->values[m->value_count++] = value;
    return true;
}

/* A sign of `size` bytes; false where none may stand. */
static bool take_sign(struct scan *s, char sign, size_t size)
{
    struct machine *m = &s->m;
    const bool bracket = sign == '(' || sign == ')';
    const bool first = s->at == s->start + strspn(s->start, " $");
    bool good;
    if (bracket && (sign == '(') == s->operand)
        return false; /* no product without a sign */
    if (bracket) {
        good = sign == '(' ? push_sign(m, sign) : close_bracket(m);
    } else if (sign == '-' && !s->operand && first) {
        good = push_value(m, 0) && push_sign(m, sign); /* 0 - ... */
    } else {
        good = s->operand && push_sign(m, sign);
        s->out->signs++;
        s->operand = false;
    }
    s->at += size;
    return good;
}

/* The next thing before `end`. */
static bool take(struct scan *s, const char *end)
{
    size_t size;
    double value;
    const char *next = read_number(s->at, &value, &s->out->decimals);
    if (is_filler(*s->at)) {
        s->out->percent |= *s->at++ == '%';
        return true;
    }
    if (next) {
        const bool good = !s->operand && next <= end && push_value(&s->m, value);
        s->operand = true;
        s->at = next;
        return good;
    }
    const char sign = operator_at(s->at, (size_t)(s->at - s->start), &size);
    return sign && take_sign(s, sign, size);
}

/* Evaluates [at, end); false where it is no whole expression of numbers. */
static bool evaluate(const char *at, const char *end, struct reading *out)
{
    struct scan s = { .start = at, .at = at, .out = out };
    *out = (struct reading){ 0 };
    while (s.at < end)
        if (!take(&s, end))
            return false;
    while (s.m.sign_count)
        if (!apply(&s.m))
            return false;
    out->value = s.m.value_count == 1 ? s.m.values[0] : NAN;
    return s.operand && isfinite(out->value);
}

/* ---- equations ---- */

/* Where the expression that ends before `equals` begins. */
static const char *left_of(const char *text, const char *equals)
{
    const char *at = equals;
    while (at > text && equals - at < EXPRESSION_MAX) {
        size_t size;
        const char *before = at - 1;
        if (isdigit((unsigned char)*before) || is_filler(*before) || *before == '.' ||
            *before == ',' || operator_at(before, (size_t)(before - text), &size)) {
            at = before;
            continue;
        }
        /* signs of several bytes */
        const size_t room = (size_t)(at - text);
        if (room >= 3 && operator_at(at - 3, room - 3, &size) && size == 3)
            at -= 3;
        else if (room >= 2 && operator_at(at - 2, room - 2, &size) && size == 2)
            at -= 2;
        else
            break;
    }
    return at;
}

static const char *right_of(const char *equals)
{
    const char *at = equals + 1;
    while (*at && at - equals < EXPRESSION_MAX) {
        size_t size;
        const bool inside = (*at == '.' || *at == ',') && isdigit((unsigned char)at[1]);
        if (isdigit((unsigned char)*at) || is_filler(*at) || inside)
            at++;
        else if (operator_at(at, (size_t)(at - equals), &size))
            at += size;
        else
            break;
    }
    return at;
}

static bool joins_a_letter(const char *text, const char *from, const char *to)
{
    return (from > text &&
            (isalnum((unsigned char)from[-1]) || from[-1] == '^' || from[-1] == '}' ||
             from[-1] == '_' || from[-1] == '\\') &&
            !is_filler(*from)) ||
           ((isalpha((unsigned char)*to) || *to == '^' || *to == '\\' || *to == '{') &&
            to[-1] != ' ');
}

/* Whether something that is not read here goes before: a command like \\cdot, a bracket
 * of LaTeX, a power. */
static bool follows_latex(const char *text, const char *from)
{
    while (from > text && from[-1] == ' ')
        from--;
    const char *word = from;
    while (word > text && isalpha((unsigned char)word[-1]))
        word--;
    return from > text && (strchr("\\}^_{|", from[-1]) ||
                           (word < from && word > text && word[-1] == '\\'));
}

/* A mark of a list or a dash before an expression is no sign. */
static const char *without_dash(const char *from, const char *to)
{
    while (from < to && is_filler(*from) && *from != '$')
        from++;
    return from < to && (*from == '-' || *from == ')' || *from == '.' || *from == ',')
               ? from + 1
               : from;
}

static bool agrees(const struct reading *left, const struct reading *right)
{
    /* A last digit may be rounded or cut. */
    const double unit =
        right->signs == 0 && right->decimals > 0 ? pow(10, -right->decimals) : 0;
    const double away = fabs(left->value - right->value);
    const double scale = 1 + fabs(left->value) + fabs(right->value);
    const double most = fabs(right->value) <= fabs(left->value) ? unit : unit / 2;
    if (away <= most * 1.0000001 + 1e-9 * scale)
        return true;
    /* 20% of a whole: either side may be meant in hundredths. */
    const bool percent = left->percent || right->percent;
    return percent &&
           (fabs(left->value - 100 * right->value) <= 100 * unit + 1e-9 * scale ||
            fabs(100 * left->value - right->value) <= unit + 1e-7 * scale ||
            left->signs > 0);
}

/* What stands on both sides of a sign of equality. */
struct sides {
    const char *from, *to, *equals;
    const char *bare; /* from, behind what may be the mark of a list */
    struct reading left, right;
};

/* Finds and reads both sides; false where that cannot be, or nothing is calculated. */
static bool read_sides(const char *text, const char *equals, struct sides *s)
{
    const char *from = left_of(text, equals), *to = right_of(equals);
    while (to > equals + 1 && (to[-1] == ' ' || to[-1] == '-' || to[-1] == '('))
        to--; /* what follows in the sentence */
    while (from < equals && *from == ' ')
        from++;
    if (from > text && equals - from >= EXPRESSION_MAX)
        return false;
    if (joins_a_letter(text, from, to) || follows_latex(text, from))
        return false;
    *s = (struct sides){ .from = from, .to = to, .equals = equals };
    s->bare = without_dash(from, equals);
    bool read = evaluate(from, equals, &s->left);
    if (!read || s->left.signs == 0) {
        read = evaluate(s->bare, equals, &s->left);
        s->from = s->bare;
    }
    return read && s->left.signs > 0 && evaluate(equals + 1, to, &s->right);
}

/* True if another reading of both sides makes them equal. */
static bool may_be_meant(const struct sides *s)
{
    /* "3 * 4 = 12 + 1 = 13": run on, but the step meant is true. */
    struct reading other = { 0 };
    const char *number = s->equals + 1 + strspn(s->equals + 1, " $");
    if (s->right.signs > 0 && read_number(number, &other.value, &other.decimals) &&
        agrees(&s->left, &other))
        return true;
    /* Read from behind a first sign, it may be true. */
    return s->bare != s->from && evaluate(s->bare, s->equals, &other) &&
           agrees(&other, &s->right);
}

/* The equation at this sign; false where it holds or cannot be read. */
static bool is_false(const char *text, const char *equals, struct pipe_equation *out)
{
    struct sides s;
    if (!read_sides(text, equals, &s) || agrees(&s.left, &s.right) || may_be_meant(&s))
        return false;
    *out = (struct pipe_equation){ .char_start = (uint32_t)(s.from - text),
                                   .size = (uint32_t)(s.to - s.from),
                                   .stated = s.right.value,
                                   .value = s.left.value };
    return true;
}

void pipe_locate_arithmetic(const char *output, const struct pipe_step *steps,
                            uint32_t count, struct pipe_equation *out)
{
    *out = (struct pipe_equation){ .step = -1 };
    for (const char *at = strchr(output, '='); at; at = strchr(at + 1, '=')) {
        if (at > output && strchr("<>!=~", at[-1]))
            continue;
        struct pipe_equation found;
        if (!is_false(output, at, &found))
            continue;
        *out = found;
        out->step = -1;
        for (uint32_t k = 0; k < count; k++)
            if (found.char_start >= steps[k].char_start &&
                found.char_start < steps[k].char_end)
                out->step = (int32_t)k;
        if (out->step >= 0)
            return;
    }
}

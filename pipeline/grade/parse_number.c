/* pipeline/grade/parse_number.c
 * Numbers as they are written (digits, repeating decimals, powers of ten) and as
 * words, made exact. */
#include "pipeline/grade/parse_impl.h"

#include "pipeline/grade/chars.h"

#include <string.h>

enum { DIGITS_MAX = TREE_BITS_MAX / 4, EXPONENT_MAX = 20000 };

uint32_t grade_small_number(struct parser *p, int64_t value, uint32_t from, uint32_t to)
{
    const uint32_t at = grade_leaf(p, N_NUMBER, 0, 0, from, to);
    fmpq_set_si(&p->t->nodes[at].value, value, 1);
    p->t->nodes[at].flags |= IS_EXACT;
    return at;
}

struct digits {
    char text[DIGITS_MAX + 1];
    uint32_t count;
    uint32_t places;    /* of them behind the point */
    uint32_t repeating; /* of these, those that repeat */
    long exponent;
    bool fits;
};

/* Gathers what the lexer took for a number. */
static void read_digits(const char *text, uint32_t size, bool decimal_comma,
                        struct digits *d)
{
    bool point = false, repeats = false;
    d->count = d->places = d->repeating = 0; /* the digits need no clearing */
    d->exponent = 0;
    d->fits = true;
    for (uint32_t i = 0; i < size; i++) {
        const char c = text[i];
        if (is_digit(c)) {
            d->fits = d->fits && d->count < DIGITS_MAX;
            if (d->fits)
                d->text[d->count++] = c;
            d->places += point ? 1u : 0u;
            d->repeating += repeats ? 1u : 0u;
        } else if (c == '.' || (c == ',' && decimal_comma)) {
            point = true;
        } else if (c == '\\') {
            repeats = true; /* \overline, \bar, \dot */
            while (i + 1 < size && !is_digit(text[i + 1]))
                i++;
        } else if (c == 'e' || c == 'E') {
            const bool minus = text[i + 1] == '-';
            for (i += minus || text[i + 1] == '+' ? 2u : 1u; i < size; i++)
                d->exponent = d->exponent < EXPONENT_MAX
                                  ? d->exponent * 10 + (text[i] - '0')
                                  : d->exponent;
            d->fits = d->fits && d->exponent <= EXPONENT_MAX;
            d->exponent = minus ? -d->exponent : d->exponent;
        }
    }
    d->text[d->count] = '\0';
}

static void whole_of(fmpz_t out, const char *digits, uint32_t count)
{
    if (count <= 18) {
        ulong value = 0;
        for (uint32_t i = 0; i < count; i++)
            value = value * 10 + (ulong)(digits[i] - '0');
        fmpz_set_ui(out, value);
    } else {
        fmpz_set_str(out, digits, 10);
    }
}

/* value * 10^exponent */
static void scale(fmpq_t value, long exponent)
{
    fmpz_t ten;
    fmpz_init(ten);
    fmpz_ui_pow_ui(ten, 10, (ulong)(exponent < 0 ? -exponent : exponent));
    if (exponent < 0)
        fmpq_div_fmpz(value, value, ten);
    else
        fmpq_mul_fmpz(value, value, ten);
    fmpz_clear(ten);
}

/* a.b\overline{c}: (digits of abc - digits of ab) / (10^r - 1), shifted. */
static void repeat(struct digits *d, fmpq_t value)
{
    fmpz_t all, nines;
    fmpz_init(all);
    fmpz_init(nines);
    whole_of(all, d->text, d->count);
    d->text[d->count - d->repeating] = '\0';
    whole_of(nines, d->text, d->count - d->repeating);
    fmpz_sub(all, all, nines);
    fmpz_ui_pow_ui(nines, 10, d->repeating);
    fmpz_sub_ui(nines, nines, 1);
    fmpq_set_fmpz_frac(value, all, nines);
    scale(value, -(long)(d->places - d->repeating));
    fmpz_clear(all);
    fmpz_clear(nines);
}

uint32_t grade_number_node(struct parser *p, struct token t)
{
    struct digits digits, *d = &digits;
    const char *text = p->t->text + t.start;
    const uint32_t at = grade_leaf(p, N_NUMBER, 0, 0, t.start, t.end);
    struct node *n = &p->t->nodes[at];
    if (t.end - t.start == 1) {
        fmpq_set_si(&n->value, text[0] - '0', 1);
        n->flags |= IS_EXACT;
        return at;
    }
    read_digits(text, t.end - t.start, p->lex.decimal_comma, d);
    if (!d->fits || (text[0] == '0' && d->count > 1 && d->places == 0 &&
                     p->lex.policies->off[PIPE_POLICY_LEADING_ZEROS])) {
        n->kind = N_BAD;
        n->flags |= HAS_TEXT | HAS_OPAQUE | HAS_FUNCTION;
        return at;
    }
    n->flags |= IS_EXACT;
    if (d->repeating) {
        repeat(d, &n->value);
        return at;
    }
    whole_of(fmpq_numref(&n->value), d->text, d->count);
    fmpz_one(fmpq_denref(&n->value));
    scale(&n->value, d->exponent - (long)d->places);
    const long places = (long)d->places - d->exponent;
    n->places = (uint16_t)(places > 0 ? places : 0);
    if (d->places || d->exponent < 0)
        n->flags |= IS_DECIMAL;
    return at;
}

/* ---- words ---- */

/* Words joined by hyphens count one by one: "twenty-five", "one-half". */
static bool add_word(const char *text, uint32_t size, int64_t *total, int64_t *part,
                     uint32_t *denominator)
{
    static const struct {
        const char *word;
        uint32_t value;
    } fractions[] = { { "half", 2 },    { "halves", 2 },   { "third", 3 },
                      { "thirds", 3 },  { "fourth", 4 },   { "fourths", 4 },
                      { "quarter", 4 }, { "quarters", 4 }, { "fifth", 5 },
                      { "fifths", 5 },  { "sixth", 6 },    { "sixths", 6 },
                      { "eighth", 8 },  { "eighths", 8 },  { "tenth", 10 },
                      { "tenths", 10 } };
    while (size) {
        const char *hyphen = memchr(text, '-', size);
        const uint32_t n = hyphen ? (uint32_t)(hyphen - text) : size;
        const int64_t value = grade_word_number(text, n);
        for (size_t i = 0; value < 0 && i < sizeof fractions / sizeof fractions[0]; i++)
            if (grade_word_is(text, n, fractions[i].word) && *part > 0 &&
                *denominator == 1)
                *denominator = fractions[i].value;
        if (value < 0 && *denominator == 1)
            return false;
        if (value >= 0 && (*denominator != 1 || *part > 1000000000))
            return false;
        if (value == 100)
            *part = (*part ? *part : 1) * 100;
        else if (value >= 1000) {
            *total += (*part ? *part : 1) * value;
            *part = 0;
        } else if (value >= 0)
            *part += value;
        text += n + (hyphen != NULL);
        size -= n + (hyphen != NULL);
    }
    return *total < 1000000000000;
}

bool grade_number_words(struct parser *p, struct token first, uint32_t *out)
{
    int64_t total = 0, part = 0;
    uint32_t denominator = 1, end = first.end;
    const char *text = p->lex.text;
    if (p->lex.policies->off[PIPE_POLICY_NUMBER_WORDS] ||
        !add_word(text + first.start, first.end - first.start, &total, &part,
                  &denominator))
        return false;
    for (;;) {
        const struct token t = grade_next_token(p);
        int64_t a = total, b = part;
        uint32_t d = denominator;
        if (t.kind != T_WORD || !add_word(text + t.start, t.end - t.start, &a, &b, &d)) {
            grade_hold_token(p, t);
            break;
        }
        total = a;
        part = b;
        denominator = d;
        end = t.end;
    }
    *out = grade_small_number(p, total + part, first.start, end);
    if (denominator != 1)
        *out =
            grade_node2(p, N_DIV, 0, *out, grade_small_number(p, denominator, end, end));
    return true;
}

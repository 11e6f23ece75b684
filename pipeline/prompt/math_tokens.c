/* pipeline/prompt/math_tokens.c
 * Reads free text token by token; a second pass decides which words are units. */
#include "pipeline/prompt/math_tokens.h"

#include "pipeline/prompt/math_words.h"

#include <ctype.h>
#include <string.h>

enum { BRACES_MAX = 32, DIGITS_MAX = 15, UNIT_WORDS_MAX = 4 };

enum brace { BRACE_PLAIN, BRACE_GROUP, BRACE_NUMERATOR, BRACE_DENOMINATOR };

struct scan {
    const char *text;
    uint32_t at, to;
    bool tight; /* no white space since the token before */
    uint8_t braces[BRACES_MAX];
    uint32_t depth;
    struct pipe_math_token *out;
    uint32_t count, max;
};

static char char_at(const struct scan *s, uint32_t at)
{
    return at < s->to ? s->text[at] : '\0';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool starts(const struct scan *s, uint32_t at, const char *with)
{
    const size_t size = strlen(with);
    return at + size <= s->to && memcmp(s->text + at, with, size) == 0;
}

static struct pipe_math_token *put(struct scan *s, enum pipe_math_kind kind,
                                   uint32_t size)
{
    static struct pipe_math_token none; /* what is beyond the list is not looked at */
    struct pipe_math_token *t = s->count < s->max ? &s->out[s->count++] : &none;
    *t = (struct pipe_math_token){
        .kind = (uint8_t)kind, .tight = s->tight, .at = s->at, .end = s->at + size
    };
    s->at += size;
    s->tight = true;
    return t;
}

static void put_sign(struct scan *s, char sign, uint32_t size)
{
    put(s, PIPE_MATH_SIGN, size)->sign = sign;
}

/* ---- numbers ---- */

/* Bytes of a mark of thousands at `at`, with three digits behind it and no fourth. */
static uint32_t thousands_mark(const struct scan *s, uint32_t at)
{
    static const char *const marks[] = { ",\\!", "{,}", "," };
    for (size_t i = 0; i < RT_COUNT(marks); i++) {
        if (!starts(s, at, marks[i]))
            continue;
        const uint32_t size = (uint32_t)strlen(marks[i]), d = at + size;
        if (is_digit(char_at(s, d)) && is_digit(char_at(s, d + 1)) &&
            is_digit(char_at(s, d + 2)) && !is_digit(char_at(s, d + 3)))
            return size;
    }
    return 0;
}

/* Digits, thousands, a fraction; the end, or 0: none here or too many digits. */
static uint32_t read_digits(const struct scan *s, uint32_t at, struct pipe_exact *value,
                            uint8_t *decimals)
{
    int64_t num = 0, den = 1;
    uint32_t digits = 0;
    for (; is_digit(char_at(s, at)) || (digits && thousands_mark(s, at));) {
        if (!is_digit(char_at(s, at))) {
            at += thousands_mark(s, at);
            continue;
        }
        if (++digits > DIGITS_MAX)
            return 0;
        num = 10 * num + (char_at(s, at++) - '0');
    }
    *decimals = 0;
    if (char_at(s, at) == '.' && is_digit(char_at(s, at + 1)))
        for (at++; is_digit(char_at(s, at)); ++*decimals) {
            if (++digits > DIGITS_MAX)
                return 0;
            num = 10 * num + (char_at(s, at++) - '0');
            den *= 10;
        }
    *value = pipe_exact_of(num, den);
    return digits ? at : 0;
}

static uint32_t skip_digits(const struct scan *s, uint32_t at)
{
    while (is_digit(char_at(s, at)) ||
           (char_at(s, at) == '.' && is_digit(char_at(s, at + 1))))
        at++;
    return at;
}

/* What stands right behind a number and makes it another thing: 10:30, 5-dollar, 2x, 3!,
 * x_2. *size: bytes that belong to it. */
static enum pipe_math_kind behind_number(const struct scan *s, uint32_t at,
                                         uint32_t *size)
{
    const char c = char_at(s, at), next = char_at(s, at + 1);
    *size = 0;
    if (c == '-' && is_letter(next))
        return PIPE_MATH_BREAK;
    if (((c == ':' || c == ',') && is_digit(next)) || c == '_' ||
        (c == '!' && next != '='))
        return PIPE_MATH_POISON;
    if (!is_letter(c))
        return PIPE_MATH_NUMBER;
    uint32_t end = at;
    while (is_letter(char_at(s, end)))
        end++;
    if ((c == 'x' || c == 'X') && is_digit(next))
        return PIPE_MATH_NUMBER; /* 6x7 */
    return pipe_word_attaches(s->text + at, end - at) ? PIPE_MATH_NUMBER
                                                      : PIPE_MATH_POISON;
}

static void take_number(struct scan *s, uint16_t currency)
{
    struct pipe_exact value;
    uint8_t decimals;
    uint32_t more, end = read_digits(s, s->at, &value, &decimals);
    enum pipe_math_kind kind = PIPE_MATH_POISON;
    if (end)
        kind = behind_number(s, end, &more);
    else
        end = skip_digits(s, s->at);
    if (kind != PIPE_MATH_NUMBER) {
        while (is_digit(char_at(s, end)) ||
               (strchr(".,:", char_at(s, end)) && is_digit(char_at(s, end + 1))))
            end++;
        put(s, kind, end - s->at);
        return;
    }
    struct pipe_math_token *t = put(s, PIPE_MATH_NUMBER, end - s->at);
    t->value = value;
    t->decimals = decimals;
    t->unit = currency;
    if (starts(s, s->at, "..."))
        s->at += 3;
    const uint32_t sign = s->at + (uint32_t)strspn(s->text + s->at, " ");
    if (starts(s, s->at, "%") || starts(s, s->at, "\\%")) {
        s->at += char_at(s, s->at) == '%' ? 1 : 2;
        t->percent = true;
    } else if (starts(s, sign, "percent")) {
        s->at = sign + 7;
        t->percent = true;
    }
}

/* ---- words ---- */

static void take_word(struct scan *s)
{
    uint32_t end = s->at;
    while (is_letter(char_at(s, end)) ||
           ((char_at(s, end) == '-' || char_at(s, end) == '\'') &&
            is_letter(char_at(s, end + 1))))
        end++;
    const char *word = s->text + s->at;
    const uint32_t size = end - s->at;
    const bool tight = s->tight;
    struct pipe_math_token *t = put(s, PIPE_MATH_WORD, size);
    const bool article = size == 1 && strchr("aAI", *word) && *word &&
                         char_at(s, s->at) == ' ' && is_letter(char_at(s, s->at + 1)) &&
                         is_letter(char_at(s, s->at + 2));
    const bool factor =
        tight && s->count > 1 && s->out[s->count - 2].kind == PIPE_MATH_CLOSE;
    t->alone = (size == 1 && !article) || factor || pipe_word_computes(word, size);
    t->joins = article || pipe_word_joins(word, size);
    t->shares = size == 2 && memcmp(word, "of", 2) == 0;
    t->unit = pipe_word_measure(word, size);
}

/* A letter x between two values. */
static bool is_times(const struct scan *s)
{
    const char c = char_at(s, s->at);
    if ((c != 'x' && c != 'X') || s->count == 0 || is_letter(char_at(s, s->at + 1)))
        return false;
    const uint32_t next = s->at + 1 + (uint32_t)strspn(s->text + s->at + 1, " ");
    const uint8_t before = s->out[s->count - 1].kind;
    const char after = char_at(s, next);
    if (before != PIPE_MATH_NUMBER && before != PIPE_MATH_CLOSE &&
        before != PIPE_MATH_WORD)
        return false;
    if (s->tight && !is_digit(after))
        return false;
    return is_digit(after) || after == '$' || (after == '(' && next > s->at + 1);
}

/* ---- LaTeX ---- */

static void open_brace(struct scan *s, enum brace what)
{
    if (s->depth < BRACES_MAX)
        s->braces[s->depth++] = (uint8_t)what;
}

static void close_brace(struct scan *s)
{
    if (s->depth == 0) {
        s->at++;
        return;
    }
    const uint8_t what = s->braces[--s->depth];
    if (what == BRACE_PLAIN) {
        s->at++;
        return;
    }
    put(s, PIPE_MATH_CLOSE, 1);
    if (what == BRACE_GROUP)
        return;
    if (what == BRACE_NUMERATOR) {
        if (char_at(s, s->at) != '{') {
            put(s, PIPE_MATH_POISON, 0);
            return;
        }
        put_sign(s, '/', 0);
        open_brace(s, BRACE_DENOMINATOR);
        put(s, PIPE_MATH_OPEN, 1)->tight = false;
        return;
    }
    put(s, PIPE_MATH_CLOSE, 0);
}

static void take_fraction(struct scan *s, uint32_t size)
{
    const char c = char_at(s, s->at + size), next = char_at(s, s->at + size + 1);
    if (is_digit(c) && is_digit(next) && next != '0') {
        struct pipe_math_token *t = put(s, PIPE_MATH_NUMBER, size + 2);
        t->value = pipe_exact_of(c - '0', next - '0');
        return;
    }
    if (c != '{') {
        put(s, PIPE_MATH_POISON, size);
        return;
    }
    const bool mixed =
        s->tight && s->count && s->out[s->count - 1].kind == PIPE_MATH_NUMBER;
    put(s, mixed ? PIPE_MATH_POISON : PIPE_MATH_OPEN, size); /* 2\frac{1}{3} */
    open_brace(s, BRACE_NUMERATOR);
    put(s, PIPE_MATH_OPEN, 1);
}

/* Bytes of the [..] and {..} behind a command that is not understood. */
static uint32_t arguments(const struct scan *s, uint32_t from)
{
    uint32_t at = from;
    while (char_at(s, at) == '[' || char_at(s, at) == '{') {
        uint32_t depth = 0, end = at;
        do {
            const char c = char_at(s, end++);
            depth += c == '[' || c == '{';
            depth -= c == ']' || c == '}';
        } while (depth && end < s->to);
        at = end;
    }
    return at - from;
}

static void take_command(struct scan *s)
{
    uint32_t end = s->at + 1;
    while (is_letter(char_at(s, end)))
        end++;
    const uint32_t size = end - s->at;
    char sign;
    switch (size > 1 ? pipe_latex_command(s->text + s->at + 1, size - 1, &sign)
                     : PIPE_LATEX_SPACE) {
    case PIPE_LATEX_SIGN:
        put_sign(s, sign, size);
        return;
    case PIPE_LATEX_FRACTION:
        take_fraction(s, size);
        return;
    case PIPE_LATEX_BREAK:
        put(s, PIPE_MATH_BREAK, size);
        return;
    case PIPE_LATEX_OTHER:
        put(s, PIPE_MATH_POISON, size + arguments(s, end));
        return;
    case PIPE_LATEX_SPACE:
        break;
    }
    if (size == 1 && char_at(s, end) == '\\') { /* a line of an aligned block */
        end++;
        const uint32_t next = end + (uint32_t)strspn(s->text + end, " \n&");
        if (char_at(s, next) != '=')
            put(s, PIPE_MATH_BREAK, end - s->at);
        s->at = end;
    } else {
        s->at = size == 1 && end < s->to ? end + 1 : end; /* \, \( \[ \$ */
    }
    s->tight = false;
}

/* ---- other characters ---- */

/* Characters beyond ASCII: signs, currencies, punctuation. */
static void take_wide(struct scan *s)
{
    static const struct {
        const char *bytes;
        char sign; /* 0: ends an expression; 1: nothing */
    } known[] = {
        { "\xc3\x97", '*' },   { "\xc3\xb7", '/' },     { "\xe2\x88\x92", '-' },
        { "\xc2\xb7", '*' },   { "\xe2\x8b\x85", '*' }, { "\xe2\x80\x93", 2 },
        { "\xc2\xa3", 1 },     { "\xe2\x82\xac", 1 },   { "\xc2\xa0", 1 },
        { "\xe2\x80\x89", 1 }, { "\xe2\x80\xaf", 1 },   { "\xe2\x89\x88", 0 },
        { "\xe2\x89\xa0", 0 }, { "\xe2\x89\xa4", 0 },   { "\xe2\x89\xa5", 0 },
        { "\xe2\x86\x92", 0 }, { "\xe2\x87\x92", 0 },   { "\xe2\x80", 0 },
    };
    for (size_t i = 0; i < RT_COUNT(known); i++) {
        const uint32_t size = (uint32_t)strlen(known[i].bytes);
        if (!starts(s, s->at, known[i].bytes))
            continue;
        if (known[i].sign == 1) {
            s->at += size;
            return;
        }
        if (known[i].sign > 2)
            put_sign(s, known[i].sign, size);
        else
            put(s, known[i].sign == 2 ? PIPE_MATH_POISON : PIPE_MATH_BREAK, size);
        return;
    }
    uint32_t size = 1;
    while (((unsigned char)char_at(s, s->at + size) & 0xc0) == 0x80)
        size++;
    put(s, PIPE_MATH_POISON, size);
}

static void take_equals(struct scan *s)
{
    const char before = s->at ? s->text[s->at - 1] : ' ', after = char_at(s, s->at + 1);
    const bool plain = !strchr("<>!=~:", before) && after != '=' && after != '>';
    put(s, plain ? PIPE_MATH_EQUALS : PIPE_MATH_BREAK, 1);
}

/* A run of stars: a product, a power, or bold letters. */
static void take_star(struct scan *s)
{
    const uint32_t size = char_at(s, s->at + 1) == '*' ? 2 : 1;
    const char before = s->at ? s->text[s->at - 1] : ' ',
               after = char_at(s, s->at + size);
    const bool between =
        (is_digit(before) || before == ')') && (is_digit(after) || after == '(');
    if (size == 1) {
        put_sign(s, '*', 1);
    } else if (between) {
        put_sign(s, '^', 2);
    } else {
        s->at += 2;
        s->tight = false;
    }
}

static void take_line_end(struct scan *s)
{
    const uint32_t next = s->at + (uint32_t)strspn(s->text + s->at, " \t\r\n&");
    if (next < s->to && char_at(s, next) == '=') {
        s->at = next;
        s->tight = false;
    } else {
        put(s, PIPE_MATH_BREAK, 1)->sign = '\n';
    }
}

static void take_mark(struct scan *s, char c)
{
    if (starts(s, s->at, ">>") || starts(s, s->at, "<<")) {
        if (c == '>')
            put(s, PIPE_MATH_COPY, 2);
        else
            put(s, PIPE_MATH_BREAK, 2);
    } else if (c == '(' || c == '[') {
        put(s, c == '(' ? PIPE_MATH_OPEN : PIPE_MATH_BREAK, 1);
    } else if (c == ')') {
        put(s, PIPE_MATH_CLOSE, 1);
    } else if (c == '{') {
        s->at++;
        open_brace(s, BRACE_PLAIN);
    } else if (c == '}') {
        close_brace(s);
    } else {
        put(s, strchr("|^_!~%@", c) ? PIPE_MATH_POISON : PIPE_MATH_BREAK, 1)->sign =
            c == '?' ? c : 0;
    }
}

static void take(struct scan *s)
{
    const char c = char_at(s, s->at), next = char_at(s, s->at + 1);
    if (c == ' ' || c == '\t' || c == '\r' || c == '&') {
        s->at++;
        s->tight = false;
    } else if (c == '$') {
        s->at++;
        if (is_digit(char_at(s, s->at)))
            take_number(s, PIPE_MEASURE_DOLLAR);
    } else if (is_digit(c) || (c == '.' && is_digit(next))) {
        take_number(s, 0);
    } else if (is_times(s)) {
        put_sign(s, '*', 1);
    } else if (is_letter(c)) {
        take_word(s);
    } else if (c == '*') {
        take_star(s);
    } else if (c == '^' && next == '{') {
        put_sign(s, c, 1);
        open_brace(s, BRACE_GROUP);
        put(s, PIPE_MATH_OPEN, 1);
    } else if (strchr("+-/^", c)) {
        put_sign(s, c, 1);
    } else if (c == '=') {
        take_equals(s);
    } else if (c == '\n') {
        take_line_end(s);
    } else if (c == '\\') {
        take_command(s);
    } else if ((unsigned char)c >= 0x80) {
        take_wide(s);
    } else {
        take_mark(s, c);
    }
}

/* ---- units ---- */

static bool is_value_end(const struct pipe_math_token *t)
{
    return t->kind == PIPE_MATH_NUMBER || t->kind == PIPE_MATH_CLOSE ||
           t->kind == PIPE_MATH_UNIT;
}

/* A run of words [from, to) and where it ends: a unit, nothing, or what must not be computed
 * with. */
static enum pipe_math_kind kind_of_words(const struct pipe_math_token *all, uint32_t from,
                                         uint32_t to, uint32_t count, bool behind_value)
{
    bool joins = false;
    for (uint32_t i = from; i < to; i++) {
        if (all[i].alone || (all[i].shares && behind_value))
            return PIPE_MATH_POISON;
        joins |= all[i].joins;
    }
    if (!behind_value || joins || to - from > UNIT_WORDS_MAX)
        return PIPE_MATH_BREAK;
    if (to < count && all[to].kind == PIPE_MATH_SIGN && all[to].sign == '^')
        return PIPE_MATH_POISON;
    const bool goes_on = to < count && (all[to].kind == PIPE_MATH_NUMBER ||
                                        all[to].kind == PIPE_MATH_OPEN);
    return goes_on ? PIPE_MATH_BREAK : PIPE_MATH_UNIT;
}

/* Joins words in place; "/hour" loses its sign. Returns the new number of tokens. */
static uint32_t join_words(struct pipe_math_token *all, uint32_t count)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < count;) {
        if (all[i].kind != PIPE_MATH_WORD) {
            all[n++] = all[i++];
            continue;
        }
        uint32_t to = i;
        while (to < count && all[to].kind == PIPE_MATH_WORD)
            to++;
        const bool per = n >= 2 && all[n - 1].kind == PIPE_MATH_SIGN &&
                         all[n - 1].sign == '/' && is_value_end(&all[n - 2]);
        const bool behind = n && (per || is_value_end(&all[n - 1]));
        struct pipe_math_token t = all[i];
        t.kind = (uint8_t)kind_of_words(all, i, to, count, behind);
        t.sign = t.kind == PIPE_MATH_BREAK ? 'w' : 0;
        t.end = all[to - 1].end;
        t.unit = all[to - 1].unit;
        if (t.kind == PIPE_MATH_UNIT && per)
            n--;
        if (per)
            t.unit = 0;
        all[n++] = t;
        i = to;
    }
    return n;
}

uint32_t pipe_math_tokens(const char *text, uint32_t from, uint32_t to,
                          struct pipe_math_token *out, uint32_t max)
{
    struct scan s = { .text = text, .at = from, .to = to, .out = out, .max = max };
    while (s.at < to && s.count < max)
        take(&s);
    return join_words(out, s.count);
}

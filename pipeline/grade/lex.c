/* pipeline/grade/lex.c
 * Cuts one line of LaTeX into tokens: numbers, letters, words, commands, signs. */
#include "pipeline/grade/lex.h"

#include "pipeline/grade/chars.h"
#include "pipeline/grade/latex_commands.h"
#include "pipeline/grade/tree.h"

#include <assert.h>
#include <string.h>

enum { LETTERS_MAX = 64 }; /* letters; a longer run is cut, so that none is read twice */
enum { FACTORIALS_MAX = 64 };
enum { BRACE_GROUP, BRACE_CLEAR = 1, BRACE_WORDS = 2, BRACE_STYLE = 4 }; /* bits */

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

static bool is_vowel(char c)
{
    return strchr("aeiouyAEIOUY", c) != NULL && c;
}

void grade_lex_init(struct lexer *lex, const char *text, uint32_t size,
                    const struct pipe_policies *policies)
{
    *lex = (struct lexer){ .text = text, .size = size, .policies = policies };
}

static uint32_t digits_at(const struct lexer *lex, uint32_t at)
{
    uint32_t n = 0;
    while (is_digit(lex->text[at + n]))
        n++;
    return n;
}

char grade_lex_peek(const struct lexer *lex)
{
    uint32_t at = lex->at;
    while (lex->text[at] == ' ')
        at++;
    return lex->text[at];
}

/* ---- numbers ---- */

/* The length of further groups of three digits after the first, at most three digits. */
static uint32_t groups_at(struct lexer *lex, uint32_t first, uint32_t at)
{
    const char separator = lex->text[at];
    uint32_t n = 0;
    if ((separator != ',' && separator != ' ' && separator != '\'') || at - first > 3 ||
        (lex->text[first] == '0' && at - first == 1))
        return 0;
    if (separator == ',' && (lex->comma_lists || lex->decimal_comma))
        return 0;
    if (separator == ' ' && lex->policies->off[PIPE_POLICY_THOUSANDS_SPACE])
        return 0;
    if (first >= 2 && lex->text[first - 1] == separator && is_digit(lex->text[first - 2]))
        return 0;      /* the middle of a list */
    bool zero = false; /* 1,000 is no list of 1 and 000 */
    while (lex->text[at + n] == separator && digits_at(lex, at + n + 1) == 3) {
        zero |= lex->text[at + n + 1] == '0';
        n += 4;
    }
    if (n && lex->text[at + n] == separator && is_digit(lex->text[at + n + 1]))
        return 0; /* "1,234,5" is a list */
    if (n && separator == ',' && !zero)
        lex->grouped = true;
    if (n && separator == ' ')
        lex->spaced_groups = true;
    return n;
}

static uint32_t exponent_at(const struct lexer *lex, uint32_t at)
{
    if ((lex->text[at] != 'e' && lex->text[at] != 'E') ||
        lex->policies->off[PIPE_POLICY_E_NOTATION])
        return 0;
    const uint32_t sign = lex->text[at + 1] == '-' || lex->text[at + 1] == '+';
    const uint32_t digits = digits_at(lex, at + 1 + sign);
    return digits && !is_word_byte(lex->text[at + 1 + sign + digits]) ? 1 + sign + digits
                                                                      : 0;
}

/* "\overline{3}" and its like after a decimal fraction: the length, 0 none. */
static uint32_t repeating_at(const struct lexer *lex, uint32_t at)
{
    static const char *const marks[] = { "\\overline{", "\\bar{", "\\dot{", "\\overline",
                                         "\\bar " };
    for (size_t i = 0; i < RT_COUNT(marks); i++) {
        const uint32_t n = (uint32_t)strlen(marks[i]);
        if (strncmp(lex->text + at, marks[i], n) != 0)
            continue;
        const uint32_t braced = marks[i][n - 1] == '{';
        uint32_t d = digits_at(lex, at + n);
        d = braced || d < 1 ? d : 1;
        if (d && (!braced || lex->text[at + n + d] == '}'))
            return n + d + braced;
    }
    return 0;
}

/* Where spaces within a number do not matter: the length of what follows after one, or of
 * three digits after a comma and one. */
static uint32_t spaced_digits_at(const struct lexer *lex, uint32_t at)
{
    uint32_t n = 0;
    while (lex->policies->off[PIPE_POLICY_INNER_SPACE]) {
        const char *text = lex->text + at + n;
        const uint32_t gap = text[0] == ' ' ? 1 : strncmp(text, ", ", 2) == 0 ? 2 : 0;
        const uint32_t digits = gap ? digits_at(lex, at + n + gap) : 0;
        if (!digits || (gap == 2 && digits != 3) || text[gap + digits] == '/')
            break;
        n += gap + digits;
    }
    return n;
}

static struct token number(struct lexer *lex, struct token t)
{
    uint32_t at = lex->at;
    if (lex->single && is_digit(lex->text[at])) {
        t.end = lex->at = at + 1;
        return t;
    }
    at += digits_at(lex, at);
    at += groups_at(lex, t.start, at);
    at += spaced_digits_at(lex, at);
    const bool point =
        lex->text[at] == '.' || (lex->decimal_comma && lex->text[at] == ',');
    if (point && (is_digit(lex->text[at + 1]) || repeating_at(lex, at + 1))) {
        at += 1 + digits_at(lex, at + 1);
        at += repeating_at(lex, at);
    } else if (lex->text[at] == '.' && !is_word_byte(lex->text[at + 1]) && at > t.start) {
        at++;
    }
    if (lex->text[at] == ',' && is_digit(lex->text[at + 1]))
        lex->comma = true;
    at += exponent_at(lex, at);
    t.end = lex->at = at;
    return t;
}

/* ---- letters ---- */

static uint32_t letters_at(const struct lexer *lex, uint32_t at)
{
    uint32_t n = 0;
    while (n < LETTERS_MAX && is_word_byte(lex->text[at + n]))
        n++;
    return n;
}

/* A word of a text: letters, with hyphens, apostrophes and full stops between them. */
static uint32_t word_at(const struct lexer *lex, uint32_t at)
{
    uint32_t n = 0;
    for (;;) {
        n += letters_at(lex, at + n);
        if (n >= LETTERS_MAX)
            return n;
        const char c = lex->text[at + n];
        if ((c == '-' || c == '\'' || c == '.') && is_word_byte(lex->text[at + n + 1]))
            n++;
        else
            return n;
    }
}

/* A letter, with digits that follow it at once as its subscript. */
static struct token symbol(struct lexer *lex, struct token t)
{
    uint32_t n = 1;
    while ((lex->text[t.start + n] & 0xc0) == 0x80)
        n++;
    t.kind = T_SYMBOL;
    t.end = lex->at = t.start + n;
    t.name = grade_hash_bytes(lex->text + t.start, n);
    if (lex->styles && lex->policies->off[PIPE_POLICY_SYMBOL_STYLE])
        t.name = hash_mix(t.name, grade_hash_bytes("style", 5));
    if (n == 1 && (lex->text[t.start] == 'e' || lex->text[t.start] == 'i')) {
        t.kind = T_CONST;
        t.op = lex->text[t.start] == 'e' ? C_E : C_I;
    }
    return t;
}

static struct token from_command(struct token t, const struct command *c)
{
    const char *name = c->kind == T_SYMBOL ? "..." : c->name; /* all dots are alike */
    t.kind = c->kind;
    t.op = c->op;
    t.name = grade_hash_bytes(name, (uint32_t)strlen(name));
    return t;
}

/* Separators and the like among words; T_END: an ordinary word. */
static struct token special_word(const struct lexer *lex, struct token t, uint32_t n)
{
    static const struct {
        const char *word;
        uint8_t kind, op;
    } rows[] = {
        { "or", T_SEP, SEP_OR },      { "and", T_SEP, SEP_AND },
        { "percent", T_PERCENT, 0 },  { "pct", T_PERCENT, 0 },
        { "percents", T_PERCENT, 0 }, { "union", T_SETOP, S_UNION },
        { "to", T_COLON, 0 },         { "infinity", T_CONST, C_INFINITY },
        { "thousand", T_SCALE, 3 },   { "million", T_SCALE, 6 },
        { "billion", T_SCALE, 9 },    { "trillion", T_SCALE, 12 },
        { "hundred", T_SCALE, 2 },
    };
    t.kind = T_END;
    for (size_t i = 0; i < RT_COUNT(rows); i++)
        if (grade_word_is(lex->text + t.start, n, rows[i].word) &&
            ((rows[i].kind != T_SCALE && rows[i].kind != T_COLON) || lex->number)) {
            t.kind = rows[i].kind;
            t.op = rows[i].op;
        }
    return t;
}

static struct token word(struct lexer *lex, struct token t)
{
    const uint32_t n = word_at(lex, t.start);
    const struct token special = special_word(lex, t, n);
    t.end = lex->at = t.start + n;
    if (special.kind != T_END) {
        t.kind = special.kind;
        t.op = special.op;
        return t;
    }
    const struct command *c = grade_name_find(lex->text + t.start, n);
    if (c && !(lex->number && grade_unit_find(lex->text + t.start, n))) /* "5 min" */
        return from_command(t, c);
    t.kind = T_WORD;
    return t;
}

/* Whether a run of letters in a formula is a word rather than a product. */
static bool is_word(const struct lexer *lex, uint32_t at, uint32_t n)
{
    const char *text = lex->text + at;
    if (lex->number && grade_unit_find(text, n) && n > 1)
        return true;
    const struct unit_row *unit = n == 3 ? grade_unit_find(text, n) : NULL;
    if (unit && strncmp(unit->name, text, n) == 0) /* USD */
        return true;
    if (n > 1 && n < 4 && text[1] >= 'A' && text[1] <= 'Z') /* points, not "no" */
        return false;
    if (grade_word_is_known(text, n) ||
        special_word(lex, (struct token){ .start = at }, n).kind)
        return true;
    if (n == 1) /* an article */
        return (text[0] == 'a' || text[0] == 'A') && text[1] == ' ' &&
               letters_at(lex, at + 2) > 3;
    if (n < 4)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (is_vowel(text[i]) || (unsigned char)text[i] >= 0x80)
            return true;
    return false;
}

static bool is_ten_power(const char *text)
{
    while (*text == ' ')
        text++;
    return strncmp(text, "10^", 3) == 0;
}

static struct token letters(struct lexer *lex, struct token t)
{
    const uint32_t n = letters_at(lex, t.start);
    const char *text = lex->text + t.start;
    const uint32_t dotted = word_at(lex, t.start);
    if (n == 1 && text[0] == 'x' && lex->number && is_ten_power(text + 1)) {
        t.kind = T_TIMES; /* 3.2 x 10^5 */
        lex->at = t.end = t.start + 1;
        return t;
    }
    if ((lex->words > 0 && dotted > 1) ||
        (lex->number && n > 1 && grade_unit_find(text, n)) ||
        (lex->number && dotted > n && grade_unit_find(text, dotted)) ||
        (lex->number && lex->unit_letters && grade_unit_find(text, n)))
        return word(lex, t);
    const struct command *c = grade_name_find(text, n);
    if (n == 2 && text[0] == 'i' && text[1] == 'n' && lex->operand && !lex->number)
        c = grade_command_find("in", 2);
    for (uint32_t k = n - 1; !c && k >= 2 && n - k == 1; k--)
        c = grade_name_find(text, k); /* "sinx" */
    if (!c && n == 3 && strncmp(text, "pi", 2) == 0)
        c = grade_command_find("pi", 2);
    if (c) {
        t.end = lex->at = t.start + (uint32_t)strlen(c->name);
        return from_command(t, c);
    }
    return is_word(lex, t.start, n) ? word(lex, t) : symbol(lex, t);
}

/* ---- commands ---- */

static void push_brace(struct lexer *lex, uint8_t kind)
{
    if (lex->depth < LEX_BRACES_MAX)
        lex->braces[lex->depth] = kind;
    lex->depth++;
    lex->words += (kind & BRACE_WORDS) != 0;
    lex->styles += (kind & BRACE_STYLE) != 0;
}

/* The end of the braced argument at `at`, or `at`. */
static uint32_t argument_end(const struct lexer *lex, uint32_t at)
{
    uint32_t depth = 0;
    if (lex->text[at] != '{')
        return at;
    for (uint32_t i = at; i < lex->size; i++) {
        depth += lex->text[i] == '{';
        if (lex->text[i] == '}' && --depth == 0)
            return i + 1;
    }
    return lex->size;
}

/* The name in braces after \begin, \end, \mathbb; one letter without braces. */
static uint32_t argument_name(struct lexer *lex, uint32_t *size)
{
    while (lex->text[lex->at] == ' ')
        lex->at++;
    uint32_t start = lex->at;
    const uint32_t end = argument_end(lex, start);
    if (end > start + 1) {
        lex->at = end;
        *size = end - start - 2;
        return start + 1;
    }
    *size = is_word_byte(lex->text[start]);
    lex->at += *size;
    return start;
}

static struct token environment(struct lexer *lex, struct token t)
{
    uint32_t size;
    const uint32_t at = argument_name(lex, &size);
    const char *name = lex->text + at;
    while (size && name[size - 1] == '*')
        size--;
    t.name = grade_hash_bytes(name, size);
    const bool bars = size == 7 && strncmp(name, "vmatrix", 7) == 0;
    const bool matrix = size >= 6 && strncmp(name + size - 6, "matrix", 6) == 0;
    const bool array = size >= 5 && strncmp(name, "array", 5) == 0;
    const bool cases = size >= 5 && strncmp(name + size - 5, "cases", 5) == 0;
    t.op = bars ? 1 : cases ? 3 : matrix || array ? 0 : 2;
    if (t.kind == T_BEGIN && array)
        lex->at = argument_end(lex, lex->at); /* the columns */
    if (t.kind == T_BEGIN)
        lex->environments++;
    else if (lex->environments)
        lex->environments--;
    t.end = lex->at;
    return t;
}

/* A command around an answer that says nothing of its letters. */
static bool is_box(const struct command *c)
{
    return strcmp(c->name, "boxed") == 0 || strcmp(c->name, "fbox") == 0 ||
           strcmp(c->name, "framebox") == 0 || strcmp(c->name, "ensuremath") == 0;
}

/* What is not a token by itself. T_END: nothing, go on. */
static struct token passing(struct lexer *lex, struct token t, const struct command *c)
{
    t.kind = T_END;
    if (c->kind == COMMAND_SIDE && lex->text[lex->at] == '.')
        lex->at++;
    if (c->kind == COMMAND_DROP)
        lex->at = argument_end(lex, lex->at);
    if (c->kind == COMMAND_STYLE) {
        while (lex->text[lex->at] == ' ')
            lex->at++;
        if (lex->text[lex->at] == '{') {
            lex->at++;
            push_brace(lex, (uint8_t)(BRACE_CLEAR | (c->op ? BRACE_WORDS : 0) |
                                      (is_box(c) ? 0 : BRACE_STYLE)));
        }
    }
    return t;
}

static struct token command(struct lexer *lex, struct token t)
{
    const uint32_t n = letters_at(lex, t.start + 1);
    const char *name = lex->text + t.start + 1;
    lex->at = t.end = t.start + 1 + n;
    const struct command *c = grade_command_find(name, n);
    if (!c) {
        t.kind = T_SYMBOL;
        t.name = grade_hash_bytes(name, n);
        return t;
    }
    if (c->kind >= COMMAND_SKIP)
        return passing(lex, t, c);
    t = from_command(t, c);
    if (t.kind == T_BEGIN || t.kind == T_FINISH)
        return environment(lex, t);
    if (t.kind == T_NAMED &&
        (strcmp(c->name, "mathbb") == 0 || strcmp(c->name, "Bbb") == 0)) {
        uint32_t size;
        const uint32_t at = argument_name(lex, &size);
        t.op = size == 1 ? (uint8_t)lex->text[at] : '?';
        t.end = lex->at;
    }
    return t;
}

static struct token backslash(struct lexer *lex, struct token t)
{
    const char c = lex->text[t.start + 1];
    if (is_word_byte(c))
        return command(lex, t);
    t.end = lex->at = t.start + 1 + (c != '\0');
    switch (c) {
    case '{':
        t.kind = T_OPEN;
        t.op = 'S';
        break;
    case '}':
        t.kind = T_CLOSE;
        t.op = 'S';
        break;
    case '%':
        t.kind = T_PERCENT;
        break;
    case '|':
        t.kind = T_BAR;
        break;
    case '\\':
        t.kind = T_ROW;
        break;
    case '&':
        t.kind = T_SEP;
        t.op = SEP_AND;
        break;
    default: /* a space, or a slip: what follows stands for itself */
        t.kind = T_END;
        lex->at = t.start + (c == ' ' ? 2 : 1);
    }
    return t;
}

/* ---- all ---- */

static struct token close_brace(struct lexer *lex, struct token t)
{
    uint8_t kind = BRACE_GROUP;
    if (lex->depth)
        lex->depth--;
    if (lex->depth < LEX_BRACES_MAX)
        kind = lex->braces[lex->depth];
    lex->words -= (kind & BRACE_WORDS) && lex->words;
    lex->styles -= (kind & BRACE_STYLE) && lex->styles;
    lex->braces[lex->depth < LEX_BRACES_MAX ? lex->depth : 0] = BRACE_GROUP;
    t.kind = kind == BRACE_GROUP ? T_CLOSE : T_END;
    t.op = '}';
    return t;
}

/* Signs of one or two characters. */
static struct token sign(struct lexer *lex, struct token t)
{
    static const struct {
        const char *text;
        uint8_t kind, op;
    } rows[] = {
        { "...", T_SYMBOL, 0 },
        { "<=", T_REL, R_LE },
        { ">=", T_REL, R_GE },
        { "!=", T_REL, R_NE },
        { "==", T_REL, R_EQ },
        { "->", T_REL, R_OTHER },
        { "=>", T_REL, R_OTHER },
        { "+-", T_PM, 0 },
        { ":=", T_REL, R_EQ },
        { "=", T_REL, R_EQ },
        { "<", T_REL, R_LT },
        { ">", T_REL, R_GT },
        { "+", T_PLUS, 0 },
        { "-", T_MINUS, 0 },
        { "*", T_TIMES, 0 },
        { "/", T_OVER, 0 },
        { "^", T_CARET, 0 },
        { "_", T_UNDER, 0 },
        { "(", T_OPEN, '(' },
        { "[", T_OPEN, '[' },
        { ")", T_CLOSE, ')' },
        { "]", T_CLOSE, ']' },
        { "|", T_BAR, 0 },
        { ",", T_SEP, SEP_COMMA },
        { ";", T_SEP, SEP_SEMICOLON },
        { "&", T_COLUMN, 0 },
        { ":", T_COLON, 0 },
        { "!", T_FACTORIAL, 0 },
        { "%", T_PERCENT, 0 },
        { "'", T_PRIME, 0 },
    };
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        const uint32_t n = (uint32_t)strlen(rows[i].text);
        if (strncmp(lex->text + t.start, rows[i].text, n) == 0) {
            t.kind = rows[i].kind;
            t.op = rows[i].op;
            t.name = grade_hash_bytes(rows[i].text, n);
            t.end = lex->at = t.start + n;
            return t;
        }
    }
    t.kind = T_BAD;
    return t;
}

/* 5!! is one sign: the product of every second factor. */
static struct token factorials(struct lexer *lex, struct token t)
{
    uint32_t n = 0;
    while (lex->text[t.start + n] == '!')
        n++;
    t.kind = n <= FACTORIALS_MAX ? T_FACTORIAL : T_BAD;
    t.op = (uint8_t)(n > 1 && n <= FACTORIALS_MAX ? n : 0);
    t.end = lex->at = t.start + n;
    return t;
}

/* A full stop before a closing brace ends a sentence. */
static bool ends_group(const struct lexer *lex, uint32_t at)
{
    while (lex->text[at] == ' ')
        at++;
    return lex->text[at] == '}' || lex->text[at] == '\0';
}

static struct token lex_once(struct lexer *lex)
{
    struct token t = { .start = lex->at, .end = lex->at + 1, .styled = lex->words > 0 };
    const char c = lex->text[lex->at];
    if (is_digit(c) || (c == '.' && (is_digit(lex->text[lex->at + 1]) ||
                                     repeating_at(lex, lex->at + 1)))) {
        t.kind = T_NUMBER;
        return number(lex, t);
    }
    if (is_word_byte(c))
        return letters(lex, t);
    if (c == '\\')
        return backslash(lex, t);
    lex->at++;
    if (c == '{') {
        push_brace(lex, BRACE_GROUP);
        t.kind = T_OPEN;
        t.op = '{';
        return t;
    }
    if (c == '}')
        return close_brace(lex, t);
    const bool abbreviation =
        c == '.' && lex->at > 1 && is_word_byte(lex->text[lex->at - 2]);
    if (c == ' ' || abbreviation || (c == '.' && ends_group(lex, lex->at + 1)) ||
        (c == '.' && lex->words > 0)) {
        t.kind = T_END;
        return t;
    }
    /* 5!=120 is no inequality. */
    const bool number = lex->at > 1 && (is_digit(lex->text[lex->at - 2]) ||
                                        lex->text[lex->at - 2] == ')');
    return c == '!' && (number || lex->text[lex->at] == '!') ? factorials(lex, t)
                                                             : sign(lex, t);
}

struct token grade_lex_next(struct lexer *lex)
{
    bool spaced = false;
    while (lex->at < lex->size) {
        spaced |= lex->text[lex->at] == ' ';
        const uint32_t before = lex->at;
        struct token t = lex_once(lex);
        assert(lex->at > before || t.kind != T_END); /* what is left out is passed */
        if (t.kind != T_END) {
            t.spaced = spaced;
            return t;
        }
    }
    return (struct token){ .kind = T_END, .start = lex->size, .end = lex->size };
}

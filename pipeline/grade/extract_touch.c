/* pipeline/grade/extract_touch.c
 * Whether the only number of a line is its answer, or a part of an expression: 2^3,
 * \sqrt{3}, 2x and 1 million are not 2, 3, 2 and 1. A unit changes no number. */
#include "pipeline/grade/extract_find.h"

#include "pipeline/grade/chars.h"

#include <string.h>

/* Letters that are units, articles or "I" where they stand alone, not variables. */
static const char no_variables[] = "mghslLaAI";

static bool starts_with_any(struct span s, const char *const *words, size_t *size)
{
    for (; *words; words++)
        if (grade_span_starts(s, *words)) {
            *size = strlen(*words);
            return true;
        }
    return false;
}

static bool ends_with(struct span s, const char *word)
{
    const size_t n = strlen(word);
    return s.size >= n && memcmp(s.at + s.size - n, word, n) == 0;
}

static bool is_one_of(struct span word, const char *const *words)
{
    for (; *words; words++)
        if (strlen(*words) == word.size && memcmp(*words, word.at, word.size) == 0)
            return true;
    return false;
}

static struct span word_at(struct span s)
{
    size_t n = 0;
    while (n < s.size && is_letter(s.at[n]))
        n++;
    return (struct span){ s.at, n };
}

static struct span word_before(struct span s)
{
    size_t n = 0;
    while (n < s.size && is_letter(s.at[s.size - n - 1]))
        n++;
    return span_from(s, s.size - n);
}

static const char *const scales[] = { "hundred",  "thousand", "million",  "billion",
                                      "trillion", "Hundred",  "Thousand", "Million",
                                      "Billion",  "Trillion", NULL };
/* The grader takes these for units or variables. */
static const char *const counts[] = { "dozen", "dozens", "Dozen", "bn",    "mn",
                                      "mil",   "tn",     "lakh",  "crore", NULL };
static const char *const functions[] = { "sqrt", "log", "ln",  "sin", "cos",
                                         "tan",  "exp", "abs", "cot", "floor",
                                         "ceil", "pi",  NULL };
/* Commands around or behind a number that say how it looks, or that words follow. */
static const char *const styles[] = {
    "text",   "textbf", "textrm", "textit",     "mathrm",     "mathbf", "mathit",
    "mathsf", "mbox",   "hbox",   "boldsymbol", "bm",         "bold",   "bf",
    "rm",     "emph",   "quad",   "qquad",      "underline",  "circ",   "degree",
    "pounds", "euro",   "right",  "space",      "rightarrow", "tag",    NULL
};

/* White space, and the command that begins words. */
static struct span pass_filler(struct span s)
{
    static const char *const fillers[] = { " ",       "\t",        "\\ ",       "\\,",
                                           "\\;",     "\\:",       "~",         "\\quad",
                                           "\\text{", "\\mathrm{", "\\textrm{", NULL };
    size_t n;
    while (starts_with_any(s, fillers, &n))
        s = span_from(s, n);
    return s;
}

/* A letter that stands alone, pi, a root or a command with a value, at the start. */
static bool value_at(struct span s)
{
    static const char *const signs[] = { "\xcf\x80", "\xe2\x88\x9a", NULL };
    size_t n;
    if (starts_with_any(s, signs, &n))
        return true;
    if (s.size > 1 && s.at[0] == '\\' && is_letter(s.at[1]))
        return !is_one_of(word_at(span_from(s, 1)), styles);
    const struct span word = word_at(s);
    return is_one_of(word, functions) ||
           (word.size == 1 && !strchr(no_variables, word.at[0]));
}

static const char *const operators[] = {
    "+",      "-",       "*", "/", "\xc3\x97", "\xc2\xb7", "\xc3\xb7", "\xe2\x88\x92",
    "\\cdot", "\\times", NULL
};

/* A factorial: what ends a text or a sentence is an exclamation mark ("24!"). */
static bool factorial(struct span s)
{
    size_t n = 0;
    while (n < s.size && s.at[n] == '!')
        n++;
    return n > 0 && n < s.size && !strchr(" \t\r?.*_\"')", s.at[n]);
}

/* A power or a factorial of the number before. Degrees are a unit. */
static bool raised(struct span s)
{
    static const char *const degrees[] = { "^\\circ", "^{\\circ", "^ \\circ", "^\\degree",
                                           NULL };
    static const char *const marks[] = { "^",        "\xc2\xb2", "\xc2\xb3",
                                         "\xc2\xb9", "\xe2\x81", NULL };
    size_t n;
    return factorial(s) ||
           (starts_with_any(s, marks, &n) && !starts_with_any(s, degrees, &n));
}

/* What follows a number makes it another one. */
static bool changed_behind(struct span s)
{
    size_t n;
    if (raised(s) || (grade_span_starts(s, "(") && value_at(span_from(s, 1))))
        return true;
    const struct span next = pass_filler(s);
    if (starts_with_any(next, operators, &n))
        return value_at(pass_filler(span_from(next, n)));
    const struct span word = word_at(next);
    if (word.size == 1 && next.at > s.at) /* "18 p.m." */
        return strchr("xyznkKMB", word.at[0]) != NULL;
    return value_at(next) || is_one_of(word, scales);
}

/* An operator at the end, and a value before it: "x + 3". */
static bool operand_before(struct span s)
{
    for (size_t i = 0; operators[i]; i++) {
        if (!ends_with(s, operators[i]))
            continue;
        s.size -= strlen(operators[i]);
        s = grade_span_trim(s);
        const struct span word = word_before(s);
        const bool command = word.size < s.size && word.at[-1] == '\\';
        return ends_with(s, "\xcf\x80") || command || is_one_of(word, functions) ||
               (word.size == 1 && !strchr(no_variables, word.at[0]));
    }
    return false;
}

/* What stands before a number makes it another one. */
static bool changed_before(struct span s)
{
    const bool brace = ends_with(s, "{");
    if (brace || ends_with(s, "("))
        s.size--;
    if (ends_with(s, "^") || ends_with(s, "_") || (brace && ends_with(s, "}")))
        return true; /* an exponent, an index, the second argument of \frac */
    s = grade_span_trim(s);
    const struct span word = word_before(s);
    const bool command = word.size && word.size < s.size && word.at[-1] == '\\';
    if (ends_with(s, "\xe2\x88\x9a") || ends_with(s, "\xcf\x80") ||
        is_one_of(word, functions) || (brace && command && !is_one_of(word, styles)))
        return true;
    return operand_before(s);
}

/* "1.5 million" at the start, where the number has `size` bytes: all bytes, 0: it is not. */
static size_t scaled(struct span s, size_t size)
{
    size_t end = size;
    for (;;) {
        const struct span word = word_at(grade_span_trim(span_from(s, end)));
        if (!is_one_of(word, scales))
            return end > size ? end : 0;
        end = (size_t)(word.at + word.size - s.at);
    }
}

bool grade_find_expression(struct span line, struct found *out)
{
    const struct span number = out->parts[0];
    const struct span before = { line.at, (size_t)(number.at - line.at) };
    const struct span rest = span_from(line, before.size);
    const struct span behind = span_from(rest, number.size);
    struct span next = pass_filler(behind);
    if (grade_span_starts(next, "-"))
        next = span_from(next, 1);
    if (is_one_of(word_at(next), counts)) {
        out->stop = true;
        return false;
    }
    if (changed_before(before))
        return grade_found_one(grade_span_undress(line), out);
    const size_t with_scale = scaled(rest, number.size);
    if (with_scale)
        return grade_found_one((struct span){ rest.at, with_scale }, out);
    return !changed_behind(behind) || grade_found_one(grade_span_undress(line), out);
}

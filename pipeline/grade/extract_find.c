/* pipeline/grade/extract_find.c
 * The single rules that find a final answer in a text; extract.c says in which order
 * they are tried. */
#include "pipeline/grade/extract_find.h"

#include "pipeline/grade/chars.h"
#include "runtime/base/os.h"

#include <string.h>

/* ---- spans ---- */

bool grade_span_starts(struct span s, const char *word)
{
    const size_t n = strlen(word);
    return s.size >= n && memcmp(s.at, word, n) == 0;
}

bool grade_span_last(struct span s, const char *word, struct span *after)
{
    for (size_t i = s.size; i-- > 0;)
        if (s.at[i] == word[0] && grade_span_starts(span_from(s, i), word)) {
            *after = span_from(s, i + strlen(word));
            return true;
        }
    return false;
}

/* The same, whatever the case of letters. */
static bool last_caseless(struct span s, const char *word, struct span *before,
                          struct span *after)
{
    const size_t n = strlen(word);
    for (size_t i = s.size; i-- > 0;)
        if (i + n <= s.size && os_same_caseless(s.at + i, word, n)) {
            *before = (struct span){ s.at, i };
            *after = span_from(s, i + n);
            return true;
        }
    return false;
}

struct span grade_span_trim(struct span s)
{
    while (s.size && is_space(s.at[0]))
        s = span_from(s, 1);
    while (s.size && is_space(s.at[s.size - 1]))
        s.size--;
    return s;
}

struct span grade_span_line(struct span s)
{
    const char *end = memchr(s.at, '\n', s.size);
    return end ? (struct span){ s.at, (size_t)(end - s.at) } : s;
}

bool grade_found_one(struct span part, struct found *out)
{
    part = grade_span_trim(part);
    if (part.size == 0)
        return false;
    out->parts[0] = part;
    out->count = 1;
    out->all = part.size;
    return true;
}

/* ---- numbers in prose ---- */

/* The length of a separator of thousands at the start: one byte before three digits. */
static size_t group_at(struct span s)
{
    if (s.size < 4 || (s.at[0] != ',' && s.at[0] != ' '))
        return 0;
    for (size_t i = 1; i <= 3; i++)
        if (!is_digit(s.at[i]))
            return 0;
    return s.size > 4 && is_digit(s.at[4]) ? 0 : 4;
}

size_t grade_span_digits(struct span s)
{
    size_t n = 0;
    while (n < s.size && is_digit(s.at[n]))
        n++;
    return n;
}

static size_t exponent_at(struct span s)
{
    size_t n = 0;
    if (s.size > 1 && (s.at[0] == 'e' || s.at[0] == 'E')) {
        const size_t sign = s.at[1] == '-' || s.at[1] == '+';
        const size_t digits = grade_span_digits(span_from(s, 1 + sign));
        if (digits && !(1 + sign + digits < s.size && is_letter(s.at[1 + sign + digits])))
            n = 1 + sign + digits;
    }
    return n;
}

/* The length of an unsigned number at the start, 0: none. Percent sign and a fraction
 * over a number belong to it. */
static size_t number_at(struct span s)
{
    size_t n = grade_span_digits(s);
    if (n > 0 && n <= 3)
        for (size_t g; (g = group_at(span_from(s, n))) > 0;)
            n += g;
    if (n < s.size && s.at[n] == '.') {
        const size_t places = grade_span_digits(span_from(s, n + 1));
        n += places ? 1 + places : 0;
    }
    if (n == 0)
        return 0;
    n += exponent_at(span_from(s, n));
    if (n + 1 < s.size && s.at[n] == '/' && is_digit(s.at[n + 1]))
        n += 1 + grade_span_digits(span_from(s, n + 1));
    if (n < s.size && s.at[n] == '%')
        n++;
    else if (n + 1 < s.size && s.at[n] == '\\' && s.at[n + 1] == '%')
        n += 2;
    return n;
}

/* The length of a minus sign (or U+2212) that ends at `end` and is no subtraction, 0: none. */
static size_t minus_before(struct span s, size_t end)
{
    const size_t n = end > 0 && s.at[end - 1] == '-'                             ? 1
                     : end > 2 && memcmp(s.at + end - 3, "\xe2\x88\x92", 3) == 0 ? 3
                                                                                 : 0;
    if (n == 0 || n == end || is_space(s.at[end - n - 1]) ||
        strchr("($=:*[{#", s.at[end - n - 1]))
        return n;
    return 0;
}

/* The next number at or after *at, a minus sign that touches it included unless something
 * stands right before the sign. Moves *at behind it. */
static bool next_number(struct span s, size_t *at, struct span *out)
{
    for (size_t i = *at; i < s.size; i++) {
        const bool inside = i > 0 && (is_letter(s.at[i - 1]) || is_digit(s.at[i - 1]));
        const bool point = s.at[i] == '.' && i + 1 < s.size && is_digit(s.at[i + 1]);
        if (inside || !(is_digit(s.at[i]) || point))
            continue;
        const size_t n = number_at(span_from(s, i));
        size_t sign = i;
        if (sign && s.at[sign - 1] == '$')
            sign--;
        if (sign && s.at[sign - 1] == '\\')
            sign--;
        const size_t dash = minus_before(s, sign);
        if (dash && sign == i)
            *out = (struct span){ s.at + i - dash, n + dash };
        else
            *out = (struct span){ s.at + i, n };
        *at = i + n;
        if (*at < s.size && (is_letter(s.at[*at]) || is_digit(s.at[*at])) &&
            strncmp(s.at + *at, "m²", 3) != 0 &&
            n == grade_span_digits(span_from(s, i)) && *at + 1 < s.size &&
            is_digit(s.at[*at + 1]))
            continue; /* "3x4y": part of a name */
        return true;
    }
    *at = s.size;
    return false;
}

bool grade_find_next_number(struct span text, struct span *rest, struct found *out)
{
    size_t at = (size_t)(rest->at - text.at);
    struct span number;
    while (next_number(text, &at, &number)) {
        *rest = span_from(text, at);
        if (!grade_span_denied(text, number.at) &&
            !grade_span_refused(text, number.at + number.size))
            return grade_found_one(number, out);
    }
    return false;
}

bool grade_find_first_number(struct span text, struct found *out)
{
    struct span rest = text;
    return grade_find_next_number(text, &rest, out);
}

static bool last_number(struct span s, struct found *out)
{
    struct span rest = s;
    bool any = false;
    while (grade_find_next_number(s, &rest, out))
        any = true;
    return any;
}

bool grade_find_last_number(struct span text, struct found *out)
{
    return last_number(text, out);
}

/* ---- "the answer is" ---- */

/* A full stop before a space, or the first of several question or exclamation marks. */
static bool ends_sentence(struct span s, size_t at)
{
    size_t n = at + 1;
    while (s.at[at] != '.' && n < s.size && (s.at[n] == '!' || s.at[n] == '?'))
        n++;
    return n >= s.size || is_space(s.at[n]);
}

/* The end of the sentence at the start: a line end that is not within a formula, or a full
 * stop, question or exclamation mark before a space. */
static struct span sentence(struct span s)
{
    bool formula = false;
    for (size_t i = 0; i < s.size; i++) {
        const char c = s.at[i], next = i + 1 < s.size ? s.at[i + 1] : ' ';
        if (c == '\\' && (next == '(' || next == '['))
            formula = true;
        else if (c == '\\' && (next == ')' || next == ']'))
            formula = false;
        if (c == '\\') {
            i++;
            continue;
        }
        if (c == '$')
            formula = !formula;
        if ((c == '\n' && !formula &&
             grade_span_trim((struct span){ s.at, i }).size > 0) ||
            (strchr(".!?", c) && !formula && ends_sentence(s, i)))
            return (struct span){ s.at, i };
    }
    return s;
}

/* The label of a choice at the start that is all of what marks of emphasis are around, and
 * a value behind them: "(B)** 12". */
static bool marked_label(struct span s, const char *mark)
{
    const size_t open = s.size && s.at[0] == '(';
    size_t n = open + 1;
    if (s.size < 2 || s.at[open] < 'A' || s.at[open] > 'J')
        return false;
    if (n < s.size && (s.at[n] == ')' || (!open && strchr(".:", s.at[n]))))
        n++;
    else if (open)
        return false;
    if (!grade_span_starts(span_from(s, n), mark))
        return false;
    const struct span value = span_from(s, n + 2);
    return value.size > 1 && (is_space(value.at[0]) || strchr("$\\", value.at[0]));
}

struct span grade_span_undress(struct span s)
{
    s = grade_span_trim(s);
    const char *start = s.at;
    while (s.size && strchr("*:_ ", s.at[0]))
        s = span_from(s, 1);
    if (s.at - start >= 2 && strchr("*_", s.at[-1]) && s.at[-2] == s.at[-1] &&
        marked_label(s, s.at[-1] == '*' ? "**" : "__"))
        s = (struct span){ s.at - 2, s.size + 2 }; /* the mark before it is no rest */
    while (s.size && strchr("*_ .", s.at[s.size - 1]))
        s.size--;
    return grade_span_trim(s);
}

/* What follows the last of the phrases that announce an answer, to its sentence's end. */
static bool announced(struct span text, struct span *out)
{
    static const char *const phrases[] = {
        "answer is",        "answer:",  "answer**:", "answers are",
        "answer should be", "answer =", "option is", "choice is"
    };
    enum { TRIES = 4 }; /* "the answer is not 5" says nothing; what was said before? */
    for (int k = 0; k < TRIES; k++) {
        struct span before, after, earlier = { text.at, 0 };
        *out = (struct span){ text.at, 0 };
        for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
            if (last_caseless(text, phrases[i], &before, &after) &&
                (!out->size || after.at > out->at) &&
                grade_span_undress(after).size > 0) {
                *out = grade_span_undress(after);
                earlier = before;
            }
        if (!out->size)
            return false;
        *out = grade_span_undress(sentence(*out));
        if (out->size && grade_span_without_denial(out))
            return true;
        text = earlier;
    }
    return false;
}

/* A letter A to J that stands alone at the start, in round brackets or not. */
static bool letter_at(struct span s, struct span *letter, size_t *length)
{
    const size_t open = s.size && s.at[0] == '(';
    if (s.size <= open || s.at[open] < 'A' || s.at[open] > 'J')
        return false;
    const size_t end = open + 1 + (open && s.size > 2 && s.at[2] == ')');
    if (open && end != 3)
        return false;
    if (end < s.size &&
        (is_letter(s.at[end]) || is_digit(s.at[end]) || s.at[end] == '\''))
        return false;
    *letter = (struct span){ s.at + open, 1 };
    *length = end;
    return true;
}

/* "D, since the others do not fit": a choice and prose. "A, C" is a list. */
static bool choice_and_prose(struct span s, struct found *out)
{
    struct span letter;
    size_t n;
    if (!letter_at(s, &letter, &n))
        return false;
    while (n < s.size && (s.at[n] == '*' || s.at[n] == '_'))
        n++;
    if (n >= s.size || !strchr(",.:;)", s.at[n]))
        return false;
    const struct span rest = grade_span_trim(span_from(s, n + 1));
    return rest.size > 2 && is_letter(rest.at[0]) && is_letter(rest.at[1]) &&
           grade_found_one(letter, out);
}

/* What a sentence says in the end: its last formulas, or what follows a later "is". */
static bool said(struct span s, struct found *out)
{
    struct found formula = { 0 };
    struct span after, before;
    if (choice_and_prose(s, out))
        return true;
    const bool is =
        last_caseless(s, " is ", &before, &after) && grade_span_undress(after).size > 0;
    if (grade_find_formula(s, &formula) &&
        !(is && after.at > formula.parts[formula.count - 1].at)) {
        *out = formula;
        return true;
    }
    return grade_found_one(is ? grade_span_undress(after) : s, out);
}

static bool has_mathematics(struct span s)
{
    for (size_t i = 0; i < s.size; i++)
        if (is_digit(s.at[i]) || s.at[i] == '$' || s.at[i] == '\\')
            return true;
    return false;
}

/* "The final answer is ...", unless a box stands there or comes later. */
bool grade_find_minerva(struct span text, struct found *out)
{
    struct span before, after, end, rest, box;
    if (!last_caseless(text, "final answer is", &before, &after) ||
        grade_span_last(after, "boxed", &box) || grade_span_last(after, "fbox", &box))
        return false;
    struct span s = after;
    if (last_caseless(s, "i hope it is correct", &end, &rest))
        s = end;
    else
        s = sentence(s);
    s = grade_span_undress(s);
    if (s.size == 0 ||
        ((grade_span_last(before, "boxed", &box)) && !has_mathematics(s)) ||
        !grade_span_without_denial(&s))
        return false;
    return said(s, out);
}

bool grade_find_phrase(struct span text, struct found *out)
{
    struct span s;
    return announced(text, &s) && said(s, out);
}

bool grade_find_phrase_number(struct span text, struct found *out)
{
    struct span s, after, line = text;
    if (!announced(text, &s)) { /* "A: 18" on a line of its own */
        if (!grade_span_last(text, "\nA:", &line) &&
            !(grade_span_starts(text, "A:") && grade_span_last(text, "A:", &line)))
            return false;
        s = grade_span_line(line);
    }
    if (grade_span_last(s, "=", &after) && grade_find_first_number(after, out))
        return grade_find_expression(after, out);
    return grade_find_first_number(s, out) && grade_find_expression(s, out);
}

/* ---- choices ---- */

/* Prose that begins with a letter ("D. it cannot be A") or ends with one. */
bool grade_find_choice(struct span text, struct found *out)
{
    struct span s = grade_span_undress(text), letter;
    size_t length;
    if (letter_at(s, &letter, &length) &&
        (length == s.size || strchr(".,:;)\n", s.at[length]) || /* "C name", no article */
         (s.at[length] == ' ' && length + 1 < s.size && s.at[length + 1] >= 'A' &&
          s.at[length + 1] <= 'Z')) &&
        letter.at[0] != 'I')
        return grade_found_one(letter, out);
    for (size_t back = 1; back <= 3 && back <= s.size; back++) {
        const struct span tail = span_from(s, s.size - back);
        if ((back == s.size || strchr(" \n\t_:*", s.at[s.size - back - 1])) &&
            letter_at(tail, &letter, &length) && length == tail.size)
            return grade_found_one(letter, out);
    }
    return false;
}

/* What stands behind the last formulas. */
static struct span behind(struct span text, const struct found *formulas)
{
    const struct span last = formulas->parts[formulas->count - 1];
    return span_from(text, (size_t)(last.at + last.size - text.at));
}

/* The last formula, or a number that stands later. */
bool grade_find_last(struct span text, struct found *out)
{
    struct found number = { 0 };
    if (!grade_find_formula(text, out))
        return false;
    if (last_number(behind(text, out), &number))
        *out = number;
    return true;
}

/* The last formula, unless a text that has some ends with a plain number: "is 7.", "**7**". */
bool grade_find_formula_or_end(struct span text, struct found *out)
{
    struct span before, after;
    struct found number = { 0 };
    if (!grade_find_formula(text, out))
        return false;
    const struct span later = behind(text, out);
    if (last_caseless(later, " is ", &before, &after) &&
        grade_find_first_number(grade_span_undress(after), &number) &&
        number.parts[0].at == grade_span_undress(after).at)
        *out = number;
    else if (grade_find_bold(later, &number))
        *out = number;
    return true;
}

/* A short line without a word: nothing but an answer. Names of commands are no words. */
bool grade_find_whole(struct span text, struct found *out)
{
    enum { SHORT = 64 };
    struct span box;
    text = grade_span_undress(text);
    if (text.size > SHORT || grade_span_last(text, "boxed", &box))
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.at[i] == '\n')
            return false;
        size_t n = 0;
        while (i + n < text.size && is_letter(text.at[i + n]))
            n++;
        if (n > 1 && !(i > 0 && text.at[i - 1] == '\\'))
            return false;
        i += n ? n - 1 : 0;
    }
    return grade_found_one(text, out);
}

/* What follows the last "is", "are" or "equals", if that is an answer and no word. */
bool grade_find_end(struct span text, struct found *out)
{
    static const char *const verbs[] = { " is ", " are ", " equals " };
    struct span before, after, end = { 0 };
    text = grade_span_undress(text);
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (last_caseless(text, verbs[i], &before, &after) &&
            (!end.at || after.at > end.at))
            end = after;
    return end.at && grade_find_whole(end, out);
}

/* pipeline/grade/extract_guess.c
 * Guesses where nothing marks the answer: what is printed in bold last, the last number. */
#include "pipeline/grade/extract_find.h"

#include "pipeline/grade/chars.h"
#include "runtime/base/os.h"
#include "runtime/base/rt.h"

#include <string.h>

enum { BOLD_MAX = 96 }; /* bytes within; more is a heading or a sentence */

static bool has_digit(struct span s)
{
    for (size_t i = 0; i < s.size; i++)
        if (is_digit(s.at[i]))
            return true;
    return false;
}

/* "2. Check" and "3) Then" number a part of the text. */
static bool is_heading(struct span s)
{
    size_t n = 0;
    while (n < s.size && is_digit(s.at[n]))
        n++;
    return n > 0 && n + 1 < s.size && strchr(".)", s.at[n]) && s.at[n + 1] == ' ';
}

/* What is in bold, if it is an answer: mathematics without a word, or a number first. */
static bool answer_in(struct span text, struct span bold, struct found *out)
{
    bold = grade_span_undress(bold);
    if (!has_digit(bold) || is_heading(bold) || grade_span_denied(text, bold.at))
        return false;
    if (grade_find_whole(bold, out))
        return true;
    return strchr("0123456789-$\\", bold.at[0]) && grade_find_first_number(bold, out);
}

/* What bold type opens at the start: bytes of the opening mark, 0: none. */
static size_t opening(struct span s, const char **closing)
{
    static const char *const marks[][2] = { { "**", "**" },
                                            { "__", "__" },
                                            { "\\textbf{", "}" } };
    for (size_t i = 0; i < RT_COUNT(marks); i++)
        if (grade_span_starts(s, marks[i][0])) {
            *closing = marks[i][1];
            return strlen(marks[i][0]);
        }
    return 0;
}

bool grade_find_bold(struct span text, struct found *out)
{
    bool any = false;
    for (size_t i = 0; i + 1 < text.size; i++) {
        const char *closing;
        const size_t start = opening(span_from(text, i), &closing);
        if (start == 0)
            continue;
        const struct span rest = span_from(text, i + start);
        size_t n = 0;
        while (n < rest.size && n < BOLD_MAX && rest.at[n] != '\n' &&
               !grade_span_starts(span_from(rest, n), closing))
            n++;
        i += start - 1;
        if (n == rest.size || n == BOLD_MAX || rest.at[n] == '\n')
            continue;
        struct found one = { 0 };
        if (answer_in(text, (struct span){ rest.at, n }, &one)) {
            *out = one;
            any = true;
        }
        i += n + strlen(closing);
    }
    return any;
}

/* "Step 4", "Case 2": the number of a part of the text. */
static bool is_label(struct span text, const char *number)
{
    static const char *const words[] = { "step",    "case",     "part",
                                         "problem", "line",     "question",
                                         "figure",  "equation", "example" };
    struct span s = { text.at, (size_t)(number - text.at) };
    while (s.size && strchr(" *#\n", s.at[s.size - 1]))
        s.size--;
    for (size_t i = 0; i < RT_COUNT(words); i++) {
        const size_t n = strlen(words[i]);
        if (s.size >= n && os_same_caseless(s.at + s.size - n, words[i], n))
            return true;
    }
    return false;
}

/* In LaTeX text a dollar sign before a number may be the half of a formula. */
static bool is_price(struct span text, const char *number)
{
    return number > text.at && number[-1] == '$';
}

bool grade_find_number_said(struct span text, struct found *out)
{
    struct span rest = text;
    bool any = false;
    struct found one = { 0 };
    while (grade_find_next_number(text, &rest, &one))
        if (!is_label(text, one.parts[0].at) && !is_price(text, one.parts[0].at)) {
            *out = one;
            any = true;
        }
    return any;
}

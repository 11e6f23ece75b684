/* pipeline/grade/choice_label.c
 * Splits an answer into the letter of a choice and the value behind it. */
#include "pipeline/grade/choice_label.h"

#include "pipeline/grade/extract_find.h"

#include <string.h>

/* White space of text and of LaTeX at the start. */
static struct span pass_space(struct span s)
{
    static const char *const spaces[] = { "\\quad", "\\qquad", "\\ ", "\\,", "\\;", "\\:",
                                          "~",      " ",       "\t",  "\n",  "$" };
    for (size_t i = 0; i < sizeof spaces / sizeof spaces[0]; i++)
        if (grade_span_starts(s, spaces[i])) {
            s = span_from(s, strlen(spaces[i]));
            i = (size_t)-1;
        }
    if (s.size == 1 && s.at[0] == '\\') /* of "\ " whose space was trimmed */
        s = span_from(s, 1);
    return s;
}

/* A command of style or marks of emphasis at the start: what is inside and what follows. */
static bool styled(struct span s, struct span *inside, struct span *after)
{
    static const char *const commands[] = { "\\textbf{", "\\mathbf{",     "\\text{",
                                            "\\textrm{", "\\mathrm{",     "\\bold{",
                                            "\\textit{", "\\boldsymbol{", "\\bm{",
                                            "{\\bf ",    "{\\rm " };
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (!grade_span_starts(s, commands[i]))
            continue;
        const size_t start = strlen(commands[i]);
        size_t depth = 1, n = start;
        for (; n < s.size && depth; n++)
            depth += (s.at[n] == '{') - (size_t)(s.at[n] == '}');
        if (depth)
            return false;
        *inside = (struct span){ s.at + start, n - 1 - start };
        *after = span_from(s, n);
        return true;
    }
    static const char *const marks[] = { "**", "__" };
    for (size_t i = 0; i < 2; i++) {
        size_t n = 2;
        if (!grade_span_starts(s, marks[i]))
            continue;
        while (n < s.size && !grade_span_starts(span_from(s, n), marks[i]))
            n++;
        if (n >= s.size)
            return false;
        *inside = (struct span){ s.at + 2, n - 2 };
        *after = span_from(s, n + 2);
        return true;
    }
    return false;
}

/* "(B)", "B)", "B." at the start, or the letter alone, or "B:" alone: bytes, 0: none. */
static size_t label_at(struct span s, char *letter)
{
    const size_t open = s.size && s.at[0] == '(';
    if (s.size <= open || s.at[open] < 'A' || s.at[open] > 'J')
        return 0;
    *letter = s.at[open];
    const char next = open + 1 < s.size ? s.at[open + 1] : '\0';
    if (next == ')' || (next == '.' && !open) || (next == ':' && !open && s.size == 2))
        return open + 2;
    return next == '\0' && !open ? 1 : 0;
}

/* A value, not the rest of a formula or a list of choices. */
static bool is_value(struct span s)
{
    return s.size && !strchr(",;+*/^=_.)!'&:|<>", s.at[0]);
}

bool grade_choice_split(const char *text, char *letter, size_t *value_at,
                        size_t *value_size)
{
    const struct span whole = { text, strlen(text) };
    struct span s = grade_span_trim(pass_space(whole)), inside = s, after = { 0 };
    const bool style = styled(s, &inside, &after);
    inside = grade_span_trim(pass_space(inside));
    const size_t label = label_at(inside, letter);
    if (label == 0 || (!style && (label == 1 || label == inside.size)))
        return false;
    struct span value = span_from(inside, label);
    if (!style && grade_span_starts(value, "** ")) /* of "**Answer: (B)** 12" */
        value = span_from(value, 2);
    const struct span spaced = pass_space(value);
    if (!style && spaced.size == value.size)
        return false; /* (B)12 is a product */
    value = spaced.size ? spaced : pass_space(after);
    if (spaced.size && style && pass_space(after).size)
        return false; /* something else follows */
    value = grade_span_trim(value);
    while (value.size && value.at[value.size - 1] == '$')
        value.size--;
    *value_at = (size_t)(value.at ? value.at - text : 0);
    *value_size = value.size;
    return is_value(value);
}

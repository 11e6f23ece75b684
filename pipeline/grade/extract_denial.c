/* pipeline/grade/extract_denial.c
 * What a text says the answer is not: "not 5", "rather than $5$", "so $x \neq 3$". Such a
 * number or formula is no candidate for the answer. */
#include "pipeline/grade/extract_find.h"

#include "pipeline/grade/chars.h"
#include "runtime/base/os.h"
#include "runtime/base/rt.h"

#include <string.h>

enum { SENTENCE_MAX = 200 }; /* bytes looked at before a formula */

/* Takes a word off the end, whatever its case, if no letter stands before it. */
static bool ends_with(struct span s, const char *word)
{
    const size_t n = strlen(word);
    if (s.size < n || !os_same_caseless(s.at + s.size - n, word, n))
        return false;
    return s.size == n || !is_letter(s.at[s.size - n - 1]) || !is_letter(word[0]) ||
           word[1] == '\'';
}

/* Without the marks that stand between words and a value: spaces, dollar signs, opening
 * brackets, emphasis, "n =". */
static struct span before_value(struct span s)
{
    for (bool equation = false;;) {
        while (s.size && strchr(" \t\r\n$(*_{[+-~", s.at[s.size - 1]))
            s.size--;
        if (s.size && s.at[s.size - 1] == '\\') {
            s.size--;
        } else if (!equation && s.size > 1 && s.at[s.size - 1] == '=' &&
                   !strchr("!<>=\\", s.at[s.size - 2])) {
            struct span left = { s.at, s.size - 1 };
            while (left.size && left.at[left.size - 1] == ' ')
                left.size--;
            if (left.size == 0 || !is_letter(left.at[left.size - 1]) ||
                (left.size > 1 && is_letter(left.at[left.size - 2])))
                return s;
            s = (struct span){ left.at, left.size - 1 };
            equation = true;
        } else {
            return s;
        }
    }
}

bool grade_span_denied(struct span text, const char *value)
{
    static const char *const words[] = { "not",          "n't",         "never",
                                         "cannot",       "not be",      "n't be",
                                         "never be",     "cannot be",   "not equal",
                                         "not equal to", "n't equal",   "n't equal to",
                                         "not equals",   "rather than", "instead of",
                                         "other than",   "\\neq",       "\\ne",
                                         "\\not=",       " !=",         "<>",
                                         "\xe2\x89\xa0" };
    struct span s = before_value((struct span){ text.at, (size_t)(value - text.at) });
    if (ends_with(s, "the")) /* rather than the 8 */
        s = before_value((struct span){ s.at, s.size - 3 });
    if (s.size == 0 || !strchr("tredlosnfqTREDLOSNFQ=>\xa0", s.at[s.size - 1]))
        return false; /* none of the words ends so */
    for (size_t i = 0; i < RT_COUNT(words); i++)
        if (ends_with(s, words[i]))
            return !ends_with(s, "or not"); /* whether or not */
    return false;
}

bool grade_span_refused(struct span text, const char *after)
{
    static const char *const words[] = {
        "is not possible", "is impossible",  "is not a solution", "is not valid",
        "is invalid",      "is not allowed", "is extraneous",     "is rejected",
        "is not a root",   "does not work",  "doesn't work",      "is not the answer"
    };
    struct span s = { after, (size_t)(text.at + text.size - after) };
    while (s.size && strchr(" $)*", s.at[0]))
        s = (struct span){ s.at + 1, s.size - 1 };
    for (size_t i = 0; i < RT_COUNT(words); i++)
        if (grade_span_starts(s, words[i]))
            return true;
    return false;
}

/* Where the sentence that ends here begins. */
static struct span sentence_before(struct span text, const char *end)
{
    const char *at = end;
    while (at > text.at && (size_t)(end - at) < SENTENCE_MAX &&
           !(at[-1] == '\n' || ((at[-1] == '.' || at[-1] == '?' || at[-1] == '!') &&
                                at < end && (*at == ' ' || *at == '\n'))))
        at--;
    return (struct span){ at, (size_t)(end - at) };
}

/* Words that ask for all other values. */
static bool is_domain_word(const char *word, size_t n)
{
    static const char *const words[] = { "all",     "any",   "every",   "each",
                                         "domain",  "range", "defined", "except",
                                         "values",  "real",  "reals",   "numbers",
                                         "provided" };
    if (n < 3 || n > 8)
        return false;
    for (size_t i = 0; i < RT_COUNT(words); i++)
        if (strlen(words[i]) == n && os_same_caseless(word, words[i], n))
            return true;
    return false;
}

static bool asks_for_others(struct span s)
{
    for (size_t i = 0; i < s.size;) {
        size_t n = 0;
        while (i + n < s.size && is_letter(s.at[i + n]))
            n++;
        if (is_domain_word(s.at + i, n))
            return true;
        i += n ? n : 1;
    }
    return false;
}

static bool has_inequality(struct span s)
{
    static const char *const signs[] = { "\\ne",
                                         "\\not=", "\\not =", " !=", "\xe2\x89\xa0" };
    for (size_t i = 0; i < s.size; i++)
        for (size_t k = 0; strchr("\\ \xe2", s.at[i]) && k < RT_COUNT(signs); k++) {
            const struct span rest = { s.at + i, s.size - i };
            const size_t n = strlen(signs[k]);
            if (!grade_span_starts(rest, signs[k]))
                continue;
            const char next = n < rest.size ? rest.at[n] : ' ';
            if (k > 0 || !is_letter(next) || grade_span_starts(rest, "\\neq"))
                return true;
        }
    return false;
}

/* x \neq 3 is an answer where all other values are asked for. */
bool grade_formula_denies(struct span text, struct span formula)
{
    return has_inequality(formula) && !asks_for_others(sentence_before(text, formula.at));
}

static bool is_value(struct span s)
{
    return s.size && strchr("0123456789$\\-(", s.at[0]);
}

bool grade_span_without_denial(struct span *s)
{
    static const char *const joints[] = {
        ", not ",    "; not ",        " (not ",       " and not ",      ", but not ",
        " but not ", " rather than ", " instead of ", ", rather than ", ", instead of "
    };
    if (s->size > 4 && os_same_caseless(s->at, "not ", 4) &&
        is_value((struct span){ s->at + 4, s->size - 4 })) {
        for (size_t i = 4; i + 5 < s->size; i++)
            if (os_same_caseless(s->at + i, " but ", 5)) {
                *s = grade_span_trim((struct span){ s->at + i + 5, s->size - i - 5 });
                return s->size > 0;
            }
        return false;
    }
    bool formula = false;
    for (size_t i = 0; i < s->size; i++) {
        formula ^= s->at[i] == '$' && !(i > 0 && s->at[i - 1] == '\\');
        const struct span rest = { s->at + i, s->size - i };
        bool cut = grade_span_starts(rest, " not ") &&
                   is_value((struct span){ rest.at + 5, rest.size - 5 });
        for (size_t k = 0; k < RT_COUNT(joints); k++)
            cut |= grade_span_starts(rest, joints[k]);
        if (cut && !formula && i > 0) {
            *s = grade_span_trim((struct span){ s->at, i });
            return s->size > 0;
        }
    }
    return true;
}

/* pipeline/grade/extract_box.c
 * Boxes and formulas: what LaTeX marks as an answer, each in one pass over the text. */
#include "pipeline/grade/extract_find.h"

#include "pipeline/grade/chars.h"
#include "runtime/base/os.h"

#include <string.h>

enum { BRACES_MAX = 256 }; /* deeper ones are counted only */

struct box {
    struct span whole;  /* command and argument */
    struct span inside; /* trimmed */
};

struct boxes {
    struct box last[FOUND_PARTS_MAX]; /* in order */
    unsigned count;
};

/* The length of a box command at the start, 0: none. A backslash that was read as an
 * escape has left a backspace, or nothing. */
static size_t box_command(struct span s)
{
    static const char *const names[] = { "\\boxed", "\\fbox", "\boxed", "boxed{" };
    static const size_t sizes[] = { 6, 5, 5, 5 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (grade_span_starts(s, names[i]))
            return sizes[i];
    return 0;
}

/* A box replaces those inside it, but of two that hold the same the content is the inner
 * one's. Where there are too many the first is forgotten. */
static void add_box(struct boxes *b, struct span whole, struct span inside)
{
    inside = grade_span_trim(inside);
    while (b->count && b->last[b->count - 1].whole.at > whole.at) {
        const struct box *inner = &b->last[--b->count];
        if (inner->whole.at == inside.at && inner->whole.size == inside.size)
            inside = inner->inside;
    }
    if (inside.size == 0)
        return;
    if (b->count == FOUND_PARTS_MAX)
        memmove(b->last, b->last + 1, sizeof b->last[0] * --b->count);
    b->last[b->count++] = (struct box){ whole, inside };
}

/* A box without braces: its argument is what follows up to a space or dollar sign. */
static size_t add_bare_box(struct boxes *b, struct span s, size_t argument)
{
    size_t n = argument;
    while (n < s.size && !is_space(s.at[n]) && s.at[n] != '$')
        n++;
    add_box(b, (struct span){ s.at, n }, (struct span){ s.at + argument, n - argument });
    return n;
}

/* Boxes whose braces balance. Escaped braces are text. True: one is still open. */
static bool collect_boxes(struct span text, struct boxes *b)
{
    struct {
        size_t brace, command; /* command == brace: no box */
    } open[BRACES_MAX];
    size_t depth = 0;
    for (size_t i = 0; i < text.size; i++) {
        const struct span rest = span_from(text, i);
        const size_t command = strchr("\\\bb", rest.at[0]) ? box_command(rest) : 0;
        size_t start = i;
        if (command) {
            size_t at = command;
            while (at < rest.size && rest.at[at] == ' ')
                at++;
            if (at >= rest.size || rest.at[at] != '{') {
                i += add_bare_box(b, rest, at) - 1;
                continue;
            }
            i += at;
        } else if (rest.at[0] == '\\' && rest.size > 1 &&
                   !box_command(span_from(rest, 1))) {
            i++;
            continue;
        }
        if (text.at[i] == '{') {
            if (depth < BRACES_MAX) {
                open[depth].brace = i;
                open[depth].command = start;
            }
            depth++;
        } else if (text.at[i] == '}' && depth && --depth < BRACES_MAX) {
            start = open[depth].command;
            if (start != open[depth].brace)
                add_box(b, (struct span){ text.at + start, i + 1 - start },
                        (struct span){ text.at + open[depth].brace + 1,
                                       i - open[depth].brace - 1 });
        }
    }
    for (size_t i = 0; i < depth && i < BRACES_MAX; i++)
        if (open[i].command != open[i].brace)
            return true;
    return false;
}

/* Takes a word off the end, with the spaces before it. */
static bool take_last(struct span *s, const char *word)
{
    const size_t n = strlen(word);
    if (s->size < n || !os_same_caseless(s->at + s->size - n, word, n))
        return false;
    s->size -= n;
    *s = grade_span_trim(*s);
    return true;
}

/* Whether two boxes are one list: no sentence ends between them, and a comma, semicolon,
 * "and" or "or" stands right before the second, with other words before that if `words`. */
static bool is_joint(struct span gap, bool words)
{
    static const char *const dressing[] = { "$",   "\\(", "\\)", "\\quad", "\\text{",
                                            "\\ ", "\\,", "}",   "\\qquad" };
    static const char *const joints[] = { ",", ";", "and", "or", "\\lor", "\\cup" };
    if (gap.size > 70)
        return false;
    for (size_t i = 0; i < gap.size; i++)
        if (gap.at[i] == '.' || gap.at[i] == '=')
            return false;
    gap = grade_span_trim(gap);
    for (size_t i = 0; i < sizeof dressing / sizeof dressing[0]; i++)
        if (take_last(&gap, dressing[i]))
            i = (size_t)-1;
    for (size_t i = 0; i < sizeof joints / sizeof joints[0]; i++)
        if (take_last(&gap, joints[i]))
            return words || gap.size == 0 || (gap.size == 1 && gap.at[0] == ',');
    return false;
}

bool grade_find_box(struct span text, struct found *out)
{
    struct boxes b = { .count = 0 };
    out->stop = collect_boxes(text, &b); /* an answer that was cut is none */
    if (b.count == 0)
        return false;
    unsigned first = b.count - 1;
    while (first > 0) {
        const struct span before = b.last[first - 1].whole;
        const char *end = before.at + before.size;
        if (!is_joint((struct span){ end, (size_t)(b.last[first].whole.at - end) }, true))
            break;
        first--;
    }
    for (unsigned i = first; i < b.count; i++) {
        bool again = false;
        for (unsigned k = 0; k < out->count; k++)
            again |=
                out->parts[k].size == b.last[i].inside.size &&
                memcmp(out->parts[k].at, b.last[i].inside.at, b.last[i].inside.size) == 0;
        if (again)
            continue;
        out->all += b.last[i].inside.size + (out->count > 0);
        out->parts[out->count++] = b.last[i].inside;
    }
    return true;
}

/* ---- formulas ---- */

/* The place of the delimiter that closes a formula opened before `at`; size if none. A
 * single dollar before a digit may be a price: what closes that stands not after a space
 * and not before a digit. */
static size_t formula_end(struct span s, size_t at, const char *closing)
{
    const bool single = strcmp(closing, "$") == 0;
    const bool price = single && at < s.size && is_digit(s.at[at]);
    for (size_t i = at; i < s.size; i++) {
        if (grade_span_starts(span_from(s, i), closing)) {
            const bool digit = i + 1 < s.size && is_digit(s.at[i + 1]);
            return i > at && !(price && (digit || is_space(s.at[i - 1]))) ? i : s.size;
        }
        if (s.at[i] == '\\')
            i++;
        else if (single && s.at[i] == '$')
            return s.size;
    }
    return s.size;
}

/* The formula that opens at the start: what is inside and how long it is in all. */
static bool formula_at(struct span s, struct span *inside, size_t *length)
{
    static const char *const pairs[][2] = {
        { "$$", "$$" }, { "\\[", "\\]" }, { "\\(", "\\)" }, { "$", "$" }
    };
    for (size_t p = 0; p < 4; p++) {
        const size_t n = strlen(pairs[p][0]);
        if (!grade_span_starts(s, pairs[p][0]))
            continue;
        const size_t end = formula_end(s, n, pairs[p][1]);
        if (end >= s.size)
            return false;
        *inside = (struct span){ s.at + n, end - n };
        *length = end + strlen(pairs[p][1]);
        return grade_span_trim(*inside).size > 0;
    }
    return false;
}

/* The formulas of a text in order. Some opening marks that nothing closes end the search. */
struct formulas {
    struct span text;
    size_t at; /* the next byte to be looked at */
    unsigned failures;
};

static bool next_formula(struct formulas *f, struct span *whole, struct span *inside)
{
    for (; f->at < f->text.size && f->failures < 8; f->at++) {
        size_t length = 0;
        const char c = f->text.at[f->at];
        if (c != '$' && c != '\\')
            continue;
        if (formula_at(span_from(f->text, f->at), inside, &length)) {
            *whole = (struct span){ f->text.at + f->at, length };
            f->at += length;
            return true;
        }
        if (c == '\\') {
            const char next = f->at + 1 < f->text.size ? f->text.at[f->at + 1] : ' ';
            f->failures += next == '[' || next == '(';
            f->at++;
        }
    }
    return false;
}

/* "$k$ cannot be $0$": the gap makes the first formula the subject of the denial. */
static bool is_verb(struct span gap)
{
    static const char *const verbs[] = { "is ",  "isn't", "can",  "could", "does",
                                         "was ", "must",  "will", "never", "are " };
    gap = grade_span_trim(gap);
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (grade_span_starts(gap, verbs[i]))
            return gap.size < 32 && !memchr(gap.at, '.', gap.size) &&
                   !memchr(gap.at, ',', gap.size);
    return false;
}

bool grade_find_formula(struct span text, struct found *out)
{
    struct formulas f = { .text = text };
    struct span whole, inside;
    struct found before = { 0 }; /* what was found before the last formula */
    const char *end = NULL;
    while (next_formula(&f, &whole, &inside)) {
        if (grade_span_denied(text, whole.at)) {
            if (end && is_verb((struct span){ end, (size_t)(whole.at - end) }))
                *out = before;
            end = NULL;
            continue;
        }
        if (grade_formula_denies(text, inside) ||
            grade_span_refused(text, whole.at + whole.size))
            continue;
        if (!end || out->count == FOUND_PARTS_MAX ||
            !is_joint((struct span){ end, (size_t)(whole.at - end) }, false)) {
            before = *out;
            out->count = 0;
        }
        out->parts[out->count++] = grade_span_trim(inside);
        end = whole.at + whole.size;
    }
    out->all = 0;
    for (unsigned i = 0; i < out->count; i++)
        out->all += out->parts[i].size + (i > 0);
    return out->count > 0;
}

bool grade_find_inequality(struct span text, struct found *out)
{
    struct formulas f = { .text = text };
    struct span whole, inside;
    while (next_formula(&f, &whole, &inside))
        if (!grade_span_denied(text, whole.at) && grade_formula_denies(text, inside)) {
            out->parts[0] = grade_span_trim(inside);
            out->count = 1;
            out->all = out->parts[0].size;
        }
    return out->count > 0;
}

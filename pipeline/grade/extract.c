/* pipeline/grade/extract.c
 * Rules by style. Each looks for its last mark from the end, so that an answer that is
 * corrected later in the output counts as corrected. */
#include "pipeline/grade/extract.h"

#include "pipeline/grade/extract_find.h"

#include "runtime/base/rt.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* One rule: null name ends a list. False: it did not fire, the next is tried; with `stop`
 * set, none is tried. */
struct finder {
    const char *name;
    bool (*find)(struct span text, struct found *out);
};

enum { LOOK_BACK = 1 << 18 }; /* bytes; 32,768 tokens are about half of that */

struct pipe_answer_style {
    const char *name;
    enum {
        ANSWER_ANY,
        ANSWER_LITERAL, /* compared as strings */
        ANSWER_WHOLE    /* a whole number: of an equation, the right side is meant */
    } kind;
    struct finder rules[10];
};

static const struct pipe_answer_style styles[] = {
    { "gsm8k",
      ANSWER_ANY,
      { { "hashes", grade_find_hashes_number },
        { "box", grade_find_box },
        { "answer is", grade_find_phrase_number },
        { "last number", grade_find_last_number } } },
    { "math",
      ANSWER_ANY,
      { { "final answer phrase", grade_find_minerva },
        { "box", grade_find_box },
        { "hashes", grade_find_hashes },
        { "answer is", grade_find_phrase },
        { "last formula", grade_find_formula_or_end },
        { "whole text", grade_find_whole },
        { "bold text", grade_find_bold },
        { "last number", grade_find_number_said },
        { "last formula", grade_find_inequality } } },
    { "aime",
      ANSWER_WHOLE,
      { { "final answer phrase", grade_find_minerva },
        { "box", grade_find_box },
        { "hashes", grade_find_hashes },
        { "answer is", grade_find_phrase },
        { "last formula", grade_find_formula },
        { "whole text", grade_find_whole } } },
    { "text",
      ANSWER_ANY,
      { { "final answer phrase", grade_find_minerva },
        { "box", grade_find_box },
        { "hashes", grade_find_hashes },
        { "answer is", grade_find_phrase },
        { "choice", grade_find_choice },
        { "end", grade_find_end },
        { "last formula", grade_find_last },
        { "last formula", grade_find_inequality } } },
    { "gsm8k-strict", ANSWER_LITERAL, { { "hashes", grade_find_harness_strict } } },
    { "gsm8k-flexible",
      ANSWER_LITERAL,
      { { "last number", grade_find_harness_flexible } } },
};

const struct pipe_answer_style *pipe_answer_style_at(unsigned i)
{
    return i < RT_COUNT(styles) ? &styles[i] : NULL;
}

const struct pipe_answer_style *pipe_answer_style_find(const char *name)
{
    for (size_t i = 0; name && i < RT_COUNT(styles); i++)
        if (strcmp(styles[i].name, name) == 0)
            return &styles[i];
    return NULL;
}

const char *pipe_answer_style_name(const struct pipe_answer_style *style)
{
    return style->name;
}

bool pipe_answer_style_literal(const struct pipe_answer_style *style)
{
    return style->kind == ANSWER_LITERAL;
}

/* ---- what is looked at ---- */

/* Text that ends an answer in one chat format or other. */
static const char *const stops[] = { "<|im_end|>",    "<|im_start|>",
                                     "<|endoftext|>", "</s>",
                                     "<|eot_id|>",    "<|end_of_text|>",
                                     "<|assistant|>", "<|start_header_id|>" };

static struct span cut_at_stops(struct span s)
{
    for (size_t i = 0; i + 2 < s.size; i++)
        if (s.at[i] == '<' && (s.at[i + 1] == '|' || s.at[i + 1] == '/'))
            for (size_t k = 0; k < RT_COUNT(stops); k++)
                if (grade_span_starts((struct span){ s.at + i, s.size - i }, stops[k]) &&
                    i > 0)
                    return (struct span){ s.at, i };
    return s;
}

/* A model that runs on makes up the next problem of its prompt: what stands before that. */
static struct span before_next_problem(struct span s)
{
    static const char *const marks[] = { "Question:", "Q:", "Problem:" };
    for (size_t i = 1; i < s.size; i++)
        if (s.at[i - 1] == '\n')
            for (size_t k = 0; k < RT_COUNT(marks); k++)
                if (grade_span_starts((struct span){ s.at + i, s.size - i }, marks[k]))
                    return (struct span){ s.at, i };
    return s;
}

/* An answer stands at the end: so much of a text is looked at, whatever its length. */
static struct span tail_of(struct span s)
{
    size_t from = s.size > LOOK_BACK ? s.size - LOOK_BACK : 0;
    while (from && from < s.size && ((unsigned char)s.at[from] & 0xc0) == 0x80)
        from++; /* a whole character first */
    return (struct span){ s.at + from, s.size - from };
}

/* What follows the thinking. False: the thinking does not end. */
static bool after_thinking(struct span *s)
{
    struct span closing, opening;
    if (grade_span_last(*s, "</think>", &closing)) {
        *s = closing;
        return true;
    }
    return !grade_span_last(*s, "<think>", &opening);
}

static bool keep(struct found found, char *extracted, size_t size, const char **rule)
{
    if (found.all >= size) {
        *rule = "answer too long";
        return false;
    }
    size_t used = 0;
    for (unsigned i = 0; i < found.count; i++) {
        if (i)
            extracted[used++] = ',';
        memcpy(extracted + used, found.parts[i].at, found.parts[i].size);
        used += found.parts[i].size;
    }
    extracted[used] = '\0';
    return used > 0;
}

/* "m+n = 204" becomes "204". */
static void keep_right_side(char *extracted)
{
    char *side = strrchr(extracted, '=');
    if (!side || strchr(extracted, ','))
        return;
    side += 1 + strspn(side + 1, " ");
    const size_t digits = strspn(side, "0123456789");
    if (digits && side[digits + strspn(side + digits, " ")] == '\0')
        memmove(extracted, side, strlen(side) + 1);
}

/* The rule that fires, null: none. */
static const char *run_rules(const struct pipe_answer_style *style, struct span text,
                             struct found *found)
{
    for (const struct finder *f = style->rules; f->name; f++) {
        *found = (struct found){ .count = 0 };
        if (f->find(text, found))
            return f->name;
        if (found->stop)
            break;
    }
    return NULL;
}

/* ---- full-width characters ---- */

/* The ASCII that a character at `at` stands for in East Asian type, or a digit in a
 * mathematical alphabet: its bytes are *taken. 0: another one. */
static char narrow_of(struct span s, size_t at, size_t *taken)
{
    utf8proc_int32_t code = 0;
    if ((unsigned char)s.at[at] < 0xe3)
        return 0;
    const utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s.at + at,
                                                (utf8proc_ssize_t)(s.size - at), &code);
    *taken = n > 0 ? (size_t)n : 1;
    if (n <= 0)
        return 0;
    if (code >= 0xff01 && code <= 0xff5e)
        return (char)(code - 0xff01 + '!');
    if (code >= 0x1d7ce && code <= 0x1d7ff)
        return (char)('0' + (code - 0x1d7ce) % 10);
    return code == 0x3000 ? ' ' : 0;
}

/* A copy in which these are ASCII, as the rules look for it. NULL: there is none of them, or
 * no memory. An ideographic full stop becomes one with a space. */
static char *narrowed(struct span *s)
{
    size_t at = 0, n = 0, taken;
    while (at < s->size && !narrow_of(*s, at, &taken))
        at++;
    char *out = at < s->size ? malloc(s->size + 1) : NULL; /* lint: no context at hand */
    if (!out)
        return NULL;
    for (at = 0; at < s->size;) {
        const char c = narrow_of(*s, at, &taken);
        const bool stop = s->size - at >= 3 && memcmp(s->at + at, "\xe3\x80\x82", 3) == 0;
        if (stop)
            out[n++] = '.';
        out[n++] = stop ? ' ' : c ? c : s->at[at];
        at += stop ? 3 : c ? taken : 1;
    }
    out[n] = '\0';
    *s = (struct span){ out, n };
    return out;
}

/* ---- all ---- */

/* The rule that fires in the text, before a made-up next problem if there is one. */
static const char *find_answer(const struct pipe_answer_style *style, struct span whole,
                               struct found *found)
{
    const bool literal = style->kind == ANSWER_LITERAL;
    const struct span text = literal ? whole : before_next_problem(whole);
    const char *fired = run_rules(style, text, found);
    if (!fired && text.size < whole.size)
        fired = run_rules(style, whole, found);
    return fired;
}

bool pipe_extract(const struct pipe_answer_style *style, const char *output,
                  char *extracted, size_t size, const char **rule)
{
    struct span text = { output, strlen(output) };
    char *copy = NULL;
    if (size)
        extracted[0] = '\0';
    if (style->kind != ANSWER_LITERAL) {
        text = cut_at_stops(text);
        *rule = "thinking does not end";
        if (!after_thinking(&text))
            return false;
        text = tail_of(text);
        copy = narrowed(&text);
    }
    *rule = "no answer";
    struct found found;
    const char *fired = find_answer(style, text, &found);
    if (fired)
        *rule = fired;
    const bool kept = fired && keep(found, extracted, size, rule);
    free(copy); /* lint: see above */
    if (kept && style->kind == ANSWER_WHOLE)
        keep_right_side(extracted);
    return kept;
}

/* ---- the harness's comparison ---- */

/* The next kept byte at or after *at, 0 at the end. */
static char next_literal(struct span s, size_t *at)
{
    while (*at < s.size) {
        const char c = s.at[(*at)++];
        if (c != ',' && c != '$')
            return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    return 0;
}

static struct span literal_part(const char *text)
{
    struct span s = { text, strlen(text) }, after;
    if (grade_span_last(s, "#### ", &after))
        s = after;
    size_t end = s.size; /* a full stop that is last once the ignored bytes are gone */
    while (end && (s.at[end - 1] == ',' || s.at[end - 1] == '$'))
        end--;
    if (end && s.at[end - 1] == '.')
        s.size = end - 1;
    return s;
}

bool pipe_literal_equal(const char *gold, const char *extracted)
{
    const struct span a = literal_part(gold), b = literal_part(extracted);
    size_t i = 0, k = 0;
    for (;;) {
        const char x = next_literal(a, &i), y = next_literal(b, &k);
        if (x != y)
            return false;
        if (x == 0)
            return true;
    }
}

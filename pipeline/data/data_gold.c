/* pipeline/data/data_gold.c
 * Finds the gold answer in a field: after ####, in the last box, without what stands
 * in brackets. */
#include "pipeline/data/data_gold.h"

#include <assert.h>
#include <string.h>

struct span {
    const char *start;
    size_t length;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t copy_trimmed(struct span s, char *out)
{
    while (s.length && is_space(s.start[0])) {
        s.start++;
        s.length--;
    }
    while (s.length && is_space(s.start[s.length - 1]))
        s.length--;
    memmove(out, s.start, s.length);
    out[s.length] = '\0';
    return s.length;
}

/* The last place of `word` before `end`, or null. */
static const char *last_before(const char *text, const char *end, const char *word)
{
    const size_t length = strlen(word);
    assert(text <= end);
    for (const char *at = end; at-- > text;)
        if ((size_t)(end - at) >= length && strncmp(at, word, length) == 0)
            return at;
    return NULL;
}

static size_t after_hashes(const char *text, char *out)
{
    const char *at = last_before(text, text + strlen(text), "####");
    if (!at)
        return 0;
    at += 4;
    const size_t length = copy_trimmed((struct span){ at, strcspn(at, "\n") }, out);
    size_t kept = 0;
    for (size_t i = 0; i < length; i++)
        if (out[i] != ',' || i == 0 || !is_digit(out[i - 1]) || !is_digit(out[i + 1]))
            out[kept++] = out[i];
    out[kept] = '\0';
    return kept;
}

/* The length of what stands between the brace at `at` and the one that closes it; false if
 * none does. Escaped braces are text. */
static bool balanced(const char *at, size_t *length)
{
    size_t depth = 0;
    assert(*at == '{');
    for (const char *c = at; *c; c++) {
        if (*c == '\\' && c[1]) {
            c++;
        } else if (*c == '{') {
            depth++;
        } else if (*c == '}' && --depth == 0) {
            *length = (size_t)(c - at) - 1;
            return true;
        }
    }
    return false;
}

static bool box_at(const char *at, struct span *out)
{
    while (*at == ' ')
        at++;
    out->start = at;
    out->length = strcspn(at, "$ \t\r\n");
    if (*at != '{')
        return out->length > 0;
    out->start = at + 1;
    return balanced(at, &out->length);
}

static bool in_box(const char *text, char *out)
{
    static const char *const words[] = { "\\boxed", "\\fbox" };
    for (const char *end = text + strlen(text); end;) {
        const char *best = NULL;
        size_t skip = 0;
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            const char *at = last_before(text, end, words[i]);
            if (at && (!best || at > best)) {
                best = at;
                skip = strlen(words[i]);
            }
        }
        struct span box;
        if (best && box_at(best + skip, &box)) {
            copy_trimmed(box, out);
            return true;
        }
        end = best;
    }
    return false;
}

static size_t without_brackets(const char *text, char *out)
{
    size_t kept = 0, depth = 0;
    for (; *text; text++) {
        depth += *text == '(';
        if (depth == 0 && !(*text == ';' && kept && out[kept - 1] == ' '))
            out[kept++] = *text;
        else if (depth == 0)
            out[kept - 1] = ';'; /* the space before a removed unit goes too */
        depth -= *text == ')' && depth > 0;
    }
    return copy_trimmed((struct span){ out, kept }, out);
}

bool pipe_gold_extract(enum pipe_gold_rule rule, const char *text, char *out)
{
    out[0] = '\0';
    switch (rule) {
    case PIPE_GOLD_HASHES:
        return after_hashes(text, out) > 0;
    case PIPE_GOLD_BOXED:
        return in_box(text, out);
    case PIPE_GOLD_UNIT:
        return without_brackets(text, out) > 0;
    case PIPE_GOLD_PLAIN:
        break;
    }
    return copy_trimmed((struct span){ text, strlen(text) }, out) > 0;
}

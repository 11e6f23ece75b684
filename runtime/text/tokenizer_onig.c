/* runtime/text/tokenizer_onig.c
 * Patterns of Oniguruma, in the Ruby syntax that the tokenizers package uses, as patterns
 * of PCRE2. Where they differ:
 *   {n,m}+ and {n}?    a quantifier of a quantified item; {n}? is (?:...{n})?
 *   ^ $                hold at every line
 *   (?m)               the dot matches line ends too; (?i) lasts to the end of its group
 *                      and includes what follows a bar
 *   \h \N \O \R \w     hexadecimal digit, no line end, anything, a line end, Alphabetic
 *   ( )                groups are not kept: what would refer to them is refused
 * What cannot be said exactly is refused by name. */
#include "runtime/text/tokenizer_onig.h"

#include "runtime/text/tokenizer_pattern.h"
#include "runtime/text/tokenizer_unicode.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { DEPTH_MAX = 64, REPEAT_MAX = 60000 };
#define NO_END UINT32_MAX

rt_status text_onig_refuse(const struct onig *o, const char *from, const char *what)
{
    const char *end = o->at > o->end ? o->end : o->at;
    const int size = end - from > 40 ? 40 : (int)(end - from);
    return rt_fail(o->ctx, RT_ERR_INPUT,
                   "'%s': %s '%.*s' in the splitting pattern '%.200s' is not supported",
                   o->path, what, size, from, o->start);
}

void text_onig_deinit(struct onig_text *text)
{
    rt_free(text->bytes);
    *text = (struct onig_text){ 0 };
}

static rt_status reserve(struct onig *o, struct onig_text *out, size_t more)
{
    if (out->size + more < out->capacity)
        return RT_OK;
    const size_t capacity = 2 * (out->size + more) + 64;
    char *bytes = rt_resize(o->ctx, out->bytes, out->capacity, capacity, 1);
    if (!bytes)
        return rt_fail(o->ctx, RT_ERR_HOST_MEMORY, "'%s': no memory", o->path);
    out->bytes = bytes;
    out->capacity = capacity;
    return RT_OK;
}

static rt_status insert(struct onig *o, struct onig_text *out, size_t at,
                        const char *text)
{
    const size_t size = strlen(text);
    const rt_status st = reserve(o, out, size);
    if (st != RT_OK)
        return st;
    assert(at <= out->size);
    memmove(out->bytes + at + size, out->bytes + at, out->size - at);
    memcpy(out->bytes + at, text, size);
    out->size += size;
    out->bytes[out->size] = '\0';
    return RT_OK;
}

rt_status text_onig_put(struct onig *o, struct onig_text *out, const char *text)
{
    return insert(o, out, out->size, text);
}

static bool is_letter(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

rt_status text_onig_put_code(struct onig *o, struct onig_text *out, uint32_t c)
{
    char text[16];
    if (is_letter(c) || is_digit(c))
        snprintf(text, sizeof text, "%c", (char)c);
    else
        snprintf(text, sizeof text, "\\x{%x}", (unsigned)c);
    return text_onig_put(o, out, text);
}

/* ---- escapes ---- */

static bool take(struct onig *o, const char *text)
{
    const size_t size = strlen(text);
    if ((size_t)(o->end - o->at) < size || memcmp(o->at, text, size) != 0)
        return false;
    o->at += size;
    return true;
}

/* Up to `most` hexadecimal digits; returns how many. */
static int take_hex(struct onig *o, int most, uint32_t *value)
{
    int n = 0;
    *value = 0;
    for (; n < most && o->at < o->end; n++, o->at++) {
        const char c = *o->at;
        if (!(is_digit((uint8_t)c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
            break;
        *value = *value << 4 |
                 (uint32_t)(is_digit((uint8_t)c) ? c - '0' : (c | 32) - 'a' + 10);
    }
    return n;
}

static rt_status hex_code(struct onig *o, char letter, const char *from, uint32_t *c)
{
    int n;
    if (letter == 'x' && take(o, "{")) {
        n = take_hex(o, 8, c);
        if (n == 0 || !take(o, "}"))
            return text_onig_refuse(o, from, "the escape");
    } else {
        n = take_hex(o, letter == 'u' ? 4 : 2, c);
        if (n == 0 || (letter == 'u' && n != 4) || (letter == 'x' && *c > 0x7f))
            return text_onig_refuse(o, from,
                                    "the escape"); /* \xC3 is a byte, no character */
    }
    if (*c > 0x10ffff || (*c >= 0xd800 && *c <= 0xdfff))
        return text_onig_refuse(o, from, "the escape");
    return RT_OK;
}

rt_status text_onig_escaped_code(struct onig *o, uint32_t *c)
{
    static const char names[] = "tnrfvae", codes[] = "\t\n\r\f\v\a\x1b";
    const char *from = o->at - 1;
    *c = 0;
    if (o->at == o->end)
        return text_onig_refuse(o, from, "the escape");
    o->at += text_character(o->at, (size_t)(o->end - o->at), c);
    const char *name = *c < 0x80 && *c ? strchr(names, (int)*c) : NULL;
    if (name) {
        *c = (uint8_t)codes[name - names];
        return RT_OK;
    }
    if (*c == 'x' || *c == 'u')
        return hex_code(o, (char)*c, from, c);
    if (is_letter(*c) || is_digit(*c))
        return text_onig_refuse(o, from, "the escape");
    return RT_OK;
}

/* ---- quantifiers ---- */

struct repeat {
    uint32_t least, most; /* NO_END */
    const char *how;      /* "", "?" (few first) or "+" (gives nothing back) */
};

/* "{n,m}" with its number; false: it is plain text. */
static bool interval(struct onig *o, struct repeat *r)
{
    const char *from = o->at, *p = from + 1;
    uint64_t n[2] = { 0, 0 };
    bool given[2] = { false, false }, comma = false;
    for (; p < o->end && *p != '}'; p++) {
        if (*p == ',' && !comma) {
            comma = true;
        } else if (is_digit((uint8_t)*p) && n[comma] <= REPEAT_MAX) {
            n[comma] = 10 * n[comma] + (uint64_t)(*p - '0');
            given[comma] = true;
        } else {
            return false;
        }
    }
    if (p == o->end || (!given[0] && !given[1]))
        return false;
    o->at = p + 1;
    r->least = (uint32_t)n[0];
    r->most = !comma ? (uint32_t)n[0] : given[1] ? (uint32_t)n[1] : NO_END;
    return true;
}

/* The next quantifier; false: there is none. */
static rt_status quantifier(struct onig *o, struct repeat *r, bool *there)
{
    const char *from = o->at;
    const char c = from < o->end ? *from : '\0';
    bool braces = false;
    *r = (struct repeat){ 0, NO_END, "" };
    *there = false;
    if (c == '*' || c == '+' || c == '?') {
        o->at++;
        r->least = c == '+';
        r->most = c == '?' ? 1 : NO_END;
    } else if (c == '{' && interval(o, r)) {
        braces = true;
        if (r->most < r->least || r->least > REPEAT_MAX ||
            (r->most != NO_END && r->most > REPEAT_MAX))
            return text_onig_refuse(o, from, "the interval");
    } else {
        return RT_OK;
    }
    *there = true;
    if (braces && r->least == r->most)
        return RT_OK; /* a question mark behind it is a quantifier of its own */
    if (take(o, "?"))
        r->how = "?";
    else if (!braces && take(o, "+"))
        r->how = "+";
    return RT_OK;
}

static rt_status put_repeat(struct onig *o, const struct repeat *r)
{
    char text[40];
    if (r->most == NO_END && r->least < 2)
        snprintf(text, sizeof text, "%s%s", r->least ? "+" : "*", r->how);
    else if (r->most == NO_END)
        snprintf(text, sizeof text, "{%u,}%s", (unsigned)r->least, r->how);
    else if (r->least == 0 && r->most == 1)
        snprintf(text, sizeof text, "?%s", r->how);
    else
        snprintf(text, sizeof text, "{%u,%u}%s", (unsigned)r->least, (unsigned)r->most,
                 r->how);
    return text_onig_put(o, &o->out, text);
}

/* X{a,b} with a <= 1, repeated again, is one quantifier: the same ends in the same order,
 * without a stack as deep as the text is long. */
static bool joins(struct repeat *inner, const struct repeat *outer)
{
    if (*inner->how || *outer->how || inner->least > 1 || outer->least > 1 ||
        (outer->most != NO_END && outer->most != 1))
        return false;
    inner->least = inner->least && outer->least;
    if (outer->most == NO_END)
        inner->most = NO_END;
    return true;
}

/* The quantifiers behind the atom that begins at `atom` of the output. */
static rt_status quantifiers(struct onig *o, size_t atom, bool allowed)
{
    rt_status st;
    struct repeat r, next;
    bool there;
    const char *from = o->at;
    TRY(quantifier(o, &r, &there));
    if (there && !allowed)
        return text_onig_refuse(o, from, "the quantifier");
    while (there) {
        o->last_plain = 0;
        TRY(quantifier(o, &next, &there));
        if (there && joins(&r, &next))
            continue;
        TRY(put_repeat(o, &r));
        if (!there)
            break;
        TRY(insert(o, &o->out, atom, "(?:"));
        TRY(text_onig_put(o, &o->out, ")"));
        r = next;
    }
    return RT_OK;

fail:
    return st;
}

/* ---- atoms ---- */

static rt_status alternatives(struct onig *o);

/* A letter that ignores case: Oniguruma also compares what two letters fold to, so `ss`
 * is a sharp s there. */
static rt_status check_case(struct onig *o, const char *from, uint32_t c)
{
    static const char *const pairs[] = { "ss", "ff", "fi", "fl", "st" };
    if (!o->ignore_case)
        return RT_OK;
    const utf8proc_category_t kind = utf8proc_category((utf8proc_int32_t)c);
    if (c >= 0x80 && kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_ME)
        return text_onig_refuse(o, from, "a letter outside ASCII after (?i)");
    const uint32_t low = is_letter(c) ? c | 32 : c;
    for (size_t i = 0; i < RT_COUNT(pairs); i++)
        if (o->last_plain == (uint8_t)pairs[i][0] && low == (uint8_t)pairs[i][1])
            return text_onig_refuse(o, from,
                                    "a pair of letters with a ligature after (?i)");
    o->last_plain = low;
    return RT_OK;
}

static rt_status plain(struct onig *o, const char *from, uint32_t c)
{
    const rt_status st = check_case(o, from, c);
    return st == RT_OK ? text_onig_put_code(o, &o->out, c) : st;
}

static rt_status put_set(struct onig *o, const char *items, bool negated)
{
    rt_status st;
    TRY(text_onig_put(o, &o->out, negated ? "[^" : "["));
    TRY(text_onig_put(o, &o->out, items));
    TRY(text_onig_put(o, &o->out, "]"));

fail:
    return st;
}

/* Alone it has the numbers of Latin-1 too, in a class it has not. */
#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
#define WORD_ALONE WORD "\\x{b2}-\\x{b3}\\x{b9}\\x{bc}-\\x{be}"

const char *text_onig_set_items(char letter)
{
    switch (letter) {
    case 'd':
        return "\\p{Nd}";
    case 's':
        return "\\s";
    case 'w':
        return WORD;
    case 'h':
        return "0-9A-Fa-f";
    default:
        return NULL;
    }
}

/* Escapes that stand for themselves as an atom; *anchor: nothing to repeat. */
static const char *simple_escape(char letter, bool *anchor)
{
    *anchor = false;
    switch (letter) {
    case 'N':
        return "[^\\n]";
    case 'O':
        return "\\p{Any}";
    case 'R':
        return "(?>\\r\\n|[\\n-\\r\\x{85}\\x{2028}\\x{2029}])";
    default:
        break;
    }
    *anchor = true;
    switch (letter) {
    case 'A':
        return "\\A";
    case 'z':
        return "\\z";
    case 'Z':
        return "\\Z";
    case 'b':
        return "(?:(?<=[" WORD_ALONE "])(?![" WORD_ALONE "])|(?<![" WORD_ALONE
               "])(?=[" WORD_ALONE "]))";
    case 'B':
        return "(?:(?<=[" WORD_ALONE "])(?=[" WORD_ALONE "])|(?<![" WORD_ALONE
               "])(?![" WORD_ALONE "]))";
    default:
        return NULL;
    }
}

static rt_status escape(struct onig *o, bool *anchor)
{
    rt_status st;
    uint32_t c;
    const char *from = o->at++, *items;
    const char letter = o->at < o->end ? *o->at : '\0';
    bool negated;
    *anchor = false;
    if (letter == 'p' || letter == 'P') {
        o->at++;
        TRY(text_onig_property(o, letter, &items, &negated));
        o->last_plain = 0;
        return put_set(o, strcmp(items, WORD) == 0 ? WORD_ALONE : items, negated);
    }
    items = letter ? text_onig_set_items((char)(letter | 32)) : NULL;
    if (items && is_letter((uint8_t)letter)) {
        o->at++;
        o->last_plain = 0;
        return put_set(o, (letter | 32) == 'w' ? WORD_ALONE : items, letter < 'a');
    }
    const char *simple = simple_escape(letter, anchor);
    if (simple) {
        o->at++;
        o->last_plain = 0;
        return text_onig_put(o, &o->out, simple);
    }
    *anchor = false;
    TRY(text_onig_escaped_code(o, &c));
    return plain(o, from, c);

fail:
    return st;
}

/* ---- groups ---- */

/* What is in a group, up to its bracket, which stays. */
static rt_status inside(struct onig *o, const char *opening)
{
    rt_status st;
    o->last_plain = 0;
    TRY(text_onig_put(o, &o->out, opening));
    TRY(alternatives(o));
    TRY(text_onig_put(o, &o->out, ")"));
    o->last_plain = 0;

fail:
    return st;
}

static rt_status close_group(struct onig *o, const char *from)
{
    return take(o, ")") ? RT_OK : text_onig_refuse(o, from, "a group without end");
}

/* "(?i-m:...)" and "(?i)", which lasts to the end of the group around it. */
static rt_status options(struct onig *o, const char *from)
{
    rt_status st;
    const bool ignore_case = o->ignore_case, dot_all = o->dot_all;
    bool on = true;
    for (; o->at < o->end && *o->at != ':' && *o->at != ')'; o->at++) {
        if (*o->at == '-' && on)
            on = false;
        else if (*o->at == 'i')
            o->ignore_case = on;
        else if (*o->at == 'm')
            o->dot_all = on;
        else {
            o->at++;
            return text_onig_refuse(o, from, "the group");
        }
    }
    const bool whole = o->at < o->end && *o->at == ':';
    o->at += o->at < o->end;
    TRY(inside(o, o->ignore_case ? "(?i:" : "(?-i:"));
    if (whole)
        TRY(close_group(o, from));
    o->ignore_case = ignore_case;
    o->dot_all = dot_all;

fail:
    return st;
}

static rt_status group(struct onig *o, bool *anchor)
{
    static const char *const kinds[] = { "?:", "?=", "?!", "?>", "?<=", "?<!" };
    rt_status st;
    const char *from = o->at++;
    *anchor = false;
    for (size_t i = 0; i < RT_COUNT(kinds); i++)
        if (take(o, kinds[i])) {
            char opening[8];
            snprintf(opening, sizeof opening, "(%s", kinds[i]);
            *anchor = i != 0 && i != 3;
            TRY(inside(o, opening));
            return close_group(o, from);
        }
    if (take(o, "?#")) {
        while (o->at < o->end && *o->at != ')')
            o->at++;
        return close_group(o, from);
    }
    if (take(o, "?<") || take(o, "?'")) {
        while (o->at < o->end && *o->at != '>' && *o->at != '\'')
            o->at++;
        o->at += o->at < o->end;
    } else if (take(o, "?")) {
        return options(o, from);
    } else if (o->at < o->end && *o->at == '*') {
        o->at++;
        return text_onig_refuse(o, from, "the group");
    }
    TRY(inside(o, "(?:"));
    return close_group(o, from);

fail:
    return st;
}

/* ---- the whole ---- */

static rt_status atom(struct onig *o, bool *anchor)
{
    const char *from = o->at;
    uint32_t c;
    *anchor = false;
    switch (*from) {
    case '(':
        return group(o, anchor);
    case '\\':
        return escape(o, anchor);
    case '[':
        o->at++;
        o->last_plain = 0;
        return text_onig_class(o, &o->out);
    case '.':
        o->at++;
        o->last_plain = 0;
        return text_onig_put(o, &o->out, o->dot_all ? "\\p{Any}" : "[^\\n]");
    case '^':
    case '$':
        o->at++;
        o->last_plain = 0;
        *anchor = true;
        return text_onig_put(o, &o->out, *from == '^' ? "(?m:^)" : "(?m:$)");
    case '*':
    case '+':
    case '?':
        o->at++;
        return text_onig_refuse(o, from, "a quantifier of nothing,");
    default:
        o->at += text_character(from, (size_t)(o->end - from), &c);
        return plain(o, from, c);
    }
}

static rt_status alternatives(struct onig *o)
{
    rt_status st;
    bool anchor;
    if (++o->depth > DEPTH_MAX)
        return text_onig_refuse(o, o->at, "a group so deep at");
    while (o->at < o->end && *o->at != ')') {
        if (take(o, "|")) {
            o->last_plain = 0;
            TRY(text_onig_put(o, &o->out, "|"));
            continue;
        }
        const size_t begin = o->out.size;
        TRY(atom(o, &anchor));
        if (o->out.size > begin)
            TRY(quantifiers(o, begin, !anchor));
    }
    o->depth--;
    return RT_OK;

fail:
    return st;
}

rt_status text_onig_translate(struct rt_ctx *ctx, const char *path, const char *pattern,
                              size_t size, char **out)
{
    rt_status st;
    struct onig o = {
        .ctx = ctx, .path = path, .start = pattern, .at = pattern, .end = pattern + size
    };
    *out = NULL;
    TRY(text_onig_put(&o, &o.out, ""));
    TRY(alternatives(&o));
    if (o.at < o.end) {
        const char *from = o.at++;
        st = text_onig_refuse(&o, from, "a bracket that closes nothing,");
        goto fail;
    }
    *out = o.out.bytes;
    o.out.bytes = NULL;

fail:
    text_onig_deinit(&o.out);
    return st;
}

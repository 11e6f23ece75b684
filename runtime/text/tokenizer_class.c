/* runtime/text/tokenizer_class.c
 * Classes of characters in Oniguruma's patterns: sets by name, nested classes and
 * intersections, as PCRE2 can say them. */
#include "runtime/text/tokenizer_onig.h"

#include "runtime/text/tokenizer_unicode.h"

#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

enum { DEPTH_MAX = 64 };

/* Changes of Alphabetic and Lowercase for code points that are older than PCRE2 10.42. */
#define ALPHA                                                                      \
    "\\p{Alphabetic}\\x{363}-\\x{36f}\\x{c04}\\x{f82}-\\x{f83}\\x{1dd3}-\\x{1de6}" \
    "\\x{11080}-\\x{11081}"
#define LOWER "\\p{Lowercase}\\x{10fc}\\x{a7f2}-\\x{a7f4}\\x{ab69}"
#define GRAPH "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Cf}\\p{Co}"

/* Names without case, spaces, hyphens and underscores; items of a class. */
static const char *const names[][2] = {
    { "alnum", ALPHA "\\p{Nd}" },
    { "alpha", ALPHA },
    { "alphabetic", ALPHA },
    { "ascii", "\\x{0}-\\x{7f}" },
    { "blank", "\\p{Zs}\\x{9}" },
    { "cntrl", "\\p{Cc}" },
    { "digit", "\\p{Nd}" },
    { "graph", GRAPH },
    { "lower", LOWER },
    { "lowercase", LOWER },
    { "print", GRAPH "\\p{Zs}" },
    { "space", "\\s" },
    { "whitespace", "\\s" },
    { "upper", "\\p{Uppercase}" },
    { "uppercase", "\\p{Uppercase}" },
    { "word", "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}" },
    { "xdigit", "0-9A-Fa-f" },
    { "any", "\\p{Any}" },
    { "punct", "\\p{P}" },
    { "l", "\\p{L}" },
    { "letter", "\\p{L}" },
    { "lc", "\\p{Lu}\\p{Ll}\\p{Lt}" },
    { "casedletter", "\\p{Lu}\\p{Ll}\\p{Lt}" },
    { "lu", "\\p{Lu}" },
    { "uppercaseletter", "\\p{Lu}" },
    { "ll", "\\p{Ll}" },
    { "lowercaseletter", "\\p{Ll}" },
    { "lt", "\\p{Lt}" },
    { "titlecaseletter", "\\p{Lt}" },
    { "lm", "\\p{Lm}" },
    { "modifierletter", "\\p{Lm}" },
    { "lo", "\\p{Lo}" },
    { "otherletter", "\\p{Lo}" },
    { "m", "\\p{M}" },
    { "mark", "\\p{M}" },
    { "mn", "\\p{Mn}" },
    { "nonspacingmark", "\\p{Mn}" },
    { "mc", "\\p{Mc}" },
    { "spacingmark", "\\p{Mc}" },
    { "me", "\\p{Me}" },
    { "enclosingmark", "\\p{Me}" },
    { "n", "\\p{N}" },
    { "number", "\\p{N}" },
    { "nd", "\\p{Nd}" },
    { "decimalnumber", "\\p{Nd}" },
    { "nl", "\\p{Nl}" },
    { "letternumber", "\\p{Nl}" },
    { "no", "\\p{No}" },
    { "othernumber", "\\p{No}" },
    { "p", "\\p{P}" },
    { "punctuation", "\\p{P}" },
    { "pc", "\\p{Pc}" },
    { "pd", "\\p{Pd}" },
    { "ps", "\\p{Ps}" },
    { "pe", "\\p{Pe}" },
    { "pi", "\\p{Pi}" },
    { "pf", "\\p{Pf}" },
    { "po", "\\p{Po}" },
    { "s", "\\p{S}" },
    { "symbol", "\\p{S}" },
    { "sm", "\\p{Sm}" },
    { "sc", "\\p{Sc}" },
    { "sk", "\\p{Sk}" },
    { "so", "\\p{So}" },
    { "z", "\\p{Z}" },
    { "separator", "\\p{Z}" },
    { "zs", "\\p{Zs}" },
    { "zl", "\\p{Zl}" },
    { "zp", "\\p{Zp}" },
    { "c", "\\p{C}" },
    { "other", "\\p{C}" },
    { "cc", "\\p{Cc}" },
    { "control", "\\p{Cc}" },
    { "cf", "\\p{Cf}" },
    { "format", "\\p{Cf}" },
    { "co", "\\p{Co}" },
    { "cn", "\\p{Cn}" },
    { "unassigned", "\\p{Cn}" },
    { "arabic", "\\p{sc:Arabic}" },
    { "armenian", "\\p{sc:Armenian}" },
    { "bengali", "\\p{sc:Bengali}" },
    { "common", "\\p{sc:Common}" },
    { "cyrillic", "\\p{sc:Cyrillic}" },
    { "devanagari", "\\p{sc:Devanagari}" },
    { "georgian", "\\p{sc:Georgian}" },
    { "greek", "\\p{sc:Greek}" },
    { "gujarati", "\\p{sc:Gujarati}" },
    { "han", "\\p{sc:Han}" },
    { "hangul", "\\p{sc:Hangul}" },
    { "hebrew", "\\p{sc:Hebrew}" },
    { "hiragana", "\\p{sc:Hiragana}" },
    { "katakana", "\\p{sc:Katakana}" },
    { "khmer", "\\p{sc:Khmer}" },
    { "lao", "\\p{sc:Lao}" },
    { "latin", "\\p{sc:Latin}" },
    { "mongolian", "\\p{sc:Mongolian}" },
    { "myanmar", "\\p{sc:Myanmar}" },
    { "tamil", "\\p{sc:Tamil}" },
    { "telugu", "\\p{sc:Telugu}" },
    { "thai", "\\p{sc:Thai}" },
    { "tibetan", "\\p{sc:Tibetan}" },
};
enum { BRACKET_NAMES = 17 }; /* the first ones, also between "[:" and ":]" */

/* Cased sets mean something else to PCRE2 after (?i). */
static bool is_cased(const char *items)
{
    return strstr(items, "{Lu}") || strstr(items, "{Ll}") || strstr(items, "{Lt}") ||
           strstr(items, "case}");
}

static const char *items_of(const char *name, size_t size, size_t count)
{
    char plain[40];
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        const char c = name[i];
        if (c == ' ' || c == '-' || c == '_')
            continue;
        if (n + 1 == sizeof plain)
            return NULL;
        plain[n++] = (char)(c >= 'A' && c <= 'Z' ? c | 32 : c);
    }
    plain[n] = '\0';
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i][0], plain) == 0)
            return names[i][1];
    return NULL;
}

rt_status text_onig_property(struct onig *o, char letter, const char **items,
                             bool *negated)
{
    const char *from = o->at - 2;
    *negated = letter == 'P';
    *items = NULL;
    if (o->at == o->end || *o->at != '{')
        return text_onig_refuse(o, from, "the property");
    const char *name = ++o->at;
    const char *end = memchr(name, '}', (size_t)(o->end - name));
    o->at = end ? end + 1 : o->end;
    if (!end)
        return text_onig_refuse(o, from, "the property");
    if (*name == '^') {
        *negated = !*negated;
        name++;
    }
    *items = items_of(name, (size_t)(end - name), RT_COUNT(names));
    if (!*items || (o->ignore_case && is_cased(*items)))
        return text_onig_refuse(o, from, "the property");
    return RT_OK;
}

/* ---- classes ---- */

/* A class while it is read: what can stand within brackets, what cannot (each behind a
 * bar), and what all of it must be as well. */
struct set {
    struct onig_text items, others, all_of;
    bool negated;
};

static void set_deinit(struct set *s)
{
    text_onig_deinit(&s->items);
    text_onig_deinit(&s->others);
    text_onig_deinit(&s->all_of);
}

/* Items, or all but them where negated. */
static rt_status add_items(struct onig *o, struct set *s, const char *items, bool negated)
{
    rt_status st;
    if (!negated)
        return text_onig_put(o, &s->items, items);
    TRY(text_onig_put(o, &s->others, "|[^"));
    TRY(text_onig_put(o, &s->others, items));
    TRY(text_onig_put(o, &s->others, "]"));

fail:
    return st;
}

/* The union of items and others as one atom. */
static rt_status put_union(struct onig *o, struct onig_text *out, const struct set *s)
{
    rt_status st;
    if (!s->items.size && !s->others.size)
        return text_onig_put(o, out, "(?!)");
    TRY(text_onig_put(o, out, s->others.size ? "(?:" : ""));
    if (s->items.size) {
        TRY(text_onig_put(o, out, "["));
        TRY(text_onig_put(o, out, s->items.bytes));
        TRY(text_onig_put(o, out, "]"));
    }
    if (s->others.size) {
        TRY(text_onig_put(o, out, s->others.bytes + (s->items.size ? 0 : 1)));
        TRY(text_onig_put(o, out, ")"));
    }

fail:
    return st;
}

static rt_status put_set(struct onig *o, struct onig_text *out, const struct set *s)
{
    rt_status st;
    if (s->negated && s->items.size && !s->others.size && !s->all_of.size) {
        TRY(text_onig_put(o, out, "[^"));
        TRY(text_onig_put(o, out, s->items.bytes));
        return text_onig_put(o, out, "]");
    }
    if (s->negated)
        TRY(text_onig_put(o, out, "(?:(?!"));
    if (s->all_of.size) {
        TRY(text_onig_put(o, out, "(?:"));
        TRY(text_onig_put(o, out, s->all_of.bytes));
    }
    TRY(put_union(o, out, s));
    if (s->all_of.size)
        TRY(text_onig_put(o, out, ")"));
    if (s->negated)
        TRY(text_onig_put(o, out, ")\\p{Any})"));

fail:
    return st;
}

/* "&&": what has been read is one side of an intersection. */
static rt_status intersect(struct onig *o, struct set *s)
{
    rt_status st;
    TRY(text_onig_put(o, &s->all_of, "(?="));
    TRY(put_union(o, &s->all_of, s));
    TRY(text_onig_put(o, &s->all_of, ")"));
    s->items.size = s->others.size = 0;

fail:
    return st;
}

static bool ahead(const struct onig *o, const char *text)
{
    const size_t size = strlen(text);
    return (size_t)(o->end - o->at) >= size && memcmp(o->at, text, size) == 0;
}

/* "[:alpha:]", "[:^alpha:]". */
static rt_status bracket_name(struct onig *o, struct set *s)
{
    const char *from = o->at, *name = from + 2;
    const bool negated = name < o->end && *name == '^';
    name += negated;
    const char *end = name;
    while (end < o->end && *end >= 'a' && *end <= 'z')
        end++;
    o->at = end;
    if (!ahead(o, ":]"))
        return text_onig_refuse(o, from, "the class");
    o->at += 2;
    const char *items = end - name == 5 && memcmp(name, "punct", 5) == 0
                            ? "\\p{P}\\p{S}"
                            : items_of(name, (size_t)(end - name), BRACKET_NAMES);
    if (!items || (o->ignore_case && is_cased(items)))
        return text_onig_refuse(o, from, "the class");
    return add_items(o, s, items, negated);
}

static rt_status read_set(struct onig *o, struct set *s);

static rt_status nested(struct onig *o, struct set *s)
{
    rt_status st;
    struct set inner = { 0 };
    o->at++;
    TRY(read_set(o, &inner));
    if (!inner.negated && !inner.others.size && !inner.all_of.size) {
        TRY(text_onig_put(o, &s->items, inner.items.size ? inner.items.bytes : ""));
    } else {
        TRY(text_onig_put(o, &s->others, "|"));
        TRY(put_set(o, &s->others, &inner));
    }

fail:
    set_deinit(&inner);
    return st;
}

/* A set by an escape; *done is false if it is no such escape, and nothing is read. */
static rt_status escaped_set(struct onig *o, struct set *s, bool *done)
{
    rt_status st;
    const char *items;
    bool negated;
    const char letter = o->end - o->at > 1 ? o->at[1] : '\0';
    const bool property = letter == 'p' || letter == 'P';
    *done = property || (letter >= 'A' && text_onig_set_items((char)(letter | 32)));
    if (!*done)
        return RT_OK;
    o->at += 2;
    if (property)
        TRY(text_onig_property(o, letter, &items, &negated));
    else {
        items = text_onig_set_items((char)(letter | 32));
        negated = letter < 'a';
    }
    return add_items(o, s, items, negated);

fail:
    return st;
}

/* One character of a class, escaped or not. */
static rt_status class_code(struct onig *o, uint32_t *c)
{
    const char *from = o->at;
    *c = 0;
    if (o->at == o->end)
        return text_onig_refuse(o, from, "a class without end");
    if (*o->at != '\\') {
        o->at += text_character(o->at, (size_t)(o->end - o->at), c);
        return RT_OK;
    }
    o->at++;
    if (ahead(o, "b")) {
        o->at++;
        *c = '\b';
        return RT_OK;
    }
    return text_onig_escaped_code(o, c);
}

static rt_status check_case(struct onig *o, const char *from, uint32_t c)
{
    const utf8proc_category_t kind = utf8proc_category((utf8proc_int32_t)c);
    return o->ignore_case && c >= 0x80 && kind >= UTF8PROC_CATEGORY_LU &&
                   kind <= UTF8PROC_CATEGORY_ME
               ? text_onig_refuse(o, from, "a letter outside ASCII after (?i)")
               : RT_OK;
}

/* A character, or a range that begins with it. */
static rt_status character_or_range(struct onig *o, struct set *s)
{
    rt_status st;
    uint32_t first, last;
    bool is_set;
    const char *from = o->at;
    TRY(class_code(o, &first));
    TRY(check_case(o, from, first));
    TRY(text_onig_put_code(o, &s->items, first));
    if (!ahead(o, "-") || ahead(o, "-]"))
        return RT_OK;
    o->at++;
    struct set none = { 0 };
    TRY(escaped_set(o, &none, &is_set));
    set_deinit(&none);
    if (is_set || ahead(o, "["))
        return text_onig_refuse(o, from, "the range");
    TRY(class_code(o, &last));
    TRY(check_case(o, from, last));
    if (last < first || (o->ignore_case && last >= 0x80))
        return text_onig_refuse(o, from, "the range");
    TRY(text_onig_put(o, &s->items, "-"));
    TRY(text_onig_put_code(o, &s->items, last));

fail:
    return st;
}

/* Behind a set no range can begin. */
static rt_status no_range(struct onig *o, const char *from)
{
    if (!ahead(o, "-") || ahead(o, "-]"))
        return RT_OK;
    o->at++;
    return text_onig_refuse(o, from, "the range");
}

static rt_status read_item(struct onig *o, struct set *s)
{
    rt_status st;
    bool done = true;
    const char *from = o->at;
    if (ahead(o, "&&")) {
        o->at += 2;
        return intersect(o, s);
    }
    if (ahead(o, "[:"))
        TRY(bracket_name(o, s));
    else if (ahead(o, "["))
        TRY(nested(o, s));
    else if (ahead(o, "\\"))
        TRY(escaped_set(o, s, &done));
    else
        done = false;
    return done ? no_range(o, from) : character_or_range(o, s);

fail:
    return st;
}

/* Reads up to the bracket that closes the class. */
static rt_status read_set(struct onig *o, struct set *s)
{
    rt_status st;
    const char *from = o->at;
    if (++o->depth > DEPTH_MAX)
        return text_onig_refuse(o, from, "a class so deep at");
    s->negated = ahead(o, "^");
    o->at += s->negated;
    if (ahead(o, "]")) { /* the first one is itself */
        o->at++;
        TRY(text_onig_put_code(o, &s->items, ']'));
    }
    while (o->at < o->end && *o->at != ']')
        TRY(read_item(o, s));
    if (o->at == o->end)
        return text_onig_refuse(o, from, "a class without end");
    o->at++;
    o->depth--;
    return RT_OK;

fail:
    return st;
}

rt_status text_onig_class(struct onig *o, struct onig_text *out)
{
    struct set s = { 0 };
    rt_status st = read_set(o, &s);
    if (st == RT_OK)
        st = put_set(o, out, &s);
    set_deinit(&s);
    return st;
}

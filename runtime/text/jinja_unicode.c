/* runtime/text/jinja_unicode.c
 * Characters as Python's str sees them: white space, cases, kinds. */
#include "runtime/text/jinja_impl.h"

#include "runtime/text/jinja_unicode_table.h"

#include <string.h>
#include <utf8proc.h>

uint32_t jinja_decode(const char *data, size_t *at)
{
    const uint8_t *p = (const uint8_t *)data + *at;
    if (p[0] < 0x80) {
        *at += 1;
        return p[0];
    }
    if (p[0] < 0xe0) {
        *at += 2;
        return (uint32_t)(p[0] & 31) << 6 | (p[1] & 63u);
    }
    if (p[0] < 0xf0) {
        *at += 3;
        return (uint32_t)(p[0] & 15) << 12 | (uint32_t)(p[1] & 63) << 6 | (p[2] & 63u);
    }
    *at += 4;
    return (uint32_t)(p[0] & 7) << 18 | (uint32_t)(p[1] & 63) << 12 |
           (uint32_t)(p[2] & 63) << 6 | (p[3] & 63u);
}

bool jinja_is_space(uint32_t c)
{
    if (c < 0x80)
        return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x1f);
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
           c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

static utf8proc_category_t category(uint32_t c)
{
    return utf8proc_category((utf8proc_int32_t)c);
}

bool jinja_is_printable(uint32_t c)
{
    if (c < 0x7f)
        return c >= 0x20;
    switch (category(c)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return false;
    default:
        return true;
    }
}

static bool in_spans(const struct jinja_span *spans, uint32_t c)
{
    for (; spans->to && spans->from <= c; spans++)
        if (c <= spans->to)
            return true;
    return false;
}

static bool is_alpha(uint32_t c)
{
    const utf8proc_category_t kind = category(c);
    return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}

bool jinja_is_decimal(uint32_t c)
{
    return category(c) == UTF8PROC_CATEGORY_ND;
}

static bool is_digit(uint32_t c)
{
    return jinja_is_decimal(c) || in_spans(jinja_digits, c);
}

static bool is_numeric(uint32_t c)
{
    return is_digit(c) || in_spans(jinja_numerals, c);
}

bool jinja_is_alnum(uint32_t c)
{
    if (c < 0x80)
        return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
    return is_alpha(c) || is_numeric(c);
}

static bool is_lower(uint32_t c)
{
    return category(c) == UTF8PROC_CATEGORY_LL || in_spans(jinja_other_lower, c);
}

static bool is_upper(uint32_t c)
{
    return category(c) == UTF8PROC_CATEGORY_LU || in_spans(jinja_other_upper, c);
}

static bool is_titled(uint32_t c)
{
    return category(c) == UTF8PROC_CATEGORY_LT;
}

static bool is_cased(uint32_t c)
{
    return is_lower(c) || is_upper(c) || is_titled(c);
}

/* Marks and signs that a word goes on through, for the last sigma of a word. */
static bool is_ignorable(uint32_t c)
{
    static const uint32_t signs[] = { 0x27,   0x2e,   0x3a,   0xb7,   0x387,  0x55f,
                                      0x5f4,  0x2018, 0x2019, 0x2024, 0x2027, 0xfe13,
                                      0xfe52, 0xfe55, 0xff07, 0xff0e, 0xff1a };
    for (size_t i = 0; i < RT_COUNT(signs); i++)
        if (c == signs[i])
            return true;
    switch (category(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
        return true;
    default:
        return false;
    }
}

static const struct jinja_special_case *special_case(uint32_t c)
{
    const struct jinja_special_case *s = jinja_special_cases;
    while (s->c && s->c < c)
        s++;
    return s->c == c ? s : NULL;
}

static bool write_fold(struct jinja_run *run, struct jinja_buffer *buffer, uint32_t c)
{
    utf8proc_int32_t room[8];
    int boundary = 0;
    const utf8proc_ssize_t n = utf8proc_decompose_char(
        (utf8proc_int32_t)c, room, RT_COUNT(room), UTF8PROC_CASEFOLD, &boundary);
    for (utf8proc_ssize_t i = 0; i < n; i++)
        if (!jinja_write_character(run, buffer, (uint32_t)room[i]))
            return false;
    return true;
}

/* The capital or title letters of a letter beyond ASCII. */
static bool write_capital(struct jinja_run *run, struct jinja_buffer *buffer, uint32_t c,
                          bool is_title)
{
    const utf8proc_int32_t u = (utf8proc_int32_t)c;
    const struct jinja_special_case *s = special_case(c);
    if (!s)
        return jinja_write_character(
            run, buffer,
            (uint32_t)(is_title ? utf8proc_totitle(u) : utf8proc_toupper(u)));
    const uint32_t *letters = is_title ? s->title : s->upper;
    for (int i = 0; i < 3 && letters[i]; i++)
        if (!jinja_write_character(run, buffer, letters[i]))
            return false;
    return true;
}

static uint32_t ascii_case(uint32_t c, enum jinja_case how)
{
    if ((c | 32) < 'a' || (c | 32) > 'z')
        return c;
    return how == JINJA_UPPER || how == JINJA_TITLE ? c & ~32u : c | 32u;
}

bool jinja_write_case(struct jinja_run *run, struct jinja_buffer *buffer, uint32_t c,
                      enum jinja_case how)
{
    if (c < 0x80)
        return jinja_write_character(run, buffer, ascii_case(c, how));
    if (how == JINJA_FOLD)
        return write_fold(run, buffer, c);
    if (how != JINJA_LOWER)
        return write_capital(run, buffer, c, how == JINJA_TITLE);
    if (c == 0x130) /* the one letter that becomes two */
        return jinja_write(run, buffer, "i\xcc\x87", 3);
    return jinja_write_character(run, buffer,
                                 (uint32_t)utf8proc_tolower((utf8proc_int32_t)c));
}

/* Whether the sigma before `at` ends a word: a letter before it, none behind. */
static bool is_last_sigma(const struct jinja_text *text, size_t sigma, size_t at)
{
    bool before = false;
    for (size_t i = 0; i < sigma;) {
        const uint32_t c = jinja_decode(text->data, &i);
        if (!is_ignorable(c))
            before = is_cased(c);
    }
    while (before && at < text->size) {
        const uint32_t c = jinja_decode(text->data, &at);
        if (!is_ignorable(c))
            return !is_cased(c);
    }
    return before;
}

static bool write_lower(struct jinja_run *run, struct jinja_buffer *buffer,
                        const struct jinja_text *text, size_t *at)
{
    const size_t from = *at;
    const uint32_t c = jinja_decode(text->data, at);
    if (c != 0x3a3)
        return jinja_write_case(run, buffer, c, JINJA_LOWER);
    return jinja_step(run, 1 + text->size / 16) &&
           jinja_write_character(run, buffer,
                                 is_last_sigma(text, from, *at) ? 0x3c2 : 0x3c3);
}

bool jinja_cased(struct jinja_run *run, const struct jinja_text *text,
                 enum jinja_case how, struct jinja_value *out)
{
    struct jinja_buffer buffer = { 0 };
    bool good = jinja_step(run, text->size / 16);
    for (size_t at = 0; good && at < text->size;)
        good = how == JINJA_LOWER
                   ? write_lower(run, &buffer, text, &at)
                   : jinja_write_case(run, &buffer, jinja_decode(text->data, &at), how);
    return jinja_buffer_take(run, &buffer, good, out);
}

bool jinja_capitalize(struct jinja_run *run, const struct jinja_text *text,
                      struct jinja_value *out)
{
    struct jinja_buffer buffer = { 0 };
    bool good = true;
    size_t at = 0;
    if (text->size)
        good = jinja_write_case(run, &buffer, jinja_decode(text->data, &at), JINJA_TITLE);
    while (good && at < text->size)
        good = write_lower(run, &buffer, text, &at);
    return jinja_buffer_take(run, &buffer, good, out);
}

bool jinja_title(struct jinja_run *run, const struct jinja_text *text,
                 struct jinja_value *out)
{
    struct jinja_buffer buffer = { 0 };
    bool good = true, in_word = false;
    for (size_t at = 0; good && at < text->size;) {
        size_t next = at;
        const uint32_t c = jinja_decode(text->data, &next);
        if (in_word) {
            good = write_lower(run, &buffer, text, &at);
        } else {
            good = jinja_write_case(run, &buffer, c, JINJA_TITLE);
            at = next;
        }
        in_word = is_cased(c);
    }
    return jinja_buffer_take(run, &buffer, good, out);
}

bool jinja_swapcase(struct jinja_run *run, const struct jinja_text *text,
                    struct jinja_value *out)
{
    struct jinja_buffer buffer = { 0 };
    bool good = true;
    for (size_t at = 0; good && at < text->size;) {
        size_t next = at;
        const uint32_t c = jinja_decode(text->data, &next);
        if (is_upper(c)) {
            good = write_lower(run, &buffer, text, &at);
            continue;
        }
        good = is_lower(c) ? jinja_write_case(run, &buffer, c, JINJA_UPPER)
                           : jinja_write_character(run, &buffer, c);
        at = next;
    }
    return jinja_buffer_take(run, &buffer, good, out);
}

/* Whether letters have the case `is_it`, and at least one has. */
static bool all_cased(const struct jinja_text *text, bool (*is_it)(uint32_t),
                      bool (*is_other)(uint32_t))
{
    bool found = false;
    for (size_t at = 0; at < text->size;) {
        const uint32_t c = jinja_decode(text->data, &at);
        if (is_other(c) || is_titled(c))
            return false;
        found = found || is_it(c);
    }
    return found;
}

static bool is_title_text(const struct jinja_text *text)
{
    bool in_word = false, found = false;
    for (size_t at = 0; at < text->size;) {
        const uint32_t c = jinja_decode(text->data, &at);
        const bool up = is_upper(c) || is_titled(c);
        if ((up && in_word) || (!up && is_lower(c) && !in_word))
            return false;
        in_word = up || is_lower(c);
        found = found || in_word;
    }
    return found;
}

static bool is_ascii(uint32_t c)
{
    return c < 0x80;
}

bool jinja_text_is(const struct jinja_text *text, const char *what)
{
    static const struct {
        const char *name;
        bool (*is_it)(uint32_t);
        bool empty; /* what it is of an empty text */
    } kinds[] = {
        { "alnum", jinja_is_alnum, false },
        { "alpha", is_alpha, false },
        { "ascii", is_ascii, true },
        { "decimal", jinja_is_decimal, false },
        { "digit", is_digit, false },
        { "numeric", is_numeric, false },
        { "printable", jinja_is_printable, true },
        { "space", jinja_is_space, false },
    };
    if (strcmp(what, "lower") == 0)
        return all_cased(text, is_lower, is_upper);
    if (strcmp(what, "upper") == 0)
        return all_cased(text, is_upper, is_lower);
    if (strcmp(what, "title") == 0)
        return is_title_text(text);
    for (size_t i = 0; i < RT_COUNT(kinds); i++) {
        if (strcmp(kinds[i].name, what) != 0)
            continue;
        for (size_t at = 0; at < text->size;)
            if (!kinds[i].is_it(jinja_decode(text->data, &at)))
                return false;
        return text->size || kinds[i].empty;
    }
    return false;
}

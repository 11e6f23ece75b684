/* runtime/base/json.c
 * Reads JSON whose numbers jansson cannot hold, and writes them back as they were. */
#include "runtime/base/json.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MARK = sizeof FMT_JSON_ODD_MARK - 1, DIGITS_KEPT = 40, EXPONENT_MAX = 100000 };

static const char *const words[] = { "NaN", "Infinity", "-Infinity" };

/* ---- numbers ---- */

/* A number of JSON, taken apart. */
struct number {
    size_t size;                  /* characters; 0: there is none */
    bool whole;                   /* neither fraction nor exponent */
    bool negative;                /* has a minus */
    char digits[DIGITS_KEPT + 1]; /* significant ones, the first is not 0 */
    size_t significant;           /* how many there are, also beyond those kept */
    long point;                   /* the value is 0.DIGITS * 10^point */
};

static size_t count_digits(const char *at, const char *end)
{
    size_t n = 0;
    while (at + n < end && isdigit((unsigned char)at[n]))
        n++;
    return n;
}

static void take_digits(struct number *n, const char *at, size_t count, bool fraction)
{
    for (size_t i = 0; i < count; i++) {
        if (n->significant == 0 && at[i] == '0') {
            n->point -= fraction;
            continue;
        }
        if (n->significant < DIGITS_KEPT)
            n->digits[n->significant] = at[i];
        n->significant++;
        n->point += !fraction;
    }
}

/* The exponent behind "e", which may be of any length; *size: its characters, 0: none. */
static long exponent_at(const char *at, const char *end, size_t *size)
{
    long value = 0;
    const char *from = at + 1;
    *size = 0;
    if (at == end || (*at != 'e' && *at != 'E'))
        return 0;
    const bool negative = from < end && *from == '-';
    if (from < end && (*from == '-' || *from == '+'))
        from++;
    const size_t n = count_digits(from, end);
    for (size_t i = 0; i < n && value < EXPONENT_MAX; i++)
        value = value * 10 + (from[i] - '0');
    *size = n ? (size_t)(from + n - at) : 0;
    return negative ? -value : value;
}

static struct number number_at(const char *text, const char *end)
{
    struct number n = { .whole = true };
    const char *at = text;
    n.negative = at < end && *at == '-';
    at += n.negative;
    const size_t front = count_digits(at, end);
    if (front == 0 || (front > 1 && *at == '0'))
        return (struct number){ 0 };
    take_digits(&n, at, front, false);
    at += front;
    if (at < end && *at == '.') {
        const size_t behind = count_digits(at + 1, end);
        if (behind == 0)
            return (struct number){ 0 };
        take_digits(&n, at + 1, behind, true);
        at += 1 + behind;
        n.whole = false;
    }
    size_t more;
    const long exponent = exponent_at(at, end, &more);
    if (more) {
        n.whole = false;
        n.point += exponent;
    }
    n.size = (size_t)(at - text) + more;
    return n;
}

static bool beyond_64_bits(const struct number *n)
{
    static const char limit[] = "9223372036854775807";
    enum { LENGTH = sizeof limit - 1 };
    if (n->significant != LENGTH)
        return n->significant > LENGTH;
    const int order = memcmp(n->digits, limit, LENGTH - 1);
    return order ? order > 0 : n->digits[LENGTH - 1] > (n->negative ? '8' : '7');
}

static bool beyond_double(const struct number *n)
{
    char text[DIGITS_KEPT + 32];
    if (n->significant == 0 || n->point < 300)
        return false;
    snprintf(text, sizeof text, "0.%se%ld", n->digits, n->point);
    return isinf(strtod(text, NULL));
}

/* Characters of the odd number at `at`; 0: none stands there. */
static size_t odd_at(const char *at, const char *end)
{
    for (size_t i = 0; i < RT_COUNT(words); i++) {
        const size_t length = strlen(words[i]);
        if ((size_t)(end - at) >= length && memcmp(at, words[i], length) == 0)
            return length;
    }
    const struct number n = number_at(at, end);
    const bool odd = n.whole ? beyond_64_bits(&n) : beyond_double(&n);
    return n.size && odd ? n.size : 0;
}

/* ---- reading ---- */

/* Characters of the string at `at`, quotes included. */
static size_t string_at(const char *at, const char *end)
{
    const char *from = at + 1;
    while (from < end && *from != '"')
        from += *from == '\\' && end - from > 1 ? 2 : 1;
    return (size_t)(from - at) + (from < end);
}

/* Whether a value may end here: a word before ':' would be a name. */
static bool value_ends(const char *at, const char *end)
{
    while (at < end && memchr(" \t\r\n", *at, 4))
        at++;
    return at == end || *at == ',' || *at == ']' || *at == '}';
}

/* Characters of what stands at `at`: a string, a number or a word, or one other. *odd:
 * an odd number. */
static size_t token_at(const char *at, const char *end, bool *odd)
{
    *odd = false;
    if (*at == '"')
        return string_at(at, end);
    if (*at != '-' && *at != 'N' && *at != 'I' && !isdigit((unsigned char)*at))
        return 1;
    const size_t length = odd_at(at, end);
    *odd = length && value_ends(at + length, end);
    if (length)
        return length;
    const size_t plain = number_at(at, end).size;
    return plain ? plain : 1;
}

/* Copies the text with its odd numbers as marked strings; `out` null: counts only. */
static size_t mend(const char *text, size_t size, char *out)
{
    size_t total = 0;
    bool odd;
    for (const char *at = text, *end = text + size; at < end;) {
        const size_t length = token_at(at, end, &odd), more = odd ? MARK + 1 : 0;
        if (out && odd)
            memcpy(out + total, "\"" FMT_JSON_ODD_MARK, more);
        if (out)
            memcpy(out + total + more, at, length);
        total += more + length;
        if (out && odd)
            out[total] = '"';
        total += odd;
        at += length;
    }
    return total;
}

json_t *fmt_json_parse(struct rt_ctx *ctx, const char *text, size_t size, size_t flags,
                       json_error_t *error)
{
    json_t *value = json_loadb(text, size, flags, error);
    const size_t needed = value || size == 0 ? size : mend(text, size, NULL);
    if (needed == size) /* nothing is odd: the error is another one */
        return value;
    char *copy = rt_alloc(ctx, needed, 1);
    if (copy) {
        mend(text, size, copy);
        value = json_loadb(copy, needed, flags, error);
    } else {
        snprintf(error->text, sizeof error->text, "no memory");
    }
    rt_free(copy);
    return value;
}

const char *fmt_json_odd(const json_t *value)
{
    const char *text = json_string_value(value);
    if (!text || strncmp(text, FMT_JSON_ODD_MARK, MARK) != 0)
        return NULL;
    const char *end = text + json_string_length(value);
    const size_t length = odd_at(text + MARK, end);
    return length && text + MARK + length == end ? text + MARK : NULL;
}

/* ---- writing ---- */

/* Characters of the marked string at `at`, which is a value; 0: it is no such. */
static size_t marked_at(const char *at, const char *end)
{
    const size_t length = string_at(at, end);
    if (length < MARK + 3 || memcmp(at + 1, FMT_JSON_ODD_MARK, MARK) != 0 ||
        !value_ends(at + length, end))
        return 0;
    const char *number = at + 1 + MARK, *last = at + length - 1;
    return odd_at(number, last) == (size_t)(last - number) ? length : 0;
}

char *fmt_json_dumps(const json_t *value, size_t flags)
{
    char *text = json_dumps(value, flags);
    if (!text)
        return NULL;
    char *to = text;
    for (const char *at = text, *end = text + strlen(text); at < end;) {
        const size_t length = *at == '"' ? string_at(at, end) : 1;
        const size_t skip = *at == '"' && marked_at(at, end) ? MARK + 1 : 0;
        memmove(to, at + skip, length - skip - (skip != 0));
        to += length - skip - (skip != 0);
        at += length;
    }
    *to = '\0';
    return text;
}

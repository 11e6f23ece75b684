/* pipeline/grade/extract_hashes.c
 * The answer after ####, as GSM8K writes it, and the two rules of the harness for it. */
#include "pipeline/grade/extract_find.h"

#include "pipeline/grade/chars.h"
#include "runtime/base/os.h"

#include <string.h>

bool grade_find_hashes(struct span text, struct found *out)
{
    struct span after;
    return grade_span_last(text, "####", &after) &&
           grade_found_one(grade_span_line(after), out);
}

/* Whether both numbers are one as it is written: 3 1/2, 2:30, 1,23. */
static bool is_one_number(struct span a, struct span b)
{
    const char *between = a.at + a.size;
    const size_t n = (size_t)(b.at - between);
    if (n == 1 && (*between == ',' || *between == ':'))
        return true;
    return n == 1 && *between == ' ' && memchr(b.at, '/', b.size) &&
           !memchr(a.at, '/', a.size) && !memchr(a.at, '.', a.size);
}

/* A remark in brackets that names no second answer: "18 (3 times 6)". */
static bool in_remark(struct span line, const char *number)
{
    struct span before = { line.at, (size_t)(number - line.at) }, after;
    if (!grade_span_last(before, "(", &after) || memchr(after.at, ')', after.size))
        return false;
    after = grade_span_trim(after);
    return before.size > after.size + 1 && !os_same_caseless(after.at, "or ", 3);
}

/* A digit of m^2. */
static bool is_exponent(struct span line, const char *number)
{
    const size_t n = (size_t)(number - line.at);
    return (n > 0 && number[-1] == '^') ||
           (n > 1 && number[-1] == '{' && number[-2] == '^');
}

/* The only number of a line; two candidates are no answer. */
static bool only_number(struct span line, struct found *out)
{
    struct found next = { 0 };
    struct span rest = line;
    if (!grade_find_first_number(line, out))
        return false;
    while (grade_find_next_number(line, &rest, &next)) {
        struct span *one = &out->parts[0];
        const struct span other = next.parts[0];
        if (other.at < one->at + one->size || in_remark(line, other.at) ||
            is_exponent(line, other.at) ||
            (other.size == one->size && memcmp(other.at, one->at, one->size) == 0))
            continue;
        if (!is_one_number(*one, other)) {
            out->stop = true;
            return false;
        }
        one->size = (size_t)(other.at + other.size - one->at);
        out->all = one->size;
    }
    return true;
}

enum { HASHES_MAX = 1024 };

bool grade_find_hashes_number(struct span text, struct found *out)
{
    struct span after;
    if (!grade_span_last(text, "####", &after))
        return false;
    struct span line = grade_span_line(after), side;
    struct found inner = { 0 };
    if (line.size > HASHES_MAX) /* so that looking back stays cheap */
        line.size = HASHES_MAX;
    if (grade_find_box(line, &inner)) {
        *out = inner;
        return true;
    }
    if (grade_span_last(line, "=", &side) && only_number(side, out))
        return grade_find_expression(side, out);
    return !out->stop && only_number(line, out) && grade_find_expression(line, out);
}

bool grade_find_harness_strict(struct span text, struct found *out)
{
    for (size_t i = 0; i < text.size; i++) {
        if (!grade_span_starts(span_from(text, i), "#### "))
            continue;
        struct span s = span_from(text, i + 5);
        const size_t sign = s.size && s.at[0] == '-';
        size_t n = sign;
        while (n < s.size && (is_digit(s.at[n]) || s.at[n] == '.' || s.at[n] == ','))
            n++;
        if (n > sign)
            return grade_found_one((struct span){ s.at, n }, out);
    }
    return false;
}

bool grade_find_harness_flexible(struct span text, struct found *out)
{
    bool any = false;
    for (size_t i = 0; i < text.size;) {
        const size_t sign = text.at[i] == '-';
        size_t n = 0, digits;
        struct span s = span_from(text, i + sign);
        while (n < s.size &&
               (is_digit(s.at[n]) || s.at[n] == '.' || s.at[n] == ',' || s.at[n] == '$'))
            n++;
        digits = grade_span_digits(s);
        n = n >= 2 ? n : digits;
        if (n)
            any = grade_found_one((struct span){ text.at + i, sign + n }, out);
        i += n ? sign + n : 1;
    }
    return any;
}

/* runtime/text/jinja_number_filters.c
 * Filters that give numbers: texts read as Python's int and float read them. */
#include "runtime/text/jinja_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool filter_abs(struct jinja_run *run, struct jinja_args *args,
                       struct jinja_value *out)
{
    struct jinja_value v;
    if (!jinja_bind(run, "abs", "x", true, args, &v))
        return false;
    if (v.kind == JINJA_UNDEFINED)
        return jinja_fail_undefined(run, &v);
    if (!jinja_is_number(&v))
        return jinja_fail(run, "abs of a %s", jinja_type_name(&v));
    if (v.kind == JINJA_FLOAT) {
        *out = jinja_float(fabs(v.as.number));
        return true;
    }
    *out = jinja_int(jinja_whole(&v));
    return jinja_whole(&v) >= 0 || jinja_negative(run, &v, out);
}

static bool scale_round(struct jinja_run *run, const struct jinja_value *v,
                        int64_t places, bool up, struct jinja_value *out)
{
    const struct jinja_value ten = jinja_int(10), power = jinja_int(places);
    struct jinja_value unit, scaled, rounded;
    if (!jinja_binary(run, OP_POW, &ten, &power, &unit) ||
        !jinja_binary(run, OP_MUL, v, &unit, &scaled))
        return false;
    if (!jinja_is_number(&scaled))
        return jinja_fail(run, "round of a %s", jinja_type_name(v));
    rounded = scaled;
    if (scaled.kind == JINJA_FLOAT &&
        !jinja_int_of_float(run, up ? ceil(scaled.as.number) : floor(scaled.as.number),
                            &rounded))
        return false;
    return jinja_binary(run, OP_DIV, &rounded, &unit, out);
}

static bool filter_round(struct jinja_run *run, struct jinja_args *args,
                         struct jinja_value *out)
{
    struct jinja_value v[3];
    int64_t places;
    if (!jinja_bind(run, "round", "value | precision method", false, args, v) ||
        !jinja_whole_argument(run, "round", &v[1], 0, &places))
        return false;
    if (v[2].kind == JINJA_MISSING)
        return jinja_round(run, &v[0], places, out);
    const char *method = v[2].kind == JINJA_STRING ? v[2].as.text->data : "";
    if (strcmp(method, "common") == 0)
        return jinja_round(run, &v[0], places, out);
    if (strcmp(method, "ceil") != 0 && strcmp(method, "floor") != 0)
        return jinja_fail(run, "round: the method is common, ceil or floor");
    return scale_round(run, &v[0], places, method[0] == 'c', out);
}

/* A text as Python's float() reads it; false: it is none. */
static bool read_float(const struct jinja_text *text, double *number)
{
    static const char *const words[] = { "inf", "infinity", "nan" };
    char room[400];
    size_t from = 0, to = text->size, n = 0;
    while (from < to && jinja_is_space((uint8_t)text->data[from]))
        from++;
    while (to > from && jinja_is_space((uint8_t)text->data[to - 1]))
        to--;
    bool digit = false, has_digit = false;
    for (size_t i = from; i < to && n + 1 < sizeof room; i++) {
        const char c = text->data[i];
        const bool is_digit = c >= '0' && c <= '9';
        if (c == '_') {
            if (!digit || i + 1 == to || text->data[i + 1] < '0' ||
                text->data[i + 1] > '9')
                return false;
            continue;
        }
        digit = is_digit;
        has_digit = has_digit || is_digit;
        room[n++] = c;
    }
    room[n] = 0;
    if (to - from >= sizeof room - 1 || strspn(room, "+-.0123456789eE") != n) {
        const char *word = room + (room[0] == '+' || room[0] == '-');
        for (size_t w = 0; w < RT_COUNT(words); w++) {
            size_t i = 0;
            while (words[w][i] && (word[i] | 32) == words[w][i])
                i++;
            if (!words[w][i] && !word[i]) {
                *number = w == 2 ? NAN : room[0] == '-' ? -INFINITY : INFINITY;
                return true;
            }
        }
        return false;
    }
    char *end = room;
    *number = strtod(room, &end);
    return has_digit && *end == 0;
}

/* Where the digits of a text begin for int(text, base): its sign and prefix are skipped. */
static size_t skip_prefix(const char *s, size_t size, int *base, bool *is_negative)
{
    size_t i = 0;
    if (i < size && (s[i] == '+' || s[i] == '-'))
        *is_negative = s[i++] == '-';
    if (i + 1 < size && s[i] == '0') {
        const char letter = (char)(s[i + 1] | 32);
        const int of = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
        if (of && (*base == 0 || *base == of)) {
            *base = of;
            i += 2;
            if (i < size && s[i] == '_')
                i++;
        }
    }
    return i;
}

/* Python reads the digits and blanks of all scripts: those beyond ASCII are refused. */
static bool ascii_digits(struct jinja_run *run, const struct jinja_text *text)
{
    for (size_t at = 0; at < text->size;) {
        const uint32_t c = jinja_decode(text->data, &at);
        if (c >= 0x80 && (jinja_is_space(c) || jinja_is_decimal(c)))
            return jinja_unsupported(run, "a number with digits that are not ASCII");
    }
    return true;
}

enum int_read { INT_READ, INT_NONE, INT_LARGE };

static enum int_read read_int(const struct jinja_text *text, int base, int64_t *out)
{
    struct jinja_text const *t = text;
    size_t from = 0, to = t->size;
    bool is_negative = false, digit = false, zeros = true;
    while (from < to && jinja_is_space((uint8_t)t->data[from]))
        from++;
    while (to > from && jinja_is_space((uint8_t)t->data[to - 1]))
        to--;
    const bool any_base = base == 0;
    size_t i = from + skip_prefix(t->data + from, to - from, &base, &is_negative);
    const bool has_prefix = any_base && base != 0;
    if (base == 0)
        base = 10;
    const size_t first = i;
    uint64_t v = 0;
    bool large = false;
    for (; i < to; i++) {
        const char c = t->data[i], lower = (char)(c | 32);
        const int value = c >= '0' && c <= '9'           ? c - '0'
                          : lower >= 'a' && lower <= 'z' ? lower - 'a' + 10
                                                         : 99;
        if (c == '_' && digit && i + 1 < to) {
            digit = false;
            continue;
        }
        if (value >= base)
            return INT_NONE;
        large = large || v > (UINT64_MAX - (unsigned)value) / (unsigned)base;
        v = v * (unsigned)base + (unsigned)value;
        zeros = zeros && value == 0;
        digit = true;
    }
    if (!digit || i == first ||
        (any_base && !has_prefix && t->data[first] == '0' && !zeros))
        return INT_NONE;
    if (large || v > (uint64_t)INT64_MAX)
        return INT_LARGE;
    *out = is_negative ? -(int64_t)v : (int64_t)v;
    return INT_READ;
}

/* int(float(text)), else the default. */
static bool int_of_float_text(struct jinja_run *run, const struct jinja_text *text,
                              const struct jinja_value *otherwise,
                              struct jinja_value *out)
{
    double number;
    *out = *otherwise;
    if (!read_float(text, &number) || !isfinite(number))
        return true;
    return jinja_int_of_float(run, number, out);
}

static bool filter_int(struct jinja_run *run, struct jinja_args *args,
                       struct jinja_value *out)
{
    struct jinja_value v[3];
    int64_t base, whole;
    if (!jinja_bind(run, "int", "value | default base", false, args, v) ||
        !jinja_whole_argument(run, "int", &v[2], 10, &base))
        return false;
    if (v[1].kind == JINJA_MISSING)
        v[1] = jinja_int(0);
    if (v[0].kind == JINJA_UNDEFINED)
        return jinja_fail_undefined(run, &v[0]);
    if (jinja_is_whole(&v[0])) {
        *out = jinja_int(jinja_whole(&v[0]));
        return true;
    }
    if (v[0].kind == JINJA_FLOAT) {
        if (isinf(v[0].as.number))
            return jinja_fail(run, "int of infinity");
        *out = v[1];
        return isnan(v[0].as.number) || jinja_int_of_float(run, v[0].as.number, out);
    }
    *out = v[1];
    if (v[0].kind != JINJA_STRING)
        return true;
    const bool good_base = base == 0 || (base >= 2 && base <= 36);
    if (!ascii_digits(run, v[0].as.text))
        return false;
    switch (good_base ? read_int(v[0].as.text, (int)base, &whole) : INT_NONE) {
    case INT_READ:
        *out = jinja_int(whole);
        return true;
    case INT_LARGE:
        return jinja_unsupported(run, "a whole number of more than 64 bits");
    default:
        return int_of_float_text(run, v[0].as.text, &v[1], out);
    }
}

static bool filter_float(struct jinja_run *run, struct jinja_args *args,
                         struct jinja_value *out)
{
    struct jinja_value v[2];
    double number;
    if (!jinja_bind(run, "float", "value | default", false, args, v))
        return false;
    *out = v[1].kind == JINJA_MISSING ? jinja_float(0) : v[1];
    if (v[0].kind == JINJA_UNDEFINED)
        return jinja_fail_undefined(run, &v[0]);
    if (jinja_is_number(&v[0]))
        *out = jinja_float(jinja_number(&v[0]));
    if (v[0].kind != JINJA_STRING)
        return true;
    if (!ascii_digits(run, v[0].as.text))
        return false;
    if (read_float(v[0].as.text, &number))
        *out = jinja_float(number);
    return true;
}

const struct jinja_function jinja_number_filters[] = {
    { "abs", filter_abs },
    { "round", filter_round },
    { "int", filter_int },
    { "float", filter_float },
    { 0 },
};

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
static void cut_blanks(const struct jinja_text *text, size_t *from, size_t *to)
{
    *from = 0;
    *to = text->size;
    while (*from < *to && jinja_is_space((uint8_t)text->data[*from]))
        ++*from;
    while (*to > *from && jinja_is_space((uint8_t)text->data[*to - 1]))
        --*to;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A copy without the underlines that stand between digits; false: one stands elsewhere, or
 * the text is too long to be a number. */
static bool without_underlines(const struct jinja_text *text, char *room, size_t most)
{
    size_t from, to, n = 0;
    cut_blanks(text, &from, &to);
    if (to - from >= most)
        return false;
    for (size_t i = from; i < to; i++) {
        const bool between = i > from && is_digit(text->data[i - 1]) && i + 1 < to &&
                             is_digit(text->data[i + 1]);
        if (text->data[i] != '_')
            room[n++] = text->data[i];
        else if (!between)
            return false;
    }
    room[n] = 0;
    return true;
}

/* inf, infinity and nan in any case, with a sign. */
static bool read_word(const char *room, double *number)
{
    static const char *const words[] = { "inf", "infinity", "nan" };
    const char *word = room + (room[0] == '+' || room[0] == '-');
    for (size_t w = 0; w < RT_COUNT(words); w++) {
        size_t i = 0;
        while (words[w][i] && (word[i] | 32) == words[w][i])
            i++;
        if (words[w][i] || word[i])
            continue;
        *number = w == 2 ? NAN : room[0] == '-' ? -INFINITY : INFINITY;
        return true;
    }
    return false;
}

static bool read_float(const struct jinja_text *text, double *number)
{
    char room[400], *end = room;
    if (!without_underlines(text, room, sizeof room))
        return false;
    if (room[strspn(room, "+-.0123456789eE")])
        return read_word(room, number);
    *number = strtod(room, &end);
    return end != room && *end == 0;
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
    if (!jinja_step(run, text->size / 8))
        return false;
    for (size_t at = 0; at < text->size;) {
        const uint32_t c = jinja_decode(text->data, &at);
        if (c >= 0x80 && (jinja_is_space(c) || jinja_is_decimal(c)))
            return jinja_unsupported(run, "a number with digits that are not ASCII");
    }
    return true;
}

enum int_read { INT_READ, INT_NONE, INT_LARGE };

static int digit_of(char c)
{
    const char lower = (char)(c | 32);
    if (is_digit(c))
        return c - '0';
    return lower >= 'a' && lower <= 'z' ? lower - 'a' + 10 : 99;
}

/* Digits of a base with single underlines between them. */
static enum int_read read_digits(const char *s, size_t size, int base, uint64_t *out)
{
    bool digit = false, large = false;
    uint64_t v = 0;
    for (size_t i = 0; i < size; i++) {
        const int value = digit_of(s[i]);
        if (s[i] == '_' && digit) {
            digit = false;
            continue;
        }
        if (value >= base)
            return INT_NONE;
        large = large || v > (UINT64_MAX - (unsigned)value) / (unsigned)base;
        v = v * (unsigned)base + (unsigned)value;
        digit = true;
    }
    *out = v;
    if (!digit)
        return INT_NONE;
    return large || v > (uint64_t)INT64_MAX ? INT_LARGE : INT_READ;
}

static enum int_read read_int(const struct jinja_text *text, int base, int64_t *out)
{
    size_t from, to;
    bool is_negative = false;
    uint64_t v = 0;
    const int asked = base;
    cut_blanks(text, &from, &to);
    from += skip_prefix(text->data + from, to - from, &base, &is_negative);
    const bool plain = asked == 0 && base == 0; /* then no zeros may lead */
    const enum int_read read =
        read_digits(text->data + from, to - from, base ? base : 10, &v);
    if (read == INT_READ && plain && text->data[from] == '0' && v != 0)
        return INT_NONE;
    *out = is_negative ? -(int64_t)v : (int64_t)v;
    return read;
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

/* int(text, base), else int(float(text)), else the default. */
static bool int_of_text(struct jinja_run *run, const struct jinja_text *text,
                        int64_t base, const struct jinja_value *otherwise,
                        struct jinja_value *out)
{
    int64_t whole;
    const bool good_base = base == 0 || (base >= 2 && base <= 36);
    if (!ascii_digits(run, text))
        return false;
    switch (good_base ? read_int(text, (int)base, &whole) : INT_NONE) {
    case INT_READ:
        *out = jinja_int(whole);
        return true;
    case INT_LARGE:
        return jinja_unsupported(run, "a whole number of more than 64 bits");
    default:
        return int_of_float_text(run, text, otherwise, out);
    }
}

static bool filter_int(struct jinja_run *run, struct jinja_args *args,
                       struct jinja_value *out)
{
    struct jinja_value v[3];
    int64_t base;
    if (!jinja_bind(run, "int", "value | default base", false, args, v) ||
        !jinja_whole_argument(run, "int", &v[2], 10, &base))
        return false;
    *out = v[1].kind == JINJA_MISSING ? jinja_int(0) : v[1];
    switch (v[0].kind) {
    case JINJA_UNDEFINED:
        return jinja_fail_undefined(run, &v[0]);
    case JINJA_BOOL:
    case JINJA_INT:
        *out = jinja_int(jinja_whole(&v[0]));
        return true;
    case JINJA_FLOAT:
        if (isinf(v[0].as.number))
            return jinja_fail(run, "int of infinity");
        return isnan(v[0].as.number) || jinja_int_of_float(run, v[0].as.number, out);
    case JINJA_STRING:
        v[1] = *out;
        return int_of_text(run, v[0].as.text, base, &v[1], out);
    default:
        return true;
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

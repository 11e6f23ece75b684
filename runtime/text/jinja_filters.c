/* runtime/text/jinja_filters.c
 * Filters of texts and numbers, and the list of all filters. The first argument is the value. */
#include "runtime/text/jinja_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The value as text, as jinja2's soft_str: a text that is marked as safe stays so. */
static bool text_of(struct jinja_run *run, const struct jinja_value *v,
                    const struct jinja_text **text, bool *is_safe)
{
    *is_safe = v->kind == JINJA_STRING && v->is_safe;
    return jinja_to_text(run, v, text);
}

#define TEXT_FILTER(name, call)                                               \
    static bool filter_##name(struct jinja_run *run, struct jinja_args *args, \
                              struct jinja_value *out)                        \
    {                                                                         \
        struct jinja_value v;                                                 \
        const struct jinja_text *text;                                        \
        bool is_safe;                                                         \
        if (!jinja_bind(run, #name, "s", false, args, &v) ||                  \
            !text_of(run, &v, &text, &is_safe) || !(call))                    \
            return false;                                                     \
        out->is_safe = is_safe;                                               \
        return true;                                                          \
    }
TEXT_FILTER(upper, jinja_cased(run, text, JINJA_UPPER, out))
TEXT_FILTER(lower, jinja_cased(run, text, JINJA_LOWER, out))
TEXT_FILTER(capitalize, jinja_capitalize(run, text, out))

static bool filter_string(struct jinja_run *run, struct jinja_args *args,
                          struct jinja_value *out)
{
    struct jinja_value v;
    const struct jinja_text *text;
    bool is_safe;
    if (!jinja_bind(run, "string", "s", false, args, &v) ||
        !text_of(run, &v, &text, &is_safe))
        return false;
    *out = jinja_of_text(text);
    out->is_safe = is_safe;
    return true;
}

static bool filter_safe(struct jinja_run *run, struct jinja_args *args,
                        struct jinja_value *out)
{
    struct jinja_value v;
    const struct jinja_text *text;
    if (!jinja_bind(run, "safe", "value", false, args, &v) ||
        !jinja_to_text(run, &v, &text))
        return false;
    *out = jinja_of_text(text);
    out->is_safe = true;
    return true;
}

static bool filter_escape(struct jinja_run *run, struct jinja_args *args,
                          struct jinja_value *out)
{
    struct jinja_value v;
    if (!jinja_bind(run, "escape", "s", true, args, &v))
        return false;
    if (v.kind == JINJA_STRING && v.is_safe) {
        *out = v;
        return true;
    }
    return jinja_escape(run, &v, out);
}

static bool filter_forceescape(struct jinja_run *run, struct jinja_args *args,
                               struct jinja_value *out)
{
    struct jinja_value v;
    return jinja_bind(run, "forceescape", "value", false, args, &v) &&
           jinja_escape(run, &v, out);
}

static bool filter_trim(struct jinja_run *run, struct jinja_args *args,
                        struct jinja_value *out)
{
    struct jinja_value v[2];
    const struct jinja_text *text;
    bool is_safe;
    if (!jinja_bind(run, "trim", "value | chars", false, args, v) ||
        !text_of(run, &v[0], &text, &is_safe) ||
        !jinja_strip(run, text, &v[1], true, true, out))
        return false;
    out->is_safe = is_safe;
    return true;
}

/* Words begin behind white space, - and opening brackets. */
static bool filter_title(struct jinja_run *run, struct jinja_args *args,
                         struct jinja_value *out)
{
    struct jinja_value v, word;
    struct jinja_buffer buffer = { 0 };
    const struct jinja_text *text;
    bool is_safe, good = true, begins = true;
    if (!jinja_bind(run, "title", "s", false, args, &v) ||
        !text_of(run, &v, &text, &is_safe))
        return false;
    for (size_t at = 0; good && at < text->size;) {
        size_t from = at, end = at;
        const uint32_t c = jinja_decode(text->data, &at);
        if (jinja_is_space(c) || (c < 128 && strchr("-({[<", (int)c) && c)) {
            good = jinja_write(run, &buffer, text->data + from, at - from);
            begins = true;
            continue;
        }
        if (begins)
            good = jinja_write_case(run, &buffer, c, JINJA_UPPER);
        from = begins ? at : from;
        begins = false;
        for (at = end = from; at < text->size; end = at) { /* the rest of the word */
            const uint32_t next = jinja_decode(text->data, &at);
            if (jinja_is_space(next) ||
                (next < 128 && next && strchr("-({[<", (int)next)))
                break;
        }
        at = end;
        const struct jinja_text *rest;
        good = good && jinja_string(run, text->data + from, end - from, &word) &&
               jinja_cased(run, word.as.text, JINJA_LOWER, &word);
        rest = good ? word.as.text : NULL;
        good = good && jinja_write(run, &buffer, rest->data, rest->size);
    }
    return jinja_buffer_take(run, &buffer, good, out);
}

static bool filter_replace(struct jinja_run *run, struct jinja_args *args,
                           struct jinja_value *out)
{
    struct jinja_value v[4];
    const struct jinja_text *texts[3];
    int64_t count = -1;
    if (!jinja_bind(run, "replace", "s old new | count", false, args, v))
        return false;
    for (int i = 0; i < 3; i++)
        if (!jinja_to_text(run, &v[i], &texts[i]))
            return false;
    if (v[3].kind != JINJA_MISSING && v[3].kind != JINJA_NONE) {
        if (!jinja_is_whole(&v[3]))
            return jinja_fail(run, "replace with a count that is a %s",
                              jinja_type_name(&v[3]));
        count = jinja_whole(&v[3]);
    }
    return jinja_replace(run, texts[0], texts[1], texts[2], count < 0 ? -1 : count, out);
}

static bool whole_argument(struct jinja_run *run, const char *what,
                           const struct jinja_value *v, int64_t otherwise, int64_t *out)
{
    *out = otherwise;
    if (v->kind == JINJA_MISSING)
        return true;
    if (!jinja_is_whole(v))
        return jinja_fail(run, "%s with a %s", what, jinja_type_name(v));
    *out = jinja_whole(v);
    return true;
}

static bool filter_center(struct jinja_run *run, struct jinja_args *args,
                          struct jinja_value *out)
{
    struct jinja_value v[2], space;
    const struct jinja_text *text;
    int64_t width;
    bool is_safe;
    if (!jinja_bind(run, "center", "value | width", false, args, v) ||
        !text_of(run, &v[0], &text, &is_safe) ||
        !whole_argument(run, "center", &v[1], 80, &width) ||
        !jinja_string(run, " ", 1, &space))
        return false;
    const int64_t length = (int64_t)text->count;
    const int64_t all = width > length ? width - length : 0;
    const int64_t left = all / 2 + (all & width & 1);
    if (!jinja_pad(run, text, (size_t)left, (size_t)(all - left), space.as.text, out))
        return false;
    out->is_safe = is_safe;
    return true;
}

/* Lines of a text, all but the first behind `by`; empty ones only if `blank`. */
static bool write_indented(struct jinja_run *run, struct jinja_buffer *buffer,
                           const struct jinja_items *lines, const struct jinja_text *by,
                           bool first, bool blank)
{
    if (first && !jinja_write(run, buffer, by->data, by->size))
        return false;
    for (size_t i = 0; i < lines->count; i++) {
        const struct jinja_text *line = lines->at[i].as.text;
        if ((i && !jinja_write(run, buffer, "\n", 1)) ||
            (i && (blank || line->size) &&
             !jinja_write(run, buffer, by->data, by->size)) ||
            !jinja_write(run, buffer, line->data, line->size))
            return false;
    }
    return true;
}

static bool filter_indent(struct jinja_run *run, struct jinja_args *args,
                          struct jinja_value *out)
{
    struct jinja_value v[4], by, space, lines;
    struct jinja_value end, whole;
    struct jinja_buffer buffer = { 0 };
    if (!jinja_bind(run, "indent", "s | width first blank", false, args, v))
        return false;
    if (v[1].kind == JINJA_MISSING)
        v[1] = jinja_int(4);
    if (v[0].kind == JINJA_STRING && v[0].is_safe)
        return jinja_unsupported(run, "indent of a text that is marked as safe");
    /* s + "\n" fails for what is no text, as in jinja2 */
    if (!jinja_string(run, "\n", 1, &end) ||
        !jinja_binary(run, OP_ADD, &v[0], &end, &whole) ||
        !jinja_string(run, " ", 1, &space))
        return false;
    by = v[1];
    if (by.kind != JINJA_STRING && !jinja_binary(run, OP_MUL, &space, &v[1], &by))
        return false;
    if (!jinja_splitlines(run, whole.as.text, false, &lines))
        return false;
    const bool good = write_indented(run, &buffer, lines.as.items, by.as.text,
                                     jinja_truth(&v[2]), jinja_truth(&v[3]));
    return jinja_buffer_take(run, &buffer, good, out);
}

static bool filter_truncate(struct jinja_run *run, struct jinja_args *args,
                            struct jinja_value *out)
{
    struct jinja_value v[5], cut, bounds[3] = { { 0 } };
    int64_t length, leeway;
    if (!jinja_bind(run, "truncate", "s | length killwords end leeway", false, args, v) ||
        !whole_argument(run, "truncate", &v[1], 255, &length))
        return false;
    if (v[4].kind == JINJA_NONE)
        v[4] = jinja_missing();
    if (!whole_argument(run, "truncate", &v[4], 5, &leeway) ||
        (v[3].kind == JINJA_MISSING && !jinja_string(run, "...", 3, &v[3])))
        return false;
    if (v[0].kind != JINJA_STRING || v[3].kind != JINJA_STRING || v[0].is_safe)
        return jinja_unsupported(run, "truncate of a %s", jinja_type_name(&v[0]));
    const int64_t end = (int64_t)v[3].as.text->count;
    if (length < end || leeway < 0)
        return jinja_fail(run, "truncate to fewer characters than its end has");
    if ((int64_t)v[0].as.text->count <= length + leeway) {
        *out = v[0];
        return true;
    }
    bounds[0] = bounds[2] = jinja_none();
    bounds[1] = jinja_int(length - end);
    if (!jinja_slice(run, &v[0], bounds, &cut))
        return false;
    if (!jinja_truth(&v[2])) {
        struct jinja_value space, list;
        if (!jinja_string(run, " ", 1, &space) ||
            !jinja_split(run, cut.as.text, &space, 1, true, &list))
            return false;
        cut = list.as.items->at[0];
    }
    return jinja_binary(run, OP_ADD, &cut, &v[3], out);
}

static bool filter_wordcount(struct jinja_run *run, struct jinja_args *args,
                             struct jinja_value *out)
{
    struct jinja_value v;
    const struct jinja_text *text;
    int64_t count = 0;
    bool in_word = false, is_safe;
    if (!jinja_bind(run, "wordcount", "s", false, args, &v) ||
        !text_of(run, &v, &text, &is_safe) || !jinja_step(run, text->size / 16))
        return false;
    for (size_t at = 0; at < text->size;) {
        const uint32_t c = jinja_decode(text->data, &at);
        const bool word = jinja_is_alnum(c) || c == '_';
        count += word && !in_word;
        in_word = word;
    }
    *out = jinja_int(count);
    return true;
}

static bool filter_format(struct jinja_run *run, struct jinja_args *args,
                          struct jinja_value *out)
{
    struct jinja_value rest;
    const struct jinja_text *text;
    bool is_safe;
    if (!args->count)
        return jinja_fail(run, "format needs a text");
    if (!text_of(run, &args->at[0], &text, &is_safe))
        return false;
    if (is_safe)
        return jinja_unsupported(run, "format of a text that is marked as safe");
    if (args->count > 1 && args->named_count)
        return jinja_fail(run, "format takes positional or named arguments, not both");
    if (args->named_count) {
        if (!jinja_dict_make(run, &rest))
            return false;
        for (size_t i = 0; i < args->named_count; i++)
            if (!jinja_dict_set(run, rest.as.dict, jinja_of_text(args->named[i].name),
                                args->named[i].value))
                return false;
    } else {
        if (!jinja_list_make(run, JINJA_TUPLE, 0, &rest))
            return false;
        for (size_t i = 1; i < args->count; i++)
            if (!jinja_list_add(run, rest.as.items, args->at[i]))
                return false;
    }
    return jinja_percent(run, text, &rest, out);
}

/* ---- numbers ---- */

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
        !whole_argument(run, "round", &v[1], 0, &places))
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
        !whole_argument(run, "int", &v[2], 10, &base))
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
    if (jinja_code_points(v[0].as.text->data, v[0].as.text->size) != v[0].as.text->size)
        return jinja_unsupported(run, "int of a text that is not ASCII");
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
    if (v[0].as.text->count != v[0].as.text->size)
        return jinja_unsupported(run, "float of a text that is not ASCII");
    if (read_float(v[0].as.text, &number))
        *out = jinja_float(number);
    return true;
}

const struct jinja_function jinja_text_filters[] = {
    { "trim", filter_trim },
    { "upper", filter_upper },
    { "lower", filter_lower },
    { "capitalize", filter_capitalize },
    { "title", filter_title },
    { "string", filter_string },
    { "safe", filter_safe },
    { "e", filter_escape },
    { "escape", filter_escape },
    { "forceescape", filter_forceescape },
    { "replace", filter_replace },
    { "center", filter_center },
    { "indent", filter_indent },
    { "truncate", filter_truncate },
    { "wordcount", filter_wordcount },
    { "format", filter_format },
    { "abs", filter_abs },
    { "round", filter_round },
    { "int", filter_int },
    { "float", filter_float },
    { "tojson", jinja_to_json },
    { "filesizeformat", NULL },
    { "pprint", NULL },
    { "random", NULL },
    { "striptags", NULL },
    { "urlencode", NULL },
    { "urlize", NULL },
    { "wordwrap", NULL },
    { "xmlattr", NULL },
    { 0 },
};

const struct jinja_function *jinja_filter_find(const char *name)
{
    static const struct jinja_function *const tables[] = { jinja_text_filters,
                                                           jinja_sequence_filters,
                                                           jinja_select_filters };
    for (size_t i = 0; i < RT_COUNT(tables); i++)
        for (const struct jinja_function *f = tables[i]; f->name; f++)
            if (strcmp(f->name, name) == 0)
                return f;
    return NULL;
}

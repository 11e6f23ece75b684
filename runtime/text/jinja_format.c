/* runtime/text/jinja_format.c
 * Texts with places: Python's `%` and str.format. */
#include "runtime/text/jinja_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* How one value is written. */
struct style {
    uint32_t fill; /* 0: a blank, or zeros for numbers with `zero` */
    char align;    /* < > ^ = or 0: what the value has */
    char sign;     /* + or blank or 0 */
    bool zero, alternate, comma;
    int64_t width, precision; /* -1: none */
    char type;
};

static bool write_fill(struct jinja_run *run, struct jinja_buffer *buffer, uint32_t fill,
                       int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (!jinja_write_character(run, buffer, fill) || !jinja_step(run, 1))
            return false;
    return true;
}

/* `head` is a sign and a prefix, before which nothing but blanks is filled in. */
static bool write_padded(struct jinja_run *run, struct jinja_buffer *buffer,
                         const struct style *style, const char *head, const char *body,
                         size_t size, char align)
{
    const size_t head_size = strlen(head);
    const int64_t length = (int64_t)(head_size + jinja_code_points(body, size));
    const int64_t all = style->width > length ? style->width - length : 0;
    const uint32_t fill = style->fill ? style->fill : ' ';
    const int64_t left = align == '<' ? 0 : align == '^' ? all / 2 : all;
    return (align == '=' || write_fill(run, buffer, fill, left)) &&
           jinja_write(run, buffer, head, head_size) &&
           (align != '=' || write_fill(run, buffer, fill, left)) &&
           jinja_write(run, buffer, body, size) &&
           write_fill(run, buffer, fill, all - left);
}

static bool write_text(struct jinja_run *run, struct jinja_buffer *buffer,
                       const struct style *style, const struct jinja_text *text,
                       char align)
{
    size_t size = text->size;
    if (style->precision >= 0 && (size_t)style->precision < text->count)
        size = jinja_byte_of(text, (size_t)style->precision);
    return write_padded(run, buffer, style, "", text->data, size, align);
}

/* Digits with a comma before every third from the end of the whole part. */
static void add_commas(const char *from, char *to)
{
    const size_t whole = strspn(from, "0123456789");
    for (size_t i = 0; i < whole; i++) {
        if (i && (whole - i) % 3 == 0)
            *to++ = ',';
        *to++ = from[i];
    }
    strncpy(to, from + whole, 340);
    to[340] = 0;
}

static bool write_number(struct jinja_run *run, struct jinja_buffer *buffer,
                         const struct style *style, bool is_negative, const char *prefix,
                         const char *digits)
{
    char head[8], room[800];
    struct style own = *style;
    snprintf(head, sizeof head, "%s%s",
             is_negative          ? "-"
             : style->sign == '+' ? "+"
             : style->sign == ' ' ? " "
                                  : "",
             prefix);
    if (style->comma) {
        add_commas(digits, room);
        digits = room;
    }
    if (style->zero && !own.fill)
        own.fill = '0';
    const char align = style->align ? style->align : style->zero ? '=' : '>';
    if (style->comma && align == '=' && own.fill == '0')
        return jinja_unsupported(run, "a format with commas and leading zeros");
    return write_padded(run, buffer, &own, head, digits, strlen(digits), align);
}

static bool write_whole(struct jinja_run *run, struct jinja_buffer *buffer,
                        const struct style *style, int64_t v)
{
    char digits[128], padded[200];
    uint64_t rest = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    const unsigned base = style->type == 'x' || style->type == 'X' ? 16
                          : style->type == 'o'                     ? 8
                          : style->type == 'b'                     ? 2
                                                                   : 10;
    const char *letters = style->type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    size_t at = sizeof digits - 1;
    digits[at] = 0;
    do
        digits[--at] = letters[rest % base];
    while ((rest /= base) != 0);
    char prefix[3] = { '0', style->type, 0 };
    if (!style->alternate || base == 10)
        prefix[0] = 0;
    const size_t count = sizeof digits - 1 - at;
    size_t zeros = 0; /* of a precision, which only % has for whole numbers */
    if (style->precision > 100)
        return jinja_unsupported(run, "a format with a precision above 100");
    if (style->precision > (int64_t)count)
        zeros = (size_t)style->precision - count;
    memset(padded, '0', zeros);
    memcpy(padded + zeros, digits + at, count + 1);
    return write_number(run, buffer, style, v < 0, prefix, padded);
}

static bool write_float(struct jinja_run *run, struct jinja_buffer *buffer,
                        const struct style *style, double v)
{
    char room[480], type = style->type == '%' ? 'f' : style->type;
    const int64_t precision = style->precision < 0 ? 6 : style->precision;
    if (precision > 60)
        return jinja_unsupported(run, "a format with a precision above 60");
    if (style->type == '%')
        v *= 100;
    const bool is_negative = signbit(v) && !isnan(v);
    if (!isfinite(v)) {
        const bool upper = type >= 'A' && type <= 'Z';
        snprintf(room, sizeof room, "%s",
                 isnan(v) ? upper ? "NAN" : "nan"
                 : upper  ? "INF"
                          : "inf");
    } else {
        const char format[] = { '%', style->alternate ? '#' : '.', '.', '*', type, 0 };
        char plain[] = { '%', '.', '*', type, 0 };
        const char *chosen = style->alternate ? format : plain;
        switch (chosen == plain ? type : 0) { /* formats that the compiler sees */
        case 'f':
        case 'F':
            snprintf(room, sizeof room, "%.*f", (int)precision, fabs(v));
            break;
        case 'e':
            snprintf(room, sizeof room, "%.*e", (int)precision, fabs(v));
            break;
        case 'E':
            snprintf(room, sizeof room, "%.*E", (int)precision, fabs(v));
            break;
        case 'g':
            snprintf(room, sizeof room, "%.*g", (int)precision, fabs(v));
            break;
        case 'G':
            snprintf(room, sizeof room, "%.*G", (int)precision, fabs(v));
            break;
        default:
            return jinja_unsupported(run, "the format %%%c with #", type);
        }
    }
    if (style->type == '%')
        memcpy(room + strlen(room), "%", 2);
    return write_number(run, buffer, style, is_negative, "", room);
}

/* ---- % ---- */

struct percent {
    const struct jinja_value *args;
    size_t next;
    bool is_mapping; /* what is not used is no error */
};

static bool next_argument(struct jinja_run *run, struct percent *p,
                          struct jinja_value *out)
{
    if (p->args->kind == JINJA_TUPLE) {
        if (p->next >= p->args->as.items->count)
            return jinja_fail(run, "%% has too few arguments");
        *out = p->args->as.items->at[p->next++];
        return true;
    }
    if (p->next++)
        return jinja_fail(run, "%% has too few arguments");
    *out = *p->args;
    return true;
}

/* Digits at *at, -1 if there are none; false: too many. */
static bool read_number(const char *s, size_t size, size_t *at, int64_t *out)
{
    *out = -1;
    for (; *at < size && s[*at] >= '0' && s[*at] <= '9'; ++*at) {
        *out = (*out < 0 ? 0 : *out) * 10 + (s[*at] - '0');
        if (*out > 100000000)
            return false;
    }
    return true;
}

/* Flags, width and precision behind a %. */
static bool percent_style(struct jinja_run *run, const char *s, size_t size, size_t *at,
                          struct style *style)
{
    *style = (struct style){ .width = -1, .precision = -1 };
    for (; *at < size && s[*at] && strchr("-+ 0#", s[*at]); ++*at) {
        if (s[*at] == '-')
            style->align = '<';
        else if (s[*at] == '0')
            style->zero = true;
        else if (s[*at] == '#')
            style->alternate = true;
        else if (style->sign != '+')
            style->sign = s[*at];
    }
    bool good = read_number(s, size, at, &style->width);
    if (good && *at < size && s[*at] == '.') {
        ++*at;
        good = read_number(s, size, at, &style->precision);
        if (style->precision < 0)
            style->precision = 0;
    }
    while (*at < size && s[*at] && strchr("hlL", s[*at]))
        ++*at;
    if (style->align == '<')
        style->zero = false;
    if (*at < size && s[*at] == '*')
        return jinja_unsupported(run, "%% with a width or precision from its arguments");
    if (!good)
        return jinja_unsupported(run, "%% with a width of this size");
    if (*at >= size)
        return jinja_fail(run, "an unfinished place behind %%");
    style->type = s[(*at)++];
    return true;
}

static bool percent_number(struct jinja_run *run, struct jinja_buffer *buffer,
                           struct style *style, const struct jinja_value *v)
{
    struct jinja_value whole = *v;
    if (v->kind == JINJA_UNDEFINED)
        return jinja_fail_undefined(run, v);
    if (!jinja_is_number(v))
        return jinja_fail(run, "%%%c of a %s", style->type, jinja_type_name(v));
    if (strchr("eEfFgG", style->type))
        return write_float(run, buffer, style, jinja_number(v));
    if (v->kind == JINJA_FLOAT) {
        if (!strchr("diu", style->type))
            return jinja_fail(run, "%%%c of a float", style->type);
        if (!jinja_int_of_float(run, v->as.number, &whole))
            return false;
    }
    if (style->type == 'o' && style->alternate)
        return jinja_unsupported(run, "%%#o");
    return write_whole(run, buffer, style, jinja_whole(&whole));
}

static bool percent_one(struct jinja_run *run, struct jinja_buffer *buffer,
                        struct style *style, const struct jinja_value *v)
{
    const struct jinja_text *text;
    struct jinja_buffer repr = { 0 };
    struct jinja_value made;
    const char align = style->align ? style->align : '>';
    switch (style->type) {
    case 's':
        return jinja_to_text(run, v, &text) &&
               write_text(run, buffer, style, text, align);
    case 'r': {
        const bool good = jinja_repr(run, &repr, v);
        return jinja_buffer_take(run, &repr, good, &made) &&
               write_text(run, buffer, style, made.as.text, align);
    }
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o':
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
        return percent_number(run, buffer, style, v);
    case 'a':
    case 'c':
        return jinja_unsupported(run, "the format %%%c", style->type);
    default:
        return jinja_fail(run, "the format %%%c is not known", style->type);
    }
}

/* The place behind a % at *at. */
static bool percent_place(struct jinja_run *run, struct jinja_buffer *buffer,
                          const struct jinja_text *format, size_t *at, struct percent *p)
{
    const char *s = format->data;
    struct jinja_value value = jinja_missing(), key;
    struct style style;
    if (*at < format->size && s[*at] == '(') {
        const char *end = memchr(s + *at, ')', format->size - *at);
        if (!end)
            return jinja_fail(run, "a key without ) behind %%");
        if (p->args->kind != JINJA_DICT)
            return jinja_fail(run, "%% with a key needs a dict");
        const size_t from = *at + 1;
        *at = (size_t)(end - s) + 1;
        if (!jinja_string(run, s + from, (size_t)(end - s) - from, &key) ||
            !jinja_dict_get(run, p->args->as.dict, key, &value))
            return false;
        if (value.kind == JINJA_MISSING)
            return jinja_fail(run, "%%: the key %.60s is missing", key.as.text->data);
        if (strchr(key.as.text->data, '('))
            return jinja_unsupported(run, "%% with a bracket in a key");
        p->next = 1;
    }
    if (!percent_style(run, s, format->size, at, &style))
        return false;
    if (style.type == '%')
        return jinja_write(run, buffer, "%", 1);
    if (value.kind == JINJA_MISSING && !next_argument(run, p, &value))
        return false;
    return percent_one(run, buffer, &style, &value);
}

bool jinja_percent(struct jinja_run *run, const struct jinja_text *format,
                   const struct jinja_value *args, struct jinja_value *out)
{
    struct jinja_buffer buffer = { 0 };
    struct percent p = { .args = args };
    bool good = true;
    p.is_mapping = args->kind == JINJA_DICT || args->kind == JINJA_LIST ||
                   args->kind == JINJA_UNDEFINED || args->kind == JINJA_RANGE;
    for (size_t at = 0; good && at < format->size;) {
        if (format->data[at] == '%') {
            at++;
            good = percent_place(run, &buffer, format, &at, &p);
            continue;
        }
        const char *next = memchr(format->data + at, '%', format->size - at);
        const size_t end = next ? (size_t)(next - format->data) : format->size;
        good = jinja_write(run, &buffer, format->data + at, end - at);
        at = end;
    }
    const size_t count = args->kind == JINJA_TUPLE ? args->as.items->count : 1;
    if (good && !p.is_mapping && p.next < count)
        good = jinja_fail(run, "%% has too many arguments");
    return jinja_buffer_take(run, &buffer, good, out);
}

/* ---- str.format ---- */

struct places {
    const struct jinja_args *args;
    size_t next;        /* of places without a number */
    bool auto_, manual; /* kinds of places seen */
};

/* The value that the first part of a field names. */
static bool first_of_field(struct jinja_run *run, struct places *p, const char *s,
                           size_t size, struct jinja_value *out)
{
    int64_t place;
    size_t at = 0;
    const bool is_number = read_number(s, size, &at, &place) && at == size;
    if (size == 0 || is_number) {
        *(size == 0 ? &p->auto_ : &p->manual) = true;
        if (p->auto_ && p->manual)
            return jinja_fail(run, "format: places with and without numbers");
        const size_t i = size == 0 ? p->next++ : (size_t)place;
        if (i >= p->args->count)
            return jinja_fail(run, "format: there is no argument %zu", i);
        *out = p->args->at[i];
        return true;
    }
    for (size_t i = 0; i < p->args->named_count; i++)
        if (p->args->named[i].name->size == size &&
            memcmp(p->args->named[i].name->data, s, size) == 0) {
            *out = p->args->named[i].value;
            return true;
        }
    return jinja_fail(run, "format: there is no argument %.*s", (int)(size % 100), s);
}

static bool field_value(struct jinja_run *run, struct places *p, const char *s,
                        size_t size, struct jinja_value *out)
{
    size_t at = 0;
    while (at < size && s[at] != '.' && s[at] != '[')
        at++;
    if (!first_of_field(run, p, s, at, out))
        return false;
    while (at < size) {
        struct jinja_value of = *out, key;
        const char open = s[at++];
        const size_t from = at;
        int64_t place;
        while (at < size && (open == '[' ? s[at] != ']' : s[at] != '.' && s[at] != '['))
            at++;
        if (at == from || (open == '[' && at == size) || (open != '[' && open != '.'))
            return jinja_fail(run, "format: a field is wrong");
        size_t end = from;
        if (!jinja_string(run, s + from, at - from, &key))
            return false;
        if (open == '.') {
            if (!jinja_getattr(run, &of, key.as.text, out))
                return false;
            continue;
        }
        if (read_number(s, at, &end, &place) && end == at)
            key = jinja_int(place);
        if (!jinja_getitem(run, &of, &key, out))
            return false;
        at++;
    }
    return true;
}

/* [[fill]align][sign][#][0][width][,][.precision][type] */
static bool read_spec(struct jinja_run *run, const char *s, size_t size,
                      struct style *style)
{
    size_t at = 0, next = 0;
    *style = (struct style){ .width = -1, .precision = -1 };
    if (size)
        jinja_decode(s, &next);
    if (next && next < size && strchr("<>^=", s[next])) {
        style->fill = jinja_decode(s, &at);
        style->align = s[at++];
    } else if (size && strchr("<>^=", s[0]) && s[0]) {
        style->align = s[at++];
    }
    if (at < size && s[at] && strchr("+- ", s[at]))
        style->sign = s[at++];
    if (at < size && s[at] == '#') {
        style->alternate = true;
        at++;
    }
    if (at < size && s[at] == '0') {
        style->zero = true;
        at++;
    }
    bool good = read_number(s, size, &at, &style->width);
    if (at < size && s[at] == ',') {
        style->comma = true;
        at++;
    }
    if (good && at < size && s[at] == '.') {
        at++;
        good = read_number(s, size, &at, &style->precision) && style->precision >= 0;
    }
    if (at < size)
        style->type = s[at++];
    return (good && at == size) || jinja_unsupported(run, "format: this specification");
}

static bool write_spec(struct jinja_run *run, struct jinja_buffer *buffer,
                       const struct jinja_value *v, struct style *style)
{
    if (v->kind == JINJA_STRING) {
        if ((style->type && style->type != 's') || style->sign || style->comma ||
            style->align == '=' || style->alternate)
            return jinja_fail(run, "format: a specification that strings do not have");
        if (style->zero && !style->fill)
            style->fill = '0';
        return write_text(run, buffer, style, v->as.text,
                          style->align ? style->align : '<');
    }
    const char type = style->type ? style->type : 'd';
    const bool of_whole = strchr("dxXob", type) != NULL;
    if (jinja_is_whole(v) && of_whole) {
        if (style->precision >= 0)
            return jinja_fail(run, "format: a whole number with a precision");
        if (style->comma && type != 'd')
            return jinja_fail(run, "format: commas in this base");
        style->type = type;
        return write_whole(run, buffer, style, jinja_whole(v));
    }
    if (jinja_is_number(v) && style->type && strchr("eEfFgG%", style->type))
        return write_float(run, buffer, style, jinja_number(v));
    if (jinja_is_number(v))
        return jinja_unsupported(run, "format: this specification of a number");
    return jinja_fail(run, "format: a specification for a %s", jinja_type_name(v));
}

/* A field without its braces. */
static bool write_field(struct jinja_run *run, struct jinja_buffer *buffer,
                        struct places *p, const char *s, size_t size)
{
    struct jinja_value value, made;
    struct style style;
    size_t name = 0, spec;
    while (name < size && s[name] != '!' && s[name] != ':')
        name +=
            s[name] == '[' && memchr(s + name, ']', size - name)
                ? (size_t)((const char *)memchr(s + name, ']', size - name) - s) - name
                : 1;
    if (!field_value(run, p, s, name, &value))
        return false;
    spec = name;
    if (spec < size && s[spec] == '!') {
        const char how = spec + 1 < size ? s[spec + 1] : 0;
        struct jinja_buffer text = { 0 };
        if ((how != 'r' && how != 's') || (spec + 2 < size && s[spec + 2] != ':'))
            return jinja_unsupported(run, "format: this conversion");
        const bool good =
            how == 'r' ? jinja_repr(run, &text, &value) : jinja_print(run, &text, &value);
        if (!jinja_buffer_take(run, &text, good, &made))
            return false;
        value = made;
        spec += 2;
    }
    if (spec + 1 >= size)
        return jinja_print(run, buffer, &value);
    return read_spec(run, s + spec + 1, size - spec - 1, &style) &&
           write_spec(run, buffer, &value, &style);
}

static bool format_step(struct jinja_run *run, struct jinja_buffer *buffer,
                        const struct jinja_text *text, size_t *at, struct places *p)
{
    const char *s = text->data;
    if (s[*at] != '{' && s[*at] != '}')
        return jinja_write(run, buffer, s + (*at)++, 1);
    if (*at + 1 < text->size && s[*at + 1] == s[*at]) {
        *at += 2;
        return jinja_write(run, buffer, s + *at - 1, 1);
    }
    const char *end = s[*at] == '{' ? memchr(s + *at, '}', text->size - *at) : NULL;
    if (!end)
        return jinja_fail(run, "format: a single brace");
    const size_t from = *at + 1, size = (size_t)(end - s) - from;
    if (memchr(s + from, '{', size))
        return jinja_unsupported(run, "format: braces inside a field");
    *at = from + size + 1;
    return write_field(run, buffer, p, s + from, size);
}

bool jinja_str_format(struct jinja_run *run, const struct jinja_value *self,
                      struct jinja_args *args, struct jinja_value *out)
{
    struct places p = { .args = args };
    struct jinja_buffer buffer = { 0 };
    bool good = true;
    if (self->is_safe)
        return jinja_unsupported(run, "format of a text that is marked as safe");
    for (size_t at = 0; good && at < self->as.text->size;)
        good = format_step(run, &buffer, self->as.text, &at, &p);
    return jinja_buffer_take(run, &buffer, good, out);
}

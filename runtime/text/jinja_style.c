/* runtime/text/jinja_style.c
 * Numbers and texts with a width, a fill and a precision, for % and str.format. */
#include "runtime/text/jinja_style.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

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
                         const struct jinja_style *style, const char *head,
                         const char *body, size_t size, char align)
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

bool jinja_style_text(struct jinja_run *run, struct jinja_buffer *buffer,
                      const struct jinja_style *style, const struct jinja_text *text,
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
                         const struct jinja_style *style, bool is_negative,
                         const char *prefix, const char *digits)
{
    char head[8], room[800];
    struct jinja_style own = *style;
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

bool jinja_style_whole(struct jinja_run *run, struct jinja_buffer *buffer,
                       const struct jinja_style *style, int64_t v)
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

/* The number without its sign, as C writes it. */
static bool float_digits(struct jinja_run *run, char type, int precision, double v,
                         char room[480])
{
    switch (type) {
    case 'f':
    case 'F':
        snprintf(room, 480, "%.*f", precision, v);
        return true;
    case 'e':
        snprintf(room, 480, "%.*e", precision, v);
        return true;
    case 'E':
        snprintf(room, 480, "%.*E", precision, v);
        return true;
    case 'g':
        snprintf(room, 480, "%.*g", precision, v);
        return true;
    case 'G':
        snprintf(room, 480, "%.*G", precision, v);
        return true;
    default:
        return jinja_unsupported(run, "the format %%%c", type);
    }
}

static const char *not_finite(double v, bool upper)
{
    if (isnan(v))
        return upper ? "NAN" : "nan";
    return upper ? "INF" : "inf";
}

bool jinja_style_float(struct jinja_run *run, struct jinja_buffer *buffer,
                       const struct jinja_style *style, double v)
{
    char room[480];
    const char type = style->type == '%' ? 'f' : style->type;
    const int64_t precision = style->precision < 0 ? 6 : style->precision;
    if (precision > 60 || style->alternate)
        return jinja_unsupported(run, "the format of a float with # or a precision "
                                      "above 60");
    if (style->type == '%')
        v *= 100;
    if (!isfinite(v))
        snprintf(room, sizeof room, "%s", not_finite(v, type >= 'A' && type <= 'Z'));
    else if (!float_digits(run, type, (int)precision, fabs(v), room))
        return false;
    if (style->type == '%')
        memcpy(room + strlen(room), "%", 2);
    return write_number(run, buffer, style, signbit(v) && !isnan(v), "", room);
}

/* Digits at *at, -1 if there are none; false: too many. */
bool jinja_style_number(const char *s, size_t size, size_t *at, int64_t *out)
{
    *out = -1;
    for (; *at < size && s[*at] >= '0' && s[*at] <= '9'; ++*at) {
        *out = (*out < 0 ? 0 : *out) * 10 + (s[*at] - '0');
        if (*out > 100000000)
            return false;
    }
    return true;
}

bool jinja_style_is(const char *s, size_t size, size_t at, const char *letters)
{
    return at < size && s[at] && strchr(letters, s[at]);
}

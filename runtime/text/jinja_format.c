/* runtime/text/jinja_format.c
 * Texts with places: Python's str.format. */
#include "runtime/text/jinja_style.h"

#include <string.h>

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
    const bool is_number = jinja_style_number(s, size, &at, &place) && at == size;
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

/* One .name or [key] at *at. */
static bool field_step(struct jinja_run *run, const char *s, size_t size, size_t *at,
                       struct jinja_value *value)
{
    struct jinja_value of = *value, key;
    const bool is_item = s[*at] == '[';
    const size_t from = *at + 1;
    size_t end = from, number = from;
    int64_t place;
    while (end < size && (is_item ? s[end] != ']' : s[end] != '.' && s[end] != '['))
        end++;
    if (end == from || (is_item ? end == size : s[*at] != '.'))
        return jinja_fail(run, "format: a field is wrong");
    if (!jinja_string(run, s + from, end - from, &key))
        return false;
    *at = end + is_item;
    if (!is_item)
        return jinja_getattr(run, &of, key.as.text, value);
    if (jinja_style_number(s, end, &number, &place) && number == end)
        key = jinja_int(place);
    return jinja_getitem(run, &of, &key, value);
}

static bool field_value(struct jinja_run *run, struct places *p, const char *s,
                        size_t size, struct jinja_value *out)
{
    size_t at = 0;
    while (at < size && s[at] != '.' && s[at] != '[')
        at++;
    if (!first_of_field(run, p, s, at, out))
        return false;
    while (at < size)
        if (!field_step(run, s, size, &at, out))
            return false;
    return true;
}

static bool skip_letter(const char *s, size_t size, size_t *at, const char *letters)
{
    const bool found = jinja_style_is(s, size, *at, letters);
    *at += found;
    return found;
}

static void read_align(const char *s, size_t size, size_t *at, struct jinja_style *style)
{
    size_t next = 0;
    if (size)
        jinja_decode(s, &next);
    if (jinja_style_is(s, size, next, "<>^=") && next)
        style->fill = jinja_decode(s, at);
    if (jinja_style_is(s, size, *at, "<>^="))
        style->align = s[(*at)++];
}

/* [[fill]align][sign][#][0][width][,][.precision][type] */
static bool read_spec(struct jinja_run *run, const char *s, size_t size,
                      struct jinja_style *style)
{
    size_t at = 0;
    *style = (struct jinja_style){ .width = -1, .precision = -1 };
    read_align(s, size, &at, style);
    if (skip_letter(s, size, &at, "+- "))
        style->sign = s[at - 1];
    style->alternate = skip_letter(s, size, &at, "#");
    style->zero = skip_letter(s, size, &at, "0");
    bool good = jinja_style_number(s, size, &at, &style->width);
    style->comma = skip_letter(s, size, &at, ",");
    if (good && skip_letter(s, size, &at, "."))
        good =
            jinja_style_number(s, size, &at, &style->precision) && style->precision >= 0;
    if (at < size)
        style->type = s[at++];
    return (good && at == size) || jinja_unsupported(run, "format: this specification");
}

static bool text_spec(struct jinja_run *run, struct jinja_buffer *buffer,
                      const struct jinja_text *text, struct jinja_style *style)
{
    if ((style->type && style->type != 's') || style->sign || style->comma ||
        style->align == '=' || style->alternate)
        return jinja_fail(run, "format: a specification that strings do not have");
    if (style->zero && !style->fill)
        style->fill = '0';
    return jinja_style_text(run, buffer, style, text, style->align ? style->align : '<');
}

static bool whole_spec(struct jinja_run *run, struct jinja_buffer *buffer, int64_t v,
                       struct jinja_style *style)
{
    if (style->precision >= 0)
        return jinja_fail(run, "format: a whole number with a precision");
    if (style->comma && style->type != 'd')
        return jinja_fail(run, "format: commas in this base");
    return jinja_style_whole(run, buffer, style, v);
}

static bool write_spec(struct jinja_run *run, struct jinja_buffer *buffer,
                       const struct jinja_value *v, struct jinja_style *style)
{
    if (v->kind == JINJA_STRING)
        return text_spec(run, buffer, v->as.text, style);
    if (!jinja_is_number(v))
        return jinja_fail(run, "format: a specification for a %s", jinja_type_name(v));
    if (style->type && strchr("eEfFgG%", style->type))
        return jinja_style_float(run, buffer, style, jinja_number(v));
    if (!style->type && jinja_is_whole(v))
        style->type = 'd';
    if (jinja_is_whole(v) && style->type && strchr("dxXob", style->type))
        return whole_spec(run, buffer, jinja_whole(v), style);
    return jinja_unsupported(run, "format: this specification of a number");
}

/* Where the name of a field ends: before ! or :, brackets aside. */
static size_t name_end(const char *s, size_t size)
{
    size_t at = 0;
    while (at < size && s[at] != '!' && s[at] != ':') {
        const char *close = s[at] == '[' ? memchr(s + at, ']', size - at) : NULL;
        at = close ? (size_t)(close - s) : at + 1;
    }
    return at;
}

/* !r or !s at *spec; nothing if it is not there. */
static bool convert(struct jinja_run *run, const char *s, size_t size, size_t *spec,
                    struct jinja_value *value)
{
    struct jinja_buffer text = { 0 };
    struct jinja_value made;
    if (!jinja_style_is(s, size, *spec, "!"))
        return true;
    const bool is_known = jinja_style_is(s, size, *spec + 1, "rs");
    if (!is_known || (*spec + 2 < size && s[*spec + 2] != ':'))
        return jinja_unsupported(run, "format: this conversion");
    const bool good = s[*spec + 1] == 'r' ? jinja_repr(run, &text, value)
                                          : jinja_print(run, &text, value);
    if (!jinja_buffer_take(run, &text, good, &made))
        return false;
    *value = made;
    *spec += 2;
    return true;
}

/* A field without its braces. */
static bool write_field(struct jinja_run *run, struct jinja_buffer *buffer,
                        struct places *p, const char *s, size_t size)
{
    struct jinja_value value;
    struct jinja_style style;
    size_t spec = name_end(s, size);
    if (!field_value(run, p, s, spec, &value) || !convert(run, s, size, &spec, &value))
        return false;
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

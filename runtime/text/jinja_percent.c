/* runtime/text/jinja_percent.c
 * Texts with places: Python's `%`. */
#include "runtime/text/jinja_style.h"

#include <string.h>

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

static void percent_flag(char flag, struct jinja_style *style)
{
    if (flag == '-')
        style->align = '<';
    else if (flag == '0')
        style->zero = true;
    else if (flag == '#')
        style->alternate = true;
    else if (style->sign != '+')
        style->sign = flag;
}

/* Flags, width, precision and type behind a %. */
static bool percent_style(struct jinja_run *run, const char *s, size_t size, size_t *at,
                          struct jinja_style *style)
{
    *style = (struct jinja_style){ .width = -1, .precision = -1 };
    for (; jinja_style_is(s, size, *at, "-+ 0#"); ++*at)
        percent_flag(s[*at], style);
    bool good = jinja_style_number(s, size, at, &style->width);
    if (good && jinja_style_is(s, size, *at, ".")) {
        ++*at;
        good = jinja_style_number(s, size, at, &style->precision);
        if (style->precision < 0)
            style->precision = 0;
    }
    while (jinja_style_is(s, size, *at, "hlL"))
        ++*at;
    style->zero = style->zero && style->align != '<';
    if (jinja_style_is(s, size, *at, "*"))
        return jinja_unsupported(run, "%% with a width or precision from its arguments");
    if (!good)
        return jinja_unsupported(run, "%% with a width of this size");
    if (*at >= size)
        return jinja_fail(run, "an unfinished place behind %%");
    style->type = s[(*at)++];
    return true;
}

static bool percent_number(struct jinja_run *run, struct jinja_buffer *buffer,
                           struct jinja_style *style, const struct jinja_value *v)
{
    struct jinja_value whole = *v;
    if (v->kind == JINJA_UNDEFINED)
        return jinja_fail_undefined(run, v);
    if (!jinja_is_number(v))
        return jinja_fail(run, "%%%c of a %s", style->type, jinja_type_name(v));
    if (strchr("eEfFgG", style->type))
        return jinja_style_float(run, buffer, style, jinja_number(v));
    if (v->kind == JINJA_FLOAT) {
        if (!strchr("diu", style->type))
            return jinja_fail(run, "%%%c of a float", style->type);
        if (!jinja_int_of_float(run, v->as.number, &whole))
            return false;
    }
    if (style->type == 'o' && style->alternate)
        return jinja_unsupported(run, "%%#o");
    return jinja_style_whole(run, buffer, style, jinja_whole(&whole));
}

static bool percent_one(struct jinja_run *run, struct jinja_buffer *buffer,
                        struct jinja_style *style, const struct jinja_value *v)
{
    const struct jinja_text *text;
    struct jinja_buffer repr = { 0 };
    struct jinja_value made;
    const char align = style->align ? style->align : '>';
    if (style->type == 's')
        return jinja_to_text(run, v, &text) &&
               jinja_style_text(run, buffer, style, text, align);
    if (style->type == 'r') {
        const bool good = jinja_repr(run, &repr, v);
        return jinja_buffer_take(run, &repr, good, &made) &&
               jinja_style_text(run, buffer, style, made.as.text, align);
    }
    if (style->type == 'a' || style->type == 'c')
        return jinja_unsupported(run, "the format %%%c", style->type);
    if (!style->type || !strchr("diuxXoeEfFgG", style->type))
        return jinja_fail(run, "a format of %% that is not known");
    return percent_number(run, buffer, style, v);
}

/* The place behind a % at *at. */
static bool percent_place(struct jinja_run *run, struct jinja_buffer *buffer,
                          const struct jinja_text *format, size_t *at, struct percent *p)
{
    const char *s = format->data;
    struct jinja_value value = jinja_missing(), key;
    struct jinja_style style;
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

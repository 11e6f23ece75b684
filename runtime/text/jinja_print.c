/* runtime/text/jinja_print.c
 * Values as text: Python's str and repr. What shows an address there is refused. */
#include "runtime/text/jinja_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool jinja_write(struct jinja_run *run, struct jinja_buffer *buffer, const char *data,
                 size_t size)
{
    if (run->st != RT_OK || !jinja_step(run, size / 64))
        return false;
    if (buffer->size + size > run->limits->output_bytes + 1)
        return jinja_limit(run, "bytes of text", run->limits->output_bytes);
    if (buffer->room - buffer->size < size) {
        size_t room = buffer->room ? 2 * buffer->room : 256;
        while (room < buffer->size + size)
            room *= 2;
        char *grown = rt_resize(run->ctx, buffer->data, buffer->room, room, 1);
        if (!grown)
            return jinja_no_memory(run);
        buffer->data = grown;
        buffer->room = room;
    }
    if (size)
        memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    return true;
}

bool jinja_write_words(struct jinja_run *run, struct jinja_buffer *buffer,
                       const char *words)
{
    return jinja_write(run, buffer, words, strlen(words));
}

bool jinja_write_character(struct jinja_run *run, struct jinja_buffer *buffer, uint32_t c)
{
    char room[4];
    size_t n = 1;
    if (c < 0x80) {
        room[0] = (char)c;
    } else if (c < 0x800) {
        room[0] = (char)(0xc0 | c >> 6);
        n = 2;
    } else if (c < 0x10000) {
        room[0] = (char)(0xe0 | c >> 12);
        n = 3;
    } else {
        room[0] = (char)(0xf0 | c >> 18);
        n = 4;
    }
    for (size_t i = 1; i < n; i++)
        room[i] = (char)(0x80 | (c >> (6 * (n - 1 - i)) & 63));
    return jinja_write(run, buffer, room, n);
}

bool jinja_buffer_take(struct jinja_run *run, struct jinja_buffer *buffer, bool good,
                       struct jinja_value *out)
{
    good = good && jinja_string(run, buffer->data, buffer->size, out);
    rt_free(buffer->data);
    *buffer = (struct jinja_buffer){ 0 };
    return good;
}

/* The fewest digits that read back as the same number, as Python's repr. */
void jinja_float_words(double number, char room[40])
{
    char digits[40];
    if (!isfinite(number)) {
        snprintf(room, 40, "%s", isnan(number) ? "nan" : number > 0 ? "inf" : "-inf");
        return;
    }
    int places = 0;
    do
        snprintf(digits, sizeof digits, "%.*e", places, number);
    while (strtod(digits, NULL) != number && ++places < 17);
    char *e = strchr(digits, 'e');
    const int power = (int)strtol(e + 1, NULL, 10);
    *e = 0;
    if (power < -4 || power >= 16) {
        snprintf(room, 40, "%.24se%c%02d", digits, power < 0 ? '-' : '+', abs(power));
        return;
    }
    const int after = places - power; /* digits behind the point */
    snprintf(room, 40, "%.*f", after > 1 ? after : 1, number);
}

static bool write_escaped(struct jinja_run *run, struct jinja_buffer *buffer, uint32_t c)
{
    char room[16];
    if (c == '\n' || c == '\r' || c == '\t')
        return jinja_write_words(run, buffer,
                                 c == '\n'   ? "\\n"
                                 : c == '\r' ? "\\r"
                                             : "\\t");
    if (c < 0x100)
        snprintf(room, sizeof room, "\\x%02x", c);
    else if (c < 0x10000)
        snprintf(room, sizeof room, "\\u%04x", c);
    else
        snprintf(room, sizeof room, "\\U%08x", c);
    return jinja_write_words(run, buffer, room);
}

static bool write_string_repr(struct jinja_run *run, struct jinja_buffer *buffer,
                              const struct jinja_text *text)
{
    const bool has_single = memchr(text->data, '\'', text->size) != NULL,
               has_double = memchr(text->data, '"', text->size) != NULL;
    const uint32_t quote = has_single && !has_double ? '"' : '\'';
    bool good = jinja_write_character(run, buffer, quote);
    for (size_t at = 0; good && at < text->size;) {
        const uint32_t c = jinja_decode(text->data, &at);
        if (c == quote || c == '\\')
            good = jinja_write(run, buffer, "\\", 1) &&
                   jinja_write_character(run, buffer, c);
        else if (jinja_is_printable(c))
            good = jinja_write_character(run, buffer, c);
        else
            good = write_escaped(run, buffer, c);
    }
    return good && jinja_write_character(run, buffer, quote);
}

static bool write_items(struct jinja_run *run, struct jinja_buffer *buffer,
                        const struct jinja_items *items, const char *open,
                        const char *close)
{
    if (!jinja_write_words(run, buffer, open))
        return false;
    for (size_t i = 0; i < items->count; i++)
        if ((i && !jinja_write_words(run, buffer, ", ")) ||
            !jinja_repr(run, buffer, &items->at[i]))
            return false;
    return (items->count != 1 || open[0] != '(' || jinja_write_words(run, buffer, ",")) &&
           jinja_write_words(run, buffer, close);
}

static bool write_dict(struct jinja_run *run, struct jinja_buffer *buffer,
                       const struct jinja_dict *dict, const char *open, const char *close)
{
    if (!jinja_write_words(run, buffer, open))
        return false;
    for (size_t i = 0; i < dict->count; i++)
        if ((i && !jinja_write_words(run, buffer, ", ")) ||
            !jinja_repr(run, buffer, &dict->keys[i]) ||
            !jinja_write_words(run, buffer, ": ") ||
            !jinja_repr(run, buffer, &dict->values[i]))
            return false;
    return jinja_write_words(run, buffer, close);
}

static bool write_view(struct jinja_run *run, struct jinja_buffer *buffer,
                       const struct jinja_value *v)
{
    static const char *const opens[] = { "dict_keys([", "dict_values([", "dict_items([" };
    struct jinja_items *items;
    return jinja_to_items(run, v, &items) &&
           write_items(run, buffer, items, opens[v->as.view->kind], "])");
}

static bool write_range(struct jinja_run *run, struct jinja_buffer *buffer,
                        const struct jinja_range *range)
{
    char room[120];
    const long long stop = range->stop, start = range->start, step = range->step;
    if (step == 1)
        snprintf(room, sizeof room, "range(%lld, %lld)", start, stop);
    else
        snprintf(room, sizeof room, "range(%lld, %lld, %lld)", start, stop, step);
    return jinja_write_words(run, buffer, room);
}

static bool write_loop(struct jinja_run *run, struct jinja_buffer *buffer,
                       struct jinja_loop *loop)
{
    char room[80];
    struct jinja_value length;
    if (!jinja_loop_attribute(run, loop, "length", &length))
        return false;
    snprintf(room, sizeof room, "<LoopContext %lld/%lld>", (long long)loop->index0 + 1,
             (long long)length.as.integer);
    return jinja_write_words(run, buffer, room);
}

static bool write_macro(struct jinja_run *run, struct jinja_buffer *buffer,
                        const struct jinja_macro *macro)
{
    const struct jinja_text *name = macro->node->name;
    return name ? jinja_write_words(run, buffer, "<Macro '") &&
                      jinja_write(run, buffer, name->data, name->size) &&
                      jinja_write_words(run, buffer, "'>")
                : jinja_write_words(run, buffer, "<Macro anonymous>");
}

static bool write_scalar(struct jinja_run *run, struct jinja_buffer *buffer,
                         const struct jinja_value *v)
{
    char room[40];
    switch (v->kind) {
    case JINJA_NONE:
        return jinja_write_words(run, buffer, "None");
    case JINJA_BOOL:
        return jinja_write_words(run, buffer, v->as.truth ? "True" : "False");
    case JINJA_INT:
        snprintf(room, sizeof room, "%lld", (long long)v->as.integer);
        return jinja_write_words(run, buffer, room);
    case JINJA_FLOAT:
        jinja_float_words(v->as.number, room);
        return jinja_write_words(run, buffer, room);
    case JINJA_RANGE:
        return write_range(run, buffer, v->as.range);
    case JINJA_LOOP:
        return write_loop(run, buffer, v->as.loop);
    case JINJA_MACRO:
        return write_macro(run, buffer, v->as.macro);
    default:
        return jinja_unsupported(run, "the text of a %s", jinja_type_name(v));
    }
}

/* Both: they differ for strings and undefined. */
static bool write_value(struct jinja_run *run, struct jinja_buffer *buffer,
                        const struct jinja_value *v)
{
    switch (v->kind) {
    case JINJA_LIST:
        return write_items(run, buffer, v->as.items, "[", "]");
    case JINJA_TUPLE:
        return write_items(run, buffer, v->as.items, "(", ")");
    case JINJA_DICT:
        return write_dict(run, buffer, v->as.dict, "{", "}");
    case JINJA_NAMESPACE:
        return write_dict(run, buffer, v->as.dict, "<Namespace {", "}>");
    case JINJA_VIEW:
        return write_view(run, buffer, v);
    default:
        return write_scalar(run, buffer, v);
    }
}

bool jinja_repr(struct jinja_run *run, struct jinja_buffer *buffer,
                const struct jinja_value *v)
{
    if (!jinja_step(run, 1) || !jinja_enter(run))
        return false;
    bool good;
    if (v->kind == JINJA_UNDEFINED)
        good = jinja_write_words(run, buffer, "Undefined");
    else if (v->kind == JINJA_STRING)
        good = (!v->is_safe || jinja_write_words(run, buffer, "Markup(")) &&
               write_string_repr(run, buffer, v->as.text) &&
               (!v->is_safe || jinja_write_words(run, buffer, ")"));
    else
        good = write_value(run, buffer, v);
    run->depth--;
    return good;
}

bool jinja_print(struct jinja_run *run, struct jinja_buffer *buffer,
                 const struct jinja_value *v)
{
    if (v->kind == JINJA_STRING)
        return jinja_write(run, buffer, v->as.text->data, v->as.text->size);
    return v->kind == JINJA_UNDEFINED || write_value(run, buffer, v);
}

bool jinja_to_text(struct jinja_run *run, const struct jinja_value *v,
                   const struct jinja_text **out)
{
    struct jinja_buffer buffer = { 0 };
    struct jinja_value text;
    if (v->kind == JINJA_STRING) {
        *out = v->as.text;
        return true;
    }
    const bool good = jinja_print(run, &buffer, v);
    if (!jinja_buffer_take(run, &buffer, good, &text))
        return false;
    *out = text.as.text;
    return true;
}

bool jinja_escape(struct jinja_run *run, const struct jinja_value *v,
                  struct jinja_value *out)
{
    static const char marks[] = "&<>'\"";
    static const char *const words[] = { "&amp;", "&lt;", "&gt;", "&#39;", "&#34;" };
    const struct jinja_text *text;
    struct jinja_buffer buffer = { 0 };
    if (!jinja_to_text(run, v, &text))
        return false;
    bool good = true;
    for (size_t i = 0; good && i < text->size; i++) {
        const char *mark = text->data[i] ? strchr(marks, text->data[i]) : NULL;
        good = mark ? jinja_write_words(run, &buffer, words[mark - marks])
                    : jinja_write(run, &buffer, text->data + i, 1);
    }
    good = jinja_buffer_take(run, &buffer, good, out);
    out->is_safe = true;
    return good;
}

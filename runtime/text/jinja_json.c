/* runtime/text/jinja_json.c
 * The filter tojson of transformers: Python's json.dumps without escapes for HTML. */
#include "runtime/text/jinja_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct json_style {
    bool is_ascii, is_sorted, is_indented;
    const struct jinja_text *indent;      /* one level, if is_indented */
    const struct jinja_text *item, *pair; /* separators */
    uint32_t level;
};

static bool write_json(struct jinja_run *run, struct jinja_buffer *buffer,
                       const struct jinja_value *v, struct json_style *style);

static bool write_unit(struct jinja_run *run, struct jinja_buffer *buffer, uint32_t unit)
{
    char room[8];
    snprintf(room, sizeof room, "\\u%04x", unit & 0xffff);
    return jinja_write_words(run, buffer, room);
}

static bool write_json_string(struct jinja_run *run, struct jinja_buffer *buffer,
                              const struct jinja_text *text, bool is_ascii)
{
    static const char marks[] = "\"\\\n\r\t\f\b", letters[] = "\"\\nrtfb";
    bool good = jinja_write(run, buffer, "\"", 1);
    for (size_t at = 0; good && at < text->size;) {
        const uint32_t c = jinja_decode(text->data, &at);
        const char *mark = c && c < 128 ? strchr(marks, (int)c) : NULL;
        if (mark)
            good = jinja_write(run, buffer, "\\", 1) &&
                   jinja_write(run, buffer, &letters[mark - marks], 1);
        else if (c < 0x20 || (is_ascii && c > 0x7e && c < 0x10000))
            good = write_unit(run, buffer, c);
        else if (is_ascii && c >= 0x10000)
            good = write_unit(run, buffer, 0xd800 + ((c - 0x10000) >> 10)) &&
                   write_unit(run, buffer, 0xdc00 + ((c - 0x10000) & 0x3ff));
        else
            good = jinja_write_character(run, buffer, c);
    }
    return good && jinja_write(run, buffer, "\"", 1);
}

static bool new_line(struct jinja_run *run, struct jinja_buffer *buffer,
                     const struct json_style *style)
{
    if (!style->is_indented)
        return true;
    bool good = jinja_write(run, buffer, "\n", 1);
    for (uint32_t i = 0; good && i < style->level; i++)
        good = jinja_write(run, buffer, style->indent->data, style->indent->size);
    return good;
}

static bool write_between(struct jinja_run *run, struct jinja_buffer *buffer,
                          const struct json_style *style, size_t i)
{
    return (!i || jinja_write(run, buffer, style->item->data, style->item->size)) &&
           new_line(run, buffer, style);
}

static bool write_array(struct jinja_run *run, struct jinja_buffer *buffer,
                        const struct jinja_items *items, struct json_style *style)
{
    if (items->count == 0)
        return jinja_write(run, buffer, "[]", 2);
    bool good = jinja_write(run, buffer, "[", 1);
    style->level++;
    for (size_t i = 0; good && i < items->count; i++)
        good = write_between(run, buffer, style, i) &&
               write_json(run, buffer, &items->at[i], style);
    style->level--;
    return good && new_line(run, buffer, style) && jinja_write(run, buffer, "]", 1);
}

static bool write_key(struct jinja_run *run, struct jinja_buffer *buffer,
                      const struct jinja_value *key, struct json_style *style)
{
    if (key->kind == JINJA_STRING)
        return write_json_string(run, buffer, key->as.text, style->is_ascii);
    if (key->kind != JINJA_NONE && !jinja_is_number(key))
        return jinja_fail(run, "tojson: a key that is a %s", jinja_type_name(key));
    return jinja_write(run, buffer, "\"", 1) && write_json(run, buffer, key, style) &&
           jinja_write(run, buffer, "\"", 1);
}

static bool key_order(struct jinja_run *run, const struct jinja_dict *dict, bool sorted,
                      size_t **order)
{
    *order = jinja_take(run, dict->count + 1, sizeof **order);
    if (!*order)
        return false;
    for (size_t i = 0; i < dict->count; i++)
        (*order)[i] = i;
    return !sorted || jinja_sort(run, dict->keys, dict->count, false, *order);
}

static bool write_object(struct jinja_run *run, struct jinja_buffer *buffer,
                         const struct jinja_dict *dict, struct json_style *style)
{
    size_t *order;
    if (dict->count == 0)
        return jinja_write(run, buffer, "{}", 2);
    if (!key_order(run, dict, style->is_sorted, &order))
        return false;
    bool good = jinja_write(run, buffer, "{", 1);
    style->level++;
    for (size_t i = 0; good && i < dict->count; i++)
        good = write_between(run, buffer, style, i) &&
               write_key(run, buffer, &dict->keys[order[i]], style) &&
               jinja_write(run, buffer, style->pair->data, style->pair->size) &&
               write_json(run, buffer, &dict->values[order[i]], style);
    style->level--;
    return good && new_line(run, buffer, style) && jinja_write(run, buffer, "}", 1);
}

static bool write_float(struct jinja_run *run, struct jinja_buffer *buffer, double v)
{
    char room[40];
    jinja_float_words(v, room);
    return jinja_write_words(run, buffer,
                             isnan(v)    ? "NaN"
                             : !isinf(v) ? room
                             : v > 0     ? "Infinity"
                                         : "-Infinity");
}

static bool write_kind(struct jinja_run *run, struct jinja_buffer *buffer,
                       const struct jinja_value *v, struct json_style *style)
{
    switch (v->kind) {
    case JINJA_NONE:
        return jinja_write_words(run, buffer, "null");
    case JINJA_BOOL:
        return jinja_write_words(run, buffer, v->as.truth ? "true" : "false");
    case JINJA_INT:
        return jinja_print(run, buffer, v);
    case JINJA_FLOAT:
        return write_float(run, buffer, v->as.number);
    case JINJA_STRING:
        return write_json_string(run, buffer, v->as.text, style->is_ascii);
    case JINJA_LIST:
    case JINJA_TUPLE:
        return write_array(run, buffer, v->as.items, style);
    case JINJA_DICT:
        return write_object(run, buffer, v->as.dict, style);
    default:
        return jinja_fail(run, "tojson of a %s", jinja_type_name(v));
    }
}

static bool write_json(struct jinja_run *run, struct jinja_buffer *buffer,
                       const struct jinja_value *v, struct json_style *style)
{
    if (!jinja_step(run, 1) || !jinja_enter(run))
        return false;
    const bool good = write_kind(run, buffer, v, style);
    run->depth--;
    return good;
}

static bool set_indent(struct jinja_run *run, const struct jinja_value *v,
                       struct json_style *style)
{
    struct jinja_value made, one;
    if (v->kind == JINJA_MISSING || v->kind == JINJA_NONE)
        return true;
    style->is_indented = true;
    if (v->kind == JINJA_STRING) {
        style->indent = v->as.text;
        return true;
    }
    if (!jinja_is_whole(v))
        return jinja_fail(run, "tojson: an indent that is a %s", jinja_type_name(v));
    const struct jinja_value times = jinja_int(jinja_whole(v));
    if (!jinja_string(run, " ", 1, &one) ||
        !jinja_binary(run, OP_MUL, &one, &times, &made))
        return false;
    style->indent = made.as.text;
    return true;
}

static bool set_separators(struct jinja_run *run, const struct jinja_value *v,
                           struct json_style *style)
{
    struct jinja_value item, pair;
    struct jinja_items *items;
    if (v->kind == JINJA_MISSING || v->kind == JINJA_NONE) {
        if (!jinja_string(run, ", ", style->is_indented ? 1 : 2, &item) ||
            !jinja_string(run, ": ", 2, &pair))
            return false;
    } else {
        if (!jinja_to_items(run, v, &items))
            return false;
        if (items->count != 2)
            return jinja_fail(run, "tojson: separators are two strings");
        item = items->at[0];
        pair = items->at[1];
        if (item.kind != JINJA_STRING || pair.kind != JINJA_STRING)
            return jinja_unsupported(run, "tojson with separators that are no strings");
    }
    style->item = item.as.text;
    style->pair = pair.as.text;
    return true;
}

bool jinja_to_json(struct jinja_run *run, struct jinja_args *args,
                   struct jinja_value *out)
{
    struct jinja_value v[5];
    struct json_style style = { 0 };
    struct jinja_buffer buffer = { 0 };
    if (!jinja_bind(run, "tojson", "x | ensure_ascii indent separators sort_keys", false,
                    args, v) ||
        !set_indent(run, &v[2], &style) || !set_separators(run, &v[3], &style))
        return false;
    style.is_ascii = jinja_truth(&v[1]);
    style.is_sorted = jinja_truth(&v[4]);
    const bool good = write_json(run, &buffer, &v[0], &style);
    return jinja_buffer_take(run, &buffer, good, out);
}

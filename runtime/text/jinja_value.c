/* runtime/text/jinja_value.c
 * Values of a rendering: making them, lists and dicts, truth and length. */
#include "runtime/text/jinja_impl.h"

#include "runtime/base/utf8.h"

#include <string.h>

#undef jinja_fail_undefined /* what the analyzer sees of it */

struct jinja_value jinja_missing(void)
{
    return (struct jinja_value){ .kind = JINJA_MISSING };
}

struct jinja_value jinja_none(void)
{
    return (struct jinja_value){ .kind = JINJA_NONE };
}

struct jinja_value jinja_bool(bool truth)
{
    return (struct jinja_value){ .kind = JINJA_BOOL, .as.truth = truth };
}

struct jinja_value jinja_int(int64_t integer)
{
    return (struct jinja_value){ .kind = JINJA_INT, .as.integer = integer };
}

struct jinja_value jinja_float(double number)
{
    return (struct jinja_value){ .kind = JINJA_FLOAT, .as.number = number };
}

struct jinja_value jinja_of_text(const struct jinja_text *text)
{
    return (struct jinja_value){ .kind = JINJA_STRING, .as.text = text };
}

size_t jinja_code_points(const char *data, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += ((uint8_t)data[i] & 0xc0) != 0x80;
    return count;
}

bool jinja_string(struct jinja_run *run, const char *data, size_t size,
                  struct jinja_value *out)
{
    if (!jinja_step(run, size / 64))
        return false;
    struct jinja_text *text = jinja_take(run, sizeof *text + size + 1, 1);
    if (!text)
        return false;
    if (size)
        memcpy(text->data, data, size);
    text->size = size;
    text->count = jinja_code_points(data, size);
    *out = jinja_of_text(text);
    return true;
}

/* ---- lists ---- */

bool jinja_list_make(struct jinja_run *run, enum jinja_kind kind, size_t room,
                     struct jinja_value *out)
{
    struct jinja_items *items = jinja_take(run, 1, sizeof *items);
    if (!items)
        return false;
    if (room) {
        items->at = jinja_take(run, room, sizeof *items->at);
        if (!items->at)
            return false;
        items->room = room;
    }
    *out = (struct jinja_value){ .kind = (uint8_t)kind, .as.items = items };
    return true;
}

bool jinja_list_add(struct jinja_run *run, struct jinja_items *items,
                    struct jinja_value value)
{
    if (items->count == items->room) {
        const size_t room = items->room ? 2 * items->room : 8;
        struct jinja_value *grown = jinja_take(run, room, sizeof *grown);
        if (!grown)
            return false;
        if (items->count)
            memcpy(grown, items->at, items->count * sizeof *grown);
        items->at = grown;
        items->room = room;
    }
    items->at[items->count++] = value;
    return jinja_step(run, 1);
}

bool jinja_pair(struct jinja_run *run, struct jinja_value a, struct jinja_value b,
                struct jinja_value *out)
{
    struct jinja_value pair;
    if (!jinja_list_make(run, JINJA_TUPLE, 2, &pair) ||
        !jinja_list_add(run, pair.as.items, a) || !jinja_list_add(run, pair.as.items, b))
        return false;
    *out = pair;
    return true;
}

bool jinja_iterator_of(struct jinja_run *run, struct jinja_items *items,
                       struct jinja_value *out)
{
    struct jinja_iterator *iterator = jinja_take(run, 1, sizeof *iterator);
    if (!iterator)
        return false;
    iterator->items = items;
    *out = (struct jinja_value){ .kind = JINJA_ITERATOR, .as.iterator = iterator };
    return true;
}

bool jinja_generator(struct jinja_run *run, jinja_call_fn *make,
                     const struct jinja_args *args, struct jinja_value *out)
{
    if (!jinja_iterator_of(run, NULL, out))
        return false;
    out->as.iterator->make = make;
    out->as.iterator->args = *args;
    return true;
}

/* ---- dicts: pairs in their order, searched one by one ---- */

bool jinja_dict_make(struct jinja_run *run, struct jinja_value *out)
{
    struct jinja_dict *dict = jinja_take(run, 1, sizeof *dict);
    if (!dict)
        return false;
    *out = (struct jinja_value){ .kind = JINJA_DICT, .as.dict = dict };
    return true;
}

bool jinja_hashable(const struct jinja_value *v)
{
    if (v->kind == JINJA_LIST || v->kind == JINJA_DICT || v->kind == JINJA_VIEW)
        return false;
    if (v->kind == JINJA_TUPLE)
        for (size_t i = 0; i < v->as.items->count; i++)
            if (!jinja_hashable(&v->as.items->at[i]))
                return false;
    return true;
}

static bool find_key(struct jinja_run *run, const struct jinja_dict *dict,
                     const struct jinja_value *key, size_t *place)
{
    const bool is_text = key->kind == JINJA_STRING;
    size_t compared = 0; /* bytes */
    if (!jinja_hashable(key))
        return jinja_fail(run, "a %s cannot be a key of a dict", jinja_type_name(key));
    for (*place = 0; *place < dict->count; ++*place) {
        const struct jinja_value *at = &dict->keys[*place];
        bool equal;
        if (is_text) {
            equal = at->kind == JINJA_STRING && at->as.text->size == key->as.text->size;
            compared += equal ? key->as.text->size : 0;
            equal = equal && memcmp(at->as.text->data, key->as.text->data,
                                    key->as.text->size) == 0;
        } else if (!jinja_equal(run, at, key, &equal)) {
            return false;
        }
        if (equal)
            break;
    }
    return jinja_step(run, *place / 16 + compared / 256);
}

bool jinja_dict_set(struct jinja_run *run, struct jinja_dict *dict,
                    struct jinja_value key, struct jinja_value value)
{
    size_t place;
    if (!find_key(run, dict, &key, &place))
        return false;
    if (place == dict->count) {
        if (dict->count == dict->room) {
            const size_t room = dict->room ? 2 * dict->room : 4;
            struct jinja_value *keys = jinja_take(run, 2 * room, sizeof *keys);
            if (!keys)
                return false;
            if (dict->count) {
                memcpy(keys, dict->keys, dict->count * sizeof *keys);
                memcpy(keys + room, dict->values, dict->count * sizeof *keys);
            }
            dict->keys = keys;
            dict->values = keys + room;
            dict->room = room;
        }
        dict->keys[dict->count++] = key;
    }
    dict->values[place] = value;
    return true;
}

bool jinja_dict_get(struct jinja_run *run, const struct jinja_dict *dict,
                    struct jinja_value key, struct jinja_value *value)
{
    size_t place;
    if (!find_key(run, dict, &key, &place))
        return false;
    *value = place < dict->count ? dict->values[place] : jinja_missing();
    return true;
}

/* ---- undefined ---- */

bool jinja_undefined_hint(struct jinja_run *run, const char *hint,
                          struct jinja_value *out)
{
    struct jinja_undefined *undefined = jinja_take(run, 1, sizeof *undefined);
    if (!undefined)
        return false;
    undefined->hint = hint;
    *out = (struct jinja_value){ .kind = JINJA_UNDEFINED, .as.undefined = undefined };
    return true;
}

bool jinja_undefined_of(struct jinja_run *run, const char *name, const char *of,
                        struct jinja_value *out)
{
    struct jinja_undefined *undefined = jinja_take(run, 1, sizeof *undefined);
    if (!undefined)
        return false;
    undefined->name = name;
    undefined->of = of;
    *out = (struct jinja_value){ .kind = JINJA_UNDEFINED, .as.undefined = undefined };
    return true;
}

bool jinja_fail_undefined(struct jinja_run *run, const struct jinja_value *v)
{
    const struct jinja_undefined *u = v->as.undefined;
    if (u->hint)
        return jinja_fail(run, "%s", u->hint);
    if (u->of)
        return jinja_fail(run, "a %s has no element %.60s", u->of,
                          u->name ? u->name : "of this key");
    return jinja_fail(run, "%.60s is undefined", u->name ? u->name : "a value");
}

/* ---- questions ---- */

const char *jinja_type_name(const struct jinja_value *v)
{
    static const char *const names[] = {
        [JINJA_MISSING] = "missing value",
        [JINJA_UNDEFINED] = "undefined value",
        [JINJA_NONE] = "none",
        [JINJA_BOOL] = "boolean",
        [JINJA_INT] = "whole number",
        [JINJA_FLOAT] = "float",
        [JINJA_STRING] = "string",
        [JINJA_LIST] = "list",
        [JINJA_TUPLE] = "tuple",
        [JINJA_DICT] = "dict",
        [JINJA_RANGE] = "range",
        [JINJA_VIEW] = "view of a dict",
        [JINJA_ITERATOR] = "generator",
        [JINJA_NAMESPACE] = "namespace",
        [JINJA_MACRO] = "macro",
        [JINJA_FUNCTION] = "function",
        [JINJA_METHOD] = "method",
        [JINJA_LOOP] = "loop",
        [JINJA_CYCLER] = "cycler",
        [JINJA_JOINER] = "joiner",
    };
    return names[v->kind];
}

bool jinja_is_whole(const struct jinja_value *v)
{
    return v->kind == JINJA_BOOL || v->kind == JINJA_INT;
}

bool jinja_is_number(const struct jinja_value *v)
{
    return jinja_is_whole(v) || v->kind == JINJA_FLOAT;
}

int64_t jinja_whole(const struct jinja_value *v)
{
    return v->kind == JINJA_BOOL ? v->as.truth : v->as.integer;
}

double jinja_number(const struct jinja_value *v)
{
    return v->kind == JINJA_FLOAT ? v->as.number : (double)jinja_whole(v);
}

/* The length of what has one, else false. */
static bool has_length(const struct jinja_value *v, size_t *length)
{
    switch (v->kind) {
    case JINJA_UNDEFINED:
        *length = 0;
        return true;
    case JINJA_STRING:
        *length = v->as.text->count;
        return true;
    case JINJA_LIST:
    case JINJA_TUPLE:
        *length = v->as.items->count;
        return true;
    case JINJA_DICT:
        *length = v->as.dict->count;
        return true;
    case JINJA_RANGE:
        *length = v->as.range->count;
        return true;
    case JINJA_VIEW:
        *length = v->as.view->dict->count;
        return true;
    default:
        return false;
    }
}

bool jinja_truth(const struct jinja_value *v)
{
    size_t length;
    switch (v->kind) {
    case JINJA_MISSING:
    case JINJA_NONE:
        return false;
    case JINJA_BOOL:
        return v->as.truth;
    case JINJA_INT:
        return v->as.integer != 0;
    case JINJA_FLOAT:
        return v->as.number != 0;
    default:
        return !has_length(v, &length) || length != 0;
    }
}

bool jinja_length(struct jinja_run *run, const struct jinja_value *v, size_t *length)
{
    struct jinja_value of_loop;
    if (has_length(v, length))
        return true;
    if (v->kind != JINJA_LOOP)
        return jinja_fail(run, "a %s has no length", jinja_type_name(v));
    if (!jinja_loop_attribute(run, v->as.loop, "length", &of_loop))
        return false;
    *length = (size_t)of_loop.as.integer;
    return true;
}

/* ---- JSON ---- */

static bool from_object(struct jinja_run *run, const json_t *json,
                        struct jinja_value *out)
{
    const char *name;
    json_t *child;
    struct jinja_value key, value;
    if (!jinja_dict_make(run, out))
        return false;
    struct jinja_dict *dict = out->as.dict;
    const size_t room = json_object_size(json);
    if (room == 0)
        return true;
    struct jinja_value *keys = jinja_take(run, 2 * room, sizeof *keys);
    if (!keys)
        return false;
    dict->keys = keys;
    dict->values = keys + room;
    dict->room = room;
    json_object_foreach((json_t *)(uintptr_t)json, name, child)
    {
        if (!jinja_string(run, name, strlen(name), &key) ||
            !jinja_from_json(run, child, &value))
            return false;
        dict->keys[dict->count] = key; /* keys of an object are different */
        dict->values[dict->count++] = value;
    }
    return true;
}

static bool from_array(struct jinja_run *run, const json_t *json, struct jinja_value *out)
{
    struct jinja_value list, value;
    if (!jinja_list_make(run, JINJA_LIST, json_array_size(json), &list))
        return false;
    for (size_t i = 0; i < json_array_size(json); i++)
        if (!jinja_from_json(run, json_array_get(json, i), &value) ||
            !jinja_list_add(run, list.as.items, value))
            return false;
    *out = list;
    return true;
}

bool jinja_from_json(struct jinja_run *run, const json_t *json, struct jinja_value *out)
{
    bool good = jinja_enter(run);
    if (!good)
        return false;
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        good = from_object(run, json, out);
        break;
    case JSON_ARRAY:
        good = from_array(run, json, out);
        break;
    case JSON_STRING:
        good = jinja_string(run, json_string_value(json), json_string_length(json), out);
        break;
    case JSON_INTEGER:
        *out = jinja_int(json_integer_value(json));
        break;
    case JSON_REAL:
        *out = jinja_float(json_real_value(json));
        break;
    case JSON_NULL:
        *out = jinja_none();
        break;
    default:
        *out = jinja_bool(json_is_true(json));
    }
    run->depth--;
    return good;
}

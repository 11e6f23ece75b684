/* runtime/text/jinja_iterate.c
 * Reading values: items one by one, attributes, subscripts and slices. */
#include "runtime/text/jinja_impl.h"

#include <string.h>

bool jinja_is_iterable(const struct jinja_value *v)
{
    switch (v->kind) {
    case JINJA_UNDEFINED:
    case JINJA_STRING:
    case JINJA_LIST:
    case JINJA_TUPLE:
    case JINJA_DICT:
    case JINJA_RANGE:
    case JINJA_VIEW:
    case JINJA_ITERATOR:
    case JINJA_LOOP:
        return true;
    default:
        return false;
    }
}

bool jinja_iterate(struct jinja_run *run, const struct jinja_value *of,
                   struct jinja_cursor *cursor)
{
    *cursor = (struct jinja_cursor){ .of = *of };
    if (of->kind == JINJA_LOOP)
        return jinja_unsupported(run, "a loop over `loop`");
    return jinja_is_iterable(of) ||
           jinja_fail(run, "a %s cannot be iterated", jinja_type_name(of));
}

static bool next_character(struct jinja_run *run, struct jinja_cursor *cursor,
                           struct jinja_value *item)
{
    const struct jinja_text *text = cursor->of.as.text;
    const size_t from = cursor->byte;
    if (from == text->size)
        return true;
    jinja_decode(text->data, &cursor->byte);
    return jinja_string(run, text->data + from, cursor->byte - from, item);
}

static bool next_of_dict(struct jinja_run *run, const struct jinja_dict *dict,
                         enum jinja_view_kind kind, size_t i, struct jinja_value *item)
{
    if (i >= dict->count)
        return true;
    if (kind == JINJA_ITEMS)
        return jinja_pair(run, dict->keys[i], dict->values[i], item);
    *item = kind == JINJA_KEYS ? dict->keys[i] : dict->values[i];
    return true;
}

static bool next_of_iterator(struct jinja_run *run, struct jinja_iterator *iterator,
                             struct jinja_value *item)
{
    struct jinja_value list;
    if (!iterator->items) {
        if (!iterator->make(run, &iterator->args, &list))
            return false;
        iterator->items = list.as.items;
    }
    if (iterator->next < iterator->items->count)
        *item = iterator->items->at[iterator->next++];
    return true;
}

bool jinja_next(struct jinja_run *run, struct jinja_cursor *cursor,
                struct jinja_value *item)
{
    const struct jinja_value *of = &cursor->of;
    const size_t i = cursor->next++;
    *item = jinja_missing();
    if (!jinja_step(run, 1))
        return false;
    switch (of->kind) {
    case JINJA_STRING:
        return next_character(run, cursor, item);
    case JINJA_LIST:
    case JINJA_TUPLE:
        if (i < of->as.items->count)
            *item = of->as.items->at[i];
        return true;
    case JINJA_ITERATOR:
        return next_of_iterator(run, of->as.iterator, item);
    case JINJA_RANGE:
        if (i < of->as.range->count)
            *item = jinja_int(of->as.range->start + (int64_t)i * of->as.range->step);
        return true;
    case JINJA_DICT:
        return next_of_dict(run, of->as.dict, JINJA_KEYS, i, item);
    case JINJA_VIEW:
        return next_of_dict(run, of->as.view->dict, of->as.view->kind, i, item);
    default:
        return true; /* undefined */
    }
}

bool jinja_to_items(struct jinja_run *run, const struct jinja_value *v,
                    struct jinja_items **out)
{
    struct jinja_cursor cursor;
    struct jinja_value list, item;
    if (!jinja_iterate(run, v, &cursor) || !jinja_list_make(run, JINJA_LIST, 0, &list))
        return false;
    for (;;) {
        if (!jinja_next(run, &cursor, &item))
            return false;
        if (item.kind == JINJA_MISSING)
            break;
        if (!jinja_list_add(run, list.as.items, item))
            return false;
    }
    *out = list.as.items;
    return true;
}

/* ---- attributes ---- */

static bool bind_method(struct jinja_run *run, const struct jinja_value *of,
                        const struct jinja_method *method, struct jinja_value *out)
{
    if (method->changes)
        return jinja_undefined_hint(
            run, "a list or dict cannot be changed by a chat template", out);
    if (!method->call)
        return jinja_unsupported(run, "the attribute %s of a %s", method->name,
                                 jinja_type_name(of));
    struct jinja_bound *bound = jinja_take(run, 1, sizeof *bound);
    if (!bound)
        return false;
    bound->method = method;
    bound->self = *of;
    *out = (struct jinja_value){ .kind = JINJA_METHOD, .as.method = bound };
    return true;
}

/* What Python's getattr finds: *out is JINJA_MISSING if it finds nothing. */
static bool attribute(struct jinja_run *run, const struct jinja_value *of,
                      const struct jinja_text *name, struct jinja_value *out)
{
    const size_t n = name->size;
    *out = jinja_missing();
    if (of->kind == JINJA_UNDEFINED)
        return jinja_fail_undefined(run, of);
    if (of->kind == JINJA_NAMESPACE)
        return jinja_dict_get(run, of->as.dict, jinja_of_text(name), out);
    if ((n > 4 && memcmp(name->data, "__", 2) == 0) ||
        (name->data[0] == '_' && of->kind >= JINJA_MACRO))
        return jinja_unsupported(run, "the attribute %.40s", name->data);
    if (of->kind == JINJA_LOOP)
        return jinja_loop_attribute(run, of->as.loop, name->data, out);
    if (of->kind == JINJA_TUPLE && of->is_safe) { /* what groupby gives */
        const bool is_list = strcmp(name->data, "list") == 0;
        if (is_list || strcmp(name->data, "grouper") == 0) {
            *out = of->as.items->at[is_list];
            return true;
        }
    }
    const struct jinja_method *method = jinja_method_find(of, name->data);
    return !method || bind_method(run, of, method, out);
}

static bool undefined_attribute(struct jinja_run *run, const struct jinja_value *of,
                                const char *name, struct jinja_value *out)
{
    return jinja_undefined_of(run, name, jinja_type_name(of), out);
}

bool jinja_getattr(struct jinja_run *run, const struct jinja_value *of,
                   const struct jinja_text *name, struct jinja_value *out)
{
    struct jinja_value found;
    if (!attribute(run, of, name, &found))
        return false;
    if (found.kind == JINJA_MISSING && of->kind == JINJA_DICT &&
        !jinja_dict_get(run, of->as.dict, jinja_of_text(name), &found))
        return false;
    if (found.kind == JINJA_MISSING)
        return undefined_attribute(run, of, name->data, out);
    *out = found;
    return true;
}

/* An item by its place, negative ones from the end; JINJA_MISSING if there is none. */
static bool item_at(struct jinja_run *run, const struct jinja_value *of, int64_t i,
                    struct jinja_value *out)
{
    size_t length;
    *out = jinja_missing();
    if (!jinja_length(run, of, &length))
        return false;
    if (i < 0)
        i += (int64_t)length;
    if (i < 0 || i >= (int64_t)length)
        return true;
    if (of->kind == JINJA_STRING) {
        const size_t from = jinja_byte_of(of->as.text, (size_t)i);
        size_t to = from;
        if (of->as.text->count != of->as.text->size && !jinja_step(run, from / 16))
            return false;
        jinja_decode(of->as.text->data, &to);
        if (!jinja_string(run, of->as.text->data + from, to - from, out))
            return false;
        out->is_safe = of->is_safe;
    } else if (of->kind == JINJA_RANGE) {
        *out = jinja_int(of->as.range->start + i * of->as.range->step);
    } else {
        *out = of->as.items->at[i];
    }
    return true;
}

/* obj[key]: JINJA_MISSING if Python raises what jinja2 turns into undefined. */
static bool subscript(struct jinja_run *run, const struct jinja_value *of,
                      const struct jinja_value *key, struct jinja_value *out)
{
    *out = jinja_missing();
    switch (of->kind) {
    case JINJA_UNDEFINED:
        return jinja_fail_undefined(run, of);
    case JINJA_DICT:
        return !jinja_hashable(key) || jinja_dict_get(run, of->as.dict, *key, out);
    case JINJA_STRING:
    case JINJA_LIST:
    case JINJA_TUPLE:
    case JINJA_RANGE:
        return !jinja_is_whole(key) || item_at(run, of, jinja_whole(key), out);
    default:
        return true;
    }
}

bool jinja_getitem(struct jinja_run *run, const struct jinja_value *of,
                   const struct jinja_value *key, struct jinja_value *out)
{
    struct jinja_value found;
    if (!subscript(run, of, key, &found))
        return false;
    if (found.kind == JINJA_MISSING && key->kind == JINJA_STRING &&
        !attribute(run, of, key->as.text, &found))
        return false;
    if (found.kind == JINJA_MISSING)
        return undefined_attribute(
            run, of, key->kind == JINJA_STRING ? key->as.text->data : NULL, out);
    *out = found;
    return true;
}

/* ---- slices ---- */

/* A bound of a slice as Python's slice.indices gives it. */
static int64_t bound_of(const struct jinja_value *v, int64_t length, int64_t step,
                        bool is_stop)
{
    const int64_t low = step < 0 ? -1 : 0, high = step < 0 ? length - 1 : length;
    if (v->kind == JINJA_NONE)
        return (step < 0) != is_stop ? high : low;
    int64_t i = jinja_whole(v);
    if (i < 0)
        i = i < -length ? -1 - length : i + length;
    if (i < low)
        return low;
    return i > high ? high : i;
}

static bool slice_text(struct jinja_run *run, const struct jinja_value *of, int64_t start,
                       int64_t step, size_t count, struct jinja_value *out)
{
    const struct jinja_text *text = of->as.text;
    if (step == 1 || count == 0) {
        const size_t from = count ? jinja_byte_of(text, (size_t)start) : 0;
        const size_t to = count ? jinja_byte_of(text, (size_t)start + count) : 0;
        if (text->count != text->size && !jinja_step(run, to / 16))
            return false;
        if (!jinja_string(run, text->data + from, to - from, out))
            return false;
        out->is_safe = of->is_safe;
        return true;
    }
    struct jinja_buffer buffer = { 0 };
    bool good = true;
    for (size_t i = 0; good && i < count; i++) {
        const size_t from = jinja_byte_of(text, (size_t)(start + (int64_t)i * step));
        size_t to = from;
        jinja_decode(text->data, &to);
        good = jinja_step(run, 1 + (text->count != text->size ? from / 16 : 0)) &&
               jinja_write(run, &buffer, text->data + from, to - from);
    }
    good = jinja_buffer_take(run, &buffer, good, out);
    out->is_safe = of->is_safe;
    return good;
}

bool jinja_can_be_cut(const struct jinja_value *v)
{
    return v->kind == JINJA_STRING || v->kind == JINJA_LIST || v->kind == JINJA_TUPLE ||
           v->kind == JINJA_RANGE;
}

/* The step of a slice of n items. One beyond all of them takes the first item only. */
static bool step_of(struct jinja_run *run, const struct jinja_value bounds[3], int64_t n,
                    int64_t *step)
{
    for (int i = 0; i < 3; i++)
        if (bounds[i].kind != JINJA_NONE && !jinja_is_whole(&bounds[i]))
            return jinja_fail(run, "a slice with a %s", jinja_type_name(&bounds[i]));
    *step = bounds[2].kind == JINJA_NONE ? 1 : jinja_whole(&bounds[2]);
    if (*step > n + 1)
        *step = n + 1;
    if (*step < -n - 1)
        *step = -n - 1;
    return *step != 0 || jinja_fail(run, "a slice with a step of 0");
}

/* Python shows the step as it was given, also if it is beyond all items. */
static bool slice_range(struct jinja_run *run, const struct jinja_range *of,
                        int64_t start, int64_t stop, const struct jinja_value *given,
                        size_t count, struct jinja_value *out)
{
    const int64_t most = 1000000000,
                  step = given->kind == JINJA_NONE ? 1 : jinja_whole(given);
    struct jinja_range *range = jinja_take(run, 1, sizeof *range);
    if (!range)
        return false;
    if (step > most || step < -most || of->step > most || of->step < -most)
        return jinja_unsupported(run, "a slice of a range with a step of this size");
    *range = (struct jinja_range){ .start = of->start + start * of->step,
                                   .stop = of->start + stop * of->step,
                                   .step = of->step * step,
                                   .count = count };
    *out = (struct jinja_value){ .kind = JINJA_RANGE, .as.range = range };
    return true;
}

bool jinja_slice(struct jinja_run *run, const struct jinja_value *of,
                 const struct jinja_value bounds[3], struct jinja_value *out)
{
    size_t length, count = 0;
    int64_t step = 1;
    if (of->kind == JINJA_UNDEFINED)
        return jinja_fail_undefined(run, of);
    if (!jinja_can_be_cut(of))
        return jinja_fail(run, "a %s cannot be cut by a slice", jinja_type_name(of));
    if (!jinja_length(run, of, &length) || !step_of(run, bounds, (int64_t)length, &step))
        return false;
    const int64_t start = bound_of(&bounds[0], (int64_t)length, step, false),
                  stop = bound_of(&bounds[1], (int64_t)length, step, true);
    if (step > 0 ? start < stop : start > stop)
        count = (size_t)((stop - start + step - (step > 0 ? 1 : -1)) / step);
    if (of->kind == JINJA_STRING)
        return slice_text(run, of, start, step, count, out);
    if (of->kind == JINJA_RANGE)
        return slice_range(run, of->as.range, start, stop, &bounds[2], count, out);
    if (!jinja_list_make(run, of->kind, count, out))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!jinja_list_add(run, out->as.items,
                            of->as.items->at[start + (int64_t)i * step]))
            return false;
    return true;
}

/* runtime/text/jinja_sequence_filters.c
 * Filters of lists and dicts that give one value, or another list. */
#include "runtime/text/jinja_impl.h"

#include <string.h>

static bool missing_or(const struct jinja_value *v, bool otherwise)
{
    return v->kind == JINJA_MISSING ? otherwise : jinja_truth(v);
}

static bool filter_length(struct jinja_run *run, struct jinja_args *args,
                          struct jinja_value *out)
{
    struct jinja_value v;
    size_t length;
    if (!jinja_bind(run, "length", "obj", true, args, &v) ||
        !jinja_length(run, &v, &length))
        return false;
    *out = jinja_int((int64_t)length);
    return true;
}

static bool filter_default(struct jinja_run *run, struct jinja_args *args,
                           struct jinja_value *out)
{
    struct jinja_value v[3];
    if (!jinja_bind(run, "default", "value | default_value boolean", false, args, v))
        return false;
    *out = v[0];
    if (v[0].kind != JINJA_UNDEFINED &&
        !(missing_or(&v[2], false) && !jinja_truth(&v[0])))
        return true;
    *out = v[1];
    return v[1].kind != JINJA_MISSING || jinja_string(run, "", 0, out);
}

static bool filter_first(struct jinja_run *run, struct jinja_args *args,
                         struct jinja_value *out)
{
    struct jinja_value v;
    struct jinja_cursor cursor;
    if (!jinja_bind(run, "first", "seq", false, args, &v) ||
        !jinja_iterate(run, &v, &cursor) || !jinja_next(run, &cursor, out))
        return false;
    return out->kind != JINJA_MISSING ||
           jinja_undefined_hint(run, "there is no first item", out);
}

static bool is_reversible(const struct jinja_value *v)
{
    return v->kind == JINJA_STRING || v->kind == JINJA_LIST || v->kind == JINJA_TUPLE ||
           v->kind == JINJA_DICT || v->kind == JINJA_RANGE || v->kind == JINJA_VIEW ||
           v->kind == JINJA_UNDEFINED;
}

static bool filter_last(struct jinja_run *run, struct jinja_args *args,
                        struct jinja_value *out)
{
    struct jinja_value v;
    struct jinja_items *items;
    if (!jinja_bind(run, "last", "seq", false, args, &v))
        return false;
    if (!is_reversible(&v))
        return jinja_fail(run, "last of a %s", jinja_type_name(&v));
    if (!jinja_to_items(run, &v, &items))
        return false;
    if (items->count == 0)
        return jinja_undefined_hint(run, "there is no last item", out);
    *out = items->at[items->count - 1];
    return true;
}

/* ---- attributes by path: "a.b.0" ---- */

/* One part of a path: digits are a place. */
static bool path_part(struct jinja_run *run, const char *data, size_t size,
                      struct jinja_value *key)
{
    if (size && size < 18 && strspn(data, "0123456789") >= size) {
        int64_t place = 0;
        for (size_t i = 0; i < size; i++)
            place = 10 * place + (data[i] - '0');
        *key = jinja_int(place);
        return true;
    }
    return jinja_string(run, data, size, key);
}

bool jinja_attribute_path(struct jinja_run *run, const struct jinja_value *item,
                          const struct jinja_value *path,
                          const struct jinja_value *otherwise, struct jinja_value *out)
{
    struct jinja_value key;
    *out = *item;
    if (path->kind == JINJA_NONE || path->kind == JINJA_MISSING)
        return true;
    if (path->kind != JINJA_STRING) {
        if (!jinja_is_whole(path))
            return jinja_unsupported(run, "a path that is a %s", jinja_type_name(path));
        key = *path;
        return jinja_getitem(run, item, &key, out) &&
               (out->kind != JINJA_UNDEFINED || !otherwise || (*out = *otherwise, true));
    }
    const char *at = path->as.text->data;
    for (;;) {
        const size_t n = strcspn(at, ".");
        struct jinja_value of = *out;
        if (!path_part(run, at, n, &key) || !jinja_getitem(run, &of, &key, out))
            return false;
        if (out->kind == JINJA_UNDEFINED && otherwise)
            *out = *otherwise;
        if (!at[n])
            return true;
        at += n + 1;
    }
}

/* What things are compared by: without case, unless it is asked for. */
static bool key_of(struct jinja_run *run, const struct jinja_value *item,
                   const struct jinja_value *path, const struct jinja_value *otherwise,
                   bool with_case, struct jinja_value *key)
{
    if (!jinja_attribute_path(run, item, path, otherwise, key))
        return false;
    return with_case || key->kind != JINJA_STRING ||
           jinja_cased(run, key->as.text, JINJA_LOWER, key);
}

static bool keys_of(struct jinja_run *run, const struct jinja_items *items,
                    const struct jinja_value *path, const struct jinja_value *otherwise,
                    bool with_case, struct jinja_value **keys)
{
    *keys = jinja_take(run, items->count + 1, sizeof **keys);
    if (!*keys)
        return false;
    for (size_t i = 0; i < items->count; i++)
        if (!key_of(run, &items->at[i], path, otherwise, with_case, &(*keys)[i]))
            return false;
    return true;
}

/* Keys of "a,b": one list of attributes per item. */
static bool several_keys(struct jinja_run *run, const struct jinja_items *items,
                         const struct jinja_value *path, bool with_case,
                         struct jinja_value **keys)
{
    struct jinja_value comma, parts, key;
    *keys = jinja_take(run, items->count + 1, sizeof **keys);
    if (!*keys || !jinja_string(run, ",", 1, &comma) ||
        !jinja_list_make(run, JINJA_LIST, 1, &parts) ||
        (path->kind == JINJA_STRING
             ? !jinja_split(run, path->as.text, &comma, -1, false, &parts)
             : !jinja_list_add(run, parts.as.items, *path)))
        return false;
    for (size_t i = 0; i < items->count; i++) {
        if (!jinja_list_make(run, JINJA_LIST, 0, &(*keys)[i]))
            return false;
        for (size_t j = 0; j < parts.as.items->count; j++)
            if (!key_of(run, &items->at[i], &parts.as.items->at[j], NULL, with_case,
                        &key) ||
                !jinja_list_add(run, (*keys)[i].as.items, key))
                return false;
    }
    return true;
}

static bool sorted(struct jinja_run *run, const struct jinja_items *items,
                   const struct jinja_value *keys, bool reverse, struct jinja_value *out)
{
    size_t *order = jinja_take(run, items->count + 1, sizeof *order);
    if (!order || !jinja_sort(run, keys, items->count, reverse, order) ||
        !jinja_list_make(run, JINJA_LIST, items->count, out))
        return false;
    for (size_t i = 0; i < items->count; i++)
        if (!jinja_list_add(run, out->as.items, items->at[order[i]]))
            return false;
    return true;
}

static bool filter_sort(struct jinja_run *run, struct jinja_args *args,
                        struct jinja_value *out)
{
    struct jinja_value v[4], *keys;
    struct jinja_items *items;
    return jinja_bind(run, "sort", "value | reverse case_sensitive attribute", false,
                      args, v) &&
           jinja_to_items(run, &v[0], &items) &&
           several_keys(run, items, &v[3], missing_or(&v[2], false), &keys) &&
           sorted(run, items, keys, missing_or(&v[1], false), out);
}

static bool filter_dictsort(struct jinja_run *run, struct jinja_args *args,
                            struct jinja_value *out)
{
    struct jinja_value v[4], *keys, none = jinja_none();
    if (!jinja_bind(run, "dictsort", "value | case_sensitive by reverse", false, args, v))
        return false;
    const char *by = v[2].kind == JINJA_STRING ? v[2].as.text->data : "";
    if (v[2].kind == JINJA_MISSING)
        by = "key";
    if (strcmp(by, "key") != 0 && strcmp(by, "value") != 0)
        return jinja_fail(run, "dictsort sorts by key or value");
    if (v[0].kind != JINJA_DICT)
        return jinja_fail(run, "dictsort of a %s", jinja_type_name(&v[0]));
    const struct jinja_view view = { .kind = JINJA_ITEMS, .dict = v[0].as.dict };
    const struct jinja_value of = { .kind = JINJA_VIEW, .as.view = &view };
    const struct jinja_items by_what = {
        .count = v[0].as.dict->count,
        .at = by[0] == 'k' ? v[0].as.dict->keys : v[0].as.dict->values,
    };
    struct jinja_items *items;
    return jinja_to_items(run, &of, &items) &&
           keys_of(run, &by_what, &none, NULL, missing_or(&v[1], false), &keys) &&
           sorted(run, items, keys, missing_or(&v[3], false), out);
}

static bool make_unique(struct jinja_run *run, struct jinja_args *args,
                        struct jinja_value *out)
{
    struct jinja_value v[3], *keys, seen, list, found;
    struct jinja_items *items;
    if (!jinja_bind(run, "unique", "value | case_sensitive attribute", false, args, v) ||
        !jinja_to_items(run, &v[0], &items) ||
        !keys_of(run, items, &v[2], NULL, missing_or(&v[1], false), &keys) ||
        !jinja_dict_make(run, &seen) || !jinja_list_make(run, JINJA_LIST, 0, &list))
        return false;
    for (size_t i = 0; i < items->count; i++) {
        if (!jinja_dict_get(run, seen.as.dict, keys[i], &found))
            return false;
        if (found.kind == JINJA_MISSING &&
            (!jinja_dict_set(run, seen.as.dict, keys[i], jinja_none()) ||
             !jinja_list_add(run, list.as.items, items->at[i])))
            return false;
    }
    *out = list;
    return true;
}

static bool filter_unique(struct jinja_run *run, struct jinja_args *args,
                          struct jinja_value *out)
{
    struct jinja_value v[3];
    return jinja_bind(run, "unique", "value | case_sensitive attribute", false, args,
                      v) &&
           jinja_generator(run, make_unique, args, out);
}

static bool extreme(struct jinja_run *run, struct jinja_args *args, int wanted,
                    struct jinja_value *out)
{
    struct jinja_value v[3], *keys;
    struct jinja_items *items;
    size_t best = 0;
    if (!jinja_bind(run, wanted < 0 ? "min" : "max", "value | case_sensitive attribute",
                    false, args, v) ||
        !jinja_to_items(run, &v[0], &items) ||
        !keys_of(run, items, &v[2], NULL, missing_or(&v[1], false), &keys))
        return false;
    if (items->count == 0)
        return jinja_undefined_hint(run, "there is no item", out);
    for (size_t i = 1; i < items->count; i++) {
        int order;
        if (!jinja_order(run, &keys[i], &keys[best], &order))
            return false;
        if (order == wanted)
            best = i;
    }
    *out = items->at[best];
    return true;
}

static bool filter_min(struct jinja_run *run, struct jinja_args *args,
                       struct jinja_value *out)
{
    return extreme(run, args, -1, out);
}

static bool filter_max(struct jinja_run *run, struct jinja_args *args,
                       struct jinja_value *out)
{
    return extreme(run, args, 1, out);
}

static bool filter_sum(struct jinja_run *run, struct jinja_args *args,
                       struct jinja_value *out)
{
    struct jinja_value v[3], item;
    struct jinja_items *items;
    if (!jinja_bind(run, "sum", "iterable | attribute start", false, args, v) ||
        !jinja_to_items(run, &v[0], &items))
        return false;
    *out = v[2].kind == JINJA_MISSING ? jinja_int(0) : v[2];
    if (out->kind == JINJA_STRING)
        return jinja_fail(run, "sum of strings");
    for (size_t i = 0; i < items->count; i++) {
        struct jinja_value before = *out;
        if (!jinja_attribute_path(run, &items->at[i], &v[1], NULL, &item) ||
            !jinja_binary(run, OP_ADD, &before, &item, out))
            return false;
    }
    return true;
}

static bool filter_join(struct jinja_run *run, struct jinja_args *args,
                        struct jinja_value *out)
{
    struct jinja_value v[3], item;
    const struct jinja_text *between;
    struct jinja_cursor cursor;
    struct jinja_buffer buffer = { 0 };
    if (!jinja_bind(run, "join", "value | d attribute", false, args, v) ||
        (v[1].kind == JINJA_MISSING && !jinja_string(run, "", 0, &v[1])) ||
        !jinja_to_text(run, &v[1], &between) || !jinja_iterate(run, &v[0], &cursor))
        return false;
    bool good = true;
    for (size_t i = 0; good; i++) {
        good = jinja_next(run, &cursor, &item);
        if (!good || item.kind == JINJA_MISSING)
            break;
        struct jinja_value of = item;
        good = (!i || jinja_write(run, &buffer, between->data, between->size)) &&
               jinja_attribute_path(run, &of, &v[2], NULL, &item) &&
               jinja_print(run, &buffer, &item);
    }
    return jinja_buffer_take(run, &buffer, good, out);
}

static bool filter_list(struct jinja_run *run, struct jinja_args *args,
                        struct jinja_value *out)
{
    struct jinja_value v;
    struct jinja_items *items;
    if (!jinja_bind(run, "list", "value", false, args, &v) ||
        !jinja_to_items(run, &v, &items))
        return false;
    *out = (struct jinja_value){ .kind = JINJA_LIST, .as.items = items };
    return true;
}

static bool make_items(struct jinja_run *run, struct jinja_args *args,
                       struct jinja_value *out)
{
    struct jinja_value v;
    struct jinja_items *items;
    if (!jinja_bind(run, "items", "value", false, args, &v))
        return false;
    if (v.kind != JINJA_DICT && v.kind != JINJA_UNDEFINED)
        return jinja_fail(run, "items of a %s", jinja_type_name(&v));
    if (v.kind == JINJA_DICT) {
        struct jinja_view *view = jinja_take(run, 1, sizeof *view);
        if (!view)
            return false;
        *view = (struct jinja_view){ .kind = JINJA_ITEMS, .dict = v.as.dict };
        v = (struct jinja_value){ .kind = JINJA_VIEW, .as.view = view };
    }
    if (!jinja_to_items(run, &v, &items))
        return false;
    *out = (struct jinja_value){ .kind = JINJA_LIST, .as.items = items };
    return true;
}

static bool filter_items(struct jinja_run *run, struct jinja_args *args,
                         struct jinja_value *out)
{
    struct jinja_value v[1];
    return jinja_bind(run, "items", "value", false, args, v) &&
           jinja_generator(run, make_items, args, out);
}

static bool filter_reverse(struct jinja_run *run, struct jinja_args *args,
                           struct jinja_value *out)
{
    struct jinja_value v, list;
    struct jinja_items *items;
    if (!jinja_bind(run, "reverse", "value", false, args, &v))
        return false;
    if (v.kind == JINJA_STRING) {
        const struct jinja_value bounds[3] = { jinja_none(), jinja_none(),
                                               jinja_int(-1) };
        return jinja_slice(run, &v, bounds, out);
    }
    if (!jinja_to_items(run, &v, &items) ||
        !jinja_list_make(run, JINJA_LIST, items->count, &list))
        return false;
    for (size_t i = items->count; i-- > 0;)
        if (!jinja_list_add(run, list.as.items, items->at[i]))
            return false;
    if (!is_reversible(&v)) {
        *out = list;
        return true;
    }
    return jinja_iterator_of(run, list.as.items, out);
}

/* ---- batch, slice, groupby ---- */

static bool add_range(struct jinja_run *run, const struct jinja_items *from, size_t start,
                      size_t end, struct jinja_value *list)
{
    if (!jinja_list_make(run, JINJA_LIST, end - start, list))
        return false;
    for (size_t i = start; i < end; i++)
        if (!jinja_list_add(run, list->as.items, from->at[i]))
            return false;
    return true;
}

static bool make_batch(struct jinja_run *run, struct jinja_args *args,
                       struct jinja_value *out)
{
    struct jinja_value v[3], all, part;
    struct jinja_items *items;
    if (!jinja_bind(run, "batch", "value linecount | fill_with", false, args, v) ||
        !jinja_to_items(run, &v[0], &items) || !jinja_list_make(run, JINJA_LIST, 0, &all))
        return false;
    if (!jinja_is_whole(&v[1]) || jinja_whole(&v[1]) < 1)
        return jinja_unsupported(run, "batch with a size that is no number above 0");
    const size_t size = (size_t)jinja_whole(&v[1]);
    for (size_t i = 0; i < items->count; i += size) {
        const size_t end = items->count - i < size ? items->count : i + size;
        if (!add_range(run, items, i, end, &part))
            return false;
        const bool fill = v[2].kind != JINJA_MISSING && v[2].kind != JINJA_NONE;
        while (fill && part.as.items->count < size)
            if (!jinja_list_add(run, part.as.items, v[2]))
                return false;
        if (!jinja_list_add(run, all.as.items, part))
            return false;
        if (end == items->count)
            break;
    }
    *out = all;
    return true;
}

static bool filter_batch(struct jinja_run *run, struct jinja_args *args,
                         struct jinja_value *out)
{
    struct jinja_value v[3];
    return jinja_bind(run, "batch", "value linecount | fill_with", false, args, v) &&
           jinja_generator(run, make_batch, args, out);
}

static bool make_slice(struct jinja_run *run, struct jinja_args *args,
                       struct jinja_value *out)
{
    struct jinja_value v[3], all, part;
    struct jinja_items *items;
    if (!jinja_bind(run, "slice", "value slices | fill_with", false, args, v) ||
        !jinja_to_items(run, &v[0], &items) || !jinja_list_make(run, JINJA_LIST, 0, &all))
        return false;
    if (!jinja_is_whole(&v[1]) || jinja_whole(&v[1]) < 1)
        return jinja_unsupported(run, "slice into parts that are no number above 0");
    const size_t slices = (size_t)jinja_whole(&v[1]), each = items->count / slices,
                 extra = items->count % slices;
    size_t start = 0;
    for (size_t i = 0; i < slices; i++) {
        const size_t end = start + each + (i < extra);
        if (!add_range(run, items, start, end, &part))
            return false;
        if (v[2].kind != JINJA_MISSING && v[2].kind != JINJA_NONE && i >= extra &&
            !jinja_list_add(run, part.as.items, v[2]))
            return false;
        if (!jinja_list_add(run, all.as.items, part))
            return false;
        start = end;
    }
    *out = all;
    return true;
}

static bool filter_slice(struct jinja_run *run, struct jinja_args *args,
                         struct jinja_value *out)
{
    struct jinja_value v[3];
    return jinja_bind(run, "slice", "value slices | fill_with", false, args, v) &&
           jinja_generator(run, make_slice, args, out);
}

/* The end of the run of equal keys that begins at i. */
static bool run_end(struct jinja_run *run, const struct jinja_value *keys, size_t count,
                    size_t i, size_t *end)
{
    bool equal = true;
    for (*end = i + 1; *end < count; ++*end) {
        if (!jinja_equal(run, &keys[i], &keys[*end], &equal))
            return false;
        if (!equal)
            break;
    }
    return true;
}

/* A pair of the attribute, as the first item has it, and the items. */
static bool add_group(struct jinja_run *run, const struct jinja_items *items, size_t i,
                      size_t end, const struct jinja_value *path,
                      const struct jinja_value *otherwise, struct jinja_items *to)
{
    struct jinja_value group, real, pair;
    if (!add_range(run, items, i, end, &group) ||
        !jinja_attribute_path(run, &items->at[i], path, otherwise, &real) ||
        !jinja_pair(run, real, group, &pair))
        return false;
    pair.is_safe = true; /* a tuple with the names grouper and list */
    return jinja_list_add(run, to, pair);
}

static bool filter_groupby(struct jinja_run *run, struct jinja_args *args,
                           struct jinja_value *out)
{
    struct jinja_value v[4], *keys, ordered, groups;
    struct jinja_items *items;
    if (!jinja_bind(run, "groupby", "value attribute | default case_sensitive", false,
                    args, v) ||
        !jinja_to_items(run, &v[0], &items))
        return false;
    const struct jinja_value *otherwise =
        v[2].kind == JINJA_MISSING || v[2].kind == JINJA_NONE ? NULL : &v[2];
    const bool with_case = missing_or(&v[3], false);
    if (!keys_of(run, items, &v[1], otherwise, with_case, &keys) ||
        !sorted(run, items, keys, false, &ordered) ||
        !keys_of(run, ordered.as.items, &v[1], otherwise, with_case, &keys) ||
        !jinja_list_make(run, JINJA_LIST, 0, &groups))
        return false;
    for (size_t i = 0, end; i < items->count; i = end)
        if (!run_end(run, keys, items->count, i, &end) ||
            !add_group(run, ordered.as.items, i, end, &v[1], otherwise, groups.as.items))
            return false;
    *out = groups;
    return true;
}

const struct jinja_function jinja_sequence_filters[] = {
    { "length", filter_length },     { "count", filter_length },
    { "default", filter_default },   { "d", filter_default },
    { "first", filter_first },       { "last", filter_last },
    { "join", filter_join },         { "list", filter_list },
    { "items", filter_items },       { "sort", filter_sort },
    { "dictsort", filter_dictsort }, { "unique", filter_unique },
    { "min", filter_min },           { "max", filter_max },
    { "sum", filter_sum },           { "reverse", filter_reverse },
    { "batch", filter_batch },       { "slice", filter_slice },
    { "groupby", filter_groupby },   { 0 },
};

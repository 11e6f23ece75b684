/* runtime/text/jinja_methods.c
 * Methods of lists, dicts and the other values but strings. A name that Python's type has and
 * that is not here with a function is refused, because it is not undefined there. */
#include "runtime/text/jinja_impl.h"

#include <string.h>

static bool view(struct jinja_run *run, const struct jinja_value *self,
                 struct jinja_args *args, enum jinja_view_kind kind,
                 struct jinja_value *out)
{
    if (!jinja_bind(run, "a method of a dict", "", true, args, NULL))
        return false;
    struct jinja_view *made = jinja_take(run, 1, sizeof *made);
    if (!made)
        return false;
    *made = (struct jinja_view){ .kind = kind, .dict = self->as.dict };
    *out = (struct jinja_value){ .kind = JINJA_VIEW, .as.view = made };
    return true;
}

static bool dict_keys(struct jinja_run *run, const struct jinja_value *self,
                      struct jinja_args *args, struct jinja_value *out)
{
    return view(run, self, args, JINJA_KEYS, out);
}

static bool dict_values(struct jinja_run *run, const struct jinja_value *self,
                        struct jinja_args *args, struct jinja_value *out)
{
    return view(run, self, args, JINJA_VALUES, out);
}

static bool dict_items(struct jinja_run *run, const struct jinja_value *self,
                       struct jinja_args *args, struct jinja_value *out)
{
    return view(run, self, args, JINJA_ITEMS, out);
}

static bool dict_get(struct jinja_run *run, const struct jinja_value *self,
                     struct jinja_args *args, struct jinja_value *out)
{
    struct jinja_value v[2];
    if (!jinja_bind(run, "get", "key | default", true, args, v) ||
        !jinja_dict_get(run, self->as.dict, v[0], out))
        return false;
    if (out->kind == JINJA_MISSING)
        *out = v[1].kind == JINJA_MISSING ? jinja_none() : v[1];
    return true;
}

static bool dict_copy(struct jinja_run *run, const struct jinja_value *self,
                      struct jinja_args *args, struct jinja_value *out)
{
    *out = *self; /* it cannot be changed */
    return jinja_bind(run, "copy", "", true, args, NULL);
}

static bool list_count(struct jinja_run *run, const struct jinja_value *self,
                       struct jinja_args *args, struct jinja_value *out)
{
    struct jinja_value item;
    int64_t count = 0;
    if (!jinja_bind(run, "count", "value", true, args, &item))
        return false;
    for (size_t i = 0; i < self->as.items->count; i++) {
        bool equal;
        if (!jinja_equal(run, &self->as.items->at[i], &item, &equal))
            return false;
        count += equal;
    }
    *out = jinja_int(count);
    return true;
}

static bool list_index(struct jinja_run *run, const struct jinja_value *self,
                       struct jinja_args *args, struct jinja_value *out)
{
    struct jinja_value v[3];
    const int64_t length = (int64_t)self->as.items->count;
    int64_t bounds[2] = { 0, length };
    if (!jinja_bind(run, "index", "value | start stop", true, args, v))
        return false;
    for (int i = 0; i < 2; i++) {
        if (v[i + 1].kind == JINJA_MISSING)
            continue;
        if (!jinja_is_whole(&v[i + 1]))
            return jinja_fail(run, "index with a %s", jinja_type_name(&v[i + 1]));
        bounds[i] = jinja_whole(&v[i + 1]);
        if (bounds[i] < 0)
            bounds[i] = bounds[i] < -length ? 0 : bounds[i] + length;
    }
    for (int64_t i = bounds[0]; i < bounds[1] && i < length; i++) {
        bool equal;
        if (!jinja_equal(run, &self->as.items->at[i], &v[0], &equal))
            return false;
        if (equal) {
            *out = jinja_int(i);
            return true;
        }
    }
    return jinja_fail(run, "index: the value is not in the list");
}

static bool range_list(struct jinja_run *run, const struct jinja_value *self,
                       struct jinja_value *list)
{
    struct jinja_items *items;
    if (!jinja_to_items(run, self, &items))
        return false;
    *list = (struct jinja_value){ .kind = JINJA_LIST, .as.items = items };
    return true;
}

static bool range_count(struct jinja_run *run, const struct jinja_value *self,
                        struct jinja_args *args, struct jinja_value *out)
{
    struct jinja_value list;
    return range_list(run, self, &list) && list_count(run, &list, args, out);
}

static bool range_index(struct jinja_run *run, const struct jinja_value *self,
                        struct jinja_args *args, struct jinja_value *out)
{
    struct jinja_value list, value;
    return jinja_bind(run, "index", "value", true, args, &value) &&
           range_list(run, self, &list) && list_index(run, &list, args, out);
}

static bool cycler_next(struct jinja_run *run, const struct jinja_value *self,
                        struct jinja_args *args, struct jinja_value *out)
{
    struct jinja_cycler *cycler = self->as.cycler;
    if (!jinja_bind(run, "next", "", true, args, NULL))
        return false;
    *out = cycler->items->at[cycler->next];
    cycler->next = (cycler->next + 1) % cycler->items->count;
    return true;
}

static bool cycler_reset(struct jinja_run *run, const struct jinja_value *self,
                         struct jinja_args *args, struct jinja_value *out)
{
    self->as.cycler->next = 0;
    *out = jinja_none();
    return jinja_bind(run, "reset", "", true, args, NULL);
}

static bool float_is_integer(struct jinja_run *run, const struct jinja_value *self,
                             struct jinja_args *args, struct jinja_value *out)
{
    const double v = self->as.number;
    *out = jinja_bool(v - v == 0 && (v >= 9e15 || v <= -9e15 || v == (double)(int64_t)v));
    return jinja_bind(run, "is_integer", "", true, args, NULL);
}

static const struct jinja_method dict_methods[] = {
    { "items", dict_items, false }, { "get", dict_get, false },
    { "keys", dict_keys, false },   { "values", dict_values, false },
    { "copy", dict_copy, false },   { "pop", NULL, true },
    { "popitem", NULL, true },      { "clear", NULL, true },
    { "update", NULL, true },       { "setdefault", NULL, true },
    { "fromkeys", NULL, false },    { 0 },
};

static const struct jinja_method list_methods[] = {
    { "append", NULL, true },       { "extend", NULL, true },
    { "insert", NULL, true },       { "pop", NULL, true },
    { "remove", NULL, true },       { "clear", NULL, true },
    { "reverse", NULL, true },      { "sort", NULL, true },
    { "count", list_count, false }, { "index", list_index, false },
    { "copy", dict_copy, false },   { 0 },
};

static const struct jinja_method tuple_methods[] = {
    { "count", list_count, false },
    { "index", list_index, false },
    { 0 },
};

static const struct jinja_method float_methods[] = {
    { "is_integer", float_is_integer, false },
    { "as_integer_ratio", NULL, false },
    { "conjugate", NULL, false },
    { "fromhex", NULL, false },
    { "hex", NULL, false },
    { "imag", NULL, false },
    { "real", NULL, false },
    { 0 },
};

static const struct jinja_method int_methods[] = {
    { "as_integer_ratio", NULL, false },
    { "bit_count", NULL, false },
    { "bit_length", NULL, false },
    { "conjugate", NULL, false },
    { "denominator", NULL, false },
    { "from_bytes", NULL, false },
    { "imag", NULL, false },
    { "numerator", NULL, false },
    { "real", NULL, false },
    { "to_bytes", NULL, false },
    { 0 },
};

static const struct jinja_method range_methods[] = {
    { "start", NULL, false },        { "stop", NULL, false },
    { "step", NULL, false },         { "count", range_count, false },
    { "index", range_index, false }, { 0 },
};

static const struct jinja_method view_methods[] = {
    { "isdisjoint", NULL, false },
    { "mapping", NULL, false },
    { 0 },
};

static const struct jinja_method iterator_methods[] = {
    { "send", NULL, false },
    { "throw", NULL, false },
    { "close", NULL, false },
    { "gi_running", NULL, false },
    { "gi_frame", NULL, false },
    { "gi_code", NULL, false },
    { "gi_yieldfrom", NULL, false },
    { "gi_suspended", NULL, false },
    { 0 },
};

static const struct jinja_method macro_methods[] = {
    { "name", NULL, false },
    { "arguments", NULL, false },
    { "catch_kwargs", NULL, false },
    { "catch_varargs", NULL, false },
    { "caller", NULL, false },
    { "explicit_caller", NULL, false },
    { 0 },
};

static const struct jinja_method cycler_methods[] = {
    { "next", cycler_next, false }, { "reset", cycler_reset, false },
    { "current", NULL, false },     { "items", NULL, false },
    { "pos", NULL, false },         { 0 },
};

static const struct jinja_method joiner_methods[] = {
    { "sep", NULL, false },
    { "used", NULL, false },
    { 0 },
};

static const struct jinja_method function_methods[] = {
    { "fromkeys", NULL, false },
    { "mro", NULL, false },
    { 0 },
};

static const struct jinja_method *in_table(const struct jinja_method *table,
                                           const char *name)
{
    for (; table->name; table++)
        if (strcmp(table->name, name) == 0)
            return table;
    return NULL;
}

const struct jinja_method *jinja_method_find(const struct jinja_value *self,
                                             const char *name)
{
    static const struct jinja_method *const tables[] = {
        [JINJA_BOOL] = int_methods,          [JINJA_INT] = int_methods,
        [JINJA_FLOAT] = float_methods,       [JINJA_LIST] = list_methods,
        [JINJA_TUPLE] = tuple_methods,       [JINJA_DICT] = dict_methods,
        [JINJA_RANGE] = range_methods,       [JINJA_VIEW] = view_methods,
        [JINJA_ITERATOR] = iterator_methods, [JINJA_MACRO] = macro_methods,
        [JINJA_CYCLER] = cycler_methods,     [JINJA_JOINER] = joiner_methods,
        [JINJA_FUNCTION] = function_methods, [JINJA_STRING] = jinja_string_methods,
    };
    if (self->kind >= RT_COUNT(tables) || !tables[self->kind])
        return NULL;
    const struct jinja_method *found = in_table(tables[self->kind], name);
    if (!found && self->kind == JINJA_STRING)
        found = in_table(jinja_string_tests, name);
    return found;
}

/* runtime/text/jinja_select_filters.c
 * Filters that apply other filters and tests to every item: map, select, reject and their
 * forms for attributes; and attr. */
#include "runtime/text/jinja_impl.h"

#include <assert.h>
#include <string.h>

/* A filter or test by the name that a template gives, with its arguments behind the item. */
struct applied {
    const struct jinja_function *function; /* NULL: the truth of the item */
    struct jinja_args args;                /* the first is the item's place */
};

static bool applied_init(struct jinja_run *run, const struct jinja_value *name,
                         bool is_filter, const struct jinja_args *from, size_t skip,
                         struct applied *applied)
{
    const char *what = is_filter ? "filter" : "test";
    if (name->kind != JINJA_STRING)
        return jinja_fail(run, "a %s that is a %s", what, jinja_type_name(name));
    const char *word = name->as.text->data;
    applied->function = is_filter ? jinja_filter_find(word) : jinja_test_find(word);
    if (!applied->function)
        return jinja_fail(run, "there is no %s `%.40s`", what, word);
    if (!applied->function->call)
        return jinja_unsupported(run, "the %s `%.40s`", what, word);
    applied->args = *from;
    applied->args.at = jinja_take(run, from->count - skip + 1, sizeof *from->at);
    if (!applied->args.at)
        return false;
    applied->args.count = from->count - skip + 1;
    if (from->count > skip)
        memcpy(applied->args.at + 1, from->at + skip,
               (from->count - skip) * sizeof *from->at);
    return true;
}

static bool apply(struct jinja_run *run, struct applied *applied,
                  const struct jinja_value *item, struct jinja_value *out)
{
    applied->args.at[0] = *item;
    if (!jinja_enter(run))
        return false;
    const bool good = applied->function->call(run, &applied->args, out);
    run->depth--;
    return good;
}

static bool all_items(struct jinja_run *run, const struct jinja_args *args,
                      struct jinja_items **items, struct jinja_value *list)
{
    assert(args->count > 0); /* the value */
    *items = NULL;
    if (!jinja_list_make(run, JINJA_LIST, 0, list))
        return false;
    /* jinja2 looks at the truth first: none gives nothing, and no error */
    return !jinja_truth(&args->at[0]) || jinja_to_items(run, &args->at[0], items);
}

static const struct jinja_value *named(const struct jinja_args *args, const char *name)
{
    for (size_t i = 0; i < args->named_count; i++)
        if (strcmp(args->named[i].name->data, name) == 0)
            return &args->named[i].value;
    return NULL;
}

static bool map_attribute(struct jinja_run *run, const struct jinja_args *args,
                          const struct jinja_items *items, struct jinja_items *to)
{
    const struct jinja_value *path = named(args, "attribute"),
                             *otherwise = named(args, "default");
    struct jinja_value value;
    if (args->named_count > (otherwise ? 2u : 1u))
        return jinja_fail(run, "map takes attribute and default");
    if (otherwise && otherwise->kind == JINJA_NONE)
        otherwise = NULL;
    for (size_t i = 0; i < items->count; i++)
        if (!jinja_attribute_path(run, &items->at[i], path, otherwise, &value) ||
            !jinja_list_add(run, to, value))
            return false;
    return true;
}

static bool make_map(struct jinja_run *run, struct jinja_args *args,
                     struct jinja_value *out)
{
    struct jinja_items *items;
    struct jinja_value list, value;
    struct applied applied;
    if (!all_items(run, args, &items, &list))
        return false;
    if (items && args->count == 1 && named(args, "attribute")) {
        if (!map_attribute(run, args, items, list.as.items))
            return false;
    } else if (items) {
        if (args->count < 2)
            return jinja_fail(run, "map needs a filter or an attribute");
        if (!applied_init(run, &args->at[1], true, args, 2, &applied))
            return false;
        for (size_t i = 0; i < items->count; i++)
            if (!apply(run, &applied, &items->at[i], &value) ||
                !jinja_list_add(run, list.as.items, value))
                return false;
    }
    *out = list;
    return true;
}

/* Whether an item is taken: by its truth, or a test of it, or of its attribute. */
static bool is_taken(struct jinja_run *run, struct applied *applied,
                     const struct jinja_value *item, const struct jinja_value *path,
                     bool *taken)
{
    struct jinja_value value = *item, result;
    if (path && !jinja_attribute_path(run, item, path, NULL, &value))
        return false;
    result = value;
    if (applied->function && !apply(run, applied, &value, &result))
        return false;
    *taken = jinja_truth(&result);
    return true;
}

static bool select_items(struct jinja_run *run, const char *what, struct jinja_args *args,
                         bool by_attribute, bool wanted, struct jinja_value *out)
{
    struct jinja_items *items;
    struct jinja_value list;
    struct applied applied = { 0 };
    const size_t off = by_attribute ? 2 : 1;
    bool taken;
    if (!all_items(run, args, &items, &list))
        return false;
    *out = list;
    if (!items)
        return true;
    if (args->count < off)
        return jinja_fail(run, "%s needs an attribute", what);
    if (args->count > off &&
        !applied_init(run, &args->at[off], false, args, off + 1, &applied))
        return false;
    for (size_t i = 0; i < items->count; i++)
        if (!is_taken(run, &applied, &items->at[i], by_attribute ? &args->at[1] : NULL,
                      &taken) ||
            (taken == wanted && !jinja_list_add(run, list.as.items, items->at[i])))
            return false;
    return true;
}

static bool make_select(struct jinja_run *run, struct jinja_args *args,
                        struct jinja_value *out)
{
    return select_items(run, "select", args, false, true, out);
}

static bool make_reject(struct jinja_run *run, struct jinja_args *args,
                        struct jinja_value *out)
{
    return select_items(run, "reject", args, false, false, out);
}

static bool make_selectattr(struct jinja_run *run, struct jinja_args *args,
                            struct jinja_value *out)
{
    return select_items(run, "selectattr", args, true, true, out);
}

static bool make_rejectattr(struct jinja_run *run, struct jinja_args *args,
                            struct jinja_value *out)
{
    return select_items(run, "rejectattr", args, true, false, out);
}

static bool filter_map(struct jinja_run *run, struct jinja_args *args,
                       struct jinja_value *out)
{
    return jinja_generator(run, make_map, args, out);
}

static bool filter_select(struct jinja_run *run, struct jinja_args *args,
                          struct jinja_value *out)
{
    return jinja_generator(run, make_select, args, out);
}

static bool filter_reject(struct jinja_run *run, struct jinja_args *args,
                          struct jinja_value *out)
{
    return jinja_generator(run, make_reject, args, out);
}

static bool filter_selectattr(struct jinja_run *run, struct jinja_args *args,
                              struct jinja_value *out)
{
    return jinja_generator(run, make_selectattr, args, out);
}

static bool filter_rejectattr(struct jinja_run *run, struct jinja_args *args,
                              struct jinja_value *out)
{
    return jinja_generator(run, make_rejectattr, args, out);
}

/* An attribute, never an item. */
static bool filter_attr(struct jinja_run *run, struct jinja_args *args,
                        struct jinja_value *out)
{
    struct jinja_value v[2];
    if (!jinja_bind(run, "attr", "obj name", false, args, v))
        return false;
    if (v[1].kind != JINJA_STRING)
        return jinja_fail(run, "attr of a %s", jinja_type_name(&v[1]));
    if (v[0].kind == JINJA_UNDEFINED)
        return jinja_fail_undefined(run, &v[0]);
    if (v[0].kind == JINJA_DICT && !jinja_method_find(&v[0], v[1].as.text->data))
        return jinja_undefined_of(run, v[1].as.text->data, "dict", out);
    return jinja_getattr(run, &v[0], v[1].as.text, out);
}

const struct jinja_function jinja_select_filters[] = {
    { "map", filter_map },
    { "select", filter_select },
    { "reject", filter_reject },
    { "selectattr", filter_selectattr },
    { "rejectattr", filter_rejectattr },
    { "attr", filter_attr },
    { 0 },
};

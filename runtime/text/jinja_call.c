/* runtime/text/jinja_call.c
 * Calls: arguments, macros, the functions that every template has, and `loop`. */
#include "runtime/text/jinja_impl.h"

#include <assert.h>
#include <string.h>

/* ---- arguments ---- */

static bool add_named(struct jinja_run *run, struct jinja_args *args, size_t room,
                      const struct jinja_text *name, struct jinja_value value)
{
    if (args->named_count == room)
        return jinja_unsupported(run, "more than %zu named arguments", room);
    for (size_t i = 0; i < args->named_count; i++)
        if (strcmp(args->named[i].name->data, name->data) == 0)
            return jinja_fail(run, "the argument %.60s is given twice", name->data);
    args->named[args->named_count++] =
        (struct jinja_named){ .name = name, .value = value };
    return true;
}

static bool add_from_dict(struct jinja_run *run, struct jinja_args *args, size_t room,
                          const struct jinja_node *node)
{
    struct jinja_value dict;
    if (!jinja_eval(run, node, &dict))
        return false;
    if (dict.kind != JINJA_DICT)
        return jinja_fail(run, "** of a %s", jinja_type_name(&dict));
    for (size_t i = 0; i < dict.as.dict->count; i++) {
        if (dict.as.dict->keys[i].kind != JINJA_STRING)
            return jinja_fail(run, "** of a dict with a key that is no string");
        if (!add_named(run, args, room, dict.as.dict->keys[i].as.text,
                       dict.as.dict->values[i]))
            return false;
    }
    return true;
}

/* The positional ones: `first` (may be null), those of the call, those of *args. */
static bool positional(struct jinja_run *run, const struct jinja_node *node,
                       const struct jinja_value *first, struct jinja_args *args)
{
    struct jinja_value list, extra;
    struct jinja_items *items = NULL;
    if (!jinja_list_make(run, JINJA_LIST, node->items.count + 1, &list) ||
        (first && !jinja_list_add(run, list.as.items, *first)))
        return false;
    for (uint32_t i = 0; i < node->items.count; i++)
        if (!jinja_eval(run, node->items.at[i], &extra) ||
            !jinja_list_add(run, list.as.items, extra))
            return false;
    if (node->right &&
        (!jinja_eval(run, node->right, &extra) || !jinja_to_items(run, &extra, &items)))
        return false;
    for (size_t i = 0; items && i < items->count; i++)
        if (!jinja_list_add(run, list.as.items, items->at[i]))
            return false;
    args->at = list.as.items->at;
    args->count = list.as.items->count;
    return true;
}

bool jinja_arguments(struct jinja_run *run, const struct jinja_node *node,
                     const struct jinja_value *first, const struct jinja_value *caller,
                     struct jinja_args *args)
{
    enum { NAMED_MAX = 64 };
    struct jinja_value value;
    *args = (struct jinja_args){ 0 };
    if (!positional(run, node, first, args))
        return false;
    const size_t room =
        node->named.count + (caller ? 1 : 0) + (node->third ? NAMED_MAX : 0);
    if (!room)
        return true;
    args->named = jinja_take(run, room, sizeof *args->named);
    if (!args->named)
        return false;
    for (uint32_t i = 0; i < node->named.count; i++)
        if (!jinja_eval(run, node->named.at[i]->left, &value) ||
            !add_named(run, args, room, node->named.at[i]->name, value))
            return false;
    if (caller) {
        if (!jinja_string(run, "caller", 6, &value) ||
            !add_named(run, args, room, value.as.text, *caller))
            return false;
    }
    return !node->third || add_from_dict(run, args, room, node->third);
}

/* The i-th word of a list of words, its length in *n; null beyond the last. */
static const char *word_at(const char *spec, size_t i, size_t *n)
{
    for (;;) {
        spec += strspn(spec, " |");
        *n = strcspn(spec, " |");
        if (*n == 0)
            return NULL;
        if (i-- == 0)
            return spec;
        spec += *n;
    }
}

/* The place of a name in a list of words, `count` if it is not there. */
static size_t place_of(const char *spec, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        size_t n = 0;
        const char *word = word_at(spec, i, &n);
        if (word && strlen(name) == n && memcmp(word, name, n) == 0)
            return i;
    }
    return count;
}

bool jinja_bind(struct jinja_run *run, const char *what, const char *spec,
                bool is_positional, const struct jinja_args *args,
                struct jinja_value *values)
{
    const char *bar = strchr(spec, '|'), *word;
    size_t count = 0, n = 0;
    while (word_at(spec, count, &n))
        count++;
    assert(values || count == 0);
    if (args->count > count)
        return jinja_fail(run, "%s has %zu arguments too many", what,
                          args->count - count);
    for (size_t i = 0; i < count; i++)
        values[i] = i < args->count ? args->at[i] : jinja_missing();
    for (size_t j = 0; j < args->named_count; j++) {
        const char *name = args->named[j].name->data;
        const size_t i = place_of(spec, count, name);
        if (i == count || is_positional || i < args->count)
            return jinja_fail(run, "%s takes no argument %.60s, or takes it twice", what,
                              name);
        values[i] = args->named[j].value;
    }
    for (size_t i = 0; i < count; i++) {
        word = word_at(spec, i, &n);
        if (values[i].kind == JINJA_MISSING && (!bar || word < bar))
            return jinja_fail(run, "%s needs the argument %.*s", what, (int)n, word);
    }
    return true;
}

/* ---- macros ---- */

static struct jinja_value *special_slot(struct jinja_run *run,
                                        const struct jinja_scope *scope, const char *name)
{
    for (uint32_t i = 0; i < scope->count; i++)
        if (strcmp(scope->symbols[i].name->data, name) == 0)
            return &run->frame->slots[scope->symbols[i].slot];
    return NULL;
}

/* Takes a named argument out of the list; false: it is not there. */
static bool take_named(struct jinja_args *args, const char *name,
                       struct jinja_value *value)
{
    for (size_t i = 0; i < args->named_count; i++) {
        if (strcmp(args->named[i].name->data, name) != 0)
            continue;
        *value = args->named[i].value;
        memmove(&args->named[i], &args->named[i + 1],
                (args->named_count - i - 1) * sizeof *args->named);
        args->named_count--;
        return true;
    }
    return false;
}

static bool named_dict(struct jinja_run *run, const struct jinja_args *args,
                       struct jinja_value *out)
{
    if (!jinja_dict_make(run, out))
        return false;
    for (size_t i = 0; i < args->named_count; i++)
        if (!jinja_dict_set(run, out->as.dict, jinja_of_text(args->named[i].name),
                            args->named[i].value))
            return false;
    return true;
}

static bool rest_tuple(struct jinja_run *run, const struct jinja_args *args, size_t from,
                       struct jinja_value *out)
{
    if (!jinja_list_make(run, JINJA_TUPLE, 0, out))
        return false;
    for (size_t i = from; i < args->count; i++)
        if (!jinja_list_add(run, out->as.items, args->at[i]))
            return false;
    return true;
}

/* The named parameters; *has_caller: `caller` is one of them. */
static void bind_parameters(struct jinja_run *run, const struct jinja_node *node,
                            struct jinja_args *args, bool *has_caller)
{
    for (uint32_t i = 0; i < node->named.count; i++) {
        struct jinja_value *slot = &run->frame->slots[i];
        const char *parameter = node->named.at[i]->name->data;
        *has_caller = *has_caller || strcmp(parameter, "caller") == 0;
        if (i < args->count)
            *slot = args->at[i];
        else if (!take_named(args, parameter, slot))
            *slot = jinja_missing();
    }
}

/* The parameters of a macro in its new frame, which is run->frame. */
static bool bind_macro(struct jinja_run *run, const struct jinja_node *node,
                       struct jinja_args *args)
{
    const char *name = node->name ? node->name->data : "a call block";
    bool has_caller = false;
    struct jinja_value caller;
    bind_parameters(run, node, args, &has_caller);
    if (node->has_caller && !has_caller) {
        if ((!take_named(args, "caller", &caller) || caller.kind == JINJA_NONE) &&
            !jinja_undefined_hint(run, "no caller is defined", &caller))
            return false;
        *special_slot(run, node->scope, "caller") = caller;
    }
    if (node->has_kwargs) {
        if (!named_dict(run, args, special_slot(run, node->scope, "kwargs")))
            return false;
    } else if (args->named_count) {
        return jinja_fail(run, "the macro %.60s takes no argument %.60s", name,
                          args->named[0].name->data);
    }
    if (node->has_varargs)
        return rest_tuple(run, args, node->named.count,
                          special_slot(run, node->scope, "varargs"));
    return args->count <= node->named.count ||
           jinja_fail(run, "the macro %.60s has too many arguments", name);
}

static bool macro_defaults(struct jinja_run *run, const struct jinja_node *node)
{
    const uint32_t plain = node->named.count - node->more.count;
    for (uint32_t i = 0; i < node->named.count; i++) {
        struct jinja_value value;
        if (run->frame->slots[i].kind != JINJA_MISSING)
            continue;
        if (i >= plain) {
            if (!jinja_eval(run, node->more.at[i - plain], &value))
                return false;
        } else if (!jinja_undefined_of(run, node->named.at[i]->name->data, NULL,
                                       &value)) {
            return false;
        }
        run->frame->slots[i] = value;
    }
    return true;
}

static bool call_macro(struct jinja_run *run, const struct jinja_macro *macro,
                       struct jinja_args *args, struct jinja_value *out)
{
    const struct jinja_node *node = macro->node;
    struct jinja_buffer buffer = { 0 }, *outer = run->out;
    struct jinja_frame *frame = run->frame;
    enum jinja_type flow = NODE_OUTPUT;
    if (!jinja_enter(run))
        return false;
    run->out = &buffer;
    run->frame = jinja_frame_make(run, node->scope, macro->frame);
    const bool good = run->frame && bind_macro(run, node, args) &&
                      jinja_enter_scope(run, node->scope) && macro_defaults(run, node) &&
                      jinja_statements(run, &node->items, &flow);
    run->frame = frame;
    run->out = outer;
    run->depth--;
    return jinja_buffer_take(run, &buffer, good, out);
}

/* ---- the functions that are always there ---- */

static bool call_range(struct jinja_run *run, struct jinja_args *args,
                       struct jinja_value *out)
{
    enum { RANGE_MAX = 100000 }; /* jinja2's sandbox */
    struct jinja_value v[3];
    if (!jinja_bind(run, "range", "start | stop step", true, args, v))
        return false;
    for (size_t i = 0; i < args->count; i++)
        if (!jinja_is_whole(&v[i]))
            return jinja_fail(run, "range of a %s", jinja_type_name(&v[i]));
    const bool one = args->count == 1;
    const int64_t start = one ? 0 : jinja_whole(&v[0]), stop = jinja_whole(&v[!one]),
                  step = args->count == 3 ? jinja_whole(&v[2]) : 1;
    uint64_t count = 0;
    if (step == 0)
        return jinja_fail(run, "range with a step of 0");
    if (step > 0 && start < stop)
        count = ((uint64_t)stop - (uint64_t)start - 1) / (uint64_t)step + 1;
    if (step < 0 && start > stop)
        count = ((uint64_t)start - (uint64_t)stop - 1) / (0 - (uint64_t)step) + 1;
    if (count > RANGE_MAX)
        return jinja_fail(run, "a range of more than %d items", RANGE_MAX);
    struct jinja_range *range = jinja_take(run, 1, sizeof *range);
    if (!range)
        return false;
    *range = (struct jinja_range){ start, stop, step, (size_t)count };
    *out = (struct jinja_value){ .kind = JINJA_RANGE, .as.range = range };
    return true;
}

/* Adds pairs of a dict, or of an iterable of pairs. */
static bool add_pairs(struct jinja_run *run, struct jinja_dict *dict,
                      const struct jinja_value *from)
{
    struct jinja_items *items, *pair;
    if (from->kind == JINJA_DICT) {
        for (size_t i = 0; i < from->as.dict->count; i++)
            if (!jinja_dict_set(run, dict, from->as.dict->keys[i],
                                from->as.dict->values[i]))
                return false;
        return true;
    }
    if (!jinja_to_items(run, from, &items))
        return false;
    for (size_t i = 0; i < items->count; i++) {
        if (!jinja_to_items(run, &items->at[i], &pair))
            return false;
        if (pair->count != 2)
            return jinja_fail(run, "a dict of items that are no pairs");
        if (!jinja_dict_set(run, dict, pair->at[0], pair->at[1]))
            return false;
    }
    return true;
}

static bool call_dict(struct jinja_run *run, struct jinja_args *args,
                      struct jinja_value *out)
{
    struct jinja_value dict;
    if (args->count > 1)
        return jinja_fail(run, "a dict of %zu arguments", args->count);
    if (!jinja_dict_make(run, &dict) ||
        (args->count && !add_pairs(run, dict.as.dict, &args->at[0])))
        return false;
    for (size_t i = 0; i < args->named_count; i++)
        if (!jinja_dict_set(run, dict.as.dict, jinja_of_text(args->named[i].name),
                            args->named[i].value))
            return false;
    *out = dict;
    return true;
}

static bool call_namespace(struct jinja_run *run, struct jinja_args *args,
                           struct jinja_value *out)
{
    struct jinja_value made;
    if (!call_dict(run, args, &made))
        return false;
    for (size_t i = 0; i < made.as.dict->count; i++)
        if (made.as.dict->keys[i].kind == JINJA_STRING &&
            made.as.dict->keys[i].as.text->data[0] == '_')
            return jinja_fail(run, "a namespace has no attributes that begin with _");
    made.kind = JINJA_NAMESPACE;
    *out = made;
    return true;
}

static bool call_raise(struct jinja_run *run, struct jinja_args *args,
                       struct jinja_value *out)
{
    struct jinja_value message;
    const struct jinja_text *text;
    (void)out;
    return jinja_bind(run, "raise_exception", "message", false, args, &message) &&
           jinja_to_text(run, &message, &text) && jinja_raise(run, text->data);
}

static bool make_cycler(struct jinja_run *run, struct jinja_items *items,
                        enum jinja_kind kind, struct jinja_value *out)
{
    struct jinja_cycler *cycler = jinja_take(run, 1, sizeof *cycler);
    if (!cycler)
        return false;
    cycler->items = items;
    *out = (struct jinja_value){ .kind = (uint8_t)kind, .as.cycler = cycler };
    return true;
}

static bool call_cycler(struct jinja_run *run, struct jinja_args *args,
                        struct jinja_value *out)
{
    struct jinja_value items;
    if (!args->count || args->named_count)
        return jinja_fail(run, "cycler needs items, without names");
    return rest_tuple(run, args, 0, &items) &&
           make_cycler(run, items.as.items, JINJA_CYCLER, out);
}

static bool call_joiner(struct jinja_run *run, struct jinja_args *args,
                        struct jinja_value *out)
{
    struct jinja_value items, separator;
    if (!jinja_bind(run, "joiner", "| sep", false, args, &separator) ||
        (separator.kind == JINJA_MISSING && !jinja_string(run, ", ", 2, &separator)))
        return false;
    return jinja_list_make(run, JINJA_TUPLE, 1, &items) &&
           jinja_list_add(run, items.as.items, separator) &&
           make_cycler(run, items.as.items, JINJA_JOINER, out);
}

const struct jinja_function *jinja_global(const char *name)
{
    static const struct jinja_function functions[] = {
        { "range", call_range },
        { "dict", call_dict },
        { "namespace", call_namespace },
        { "raise_exception", call_raise },
        { "strftime_now", jinja_strftime },
        { "cycler", call_cycler },
        { "joiner", call_joiner },
        { "lipsum", NULL },
    };
    for (size_t i = 0; i < RT_COUNT(functions); i++)
        if (strcmp(functions[i].name, name) == 0)
            return &functions[i];
    return NULL;
}

static bool use_joiner(struct jinja_run *run, struct jinja_cycler *joiner,
                       struct jinja_args *args, struct jinja_value *out)
{
    if (!jinja_bind(run, "joiner", "", false, args, NULL))
        return false;
    *out = joiner->items->at[0];
    return joiner->next++ || jinja_string(run, "", 0, out);
}

bool jinja_call(struct jinja_run *run, const struct jinja_value *callee,
                struct jinja_args *args, struct jinja_value *out)
{
    switch (callee->kind) {
    case JINJA_MACRO:
        return call_macro(run, callee->as.macro, args, out);
    case JINJA_FUNCTION:
        if (!callee->as.function->call)
            return jinja_unsupported(run, "the function %s", callee->as.function->name);
        return callee->as.function->call(run, args, out);
    case JINJA_METHOD: {
        const struct jinja_bound *bound = callee->as.method;
        if (!bound->method->call)
            return jinja_unsupported(run, "the method %s of a %s", bound->method->name,
                                     jinja_type_name(&bound->self));
        return bound->method->call(run, &bound->self, args, out);
    }
    case JINJA_LOOP:
        return jinja_loop_recurse(run, callee->as.loop, args, out);
    case JINJA_JOINER:
        return use_joiner(run, callee->as.cycler, args, out);
    case JINJA_UNDEFINED:
        return jinja_fail_undefined(run, callee);
    default:
        return jinja_fail(run, "a %s cannot be called", jinja_type_name(callee));
    }
}

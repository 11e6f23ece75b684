/* runtime/text/jinja_loop.c
 * What `loop` tells inside a for. Items are read ahead only if it is asked for them. */
#include "runtime/text/jinja_impl.h"

#include <string.h>

static bool method_cycle(struct jinja_run *run, const struct jinja_value *self,
                         struct jinja_args *args, struct jinja_value *out)
{
    if (!args->count || args->named_count)
        return jinja_fail(run, "loop.cycle needs items, without names");
    *out = args->at[(size_t)self->as.loop->index0 % args->count];
    return true;
}

static bool method_changed(struct jinja_run *run, const struct jinja_value *self,
                           struct jinja_args *args, struct jinja_value *out)
{
    struct jinja_loop *loop = self->as.loop;
    struct jinja_value now;
    bool equal = false;
    if (args->named_count)
        return jinja_fail(run, "loop.changed takes no named arguments");
    if (!jinja_list_make(run, JINJA_TUPLE, args->count, &now))
        return false;
    for (size_t i = 0; i < args->count; i++)
        if (!jinja_list_add(run, now.as.items, args->at[i]))
            return false;
    if (loop->changed.kind != JINJA_MISSING &&
        !jinja_equal(run, &loop->changed, &now, &equal))
        return false;
    if (!equal)
        loop->changed = now;
    *out = jinja_bool(!equal);
    return true;
}

/* Makes sure that `count` items, or all, are read ahead. */
static bool read_ahead(struct jinja_run *run, struct jinja_loop *loop, size_t count)
{
    struct jinja_value list, item;
    struct jinja_items *rest;
    if (!loop->rest || loop->rest_next == loop->rest->count) {
        if (!jinja_list_make(run, JINJA_LIST, 0, &list))
            return false;
        loop->rest = list.as.items;
        loop->rest_next = 0;
    }
    while (loop->rest->count - loop->rest_next < count) {
        rest = loop->rest; /* what is read comes from behind it */
        const size_t next = loop->rest_next;
        loop->rest_next = rest->count;
        const bool good = jinja_loop_next(run, loop, &item);
        loop->rest_next = next;
        if (!good)
            return false;
        if (item.kind == JINJA_MISSING)
            break;
        if (!jinja_list_add(run, rest, item))
            return false;
    }
    return true;
}

static bool loop_length(struct jinja_run *run, struct jinja_loop *loop,
                        struct jinja_value *out)
{
    size_t length;
    const struct jinja_value *of = &loop->cursor.of;
    if (loop->length < 0 && !loop->node->third && of->kind != JINJA_ITERATOR) {
        if (!jinja_length(run, of, &length))
            return false;
        loop->length = (int64_t)length;
    } else if (loop->length < 0) {
        if (!read_ahead(run, loop, SIZE_MAX))
            return false;
        loop->length = (int64_t)(loop->rest->count - loop->rest_next) + loop->index0 + 1;
    }
    *out = jinja_int(loop->length);
    return true;
}

static bool loop_next(struct jinja_run *run, struct jinja_loop *loop, bool is_last,
                      struct jinja_value *out)
{
    if (!read_ahead(run, loop, 1))
        return false;
    const bool none = loop->rest_next == loop->rest->count;
    if (is_last) {
        *out = jinja_bool(none);
        return true;
    }
    if (none)
        return jinja_undefined_hint(run, "there is no next item", out);
    *out = loop->rest->at[loop->rest_next];
    return true;
}

static bool loop_before(struct jinja_run *run, const struct jinja_loop *loop,
                        struct jinja_value *out)
{
    if (loop->index0 == 0)
        return jinja_undefined_hint(run, "there is no previous item", out);
    *out = loop->before;
    return true;
}

static bool loop_method(struct jinja_run *run, struct jinja_loop *loop, bool is_cycle,
                        struct jinja_value *out)
{
    static const struct jinja_method cycle = { "cycle", method_cycle, false },
                                     changed = { "changed", method_changed, false };
    struct jinja_bound *bound = jinja_take(run, 1, sizeof *bound);
    if (!bound)
        return false;
    bound->method = is_cycle ? &cycle : &changed;
    bound->self = (struct jinja_value){ .kind = JINJA_LOOP, .as.loop = loop };
    *out = (struct jinja_value){ .kind = JINJA_METHOD, .as.method = bound };
    return true;
}

static bool loop_from_end(struct jinja_run *run, struct jinja_loop *loop, int64_t from,
                          struct jinja_value *out)
{
    if (!loop_length(run, loop, out))
        return false;
    *out = jinja_int(out->as.integer - from);
    return true;
}

bool jinja_loop_attribute(struct jinja_run *run, struct jinja_loop *loop,
                          const char *name, struct jinja_value *out)
{
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = { { "index", loop->index0 + 1 },
                    { "index0", loop->index0 },
                    { "depth", (int64_t)loop->depth0 + 1 },
                    { "depth0", loop->depth0 } };
    for (size_t i = 0; i < RT_COUNT(numbers); i++)
        if (strcmp(numbers[i].name, name) == 0) {
            *out = jinja_int(numbers[i].value);
            return true;
        }
    if (strcmp(name, "first") == 0)
        *out = jinja_bool(loop->index0 == 0);
    else if (strcmp(name, "last") == 0 || strcmp(name, "nextitem") == 0)
        return loop_next(run, loop, name[0] == 'l', out);
    else if (strcmp(name, "length") == 0)
        return loop_length(run, loop, out);
    else if (strcmp(name, "revindex") == 0 || strcmp(name, "revindex0") == 0)
        return loop_from_end(run, loop, loop->index0 + (name[8] == '0'), out);
    else if (strcmp(name, "previtem") == 0)
        return loop_before(run, loop, out);
    else if (strcmp(name, "cycle") == 0 || strcmp(name, "changed") == 0)
        return loop_method(run, loop, name[1] == 'y', out);
    else
        *out = jinja_missing();
    return true;
}

/* runtime/text/jinja_statement.c
 * Statements of a rendering: output, branches, loops, blocks. */
#include "runtime/text/jinja_impl.h"

#include <string.h>

struct jinja_frame *jinja_frame_make(struct jinja_run *run,
                                     const struct jinja_scope *scope,
                                     struct jinja_frame *parent)
{
    const size_t bytes = scope->body->slot_count * sizeof(struct jinja_value);
    struct jinja_frame *frame = jinja_take(run, sizeof *frame + bytes, 1);
    if (frame)
        frame->parent = parent;
    return frame;
}

bool jinja_enter_scope(struct jinja_run *run, const struct jinja_scope *scope)
{
    for (uint32_t i = 0; i < scope->count; i++) {
        const struct jinja_symbol *symbol = &scope->symbols[i];
        struct jinja_value *slot = &run->frame->slots[symbol->slot];
        if (symbol->load == LOAD_RESOLVE)
            *slot = run->globals[symbol->global];
        else if (symbol->load == LOAD_ALIAS)
            *slot = *jinja_slot(run, symbol->alias);
        else if (symbol->load == LOAD_UNDEFINED)
            *slot = jinja_missing();
    }
    return jinja_step(run, scope->count);
}

static bool run_output(struct jinja_run *run, const struct jinja_node *node)
{
    struct jinja_value value;
    for (uint32_t i = 0; i < node->items.count; i++)
        if (!jinja_eval(run, node->items.at[i], &value) ||
            !jinja_print(run, run->out, &value))
            return false;
    return true;
}

static bool run_if(struct jinja_run *run, const struct jinja_node *node,
                   enum jinja_type *flow)
{
    struct jinja_value test;
    if (!jinja_eval(run, node->left, &test))
        return false;
    if (jinja_truth(&test))
        return jinja_statements(run, &node->items, flow);
    for (uint32_t i = 0; i < node->named.count; i++) {
        if (!jinja_eval(run, node->named.at[i]->left, &test))
            return false;
        if (jinja_truth(&test))
            return jinja_statements(run, &node->named.at[i]->items, flow);
    }
    return jinja_statements(run, &node->more, flow);
}

static bool run_set(struct jinja_run *run, const struct jinja_node *node)
{
    struct jinja_value value;
    return jinja_eval(run, node->right, &value) && jinja_assign(run, node->left, &value);
}

/* The text that statements write, in a scope that is already entered. */
static bool captured(struct jinja_run *run, const struct jinja_list *body,
                     enum jinja_type *flow, struct jinja_value *out)
{
    struct jinja_buffer buffer = { 0 }, *outer = run->out;
    run->out = &buffer;
    const bool good = jinja_statements(run, body, flow);
    run->out = outer;
    return jinja_buffer_take(run, &buffer, good, out);
}

/* What a filter block or a call gives is joined to the text as it is: only texts can be. */
static bool write_result(struct jinja_run *run, const struct jinja_value *result)
{
    return result->kind == JINJA_STRING
               ? jinja_print(run, run->out, result)
               : jinja_fail(run, "a block gives a %s, which is no text",
                            jinja_type_name(result));
}

/* SET_BLOCK and FILTER_BLOCK. */
static bool run_captured(struct jinja_run *run, const struct jinja_node *node,
                         enum jinja_type *flow)
{
    struct jinja_value text;
    if (!jinja_enter_scope(run, node->scope) || !captured(run, &node->items, flow, &text))
        return false;
    if (*flow != NODE_OUTPUT)
        return true; /* a loop is left from inside: the text is lost */
    if (node->right && !jinja_filter(run, node->right, &text, &text))
        return false;
    if (node->type == NODE_FILTER_BLOCK)
        return write_result(run, &text);
    return jinja_assign(run, node->left, &text);
}

static bool run_with(struct jinja_run *run, const struct jinja_node *node,
                     enum jinja_type *flow)
{
    struct jinja_value value;
    if (!jinja_enter_scope(run, node->scope))
        return false;
    for (uint32_t i = 0; i < node->named.count; i++)
        if (!jinja_eval(run, node->more.at[i], &value) ||
            !jinja_assign(run, node->named.at[i], &value))
            return false;
    return jinja_statements(run, &node->items, flow);
}

static bool make_macro(struct jinja_run *run, const struct jinja_node *node,
                       struct jinja_value *out)
{
    struct jinja_macro *macro = jinja_take(run, 1, sizeof *macro);
    if (!macro)
        return false;
    macro->node = node;
    macro->frame = run->frame;
    *out = (struct jinja_value){ .kind = JINJA_MACRO, .as.macro = macro };
    return true;
}

static bool run_macro(struct jinja_run *run, const struct jinja_node *node)
{
    struct jinja_value macro;
    if (!make_macro(run, node, &macro))
        return false;
    *jinja_slot(run, node->ref) = macro;
    return true;
}

static bool run_call_block(struct jinja_run *run, const struct jinja_node *node)
{
    struct jinja_value caller, callee, result;
    struct jinja_args args = { 0 };
    if (!make_macro(run, node, &caller))
        return false;
    if (node->type == NODE_GENERATION)
        return jinja_call(run, &caller, &args, &result) &&
               jinja_print(run, run->out, &result);
    return jinja_eval(run, node->right->left, &callee) &&
           jinja_arguments(run, node->right, NULL, &caller, &args) &&
           jinja_call(run, &callee, &args, &result) && write_result(run, &result);
}

/* ---- loops ---- */

/* The next item that passes the loop's test, not looking at what was read ahead. */
static bool pull(struct jinja_run *run, struct jinja_loop *loop, struct jinja_value *item)
{
    const struct jinja_node *node = loop->node;
    for (;;) {
        if (!jinja_next(run, &loop->cursor, item))
            return false;
        if (!node->third || item->kind == JINJA_MISSING)
            return true;
        struct jinja_value test;
        struct jinja_frame *frame = run->frame;
        run->frame = loop->outer;
        const bool good = jinja_assign(run, node->more.at[0], item) &&
                          jinja_eval(run, node->third, &test);
        run->frame = frame;
        if (!good)
            return false;
        if (jinja_truth(&test))
            return true;
    }
}

bool jinja_loop_next(struct jinja_run *run, struct jinja_loop *loop,
                     struct jinja_value *item)
{
    if (loop->rest && loop->rest_next < loop->rest->count) {
        *item = loop->rest->at[loop->rest_next++];
        return true;
    }
    return pull(run, loop, item);
}

/* One round. *completed: the body ran to its end, which jinja2 counts for the else. */
static bool run_round(struct jinja_run *run, struct jinja_loop *loop,
                      struct jinja_value *item, enum jinja_type *flow, bool *completed)
{
    const struct jinja_node *node = loop->node;
    loop->index0++;
    loop->before = loop->current;
    loop->current = *item;
    if (!jinja_assign(run, node->left, item))
        return false;
    if (node->has_loop)
        run->frame->slots[node->ref.slot] =
            (struct jinja_value){ .kind = JINJA_LOOP, .as.loop = loop };
    if (!jinja_enter_scope(run, node->scope) ||
        !jinja_statements(run, &node->items, flow))
        return false;
    if (*flow == NODE_OUTPUT)
        *completed = true;
    return true;
}

bool jinja_loop_run(struct jinja_run *run, const struct jinja_node *node,
                    const struct jinja_value *iterable, uint32_t depth0,
                    struct jinja_frame *outer, enum jinja_type *flow)
{
    struct jinja_value item;
    bool completed = false;
    struct jinja_loop *loop = jinja_take(run, 1, sizeof *loop);
    if (!loop)
        return false;
    *loop = (struct jinja_loop){
        .node = node,
        .frame = run->frame,
        .outer = outer,
        .index0 = -1,
        .length = -1,
        .depth0 = depth0,
        .before = jinja_missing(),
        .current = jinja_missing(),
        .changed = jinja_missing(),
    };
    if (!jinja_iterate(run, iterable, &loop->cursor))
        return false;
    if (node->test) {
        struct jinja_frame *frame = run->frame;
        run->frame = outer;
        const bool good = jinja_enter_scope(run, node->test);
        run->frame = frame;
        if (!good)
            return false;
    }
    for (;;) {
        enum jinja_type inner = NODE_OUTPUT;
        if (!jinja_loop_next(run, loop, &item))
            return false;
        if (item.kind == JINJA_MISSING)
            break;
        if (!run_round(run, loop, &item, &inner, &completed))
            return false;
        if (inner == NODE_BREAK)
            break;
    }
    if (completed || !node->orelse)
        return true;
    return jinja_enter_scope(run, node->orelse) &&
           jinja_statements(run, &node->named, flow);
}

/* A recursive loop is a function: its text is captured, in a frame of its own. */
static bool recursive_loop(struct jinja_run *run, const struct jinja_node *node,
                           const struct jinja_value *iterable, uint32_t depth0,
                           struct jinja_frame *outer, struct jinja_value *out)
{
    struct jinja_buffer buffer = { 0 }, *outer_out = run->out;
    struct jinja_frame *frame = run->frame;
    enum jinja_type flow = NODE_OUTPUT;
    if (!jinja_enter(run))
        return false;
    run->frame = jinja_frame_make(run, node->scope, outer);
    run->out = &buffer;
    const bool good =
        run->frame && jinja_loop_run(run, node, iterable, depth0, outer, &flow);
    run->out = outer_out;
    run->frame = frame;
    run->depth--;
    return jinja_buffer_take(run, &buffer, good, out);
}

bool jinja_loop_recurse(struct jinja_run *run, struct jinja_loop *loop,
                        struct jinja_args *args, struct jinja_value *out)
{
    struct jinja_value iterable;
    if (!jinja_bind(run, "loop", "iterable", false, args, &iterable))
        return false;
    if (!loop->node->is_flag)
        return jinja_fail(run, "`loop` is called, and the loop is not recursive");
    return recursive_loop(run, loop->node, &iterable, loop->depth0 + 1, loop->outer, out);
}

static bool run_for(struct jinja_run *run, const struct jinja_node *node,
                    enum jinja_type *flow)
{
    struct jinja_value iterable, text;
    if (!jinja_eval(run, node->right, &iterable))
        return false;
    if (!node->is_flag)
        return jinja_loop_run(run, node, &iterable, 0, run->frame, flow);
    return recursive_loop(run, node, &iterable, 0, run->frame, &text) &&
           jinja_print(run, run->out, &text);
}

/* ---- all ---- */

static bool run_one(struct jinja_run *run, const struct jinja_node *node,
                    enum jinja_type *flow)
{
    switch (node->type) {
    case NODE_OUTPUT:
        return run_output(run, node);
    case NODE_IF:
        return run_if(run, node, flow);
    case NODE_FOR:
        return run_for(run, node, flow);
    case NODE_SET:
        return run_set(run, node);
    case NODE_SET_BLOCK:
    case NODE_FILTER_BLOCK:
        return run_captured(run, node, flow);
    case NODE_MACRO:
        return run_macro(run, node);
    case NODE_CALL_BLOCK:
    case NODE_GENERATION:
        return run_call_block(run, node);
    case NODE_WITH:
        return run_with(run, node, flow);
    default:
        *flow = node->type; /* break, continue */
        return true;
    }
}

bool jinja_statements(struct jinja_run *run, const struct jinja_list *body,
                      enum jinja_type *flow)
{
    if (!jinja_enter(run))
        return false;
    bool good = true;
    for (uint32_t i = 0; good && *flow == NODE_OUTPUT && i < body->count; i++) {
        run->line = body->at[i]->line;
        good = jinja_step(run, 1) && run_one(run, body->at[i], flow);
    }
    run->depth--;
    return good;
}

/* runtime/text/jinja_eval.c
 * Expressions of a rendering. */
#include "runtime/text/jinja_impl.h"

#include <assert.h>
#include <string.h>

struct jinja_value *jinja_slot(struct jinja_run *run, struct jinja_ref ref)
{
    struct jinja_frame *frame = run->frame;
    for (uint32_t i = 0; i < ref.hops; i++)
        frame = frame->parent;
    return &frame->slots[ref.slot];
}

static bool eval_name(struct jinja_run *run, const struct jinja_node *node,
                      struct jinja_value *out)
{
    *out = *jinja_slot(run, node->ref);
    return out->kind != JINJA_MISSING ||
           jinja_undefined_of(run, node->name->data, NULL, out);
}

static bool eval_items(struct jinja_run *run, const struct jinja_node *node,
                       struct jinja_value *out)
{
    const enum jinja_kind kind = node->type == NODE_LIST ? JINJA_LIST : JINJA_TUPLE;
    struct jinja_value list, item;
    if (!jinja_list_make(run, kind, node->items.count, &list))
        return false;
    for (uint32_t i = 0; i < node->items.count; i++)
        if (!jinja_eval(run, node->items.at[i], &item) ||
            !jinja_list_add(run, list.as.items, item))
            return false;
    *out = list;
    return true;
}

static bool eval_dict(struct jinja_run *run, const struct jinja_node *node,
                      struct jinja_value *out)
{
    struct jinja_value dict, key, value;
    if (!jinja_dict_make(run, &dict))
        return false;
    for (uint32_t i = 0; i + 1 < node->items.count; i += 2)
        if (!jinja_eval(run, node->items.at[i], &key) ||
            !jinja_eval(run, node->items.at[i + 1], &value) ||
            !jinja_dict_set(run, dict.as.dict, key, value))
            return false;
    *out = dict;
    return true;
}

static bool eval_compare(struct jinja_run *run, const struct jinja_node *node,
                         struct jinja_value *out)
{
    struct jinja_value left, right;
    bool result = true;
    if (!jinja_eval(run, node->left, &left))
        return false;
    for (uint32_t i = 0; result && i < node->items.count; i++) {
        if (!jinja_eval(run, node->items.at[i]->left, &right) ||
            !jinja_compare(run, node->items.at[i]->op, &left, &right, &result))
            return false;
        left = right;
    }
    *out = jinja_bool(result);
    return true;
}

static bool eval_concat(struct jinja_run *run, const struct jinja_node *node,
                        struct jinja_value *out)
{
    struct jinja_buffer buffer = { 0 };
    struct jinja_value item;
    bool good = true;
    for (uint32_t i = 0; good && i < node->items.count; i++)
        good =
            jinja_eval(run, node->items.at[i], &item) && jinja_print(run, &buffer, &item);
    return jinja_buffer_take(run, &buffer, good, out);
}

static bool eval_binary(struct jinja_run *run, const struct jinja_node *node,
                        struct jinja_value *out)
{
    struct jinja_value left, right;
    return jinja_eval(run, node->left, &left) && jinja_eval(run, node->right, &right) &&
           jinja_binary(run, node->op, &left, &right, out);
}

static bool eval_unary(struct jinja_run *run, const struct jinja_node *node,
                       struct jinja_value *out)
{
    struct jinja_value value;
    if (!jinja_eval(run, node->left, &value))
        return false;
    if (node->op == OP_SUB || !jinja_is_number(&value))
        return jinja_negative(run, &value, out);
    *out = jinja_is_whole(&value) ? jinja_int(jinja_whole(&value)) : value;
    return true;
}

static bool eval_logic(struct jinja_run *run, const struct jinja_node *node,
                       struct jinja_value *out)
{
    if (!jinja_eval(run, node->left, out))
        return false;
    if (node->type == NODE_NOT) {
        *out = jinja_bool(!jinja_truth(out));
        return true;
    }
    if (jinja_truth(out) == (node->type == NODE_OR))
        return true;
    return jinja_eval(run, node->right, out);
}

static bool eval_condition(struct jinja_run *run, const struct jinja_node *node,
                           struct jinja_value *out)
{
    struct jinja_value test;
    if (!jinja_eval(run, node->left, &test))
        return false;
    if (jinja_truth(&test))
        return jinja_eval(run, node->right, out);
    if (node->third)
        return jinja_eval(run, node->third, out);
    return jinja_undefined_hint(run, "an inline if without else was false", out);
}

/* Whether jinja2 computes this before it renders: there is no name and no call in it. */
static bool is_constant(const struct jinja_node *node)
{
    if (!node)
        return true;
    if (node->type == NODE_NAME || node->type == NODE_CALL)
        return false;
    for (uint32_t i = 0; i < node->items.count; i++)
        if (!is_constant(node->items.at[i]))
            return false;
    for (uint32_t i = 0; i < node->named.count; i++)
        if (!is_constant(node->named.at[i]))
            return false;
    return is_constant(node->left) && is_constant(node->right) &&
           is_constant(node->third);
}

static bool eval_getitem(struct jinja_run *run, const struct jinja_node *node,
                         struct jinja_value *out)
{
    struct jinja_value of, bounds[3];
    const struct jinja_node *key = node->right;
    if (!jinja_eval(run, node->left, &of))
        return false;
    if (key->type != NODE_SLICE)
        return jinja_eval(run, key, &bounds[0]) &&
               jinja_getitem(run, &of, &bounds[0], out);
    const struct jinja_node *parts[] = { key->left, key->right, key->third };
    for (int i = 0; i < 3; i++) {
        bounds[i] = jinja_none();
        if (parts[i] && !jinja_eval(run, parts[i], &bounds[i]))
            return false;
    }
    /* A slice of a constant that has none is undefined there, of other values an error. */
    if (!jinja_can_be_cut(&of) && of.kind != JINJA_UNDEFINED && is_constant(node))
        return jinja_undefined_of(run, NULL, jinja_type_name(&of), out);
    return jinja_slice(run, &of, bounds, out);
}

static bool eval_getattr(struct jinja_run *run, const struct jinja_node *node,
                         struct jinja_value *out)
{
    struct jinja_value of;
    return jinja_eval(run, node->left, &of) && jinja_getattr(run, &of, node->name, out);
}

static bool eval_call(struct jinja_run *run, const struct jinja_node *node,
                      struct jinja_value *out)
{
    struct jinja_value callee;
    struct jinja_args args;
    return jinja_eval(run, node->left, &callee) &&
           jinja_arguments(run, node, NULL, NULL, &args) &&
           jinja_call(run, &callee, &args, out);
}

bool jinja_filter(struct jinja_run *run, const struct jinja_node *node,
                  const struct jinja_value *input, struct jinja_value *out)
{
    const struct jinja_function *known = node->known;
    struct jinja_value value;
    struct jinja_args args;
    /* The innermost filter of a block's chain takes the text of the block. */
    if (!node->left) {
        assert(input); /* the parser makes such a filter for a block only */
        value = *input;
    } else if (input && node->left->type == NODE_FILTER) {
        if (!jinja_filter(run, node->left, input, &value))
            return false;
    } else if (!jinja_eval(run, node->left, &value)) {
        return false;
    }
    if (!known)
        return jinja_fail(run, "there is no %s %.40s",
                          node->type == NODE_FILTER ? "filter" : "test",
                          node->name->data);
    return jinja_arguments(run, node, &value, NULL, &args) &&
           known->call(run, &args, out);
}

/* What is not in the switch of jinja_eval. */
static bool eval_rest(struct jinja_run *run, const struct jinja_node *node,
                      struct jinja_value *out)
{
    switch (node->type) {
    case NODE_LIST:
    case NODE_TUPLE:
        return eval_items(run, node, out);
    case NODE_DICT:
        return eval_dict(run, node, out);
    case NODE_UNARY:
        return eval_unary(run, node, out);
    case NODE_BINARY:
        return eval_binary(run, node, out);
    case NODE_CONCAT:
        return eval_concat(run, node, out);
    case NODE_COND:
        return eval_condition(run, node, out);
    case NODE_COMPARE:
        return eval_compare(run, node, out);
    case NODE_SLICE:
        return jinja_unsupported(run, "a slice in this place");
    default:
        return jinja_unsupported(run, "this kind of expression");
    }
}

bool jinja_eval(struct jinja_run *run, const struct jinja_node *node,
                struct jinja_value *out)
{
    bool good;
    if (!jinja_step(run, 1) || !jinja_enter(run))
        return false;
    run->line = node->line;
    switch (node->type) {
    case NODE_CONST:
        *out = node->value;
        good = true;
        break;
    case NODE_NAME:
        good = eval_name(run, node, out);
        break;
    case NODE_GETATTR:
        good = eval_getattr(run, node, out);
        break;
    case NODE_GETITEM:
        good = eval_getitem(run, node, out);
        break;
    case NODE_CALL:
        good = eval_call(run, node, out);
        break;
    case NODE_FILTER:
    case NODE_TEST:
        good = jinja_filter(run, node, NULL, out);
        break;
    case NODE_AND:
    case NODE_OR:
    case NODE_NOT:
        good = eval_logic(run, node, out);
        break;
    default:
        good = eval_rest(run, node, out);
    }
    run->depth--;
    return good;
}

/* ---- assignment ---- */

static bool assign_items(struct jinja_run *run, const struct jinja_node *target,
                         const struct jinja_value *value)
{
    struct jinja_items *items;
    if (!jinja_to_items(run, value, &items))
        return false;
    if (items->count != target->items.count)
        return jinja_fail(run, "%zu values for %u names", items->count,
                          target->items.count);
    for (uint32_t i = 0; i < target->items.count; i++)
        if (!jinja_assign(run, target->items.at[i], &items->at[i]))
            return false;
    return true;
}

bool jinja_assign(struct jinja_run *run, const struct jinja_node *target,
                  const struct jinja_value *value)
{
    struct jinja_value *slot;
    switch (target->type) {
    case NODE_NAME:
        *jinja_slot(run, target->ref) = *value;
        return true;
    case NODE_ATTRIBUTE_TARGET:
        slot = jinja_slot(run, target->ref);
        if (slot->kind != JINJA_NAMESPACE)
            return jinja_fail(run, "%.60s is no namespace, its attributes cannot be set",
                              target->name->data);
        if (target->attribute->data[0] == '_')
            return jinja_fail(run, "a namespace has no attributes that begin with _");
        return jinja_dict_set(run, slot->as.dict, jinja_of_text(target->attribute),
                              *value);
    default:
        return assign_items(run, target, value);
    }
}

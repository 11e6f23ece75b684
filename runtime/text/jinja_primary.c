/* runtime/text/jinja_primary.c
 * The smallest expressions of templates: literals, names, what stands in brackets; tuples,
 * and what can be assigned to. */
#include "runtime/text/jinja_compile.h"

#include <stdio.h>
#include <string.h>

static struct jinja_node *list_or_dict(struct jinja_compiler *c, bool is_dict)
{
    const char *end = is_dict ? "}" : "]";
    struct jinja_node *node =
        jinja_make(c, is_dict ? NODE_DICT : NODE_LIST, jinja_peek(c, 0)->line);
    if (!node)
        return NULL;
    c->next++; /* the bracket */
    while (!jinja_is_op(c, end)) {
        if (node->items.count && !jinja_expect_op(c, ","))
            return NULL;
        if (jinja_is_op(c, end))
            break;
        if (!jinja_append(c, &node->items, jinja_expression(c, true)))
            return NULL;
        if (is_dict && (!jinja_expect_op(c, ":") ||
                        !jinja_append(c, &node->items, jinja_expression(c, true))))
            return NULL;
    }
    return jinja_expect_op(c, end) ? jinja_finish(c, node) : NULL;
}

static struct jinja_node *strings(struct jinja_compiler *c, struct jinja_node *node)
{
    node->value = jinja_peek(c, 0)->value;
    for (c->next++; jinja_peek(c, 0)->type == TOKEN_STRING; c->next++) {
        const struct jinja_text *a = node->value.as.text,
                                *b = jinja_peek(c, 0)->value.as.text;
        char *both = pipe_pool_take(c->ctx, &c->t->pool, a->size + b->size + 1, 1);
        if (!both) {
            jinja_out_of_memory(c);
            return NULL;
        }
        memcpy(both, a->data, a->size);
        memcpy(both + a->size, b->data, b->size);
        const struct jinja_text *joined = jinja_copy_text(c, both, a->size + b->size);
        if (!joined)
            return NULL;
        node->value = jinja_of_text(joined);
    }
    return jinja_finish(c, node);
}

static struct jinja_node *name_or_word(struct jinja_compiler *c, struct jinja_node *node,
                                       bool with_namespace)
{
    static const struct {
        const char *word;
        uint8_t kind;
        bool truth;
    } words[] = { { "true", JINJA_BOOL, true },   { "True", JINJA_BOOL, true },
                  { "false", JINJA_BOOL, false }, { "False", JINJA_BOOL, false },
                  { "none", JINJA_NONE, false },  { "None", JINJA_NONE, false } };
    const struct jinja_text *name = jinja_expect_any_name(c);
    for (size_t i = 0; i < RT_COUNT(words); i++) {
        if (strcmp(name->data, words[i].word) != 0)
            continue;
        node->value =
            words[i].kind == JINJA_BOOL ? jinja_bool(words[i].truth) : jinja_none();
        return jinja_finish(c, node);
    }
    node->type = NODE_NAME;
    node->name = name;
    if (with_namespace && jinja_skip_op(c, ".")) {
        node->type = NODE_ATTRIBUTE_TARGET;
        node->attribute = jinja_expect_any_name(c);
        if (!node->attribute)
            return NULL;
    }
    return jinja_finish(c, node);
}

struct jinja_node *jinja_primary(struct jinja_compiler *c, bool with_namespace)
{
    const struct jinja_token *token = jinja_peek(c, 0);
    if (jinja_is_op(c, "(")) {
        c->next++;
        struct jinja_node *node = jinja_tuple(c, true, NULL, true);
        return node && jinja_expect_op(c, ")") ? node : NULL;
    }
    if (jinja_is_op(c, "[") || jinja_is_op(c, "{"))
        return list_or_dict(c, jinja_is_op(c, "{"));
    struct jinja_node *node = jinja_make(c, NODE_CONST, token->line);
    if (!node)
        return NULL;
    switch (token->type) {
    case TOKEN_NAME:
        return name_or_word(c, node, with_namespace);
    case TOKEN_STRING:
        return strings(c, node);
    case TOKEN_INT:
    case TOKEN_FLOAT:
        node->value = token->value;
        c->next++;
        return jinja_finish(c, node);
    default: {
        char room[80];
        jinja_refuse(c, token->line, "unexpected %s", jinja_token_words(token, room));
        return NULL;
    }
    }
}

/* ---- tuples and targets ---- */

static bool tuple_ends(const struct jinja_compiler *c, const char *end)
{
    const struct jinja_token *token = jinja_peek(c, 0);
    return token->type == TOKEN_VARIABLE_END || token->type == TOKEN_BLOCK_END ||
           jinja_is_op(c, ")") || (end && jinja_is_name(c, end));
}

/* Both forms of a tuple: of expressions, and of targets. */
static struct jinja_node *tuple_of(struct jinja_compiler *c, const char *end,
                                   bool in_parentheses,
                                   struct jinja_node *(*item)(struct jinja_compiler *c))
{
    struct jinja_node *node = jinja_make(c, NODE_TUPLE, jinja_peek(c, 0)->line);
    bool is_tuple = false;
    if (!node)
        return NULL;
    for (;;) {
        if (node->items.count && !jinja_expect_op(c, ","))
            return NULL;
        if (tuple_ends(c, end))
            break;
        if (!jinja_append(c, &node->items, item(c)))
            return NULL;
        if (!jinja_is_op(c, ","))
            break;
        is_tuple = true;
    }
    if (!is_tuple && node->items.count)
        return node->items.at[0];
    if (!is_tuple && !in_parentheses) {
        char room[80];
        jinja_refuse(c, node->line, "an expression is missing before %s",
                     jinja_token_words(jinja_peek(c, 0), room));
        return NULL;
    }
    return jinja_finish(c, node);
}

static struct jinja_node *item_with_condition(struct jinja_compiler *c)
{
    return jinja_expression(c, true);
}

static struct jinja_node *item_without_condition(struct jinja_compiler *c)
{
    return jinja_expression(c, false);
}

struct jinja_node *jinja_tuple(struct jinja_compiler *c, bool with_condition,
                               const char *end, bool in_parentheses)
{
    return tuple_of(c, end, in_parentheses,
                    with_condition ? item_with_condition : item_without_condition);
}

static struct jinja_node *target_item(struct jinja_compiler *c)
{
    return jinja_primary(c, false);
}

static struct jinja_node *target_item_or_attribute(struct jinja_compiler *c)
{
    return jinja_primary(c, true);
}

/* Names and tuples of them become stores. */
static bool make_store(struct jinja_compiler *c, struct jinja_node *node)
{
    if (node->type == NODE_NAME) {
        node->is_store = true;
        return true;
    }
    if (node->type == NODE_ATTRIBUTE_TARGET)
        return true;
    if (node->type != NODE_TUPLE && node->type != NODE_LIST)
        return jinja_refuse(c, node->line, "only names and tuples can be assigned to");
    for (uint32_t i = 0; i < node->items.count; i++)
        if (!make_store(c, node->items.at[i]))
            return false;
    if (node->type == NODE_LIST)
        return jinja_refuse(c, node->line, "a list as target is not supported");
    return true;
}

struct jinja_node *jinja_target(struct jinja_compiler *c, bool with_namespace,
                                const char *end)
{
    struct jinja_node *node =
        tuple_of(c, end, false, with_namespace ? target_item_or_attribute : target_item);
    return node && make_store(c, node) ? node : NULL;
}

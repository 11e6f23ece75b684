/* runtime/text/jinja_primary.c
 * The smallest expressions of templates: literals, names, what stands in brackets. */
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

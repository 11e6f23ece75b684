/* runtime/text/jinja_expression.c
 * Expressions of templates: jinja2's grammar, one function per level of binding. */
#include "runtime/text/jinja_compile.h"

#include <stdio.h>
#include <string.h>

static struct jinja_node *unary(struct jinja_compiler *c, bool with_filter);

static struct jinja_node *wrap(struct jinja_compiler *c, enum jinja_type type,
                               uint32_t line, struct jinja_node *left,
                               struct jinja_node *right)
{
    struct jinja_node *node = left && right ? jinja_make(c, type, line) : NULL;
    if (!node)
        return NULL;
    node->left = left;
    node->right = right;
    return jinja_finish(c, node);
}

static uint32_t line_here(const struct jinja_compiler *c)
{
    return jinja_peek(c, 0)->line;
}

/* ---- calls, subscripts, filters, tests ---- */

static const char wrong_order[] = "the arguments of a call are in a wrong order";

/* *list or **dict */
static bool spread_argument(struct jinja_compiler *c, struct jinja_node *node,
                            uint32_t line)
{
    const bool is_named = jinja_skip_op(c, "**");
    if (node->third || (node->right && !is_named))
        return jinja_refuse(c, line, wrong_order);
    if (!is_named)
        jinja_skip_op(c, "*");
    struct jinja_node **to = is_named ? &node->third : &node->right;
    *to = jinja_expression(c, true);
    return *to != NULL;
}

static bool named_argument(struct jinja_compiler *c, struct jinja_node *node,
                           uint32_t line)
{
    if (node->third)
        return jinja_refuse(c, line, wrong_order);
    struct jinja_node *named = jinja_make(c, NODE_KEYWORD, line_here(c));
    if (!named)
        return false;
    named->name = jinja_expect_any_name(c);
    jinja_skip_op(c, "=");
    named->left = jinja_expression(c, true);
    for (uint32_t i = 0; i < node->named.count; i++)
        if (strcmp(node->named.at[i]->name->data, named->name->data) == 0)
            return jinja_refuse(c, line, "the argument %.60s is given twice",
                                named->name->data);
    return named->left && jinja_append(c, &node->named, jinja_finish(c, named));
}

/* One argument of a call into the lists of `node`. */
static bool argument(struct jinja_compiler *c, struct jinja_node *node, uint32_t line)
{
    if (jinja_is_op(c, "*") || jinja_is_op(c, "**"))
        return spread_argument(c, node, line);
    const struct jinja_token *next = jinja_peek(c, 1);
    if (jinja_peek(c, 0)->type == TOKEN_NAME && next->type == TOKEN_OPERATOR &&
        strcmp(next->op, "=") == 0)
        return named_argument(c, node, line);
    if (node->right || node->third || node->named.count)
        return jinja_refuse(c, line, wrong_order);
    return jinja_append(c, &node->items, jinja_expression(c, true));
}

static bool arguments(struct jinja_compiler *c, struct jinja_node *node)
{
    const uint32_t line = line_here(c);
    if (!jinja_expect_op(c, "("))
        return false;
    bool first = true;
    while (!jinja_is_op(c, ")")) {
        if (!first && !jinja_expect_op(c, ","))
            return false;
        if (!first && jinja_is_op(c, ")"))
            break;
        if (!argument(c, node, line))
            return false;
        first = false;
    }
    return jinja_expect_op(c, ")");
}

static struct jinja_node *call(struct jinja_compiler *c, struct jinja_node *left)
{
    struct jinja_node *node = jinja_make(c, NODE_CALL, line_here(c));
    if (!node)
        return NULL;
    node->left = left;
    return arguments(c, node) ? jinja_finish(c, node) : NULL;
}

/* A part of a slice: null and true if it is not there. */
static bool slice_part(struct jinja_compiler *c, struct jinja_node **part)
{
    if (jinja_is_op(c, ":") || jinja_is_op(c, "]") || jinja_is_op(c, ","))
        return true;
    *part = jinja_expression(c, true);
    return *part != NULL;
}

static struct jinja_node *subscribed(struct jinja_compiler *c)
{
    struct jinja_node *start = NULL;
    const uint32_t line = line_here(c);
    if (!jinja_is_op(c, ":")) {
        start = jinja_expression(c, true);
        if (!start || !jinja_is_op(c, ":"))
            return start;
    }
    struct jinja_node *node = jinja_make(c, NODE_SLICE, line);
    if (!node)
        return NULL;
    node->left = start;
    jinja_skip_op(c, ":");
    if (!slice_part(c, &node->right))
        return NULL;
    if (jinja_skip_op(c, ":") && !slice_part(c, &node->third))
        return NULL;
    return jinja_finish(c, node);
}

/* More keys with commas make a tuple; none at all is the empty one. */
static struct jinja_node *key_tuple(struct jinja_compiler *c, struct jinja_node *first,
                                    uint32_t line)
{
    struct jinja_node *tuple = jinja_make(c, NODE_TUPLE, line);
    if (!tuple || (first && !jinja_append(c, &tuple->items, first)))
        return NULL;
    while (first && jinja_skip_op(c, ","))
        if (!jinja_append(c, &tuple->items, subscribed(c)))
            return NULL;
    for (uint32_t i = 0; i < tuple->items.count; i++)
        if (tuple->items.at[i]->type == NODE_SLICE) {
            jinja_refuse(c, line, "a slice with a comma is not supported");
            return NULL;
        }
    return jinja_finish(c, tuple);
}

static struct jinja_node *brackets(struct jinja_compiler *c, struct jinja_node *left)
{
    const uint32_t line = line_here(c);
    if (!jinja_expect_op(c, "["))
        return NULL;
    const bool is_empty = jinja_is_op(c, "]");
    struct jinja_node *key = is_empty ? NULL : subscribed(c);
    if (is_empty || (key && jinja_is_op(c, ",")))
        key = key_tuple(c, key, line);
    return key && jinja_expect_op(c, "]") ? wrap(c, NODE_GETITEM, line, left, key) : NULL;
}

static struct jinja_node *dot(struct jinja_compiler *c, struct jinja_node *left)
{
    const uint32_t line = line_here(c);
    jinja_skip_op(c, ".");
    const struct jinja_token *token = jinja_peek(c, 0);
    if (token->type == TOKEN_INT) {
        struct jinja_node *key = jinja_make(c, NODE_CONST, line);
        if (!key)
            return NULL;
        key->value = token->value;
        c->next++;
        return wrap(c, NODE_GETITEM, line, left, jinja_finish(c, key));
    }
    struct jinja_node *node = jinja_make(c, NODE_GETATTR, line);
    if (!node)
        return NULL;
    node->left = left;
    node->name = jinja_expect_any_name(c);
    return node->name ? jinja_finish(c, node) : NULL;
}

static struct jinja_node *postfix(struct jinja_compiler *c, struct jinja_node *node)
{
    while (node) {
        if (jinja_is_op(c, "."))
            node = dot(c, node);
        else if (jinja_is_op(c, "["))
            node = brackets(c, node);
        else if (jinja_is_op(c, "("))
            node = call(c, node);
        else
            break;
    }
    return node;
}

/* The name of a filter or test, with dots. */
static const struct jinja_text *dotted(struct jinja_compiler *c)
{
    char room[200];
    const struct jinja_text *name = jinja_expect_any_name(c);
    while (name && jinja_skip_op(c, ".")) { /* no filter has one */
        const struct jinja_text *more = jinja_expect_any_name(c);
        if (!more)
            return NULL;
        const int n = snprintf(room, sizeof room, "%.90s.%.90s", name->data, more->data);
        name = jinja_copy_text(c, room, (size_t)n);
    }
    return name;
}

struct jinja_node *jinja_filter_chain(struct jinja_compiler *c, struct jinja_node *left,
                                      bool at_name)
{
    while (at_name || jinja_is_op(c, "|")) {
        if (!at_name)
            jinja_skip_op(c, "|");
        at_name = false;
        struct jinja_node *node = jinja_make(c, NODE_FILTER, line_here(c));
        if (!node)
            return NULL;
        node->left = left;
        node->name = dotted(c);
        if (!node->name || (jinja_is_op(c, "(") && !arguments(c, node)))
            return NULL;
        left = jinja_finish(c, node);
        if (!left)
            return NULL;
    }
    return left;
}

/* Whether a test's argument without parentheses begins here. */
static bool begins_argument(const struct jinja_compiler *c)
{
    const enum jinja_token_type type = jinja_peek(c, 0)->type;
    if (type == TOKEN_NAME)
        return !jinja_is_name(c, "else") && !jinja_is_name(c, "or") &&
               !jinja_is_name(c, "and");
    return type == TOKEN_STRING || type == TOKEN_INT || type == TOKEN_FLOAT ||
           jinja_is_op(c, "[") || jinja_is_op(c, "{");
}

static struct jinja_node *test(struct jinja_compiler *c, struct jinja_node *left)
{
    const uint32_t line = line_here(c);
    jinja_skip_name(c, "is");
    const bool negated = jinja_skip_name(c, "not");
    struct jinja_node *node = jinja_make(c, NODE_TEST, line);
    if (!node)
        return NULL;
    node->left = left;
    node->name = dotted(c);
    if (!node->name)
        return NULL;
    if (jinja_is_op(c, "(")) {
        if (!arguments(c, node))
            return NULL;
    } else if (begins_argument(c)) {
        if (jinja_is_name(c, "is")) {
            jinja_refuse(c, line, "two tests with `is` in a row");
            return NULL;
        }
        if (!jinja_append(c, &node->items, postfix(c, jinja_primary(c, false))))
            return NULL;
    }
    node = jinja_finish(c, node);
    if (!negated || !node)
        return node;
    struct jinja_node *not = jinja_make(c, NODE_NOT, line);
    if (!not )
        return NULL;
    not ->left = node;
    return jinja_finish(c, not );
}

static struct jinja_node *filters(struct jinja_compiler *c, struct jinja_node *node)
{
    while (node) {
        if (jinja_is_op(c, "|"))
            node = jinja_filter_chain(c, node, false);
        else if (jinja_is_name(c, "is"))
            node = test(c, node);
        else if (jinja_is_op(c, "("))
            node = call(c, node);
        else
            break;
    }
    return node;
}

/* ---- operators, the tightest first ---- */

static struct jinja_node *unary_inner(struct jinja_compiler *c, bool with_filter)
{
    struct jinja_node *node;
    if (jinja_is_op(c, "-") || jinja_is_op(c, "+")) {
        struct jinja_node *sign = jinja_make(c, NODE_UNARY, line_here(c));
        if (!sign)
            return NULL;
        sign->op = jinja_is_op(c, "-") ? OP_SUB : OP_ADD;
        c->next++;
        sign->left = unary(c, false);
        node = sign->left ? jinja_finish(c, sign) : NULL;
    } else {
        node = jinja_primary(c, false);
    }
    node = postfix(c, node);
    return with_filter ? filters(c, node) : node;
}

static bool nest(struct jinja_compiler *c)
{
    enum { NESTING_MAX = 150 };
    if (c->nesting >= NESTING_MAX)
        return jinja_refuse(c, line_here(c), "more than %d levels inside each other",
                            NESTING_MAX);
    c->nesting++;
    return true;
}

static struct jinja_node *unary(struct jinja_compiler *c, bool with_filter)
{
    if (!nest(c))
        return NULL;
    struct jinja_node *node = unary_inner(c, with_filter);
    c->nesting--;
    return node;
}

/* Operators of one level, from the left: a list of words, ended by null. */
static struct jinja_node *binary(struct jinja_compiler *c, const char *const *words,
                                 const enum jinja_op *ops,
                                 struct jinja_node *(*next)(struct jinja_compiler *c))
{
    struct jinja_node *left = next(c);
    while (left) {
        size_t i = 0;
        while (words[i] && !jinja_is_op(c, words[i]))
            i++;
        if (!words[i])
            return left;
        const uint32_t line = line_here(c);
        c->next++;
        struct jinja_node *right = next(c);
        struct jinja_node *node = right ? jinja_make(c, NODE_BINARY, line) : NULL;
        if (!node)
            return NULL;
        node->op = ops[i];
        node->left = left;
        node->right = right;
        left = jinja_finish(c, node);
    }
    return NULL;
}

static struct jinja_node *unary_filtered(struct jinja_compiler *c)
{
    return unary(c, true);
}

static struct jinja_node *power(struct jinja_compiler *c)
{
    static const char *const words[] = { "**", NULL };
    static const enum jinja_op ops[] = { OP_POW };
    return binary(c, words, ops, unary_filtered);
}

static struct jinja_node *product(struct jinja_compiler *c)
{
    static const char *const words[] = { "*", "/", "//", "%", NULL };
    static const enum jinja_op ops[] = { OP_MUL, OP_DIV, OP_FLOORDIV, OP_MOD };
    return binary(c, words, ops, power);
}

static struct jinja_node *concat(struct jinja_compiler *c)
{
    const uint32_t line = line_here(c);
    struct jinja_node *first = product(c);
    if (!first || !jinja_is_op(c, "~"))
        return first;
    struct jinja_node *node = jinja_make(c, NODE_CONCAT, line);
    if (!node || !jinja_append(c, &node->items, first))
        return NULL;
    while (jinja_skip_op(c, "~"))
        if (!jinja_append(c, &node->items, product(c)))
            return NULL;
    return jinja_finish(c, node);
}

static struct jinja_node *sum(struct jinja_compiler *c)
{
    static const char *const words[] = { "+", "-", NULL };
    static const enum jinja_op ops[] = { OP_ADD, OP_SUB };
    return binary(c, words, ops, concat);
}

/* The comparison that stands here, with its words skipped; false: none. */
static bool comparison(struct jinja_compiler *c, enum jinja_op *op)
{
    static const struct {
        const char *word;
        enum jinja_op op;
    } words[] = { { "==", OP_EQ }, { "!=", OP_NE }, { "<", OP_LT },
                  { "<=", OP_LE }, { ">", OP_GT },  { ">=", OP_GE } };
    for (size_t i = 0; i < RT_COUNT(words); i++)
        if (jinja_skip_op(c, words[i].word)) {
            *op = words[i].op;
            return true;
        }
    if (jinja_skip_name(c, "in")) {
        *op = OP_IN;
        return true;
    }
    const struct jinja_token *next = jinja_peek(c, 1);
    if (!jinja_is_name(c, "not") || next->type != TOKEN_NAME ||
        strcmp(next->value.as.text->data, "in") != 0)
        return false;
    c->next += 2;
    *op = OP_NOT_IN;
    return true;
}

static struct jinja_node *compare(struct jinja_compiler *c)
{
    const uint32_t line = line_here(c);
    struct jinja_node *first = sum(c), *node = NULL;
    enum jinja_op op;
    while (first && comparison(c, &op)) {
        if (!node) {
            node = jinja_make(c, NODE_COMPARE, line);
            if (!node)
                return NULL;
            node->left = first;
        }
        struct jinja_node *operand = jinja_make(c, NODE_OPERAND, line);
        if (!operand)
            return NULL;
        operand->op = op;
        operand->left = sum(c);
        if (!operand->left || !jinja_append(c, &node->items, jinja_finish(c, operand)))
            return NULL;
    }
    return node ? jinja_finish(c, node) : first;
}

static struct jinja_node *negation(struct jinja_compiler *c)
{
    if (!jinja_is_name(c, "not"))
        return compare(c);
    struct jinja_node *node = jinja_make(c, NODE_NOT, line_here(c));
    if (!node || !nest(c))
        return NULL;
    c->next++;
    node->left = negation(c);
    c->nesting--;
    return node->left ? jinja_finish(c, node) : NULL;
}

static struct jinja_node *conjunction(struct jinja_compiler *c)
{
    struct jinja_node *left = negation(c);
    while (left && jinja_is_name(c, "and")) {
        const uint32_t line = line_here(c);
        c->next++;
        left = wrap(c, NODE_AND, line, left, negation(c));
    }
    return left;
}

static struct jinja_node *disjunction(struct jinja_compiler *c)
{
    struct jinja_node *left = conjunction(c);
    while (left && jinja_is_name(c, "or")) {
        const uint32_t line = line_here(c);
        c->next++;
        left = wrap(c, NODE_OR, line, left, conjunction(c));
    }
    return left;
}

static struct jinja_node *condition(struct jinja_compiler *c)
{
    struct jinja_node *value = disjunction(c);
    while (value && jinja_is_name(c, "if")) {
        struct jinja_node *node = jinja_make(c, NODE_COND, line_here(c));
        if (!node)
            return NULL;
        c->next++;
        node->right = value;
        node->left = disjunction(c);
        if (!node->left)
            return NULL;
        if (jinja_skip_name(c, "else")) {
            if (!nest(c))
                return NULL;
            node->third = condition(c);
            c->nesting--;
            if (!node->third)
                return NULL;
        }
        value = jinja_finish(c, node);
    }
    return value;
}

struct jinja_node *jinja_expression(struct jinja_compiler *c, bool with_condition)
{
    if (!nest(c))
        return NULL;
    struct jinja_node *node = with_condition ? condition(c) : disjunction(c);
    c->nesting--;
    return node;
}

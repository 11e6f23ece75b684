/* runtime/text/jinja_parse.c
 * Statements of templates: the tags of jinja2, of its loop controls, and transformers'
 * generation. Tags that read other templates are refused by name. */
#include "runtime/text/jinja_compile.h"

#include <stdio.h>
#include <string.h>

static bool body_until(struct jinja_compiler *c, struct jinja_list *body,
                       const char *const *ends);

struct jinja_node *jinja_make(struct jinja_compiler *c, enum jinja_type type,
                              uint32_t line)
{
    struct jinja_node *node = pipe_pool_take(c->ctx, &c->t->pool, 1, sizeof *node);
    if (!node) {
        jinja_out_of_memory(c);
        return NULL;
    }
    node->type = type;
    node->line = line;
    node->value = jinja_none();
    return node;
}

bool jinja_append(struct jinja_compiler *c, struct jinja_list *list,
                  struct jinja_node *node)
{
    if (!node)
        return false;
    if (list->count == list->room) {
        const uint32_t room = list->room ? 2 * list->room : 4;
        struct jinja_node **grown =
            pipe_pool_take(c->ctx, &c->t->pool, room, sizeof *grown);
        if (!grown)
            return jinja_out_of_memory(c);
        if (list->count)
            memcpy(grown, list->at, list->count * sizeof *grown);
        list->at = grown;
        list->room = room;
    }
    list->at[list->count++] = node;
    return true;
}

static void deepest(const struct jinja_list *list, uint32_t *depth)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->at[i]->depth > *depth)
            *depth = list->at[i]->depth;
}

struct jinja_node *jinja_finish(struct jinja_compiler *c, struct jinja_node *node)
{
    enum { DEPTH_MAX = 400 };
    if (!node)
        return NULL;
    uint32_t depth = 0;
    const struct jinja_node *parts[] = { node->left, node->right, node->third };
    for (size_t i = 0; i < RT_COUNT(parts); i++)
        if (parts[i] && parts[i]->depth > depth)
            depth = parts[i]->depth;
    deepest(&node->items, &depth);
    deepest(&node->named, &depth);
    deepest(&node->more, &depth);
    node->depth = depth + 1;
    if (node->depth <= DEPTH_MAX)
        return node;
    jinja_refuse(c, node->line, "more than %d levels inside each other", DEPTH_MAX);
    return NULL;
}

/* ---- tokens ---- */

const struct jinja_token *jinja_peek(const struct jinja_compiler *c, size_t ahead)
{
    const size_t last = c->token_count - 1;
    return &c->tokens[c->next + ahead < last ? c->next + ahead : last];
}

bool jinja_is_op(const struct jinja_compiler *c, const char *op)
{
    const struct jinja_token *token = jinja_peek(c, 0);
    return token->type == TOKEN_OPERATOR && strcmp(token->op, op) == 0;
}

bool jinja_is_name(const struct jinja_compiler *c, const char *name)
{
    const struct jinja_token *token = jinja_peek(c, 0);
    return token->type == TOKEN_NAME && strcmp(token->value.as.text->data, name) == 0;
}

bool jinja_skip_op(struct jinja_compiler *c, const char *op)
{
    if (!jinja_is_op(c, op))
        return false;
    c->next++;
    return true;
}

bool jinja_skip_name(struct jinja_compiler *c, const char *name)
{
    if (!jinja_is_name(c, name))
        return false;
    c->next++;
    return true;
}

const char *jinja_token_words(const struct jinja_token *token, char room[80])
{
    switch (token->type) {
    case TOKEN_NAME:
        snprintf(room, 80, "`%.40s`", token->value.as.text->data);
        return room;
    case TOKEN_OPERATOR:
        snprintf(room, 80, "`%s`", token->op);
        return room;
    case TOKEN_STRING:
        return "a string";
    case TOKEN_INT:
    case TOKEN_FLOAT:
        return "a number";
    case TOKEN_EOF:
        return "the end of the template";
    case TOKEN_DATA:
        return "text";
    default:
        return token->type == TOKEN_BLOCK_END || token->type == TOKEN_VARIABLE_END
                   ? "the end of the tag"
                   : "a tag";
    }
}

bool jinja_expect_op(struct jinja_compiler *c, const char *op)
{
    char room[80];
    if (jinja_skip_op(c, op))
        return true;
    return jinja_refuse(c, jinja_peek(c, 0)->line, "`%s` is missing before %s", op,
                        jinja_token_words(jinja_peek(c, 0), room));
}

const struct jinja_text *jinja_expect_any_name(struct jinja_compiler *c)
{
    char room[80];
    const struct jinja_token *token = jinja_peek(c, 0);
    if (token->type == TOKEN_NAME) {
        c->next++;
        return token->value.as.text;
    }
    jinja_refuse(c, token->line, "a name is missing before %s",
                 jinja_token_words(token, room));
    return NULL;
}

static bool expect_type(struct jinja_compiler *c, enum jinja_token_type type,
                        const char *words)
{
    char room[80];
    const struct jinja_token *token = jinja_peek(c, 0);
    if (token->type != type)
        return jinja_refuse(c, token->line, "%s is missing before %s", words,
                            jinja_token_words(token, room));
    c->next++;
    return true;
}

static bool block_end(struct jinja_compiler *c)
{
    return expect_type(c, TOKEN_BLOCK_END, "`%}`");
}

/* A tag's end, then statements up to one of the tags `ends`, whose name is next. */
static bool body(struct jinja_compiler *c, struct jinja_list *list,
                 const char *const *ends)
{
    jinja_skip_op(c, ":");
    return block_end(c) && body_until(c, list, ends);
}

static bool whole_body(struct jinja_compiler *c, struct jinja_list *list, const char *end)
{
    const char *const ends[] = { end, NULL };
    if (!body(c, list, ends))
        return false;
    c->next++; /* the end's name */
    return true;
}

/* ---- one function per tag; the tag's name has been read ---- */

static struct jinja_node *parse_if(struct jinja_compiler *c, struct jinja_node *node)
{
    static const char *const ends[] = { "elif", "else", "endif", NULL };
    struct jinja_node *branch = node;
    for (;;) {
        branch->left = jinja_tuple(c, false, NULL, false);
        if (!branch->left || !body(c, &branch->items, ends))
            return NULL;
        if (branch != node && !jinja_append(c, &node->named, jinja_finish(c, branch)))
            return NULL;
        if (!jinja_skip_name(c, "elif"))
            break;
        branch = jinja_make(c, NODE_IF, jinja_peek(c, 0)->line);
        if (!branch)
            return NULL;
    }
    if (jinja_skip_name(c, "else"))
        return whole_body(c, &node->more, "endif") ? jinja_finish(c, node) : NULL;
    c->next++;
    return jinja_finish(c, node);
}

static struct jinja_node *parse_for(struct jinja_compiler *c, struct jinja_node *node)
{
    static const char *const ends[] = { "endfor", "else", NULL };
    node->left = jinja_target(c, false, "in");
    if (!node->left)
        return NULL;
    if (!jinja_skip_name(c, "in")) {
        jinja_refuse(c, node->line, "`in` is missing in a for");
        return NULL;
    }
    node->right = jinja_tuple(c, false, "recursive", false);
    if (!node->right)
        return NULL;
    if (jinja_skip_name(c, "if")) {
        node->third = jinja_expression(c, true);
        if (!node->third)
            return NULL;
    }
    node->is_flag = jinja_skip_name(c, "recursive");
    c->loops++;
    const bool good = body(c, &node->items, ends);
    c->loops--;
    if (!good)
        return NULL;
    if (jinja_skip_name(c, "else"))
        return whole_body(c, &node->named, "endfor") ? jinja_finish(c, node) : NULL;
    c->next++;
    return jinja_finish(c, node);
}

static struct jinja_node *parse_set(struct jinja_compiler *c, struct jinja_node *node)
{
    node->left = jinja_target(c, true, NULL);
    if (!node->left)
        return NULL;
    if (jinja_skip_op(c, "=")) {
        node->right = jinja_tuple(c, true, NULL, false);
        return node->right ? jinja_finish(c, node) : NULL;
    }
    node->type = NODE_SET_BLOCK;
    if (node->left->type == NODE_ATTRIBUTE_TARGET) {
        jinja_refuse(c, node->line, "a set block of an attribute is not supported");
        return NULL;
    }
    if (jinja_is_op(c, "|")) {
        node->right = jinja_filter_chain(c, NULL, false);
        if (!node->right)
            return NULL;
    }
    return whole_body(c, &node->items, "endset") ? jinja_finish(c, node) : NULL;
}

/* (a, b=1): names into `named`, defaults into `more`. */
static bool signature(struct jinja_compiler *c, struct jinja_node *node)
{
    if (!jinja_expect_op(c, "("))
        return false;
    while (!jinja_is_op(c, ")")) {
        if (node->named.count && !jinja_expect_op(c, ","))
            return false;
        struct jinja_node *name = jinja_make(c, NODE_NAME, jinja_peek(c, 0)->line);
        if (!name)
            return false;
        name->is_store = true;
        name->name = jinja_expect_any_name(c);
        if (!name->name)
            return false;
        for (uint32_t i = 0; i < node->named.count; i++)
            if (strcmp(node->named.at[i]->name->data, name->name->data) == 0)
                return jinja_refuse(c, name->line, "the parameter %s is there twice",
                                    name->name->data);
        if (jinja_skip_op(c, "=")) {
            if (!jinja_append(c, &node->more, jinja_expression(c, true)))
                return false;
        } else if (node->more.count) {
            return jinja_refuse(c, name->line,
                                "a parameter without default follows one with");
        }
        if (!jinja_append(c, &node->named, jinja_finish(c, name)))
            return false;
    }
    return jinja_expect_op(c, ")");
}

/* A body that is a function: a loop outside of it cannot be left from inside. */
static bool function_body(struct jinja_compiler *c, struct jinja_node *node,
                          const char *end)
{
    const uint32_t loops = c->loops;
    c->loops = 0;
    const bool good = whole_body(c, &node->items, end);
    c->loops = loops;
    return good;
}

static struct jinja_node *parse_macro(struct jinja_compiler *c, struct jinja_node *node)
{
    node->name = jinja_expect_any_name(c);
    if (!node->name || !signature(c, node) || !function_body(c, node, "endmacro"))
        return NULL;
    return jinja_finish(c, node);
}

static struct jinja_node *parse_call(struct jinja_compiler *c, struct jinja_node *node)
{
    if (jinja_is_op(c, "(") && !signature(c, node))
        return NULL;
    node->right = jinja_expression(c, true);
    if (!node->right)
        return NULL;
    if (node->right->type != NODE_CALL) {
        jinja_refuse(c, node->line, "a call block without a call");
        return NULL;
    }
    return function_body(c, node, "endcall") ? jinja_finish(c, node) : NULL;
}

static struct jinja_node *parse_generation(struct jinja_compiler *c,
                                           struct jinja_node *node)
{
    return function_body(c, node, "endgeneration") ? jinja_finish(c, node) : NULL;
}

static struct jinja_node *parse_filter_block(struct jinja_compiler *c,
                                             struct jinja_node *node)
{
    node->right = jinja_filter_chain(c, NULL, true);
    if (!node->right || !whole_body(c, &node->items, "endfilter"))
        return NULL;
    return jinja_finish(c, node);
}

static struct jinja_node *parse_with(struct jinja_compiler *c, struct jinja_node *node)
{
    while (jinja_peek(c, 0)->type != TOKEN_BLOCK_END) {
        if (node->named.count && !jinja_expect_op(c, ","))
            return NULL;
        struct jinja_node *target = jinja_target(c, false, NULL);
        if (!jinja_append(c, &node->named, target) || !jinja_expect_op(c, "=") ||
            !jinja_append(c, &node->more, jinja_expression(c, true)))
            return NULL;
    }
    return whole_body(c, &node->items, "endwith") ? jinja_finish(c, node) : NULL;
}

static struct jinja_node *parse_print(struct jinja_compiler *c, struct jinja_node *node)
{
    while (jinja_peek(c, 0)->type != TOKEN_BLOCK_END) {
        if (node->items.count && !jinja_expect_op(c, ","))
            return NULL;
        if (!jinja_append(c, &node->items, jinja_expression(c, true)))
            return NULL;
    }
    return jinja_finish(c, node);
}

static struct jinja_node *parse_leave(struct jinja_compiler *c, struct jinja_node *node)
{
    if (c->loops)
        return jinja_finish(c, node);
    jinja_refuse(c, node->line, "`%s` outside of a loop",
                 node->type == NODE_BREAK ? "break" : "continue");
    return NULL;
}

static struct jinja_node *parse_tag(struct jinja_compiler *c)
{
    static const struct {
        const char *word;
        enum jinja_type type;
        struct jinja_node *(*parse)(struct jinja_compiler *c, struct jinja_node *node);
    } tags[] = {
        { "if", NODE_IF, parse_if },
        { "for", NODE_FOR, parse_for },
        { "set", NODE_SET, parse_set },
        { "macro", NODE_MACRO, parse_macro },
        { "call", NODE_CALL_BLOCK, parse_call },
        { "generation", NODE_GENERATION, parse_generation },
        { "filter", NODE_FILTER_BLOCK, parse_filter_block },
        { "with", NODE_WITH, parse_with },
        { "print", NODE_OUTPUT, parse_print },
        { "break", NODE_BREAK, parse_leave },
        { "continue", NODE_CONTINUE, parse_leave },
    };
    static const char *const others[] = { "include", "import",     "from", "extends",
                                          "block",   "autoescape", NULL };
    const uint32_t line = jinja_peek(c, 0)->line;
    const struct jinja_text *word = jinja_expect_any_name(c);
    if (!word)
        return NULL;
    for (size_t i = 0; i < RT_COUNT(tags); i++) {
        if (strcmp(word->data, tags[i].word) != 0)
            continue;
        struct jinja_node *node = jinja_make(c, tags[i].type, line);
        return node ? tags[i].parse(c, node) : NULL;
    }
    for (size_t i = 0; others[i]; i++)
        if (strcmp(word->data, others[i]) == 0) {
            jinja_refuse(c, line, "the tag `%s` is not supported", others[i]);
            return NULL;
        }
    jinja_refuse(c, line, "the tag `%.40s` is not known or stands in a wrong place",
                 word->data);
    return NULL;
}

/* Text and {{ }} in a row are one OUTPUT. */
static bool add_output(struct jinja_compiler *c, struct jinja_list *list,
                       struct jinja_node **output, struct jinja_node *item)
{
    if (!item)
        return false;
    if (!*output) {
        *output = jinja_make(c, NODE_OUTPUT, item->line);
        if (!*output || !jinja_append(c, list, *output))
            return false;
    }
    return jinja_append(c, &(*output)->items, item) && jinja_finish(c, *output);
}

static struct jinja_node *data_node(struct jinja_compiler *c)
{
    const struct jinja_token *token = jinja_peek(c, 0);
    struct jinja_node *node = jinja_make(c, NODE_CONST, token->line);
    if (!node)
        return NULL;
    node->value = token->value;
    c->next++;
    return jinja_finish(c, node);
}

static struct jinja_node *variable_node(struct jinja_compiler *c)
{
    c->next++;
    struct jinja_node *node = jinja_tuple(c, true, NULL, false);
    return node && expect_type(c, TOKEN_VARIABLE_END, "`}}`") ? node : NULL;
}

static bool at_end(const struct jinja_compiler *c, const char *const *ends)
{
    for (size_t i = 0; ends && ends[i]; i++)
        if (jinja_is_name(c, ends[i]))
            return true;
    return false;
}

static bool statements(struct jinja_compiler *c, struct jinja_list *list,
                       const char *const *ends)
{
    struct jinja_node *output = NULL;
    for (;;) {
        const enum jinja_token_type type = jinja_peek(c, 0)->type;
        if (type == TOKEN_EOF)
            return !ends || jinja_refuse(c, jinja_peek(c, 0)->line,
                                         "`%s` is missing at the end", ends[0]);
        if (type == TOKEN_DATA) {
            if (!add_output(c, list, &output, data_node(c)))
                return false;
        } else if (type == TOKEN_VARIABLE_BEGIN) {
            if (!add_output(c, list, &output, variable_node(c)))
                return false;
        } else {
            c->next++;
            if (at_end(c, ends))
                return true;
            output = NULL;
            if (!jinja_append(c, list, parse_tag(c)) || !block_end(c))
                return false;
        }
    }
}

static bool body_until(struct jinja_compiler *c, struct jinja_list *list,
                       const char *const *ends)
{
    enum { NESTING_MAX = 100 };
    if (c->nesting >= NESTING_MAX)
        return jinja_refuse(c, jinja_peek(c, 0)->line,
                            "more than %d blocks inside each other", NESTING_MAX);
    c->nesting++;
    const bool good = statements(c, list, ends);
    c->nesting--;
    return good;
}

bool jinja_parse(struct jinja_compiler *c)
{
    return body_until(c, &c->t->body, NULL);
}

/* runtime/text/jinja_scope.c
 * Where names live. jinja2 compiles a template to functions with local variables, and
 * decides for every body before it runs which names are its own: a name that a body stores
 * anywhere is a variable of that body, from its start on. This is why a name that the
 * template sets further down does not show the caller's value inside a loop before. */
#include "runtime/text/jinja_compile.h"

#include <string.h>

static bool analyze(struct jinja_compiler *c, struct jinja_scope *scope,
                    struct jinja_node *node);
static bool resolve(struct jinja_compiler *c, struct jinja_scope *scope,
                    struct jinja_node *node);

static struct jinja_scope *scope_make(struct jinja_compiler *c,
                                      struct jinja_scope *parent, struct jinja_body *body)
{
    struct jinja_scope *scope = pipe_pool_take(c->ctx, &c->t->pool, 1, sizeof *scope);
    if (!scope) {
        jinja_out_of_memory(c);
        return NULL;
    }
    scope->parent = parent;
    scope->body = body;
    return scope;
}

static struct jinja_body *body_make(struct jinja_compiler *c, struct jinja_body *parent)
{
    struct jinja_body *body = pipe_pool_take(c->ctx, &c->t->pool, 1, sizeof *body);
    if (!body)
        jinja_out_of_memory(c);
    else
        body->parent = parent;
    return body;
}

static struct jinja_symbol *symbol_here(const struct jinja_scope *scope,
                                        const struct jinja_text *name)
{
    for (uint32_t i = 0; i < scope->count; i++)
        if (strcmp(scope->symbols[i].name->data, name->data) == 0)
            return &scope->symbols[i];
    return NULL;
}

/* The place of a name, seen from `from`; false: no scope from `scope` on knows it. */
static bool find(const struct jinja_scope *from, const struct jinja_scope *scope,
                 const struct jinja_text *name, struct jinja_ref *ref)
{
    for (; scope; scope = scope->parent) {
        const struct jinja_symbol *symbol = symbol_here(scope, name);
        if (!symbol)
            continue;
        *ref = (struct jinja_ref){ .slot = symbol->slot };
        for (const struct jinja_body *b = from->body; b != scope->body; b = b->parent)
            ref->hops++;
        return true;
    }
    return false;
}

static bool global_of(struct jinja_compiler *c, const struct jinja_text *name,
                      uint32_t *place)
{
    struct text_jinja *t = c->t;
    for (*place = 0; *place < t->global_count; ++*place)
        if (strcmp(t->globals[*place]->data, name->data) == 0)
            return true;
    if (t->global_count == t->global_room) {
        const uint32_t room = t->global_room ? 2 * t->global_room : 16;
        const struct jinja_text **grown =
            pipe_pool_take(c->ctx, &t->pool, room, sizeof *grown);
        if (!grown)
            return jinja_out_of_memory(c);
        if (t->global_count)
            memcpy(grown, t->globals, t->global_count * sizeof *grown);
        t->globals = grown;
        t->global_room = room;
    }
    t->globals[t->global_count++] = name;
    return true;
}

static struct jinja_symbol *define(struct jinja_compiler *c, struct jinja_scope *scope,
                                   const struct jinja_text *name)
{
    if (scope->count == scope->room) {
        const uint32_t room = scope->room ? 2 * scope->room : 8;
        struct jinja_symbol *grown =
            pipe_pool_take(c->ctx, &c->t->pool, room, sizeof *grown);
        if (!grown) {
            jinja_out_of_memory(c);
            return NULL;
        }
        if (scope->count)
            memcpy(grown, scope->symbols, scope->count * sizeof *grown);
        scope->symbols = grown;
        scope->room = room;
    }
    struct jinja_symbol *symbol = &scope->symbols[scope->count++];
    *symbol = (struct jinja_symbol){ .name = name, .slot = scope->body->slot_count++ };
    return symbol;
}

static bool parameter(struct jinja_compiler *c, struct jinja_scope *scope,
                      const struct jinja_text *name)
{
    struct jinja_symbol *symbol = symbol_here(scope, name);
    if (!symbol)
        symbol = define(c, scope, name);
    if (!symbol)
        return false;
    symbol->load = LOAD_PARAMETER;
    if (!symbol->stored_at)
        symbol->stored_at = ++scope->clock;
    return true;
}

/* From the outer scope, or from the caller's variables. */
static bool load_from_outside(struct jinja_compiler *c, struct jinja_scope *scope,
                              struct jinja_symbol *symbol)
{
    if (scope->parent && find(scope, scope->parent, symbol->name, &symbol->alias)) {
        symbol->load = LOAD_ALIAS;
        return true;
    }
    symbol->load = LOAD_RESOLVE;
    return global_of(c, symbol->name, &symbol->global);
}

static bool store(struct jinja_compiler *c, struct jinja_scope *scope,
                  const struct jinja_text *name)
{
    struct jinja_symbol *symbol = symbol_here(scope, name);
    if (!symbol) {
        symbol = define(c, scope, name);
        if (!symbol)
            return false;
        symbol->load = LOAD_UNDEFINED;
        if (scope->parent && find(scope, scope->parent, name, &symbol->alias))
            symbol->load = LOAD_ALIAS;
    }
    if (!symbol->stored_at)
        symbol->stored_at = ++scope->clock;
    return true;
}

static bool load(struct jinja_compiler *c, struct jinja_scope *scope,
                 const struct jinja_text *name)
{
    struct jinja_ref ref;
    if (find(scope, scope, name, &ref))
        return true;
    struct jinja_symbol *symbol = define(c, scope, name);
    if (!symbol)
        return false;
    symbol->load = LOAD_RESOLVE;
    return global_of(c, name, &symbol->global);
}

/* A pass over a node: analyze or resolve. */
typedef bool visit_fn(struct jinja_compiler *c, struct jinja_scope *scope,
                      struct jinja_node *node);

static bool visit_list(struct jinja_compiler *c, struct jinja_scope *scope,
                       const struct jinja_list *list, visit_fn *visit)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (!visit(c, scope, list->at[i]))
            return false;
    return true;
}

static bool visit_children(struct jinja_compiler *c, struct jinja_scope *scope,
                           struct jinja_node *node, visit_fn *visit)
{
    return visit(c, scope, node->left) && visit(c, scope, node->right) &&
           visit_list(c, scope, &node->items, visit) &&
           visit_list(c, scope, &node->named, visit) &&
           visit_list(c, scope, &node->more, visit) && visit(c, scope, node->third);
}

/* What a branch stores may not have run: such a name starts with the value outside. */
static bool analyze_if(struct jinja_compiler *c, struct jinja_scope *scope,
                       struct jinja_node *node)
{
    if (!analyze(c, scope, node->left))
        return false;
    const uint32_t before = scope->clock;
    if (!visit_list(c, scope, &node->items, analyze) ||
        !visit_list(c, scope, &node->named, analyze) ||
        !visit_list(c, scope, &node->more, analyze))
        return false;
    for (uint32_t i = 0; i < scope->count; i++)
        if (scope->symbols[i].stored_at > before &&
            !load_from_outside(c, scope, &scope->symbols[i]))
            return false;
    return true;
}

static bool analyze_name(struct jinja_compiler *c, struct jinja_scope *scope,
                         struct jinja_node *node)
{
    const bool is_store = node->is_store || node->type == NODE_MACRO;
    return is_store ? store(c, scope, node->name) : load(c, scope, node->name);
}

/* Bodies with a scope of their own are not looked into: only at what stands outside. */
static bool analyze(struct jinja_compiler *c, struct jinja_scope *scope,
                    struct jinja_node *node)
{
    if (!node)
        return true;
    switch (node->type) {
    case NODE_NAME:
    case NODE_ATTRIBUTE_TARGET:
    case NODE_MACRO:
        return analyze_name(c, scope, node);
    case NODE_IF:
        return analyze_if(c, scope, node);
    case NODE_FOR:
    case NODE_CALL_BLOCK:
    case NODE_FILTER_BLOCK:
    case NODE_GENERATION: /* which has no right side */
        return analyze(c, scope, node->right);
    case NODE_WITH:
        return visit_list(c, scope, &node->more, analyze);
    case NODE_SET:
        return analyze(c, scope, node->right) && analyze(c, scope, node->left);
    case NODE_SET_BLOCK:
        return analyze(c, scope, node->left);
    default:
        return visit_children(c, scope, node, analyze);
    }
}

/* ---- whether a body reads a name that it did not store before, as jinja2 counts ---- */

enum search { SEARCH_ON, SEARCH_READ, SEARCH_STORED };

static enum search reads(const struct jinja_node *node, const char *name);

static enum search list_reads(const struct jinja_list *list, const char *name)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const enum search found = reads(list->at[i], name);
        if (found != SEARCH_ON)
            return found;
    }
    return SEARCH_ON;
}

static enum search reads(const struct jinja_node *node, const char *name)
{
    if (!node)
        return SEARCH_ON;
    if (node->type == NODE_NAME) {
        if (strcmp(node->name->data, name) != 0)
            return SEARCH_ON;
        return node->is_store ? SEARCH_STORED : SEARCH_READ;
    }
    const bool parameters_first = node->type == NODE_MACRO ||
                                  node->type == NODE_CALL_BLOCK ||
                                  node->type == NODE_WITH;
    const struct jinja_list *usual[] = { &node->items, &node->named, &node->more },
                            *first[] = { &node->named, &node->more, &node->items };
    enum search found = reads(node->left, name);
    if (found == SEARCH_ON)
        found = reads(node->right, name);
    for (size_t i = 0; i < 3 && found == SEARCH_ON; i++)
        found = list_reads(parameters_first ? first[i] : usual[i], name);
    return found == SEARCH_ON ? reads(node->third, name) : found;
}

static bool stores_loop(const struct jinja_node *node)
{
    if (!node)
        return false;
    if (node->type == NODE_NAME)
        return node->is_store && strcmp(node->name->data, "loop") == 0;
    const struct jinja_list *lists[] = { &node->items, &node->named, &node->more };
    for (size_t i = 0; i < RT_COUNT(lists); i++)
        for (uint32_t j = 0; j < lists[i]->count; j++)
            if (stores_loop(lists[i]->at[j]))
                return true;
    return stores_loop(node->left) || stores_loop(node->right) ||
           stores_loop(node->third);
}

/* ---- nested scopes ---- */

static bool inner_list(struct jinja_compiler *c, struct jinja_scope *scope,
                       const struct jinja_list *list)
{
    return scope && visit_list(c, scope, list, analyze) &&
           visit_list(c, scope, list, resolve);
}

/* Names of a target become parameters. */
static bool targets(struct jinja_compiler *c, struct jinja_scope *scope,
                    const struct jinja_node *target)
{
    if (target->type == NODE_NAME)
        return parameter(c, scope, target->name);
    for (uint32_t i = 0; i < target->items.count; i++)
        if (!targets(c, scope, target->items.at[i]))
            return false;
    return true;
}

static struct jinja_node *copy_target(struct jinja_compiler *c,
                                      const struct jinja_node *target)
{
    struct jinja_node *copy = jinja_make(c, target->type, target->line);
    if (!copy)
        return NULL;
    copy->name = target->name;
    copy->is_store = target->is_store;
    for (uint32_t i = 0; i < target->items.count; i++)
        if (!jinja_append(c, &copy->items, copy_target(c, target->items.at[i])))
            return NULL;
    return copy;
}

static bool resolve_for_parts(struct jinja_compiler *c, struct jinja_scope *scope,
                              struct jinja_node *node, struct jinja_body *body)
{
    if (node->third) { /* the test looks at variables of its own */
        struct jinja_node *copy = copy_target(c, node->left);
        node->test = scope_make(c, scope, scope->body);
        if (!node->test || !jinja_append(c, &node->more, copy) ||
            !targets(c, node->test, copy) || !resolve(c, node->test, copy) ||
            !analyze(c, node->test, node->third) || !resolve(c, node->test, node->third))
            return false;
    }
    if (!targets(c, node->scope, node->left) ||
        !visit_list(c, node->scope, &node->items, analyze) ||
        !resolve(c, node->scope, node->left) ||
        !visit_list(c, node->scope, &node->items, resolve))
        return false;
    if (!node->named.count)
        return true;
    node->orelse = scope_make(c, scope, body);
    return inner_list(c, node->orelse, &node->named);
}

static bool resolve_for(struct jinja_compiler *c, struct jinja_scope *scope,
                        struct jinja_node *node)
{
    if (stores_loop(node))
        return jinja_refuse(c, node->line, "a loop assigns to `loop`");
    if (!resolve(c, scope, node->right))
        return false;
    struct jinja_body *body = node->is_flag ? body_make(c, scope->body) : scope->body;
    if (!body)
        return false;
    node->scope = scope_make(c, scope, body);
    if (!node->scope)
        return false;
    node->has_loop = node->is_flag || list_reads(&node->items, "loop") == SEARCH_READ;
    if (node->has_loop) {
        const struct jinja_text *name = jinja_copy_text(c, "loop", 4);
        if (!name || !parameter(c, node->scope, name))
            return false;
        node->ref.slot = symbol_here(node->scope, name)->slot;
    }
    const bool soft = c->is_soft;
    c->is_soft = false;
    const bool good = resolve_for_parts(c, scope, node, body);
    c->is_soft = soft;
    return good;
}

/* A special name of a macro, which it has if its body reads it. */
static bool special(struct jinja_compiler *c, struct jinja_node *node, const char *word,
                    bool *has)
{
    bool is_explicit = false, has_default = false;
    const bool is_caller = strcmp(word, "caller") == 0;
    const uint32_t plain = node->named.count - node->more.count;
    for (uint32_t i = 0; i < node->named.count; i++)
        if (strcmp(node->named.at[i]->name->data, word) == 0) {
            is_explicit = true;
            has_default = i >= plain;
        }
    if (list_reads(&node->items, word) != SEARCH_READ)
        return true;
    if (is_explicit && is_caller && !has_default)
        return jinja_refuse(c, node->line, "the parameter `caller` needs a default");
    *has = !is_explicit || is_caller;
    if (is_explicit)
        return true;
    const struct jinja_text *name = jinja_copy_text(c, word, strlen(word));
    return name && parameter(c, node->scope, name);
}

static bool resolve_function(struct jinja_compiler *c, struct jinja_scope *scope,
                             struct jinja_node *node)
{
    struct jinja_body *body = body_make(c, scope->body);
    if (!body)
        return false;
    node->scope = scope_make(c, scope, body);
    if (!node->scope)
        return false;
    /* Parameters first, in their order, so that their slots are 0, 1, 2 ... */
    for (uint32_t i = 0; i < node->named.count; i++)
        if (!targets(c, node->scope, node->named.at[i]))
            return false;
    if (!special(c, node, "caller", &node->has_caller) ||
        !special(c, node, "kwargs", &node->has_kwargs) ||
        !special(c, node, "varargs", &node->has_varargs))
        return false;
    const bool soft = c->is_soft;
    c->is_soft = false;
    const bool good = visit_list(c, node->scope, &node->more, analyze) &&
                      visit_list(c, node->scope, &node->items, analyze) &&
                      visit_list(c, node->scope, &node->named, resolve) &&
                      visit_list(c, node->scope, &node->more, resolve) &&
                      visit_list(c, node->scope, &node->items, resolve);
    c->is_soft = soft;
    return good;
}

/* FILTER_BLOCK, SET_BLOCK, WITH: a scope in the same function. */
static bool resolve_inner(struct jinja_compiler *c, struct jinja_scope *scope,
                          struct jinja_node *node)
{
    node->scope = scope_make(c, scope, scope->body);
    if (!node->scope)
        return false;
    if (node->type == NODE_WITH) {
        if (!visit_list(c, scope, &node->more, resolve))
            return false;
        for (uint32_t i = 0; i < node->named.count; i++)
            if (!targets(c, node->scope, node->named.at[i]) ||
                !resolve(c, node->scope, node->named.at[i]))
                return false;
    }
    const bool soft = c->is_soft;
    c->is_soft = false;
    bool good = (node->type != NODE_SET_BLOCK || resolve(c, scope, node->left)) &&
                inner_list(c, node->scope, &node->items);
    if (good && node->type != NODE_WITH && node->right)
        good =
            analyze(c, node->scope, node->right) && resolve(c, node->scope, node->right);
    c->is_soft = soft;
    return good;
}

/* ---- names, filters and tests of one node ---- */

static bool resolve_name(struct jinja_compiler *c, struct jinja_scope *scope,
                         struct jinja_node *node)
{
    if (node->type == NODE_NAME && !node->is_store &&
        strcmp(node->name->data, "self") == 0)
        return jinja_refuse(c, node->line, "the variable `self` is not supported");
    if (find(scope, scope, node->name, &node->ref))
        return true;
    return jinja_refuse(c, node->line, "the name %.40s cannot be read here",
                        node->name->data);
}

static bool resolve_known(struct jinja_compiler *c, struct jinja_node *node)
{
    const bool is_filter = node->type == NODE_FILTER;
    const struct jinja_function *known = is_filter ? jinja_filter_find(node->name->data)
                                                   : jinja_test_find(node->name->data);
    if (known && !known->call)
        return jinja_refuse(c, node->line, "the %s `%s` is not supported",
                            is_filter ? "filter" : "test", known->name);
    if (!known && !c->is_soft)
        return jinja_refuse(c, node->line, "there is no %s `%.40s`",
                            is_filter ? "filter" : "test", node->name->data);
    node->known = known;
    return true;
}

static bool resolve_soft(struct jinja_compiler *c, struct jinja_scope *scope,
                         struct jinja_node *node)
{
    const bool soft = c->is_soft;
    c->is_soft = true;
    const bool good = visit_children(c, scope, node, resolve);
    c->is_soft = soft;
    return good;
}

static bool has_inner_scope(const struct jinja_node *node)
{
    return node->type == NODE_SET_BLOCK || node->type == NODE_FILTER_BLOCK ||
           node->type == NODE_WITH;
}

static bool resolve_macro(struct jinja_compiler *c, struct jinja_scope *scope,
                          struct jinja_node *node)
{
    if (node->type == NODE_MACRO)
        return resolve_name(c, scope, node) && resolve_function(c, scope, node);
    return resolve(c, scope, node->right) && resolve_function(c, scope, node);
}

static bool resolve(struct jinja_compiler *c, struct jinja_scope *scope,
                    struct jinja_node *node)
{
    if (!node)
        return true;
    switch (node->type) {
    case NODE_NAME:
    case NODE_ATTRIBUTE_TARGET:
        return resolve_name(c, scope, node);
    case NODE_FILTER:
    case NODE_TEST:
        return resolve_known(c, node) && visit_children(c, scope, node, resolve);
    case NODE_IF:
    case NODE_COND:
        return resolve_soft(c, scope, node);
    case NODE_FOR:
        return resolve_for(c, scope, node);
    case NODE_MACRO:
    case NODE_CALL_BLOCK:
    case NODE_GENERATION:
        return resolve_macro(c, scope, node);
    default:
        return has_inner_scope(node) ? resolve_inner(c, scope, node)
                                     : visit_children(c, scope, node, resolve);
    }
}

bool jinja_bind_names(struct jinja_compiler *c)
{
    struct jinja_body *body = body_make(c, NULL);
    if (!body)
        return false;
    c->t->scope = scope_make(c, NULL, body);
    return inner_list(c, c->t->scope, &c->t->body);
}

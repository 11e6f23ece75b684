/* runtime/text/jinja_compile.h
 * Private to runtime/text/jinja*.c: what lexer, parser and the binding of names share.
 * Functions return false, or null, if they fail; the compiler then holds the status. */
#ifndef RUNTIME_TEXT_JINJA_COMPILE_H
#define RUNTIME_TEXT_JINJA_COMPILE_H

#include "runtime/text/jinja_impl.h"

enum jinja_token_type {
    TOKEN_DATA,
    TOKEN_VARIABLE_BEGIN,
    TOKEN_VARIABLE_END,
    TOKEN_BLOCK_BEGIN,
    TOKEN_BLOCK_END,
    TOKEN_NAME,
    TOKEN_STRING,
    TOKEN_INT,
    TOKEN_FLOAT,
    TOKEN_OPERATOR,
    TOKEN_EOF,
};

struct jinja_token {
    enum jinja_token_type type;
    uint32_t line;
    char op[3];               /* TOKEN_OPERATOR */
    struct jinja_value value; /* of the others: a string, an integer, a float */
};

struct jinja_compiler {
    struct rt_ctx *ctx;
    struct text_jinja *t;
    const char *text; /* with \n as the only line end */
    size_t size, at;
    uint32_t line;
    struct jinja_token *tokens;
    size_t token_count, token_room, next;
    uint32_t nesting, loops; /* loops: of the current function, for break */
    bool is_soft;            /* inside an if, for filters that nobody knows */
    rt_status st;
};

/* Stores the message `PATH: line N: ...`; returns false. */
bool jinja_refuse(struct jinja_compiler *c, uint32_t line, const char *fmt, ...)
    RT_PRINTF(3, 4);
bool jinja_out_of_memory(struct jinja_compiler *c);
bool jinja_lex(struct jinja_compiler *c);
bool jinja_parse(struct jinja_compiler *c);
bool jinja_bind_names(struct jinja_compiler *c);
const struct jinja_text *jinja_copy_text(struct jinja_compiler *c, const char *data,
                                         size_t size);

/* of jinja_parse.c for jinja_expression.c and back */
struct jinja_node *jinja_make(struct jinja_compiler *c, enum jinja_type type,
                              uint32_t line);
bool jinja_append(struct jinja_compiler *c, struct jinja_list *list,
                  struct jinja_node *node);
/* Counts the depth of a finished node; null if it is too deep, or `node` is null. */
struct jinja_node *jinja_finish(struct jinja_compiler *c, struct jinja_node *node);
const struct jinja_token *jinja_peek(const struct jinja_compiler *c, size_t ahead);
bool jinja_is_op(const struct jinja_compiler *c, const char *op);
bool jinja_is_name(const struct jinja_compiler *c, const char *name);
bool jinja_skip_op(struct jinja_compiler *c, const char *op);
bool jinja_skip_name(struct jinja_compiler *c, const char *name);
bool jinja_expect_op(struct jinja_compiler *c, const char *op);
const struct jinja_text *jinja_expect_any_name(struct jinja_compiler *c);
const char *jinja_token_words(const struct jinja_token *token, char room[80]);
struct jinja_node *jinja_expression(struct jinja_compiler *c, bool with_condition);
struct jinja_node *jinja_primary(struct jinja_compiler *c, bool with_namespace);
/* Expressions with commas; `end` is a name that ends them, or NULL. */
struct jinja_node *jinja_tuple(struct jinja_compiler *c, bool with_condition,
                               const char *end, bool in_parentheses);
struct jinja_node *jinja_target(struct jinja_compiler *c, bool with_namespace,
                                const char *end);
struct jinja_node *jinja_filter_chain(struct jinja_compiler *c, struct jinja_node *left,
                                      bool at_name);

#endif

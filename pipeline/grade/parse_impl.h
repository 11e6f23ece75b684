/* pipeline/grade/parse_impl.h
 * Shared by parse.c (tokens) and parse_stack.c (operators, brackets, nodes). */
#ifndef PIPELINE_GRADE_PARSE_IMPL_H
#define PIPELINE_GRADE_PARSE_IMPL_H

#include "pipeline/grade/lex.h"
#include "pipeline/grade/tree.h"

#include <assert.h>
enum { STACK_MAX = 400, OPERANDS_MAX = 2048 };

enum entry_kind {
    /* operators */
    E_ADD, /* op 1: subtract, 2: plus-minus, 3: minus-plus */
    E_MUL, /* op 1: implicit */
    E_DIV,
    E_MIXED, /* a whole number and a fraction after it */
    E_RATIO,
    E_SETOP,
    E_INFIX, /* op 1: a binomial coefficient */
    E_REL,
    E_NEG, /* prefixes from here */
    E_PM,
    E_CURRENCY,
    E_FUNC, /* op: enum function; F_COUNT: name */
    E_BIG,
    /* frames */
    E_ROOT,
    E_BRACE,
    E_PAREN,
    E_SET,
    E_BARS,
    E_FLOOR,
    E_CEIL,
    E_MATRIX,
    E_INDEX, /* of a root */
    /* frames that wait for arguments; their operands are in braces or one token */
    E_FRAC,
    E_BINOM,
    E_SQRT,
    E_ACCENT,
    E_POW, /* the base is the operand before */
    E_SUB,
    E_FUNC_POW, /* of the function below on the stack */
    E_FUNC_SUB,
};

enum precedence {
    P_NONE = 0,
    P_INFIX = 2,
    P_REL = 6,
    P_SETOP = 8,
    P_RATIO = 9,
    P_ADD = 10,
    P_BIG = 11,
    P_MUL = 12,
    P_FUNC = 14,
    P_ARGUMENT = 16,
    P_MIXED = 18
};

struct entry {
    uint8_t kind, op, precedence;
    uint8_t needed, got;     /* arguments */
    bool tight;              /* a prefix that takes one operand at once */
    bool left_open, builder; /* of a bracket */
    uint8_t separators;      /* bits of enum separator */
    uint32_t base, row;      /* operands below it; below its last row */
    uint32_t exponent, sub;  /* of a function, or the index of a root */
    uint32_t from;           /* in the text */
    uint64_t name;
};

struct parser {
    struct tree *t;
    struct lexer lex;
    bool radians; /* a degree sign outside of functions is pi/180 */
    struct entry stack[STACK_MAX];
    uint32_t depth;
    uint32_t operands[OPERANDS_MAX];
    uint32_t operand_count;
    bool have; /* the last thing was an operand */
    bool bad;  /* something did not fit */
    struct token held;
    bool holding;
};

static inline struct entry *top(struct parser *p)
{
    assert(p->depth > 0); /* the frame around all is never closed */
    return &p->stack[p->depth - 1];
}
static inline bool is_frame(const struct entry *e)
{
    return e->kind >= E_ROOT;
}
static inline bool waits(const struct entry *e)
{
    return e->kind >= E_FRAC;
}

void grade_push_entry(struct parser *p, struct entry e);
void grade_push_operand(struct parser *p, uint32_t node);
uint32_t grade_pop_operand(struct parser *p);
/* Applies operators of at least this precedence, down to the nearest frame. */
void grade_reduce(struct parser *p, uint8_t precedence);
/* An operand came to be: arguments, tight prefixes and functions take it. */
void grade_complete(struct parser *p, uint32_t node);
/* The nearest frame that is not one that waits. */
struct entry *grade_frame(struct parser *p);
/* A separator or row end within the nearest frame. */
void grade_end_item(struct parser *p, enum separator separator);
void grade_end_row(struct parser *p);
/* Closes the nearest frame; its node, TREE_NONE for nothing. */
uint32_t grade_close_frame(struct parser *p, bool right_open);

uint32_t grade_leaf(struct parser *p, uint8_t kind, uint8_t op, uint64_t name,
                    uint32_t from, uint32_t to);
uint32_t grade_node1(struct parser *p, uint8_t kind, uint8_t op, uint32_t a);
uint32_t grade_node2(struct parser *p, uint8_t kind, uint8_t op, uint32_t a, uint32_t b);

/* parse.c */
void grade_push(struct parser *p, uint8_t kind, uint8_t op, uint8_t precedence);
/* Two operands side by side, the second of which a token of this kind begins. */
void grade_juxtapose(struct parser *p, uint8_t kind);
void grade_on_colon(struct parser *p, struct token t);
/* parse_bracket.c */
void grade_on_bracket(struct parser *p, struct token t);
void grade_on_bar(struct parser *p, struct token t);
void grade_on_begin(struct parser *p, struct token t);
void grade_on_finish(struct parser *p, struct token t);
void grade_on_separator(struct parser *p, struct token t);
void grade_on_row(struct parser *p, struct token t);
void grade_on_column(struct parser *p, struct token t);
/* parse_number.c */
uint32_t grade_number_node(struct parser *p, struct token t);
/* Words of a number from `first` on: false if it is none. */
bool grade_number_words(struct parser *p, struct token first, uint32_t *out);
uint32_t grade_small_number(struct parser *p, int64_t value, uint32_t from, uint32_t to);
/* matrix.c; TREE_NONE: not for small matrices of numbers */
uint32_t grade_matrix_product(struct parser *p, uint32_t a, uint32_t b);
uint32_t grade_matrix_power(struct parser *p, uint32_t a, uint32_t exponent);
bool grade_is_transpose(const struct parser *p, uint32_t exponent); /* the letter T */
uint32_t grade_matrix_determinant(struct parser *p, uint32_t a);
/* parse_words.c */
void grade_unit_phrase(struct parser *p, struct token first);
void grade_text_phrase(struct parser *p, struct token first);
struct token grade_next_token(struct parser *p);
void grade_hold_token(struct parser *p, struct token t);

#endif

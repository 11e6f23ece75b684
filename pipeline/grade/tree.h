/* pipeline/grade/tree.h
 * An answer as an array of nodes. Children stand before their parents, and a node's
 * descendants are the nodes from `start` to itself (with some that are no longer used), so
 * that every evaluation is one loop and nothing recurses. Subtrees of rational numbers are
 * folded while they are built. */
#ifndef PIPELINE_GRADE_TREE_H
#define PIPELINE_GRADE_TREE_H

#include "pipeline/grade/flint.h"

#include <stdbool.h>
#include <stdint.h>

enum { TREE_NODES_MAX = 4096, TREE_BITS_MAX = 100000, TREE_TEXT_MAX = 1 << 18 };
#define TREE_NONE UINT32_MAX

enum node_kind {
    N_NUMBER,   /* value */
    N_SYMBOL,   /* name */
    N_CONST,    /* op: enum constant */
    N_ADD,      /* two children, as all of these but: */
    N_NEG,      /* one */
    N_PM,       /* one, plus or minus; op 1: minus or plus */
    N_MUL,      /* two */
    N_DIV,      /* two */
    N_POW,      /* two; roots are powers */
    N_CALL,     /* op: enum function; argument, for log with a base that too */
    N_OPAQUE,   /* a function that is not known: name, any number of arguments */
    N_PERCENT,  /* one */
    N_DEGREE,   /* one */
    N_UNIT,     /* one; name: sum of the units' hashes, 0 generic; op: enum unit_kind */
    N_BASED,    /* name of the digits; child: the base */
    N_RATIO,    /* two or more */
    N_LIST,     /* items without brackets; op: enum separator */
    N_TUPLE,    /* in round or square brackets; op: enum brackets */
    N_SET,      /* in curly brackets */
    N_MATRIX,   /* rows of N_LIST; op 1: determinant bars, 3: cases */
    N_RELATION, /* operands of a chain; ops: enum relation, four bits each, first lowest */
    N_SETOP,    /* two; op: enum set_operation */
    N_NAMED,    /* op: the letter of a set of numbers, 0: the empty set */
    N_TEXT,     /* words, [from, to) of the text */
    N_BAD,      /* what could not be read */
};

enum constant { C_PI, C_E, C_I, C_INFINITY };
enum separator { SEP_COMMA, SEP_SEMICOLON, SEP_AND, SEP_OR };
enum brackets { B_OPEN_LEFT = 1, B_OPEN_RIGHT = 2, B_SQUARE = 4 };
enum relation { R_EQ, R_NE, R_LT, R_LE, R_GT, R_GE, R_IN, R_APPROX, R_OTHER };
enum set_operation { S_UNION, S_INTERSECTION, S_MINUS };
enum unit_kind { UNIT_OTHER, UNIT_KNOWN, UNIT_SUBUNIT, UNIT_AM, UNIT_PM, UNIT_DEGREE };

enum function {
    F_SIN,
    F_COS,
    F_TAN,
    F_COT,
    F_SEC,
    F_CSC,
    F_ASIN,
    F_ACOS,
    F_ATAN,
    F_ACOT,
    F_ASEC,
    F_ACSC,
    F_SINH,
    F_COSH,
    F_TANH,
    F_EXP,
    F_LN,
    F_LOG,
    F_ABS,
    F_FLOOR,
    F_CEIL,
    F_FACTORIAL,
    F_BINOMIAL,
    F_MAX,
    F_MIN,
    F_GCD,
    F_LCM,
    F_MOD,
    F_MULTIFACTORIAL, /* of a, every second, third, ... factor */
    F_COUNT
};

enum node_flag {
    HAS_SYMBOL = 1,   /* a variable somewhere */
    HAS_FUNCTION = 2, /* something that is no rational function of symbols, pi, e, i */
    HAS_PM = 4,
    HAS_TEXT = 8,        /* words, or what could not be read */
    HAS_STRUCTURE = 16,  /* a list, tuple, set, relation, ... */
    HAS_ABS = 32,        /* signs of variables matter */
    HAS_OPAQUE = 64,     /* no numeric value can be given to it */
    IS_EXACT = 128,      /* value is its value */
    IS_DECIMAL = 256,    /* a decimal fraction as written; places */
    IS_BRACKETED = 512,  /* stood alone in round brackets */
    IS_STYLED = 1024,    /* in \text or the like */
    IS_DEGREES = 2048,   /* N_DEGREE within a trigonometric function */
    IS_UNREDUCED = 4096, /* a fraction as written that has a smaller form */
    HAS_DIVISION_BY_ZERO = 8192,
    HAS_INFINITY = 16384,
    FLAGS_UP = HAS_SYMBOL | HAS_FUNCTION | HAS_PM | HAS_TEXT | HAS_STRUCTURE | HAS_ABS |
               HAS_OPAQUE | HAS_DIVISION_BY_ZERO | HAS_INFINITY
};

struct node {
    uint8_t kind, op;
    uint16_t flags;
    uint16_t places; /* decimal places as written */
    uint32_t count;  /* children */
    uint32_t start, first, next;
    uint32_t from, to; /* where it stands in the text */
    uint64_t name;     /* hash; for N_RELATION the operators */
    fmpq value;
};

struct tree {
    struct node nodes[TREE_NODES_MAX];
    uint32_t count, root;
    bool full;    /* nodes ran out or a bound was met: root is what there is */
    bool grouped; /* a number was written with commas between thousands */
    bool comma;   /* a comma between digits separates */
    bool spaced;  /* a number was written with spaces between thousands */
    char text[TREE_TEXT_MAX];
    uint32_t size;
};

/* Appends a node over the children (which become linked); folds. TREE_NONE children are
 * left out. When nodes run out, `full` is set and the last node is returned. */
uint32_t grade_tree_node(struct tree *t, uint8_t kind, uint8_t op, uint64_t name,
                         const uint32_t *children, uint32_t count);
static inline uint32_t tree_child(const struct tree *t, uint32_t node, uint32_t i)
{
    uint32_t child = t->nodes[node].first;
    while (i-- && child != TREE_NONE)
        child = t->nodes[child].next;
    return child;
}
void grade_tree_reset(struct tree *t); /* gives numbers back */

/* Folding, fold.c: the value of a node over children with values. False: not a rational,
 * or too large. */
bool grade_tree_fold(const struct tree *t, const struct node *n, fmpq_t value);

/* FNV-1a of bytes, and a mixing of two hashes. */
uint64_t grade_hash_bytes(const char *text, uint32_t size);
uint64_t grade_digits_hash(const char *text,
                           uint32_t size); /* of the digits and point in it */
static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
    uint64_t x = a ^ (b + 0x9e3779b97f4a7c15u + (a << 6) + (a >> 2));
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

#endif

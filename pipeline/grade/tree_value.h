/* pipeline/grade/tree_value.h
 * Values of nodes: in two prime fields with everything that is no rational function left
 * uninterpreted, and in complex balls. */
#ifndef PIPELINE_GRADE_TREE_VALUE_H
#define PIPELINE_GRADE_TREE_VALUE_H

#include "pipeline/grade/tree.h"
#include "runtime/base/rt.h"

#include <assert.h>
/* A node of a tree; sign is what its plus-minus signs stand for: 1, -1, 0 where it has
 * none. */
struct item {
    const struct tree *t;
    uint32_t node;
    int sign;
};

static inline const struct node *item_node(struct item a)
{
    assert(a.node < a.t->count);
    return &a.t->nodes[a.node];
}
static inline struct item item_child(struct item a, uint32_t i)
{
    return (struct item){ a.t, tree_child(a.t, a.node, i), a.sign };
}

struct evaluator; /* workspace */

struct evaluator *grade_evaluator_create(struct rt_ctx *ctx);
void grade_evaluator_destroy(struct evaluator **evaluator);
/* Work that may be done from now on, in units of about 10 ns: a count and no clock, so that
 * a verdict does not depend on what else the machine does. */
void grade_evaluator_allow(struct evaluator *e, int64_t units);
void grade_evaluator_spend(struct evaluator *e, int64_t units);
bool grade_evaluator_spent(const struct evaluator *e); /* nothing is left */

void grade_evaluator_primes(const struct evaluator *e, uint64_t primes[2]);

/* ---- two prime fields: residue.c ---- */
struct residue {
    uint64_t value[2];
    bool valid; /* no division by zero, no words */
};
struct residue grade_residue_of(struct evaluator *e, struct item a);
/* The product of the divisors in an expression: what makes a polynomial of it. */
struct residue grade_residue_denominator(struct evaluator *e, struct item a);
static inline bool residue_equal(struct residue a, struct residue b)
{
    return a.valid && b.valid && a.value[0] == b.value[0] && a.value[1] == b.value[1];
}

/* ---- balls: ball.c ---- */
/* The value at `point` (variables are rational numbers drawn by name and point; those of
 * odd points are negative if `signs`). False: too large, late, or it has no value. */
bool grade_ball_of(struct evaluator *e, struct item a, uint32_t point, bool signs,
                   slong bits, acb_t out);

/* ---- separation bound: separation.c ---- */
/* Bits b such that a - b is zero or at least 2^-b in absolute value, for constants made of
 * rational numbers, roots, i, and trigonometric functions of rational multiples of pi;
 * negative: none is known. */
double grade_separation_bits(struct evaluator *e, struct item a, struct item b);

/* ---- both: identity.c ---- */
/* Whether two expressions are equal (enum pipe_verdict), and how that was settled. */
int grade_identity(struct evaluator *e, struct item a, struct item b, const char **rule);
/* Compares two real constants: -1, 0, 1; 2: it cannot be told. */
int grade_constant_compare(struct evaluator *e, struct item a, struct item b);
/* The same of a and -b. */
int grade_constant_compare_negative(struct evaluator *e, struct item a, struct item b);
/* -1 or 1 for minus or plus infinity, else 0. */
int grade_infinity_sign(struct item a);

#endif

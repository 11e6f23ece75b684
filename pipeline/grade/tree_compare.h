/* pipeline/grade/tree_compare.h
 * Equality of two trees by what they are: collections, relations, sets of real numbers,
 * quantities, expressions. */
#ifndef PIPELINE_GRADE_TREE_COMPARE_H
#define PIPELINE_GRADE_TREE_COMPARE_H

#include "pipeline/grade/tree_value.h"
#include "pipeline/grade/grade.h"

#include <assert.h>
enum { COMPARE_DEPTH_MAX = 8, ITEMS_MAX = 64 };

struct line;
struct line *grade_line_create(struct rt_ctx *ctx); /* null without memory; rt_free */

struct comparer {
    struct evaluator *e;
    const struct pipe_policies *policies; /* borrowed */
    int places;                           /* of pipe_grader_answers */
    bool prose;                           /* any left side names what follows */
    struct line *line;                    /* workspace of real_set.c */
    const char *rule;                     /* what decided last */
    uint32_t depth;                       /* of collections within collections, bounded */
};

static inline bool policy(const struct comparer *c, enum pipe_policy which)
{
    assert(which < PIPE_POLICY_COUNT);
    return !c->policies->off[which];
}

/* Each returns an enum pipe_verdict. gold first: rounding is not symmetric. */
int grade_compare(struct comparer *c, struct item gold, struct item pred);

/* collection.c: lists, sets, tuples, matrices, assignments. -1: not for this. */
int grade_compare_collections(struct comparer *c, struct item gold, struct item pred);
/* Whether x = ..., f(x) = ..., P(A) = ... name what follows. */
bool grade_is_name(struct item a);

/* unit_measure.c: numbers with several units in a row, and cents against dollars. -1: not for
 * this. */
int grade_compare_measures(struct comparer *c, struct item gold, struct item pred);

/* progression.c: lists with dots. -1: neither has them, or the items alone decide. */
int grade_compare_progressions(struct comparer *c, struct item gold, struct item pred);

/* relation.c. -1: neither is a relation. */
int grade_compare_relations(struct comparer *c, struct item gold, struct item pred);
static inline unsigned relation_op(const struct node *n, uint32_t i)
{
    return (unsigned)(n->name >> (4 * i)) & 15u;
}
/* A chain of equalities: what it says of its first operand. False: no such chain. */
bool grade_relation_value(struct item a, struct item *name, struct item *value);

/* real_set.c. -1: one of them is no set of real numbers. */
int grade_compare_sets(struct comparer *c, struct item gold, struct item pred);

/* quantity.c: numbers, units, percent, ratios, times, expressions. */
int grade_compare_quantities(struct comparer *c, struct item gold, struct item pred);

#endif

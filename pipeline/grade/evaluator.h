/* pipeline/grade/evaluator.h
 * The workspace of tree_value.h, for its own files. */
#ifndef PIPELINE_GRADE_EVALUATOR_H
#define PIPELINE_GRADE_EVALUATOR_H

#include "pipeline/grade/tree_value.h"
#include "pipeline/grade/grade.h"

#include <flint/nmod_vec.h>

enum { SEPARATION_RADICALS_MAX = 64 };

struct field {
    nmod_t mod;
    uint64_t i; /* a square root of -1 */
    uint64_t seed;
};

struct bound { /* logarithms to the base 2; Burnikel et al. */
    double upper, lower;
    bool known;
};

struct evaluator {
    struct field fields[2];
    int64_t units; /* of work that are left */
    bool needed[TREE_NODES_MAX];
    uint64_t residues[2][TREE_NODES_MAX];
    uint64_t under[TREE_NODES_MAX];
    struct bound bounds[TREE_NODES_MAX];
    struct turn {
        int64_t over, under;
    } turns[TREE_NODES_MAX]; /* multiples of pi; under 0: none */
    acb_ptr balls;           /* TREE_NODES_MAX */
    uint32_t balls_used;
    slong balls_bits; /* the most that was asked for */
};

enum { RESIDUE_NONE_BIT = 63 };
#define RESIDUE_NONE (UINT64_C(1) << RESIDUE_NONE_BIT)

/* Marks what the node is made of in e->needed[start .. node]. */
void grade_mark_needed(struct evaluator *e, struct item a);

#endif

/* runtime/op/op_row.h
 * What is known of each op apart from its kernels: one row per op, defined in the file of
 * its family (op_matmul.c, op_attention.c, ...). The functions of a row are pure, and
 * `push` points to the op's parameters, struct <op>_push of shaders/push.h. */
#ifndef RUNTIME_OP_OP_ROW_H
#define RUNTIME_OP_OP_ROW_H

#include "runtime/op/op_cases.h"

/* What a call asks of the kernel that runs it. */
struct rt_op_needs {
    uint32_t head;    /* head size that kernels are specialized for; 0: none */
    uint32_t sharing; /* attention: heads that share a head of keys */
    uint32_t page;    /* attention: keys of a page of the cache; 0: one after the other */
    uint32_t columns; /* of a row that one invocation would walk alone; 0: no such walk */
    uint32_t halves;  /* bit i: binding i holds halves and kernels read it as such */
    uint32_t chains;  /* peak_fma: vec4 that an invocation carries at once */
    bool own;         /* unpack: of the forms that have a separate kernel */
    bool storage_only; /* no operand may be read by texel buffer */
};

/* A matmul-like op for the choice of a tile: rows x lane steps. */
struct rt_op_shape {
    uint32_t rows;              /* along TU */
    uint32_t lanes;             /* along WIDTH x TL, in lane steps */
    uint32_t columns;           /* of the result in one lane step */
    bool exact;                 /* lanes must be a multiple of WIDTH x TL */
    bool groups;                /* kernels must know of groups of 16 codes */
    uint32_t bits, form, group; /* of the weight; 0: there is none */
    uint32_t flags;             /* that kernels are specialized for */
};

/* How a kernel walks its operands, as far as the rounds of its loops depend on it. */
struct rt_op_walk {
    bool lanes;                         /* of the lanes family */
    bool rounded;                       /* rounds the operands of products */
    uint32_t storage;                   /* bit i: binding i is read by storage */
    uint64_t bytes[RT_OP_BINDINGS_MAX]; /* of the bindings */
};

/* |got - wanted| <= relative |wanted| + of_row (greatest finite |wanted| of the row). The
 * first covers rounding of the result and the device's exp and log, the second sums,
 * whose terms may cancel. */
struct rt_op_tolerance {
    double relative, of_row;
};

struct rt_op_row {
    /* As rt_op_cost_of says. NULL: next to nothing. */
    struct rt_op_cost (*cost)(const void *push, double context);

    /* Exactly one of these two. Items: of ops whose kernels serve one per invocation or per
     * workgroup. Shape: of matmul-like ops, whose kernels compute tiles. */
    uint64_t (*items)(const void *push);
    struct rt_op_shape (*shape)(const void *push);

    /* Adds to `needs`, which is all 0. NULL: nothing. */
    void (*needs)(const void *push, struct rt_op_needs *needs);
    /* The most rounds of loops that an invocation takes, as far as parameters tell.
     * NULL or 0: the kernel's own constants or the caller bound them. */
    uint64_t (*rounds)(const void *push, const struct rt_op_walk *walk);

    /* Matmul-like ops only. The class of shapes that share a measurement of kernels, as
     * one word of text; and the same op, smaller, with what kernels are compiled for. */
    void (*class_key)(const void *push, char *key, size_t size);
    void (*shrink)(union rt_op_push *push);

    /* Fills operand[] of a case from its parameters and length. */
    void (*operands)(struct rt_op_case *c);
    uint32_t filled; /* the operand that a case's own fill replaces */
    /* Writes an operand of RT_FILL_META: 4 words per row. NULL: the op has none. */
    void (*meta)(const struct rt_op_case *c, uint32_t *words);
    /* As rt_op_case_keys says. NULL: 0. */
    double (*keys)(const struct rt_op_case *c);

    /* Of a comparison with the twin; the reasons are in docs/numerics.md. */
    struct rt_op_tolerance tolerance;
    /* Widens it where the magnitudes of a case decide. NULL: they do not. */
    void (*widen)(const struct rt_op_case *c, struct rt_op_tolerance *tolerance);
};

#define OP(name, bindings) extern const struct rt_op_row rt_op_row_##name;
#include "shaders/ops.def"
#undef OP

extern const struct rt_op_row *const rt_op_rows[RT_OP_COUNT];

struct rt_op_needs rt_op_needs_of(enum rt_op op, const void *push);
uint64_t rt_op_rounds_of(enum rt_op op, const void *push, const struct rt_op_walk *walk);

/* Of `count` elements: FLOPs each, and words of 4 bytes read and written each. */
struct rt_op_cost rt_op_cost_each(double count, double flops, double words);

#endif

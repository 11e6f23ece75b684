/* runtime/op/op.h
 * Ops by number and name, expanded from shaders/ops.def, and what each costs. */
#ifndef RUNTIME_OP_OP_H
#define RUNTIME_OP_OP_H

#include "runtime/base/rt.h"
#include "shaders/push.h"

/* A flag of matmul_push that no kernel sees: what the rows are for allows that operands are
 * rounded to halves (docs/numerics.md: roles). Whether they are is the plan's choice. */
#define RT_MATMUL_MAY_ROUND 0x100u

enum rt_op {
#define OP(name, bindings) RT_OP_##name,
#include "shaders/ops.def"
#undef OP
    RT_OP_COUNT
};

#define OP(name, bindings)                            \
    _Static_assert(sizeof(struct name##_push) <= 128, \
                   #name ": more push bytes than every device grants");
#include "shaders/ops.def"
#undef OP

enum { RT_OP_BINDINGS_MAX = 8 };

/* Layout rules of row buffers, see shaders/push.h. */
enum { RT_ROW_PAD = 64, RT_COL_PAD = 128 };

/* One row of the op table. */
struct rt_op_info {
    const char *name;
    const char *bindings; /* a letter per binding: r read, w written, m both */
    uint32_t binding_count;
    uint32_t push_bytes;
};

extern const struct rt_op_info rt_op_table[RT_OP_COUNT];

/* What one call of an op computes and moves, from its parameters alone:
 * multiply-adds count 2 FLOPs; bytes are the compulsory traffic, each operand
 * once. For attention the mean context is not known here: rows are charged
 * `context` keys each. */
struct rt_op_cost {
    double flops;
    double bytes;
};

struct rt_op_cost rt_op_cost_of(enum rt_op op, const void *push, double context);

#endif

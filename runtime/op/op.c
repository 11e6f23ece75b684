/* runtime/op/op.c
 * The tables of ops, expanded from shaders/ops.def, and the calls that read a row. */
#include "runtime/op/op_row.h"

const struct rt_op_info rt_op_table[RT_OP_COUNT] = {
#define OP(name, bindings) \
    { #name, bindings, sizeof(bindings) - 1, sizeof(struct name##_push) },
#include "shaders/ops.def"
#undef OP
};

const struct rt_op_row *const rt_op_rows[RT_OP_COUNT] = {
#define OP(name, bindings) &rt_op_row_##name,
#include "shaders/ops.def"
#undef OP
};

struct rt_op_cost rt_op_cost_each(double count, double flops, double words)
{
    return (struct rt_op_cost){ .flops = count * flops, .bytes = count * words * 4 };
}

struct rt_op_cost rt_op_cost_of(enum rt_op op, const void *push, double context)
{
    const struct rt_op_row *row = rt_op_rows[op];
    return row->cost ? row->cost(push, context) : (struct rt_op_cost){ 1, 4 };
}

struct rt_op_needs rt_op_needs_of(enum rt_op op, const void *push)
{
    struct rt_op_needs needs = { 0 };
    if (rt_op_rows[op]->needs)
        rt_op_rows[op]->needs(push, &needs);
    return needs;
}

uint64_t rt_op_rounds_of(enum rt_op op, const void *push, const struct rt_op_walk *walk)
{
    const struct rt_op_row *row = rt_op_rows[op];
    return row->rounds ? row->rounds(push, walk) : 0;
}

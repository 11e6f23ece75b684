/* runtime/op/op_norm.c
 * Norms of rows or of the heads of rows: rmsnorm and rmsnorm_back. */
#include "runtime/op/op_operand.h"
#include "runtime/op/op_row.h"

static struct rt_op_cost norm_cost(const void *push, double context)
{
    const struct rmsnorm_push *p = push;
    (void)context;
    return rt_op_cost_each((double)p->rows * p->cols * p->heads, 4, 3);
}

static uint64_t norm_items(const void *push)
{
    const struct rmsnorm_push *p = push;
    return (uint64_t)p->rows * p->heads;
}

static void norm_operands(struct rt_op_case *c)
{
    const struct rmsnorm_push *p = &c->push.rmsnorm;
    c->operand[0] = rt_operand_rows(p->rows, p->ldx, RT_FILL_UNIT);
    c->operand[1] = rt_operand_plain(p->cols, RT_FILL_UNIT);
    c->operand[2] = rt_operand_rows(p->rows, p->ldy, RT_FILL_UNIT);
}

const struct rt_op_row rt_op_row_rmsnorm = {
    .cost = norm_cost,
    .items = norm_items,
    .operands = norm_operands,
    .tolerance = { .relative = 2e-6 },
};

static struct rt_op_cost back_cost(const void *push, double context)
{
    const struct rmsnorm_back_push *p = push;
    (void)context;
    return rt_op_cost_each((double)p->rows * p->cols * p->heads, 10, 5);
}

static uint64_t back_items(const void *push)
{
    const struct rmsnorm_back_push *p = push;
    return (uint64_t)p->rows * p->heads;
}

static void back_operands(struct rt_op_case *c)
{
    const struct rmsnorm_back_push *p = &c->push.rmsnorm_back;
    c->operand[0] = rt_operand_rows(p->rows, p->ldx, RT_FILL_UNIT);
    c->operand[1] = rt_operand_plain(p->cols, RT_FILL_UNIT);
    c->operand[2] = rt_operand_rows(p->rows, p->lddy, RT_FILL_UNIT);
    c->operand[3] = rt_operand_rows(p->rows, p->lddx, RT_FILL_UNIT);
}

const struct rt_op_row rt_op_row_rmsnorm_back = {
    .cost = back_cost,
    .items = back_items,
    .operands = back_operands,
    .tolerance = { .relative = 2e-6, .of_row = 2e-6 },
};

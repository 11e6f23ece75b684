/* runtime/op/op_elementwise.c
 * Ops that compute or move element by element: swiglu, swiglu_back, add, gather, columns. */
#include "runtime/op/op_operand.h"
#include "runtime/op/op_row.h"

/* Items of kernels that take four columns of a row at once. */
static uint64_t vectors(uint32_t rows, uint32_t cols)
{
    return (uint64_t)rows * (cols / 4);
}

/* ---- swiglu ---- */

static struct rt_op_cost swiglu_cost(const void *push, double context)
{
    const struct swiglu_push *p = push;
    (void)context;
    return rt_op_cost_each((double)p->rows * p->cols, 8, 3);
}

static uint64_t swiglu_items(const void *push)
{
    const struct swiglu_push *p = push;
    return vectors(p->rows, p->cols);
}

static void swiglu_operands(struct rt_op_case *c)
{
    const struct swiglu_push *p = &c->push.swiglu;
    c->operand[0] = rt_operand_rows(p->rows, p->ldx, RT_FILL_LOGITS);
    c->operand[1] = rt_operand_rows(p->rows, p->ldh, RT_FILL_UNIT);
}

const struct rt_op_row rt_op_row_swiglu = {
    .cost = swiglu_cost,
    .items = swiglu_items,
    .operands = swiglu_operands,
    .tolerance = { .relative = 5e-6 },
};

static struct rt_op_cost swiglu_back_cost(const void *push, double context)
{
    const struct swiglu_back_push *p = push;
    (void)context;
    return rt_op_cost_each((double)p->rows * p->cols, 15, 5);
}

static uint64_t swiglu_back_items(const void *push)
{
    const struct swiglu_back_push *p = push;
    return vectors(p->rows, p->cols);
}

static void swiglu_back_operands(struct rt_op_case *c)
{
    const struct swiglu_back_push *p = &c->push.swiglu_back;
    c->operand[0] = rt_operand_rows(p->rows, p->ldx, RT_FILL_LOGITS);
    c->operand[1] = rt_operand_rows(p->rows, p->lddh, RT_FILL_UNIT);
    c->operand[2] = rt_operand_rows(p->rows, p->lddx, RT_FILL_UNIT);
}

const struct rt_op_row rt_op_row_swiglu_back = {
    .cost = swiglu_back_cost,
    .items = swiglu_back_items,
    .operands = swiglu_back_operands,
    .tolerance = { .relative = 5e-6, .of_row = 1e-6 },
};

/* ---- add ---- */

static struct rt_op_cost add_cost(const void *push, double context)
{
    (void)context;
    return rt_op_cost_each(((const struct add_push *)push)->count, 2, 3);
}

static uint64_t add_items(const void *push)
{
    return ((const struct add_push *)push)->count / 4;
}

static void add_operands(struct rt_op_case *c)
{
    c->operand[0] = c->operand[1] = rt_operand_plain(c->push.add.count, RT_FILL_UNIT);
}

const struct rt_op_row rt_op_row_add = {
    .cost = add_cost,
    .items = add_items,
    .operands = add_operands,
    .tolerance = { .relative = 2e-7, .of_row = 2e-7 },
};

/* ---- gather ---- */

static struct rt_op_cost gather_cost(const void *push, double context)
{
    const struct gather_push *p = push;
    (void)context;
    return rt_op_cost_each((double)p->rows * p->cols, 0, 2);
}

static uint64_t gather_items(const void *push)
{
    const struct gather_push *p = push;
    return vectors(p->rows, p->cols);
}

static void gather_operands(struct rt_op_case *c)
{
    const struct gather_push *p = &c->push.gather;
    c->operand[0] = rt_operand_plain(p->rows, RT_FILL_IDS);
    c->operand[0].arg = 62; /* rows 0 .. 62 of a buffer of 64 */
    c->operand[1] = rt_operand_rows(64, p->ldx, RT_FILL_UNIT);
    c->operand[2] = rt_operand_rows(p->rows, p->ldy, RT_FILL_UNIT);
}

const struct rt_op_row rt_op_row_gather = {
    .cost = gather_cost,
    .items = gather_items,
    .operands = gather_operands,
};

/* ---- columns ---- */

static struct rt_op_cost columns_cost(const void *push, double context)
{
    const struct columns_push *p = push;
    (void)context;
    return rt_op_cost_each((double)p->rows * p->cols, 0, p->accumulate ? 4 : 3);
}

static uint64_t columns_items(const void *push)
{
    const struct columns_push *p = push;
    return vectors(p->rows, p->cols);
}

static void columns_operands(struct rt_op_case *c)
{
    const struct columns_push *p = &c->push.columns;
    c->operand[0] = rt_operand_plain(p->cols, RT_FILL_IDS);
    c->operand[0].arg = p->ldx - p->offx - 1;
    c->operand[1] = rt_operand_rows(p->rows, p->ldx, RT_FILL_UNIT);
    c->operand[2] = rt_operand_rows(p->rows, p->ldy, RT_FILL_UNIT);
}

const struct rt_op_row rt_op_row_columns = {
    .cost = columns_cost,
    .items = columns_items,
    .operands = columns_operands,
};

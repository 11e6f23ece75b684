/* runtime/op/op_peak.c
 * Ops that measure the limits of a device: peak_fma, peak_copy, peak_read. */
#include "runtime/op/op_operand.h"
#include "runtime/op/op_row.h"

/* ---- peak_fma ---- */

static struct rt_op_cost fma_cost(const void *push, double context)
{
    const struct peak_fma_push *p = push;
    (void)context;
    return rt_op_cost_each(p->count, 2.0 * p->steps, 2);
}

static uint64_t fma_items(const void *push)
{
    return ((const struct peak_fma_push *)push)->count / 4;
}

static void fma_needs(const void *push, struct rt_op_needs *needs)
{
    needs->chains = ((const struct peak_fma_push *)push)->chains;
}

static void fma_operands(struct rt_op_case *c)
{
    c->operand[0] = rt_operand_plain(c->push.peak_fma.count, RT_FILL_UNIT);
    c->operand[1] = rt_operand_plain(c->push.peak_fma.count, RT_FILL_ZERO);
}

const struct rt_op_row rt_op_row_peak_fma = {
    .cost = fma_cost,
    .items = fma_items,
    .needs = fma_needs,
    .operands = fma_operands,
    /* Each of some hundred steps rounds, and keeps nearly all of the errors before. */
    .tolerance = { .of_row = 4e-5 },
};

/* ---- peak_copy ---- */

static struct rt_op_cost copy_cost(const void *push, double context)
{
    (void)context;
    return rt_op_cost_each(((const struct peak_copy_push *)push)->count, 0, 2);
}

static uint64_t copy_items(const void *push)
{
    return ((const struct peak_copy_push *)push)->count / 4;
}

static void copy_needs(const void *push, struct rt_op_needs *needs)
{
    needs->storage_only = ((const struct peak_copy_push *)push)->texel == 0;
}

static void copy_operands(struct rt_op_case *c)
{
    c->operand[0] = rt_operand_plain(c->push.peak_copy.count, RT_FILL_UNIT);
    c->operand[1] = rt_operand_plain(c->push.peak_copy.count, RT_FILL_ZERO);
}

const struct rt_op_row rt_op_row_peak_copy = {
    .cost = copy_cost,
    .items = copy_items,
    .needs = copy_needs,
    .operands = copy_operands,
};

/* ---- peak_read ---- */

static struct rt_op_cost read_cost(const void *push, double context)
{
    const struct peak_read_push *p = push;
    const double columns = (double)p->blocks * PEAK_COLUMNS;
    (void)context;
    return (struct rt_op_cost){ columns * p->rows, 4 * columns * (p->rows + 1.0) };
}

static uint64_t read_items(const void *push)
{
    return (uint64_t)((const struct peak_read_push *)push)->blocks * (PEAK_COLUMNS / 4);
}

static void read_needs(const void *push, struct rt_op_needs *needs)
{
    needs->storage_only = ((const struct peak_read_push *)push)->texel == 0;
}

static void read_operands(struct rt_op_case *c)
{
    const struct peak_read_push *p = &c->push.peak_read;
    const uint64_t columns = (uint64_t)p->blocks * PEAK_COLUMNS;
    c->operand[0] = rt_operand_plain(columns * p->rows, RT_FILL_UNIT);
    c->operand[1] = rt_operand_plain(columns, RT_FILL_ZERO);
}

const struct rt_op_row rt_op_row_peak_read = {
    .cost = read_cost,
    .items = read_items,
    .needs = read_needs,
    .operands = read_operands,
    .tolerance = { .of_row = 1e-5 },
};

/* runtime/op/op_optim.c
 * Ops on the flat buffer of parameters: sumsq, clip, adamw. */
#include "runtime/op/op_operand.h"
#include "runtime/op/op_row.h"

/* ---- sumsq ---- */

enum { SUMSQ_BLOCK = 1024 }; /* floats per partial sum, see push.h */

static struct rt_op_cost sumsq_cost(const void *push, double context)
{
    (void)context;
    return rt_op_cost_each(((const struct sumsq_push *)push)->count, 2, 1);
}

static uint64_t sumsq_items(const void *push)
{
    return (((const struct sumsq_push *)push)->count + SUMSQ_BLOCK - 1) / SUMSQ_BLOCK;
}

static void sumsq_operands(struct rt_op_case *c)
{
    c->operand[0] = rt_operand_plain(c->push.sumsq.count, RT_FILL_UNIT);
    c->operand[1] = rt_operand_plain(sumsq_items(&c->push), RT_FILL_UNIT);
}

const struct rt_op_row rt_op_row_sumsq = {
    .cost = sumsq_cost,
    .items = sumsq_items,
    .operands = sumsq_operands,
    .tolerance = { .relative = 1e-5 },
};

/* ---- clip ---- */

static uint64_t clip_items(const void *push)
{
    (void)push;
    return 1;
}

static uint64_t clip_rounds(const void *push, const struct rt_op_walk *walk)
{
    (void)walk;
    return (uint64_t)((const struct clip_push *)push)->count + 1;
}

static void clip_operands(struct rt_op_case *c)
{
    c->operand[0] = rt_operand_plain(c->push.clip.count, RT_FILL_POSITIVE);
    c->operand[1] = rt_operand_plain(4, RT_FILL_ZERO);
}

const struct rt_op_row rt_op_row_clip = {
    .items = clip_items,
    .rounds = clip_rounds,
    .operands = clip_operands,
    .tolerance = { .relative = 2e-6 },
};

/* ---- adamw ---- */

static struct rt_op_cost adamw_cost(const void *push, double context)
{
    (void)context;
    return rt_op_cost_each(((const struct adamw_push *)push)->count, 14, 7);
}

static uint64_t adamw_items(const void *push)
{
    return ((const struct adamw_push *)push)->count / 4;
}

static void adamw_operands(struct rt_op_case *c)
{
    struct rt_op_operand *o = c->operand;
    const uint32_t count = c->push.adamw.count;
    o[0] = rt_operand_plain(8, RT_FILL_HYPER);
    o[1] = rt_operand_plain(4, RT_FILL_POSITIVE);
    o[2] = o[3] = o[4] = rt_operand_plain(count, RT_FILL_UNIT);
    o[5] = rt_operand_plain(count, RT_FILL_POSITIVE);
}

const struct rt_op_row rt_op_row_adamw = {
    .cost = adamw_cost,
    .items = adamw_items,
    .operands = adamw_operands,
    .filled = 2, /* the gradient */
    .tolerance = { .relative = 2e-6, .of_row = 2e-7 },
};

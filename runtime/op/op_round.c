/* runtime/op/op_round.c
 * The op that rounds a weight column after column: round_block. */
#include "runtime/op/op_operand.h"
#include "runtime/op/op_row.h"

static struct rt_op_cost round_block_cost(const void *push, double context)
{
    const struct round_block_push *p = push;
    const double weights = (double)p->rows * ROUND_BLOCK;
    (void)context;
    return (struct rt_op_cost){ weights * (ROUND_BLOCK + 12),
                                16 * weights + 4.0 * ROUND_BLOCK * ROUND_BLOCK };
}

static uint64_t round_block_items(const void *push)
{
    return ((const struct round_block_push *)push)->rows;
}

static void round_block_operands(struct rt_op_case *c)
{
    const struct round_block_push *p = &c->push.round_block;
    const uint64_t groups = (uint64_t)p->rows * p->groups;
    /* Larger factors would let errors grow from column to column. */
    c->operand[0] = rt_operand_plain(ROUND_BLOCK * ROUND_BLOCK, RT_FILL_SMALL);
    c->operand[1] = rt_operand_plain(ROUND_BLOCK, RT_FILL_IDS);
    c->operand[1].arg = p->groups - 1;
    c->operand[2] = rt_operand_plain(groups, RT_FILL_POSITIVE);
    c->operand[3] = rt_operand_plain(groups, RT_FILL_TIES);
    c->operand[4] = rt_operand_rows(p->rows, ROUND_BLOCK, RT_FILL_UNIT);
    c->operand[5] = rt_operand_rows(p->rows, p->ldw, RT_FILL_LOGITS);
    c->operand[6] = rt_operand_rows(p->rows, p->ldc, RT_FILL_WORDS);
    c->operand[6].content = RT_CONTENT_WORDS;
    c->operand[7] = rt_operand_rows(p->rows, 2, RT_FILL_UNIT);
}

const struct rt_op_row rt_op_row_round_block = {
    .cost = round_block_cost,
    .items = round_block_items,
    .operands = round_block_operands,
    .filled = 5,
    .tolerance = { .relative = 2e-6, .of_row = 2e-6 },
};

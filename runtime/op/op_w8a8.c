/* runtime/op/op_w8a8.c
 * Ops of weights and activations of 8 bits: quantize and matmul_w8a8. */
#include "runtime/op/op_operand.h"
#include "runtime/op/op_row.h"

#include <stdio.h>

enum { CODES = 16 /* of a texel */ };

/* ---- quantize ---- */

static struct rt_op_cost quantize_cost(const void *push, double context)
{
    const struct quantize_push *p = push;
    (void)context;
    return rt_op_cost_each((double)p->rows * p->cols, 30, 2.25);
}

static uint64_t quantize_items(const void *push)
{
    const struct quantize_push *p = push;
    return p->rows;
}

static uint64_t quantize_rounds(const void *push, const struct rt_op_walk *walk)
{
    const struct quantize_push *p = push;
    (void)walk;
    return 2ull * (p->cols / CODES) + 2;
}

static void quantize_operands(struct rt_op_case *c)
{
    const struct quantize_push *p = &c->push.quantize;
    c->operand[0] = rt_operand_rows(p->rows, p->ldx, RT_FILL_UNIT);
    c->operand[1] = rt_operand_plain(1, RT_FILL_POSITIVE);
    c->operand[2] = rt_operand_rows(p->rows, p->ldq, RT_FILL_WORDS);
    c->operand[2].content = RT_CONTENT_WORDS;
}

const struct rt_op_row rt_op_row_quantize = {
    .cost = quantize_cost,
    .items = quantize_items,
    .rounds = quantize_rounds,
    .operands = quantize_operands,
};

/* ---- matmul_w8a8 ---- */

static struct rt_op_cost product_cost(const void *push, double context)
{
    const struct matmul_w8a8_push *p = push;
    const double rows = p->rows, out = p->out_pad, in = p->in_pad;
    const double lora = p->flags & MATMUL_LORA ? p->rank : 0;
    (void)context;
    return (struct rt_op_cost){
        .flops = 2 * rows * out * (in + lora),
        .bytes = out * (in + 16) + rows * (in + 4 * out) + 4 * lora * (rows + out),
    };
}

static struct rt_op_shape product_shape(const void *push)
{
    const struct matmul_w8a8_push *p = push;
    return (struct rt_op_shape){
        .rows = p->rows,
        .lanes = p->out_pad,
        .columns = 1,
        .exact = true,
        .bits = 8,
        .form = p->form,
        .flags = p->flags,
    };
}

/* Two per texel: of floats staged in tiles, more. */
static uint64_t product_rounds(const void *push, const struct rt_op_walk *walk)
{
    const struct matmul_w8a8_push *p = push;
    const uint32_t each = walk->lanes ? 5 : 16;
    return (uint64_t)each * (p->in_pad / CODES + 1) + p->rank;
}

/* Rows as classes, so that neighbouring batch sizes share a measurement. */
static uint32_t row_class(uint32_t rows)
{
    uint32_t c = 1;
    while (c < rows && c < 64)
        c *= 2;
    return c;
}

static void product_key(const void *push, char *key, size_t size)
{
    const struct matmul_w8a8_push *p = push;
    snprintf(key, size, "w8a8:%u:%u:%u:%u:%u", p->form, row_class(p->rows), p->out_pad,
             p->in_pad, p->flags & MATMUL_LORA);
}

enum { SMALL_ROWS = 64, SMALL_OUTPUTS = 128, SMALL_INPUTS = 256 };

static void product_shrink(union rt_op_push *push)
{
    struct matmul_w8a8_push *p = &push->matmul_w8a8;
    p->rows = p->rows < SMALL_ROWS ? p->rows : SMALL_ROWS;
    p->out_pad = p->out_pad % SMALL_OUTPUTS ? RT_WEIGHT_OUT_PAD : SMALL_OUTPUTS;
    p->in_pad = p->in_pad < SMALL_INPUTS ? p->in_pad : SMALL_INPUTS;
    p->ldq = p->in_pad / 4 + 4;
    p->ldy = SMALL_OUTPUTS;
    p->offy = 0;
    p->part1 = p->part1 < p->out_pad ? p->part1 : p->out_pad;
    p->part2 = p->part2 < p->out_pad ? p->part2 : p->out_pad;
}

static void product_operands(struct rt_op_case *c)
{
    struct rt_op_operand *o = c->operand;
    const struct matmul_w8a8_push *p = &c->push.matmul_w8a8;
    const struct rt_weight_shape w = { .out = p->out_pad,
                                       .in = p->in_pad,
                                       .out_pad = p->out_pad,
                                       .in_pad = p->in_pad,
                                       .bits = 8,
                                       .form = p->form };
    rt_operand_weight(o, &w);
    o[2] = rt_operand_rows(p->rows, p->ldq, RT_FILL_QUANTIZED);
    o[2].arg = p->in_pad / 4;
    o[3] = rt_operand_rows(p->rows, p->ldu ? p->ldu : 128, RT_FILL_UNIT);
    o[4] = rt_operand_adapter(p->out_pad, p->rank);
    o[5] = rt_operand_plain(p->out_pad, RT_FILL_UNIT);
    o[6] = o[7] = rt_operand_rows(p->rows, p->ldy, RT_FILL_UNIT);
    if (p->flags & MATMUL_SUMS)
        o[7].content = RT_CONTENT_WORDS;
}

/* Sums of an adapter are sums of floats. */
static void product_widen(const struct rt_op_case *c, struct rt_op_tolerance *t)
{
    if (c->push.matmul_w8a8.flags & MATMUL_LORA)
        t->of_row = 2e-6;
}

const struct rt_op_row rt_op_row_matmul_w8a8 = {
    .cost = product_cost,
    .shape = product_shape,
    .rounds = product_rounds,
    .class_key = product_key,
    .shrink = product_shrink,
    .operands = product_operands,
    .tolerance = { .of_row = 0x1p-22 }, /* two units in the last place */
    .widen = product_widen,
};

/* runtime/op/op_matmul.c
 * Ops on weights and matrices: embed, unpack, pack, and the matmul-like ops matmul,
 * matmul_back, outer and scale_back. */
#include "runtime/op/op_operand.h"
#include "runtime/op/op_row.h"

#include <stdio.h>

/* The weight of any parameters that describe one. */
#define WEIGHT(p)                                                          \
    (struct rt_weight_shape)                                               \
    {                                                                      \
        .out_pad = (p)->out_pad, .in_pad = (p)->in_pad, .bits = (p)->bits, \
        .group = (p)->group, .form = (p)->form                             \
    }

static double weight_bytes(struct rt_weight_shape shape)
{
    return (double)rt_weight_bytes(&shape);
}

/* ---- embed ---- */

static struct rt_op_cost embed_cost(const void *push, double context)
{
    const struct embed_push *p = push;
    (void)context;
    return rt_op_cost_each((double)p->rows * p->cols, 1, 2);
}

static uint64_t embed_items(const void *push)
{
    const struct embed_push *p = push;
    return (uint64_t)p->rows * ((p->cols + 3) / 4);
}

static void embed_operands(struct rt_op_case *c)
{
    const struct embed_push *p = &c->push.embed;
    const struct rt_weight_shape part = {
        .out_pad = rt_round_up32(p->part, RT_WEIGHT_OUT_PAD),
        .in_pad = p->in_pad,
        .bits = p->bits,
        .group = p->group,
        .form = p->form,
    };
    c->operand[0] = rt_operand_plain(p->rows, RT_FILL_IDS);
    c->operand[0].arg = p->vocab;
    rt_operand_weight(c->operand + 1, &part);
    c->operand[3] = rt_operand_rows(p->rows, p->ldy, RT_FILL_UNIT);
}

const struct rt_op_row rt_op_row_embed = {
    .cost = embed_cost,
    .items = embed_items,
    .operands = embed_operands,
};

/* ---- unpack ---- */

static struct rt_op_cost unpack_cost(const void *push, double context)
{
    const struct unpack_push *p = push;
    struct rt_op_cost c = rt_op_cost_each((double)p->out_pad * p->in_pad, 2, 1);
    (void)context;
    c.bytes += weight_bytes(WEIGHT(p));
    return c;
}

static uint64_t unpack_items(const void *push)
{
    const struct unpack_push *p = push;
    return (uint64_t)p->out_pad * (p->in_pad / 32); /* 32 codes of a row */
}

static void unpack_needs(const void *push, struct rt_op_needs *needs)
{
    const struct unpack_push *p = push;
    needs->own =
        p->bits >= 16 || (p->form <= RT_FORM_OFFSET && p->bits != 5 && p->bits != 6);
}

static void unpack_operands(struct rt_op_case *c)
{
    const struct unpack_push *p = &c->push.unpack;
    rt_operand_weight(c->operand, &WEIGHT(p));
    c->operand[2] = rt_operand_plain((uint64_t)p->out_pad * p->in_pad, RT_FILL_UNIT);
}

const struct rt_op_row rt_op_row_unpack = {
    .cost = unpack_cost,
    .items = unpack_items,
    .needs = unpack_needs,
    .operands = unpack_operands,
};

/* ---- pack ---- */

static struct rt_op_cost pack_cost(const void *push, double context)
{
    const struct pack_push *p = push;
    (void)context;
    return rt_op_cost_each((double)p->n_out * p->n_in, 1, 2);
}

static uint64_t pack_items(const void *push)
{
    const struct pack_push *p = push;
    return (uint64_t)p->n_out * p->n_in;
}

static void pack_operands(struct rt_op_case *c)
{
    const struct pack_push *p = &c->push.pack;
    const uint32_t rows = p->transpose ? p->n_in : p->n_out;
    c->operand[0] = rt_operand_rows(rows, p->lds, RT_FILL_UNIT);
    c->operand[1] = rt_operand_adapter(rt_round_up32(p->m0 + p->n_out, 16), p->in_pad);
    c->operand[1].fill = RT_FILL_UNIT;
}

const struct rt_op_row rt_op_row_pack = {
    .cost = pack_cost,
    .items = pack_items,
    .operands = pack_operands,
};

/* ---- matmul-like ops ---- */

/* Of 32 inputs of a product: codes of 16 bits, texel by texel, no loop unrolled, and a block
 * of the sum (shaders/lib/sum.glsl) that ends. Others have fewer, but kernels of rounded
 * products: they stage tiles in loops, and which of those are unrolled is the driver's. Of
 * int8 on llvmpipe 21 to 23 were measured; 64 refuses no model that is known. */
enum { ROUNDS_OF_32 = 19, ROUNDED_OF_32 = 64 };

static uint64_t product_rounds(const struct rt_op_walk *walk, uint32_t summed,
                               uint32_t rank)
{
    const uint32_t each = walk->rounded ? ROUNDED_OF_32 : ROUNDS_OF_32;
    return (uint64_t)each * ((summed + 31) / 32 + (rank + 31) / 32 + 1);
}

/* Rows as classes, so that neighbouring batch sizes share a measurement. */
static uint32_t row_class(uint32_t rows)
{
    uint32_t c = 1;
    while (c < rows && c < 64)
        c *= 2;
    return c;
}

/* Of the small op that checks kernels. */
enum { SMALL_ROWS = 64, SMALL_OUTPUTS = 128, SMALL_INPUTS = 256 };

static uint32_t at_most(uint32_t value, uint32_t most)
{
    return value < most ? value : most;
}

/* Inputs of the small op: whole groups, and as many as the weight's form asks for. */
static uint32_t small_inputs(uint32_t in_pad, uint32_t bits, uint32_t group)
{
    const uint32_t least = group > SMALL_INPUTS ? group : SMALL_INPUTS;
    return at_most(in_pad, rt_weight_in_pad(bits, least));
}

/* The first four operands of both products: a weight, rows that it is multiplied with, and
 * the rows of an adapter. */
static void product_operands(struct rt_op_operand *o, struct rt_weight_shape weight,
                             uint32_t rows, uint32_t ld, uint32_t ld_adapter)
{
    rt_operand_weight(o, &weight);
    o[2] = rt_operand_rows(rows, ld, RT_FILL_UNIT);
    o[3] = rt_operand_rows(rows, ld_adapter ? ld_adapter : 128, RT_FILL_UNIT);
}

/* ---- matmul ---- */

static struct rt_op_cost matmul_cost(const void *push, double context)
{
    const struct matmul_push *p = push;
    const double rows = p->rows, out = p->out_pad, in = p->in_pad;
    const double lora = p->flags & MATMUL_LORA ? p->rank : 0;
    (void)context;
    return (struct rt_op_cost){
        .flops = 2 * rows * out * (in + lora),
        .bytes =
            weight_bytes(WEIGHT(p)) + 4 * rows * (in + out) + 4 * lora * (rows + out),
    };
}

static struct rt_op_shape matmul_shape(const void *push)
{
    const struct matmul_push *p = push;
    return (struct rt_op_shape){
        .rows = p->rows,
        .lanes = p->out_pad,
        .columns = 1,
        .exact = true,
        .groups = p->group == 16,
        .bits = p->bits,
        .form = p->form,
        .group = p->group,
        .flags = p->flags,
    };
}

static uint64_t matmul_rounds(const void *push, const struct rt_op_walk *walk)
{
    const struct matmul_push *p = push;
    return product_rounds(walk, p->in_pad, p->rank);
}

static void matmul_key(const void *push, char *key, size_t size)
{
    const struct matmul_push *p = push;
    snprintf(key, size, "matmul:%u:%u:%u:%u:%u:%u:%u", p->bits, p->form, p->group,
             row_class(p->rows), p->out_pad, p->in_pad,
             p->flags & (MATMUL_LORA | RT_MATMUL_MAY_ROUND));
}

static void matmul_shrink(union rt_op_push *push)
{
    struct matmul_push *p = &push->matmul;
    p->rows = at_most(p->rows, SMALL_ROWS);
    p->out_pad = p->out_pad % SMALL_OUTPUTS ? at_most(p->out_pad, RT_WEIGHT_OUT_PAD)
                                            : SMALL_OUTPUTS;
    p->in_pad = small_inputs(p->in_pad, p->bits, p->group);
    p->ldx = rt_round_up32(p->in_pad, RT_COL_PAD);
    p->ldy = SMALL_OUTPUTS;
    p->offx = p->offy = 0;
    p->part1 = at_most(p->part1, p->out_pad);
    p->part2 = at_most(p->part2, p->out_pad);
}

static void matmul_operands(struct rt_op_case *c)
{
    struct rt_op_operand *o = c->operand;
    const struct matmul_push *p = &c->push.matmul;
    product_operands(o, WEIGHT(p), p->rows, p->ldx, p->ldu);
    o[4] = rt_operand_adapter(p->out_pad, p->rank);
    o[5] = rt_operand_plain(p->out_pad, RT_FILL_UNIT);
    o[6] = o[7] = rt_operand_rows(p->rows, p->ldy, RT_FILL_UNIT);
}

const struct rt_op_row rt_op_row_matmul = {
    .cost = matmul_cost,
    .shape = matmul_shape,
    .rounds = matmul_rounds,
    .class_key = matmul_key,
    .shrink = matmul_shrink,
    .operands = matmul_operands,
    .tolerance = { .relative = 2e-6, .of_row = 2e-6 },
};

/* ---- matmul_back ---- */

static struct rt_op_cost back_cost(const void *push, double context)
{
    const struct matmul_back_push *p = push;
    const double rows = p->rows, out = p->out_pad, in = p->in_pad;
    (void)context;
    return (struct rt_op_cost){
        .flops = 2 * rows * in * (out + p->rank),
        .bytes =
            weight_bytes(WEIGHT(p)) + 4 * rows * (in + out) + 4.0 * p->rank * (rows + in),
    };
}

static struct rt_op_shape back_shape(const void *push)
{
    const struct matmul_back_push *p = push;
    return (struct rt_op_shape){
        .rows = p->rows,
        .lanes = p->in_pad / 4,
        .columns = 4,
        .bits = p->bits,
        .form = p->form,
        .group = p->group,
    };
}

static uint64_t back_rounds(const void *push, const struct rt_op_walk *walk)
{
    const struct matmul_back_push *p = push;
    if (walk->lanes) /* four rows at once */
        return (uint64_t)p->out_pad / 4 + p->out_pad / PRODUCT_BLOCK + p->rank / 4 + 3;
    return product_rounds(walk, p->out_pad, p->rank);
}

static void back_key(const void *push, char *key, size_t size)
{
    const struct matmul_back_push *p = push;
    snprintf(key, size, "back:%u:%u:%u:%u:%u:%u:%u", p->bits, p->form, p->group,
             row_class(p->rows), p->out_pad, p->in_pad, p->rank != 0);
}

static void back_shrink(union rt_op_push *push)
{
    struct matmul_back_push *p = &push->matmul_back;
    p->rows = at_most(p->rows, SMALL_ROWS);
    p->out_pad = at_most(p->out_pad, SMALL_OUTPUTS);
    p->in_pad = small_inputs(p->in_pad, p->bits, p->group);
    p->lddx = rt_round_up32(p->in_pad, RT_COL_PAD);
    p->lddy = SMALL_OUTPUTS;
    p->offdx = p->offdy = 0;
}

static void back_operands(struct rt_op_case *c)
{
    struct rt_op_operand *o = c->operand;
    const struct matmul_back_push *p = &c->push.matmul_back;
    product_operands(o, WEIGHT(p), p->rows, p->lddy, p->lddu);
    o[4] = rt_operand_adapter(p->rank ? p->rank : 8, p->in_pad);
    o[5] = rt_operand_rows(p->rows, p->lddx, RT_FILL_UNIT);
}

const struct rt_op_row rt_op_row_matmul_back = {
    .cost = back_cost,
    .shape = back_shape,
    .rounds = back_rounds,
    .class_key = back_key,
    .shrink = back_shrink,
    .operands = back_operands,
    .tolerance = { .relative = 2e-6, .of_row = 2e-6 },
};

/* ---- outer ---- */

static struct rt_op_cost outer_cost(const void *push, double context)
{
    const struct outer_push *p = push;
    const double rows = p->rows, na = p->na, nb = p->nb;
    (void)context;
    return (struct rt_op_cost){ 2 * rows * na * nb, 4 * (rows * (na + nb) + na * nb) };
}

static struct rt_op_shape outer_shape(const void *push)
{
    const struct outer_push *p = push;
    return (struct rt_op_shape){ .rows = p->na, .lanes = p->nb / 4, .columns = 4 };
}

static uint64_t outer_rounds(const void *push, const struct rt_op_walk *walk)
{
    const struct outer_push *p = push;
    (void)walk;
    return (uint64_t)p->rows + 1;
}

static void outer_key(const void *push, char *key, size_t size)
{
    const struct outer_push *p = push;
    snprintf(key, size, "outer:%u:%u:%u", row_class(p->rows), p->na, p->nb);
}

static void outer_shrink(union rt_op_push *push)
{
    struct outer_push *p = &push->outer;
    p->rows = at_most(p->rows, SMALL_ROWS);
    p->na = at_most(p->na, SMALL_ROWS);
    p->nb = at_most(p->nb, SMALL_OUTPUTS);
    p->ldp = p->ldq = p->ldd = SMALL_OUTPUTS;
    p->offp = p->offq = 0;
}

static void outer_operands(struct rt_op_case *c)
{
    const struct outer_push *p = &c->push.outer;
    c->operand[0] = rt_operand_rows(p->rows, p->ldp, RT_FILL_UNIT);
    c->operand[1] = rt_operand_rows(p->rows, p->ldq, RT_FILL_UNIT);
    c->operand[2] = rt_operand_rows(p->na, p->ldd, RT_FILL_UNIT);
}

const struct rt_op_row rt_op_row_outer = {
    .cost = outer_cost,
    .shape = outer_shape,
    .rounds = outer_rounds,
    .class_key = outer_key,
    .shrink = outer_shrink,
    .operands = outer_operands,
    .tolerance = { .relative = 2e-6, .of_row = 2e-6 },
};

/* ---- scale_back ---- */

static struct rt_op_cost scale_back_cost(const void *push, double context)
{
    const struct scale_back_push *p = push;
    const double rows = p->rows, out = p->out_pad, in = p->in_pad;
    (void)context;
    return (struct rt_op_cost){
        .flops = 2 * (rows + 1) * out * in,
        .bytes = 4 * (rows * (in + out) + out * in +
                      out * in / SCALE_SEGMENT * (p->sums ? 2 : 1)),
    };
}

static struct rt_op_shape scale_back_shape(const void *push)
{
    const struct scale_back_push *p = push;
    return (
        struct rt_op_shape){ .rows = p->in_pad, .lanes = p->out_pad / 4, .columns = 4 };
}

static uint64_t scale_back_rounds(const void *push, const struct rt_op_walk *walk)
{
    const struct scale_back_push *p = push;
    (void)walk;
    return (uint64_t)p->rows + 1;
}

static void scale_back_key(const void *push, char *key, size_t size)
{
    const struct scale_back_push *p = push;
    snprintf(key, size, "scale_back:%u:%u:%u", row_class(p->rows), p->out_pad, p->in_pad);
}

static void scale_back_shrink(union rt_op_push *push)
{
    struct scale_back_push *p = &push->scale_back;
    p->rows = at_most(p->rows, SMALL_ROWS);
    p->out_pad = at_most(p->out_pad, SMALL_OUTPUTS);
    p->in_pad = at_most(p->in_pad, SMALL_INPUTS);
    p->ldx = rt_round_up32(p->in_pad, RT_COL_PAD);
    p->lddy = SMALL_OUTPUTS;
    p->offx = p->offdy = 0;
}

static void scale_back_operands(struct rt_op_case *c)
{
    const struct scale_back_push *p = &c->push.scale_back;
    c->operand[0] = rt_operand_adapter(p->out_pad, p->in_pad);
    c->operand[1] = rt_operand_rows(p->rows, p->ldx, RT_FILL_UNIT);
    c->operand[2] = rt_operand_rows(p->rows, p->lddy, RT_FILL_UNIT);
    const uint64_t segments = (uint64_t)p->out_pad * (p->in_pad / SCALE_SEGMENT);
    c->operand[3] = rt_operand_plain(p->sums ? 2 * segments : segments, RT_FILL_UNIT);
}

const struct rt_op_row rt_op_row_scale_back = {
    .cost = scale_back_cost,
    .shape = scale_back_shape,
    .rounds = scale_back_rounds,
    .class_key = scale_back_key,
    .shrink = scale_back_shrink,
    .operands = scale_back_operands,
    .tolerance = { .relative = 2e-6, .of_row = 2e-6 },
};

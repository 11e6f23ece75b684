/* runtime/op/op_attention.c
 * Ops on heads: rope, attention and its gradients. */
#include "runtime/op/op_operand.h"
#include "runtime/op/op_row.h"

#include <float.h>
#include <math.h>

/* Attention of rows x heads over `keys` keys, whose elements take `key_bytes`: `products`
 * head-size products per key. */
static struct rt_op_cost keys_cost(double rows, double heads, double hd, double keys,
                                   double key_bytes, double products)
{
    const double elements = rows * heads * hd;
    return (struct rt_op_cost){ .flops = 2 * products * elements * keys,
                                .bytes = elements * (4 * 2 + key_bytes * 2 * keys) };
}

/* ---- rope ---- */

static struct rt_op_cost rope_cost(const void *push, double context)
{
    const struct rope_push *p = push;
    (void)context;
    return rt_op_cost_each((double)p->rows * (p->heads_q + p->heads_k) * p->hd, 3, 3);
}

static uint64_t rope_items(const void *push)
{
    const struct rope_push *p = push;
    return (uint64_t)p->rows * (p->heads_q + p->heads_k);
}

static void rope_operands(struct rt_op_case *c)
{
    struct rt_op_operand *o = c->operand;
    const struct rope_push *p = &c->push.rope;
    o[0] = rt_operand_plain((uint64_t)p->positions * p->hd, RT_FILL_UNIT);
    o[1] = rt_operand_plain(4ull * p->rows, RT_FILL_META);
    o[2] = rt_operand_rows(p->rows, p->ldx, RT_FILL_UNIT);
    o[3] = p->store ? rt_operand_keys(p->rows, p->ldc, p->halves != 0)
                    : rt_operand_plain(0, RT_FILL_ZERO);
}

/* Some positions are past the table, some rows are not stored. */
static void rope_meta(const struct rt_op_case *c, uint32_t *words)
{
    const uint32_t rows = c->push.rope.rows;
    for (uint32_t r = 0; r < rows; r++, words += 4) {
        words[0] = 37 * r % (c->push.rope.positions + 3);
        words[1] = r % 5 == 4 ? 0xffffffffu : rows - 1 - r;
    }
}

const struct rt_op_row rt_op_row_rope = {
    .cost = rope_cost,
    .items = rope_items,
    .operands = rope_operands,
    .meta = rope_meta,
    .tolerance = { .relative = 1e-6, .of_row = 2e-7 },
};

/* ---- attention ---- */

static struct rt_op_cost attention_cost(const void *push, double context)
{
    const struct attention_push *p = push;
    return keys_cost(p->rows, p->heads, p->hd, context, p->halves ? 2 : 4, 2);
}

static uint64_t attention_items(const void *push)
{
    const struct attention_push *p = push;
    return (uint64_t)p->rows * p->heads;
}

static void attention_needs(const void *push, struct rt_op_needs *needs)
{
    const struct attention_push *p = push;
    needs->head = p->hd;
    needs->sharing = p->heads / p->heads_k;
    needs->page = p->page;
    needs->halves = p->halves ? 1u << 1 | 1u << 2 : 0; /* keys and values */
}

/* By storage the eight keys of a block are a loop, twice. Which of the rows are a sequence's
 * is not known here: all of them are counted. By texels and by workgroups the caller asks
 * rt_plan_keys_max. */
static uint64_t attention_rounds(const void *push, const struct rt_op_walk *walk)
{
    const struct attention_push *p = push;
    if (!walk->lanes || !(walk->storage & 1u << 1))
        return 0;
    const uint64_t row = (uint64_t)p->ldk * (p->halves ? 2 : 4);
    return (2 * (8 + 1) + 1) * (walk->bytes[1] / row / 8 + 2);
}

static uint32_t pages_of(const struct rt_op_case *c)
{
    const uint32_t page = c->push.attention.page;
    return page ? (c->length + page - 1) / page : 0;
}

static void attention_operands(struct rt_op_case *c)
{
    struct rt_op_operand *o = c->operand;
    const struct attention_push *p = &c->push.attention;
    const uint64_t keys = p->page ? (uint64_t)p->rows * pages_of(c) * p->page : p->rows;
    o[0] = rt_operand_rows(p->rows, p->ldq, RT_FILL_UNIT);
    o[1] = rt_operand_keys(keys, p->ldk, p->halves != 0);
    o[2] = rt_operand_keys(keys, p->ldv, p->halves != 0);
    o[3] = rt_operand_plain(4ull * p->rows, RT_FILL_META);
    o[4] = rt_operand_plain((uint64_t)p->rows * pages_of(c), RT_FILL_TABLE);
    o[5] = rt_operand_rows(p->rows, p->ldo, RT_FILL_UNIT);
    o[6] = rt_operand_plain((uint64_t)p->rows * p->heads, RT_FILL_UNIT);
}

static uint32_t length_of(const struct rt_op_case *c)
{
    return c->length ? c->length : 1;
}

/* Position of row r: sequences one after the other, or one sequence per row by pages. */
static uint32_t position_of(const struct rt_op_case *c, uint32_t r)
{
    const uint32_t length = length_of(c);
    const bool paged = c->op == RT_OP_attention && c->push.attention.page;
    return paged ? (7 * r + length - 1) % length : r % length;
}

/* Position, first row and end of each row's sequence; `rows` is the first parameter of all
 * three ops. */
static void sequence_meta(const struct rt_op_case *c, uint32_t *words)
{
    const uint32_t rows = c->push.attention.rows, length = length_of(c);
    for (uint32_t r = 0; r < rows; r++, words += 4) {
        words[0] = position_of(c, r);
        words[1] = r - words[0];
        words[2] = words[1] + length < rows ? words[1] + length : rows;
    }
}

static void attention_meta(const struct rt_op_case *c, uint32_t *words)
{
    const struct attention_push *p = &c->push.attention;
    if (!p->page) {
        sequence_meta(c, words);
        return;
    }
    for (uint32_t r = 0; r < p->rows; r++, words += 4) {
        words[0] = position_of(c, r);
        words[1] = r * pages_of(c);
    }
}

static double keys_of_case(const struct rt_op_case *c)
{
    const uint32_t rows = c->push.attention.rows; /* the first of all three ops */
    double keys = 0;
    for (uint32_t r = 0; r < rows; r++)
        keys += 1 + position_of(c, r);
    return rows ? keys / rows : 0;
}

/* Greatest magnitude of what a fill draws. */
static double fill_magnitude(enum rt_fill fill)
{
    return fill == RT_FILL_LARGE    ? 1e4
           : fill == RT_FILL_LOGITS ? 8
           : fill == RT_FILL_TIES   ? 4
                                    : 1;
}

/* The weights of attention are known as well as the differences of scores, and these are
 * float sums of head-size products of what q holds, with keys up to 1. */
static void attention_widen(const struct rt_op_case *c, struct rt_op_tolerance *t)
{
    const struct attention_push *p = &c->push.attention;
    const double score = (double)p->scale * p->hd * fill_magnitude(c->operand[0].fill);
    t->of_row = fmax(t->of_row, 2 * sqrt(p->hd) * (FLT_EPSILON / 2) * score);
}

const struct rt_op_row rt_op_row_attention = {
    .cost = attention_cost,
    .items = attention_items,
    .needs = attention_needs,
    .rounds = attention_rounds,
    .operands = attention_operands,
    .meta = attention_meta,
    .keys = keys_of_case,
    .tolerance = { .relative = 5e-6, .of_row = 5e-6 },
    .widen = attention_widen,
};

/* ---- gradients ---- */

/* The operands that both gradients read first: q, k, v, meta, o or do, lse. */
static void gradient_inputs(struct rt_op_operand *o, uint32_t rows, uint32_t heads,
                            const uint32_t ld[4])
{
    for (uint32_t i = 0; i < 3; i++)
        o[i] = rt_operand_rows(rows, ld[i], RT_FILL_UNIT);
    o[3] = rt_operand_plain(4ull * rows, RT_FILL_META);
    o[4] = rt_operand_rows(rows, ld[3], RT_FILL_UNIT);
    o[5] = rt_operand_plain((uint64_t)rows * heads, RT_FILL_POSITIVE);
}

static struct rt_op_cost back_q_cost(const void *push, double context)
{
    const struct attention_back_q_push *p = push;
    return keys_cost(p->rows, p->heads, p->hd, context, 4, 3);
}

static uint64_t back_q_items(const void *push)
{
    const struct attention_back_q_push *p = push;
    return (uint64_t)p->rows * p->heads;
}

static void back_q_needs(const void *push, struct rt_op_needs *needs)
{
    const struct attention_back_q_push *p = push;
    needs->head = p->hd;
    needs->sharing = p->heads / p->heads_k;
}

static void back_q_operands(struct rt_op_case *c)
{
    const struct attention_back_q_push *p = &c->push.attention_back_q;
    const uint32_t ld[4] = { p->ldq, p->ldk, p->ldv, p->ldo };
    gradient_inputs(c->operand, p->rows, p->heads, ld);
    c->operand[6] = rt_operand_rows(p->rows, p->lddq, RT_FILL_UNIT);
    c->operand[7] = rt_operand_plain((uint64_t)p->rows * p->heads, RT_FILL_UNIT);
}

const struct rt_op_row rt_op_row_attention_back_q = {
    .cost = back_q_cost,
    .items = back_q_items,
    .needs = back_q_needs,
    .operands = back_q_operands,
    .meta = sequence_meta,
    .keys = keys_of_case,
    .tolerance = { .relative = 1e-5, .of_row = 1e-5 },
};

static struct rt_op_cost back_kv_cost(const void *push, double context)
{
    const struct attention_back_kv_push *p = push;
    return keys_cost(p->rows, p->heads, p->hd, context, 4, 4);
}

static uint64_t back_kv_items(const void *push)
{
    const struct attention_back_kv_push *p = push;
    return (uint64_t)p->rows * p->heads_k;
}

static void back_kv_needs(const void *push, struct rt_op_needs *needs)
{
    needs->head = ((const struct attention_back_kv_push *)push)->hd;
}

static void back_kv_operands(struct rt_op_case *c)
{
    const struct attention_back_kv_push *p = &c->push.attention_back_kv;
    const uint32_t ld[4] = { p->ldq, p->ldk, p->ldv, p->ldo };
    gradient_inputs(c->operand, p->rows, p->heads, ld);
    c->operand[6] = rt_operand_plain((uint64_t)p->rows * p->heads, RT_FILL_UNIT);
    c->operand[7] = rt_operand_rows(p->rows, p->lddk, RT_FILL_UNIT);
}

const struct rt_op_row rt_op_row_attention_back_kv = {
    .cost = back_kv_cost,
    .items = back_kv_items,
    .needs = back_kv_needs,
    .operands = back_kv_operands,
    .meta = sequence_meta,
    .keys = keys_of_case,
    .tolerance = { .relative = 1e-5, .of_row = 1e-5 },
};

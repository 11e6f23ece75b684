/* runtime/op/op_optim.c
 * Ops on the flat buffer of parameters: sumsq, clip, adamw; and between the scales of a
 * packed weight and their parameters: scale_fold, scale_pack. */
#include "runtime/op/op_operand.h"
#include "runtime/op/op_row.h"
#include "runtime/op/weight.h"

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

/* ---- scale_fold ---- */

static uint64_t scale_segments(const struct scale_fold_push *p)
{
    const uint64_t once = (uint64_t)p->out_pad * (p->in_pad / SCALE_SEGMENT);
    return p->zeros == SCALE_ZERO_FIXED ? once : 2 * once;
}

static uint64_t scale_blocks(uint32_t out_pad, uint32_t groups, uint32_t per)
{
    return (uint64_t)out_pad * ((groups + per - 1) / per);
}

static uint64_t scale_fold_items(const void *push)
{
    const struct scale_fold_push *p = push;
    return scale_blocks(p->out_pad, p->groups, p->per);
}

static struct rt_op_cost scale_fold_cost(const void *push, double context)
{
    const struct scale_fold_push *p = push;
    const double segments = (double)scale_segments(p);
    const double numbers =
        (double)scale_fold_items(push) * (p->zeros == SCALE_ZERO_FIXED ? 1 : 2);
    (void)context;
    return (struct rt_op_cost){ segments + 3 * numbers, 4 * segments + 12 * numbers };
}

static uint64_t scale_fold_rounds(const void *push, const struct rt_op_walk *walk)
{
    const struct scale_fold_push *p = push;
    (void)walk;
    return (p->group ? p->group * p->per : p->in_pad) / SCALE_SEGMENT + 1;
}

/* base, parameter and sub. */
static void scale_operands(struct rt_op_operand o[3], uint64_t blocks, uint64_t groups,
                           uint32_t zeros)
{
    const uint64_t numbers = zeros == SCALE_ZERO_FIXED ? blocks : 2 * blocks;
    o[0] = rt_operand_plain(numbers,
                            zeros == SCALE_ZERO_WHOLE ? RT_FILL_POSITIVE : RT_FILL_UNIT);
    o[1] = rt_operand_plain(numbers, RT_FILL_POSITIVE);
    o[2] = rt_operand_plain(groups, RT_FILL_WORDS);
    o[2].content = RT_CONTENT_WORDS;
}

static void scale_fold_operands(struct rt_op_case *c)
{
    struct rt_op_operand *o = c->operand;
    const struct scale_fold_push *p = &c->push.scale_fold;
    o[0] = rt_operand_plain(scale_segments(p), RT_FILL_UNIT);
    scale_operands(o + 1, scale_fold_items(p), (uint64_t)p->out_pad * p->groups,
                   p->zeros);
    o[4] = rt_operand_plain(o[1].bytes / sizeof(float), RT_FILL_UNIT);
}

const struct rt_op_row rt_op_row_scale_fold = {
    .cost = scale_fold_cost,
    .items = scale_fold_items,
    .rounds = scale_fold_rounds,
    .operands = scale_fold_operands,
    .tolerance = { .relative = 2e-6, .of_row = 2e-6 },
};

/* ---- scale_pack ---- */

/* Texels of a row that are written. */
static uint32_t scale_texels(const struct scale_pack_push *p)
{
    const uint32_t form = p->form & RT_FORM_MASK;
    const uint32_t blocks = (p->groups + p->per - 1) / p->per;
    if (form <= RT_FORM_OFFSET)
        return (p->groups + 1) / 2;
    const bool is_word = form == RT_FORM_HALVES || form == RT_FORM_K32 ||
                         form == RT_FORM_K16_MIN || form == RT_FORM_FLOAT ||
                         form == RT_FORM_FLOAT_ZERO;
    return (blocks + (is_word ? 3 : 7)) / (is_word ? 4 : 8) +
           (p->zeros == SCALE_ZERO_WHOLE ? (p->groups + 15) / 16 : 0);
}

static uint64_t scale_pack_items(const void *push)
{
    const struct scale_pack_push *p = push;
    return (uint64_t)p->out_pad * scale_texels(p);
}

static struct rt_op_cost scale_pack_cost(const void *push, double context)
{
    const struct scale_pack_push *p = push;
    const double numbers = (double)scale_blocks(p->out_pad, p->groups, p->per) *
                           (p->zeros == SCALE_ZERO_FIXED ? 1 : 2);
    (void)context;
    return (struct rt_op_cost){ numbers, 8 * numbers + 32 * (double)scale_pack_items(p) };
}

static void scale_pack_operands(struct rt_op_case *c)
{
    const struct scale_pack_push *p = &c->push.scale_pack;
    scale_operands(c->operand, scale_blocks(p->out_pad, p->groups, p->per),
                   (uint64_t)p->out_pad * p->groups, p->zeros);
    c->operand[3] = rt_operand_plain((uint64_t)p->out_pad * p->texels * 4, RT_FILL_WORDS);
    c->operand[3].content = RT_CONTENT_WORDS;
}

const struct rt_op_row rt_op_row_scale_pack = {
    .cost = scale_pack_cost,
    .items = scale_pack_items,
    .operands = scale_pack_operands,
};

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
    return (uint64_t)p->out_pad * (p->in_pad / SCALE_SEGMENT);
}

static uint64_t scale_fold_items(const void *push)
{
    const struct scale_fold_push *p = push;
    return (uint64_t)p->out_pad * p->groups;
}

static struct rt_op_cost scale_fold_cost(const void *push, double context)
{
    const double segments = (double)scale_segments(push);
    const double groups = (double)scale_fold_items(push);
    (void)context;
    return (struct rt_op_cost){ segments + 3 * groups, 4 * segments + 12 * groups };
}

static uint64_t scale_fold_rounds(const void *push, const struct rt_op_walk *walk)
{
    const struct scale_fold_push *p = push;
    (void)walk;
    return (p->group ? p->group : p->in_pad) / SCALE_SEGMENT + 1;
}

static void scale_fold_operands(struct rt_op_case *c)
{
    struct rt_op_operand *o = c->operand;
    const struct scale_fold_push *p = &c->push.scale_fold;
    const uint64_t groups = scale_fold_items(p);
    o[0] = rt_operand_plain(scale_segments(p), RT_FILL_UNIT);
    o[1] = rt_operand_plain(groups, RT_FILL_UNIT);
    o[2] = rt_operand_plain(groups, RT_FILL_POSITIVE);
    o[3] = rt_operand_plain(groups, RT_FILL_UNIT);
}

const struct rt_op_row rt_op_row_scale_fold = {
    .cost = scale_fold_cost,
    .items = scale_fold_items,
    .rounds = scale_fold_rounds,
    .operands = scale_fold_operands,
    .tolerance = { .relative = 2e-6, .of_row = 2e-6 },
};

/* ---- scale_pack ---- */

static uint32_t scale_groups_of_texel(uint32_t form)
{
    form &= RT_FORM_MASK;
    if (form <= RT_FORM_OFFSET)
        return 2;
    return form == RT_FORM_FLOAT || form == RT_FORM_FLOAT_ZERO ? 4 : 8;
}

static uint64_t scale_pack_items(const void *push)
{
    const struct scale_pack_push *p = push;
    const uint32_t each = scale_groups_of_texel(p->form);
    return (uint64_t)p->out_pad * ((p->groups + each - 1) / each);
}

static struct rt_op_cost scale_pack_cost(const void *push, double context)
{
    const struct scale_pack_push *p = push;
    const double groups = (double)p->out_pad * p->groups;
    (void)context;
    return (struct rt_op_cost){ groups, 8 * groups + 32 * (double)scale_pack_items(p) };
}

static void scale_pack_operands(struct rt_op_case *c)
{
    const struct scale_pack_push *p = &c->push.scale_pack;
    const uint64_t groups = (uint64_t)p->out_pad * p->groups;
    c->operand[0] = rt_operand_plain(groups, RT_FILL_UNIT);
    c->operand[1] = rt_operand_plain(groups, RT_FILL_POSITIVE);
    c->operand[2] = rt_operand_plain((uint64_t)p->out_pad * p->texels * 4, RT_FILL_WORDS);
    c->operand[2].content = RT_CONTENT_WORDS;
}

const struct rt_op_row rt_op_row_scale_pack = {
    .cost = scale_pack_cost,
    .items = scale_pack_items,
    .operands = scale_pack_operands,
};

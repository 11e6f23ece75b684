/* runtime/vk/vk_tune_check.c
 * Whether matmul kernels are right on this device: each runs a small op with the bits,
 * groups, flags and constants of the one that is to be tuned, on made-up operands, against
 * its twin, and must give the bits of the first that passes (batch invariance rests on
 * that). */
#include "runtime/op/op_trial.h"
#include "runtime/vk/vk.h"
#include "runtime/weight.h"

#include <string.h>

enum { ROWS = 64, OUTPUTS = 128, INPUTS = 256, SEED = 1 };

static uint32_t at_most(uint32_t value, uint32_t most)
{
    return value < most ? value : most;
}

/* Inputs of the small op: whole groups, and as many as the weight's form asks for. */
static uint32_t inputs_of(uint32_t in_pad, uint32_t bits, uint32_t group)
{
    return at_most(in_pad, rt_weight_in_pad(bits, group > INPUTS ? group : INPUTS));
}

/* The same op, smaller: what a kernel is compiled for stays. */
static void shrink(enum rt_op op, const void *push, struct rt_op_case *c)
{
    *c = (struct rt_op_case){ .op = op, .what = "tune" };
    memcpy(&c->push, push, rt_op_table[op].push_bytes);
    if (op == RT_OP_matmul) {
        struct matmul_push *p = &c->push.matmul;
        p->rows = at_most(p->rows, ROWS);
        p->out_pad =
            p->out_pad % OUTPUTS ? at_most(p->out_pad, RT_WEIGHT_OUT_PAD) : OUTPUTS;
        p->in_pad = inputs_of(p->in_pad, p->bits, p->group);
        p->ldx = rt_round_up32(p->in_pad, RT_COL_PAD);
        p->ldy = OUTPUTS;
        p->offx = p->offy = 0;
        p->part1 = at_most(p->part1, p->out_pad);
        p->part2 = at_most(p->part2, p->out_pad);
    } else if (op == RT_OP_matmul_back) {
        struct matmul_back_push *p = &c->push.matmul_back;
        p->rows = at_most(p->rows, ROWS);
        p->out_pad = at_most(p->out_pad, OUTPUTS);
        p->in_pad = inputs_of(p->in_pad, p->bits, p->group);
        p->lddx = rt_round_up32(p->in_pad, RT_COL_PAD);
        p->lddy = OUTPUTS;
        p->offdx = p->offdy = 0;
    } else {
        struct outer_push *p = &c->push.outer;
        p->rows = at_most(p->rows, ROWS);
        p->na = at_most(p->na, ROWS);
        p->nb = at_most(p->nb, OUTPUTS);
        p->ldp = p->ldq = p->ldd = OUTPUTS;
        p->offp = p->offq = 0;
    }
    rt_op_case_make(c);
}

/* Runs one kernel and compares what it wrote; *first holds the bits of the first that
 * was right. */
static rt_status check_one(struct rt_op_trial *t, uint32_t kernel, void **first,
                           bool *right)
{
    rt_status st;
    struct rt_list *list = NULL;
    void *got = NULL;
    const uint32_t written = t->bindings - 1; /* of all three ops */
    struct vk_choice choice = { .kernel = kernel };
    *right = false;
    vk_matmul_fill((struct vk_device *)t->dev, t->c.op, &t->c.push, &choice);
    TRY(rt_op_trial_reset(t));
    TRY(rt_list_create(t->dev, "tune check", &list));
    TRY(vk_list_choice(list, t->c.op, &t->c.push, t->slices, &choice));
    TRY(rt_list_end(list));
    TRY(rt_submit(t->dev, list));
    TRY(rt_wait(t->dev));
    TRY(rt_op_trial_read(t, written, &got));
    const bool close = rt_op_trial_compare(t, written, got).used <= 1;
    const bool same = !*first || memcmp(*first, got, t->c.operand[written].checked) == 0;
    *right = close && same && rt_op_trial_guarded(t, written, got);
    if (!*right)
        rt_log(rt_device_ctx(t->dev), RT_LOG_WARNING,
               "kernel %s/%s is wrong on this device (%s) and is not used; please report",
               rt_op_table[t->c.op].name, vk_kernel_table[kernel].name,
               close ? "other bits than the rest" : "far from its twin");
    else if (!*first) {
        *first = got;
        got = NULL;
    }

fail:
    rt_free(got);
    rt_list_destroy(&list);
    return st;
}

rt_status vk_tune_check(struct vk_device *dev, enum rt_op op, const void *push,
                        const uint32_t *kernels, uint32_t count, bool *right)
{
    rt_status st;
    struct rt_op_trial t = { 0 };
    struct rt_op_case c;
    void *first = NULL;
    shrink(op, push, &c);
    TRY(rt_op_trial_init(&t, &dev->base, &c, SEED));
    for (uint32_t i = 0; i < count; i++)
        TRY(check_one(&t, kernels[i], &first, &right[i]));

fail:
    rt_free(first);
    rt_op_trial_deinit(&t);
    return st;
}

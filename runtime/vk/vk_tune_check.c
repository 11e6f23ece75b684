/* runtime/vk/vk_tune_check.c
 * Whether matmul kernels are right on this device: each runs a small op with the bits,
 * groups, flags and constants of the one that is to be tuned, on made-up operands, against
 * its twin, and must give the bits of the first that passes (batch invariance rests on
 * that). */
#include "runtime/op/op_row.h"
#include "runtime/ref/op_trial.h"
#include "runtime/vk/vk.h"

#include <string.h>

enum { SEED = 1 };

/* The same op, smaller: what a kernel is compiled for stays. */
static void shrink(enum rt_op op, const void *push, struct rt_op_case *c)
{
    *c = (struct rt_op_case){ .op = op, .what = "tune" };
    memcpy(&c->push, push, rt_op_table[op].push_bytes);
    rt_op_rows[op]->shrink(&c->push);
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
    ((struct vk_device *)t->dev)->trying = kernel;
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

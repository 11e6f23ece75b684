/* runtime/ref/op_trial.c
 * Operands on a device and beside them what the twin makes of them. */
#include "runtime/ref/op_trial.h"

#include "runtime/ref/ref.h"

#include <math.h>
#include <string.h>

/* Halves give about 1e-3 of the greatest, bytes 1e-2; a wrong kernel 1 or more. */
#define ROUNDED_TOLERANCE 0.03

bool rt_op_trial_writes(const struct rt_op_trial *t, uint32_t binding)
{
    return rt_op_table[t->c.op].bindings[binding] != 'r';
}

uint64_t rt_op_trial_bytes(const struct rt_op_trial *t, uint32_t binding)
{
    return t->c.operand[binding].bytes + RT_TRIAL_GUARD_BYTES;
}

rt_status rt_op_trial_init(struct rt_op_trial *t, struct rt_device *dev,
                           const struct rt_op_case *c, uint32_t seed)
{
    rt_status st;
    struct rt_ctx *ctx = rt_device_ctx(dev);
    *t = (struct rt_op_trial){
        .c = *c, .dev = dev, .seed = seed, .bindings = rt_op_table[c->op].binding_count
    };
    for (uint32_t i = 0; i < t->bindings; i++) {
        const uint64_t size = rt_op_trial_bytes(t, i);
        const struct rt_buffer_info info = { .name = "operand", .size = size };
        t->start[i] = rt_alloc(ctx, size, 1);
        t->twin[i] = rt_alloc(ctx, size, 1);
        if (!t->start[i] || !t->twin[i]) {
            st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "op case %s [%s]: no host memory",
                         rt_op_table[c->op].name, c->what);
            goto fail;
        }
        memset(t->start[i], RT_TRIAL_GUARD, size);
        rt_op_case_fill(&t->c, i, seed, t->start[i]);
        memcpy(t->twin[i], t->start[i], size);
        TRY(rt_buffer_create(dev, &info, &t->buffer[i]));
        t->slices[i] = (struct rt_slice){ t->buffer[i], 0, t->c.operand[i].bytes };
    }
    ref_table[t->c.op](&t->c.push, t->twin);
    return RT_OK;

fail:
    rt_op_trial_deinit(t);
    return st;
}

void rt_op_trial_deinit(struct rt_op_trial *t)
{
    for (uint32_t i = 0; i < RT_OP_BINDINGS_MAX; i++) {
        rt_free(t->start[i]);
        rt_free(t->twin[i]);
        rt_buffer_destroy(&t->buffer[i]);
    }
    *t = (struct rt_op_trial){ 0 };
}

rt_status rt_op_trial_reset(struct rt_op_trial *t)
{
    rt_status st = RT_OK;
    for (uint32_t i = 0; i < t->bindings && st == RT_OK; i++)
        st = rt_buffer_write(t->buffer[i], 0, t->start[i], rt_op_trial_bytes(t, i));
    return st;
}

rt_status rt_op_trial_read(struct rt_op_trial *t, uint32_t binding, void **got)
{
    const uint64_t size = rt_op_trial_bytes(t, binding);
    *got = rt_alloc(rt_device_ctx(t->dev), size, 1);
    if (!*got)
        return rt_fail(rt_device_ctx(t->dev), RT_ERR_HOST_MEMORY,
                       "op case: no host memory to read an operand");
    const rt_status st = rt_buffer_read(t->buffer[binding], 0, *got, size);
    if (st != RT_OK) {
        rt_free(*got);
        *got = NULL;
    }
    return st;
}

struct rt_op_distance rt_op_trial_compare(const struct rt_op_trial *t, uint32_t binding,
                                          const void *got)
{
    struct rt_op_distance d = rt_op_compare(&t->c, binding, got, t->twin[binding]);
    const struct rt_plan *plan = rt_device_plan(t->dev);
    const bool may = t->c.push.matmul.flags & RT_MATMUL_MAY_ROUND;
    const bool rounded = t->c.op == RT_OP_matmul &&
                         (may ? plan->rounded : plan->products) != RT_PRODUCTS_F32;
    if (rounded && isfinite(d.used))
        d.used = d.relative / ROUNDED_TOLERANCE;
    return d;
}

bool rt_op_trial_guarded(const struct rt_op_trial *t, uint32_t binding, const void *got)
{
    const unsigned char *guard = (const unsigned char *)got + t->c.operand[binding].bytes;
    for (uint32_t k = 0; k < RT_TRIAL_GUARD_BYTES; k++)
        if (guard[k] != RT_TRIAL_GUARD)
            return false;
    return true;
}

/* runtime/ref/op_trial.h
 * One op case on one device: its operands on both sides, what the twin makes of them,
 * and how far the device is from that. Tests and bench check an op with it. */
#ifndef RUNTIME_REF_OP_TRIAL_H
#define RUNTIME_REF_OP_TRIAL_H

#include "runtime/device/device.h"
#include "runtime/op/op_cases.h"
#include "runtime/op/op_compare.h"

/* Bytes behind every operand that an op must leave as they are, and their content. */
enum { RT_TRIAL_GUARD_BYTES = 256, RT_TRIAL_GUARD = 0xA5 };

struct rt_op_trial {
    struct rt_op_case c;
    struct rt_device *dev; /* borrowed */
    uint32_t seed;
    uint32_t bindings;                            /* of the op */
    void *start[RT_OP_BINDINGS_MAX];              /* contents before the op, owned */
    void *twin[RT_OP_BINDINGS_MAX];               /* after the twin, owned */
    struct rt_buffer *buffer[RT_OP_BINDINGS_MAX]; /* operand and guard, owned */
    struct rt_slice slices[RT_OP_BINDINGS_MAX];   /* the operand alone */
};

/* Makes operands and the twin's results; the device's buffers hold nothing yet. */
RT_CHECKED rt_status rt_op_trial_init(struct rt_op_trial *t, struct rt_device *dev,
                                      const struct rt_op_case *c, uint32_t seed);
void rt_op_trial_deinit(struct rt_op_trial *t); /* accepts zero */
/* Writes what the operands hold before the op; blocking. */
RT_CHECKED rt_status rt_op_trial_reset(struct rt_op_trial *t);
bool rt_op_trial_writes(const struct rt_op_trial *t, uint32_t binding);
/* Bytes of a binding, guard included. */
uint64_t rt_op_trial_bytes(const struct rt_op_trial *t, uint32_t binding);
/* A binding as the device left it, guard included; fresh memory (rt_free). */
RT_CHECKED rt_status rt_op_trial_read(struct rt_op_trial *t, uint32_t binding,
                                      void **got);
/* rt_op_compare with the twin's, by the tolerance of the device's plan: products whose
 * operands it rounds may be a few hundredths of their row's greatest away. */
struct rt_op_distance rt_op_trial_compare(const struct rt_op_trial *t, uint32_t binding,
                                          const void *got);
/* Whether the guard of a binding that was read is as it was. */
bool rt_op_trial_guarded(const struct rt_op_trial *t, uint32_t binding, const void *got);

#endif

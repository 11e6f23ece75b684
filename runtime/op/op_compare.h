/* runtime/op/op_compare.h
 * How far an op on a device may be from its twin: the tolerance that tests and bench
 * hold every op to. */
#ifndef RUNTIME_OP_OP_COMPARE_H
#define RUNTIME_OP_OP_COMPARE_H

#include "runtime/op/op_cases.h"

/* The worst element of a comparison. */
struct rt_op_distance {
    double used;        /* share of the tolerance; above 1, or infinite, is a failure */
    uint64_t index;     /* element of the operand */
    double got, wanted; /* its values */
    double relative;    /* greatest |got - wanted| / greatest |wanted| of the row */
};

/* Compares the checked part of a written operand with the twin's. NaN agrees with NaN and
 * an infinity with the same infinity only. */
struct rt_op_distance rt_op_compare(const struct rt_op_case *c, uint32_t binding,
                                    const void *got, const void *wanted);

#endif

/* runtime/ref/ref.h
 * The twins: what every op means, in plain loops with double sums, no vendor, no
 * intrinsics. Compiled twice: `real` is float in the program (the backend "ref" and
 * the oracle of the tests) and double in the tests of gradients, where REF(x) is
 * refd_x. Integer bindings and packed weights are the same in both. */
#ifndef RUNTIME_REF_REF_H
#define RUNTIME_REF_REF_H

#include "runtime/op/op.h"

#ifdef REF_DOUBLE
typedef double real;
#define REF(name) refd_##name
#else
typedef float real;
#define REF(name) ref_##name
#endif

/* push: struct <op>_push; b: host addresses, one per binding. */
typedef void ref_fn(const void *push, void *const *b);

#define OP(name, bindings) ref_fn ref_##name, refd_##name;
#include "shaders/ops.def"
#undef OP

/* All twins by op: floats, and doubles (library ref_double only). */
extern ref_fn *const ref_table[RT_OP_COUNT];
extern ref_fn *const refd_table[RT_OP_COUNT];

#endif

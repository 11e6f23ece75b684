/* runtime/ref/ref_table.c
 * The table from an op to its reference twins in float and in double. */
#include "runtime/ref/ref.h"

ref_fn *const REF(table)[RT_OP_COUNT] = {
#define OP(name, bindings) REF(name),
#include "shaders/ops.def"
#undef OP
};

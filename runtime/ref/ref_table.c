#include "runtime/ref/ref.h"

ref_fn *const REF(table)[RT_OP_COUNT] = {
#define OP(name, bindings) REF(name),
#include "shaders/ops.def"
#undef OP
};

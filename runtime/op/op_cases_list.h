/* runtime/op/op_cases_list.h
 * The rows behind runtime/op/op_cases.h: op, point, parameters; operands are not yet made.
 */
#ifndef RUNTIME_OP_CASES_LIST_H
#define RUNTIME_OP_CASES_LIST_H

#include "runtime/op/op_cases.h"

extern const struct rt_op_case rt_op_case_list[];
extern const uint32_t rt_op_case_count;
/* Of sizes worth timing; they come after the others. */
extern const struct rt_op_case rt_op_bench_list[];
extern const uint32_t rt_op_bench_count;

#endif

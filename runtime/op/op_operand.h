/* runtime/op/op_operand.h
 * Sizes and contents of the operands of op cases, for the rows of runtime/op/op_row.h. */
#ifndef RUNTIME_OP_OP_OPERAND_H
#define RUNTIME_OP_OP_OPERAND_H

#include "runtime/op/op_cases.h"
#include "runtime/op/weight.h"

/* `words` words of 4 bytes, without rows. */
struct rt_op_operand rt_operand_plain(uint64_t words, enum rt_fill fill);
/* A row buffer: `rows` rows, padded to RT_ROW_PAD, of `ld` floats. */
struct rt_op_operand rt_operand_rows(uint64_t rows, uint32_t ld, enum rt_fill fill);
/* Rows of keys and values: floats, or halves. */
struct rt_op_operand rt_operand_keys(uint64_t rows, uint32_t ld, bool halves);
/* Codes and scales of a weight: o[0] and o[1]. */
void rt_operand_weight(struct rt_op_operand *o, const struct rt_weight_shape *shape);
/* The codes of a weight of 32 bits. */
struct rt_op_operand rt_operand_adapter(uint32_t out_pad, uint32_t in_pad);

#endif

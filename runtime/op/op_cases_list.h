/* runtime/op/op_cases_list.h
 * The lists behind runtime/op/op_cases.h, one per family, and the macros that their rows
 * are written with. Operands are made later, from the parameters. */
#ifndef RUNTIME_OP_OP_CASES_LIST_H
#define RUNTIME_OP_OP_CASES_LIST_H

#include "runtime/op/op_cases.h"
#include "runtime/op/weight.h"

struct rt_op_case_list {
    const struct rt_op_case *cases;
    uint32_t count;
};

/* Cases at awkward sizes, in the file of their family, op_cases_<family>.c. */
extern const struct rt_op_case_list rt_op_cases_matmul, rt_op_cases_norm,
    rt_op_cases_attention, rt_op_cases_elementwise, rt_op_cases_loss, rt_op_cases_optim,
    rt_op_cases_peak, rt_op_cases_w8a8, rt_op_cases_round;
/* Cases of sizes worth timing; they come after the others. */
extern const struct rt_op_case_list rt_op_cases_bench;

#define RT_CASE_LIST(rows)     \
    {                          \
        (rows), RT_COUNT(rows) \
    }

/* Rows. `...` are parameters of the op, as .field = value of struct <op>_push; what is not
 * named is 0. */
#define CASE(op_, what_, ...)                                         \
    {                                                                 \
        .op = RT_OP_##op_, .what = what_, .push.op_ = { __VA_ARGS__ } \
    }
/* The same where the op's first float operand holds something unusual, RT_FILL_<fill>. */
#define FILLED(op_, what_, fill_, ...)                                           \
    {                                                                            \
        .op = RT_OP_##op_, .what = what_, .fill = RT_FILL_##fill_, .push.op_ = { \
            __VA_ARGS__                                                          \
        }                                                                        \
    }
/* Of attention ops, whose rows are sequences of `length`. */
#define SEQUENCES(op_, what_, length_, ...)                                              \
    {                                                                                    \
        .op = RT_OP_##op_, .what = what_, .length = length_, .push.op_ = { __VA_ARGS__ } \
    }

/* Floats between rows of this many columns; and if some are left over. */
#define LD(columns) (((columns) + RT_COL_PAD - 1) / RT_COL_PAD * RT_COL_PAD)
#define LD_BEYOND(columns) (((columns) / RT_COL_PAD + 1) * RT_COL_PAD)

/* Parameters of a product and of its gradient, of a whole weight and nothing else. */
#define PLAIN_MATMUL(rows_, out_, in_, bits_, group_)                                \
    .rows = (rows_), .out_pad = (out_), .in_pad = (in_), .bits = (bits_),            \
    .group = (group_), .ldx = LD(in_), .ldy = LD(out_), .ldu = 128, .part1 = (out_), \
    .part2 = (out_)
#define PLAIN_BACK(rows_, out_, in_, bits_, group_)                       \
    .rows = (rows_), .out_pad = (out_), .in_pad = (in_), .bits = (bits_), \
    .group = (group_), .lddy = LD(out_), .lddx = LD(in_), .lddu = 128

/* Heads of attention in row buffers of their own: q; keys and, behind them, values; o. For
 * the gradients o is followed by its gradient, and dkv is laid out as k and v. */
#define HEADS_READ(heads_, heads_k_, hd_)                                               \
    .heads = (heads_), .heads_k = (heads_k_), .hd = (hd_), .ldq = LD((heads_) * (hd_)), \
    .ldk = LD(2 * (heads_k_) * (hd_)), .ldv = LD(2 * (heads_k_) * (hd_)),               \
    .offv = (heads_k_) * (hd_)
#define HEADS(heads_, heads_k_, hd_) \
    HEADS_READ(heads_, heads_k_, hd_), .ldo = LD((heads_) * (hd_))
#define HEADS_BACK_Q(heads_, heads_k_, hd_)                             \
    HEADS_READ(heads_, heads_k_, hd_), .ldo = 2 * LD((heads_) * (hd_)), \
                                       .offdo = LD((heads_) * (hd_)),   \
                                       .lddq = LD((heads_) * (hd_))
#define HEADS_BACK_KV(heads_, heads_k_, hd_)                            \
    HEADS_READ(heads_, heads_k_, hd_),                                  \
        .ldo = 2 * LD((heads_) * (hd_)), .offdo = LD((heads_) * (hd_)), \
        .lddk = LD(2 * (heads_k_) * (hd_)), .offdv = (heads_k_) * (hd_)

#endif

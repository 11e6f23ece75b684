/* runtime/op/op_cases_round.c
 * Cases of rounding column after column: rows around the workgroup (64), one group and
 * many, the widths that a grid may have. Append freely. */
#include "runtime/op/op_cases_list.h"

/* Asymmetric grids of `bits_` bits; rows of one block. */
#define GRID(rows_, groups_, bits_)                               \
    .rows = (rows_), .groups = (groups_), .ldw = 128, .ldc = 128, \
    .top = (1u << (bits_)) - 1

static const struct rt_op_case rows[] = {
    CASE(round_block, "no rows", GRID(0, 1, 4)),
    CASE(round_block, "one row of one group, 4 bits", GRID(1, 1, 4)),
    CASE(round_block, "2 bits", GRID(63, 4, 2)),
    CASE(round_block, "3 bits", GRID(65, 8, 3)),
    CASE(round_block, "8 bits", GRID(9, 56, 8)),
    CASE(round_block, "8 bits, the lowest code is not used", .rows = 64, .groups = 3,
         .ldw = 128, .ldc = 128, .lowest = 1, .top = 255),
    CASE(round_block, "a block among others", .rows = 33, .groups = 7, .ldw = 384,
         .offw = 128, .ldc = 128, .top = 15),
    CASE(round_block, "to nearest", .rows = 33, .groups = 7, .ldw = 256, .offw = 128,
         .ldc = 128, .top = 15, .nearest = 1),
    FILLED(round_block, "zeros", ZERO, GRID(3, 2, 4)),
    FILLED(round_block, "values beyond the grid", LARGE, GRID(9, 2, 3)),
};

const struct rt_op_case_list rt_op_cases_round = RT_CASE_LIST(rows);

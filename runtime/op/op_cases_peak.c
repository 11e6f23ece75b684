/* runtime/op/op_cases_peak.c
 * Cases of ops that measure the limits of a device, at awkward sizes; op_cases_bench.c
 * has those that measure. Sizes are chosen around the workgroup (8 and 64),
 * the row block (64), the column pad (128) and the key block (8): none, one, one less,
 * equal, one more. Append freely. */
#include "runtime/op/op_cases_list.h"

static const struct rt_op_case rows[] = {
    CASE(peak_fma, "4 floats, no steps", .count = 4, .a = -0.75f, .b = 0.5f, .chains = 1),
    CASE(peak_fma, "one chain", .count = 260, .steps = 7, .a = -0.75f, .b = 0.5f,
         .chains = 1),
    CASE(peak_fma, "two chains, the last workgroup not full", .count = 1028, .steps = 39,
         .a = -0.75f, .b = 0.5f, .chains = 2),
    CASE(peak_fma, "four chains", .count = 1024, .steps = 16, .a = 1.25f, .b = -1.0f,
         .chains = 4),
    CASE(peak_fma, "eight chains, fewer floats than those", .count = 12, .steps = 9,
         .a = 0.999f, .b = 0.001f, .chains = 8),

    CASE(peak_copy, "4 floats", .count = 4),
    CASE(peak_copy, "1028 floats", .count = 1028),
    CASE(peak_copy, "5000 floats, by texels", .count = 5000, .texel = 1),
    FILLED(peak_copy, "not finite", BROKEN, .count = 512, .texel = 1),

    CASE(peak_read, "one block of no rows", .blocks = 1),
    CASE(peak_read, "9 blocks of 7 rows", .rows = 7, .blocks = 9),
    CASE(peak_read, "3 blocks of 64 rows, by texels", .rows = 64, .blocks = 3,
         .texel = 1),
};

const struct rt_op_case_list rt_op_cases_peak = RT_CASE_LIST(rows);

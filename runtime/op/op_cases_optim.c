/* runtime/op/op_cases_optim.c
 * Cases of ops on the flat buffer of parameters. Sizes are chosen around the workgroup (8 and 64),
 * the row block (64), the column pad (128) and the key block (8): none, one, one less,
 * equal, one more. Append freely. */
#include "runtime/op/op_cases_list.h"

static const struct rt_op_case rows[] = {
    CASE(sumsq, "1 floats", .count = 1),
    CASE(sumsq, "1023 floats", .count = 1023),
    CASE(sumsq, "1024 floats", .count = 1024),
    CASE(sumsq, "1025 floats", .count = 1025),
    CASE(sumsq, "70000 floats", .count = 70000),

    CASE(clip, "1 partial sums, limit 0.0", .count = 1),
    CASE(clip, "1 partial sums, limit 1e9", .count = 1, .max_norm = 1e9f),
    CASE(clip, "69 partial sums, limit 1.0", .count = 69, .max_norm = 1.0f),

    CASE(adamw, "4 floats", .count = 4),
    CASE(adamw, "252 floats", .count = 252),
    CASE(adamw, "260 floats", .count = 260),
    CASE(adamw, "4096 floats", .count = 4096),
    FILLED(adamw, "vanishing gradients", TINY, .count = 256),
};

const struct rt_op_case_list rt_op_cases_optim = RT_CASE_LIST(rows);

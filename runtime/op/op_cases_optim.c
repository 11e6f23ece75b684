/* runtime/op/op_cases_optim.c
 * Cases of ops on the flat buffer of parameters, and of scales as parameters. Sizes are chosen around the workgroup (8 and 64),
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

    CASE(scale_back, "no rows", .out_pad = 64, .in_pad = 32, .ldx = 128, .lddy = 128),
    CASE(scale_back, "1 row", .rows = 1, .out_pad = 64, .in_pad = 32, .ldx = 128,
         .lddy = 128, .offdy = 16),
    CASE(scale_back, "65 rows", .rows = 65, .out_pad = 192, .in_pad = 416, .ldx = 512,
         .offx = 16, .lddy = 256, .offdy = 32),
    CASE(scale_fold, "a scale per row", .out_pad = 64, .in_pad = 384, .groups = 1),
    CASE(scale_fold, "groups of 32, halves", .out_pad = 64, .in_pad = 416, .group = 32,
         .groups = 13, .rounding = SCALE_F16),
    CASE(scale_fold, "groups of 128, a short last one", .out_pad = 128, .in_pad = 320,
         .group = 128, .groups = 3, .rounding = SCALE_BF16),

    CASE(scale_pack, "float scales beside zeros, a half each", .out_pad = 64, .groups = 3,
         .texels = 2, .form = RT_FORM_ZERO, .rounding = SCALE_F16),
    CASE(scale_pack, "a float per row", .out_pad = 128, .groups = 1, .texels = 1,
         .form = RT_FORM_FLOAT),
    CASE(scale_pack, "floats, zeros behind", .out_pad = 64, .groups = 13, .texels = 5,
         .form = RT_FORM_FLOAT_ZERO),
    CASE(scale_pack, "halves, zeros behind", .out_pad = 64, .groups = 13, .texels = 3,
         .form = RT_FORM_HALF_ZERO, .rounding = SCALE_F16),
    CASE(scale_pack, "bfloat16", .out_pad = 64, .groups = 9, .texels = 2,
         .form = RT_FORM_BFLOAT, .rounding = SCALE_BF16),
    FILLED(scale_pack, "halves below 2^-14 and beyond 65504", EDGES, .out_pad = 64,
           .groups = 17, .texels = 3, .form = RT_FORM_HALF, .rounding = SCALE_F16),
};

const struct rt_op_case_list rt_op_cases_optim = RT_CASE_LIST(rows);

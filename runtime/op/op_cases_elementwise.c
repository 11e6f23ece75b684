/* runtime/op/op_cases_elementwise.c
 * Cases of ops that compute or move element by element. Sizes are chosen around the workgroup (8 and 64),
 * the row block (64), the column pad (128) and the key block (8): none, one, one less,
 * equal, one more. Append freely. */
#include "runtime/op/op_cases_list.h"

static const struct rt_op_case rows[] = {
    CASE(swiglu, "0 rows of 128", .cols = 128, .ldx = 256, .offu = 128, .ldh = 128),
    CASE(swiglu, "1 rows of 4", .rows = 1, .cols = 4, .ldx = 256, .offu = 128,
         .ldh = 128),
    CASE(swiglu, "63 rows of 96", .rows = 63, .cols = 96, .ldx = 256, .offu = 128,
         .ldh = 128),
    CASE(swiglu, "65 rows of 100", .rows = 65, .cols = 100, .ldx = 256, .offu = 128,
         .ldh = 128),
    CASE(swiglu, "3 rows of 576", .rows = 3, .cols = 576, .ldx = 1280, .offu = 640,
         .ldh = 640),
    FILLED(swiglu, "gates beyond the exponential", LARGE, .rows = 5, .cols = 128,
           .ldx = 256, .offu = 128, .ldh = 128),

    CASE(swiglu_back, "0 rows of 128", .cols = 128, .ldx = 256, .offu = 128, .lddh = 128,
         .lddx = 256),
    CASE(swiglu_back, "1 rows of 4", .rows = 1, .cols = 4, .ldx = 256, .offu = 128,
         .lddh = 128, .lddx = 256),
    CASE(swiglu_back, "63 rows of 96", .rows = 63, .cols = 96, .ldx = 256, .offu = 128,
         .lddh = 128, .lddx = 256),
    CASE(swiglu_back, "65 rows of 100", .rows = 65, .cols = 100, .ldx = 256, .offu = 128,
         .lddh = 128, .lddx = 256),
    CASE(swiglu_back, "3 rows of 576", .rows = 3, .cols = 576, .ldx = 1280, .offu = 640,
         .lddh = 640, .lddx = 1280),
    FILLED(swiglu_back, "gates beyond the exponential", LARGE, .rows = 5, .cols = 128,
           .ldx = 256, .offu = 128, .lddh = 128, .lddx = 256),

    CASE(add, "0 floats", .scale = -0.75f),
    CASE(add, "4 floats", .count = 4, .scale = -0.75f),
    CASE(add, "252 floats", .count = 252, .scale = -0.75f),
    CASE(add, "256 floats", .count = 256, .scale = -0.75f),
    CASE(add, "260 floats", .count = 260, .scale = -0.75f),
    CASE(add, "5000 floats", .count = 5000, .scale = -0.75f),
    FILLED(add, "not finite", BROKEN, .count = 512, .scale = 1.0f),

    CASE(gather, "0 rows of 128", .cols = 128, .ldx = 128, .ldy = 256),
    CASE(gather, "1 rows of 4", .rows = 1, .cols = 4, .ldx = 128, .ldy = 256),
    CASE(gather, "63 rows of 100", .rows = 63, .cols = 100, .ldx = 128, .ldy = 256),
    CASE(gather, "65 rows of 128", .rows = 65, .cols = 128, .ldx = 128, .ldy = 256),

    CASE(columns, "0 rows of 128", .cols = 128, .ldx = 128, .ldy = 256),
    CASE(columns, "1 rows of 4", .rows = 1, .cols = 4, .ldx = 128, .ldy = 256),
    CASE(columns, "63 rows of 100", .rows = 63, .cols = 100, .ldx = 128, .ldy = 128),
    CASE(columns, "65 rows of 256, added", .rows = 65, .cols = 256, .ldx = 256,
         .ldy = 256, .accumulate = 1),
    CASE(columns, "5 rows of 96 with offsets, added", .rows = 5, .cols = 96, .ldx = 256,
         .offx = 128, .ldy = 384, .offy = 128, .accumulate = 1),
};

const struct rt_op_case_list rt_op_cases_elementwise = RT_CASE_LIST(rows);

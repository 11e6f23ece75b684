/* runtime/op/op_cases_w8a8.c
 * Cases of weights and activations of 8 bits: around the texel (16 codes), the block that is
 * exact in floats (1,024), the workgroup and the row block. Append freely. */
#include "runtime/op/op_cases_list.h"

#define ROWS8(rows_, cols_) \
    .rows = (rows_), .cols = (cols_), .ldx = LD(cols_), .ldq = (cols_) / 4 + 4
#define W8A8(rows_, out_, in_, form_)                                             \
    .rows = (rows_), .out_pad = (out_), .in_pad = (in_), .form = RT_FORM_##form_, \
    .ldq = (in_) / 4 + 4, .ldy = LD(out_), .ldu = 128, .part1 = (out_), .part2 = (out_)

static const struct rt_op_case rows[] = {
    CASE(quantize, "no rows", ROWS8(0, 128)),
    CASE(quantize, "one row of one texel", ROWS8(1, 16)),
    CASE(quantize, "896 columns", ROWS8(7, 896)),
    CASE(quantize, "more rows than a workgroup", ROWS8(65, 96)),
    CASE(quantize, "an offset, long rows of codes", .rows = 9, .cols = 160, .ldx = 384,
         .offx = 48, .ldq = 64),
    CASE(quantize, "a long row", ROWS8(3, 18944)),
    FILLED(quantize, "large values", LARGE, ROWS8(9, 576)),
    FILLED(quantize, "small values", TINY, ROWS8(9, 576)),
    FILLED(quantize, "ties", TIES, ROWS8(33, 64)),
    FILLED(quantize, "infinities and NaN", BROKEN, ROWS8(33, 32)),
    FILLED(quantize, "zeros", ZERO, ROWS8(3, 64)),
    CASE(quantize, "a given scale", ROWS8(9, 576), .given = 1),
    FILLED(quantize, "a given scale that cuts", LARGE, ROWS8(9, 576), .given = 1),
    FILLED(quantize, "a given scale, infinities and NaN", BROKEN, ROWS8(33, 32),
           .given = 1),

    CASE(matmul_w8a8, "no rows", W8A8(0, 64, 32, ZERO)),
    CASE(matmul_w8a8, "one row", W8A8(1, 64, 32, ZERO)),
    CASE(matmul_w8a8, "sums, one row", W8A8(1, 128, 896, ZERO), .flags = MATMUL_SUMS),
    CASE(matmul_w8a8, "sums, 7 rows", W8A8(7, 192, 1056, FLOAT), .flags = MATMUL_SUMS),
    CASE(matmul_w8a8, "sums, 65 rows, long", W8A8(65, 64, 4864, HALF),
         .flags = MATMUL_SUMS),
    CASE(matmul_w8a8, "halves", W8A8(17, 128, 1024, HALF)),
    CASE(matmul_w8a8, "bfloat16", W8A8(5, 128, 2080, BFLOAT)),
    CASE(matmul_w8a8, "bias and residual", W8A8(9, 192, 160, FLOAT),
         .flags = MATMUL_BIAS | MATMUL_RESIDUAL),
    CASE(matmul_w8a8, "everything", .rows = 7, .out_pad = 192, .in_pad = 416,
         .form = RT_FORM_ZERO, .ldq = 128, .ldy = 384, .offy = 64,
         .flags = MATMUL_BIAS | MATMUL_RESIDUAL | MATMUL_LORA, .ldu = 128, .rank = 16,
         .part1 = 64, .part2 = 128),
    CASE(matmul_w8a8, "everything, one row", .rows = 1, .out_pad = 192, .in_pad = 608,
         .form = RT_FORM_HALF, .ldq = 160, .ldy = 256, .offy = 64,
         .flags = MATMUL_BIAS | MATMUL_RESIDUAL | MATMUL_LORA, .ldu = 128, .rank = 16,
         .part1 = 64, .part2 = 128),
    CASE(matmul_w8a8, "everything, 64 rows", .rows = 64, .out_pad = 128, .in_pad = 1184,
         .form = RT_FORM_FLOAT, .ldq = 304, .ldy = 256, .offy = 64,
         .flags = MATMUL_BIAS | MATMUL_RESIDUAL | MATMUL_LORA, .ldu = 128, .rank = 8,
         .part1 = 64, .part2 = 128),
    CASE(matmul_w8a8, "sums, one long row", W8A8(1, 64, 18944, ZERO),
         .flags = MATMUL_SUMS),
};

const struct rt_op_case_list rt_op_cases_w8a8 = RT_CASE_LIST(rows);

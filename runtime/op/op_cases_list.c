#include "runtime/op/op_cases_list.h"

/* One case: op, point, contents (USUAL: what the op usually gets), length of sequences,
 * and the parameters in the order of push.h, which the comment above each op repeats. */
#define CASE(op_, what_, fill_, length_, ...) \
    { .op = RT_OP_##op_,                      \
      .what = what_,                          \
      .fill = RT_FILL_##fill_,                \
      .length = length_,                      \
      .push.op_ = { __VA_ARGS__ } },

/* Sizes are chosen around the workgroup (8 and 64), the row block (64), the column pad
 * (128) and the key block (8): none, one, one less, equal, one more. Append freely. */
/* clang-format off */
const struct rt_op_case rt_op_case_list[] = {
    /* embed: rows, cols, vocab, in_pad, bits, group, form, ldy, row0, part */
    CASE(embed, "2 bits, group 0", USUAL, 0, 9, 384, 100, 384, 2, 0, 0, 512, 0, 100)
    CASE(embed, "2 bits, group 32", USUAL, 0, 9, 384, 100, 384, 2, 32, 0, 512, 0, 100)
    CASE(embed, "3 bits, group 0", USUAL, 0, 9, 384, 100, 384, 3, 0, 0, 512, 0, 100)
    CASE(embed, "3 bits, group 128", USUAL, 0, 9, 384, 100, 384, 3, 128, 0, 512, 0, 100)
    CASE(embed, "4 bits, group 0", USUAL, 0, 9, 384, 100, 384, 4, 0, 0, 512, 0, 100)
    CASE(embed, "4 bits, group 64", USUAL, 0, 9, 384, 100, 384, 4, 64, 0, 512, 0, 100)
    CASE(embed, "8 bits, group 0", USUAL, 0, 9, 384, 100, 384, 8, 0, 0, 512, 0, 100)
    CASE(embed, "8 bits, group 32", USUAL, 0, 9, 384, 100, 384, 8, 32, 0, 512, 0, 100)
    CASE(embed, "8 bits, group 16, minimum form", USUAL, 0, 9, 384, 100, 384, 8, 16, 1, 512, 0, 100)
    CASE(embed, "16 bits, group 0", USUAL, 0, 9, 384, 100, 384, 16, 0, 0, 512, 0, 100)
    CASE(embed, "32 bits, group 0", USUAL, 0, 9, 384, 100, 384, 32, 0, 0, 512, 0, 100)
    CASE(embed, "Q4_0", USUAL, 0, 9, 416, 100, 416, 4, 32, 2, 512, 0, 100)
    CASE(embed, "Q4_1", USUAL, 0, 9, 416, 100, 416, 4, 32, 3, 512, 0, 100)
    CASE(embed, "Q5_0", USUAL, 0, 9, 416, 100, 416, 5, 32, 2, 512, 0, 100)
    CASE(embed, "Q5_1", USUAL, 0, 9, 416, 100, 416, 5, 32, 3, 512, 0, 100)
    CASE(embed, "Q8_0", USUAL, 0, 9, 416, 100, 416, 8, 32, 2, 512, 0, 100)
    CASE(embed, "IQ4_NL", USUAL, 0, 9, 416, 100, 416, 4, 32, 4, 512, 0, 100)
    CASE(embed, "Q2_K", USUAL, 0, 9, 512, 100, 512, 2, 16, 7, 640, 0, 100)
    CASE(embed, "Q3_K", USUAL, 0, 9, 512, 100, 512, 3, 16, 6, 640, 0, 100)
    CASE(embed, "Q4_K", USUAL, 0, 9, 512, 100, 512, 4, 32, 5, 640, 0, 100)
    CASE(embed, "Q5_K", USUAL, 0, 9, 512, 100, 512, 5, 32, 5, 640, 0, 100)
    CASE(embed, "Q6_K", USUAL, 0, 9, 2304, 100, 2304, 6, 16, 6, 2432, 0, 100)
    CASE(embed, "bfloat16", USUAL, 0, 9, 416, 100, 416, 16, 0, 8, 512, 0, 100)
    CASE(embed, "halves a 128", USUAL, 0, 9, 384, 100, 384, 4, 128, 2, 512, 0, 100)
    CASE(embed, "half scale, 8-bit zero, 3 bits", USUAL, 0, 9, 384, 100, 384, 3, 64, 9, 512, 0, 100)
    CASE(embed, "a half a row", USUAL, 0, 9, 384, 100, 384, 4, 0, 2, 512, 0, 100)
    CASE(embed, "half scale and zero", USUAL, 0, 9, 384, 100, 384, 4, 128, 9, 512, 0, 100)
    CASE(embed, "floats a 32, 8-bit zero", USUAL, 0, 9, 416, 100, 416, 4, 32, 11, 512, 0, 100)
    CASE(embed, "a float a row, 8 bits", USUAL, 0, 9, 416, 100, 416, 8, 0, 10, 512, 0, 100)
    CASE(embed, "bfloat16 scale, 2 bits", USUAL, 0, 9, 384, 100, 384, 2, 64, 12, 512, 0, 100)
    CASE(embed, "no rows", USUAL, 0, 0, 128, 100, 128, 32, 0, 0, 128, 0, 100)
    CASE(embed, "one row, minimum form", USUAL, 0, 1, 128, 64, 128, 4, 32, 1, 128, 0, 64)
    CASE(embed, "more rows than a workgroup", USUAL, 0, 65, 100, 333, 128, 4, 32, 0, 128, 0, 333)
    CASE(embed, "first of three parts, 4 bits", USUAL, 0, 33, 384, 300, 384, 4, 32, 0, 512, 0, 128)
    CASE(embed, "last of three parts, 8 bits", USUAL, 0, 33, 384, 300, 384, 8, 0, 0, 512, 256, 44)

    /* unpack: out_pad, in_pad, bits, group, form */
    CASE(unpack, "2 bits, group 0", USUAL, 0, 128, 384, 2, 0, 0)
    CASE(unpack, "2 bits, group 32", USUAL, 0, 128, 384, 2, 32, 0)
    CASE(unpack, "3 bits, group 0", USUAL, 0, 128, 384, 3, 0, 0)
    CASE(unpack, "3 bits, group 128", USUAL, 0, 128, 384, 3, 128, 0)
    CASE(unpack, "4 bits, group 0", USUAL, 0, 128, 384, 4, 0, 0)
    CASE(unpack, "4 bits, group 64", USUAL, 0, 128, 384, 4, 64, 0)
    CASE(unpack, "8 bits, group 0", USUAL, 0, 128, 384, 8, 0, 0)
    CASE(unpack, "8 bits, group 32", USUAL, 0, 128, 384, 8, 32, 0)
    CASE(unpack, "16 bits, group 0", USUAL, 0, 128, 384, 16, 0, 0)
    CASE(unpack, "32 bits, group 0", USUAL, 0, 128, 384, 32, 0, 0)
    CASE(unpack, "8 bits, group 16", USUAL, 0, 64, 288, 8, 16, 0)
    CASE(unpack, "minimum form", USUAL, 0, 64, 256, 4, 32, 1)
    CASE(unpack, "Q4_0", USUAL, 0, 64, 416, 4, 32, 2)
    CASE(unpack, "Q4_1", USUAL, 0, 64, 416, 4, 32, 3)
    CASE(unpack, "Q5_0", USUAL, 0, 64, 416, 5, 32, 2)
    CASE(unpack, "Q5_1", USUAL, 0, 64, 416, 5, 32, 3)
    CASE(unpack, "Q8_0", USUAL, 0, 64, 416, 8, 32, 2)
    CASE(unpack, "IQ4_NL", USUAL, 0, 64, 416, 4, 32, 4)
    CASE(unpack, "Q2_K", USUAL, 0, 64, 512, 2, 16, 7)
    CASE(unpack, "Q3_K", USUAL, 0, 64, 512, 3, 16, 6)
    CASE(unpack, "Q4_K", USUAL, 0, 64, 512, 4, 32, 5)
    CASE(unpack, "Q5_K", USUAL, 0, 64, 512, 5, 32, 5)
    CASE(unpack, "Q6_K", USUAL, 0, 64, 2304, 6, 16, 6)
    CASE(unpack, "bfloat16", USUAL, 0, 64, 416, 16, 0, 8)
    CASE(unpack, "halves a 128", USUAL, 0, 64, 384, 4, 128, 2)
    CASE(unpack, "half scale, 8-bit zero, 3 bits", USUAL, 0, 64, 384, 3, 64, 9)
    CASE(unpack, "a half a row", USUAL, 0, 64, 384, 4, 0, 2)
    CASE(unpack, "half scale and zero", USUAL, 0, 64, 384, 4, 128, 9)
    CASE(unpack, "floats a 32, 8-bit zero", USUAL, 0, 64, 416, 4, 32, 11)
    CASE(unpack, "a float a row, 8 bits", USUAL, 0, 64, 416, 8, 0, 10)
    CASE(unpack, "bfloat16 scale, 8-bit zero, 2 bits", USUAL, 0, 64, 384, 2, 64, 13)

    /* pack: n_out, n_in, lds, transpose, m0, k0, in_pad, scale */
    CASE(pack, "whole matrix", USUAL, 0, 16, 64, 128, 0, 0, 0, 64, 1.0f)
    CASE(pack, "transposed into the middle, scaled", USUAL, 0,
         24, 13, 128, 1, 16, 20, 64, -0.5f)
    CASE(pack, "one element", USUAL, 0, 1, 1, 128, 0, 63, 3, 4, 2.0f)

    /* outer: rows, na, nb, ldp, offp, ldq, offq, ldd, scale, accumulate */
    CASE(outer, "1 rows", USUAL, 0, 1, 4, 4, 128, 16, 640, 0, 640, 0.5f, 1)
    CASE(outer, "63 rows", USUAL, 0, 63, 16, 100, 128, 16, 640, 0, 640, 0.5f, 1)
    CASE(outer, "64 rows", USUAL, 0, 64, 64, 128, 128, 16, 640, 0, 640, 0.5f, 0)
    CASE(outer, "65 rows", USUAL, 0, 65, 8, 576, 128, 16, 640, 0, 640, 0.5f, 1)
    CASE(outer, "no rows leave what is accumulated", USUAL, 0,
         0, 8, 8, 128, 0, 128, 0, 128, 1.0f, 1)

    /* matmul: rows, out_pad, in_pad, bits, group, form, ldx, offx, ldy, offy, flags,
     * ldu, rank, part1, part2 */
    CASE(matmul, "2 bits, group 0, everything on", USUAL, 0,
         7, 192, 384, 2, 0, 0, 512, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "2 bits, group 32, everything on", USUAL, 0,
         7, 192, 384, 2, 32, 0, 512, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "3 bits, group 0, everything on", USUAL, 0,
         7, 192, 384, 3, 0, 0, 512, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "3 bits, group 128, everything on", USUAL, 0,
         7, 192, 384, 3, 128, 0, 512, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "4 bits, group 0, everything on", USUAL, 0,
         7, 192, 384, 4, 0, 0, 512, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "4 bits, group 64, everything on", USUAL, 0,
         7, 192, 384, 4, 64, 0, 512, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "8 bits, group 0, everything on", USUAL, 0,
         7, 192, 384, 8, 0, 0, 512, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "8 bits, group 32, everything on", USUAL, 0,
         7, 192, 384, 8, 32, 0, 512, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "4 bits, group 32, minimum form", USUAL, 0,
         7, 192, 384, 4, 32, 1, 512, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "8 bits, group 32, minimum form", USUAL, 0,
         7, 192, 384, 8, 32, 1, 512, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "8 bits, group 16", USUAL, 0,
         7, 192, 416, 8, 16, 0, 512, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "8 bits, group 16, minimum form", USUAL, 0,
         7, 192, 416, 8, 16, 1, 512, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "16 bits, group 0, everything on", USUAL, 0,
         7, 192, 384, 16, 0, 0, 512, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "32 bits, group 0, everything on", USUAL, 0,
         7, 192, 384, 32, 0, 0, 512, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "Q4_0", USUAL, 0,
         7, 192, 416, 4, 32, 2, 512, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "Q4_1", USUAL, 0,
         7, 192, 416, 4, 32, 3, 512, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "Q5_0", USUAL, 0,
         7, 192, 416, 5, 32, 2, 512, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "Q5_1", USUAL, 0,
         7, 192, 416, 5, 32, 3, 512, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "Q8_0", USUAL, 0,
         7, 192, 416, 8, 32, 2, 512, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "IQ4_NL", USUAL, 0,
         7, 192, 416, 4, 32, 4, 512, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "Q2_K", USUAL, 0,
         7, 192, 512, 2, 16, 7, 640, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "Q3_K", USUAL, 0,
         7, 192, 512, 3, 16, 6, 640, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "Q4_K", USUAL, 0,
         7, 192, 512, 4, 32, 5, 640, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "Q5_K", USUAL, 0,
         7, 192, 512, 5, 32, 5, 640, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "Q6_K", USUAL, 0,
         7, 192, 2304, 6, 16, 6, 2432, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "bfloat16", USUAL, 0,
         7, 192, 416, 16, 0, 8, 512, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "halves a 128", USUAL, 0,
         7, 192, 384, 4, 128, 2, 512, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "half scale, 8-bit zero, 3 bits", USUAL, 0,
         7, 192, 384, 3, 64, 9, 512, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "a half a row", USUAL, 0,
         7, 192, 384, 4, 0, 2, 512, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "half scale and zero", USUAL, 0,
         7, 192, 384, 4, 128, 9, 512, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "floats a 32, 8-bit zero", USUAL, 0,
         7, 192, 416, 4, 32, 11, 512, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "a float a row, 8 bits", USUAL, 0,
         7, 192, 416, 8, 0, 10, 512, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "bfloat16 scale, 8-bit zero, 2 bits", USUAL, 0,
         7, 192, 384, 2, 64, 13, 512, 16, 256, 0, 7, 128, 16, 64, 128)
    CASE(matmul, "0 rows", USUAL, 0,
         0, 64, 128, 4, 32, 0, 128, 0, 128, 64, 0, 128, 0, 64, 64)
    CASE(matmul, "1 rows", USUAL, 0,
         1, 64, 128, 4, 32, 0, 128, 0, 128, 64, 0, 128, 0, 64, 64)
    CASE(matmul, "63 rows", USUAL, 0,
         63, 64, 128, 4, 32, 0, 128, 0, 128, 64, 0, 128, 0, 64, 64)
    CASE(matmul, "64 rows", USUAL, 0,
         64, 64, 128, 4, 32, 0, 128, 0, 128, 64, 0, 128, 0, 64, 64)
    CASE(matmul, "65 rows", USUAL, 0,
         65, 64, 128, 4, 32, 0, 128, 0, 128, 64, 0, 128, 0, 64, 64)
    CASE(matmul, "an adapter matrix of 16 rows", USUAL, 0,
         5, 16, 128, 32, 0, 0, 128, 0, 128, 0, 0, 128, 0, 16, 16)

    /* matmul_back: rows, out_pad, in_pad, bits, group, form, lddy, offdy, lddx, offdx,
     * accumulate, lddu, rank */
    CASE(matmul_back, "2 bits, group 0, adapter", USUAL, 0,
         7, 192, 384, 2, 0, 0, 256, 16, 512, 32, 1, 128, 16)
    CASE(matmul_back, "2 bits, group 32, adapter", USUAL, 0,
         7, 192, 384, 2, 32, 0, 256, 16, 512, 32, 1, 128, 16)
    CASE(matmul_back, "3 bits, group 0, adapter", USUAL, 0,
         7, 192, 384, 3, 0, 0, 256, 16, 512, 32, 1, 128, 16)
    CASE(matmul_back, "3 bits, group 128, adapter", USUAL, 0,
         7, 192, 384, 3, 128, 0, 256, 16, 512, 32, 1, 128, 16)
    CASE(matmul_back, "4 bits, group 0, adapter", USUAL, 0,
         7, 192, 384, 4, 0, 0, 256, 16, 512, 32, 1, 128, 16)
    CASE(matmul_back, "4 bits, group 64, adapter", USUAL, 0,
         7, 192, 384, 4, 64, 0, 256, 16, 512, 32, 1, 128, 16)
    CASE(matmul_back, "8 bits, group 0, adapter", USUAL, 0,
         7, 192, 384, 8, 0, 0, 256, 16, 512, 32, 1, 128, 16)
    CASE(matmul_back, "8 bits, group 32, adapter", USUAL, 0,
         7, 192, 384, 8, 32, 0, 256, 16, 512, 32, 1, 128, 16)
    CASE(matmul_back, "4 bits, group 32, minimum form", USUAL, 0,
         7, 192, 384, 4, 32, 1, 256, 16, 512, 32, 1, 128, 16)
    CASE(matmul_back, "8 bits, group 16", USUAL, 0,
         7, 192, 416, 8, 16, 0, 256, 16, 512, 32, 1, 128, 16)
    CASE(matmul_back, "8 bits, group 16, minimum form", USUAL, 0,
         7, 192, 416, 8, 16, 1, 256, 16, 512, 32, 1, 128, 16)
    CASE(matmul_back, "16 bits, group 0, adapter", USUAL, 0,
         7, 192, 384, 16, 0, 0, 256, 16, 512, 32, 1, 128, 16)
    CASE(matmul_back, "32 bits, group 0, adapter", USUAL, 0,
         7, 192, 384, 32, 0, 0, 256, 16, 512, 32, 1, 128, 16)
    CASE(matmul_back, "Q4_0", USUAL, 0,
         7, 192, 416, 4, 32, 2, 256, 16, 512, 32, 1, 128, 16)
    CASE(matmul_back, "Q4_1", USUAL, 0,
         7, 192, 416, 4, 32, 3, 256, 16, 512, 32, 1, 128, 16)
    CASE(matmul_back, "Q5_0", USUAL, 0,
         7, 192, 416, 5, 32, 2, 256, 16, 512, 32, 1, 128, 16)
    CASE(matmul_back, "Q5_1", USUAL, 0,
         7, 192, 416, 5, 32, 3, 256, 16, 512, 32, 1, 128, 16)
    CASE(matmul_back, "Q8_0", USUAL, 0,
         7, 192, 416, 8, 32, 2, 256, 16, 512, 32, 1, 128, 16)
    CASE(matmul_back, "IQ4_NL", USUAL, 0,
         7, 192, 416, 4, 32, 4, 256, 16, 512, 32, 1, 128, 16)
    CASE(matmul_back, "Q2_K", USUAL, 0,
         7, 192, 512, 2, 16, 7, 256, 16, 640, 32, 1, 128, 16)
    CASE(matmul_back, "Q3_K", USUAL, 0,
         7, 192, 512, 3, 16, 6, 256, 16, 640, 32, 1, 128, 16)
    CASE(matmul_back, "Q4_K", USUAL, 0,
         7, 192, 512, 4, 32, 5, 256, 16, 640, 32, 1, 128, 16)
    CASE(matmul_back, "Q5_K", USUAL, 0,
         7, 192, 512, 5, 32, 5, 256, 16, 640, 32, 1, 128, 16)
    CASE(matmul_back, "Q6_K", USUAL, 0,
         7, 192, 2304, 6, 16, 6, 256, 16, 2432, 32, 1, 128, 16)
    CASE(matmul_back, "bfloat16", USUAL, 0,
         7, 192, 416, 16, 0, 8, 256, 16, 512, 32, 1, 128, 16)
    CASE(matmul_back, "0 rows", USUAL, 0, 0, 64, 128, 4, 32, 0, 128, 0, 128, 0, 0, 128, 0)
    CASE(matmul_back, "1 rows", USUAL, 0, 1, 64, 128, 4, 32, 0, 128, 0, 128, 0, 0, 128, 0)
    CASE(matmul_back, "63 rows", USUAL, 0,
         63, 64, 128, 4, 32, 0, 128, 0, 128, 0, 0, 128, 0)
    CASE(matmul_back, "64 rows", USUAL, 0,
         64, 64, 128, 4, 32, 0, 128, 0, 128, 0, 0, 128, 0)
    CASE(matmul_back, "65 rows", USUAL, 0,
         65, 64, 128, 4, 32, 0, 128, 0, 128, 0, 0, 128, 0)

    /* rmsnorm: rows, cols, heads, ldx, offx, ldy, offy, eps */
    CASE(rmsnorm, "0 rows", USUAL, 0, 0, 100, 1, 128, 0, 128, 0, 1e-6f)
    CASE(rmsnorm, "1 rows", USUAL, 0, 1, 100, 1, 128, 0, 128, 0, 1e-6f)
    CASE(rmsnorm, "63 rows", USUAL, 0, 63, 100, 1, 128, 0, 128, 0, 1e-6f)
    CASE(rmsnorm, "64 rows", USUAL, 0, 64, 100, 1, 128, 0, 128, 0, 1e-6f)
    CASE(rmsnorm, "65 rows", USUAL, 0, 65, 100, 1, 128, 0, 128, 0, 1e-6f)
    CASE(rmsnorm, "4 columns", USUAL, 0, 3, 4, 1, 128, 0, 128, 0, 1e-5f)
    CASE(rmsnorm, "96 columns", USUAL, 0, 3, 96, 1, 128, 0, 128, 0, 1e-5f)
    CASE(rmsnorm, "128 columns", USUAL, 0, 3, 128, 1, 128, 0, 128, 0, 1e-5f)
    CASE(rmsnorm, "576 columns", USUAL, 0, 3, 576, 1, 640, 0, 640, 0, 1e-5f)
    CASE(rmsnorm, "2048 columns", USUAL, 0, 3, 2048, 1, 2048, 0, 2048, 0, 1e-5f)
    CASE(rmsnorm, "heads at an offset", USUAL, 0, 9, 32, 3, 256, 128, 128, 16, 1e-6f)
    CASE(rmsnorm, "large values", LARGE, 0, 5, 576, 1, 640, 0, 640, 0, 1e-6f)
    CASE(rmsnorm, "squares that underflow", TINY, 0, 5, 576, 1, 640, 0, 640, 0, 1e-6f)
    CASE(rmsnorm, "rows of zeros", ZERO, 0, 5, 128, 1, 128, 0, 128, 0, 1e-6f)
    CASE(rmsnorm, "not finite", BROKEN, 0, 5, 128, 1, 128, 0, 128, 0, 1e-6f)

    /* rmsnorm_back: rows, cols, heads, ldx, offx, lddy, offdy, lddx, offdx, eps,
     * accumulate */
    CASE(rmsnorm_back, "0 rows", USUAL, 0, 0, 100, 1, 128, 0, 128, 0, 128, 0, 1e-6f, 0)
    CASE(rmsnorm_back, "1 rows", USUAL, 0, 1, 100, 1, 128, 0, 128, 0, 128, 0, 1e-6f, 1)
    CASE(rmsnorm_back, "63 rows", USUAL, 0, 63, 100, 1, 128, 0, 128, 0, 128, 0, 1e-6f, 1)
    CASE(rmsnorm_back, "64 rows", USUAL, 0, 64, 100, 1, 128, 0, 128, 0, 128, 0, 1e-6f, 0)
    CASE(rmsnorm_back, "65 rows", USUAL, 0, 65, 100, 1, 128, 0, 128, 0, 128, 0, 1e-6f, 1)
    CASE(rmsnorm_back, "4 columns", USUAL, 0, 3, 4, 1, 128, 0, 128, 0, 128, 0, 1e-5f, 1)
    CASE(rmsnorm_back, "96 columns", USUAL, 0, 3, 96, 1, 128, 0, 128, 0, 128, 0, 1e-5f, 1)
    CASE(rmsnorm_back, "128 columns", USUAL, 0,
         3, 128, 1, 128, 0, 128, 0, 128, 0, 1e-5f, 1)
    CASE(rmsnorm_back, "576 columns", USUAL, 0,
         3, 576, 1, 640, 0, 640, 0, 640, 0, 1e-5f, 1)
    CASE(rmsnorm_back, "2048 columns", USUAL, 0,
         3, 2048, 1, 2048, 0, 2048, 0, 2048, 0, 1e-5f, 1)
    CASE(rmsnorm_back, "heads at an offset", USUAL, 0,
         9, 32, 3, 256, 128, 128, 16, 256, 64, 1e-6f, 1)
    CASE(rmsnorm_back, "large values", LARGE, 0,
         5, 576, 1, 640, 0, 640, 0, 640, 0, 1e-6f, 0)
    CASE(rmsnorm_back, "squares that underflow", TINY, 0,
         5, 576, 1, 640, 0, 640, 0, 640, 0, 1e-6f, 0)

    /* rope: rows, heads_q, heads_k, hd, ldx, offq, offk, offv, inverse, store, ldc,
     * positions, halves */
    CASE(rope, "0 rows, stored", USUAL, 0, 0, 6, 2, 64, 640, 0, 384, 512, 0, 1, 256, 50, 0)
    CASE(rope, "1 rows, stored", USUAL, 0, 1, 6, 2, 64, 640, 0, 384, 512, 0, 1, 256, 50, 0)
    CASE(rope, "63 rows, stored", USUAL, 0, 63, 6, 2, 64, 640, 0, 384, 512, 0, 1, 256, 50, 0)
    CASE(rope, "65 rows, stored", USUAL, 0, 65, 6, 2, 64, 640, 0, 384, 512, 0, 1, 256, 50, 0)
    CASE(rope, "inverse, not stored", USUAL, 0,
         7, 4, 4, 32, 384, 0, 128, 256, 1, 0, 256, 300, 0)
    CASE(rope, "smallest head", USUAL, 0, 7, 2, 1, 8, 128, 0, 16, 32, 0, 1, 128, 1, 0)
    CASE(rope, "1 rows, halves", USUAL, 0, 1, 6, 2, 64, 640, 0, 384, 512, 0, 1, 256, 50, 1)
    CASE(rope, "65 rows, halves", USUAL, 0, 65, 6, 2, 64, 640, 0, 384, 512, 0, 1, 256, 50, 1)
    CASE(rope, "smallest head, halves", USUAL, 0, 7, 2, 1, 8, 128, 0, 16, 32, 0, 1, 128, 1, 1)
    CASE(rope, "heads of 80", USUAL, 0,
         9, 4, 2, 80, 640, 0, 320, 480, 0, 1, 384, 50, 0)
    CASE(rope, "heads of 100, halves", USUAL, 0,
         9, 4, 2, 100, 896, 0, 400, 600, 0, 1, 512, 50, 1)
    CASE(rope, "longest heads, halves", USUAL, 0,
         9, 2, 1, 256, 1024, 0, 512, 768, 0, 1, 512, 50, 1)
    CASE(rope, "longest heads, inverse", USUAL, 0,
         9, 2, 1, 256, 1024, 0, 512, 768, 1, 0, 512, 50, 0)

    /* attention: rows, heads, heads_k, hd, ldq, offq, ldk, offk, ldv, offv, ldo, offo,
     * page, want_lse, scale, halves */
    CASE(attention, "head size 8", USUAL, 19,
         19, 4, 2, 8, 128, 0, 128, 0, 128, 16, 128, 0, 0, 1, 0.353553f, 0)
    CASE(attention, "head size 16", USUAL, 19,
         19, 4, 2, 16, 128, 0, 128, 0, 128, 32, 128, 0, 0, 1, 0.250000f, 0)
    CASE(attention, "head size 32", USUAL, 19,
         19, 4, 2, 32, 128, 0, 128, 0, 128, 64, 128, 0, 0, 1, 0.176777f, 0)
    CASE(attention, "head size 64", USUAL, 19,
         19, 4, 2, 64, 256, 0, 256, 0, 256, 128, 256, 0, 0, 1, 0.125000f, 0)
    CASE(attention, "head size 128", USUAL, 19,
         19, 4, 2, 128, 512, 0, 512, 0, 512, 256, 512, 0, 0, 1, 0.088388f, 0)
    CASE(attention, "head size 4", USUAL, 19,
         19, 4, 2, 4, 128, 0, 128, 0, 128, 8, 128, 0, 0, 1, 0.500000f, 0)
    CASE(attention, "head size 36", USUAL, 19,
         19, 4, 2, 36, 256, 0, 256, 0, 256, 72, 256, 0, 0, 1, 0.166667f, 0)
    CASE(attention, "head size 80", USUAL, 19,
         19, 4, 2, 80, 384, 0, 384, 0, 384, 160, 384, 0, 0, 1, 0.111803f, 0)
    CASE(attention, "head size 96", USUAL, 19,
         19, 4, 2, 96, 384, 0, 384, 0, 384, 192, 384, 0, 0, 1, 0.102062f, 0)
    CASE(attention, "head size 100", USUAL, 19,
         19, 4, 2, 100, 512, 0, 512, 0, 512, 200, 512, 0, 0, 1, 0.100000f, 0)
    CASE(attention, "head size 256", USUAL, 19,
         19, 4, 2, 256, 1024, 0, 1024, 0, 1024, 512, 1024, 0, 0, 1, 0.062500f, 0)
    CASE(attention, "head size 80, paged by 16", USUAL, 77,
         9, 6, 2, 80, 512, 0, 384, 0, 384, 160, 512, 0, 16, 1, 0.111803f, 0)
    CASE(attention, "head size 256, paged by 16", USUAL, 77,
         9, 2, 1, 256, 512, 0, 512, 0, 512, 256, 512, 0, 16, 1, 0.062500f, 0)
    CASE(attention, "1 rows in sequences of 1", USUAL, 1,
         1, 3, 1, 16, 128, 0, 128, 0, 128, 16, 128, 0, 0, 1, 0.250000f, 0)
    CASE(attention, "7 rows in sequences of 8", USUAL, 8,
         7, 3, 1, 16, 128, 0, 128, 0, 128, 16, 128, 0, 0, 1, 0.250000f, 0)
    CASE(attention, "9 rows in sequences of 9", USUAL, 9,
         9, 3, 1, 16, 128, 0, 128, 0, 128, 16, 128, 0, 0, 1, 0.250000f, 0)
    CASE(attention, "64 rows in sequences of 63", USUAL, 63,
         64, 3, 1, 16, 128, 0, 128, 0, 128, 16, 128, 0, 0, 1, 0.250000f, 0)
    CASE(attention, "65 rows in sequences of 33", USUAL, 33,
         65, 3, 1, 16, 128, 0, 128, 0, 128, 16, 128, 0, 0, 1, 0.250000f, 0)
    CASE(attention, "no rows", USUAL, 5,
         0, 4, 2, 32, 128, 0, 128, 0, 128, 64, 128, 0, 0, 1, 0.176777f, 0)
    CASE(attention, "no groups, no lse", USUAL, 33,
         33, 5, 5, 32, 256, 0, 384, 0, 384, 160, 256, 0, 0, 0, 0.176777f, 0)
    CASE(attention, "seven heads share one", USUAL, 17,
         17, 7, 1, 64, 512, 0, 128, 0, 128, 64, 512, 0, 0, 1, 0.125000f, 0)
    CASE(attention, "paged by 8", USUAL, 77,
         9, 6, 2, 32, 256, 0, 128, 0, 128, 64, 256, 0, 8, 1, 0.176777f, 0)
    CASE(attention, "paged by 16", USUAL, 77,
         9, 6, 2, 32, 256, 0, 128, 0, 128, 64, 256, 0, 16, 1, 0.176777f, 0)
    CASE(attention, "paged by 64", USUAL, 77,
         9, 6, 2, 32, 256, 0, 128, 0, 128, 64, 256, 0, 64, 1, 0.176777f, 0)
    CASE(attention, "paged, one page not full", USUAL, 5,
         3, 2, 1, 64, 128, 0, 128, 0, 128, 64, 128, 0, 16, 1, 0.125000f, 0)
    CASE(attention, "paged by 8, long heads", USUAL, 77,
         9, 3, 1, 64, 256, 0, 128, 0, 128, 64, 256, 0, 8, 1, 0.125000f, 0)
    CASE(attention, "longest heads, odd in number", USUAL, 45,
         47, 3, 1, 256, 768, 0, 512, 0, 512, 256, 768, 0, 0, 1, 0.062500f, 0)
    CASE(attention, "long heads, odd in number", USUAL, 45,
         47, 3, 1, 128, 384, 0, 256, 0, 256, 128, 384, 0, 0, 1, 0.088388f, 0)
    CASE(attention, "scores far apart", LARGE, 20,
         20, 4, 2, 32, 128, 0, 128, 0, 128, 64, 128, 0, 0, 1, 0.176777f, 0)
    CASE(attention, "halves, head size 8", USUAL, 19,
         19, 4, 2, 8, 128, 0, 128, 0, 128, 16, 128, 0, 0, 1, 0.353553f, 1)
    CASE(attention, "halves, head size 16", USUAL, 19,
         19, 4, 2, 16, 128, 0, 128, 0, 128, 32, 128, 0, 0, 1, 0.250000f, 1)
    CASE(attention, "halves, head size 32, paged by 16", USUAL, 77,
         9, 6, 2, 32, 256, 0, 128, 0, 128, 64, 256, 0, 16, 1, 0.176777f, 1)
    CASE(attention, "halves, head size 64, paged by 16", USUAL, 77,
         9, 7, 1, 64, 512, 0, 128, 0, 128, 64, 512, 0, 16, 1, 0.125000f, 1)
    CASE(attention, "halves, head size 128, paged by 16", USUAL, 77,
         9, 4, 2, 128, 512, 0, 512, 0, 512, 256, 512, 0, 16, 1, 0.088388f, 1)
    CASE(attention, "halves, head size 80, paged by 16", USUAL, 77,
         9, 4, 2, 80, 384, 0, 384, 0, 384, 160, 384, 0, 16, 1, 0.111803f, 1)
    CASE(attention, "halves, head size 96, paged by 16", USUAL, 77,
         9, 4, 2, 96, 384, 0, 384, 0, 384, 192, 384, 0, 16, 1, 0.102062f, 1)
    CASE(attention, "halves, head size 100, paged by 16", USUAL, 77,
         9, 4, 2, 100, 512, 0, 512, 0, 512, 200, 512, 0, 16, 1, 0.100000f, 1)
    CASE(attention, "halves, head size 256, paged by 16", USUAL, 77,
         9, 4, 2, 256, 1024, 0, 1024, 0, 1024, 512, 1024, 0, 16, 1, 0.062500f, 1)
    CASE(attention, "halves, one row and key", USUAL, 1,
         1, 3, 1, 16, 128, 0, 128, 0, 128, 16, 128, 0, 16, 1, 0.250000f, 1)
    CASE(attention, "halves, no rows", USUAL, 5,
         0, 4, 2, 32, 128, 0, 128, 0, 128, 64, 128, 0, 16, 1, 0.176777f, 1)

    /* attention_back_q: rows, heads, heads_k, hd, ldq, offq, ldk, offk, ldv, offv, ldo,
     * offo, offdo, lddq, offdq, scale */
    CASE(attention_back_q, "head size 8", USUAL, 19,
         19, 4, 2, 8, 128, 0, 128, 0, 128, 16, 256, 0, 128, 128, 0, 0.353553f)
    CASE(attention_back_q, "head size 16", USUAL, 19,
         19, 4, 2, 16, 128, 0, 128, 0, 128, 32, 256, 0, 128, 128, 0, 0.250000f)
    CASE(attention_back_q, "head size 32", USUAL, 19,
         19, 4, 2, 32, 128, 0, 128, 0, 128, 64, 256, 0, 128, 128, 0, 0.176777f)
    CASE(attention_back_q, "head size 64", USUAL, 19,
         19, 4, 2, 64, 256, 0, 256, 0, 256, 128, 512, 0, 256, 256, 0, 0.125000f)
    CASE(attention_back_q, "head size 128", USUAL, 19,
         19, 4, 2, 128, 512, 0, 512, 0, 512, 256, 1024, 0, 512, 512, 0, 0.088388f)
    CASE(attention_back_q, "head size 4", USUAL, 19,
         19, 4, 2, 4, 128, 0, 128, 0, 128, 8, 256, 0, 128, 128, 0, 0.500000f)
    CASE(attention_back_q, "head size 36", USUAL, 19,
         19, 4, 2, 36, 256, 0, 256, 0, 256, 72, 512, 0, 256, 256, 0, 0.166667f)
    CASE(attention_back_q, "head size 80", USUAL, 19,
         19, 4, 2, 80, 384, 0, 384, 0, 384, 160, 768, 0, 384, 384, 0, 0.111803f)
    CASE(attention_back_q, "head size 96", USUAL, 19,
         19, 4, 2, 96, 384, 0, 384, 0, 384, 192, 768, 0, 384, 384, 0, 0.102062f)
    CASE(attention_back_q, "head size 100", USUAL, 19,
         19, 4, 2, 100, 512, 0, 512, 0, 512, 200, 1024, 0, 512, 512, 0, 0.100000f)
    CASE(attention_back_q, "head size 256", USUAL, 19,
         19, 4, 2, 256, 1024, 0, 1024, 0, 1024, 512, 2048, 0, 1024, 1024, 0, 0.062500f)
    CASE(attention_back_q, "1 rows in sequences of 1", USUAL, 1,
         1, 3, 1, 16, 128, 0, 128, 0, 128, 16, 256, 0, 128, 128, 0, 0.250000f)
    CASE(attention_back_q, "7 rows in sequences of 8", USUAL, 8,
         7, 3, 1, 16, 128, 0, 128, 0, 128, 16, 256, 0, 128, 128, 0, 0.250000f)
    CASE(attention_back_q, "9 rows in sequences of 9", USUAL, 9,
         9, 3, 1, 16, 128, 0, 128, 0, 128, 16, 256, 0, 128, 128, 0, 0.250000f)
    CASE(attention_back_q, "64 rows in sequences of 63", USUAL, 63,
         64, 3, 1, 16, 128, 0, 128, 0, 128, 16, 256, 0, 128, 128, 0, 0.250000f)
    CASE(attention_back_q, "65 rows in sequences of 33", USUAL, 33,
         65, 3, 1, 16, 128, 0, 128, 0, 128, 16, 256, 0, 128, 128, 0, 0.250000f)
    CASE(attention_back_q, "seven heads share one", USUAL, 17,
         17, 7, 1, 64, 512, 0, 128, 0, 128, 64, 1024, 0, 512, 512, 0, 0.125000f)
    CASE(attention_back_q, "longest heads, odd in number", USUAL, 45,
         47, 3, 1, 256, 768, 0, 512, 0, 512, 256, 1536, 0, 768, 768, 0, 0.062500f)
    CASE(attention_back_q, "heads of 80, odd in number", USUAL, 45,
         47, 5, 1, 80, 512, 0, 256, 0, 256, 80, 1024, 0, 512, 512, 0, 0.111803f)
    CASE(attention_back_q, "long heads, odd in number", USUAL, 45,
         47, 3, 1, 128, 384, 0, 256, 0, 256, 128, 768, 0, 384, 384, 0, 0.088388f)

    /* attention_back_kv: rows, heads, heads_k, hd, ldq, offq, ldk, offk, ldv, offv,
     * ldo, offdo, lddk, offdk, offdv, scale */
    CASE(attention_back_kv, "head size 8", USUAL, 19,
         19, 4, 2, 8, 128, 0, 128, 0, 128, 16, 256, 128, 128, 0, 16, 0.353553f)
    CASE(attention_back_kv, "head size 16", USUAL, 19,
         19, 4, 2, 16, 128, 0, 128, 0, 128, 32, 256, 128, 128, 0, 32, 0.250000f)
    CASE(attention_back_kv, "head size 32", USUAL, 19,
         19, 4, 2, 32, 128, 0, 128, 0, 128, 64, 256, 128, 128, 0, 64, 0.176777f)
    CASE(attention_back_kv, "head size 64", USUAL, 19,
         19, 4, 2, 64, 256, 0, 256, 0, 256, 128, 512, 256, 256, 0, 128, 0.125000f)
    CASE(attention_back_kv, "head size 128", USUAL, 19,
         19, 4, 2, 128, 512, 0, 512, 0, 512, 256, 1024, 512, 512, 0, 256, 0.088388f)
    CASE(attention_back_kv, "head size 4", USUAL, 19,
         19, 4, 2, 4, 128, 0, 128, 0, 128, 8, 256, 128, 128, 0, 8, 0.500000f)
    CASE(attention_back_kv, "head size 36", USUAL, 19,
         19, 4, 2, 36, 256, 0, 256, 0, 256, 72, 512, 256, 256, 0, 72, 0.166667f)
    CASE(attention_back_kv, "head size 80", USUAL, 19,
         19, 4, 2, 80, 384, 0, 384, 0, 384, 160, 768, 384, 384, 0, 160, 0.111803f)
    CASE(attention_back_kv, "head size 96", USUAL, 19,
         19, 4, 2, 96, 384, 0, 384, 0, 384, 192, 768, 384, 384, 0, 192, 0.102062f)
    CASE(attention_back_kv, "head size 100", USUAL, 19,
         19, 4, 2, 100, 512, 0, 512, 0, 512, 200, 1024, 512, 512, 0, 200, 0.100000f)
    CASE(attention_back_kv, "head size 256", USUAL, 19,
         19, 4, 2, 256, 1024, 0, 1024, 0, 1024, 512, 2048, 1024, 1024, 0, 512, 0.062500f)
    CASE(attention_back_kv, "1 rows in sequences of 1", USUAL, 1,
         1, 3, 1, 16, 128, 0, 128, 0, 128, 16, 256, 128, 128, 0, 16, 0.250000f)
    CASE(attention_back_kv, "7 rows in sequences of 8", USUAL, 8,
         7, 3, 1, 16, 128, 0, 128, 0, 128, 16, 256, 128, 128, 0, 16, 0.250000f)
    CASE(attention_back_kv, "9 rows in sequences of 9", USUAL, 9,
         9, 3, 1, 16, 128, 0, 128, 0, 128, 16, 256, 128, 128, 0, 16, 0.250000f)
    CASE(attention_back_kv, "64 rows in sequences of 63", USUAL, 63,
         64, 3, 1, 16, 128, 0, 128, 0, 128, 16, 256, 128, 128, 0, 16, 0.250000f)
    CASE(attention_back_kv, "65 rows in sequences of 33", USUAL, 33,
         65, 3, 1, 16, 128, 0, 128, 0, 128, 16, 256, 128, 128, 0, 16, 0.250000f)
    CASE(attention_back_kv, "seven heads share one", USUAL, 17,
         17, 7, 1, 64, 512, 0, 128, 0, 128, 64, 1024, 512, 128, 0, 64, 0.125000f)
    CASE(attention_back_kv, "longest heads, odd in number", USUAL, 45,
         47, 3, 1, 256, 768, 0, 512, 0, 512, 256, 1536, 768, 512, 0, 256, 0.062500f)
    CASE(attention_back_kv, "heads of 80, odd in number", USUAL, 45,
         47, 5, 1, 80, 512, 0, 256, 0, 256, 80, 1024, 512, 256, 0, 80, 0.111803f)
    CASE(attention_back_kv, "long heads, odd in number", USUAL, 45,
         47, 3, 1, 128, 384, 0, 256, 0, 256, 128, 768, 384, 256, 0, 128, 0.088388f)

    /* swiglu: rows, cols, ldx, offg, offu, ldh */
    CASE(swiglu, "0 rows of 128", USUAL, 0, 0, 128, 256, 0, 128, 128)
    CASE(swiglu, "1 rows of 4", USUAL, 0, 1, 4, 256, 0, 128, 128)
    CASE(swiglu, "63 rows of 96", USUAL, 0, 63, 96, 256, 0, 128, 128)
    CASE(swiglu, "65 rows of 100", USUAL, 0, 65, 100, 256, 0, 128, 128)
    CASE(swiglu, "3 rows of 576", USUAL, 0, 3, 576, 1280, 0, 640, 640)
    CASE(swiglu, "gates beyond the exponential", LARGE, 0, 5, 128, 256, 0, 128, 128)

    /* swiglu_back: rows, cols, ldx, offg, offu, lddh, lddx */
    CASE(swiglu_back, "0 rows of 128", USUAL, 0, 0, 128, 256, 0, 128, 128, 256)
    CASE(swiglu_back, "1 rows of 4", USUAL, 0, 1, 4, 256, 0, 128, 128, 256)
    CASE(swiglu_back, "63 rows of 96", USUAL, 0, 63, 96, 256, 0, 128, 128, 256)
    CASE(swiglu_back, "65 rows of 100", USUAL, 0, 65, 100, 256, 0, 128, 128, 256)
    CASE(swiglu_back, "3 rows of 576", USUAL, 0, 3, 576, 1280, 0, 640, 640, 1280)
    CASE(swiglu_back, "gates beyond the exponential", LARGE, 0,
         5, 128, 256, 0, 128, 128, 256)

    /* add: count, scale */
    CASE(add, "0 floats", USUAL, 0, 0, -0.75f)
    CASE(add, "4 floats", USUAL, 0, 4, -0.75f)
    CASE(add, "252 floats", USUAL, 0, 252, -0.75f)
    CASE(add, "256 floats", USUAL, 0, 256, -0.75f)
    CASE(add, "260 floats", USUAL, 0, 260, -0.75f)
    CASE(add, "5000 floats", USUAL, 0, 5000, -0.75f)
    CASE(add, "not finite", BROKEN, 0, 512, 1.0f)

    /* gather: rows, cols, ldx, ldy */
    CASE(gather, "0 rows of 128", USUAL, 0, 0, 128, 128, 256)
    CASE(gather, "1 rows of 4", USUAL, 0, 1, 4, 128, 256)
    CASE(gather, "63 rows of 100", USUAL, 0, 63, 100, 128, 256)
    CASE(gather, "65 rows of 128", USUAL, 0, 65, 128, 128, 256)

    /* columns: rows, cols, ldx, offx, ldy, offy, accumulate */
    CASE(columns, "0 rows of 128", USUAL, 0, 0, 128, 128, 0, 256, 0, 0)
    CASE(columns, "1 rows of 4", USUAL, 0, 1, 4, 128, 0, 256, 0, 0)
    CASE(columns, "63 rows of 100", USUAL, 0, 63, 100, 128, 0, 128, 0, 0)
    CASE(columns, "65 rows of 256, added", USUAL, 0, 65, 256, 256, 0, 256, 0, 1)
    CASE(columns, "5 rows of 96 with offsets, added", USUAL, 0, 5, 96, 256, 128, 384, 128, 1)

    /* logits_stat: rows, vocab, ldl */
    CASE(logits_stat, "0 rows of 100", USUAL, 0, 0, 100, 128)
    CASE(logits_stat, "1 rows of 1", USUAL, 0, 1, 1, 128)
    CASE(logits_stat, "63 rows of 100", USUAL, 0, 63, 100, 128)
    CASE(logits_stat, "64 rows of 127", USUAL, 0, 64, 127, 128)
    CASE(logits_stat, "65 rows of 128", USUAL, 0, 65, 128, 128)
    CASE(logits_stat, "5 rows of 151", USUAL, 0, 5, 151, 256)
    CASE(logits_stat, "3 rows of 5003", USUAL, 0, 3, 5003, 5120)
    CASE(logits_stat, "2 rows of 151936", USUAL, 0, 2, 151936, 151936)
    CASE(logits_stat, "ties go to the lowest id", TIES, 0, 64, 100, 128)
    CASE(logits_stat, "not finite", BROKEN, 0, 64, 100, 128)
    CASE(logits_stat, "masked ids", MASKED, 0, 64, 100, 128)
    CASE(logits_stat, "large logits", LARGE, 0, 9, 100, 128)

    /* ce_back: rows, vocab, ldl */
    CASE(ce_back, "0 rows of 100", USUAL, 0, 0, 100, 128)
    CASE(ce_back, "1 rows of 1", USUAL, 0, 1, 1, 128)
    CASE(ce_back, "63 rows of 100", USUAL, 0, 63, 100, 128)
    CASE(ce_back, "64 rows of 127", USUAL, 0, 64, 127, 128)
    CASE(ce_back, "65 rows of 128", USUAL, 0, 65, 128, 128)
    CASE(ce_back, "5 rows of 151", USUAL, 0, 5, 151, 256)
    CASE(ce_back, "3 rows of 5003", USUAL, 0, 3, 5003, 5120)

    /* kl: rows, vocab, ldl, inv_temp, want_grad */
    CASE(kl, "0 rows of 100", USUAL, 0, 0, 100, 128, 1.0f, 1)
    CASE(kl, "1 rows of 1", USUAL, 0, 1, 1, 128, 0.5f, 1)
    CASE(kl, "63 rows of 100", USUAL, 0, 63, 100, 128, 0.5f, 1)
    CASE(kl, "64 rows of 127", USUAL, 0, 64, 127, 128, 1.0f, 1)
    CASE(kl, "65 rows of 128", USUAL, 0, 65, 128, 128, 0.5f, 1)
    CASE(kl, "5 rows of 151", USUAL, 0, 5, 151, 256, 0.5f, 1)
    CASE(kl, "3 rows of 5003", USUAL, 0, 3, 5003, 5120, 0.5f, 1)
    CASE(kl, "2 rows of 151936", USUAL, 0, 2, 151936, 151936, 0.5f, 1)
    CASE(kl, "no gradient", USUAL, 0, 9, 300, 384, 1.0f, 0)
    CASE(kl, "ties go to the lowest id", TIES, 0, 64, 100, 128, 1.0f, 1)
    CASE(kl, "not finite", BROKEN, 0, 64, 100, 128, 1.0f, 1)
    CASE(kl, "masked ids", MASKED, 0, 64, 9, 128, 1.0f, 1)
    CASE(kl, "large logits", LARGE, 0, 9, 100, 128, 1.0f, 1)

    /* sample: rows, vocab, ldl, inv_temp, top_p, seed_low, seed_high */
    CASE(sample, "0 rows of 100, all of it", USUAL, 0, 0, 100, 128, 1.0f, 1.0f, 7, 0)
    CASE(sample, "0 rows of 100, nucleus", USUAL, 0, 0, 100, 128, 1.4f, 0.9f, 100, 3)
    CASE(sample, "1 rows of 1, all of it", USUAL, 0, 1, 1, 128, 1.0f, 1.0f, 7, 1)
    CASE(sample, "1 rows of 1, nucleus", USUAL, 0, 1, 1, 128, 1.4f, 0.9f, 1, 3)
    CASE(sample, "63 rows of 100, all of it", USUAL, 0, 63, 100, 128, 1.0f, 1.0f, 7, 63)
    CASE(sample, "63 rows of 100, nucleus", USUAL, 0, 63, 100, 128, 1.4f, 0.9f, 100, 3)
    CASE(sample, "64 rows of 127, all of it", USUAL, 0, 64, 127, 128, 1.0f, 1.0f, 7, 64)
    CASE(sample, "64 rows of 127, nucleus", USUAL, 0, 64, 127, 128, 1.4f, 0.9f, 127, 3)
    CASE(sample, "65 rows of 128, all of it", USUAL, 0, 65, 128, 128, 1.0f, 1.0f, 7, 65)
    CASE(sample, "65 rows of 128, nucleus", USUAL, 0, 65, 128, 128, 1.4f, 0.9f, 128, 3)
    CASE(sample, "5 rows of 151, all of it", USUAL, 0, 5, 151, 256, 1.0f, 1.0f, 7, 5)
    CASE(sample, "5 rows of 151, nucleus", USUAL, 0, 5, 151, 256, 1.4f, 0.9f, 151, 3)
    CASE(sample, "3 rows of 5003, all of it", USUAL, 0, 3, 5003, 5120, 1.0f, 1.0f, 7, 3)
    CASE(sample, "3 rows of 5003, nucleus", USUAL, 0, 3, 5003, 5120, 1.4f, 0.9f, 5003, 3)
    CASE(sample, "2 rows of 151936, all of it", USUAL, 0, 2, 151936, 151936, 1.0f, 1.0f, 7, 4)
    CASE(sample, "2 rows of 151936, nucleus", USUAL, 0, 2, 151936, 151936, 1.4f, 0.9f, 9, 3)
    CASE(sample, "3 rows of 8192, nucleus", USUAL, 0, 3, 8192, 8192, 1.4f, 0.9f, 8, 3)
    CASE(sample, "masked ids", MASKED, 0, 64, 100, 128, 1.0f, 0.95f, 1, 2)
    CASE(sample, "ties", TIES, 0, 64, 100, 128, 1.0f, 0.8f, 1, 2)

    /* dpo: pairs, loss, beta, sft, sft_norm */
    CASE(dpo, "sigmoid, one pair", USUAL, 0, 1, DPO_SIGMOID, 0.1f, 0.0f, 0)
    CASE(dpo, "sigmoid, nine pairs with supervised term", USUAL, 0,
         9, DPO_SIGMOID, 0.3f, 0.2f, 1)
    CASE(dpo, "hinge, one pair", USUAL, 0, 1, DPO_HINGE, 0.1f, 0.0f, 0)
    CASE(dpo, "hinge, nine pairs with supervised term", USUAL, 0,
         9, DPO_HINGE, 0.3f, 0.2f, 0)
    CASE(dpo, "IPO, one pair", USUAL, 0, 1, DPO_IPO, 0.1f, 0.0f, 0)
    CASE(dpo, "IPO, nine pairs with supervised term", USUAL, 0, 9, DPO_IPO, 0.3f, 0.2f, 1)
    CASE(dpo, "sigmoid far out on both sides", USUAL, 0, 9, DPO_SIGMOID, 20.0f, 1.0f, 0)

    /* sumsq: count */
    CASE(sumsq, "1 floats", USUAL, 0, 1)
    CASE(sumsq, "1023 floats", USUAL, 0, 1023)
    CASE(sumsq, "1024 floats", USUAL, 0, 1024)
    CASE(sumsq, "1025 floats", USUAL, 0, 1025)
    CASE(sumsq, "70000 floats", USUAL, 0, 70000)

    /* clip: count, max_norm */
    CASE(clip, "1 partial sums, limit 0.0", USUAL, 0, 1, 0.0f)
    CASE(clip, "1 partial sums, limit 1e9", USUAL, 0, 1, 1e9f)
    CASE(clip, "69 partial sums, limit 1.0", USUAL, 0, 69, 1.0f)

    /* adamw: count */
    CASE(adamw, "4 floats", USUAL, 0, 4)
    CASE(adamw, "252 floats", USUAL, 0, 252)
    CASE(adamw, "260 floats", USUAL, 0, 260)
    CASE(adamw, "4096 floats", USUAL, 0, 4096)
    CASE(adamw, "vanishing gradients", TINY, 0, 256)

    /* peak_fma: count, steps, a, b, chains */
    CASE(peak_fma, "4 floats, no steps", USUAL, 0, 4, 0, -0.75f, 0.5f, 1)
    CASE(peak_fma, "one chain", USUAL, 0, 260, 7, -0.75f, 0.5f, 1)
    CASE(peak_fma, "two chains, the last workgroup not full", USUAL, 0, 1028, 39, -0.75f, 0.5f, 2)
    CASE(peak_fma, "four chains", USUAL, 0, 1024, 16, 1.25f, -1.0f, 4)
    CASE(peak_fma, "eight chains, fewer floats than those", USUAL, 0, 12, 9, 0.999f, 0.001f, 8)

    /* peak_copy: count, texel */
    CASE(peak_copy, "4 floats", USUAL, 0, 4, 0)
    CASE(peak_copy, "1028 floats", USUAL, 0, 1028, 0)
    CASE(peak_copy, "5000 floats, by texels", USUAL, 0, 5000, 1)
    CASE(peak_copy, "not finite", BROKEN, 0, 512, 1)

    /* peak_read: blocks, rows, texel */
    CASE(peak_read, "one block of no rows", USUAL, 0, 1, 0, 0)
    CASE(peak_read, "9 blocks of 7 rows", USUAL, 0, 9, 7, 0)
    CASE(peak_read, "3 blocks of 64 rows, by texels", USUAL, 0, 3, 64, 1)
};
/* clang-format on */

const uint32_t rt_op_case_count = RT_COUNT(rt_op_case_list);

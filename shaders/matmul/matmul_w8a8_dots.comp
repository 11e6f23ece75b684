#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#extension GL_EXT_integer_dot_product : require
#include "shaders/push.h"

/* y[row][m] = float(sum_k q[row][k] c[m][k]) sx[row] sw[m], then LoRA, bias and residual:
 * see matmul_w8a8_push.
 *
 * For devices with integer dot products of signed bytes. A sum of whole numbers below 2^31
 * has no order, so the bits are those of the kernels that emulate it. Codes are in memory as
 * a dot takes them, four inputs a word. A step of 32 inputs: an invocation stages one texel
 * of the weight and TILE_N / 64 of q, and multiplies TILE_N / 8 rows by four outputs, of
 * which it loads every word once (TILE_N / 4 + 8 loads of four words for 4 TILE_N dots).
 * Constants  14: TILE_N, rows of a tile.
 * Grid    (out_pad / TILE_M, rows / TILE_N).
 * Cost    2 rows out in FLOPs, eight a dot; bytes: the weight rows / TILE_N times, q
 *         out_pad / TILE_M times, y once. 4 KiB of shared memory.
 * Twin    runtime/ref/ref_w8a8.c
 * Committed as shaders/spirv/matmul_w8a8_dots.inc: bench/spirv.sh makes it. */

layout(local_size_x = 128) in;
layout(constant_id = 14) const int TILE_N_ = 64;
#define TEXEL 0
#include "shaders/lib/w8a8.glsl"

const int THREADS = 128, TILE_M = 64, TILE_N = TILE_N_;
const int COLS = 4, ACROSS = TILE_M / COLS, DOWN = THREADS / ACROSS; /* of invocations */
const int ROWS = TILE_N_ / 8; /* rows of an invocation */

shared ivec4 tile_w[2 * TILE_M]; /* [half][output]: 16 codes each */
shared ivec4 tile_q[2 * TILE_N]; /* [half][row] */

int sum[ROWS][COLS];

void stage(int id, int tile0, int row0, int t)
{
    const int texel_row = int(p.in_pad) / 16, ldq4 = int(p.ldq) / 4, m = tile0 + id % TILE_M;
    tile_w[id] = ivec4(w((m / 8 * texel_row + t + id / TILE_M) * 8 + m % 8) ^ 0x80808080u);
    for (int i = id; i < 2 * TILE_N; i += THREADS)
        tile_q[i] = ivec4(q((row0 + i % TILE_N) * ldq4 + t + i / TILE_N));
}

void multiply(int col, int row)
{
    ivec4 c[2 * COLS];
    [[unroll]] for (int j = 0; j < COLS; j++) {
        c[j] = tile_w[col + ACROSS * j];
        c[COLS + j] = tile_w[TILE_M + col + ACROSS * j];
    }
    [[unroll]] for (int r = 0; r < ROWS; r++) {
        const ivec4 low = tile_q[row + DOWN * r], high = tile_q[TILE_N + row + DOWN * r];
        [[unroll]] for (int j = 0; j < COLS; j++)
            [[unroll]] for (int i = 0; i < 4; i++)
                sum[r][j] += dotPacked4x8EXT(c[j][i], low[i]) +
                             dotPacked4x8EXT(c[COLS + j][i], high[i]);
    }
}

void main()
{
    const int id = int(gl_LocalInvocationIndex), col = id % ACROSS, row = id / ACROSS;
    const int tile0 = int(gl_WorkGroupID.x) * TILE_M, row0 = int(gl_WorkGroupID.y) * TILE_N;
    [[unroll]] for (int r = 0; r < ROWS; r++)
        [[unroll]] for (int j = 0; j < COLS; j++) sum[r][j] = 0;
    for (int t = 0; t < int(p.in_pad) / 16; t += 2) { /* in_pad is a multiple of 32 */
        barrier(); /* the last step has been read */
        stage(id, tile0, row0, t);
        barrier();
        multiply(col, row);
    }
    [[unroll]] for (int r = 0; r < ROWS; r++)
        [[unroll]] for (int j = 0; j < COLS; j++)
            finish(sum[r][j], row0 + row + DOWN * r, tile0 + col + ACROSS * j, tile0);
}

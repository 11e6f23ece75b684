#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#include "shaders/push.h"

/* y[row][m] = float(sum_k q[row][k] c[m][k]) sx[row] sw[m], then LoRA, bias and residual:
 * see matmul_w8a8_push.
 *
 * For GPUs without integer dots: bytes become floats once a tile, in shared memory, and are
 * multiplied and summed there, which is exact (lib/w8a8.glsl).
 * Macros  TILE_M, TILE_N; WIDTH = TILE_M TILE_N / 16 invocations; TEXEL 0.
 * Grid    (out_pad / TILE_M, rows / TILE_N).
 * Cost    2 rows out in FLOPs.
 * Twin    runtime/ref/ref_w8a8.c */

layout(local_size_x = WIDTH) in;
#include "shaders/lib/w8a8.glsl"
#include "shaders/lib/tile.glsl"

int sum[16]; /* [row][column] */

void stage_m(int k4, int m, vec4 v)
{
    [[unroll]] for (int c = 0; c < 4; c++) tile_m[(4 * k4 + c) * SPREAD_M + m] = v[c];
}

/* Inputs 4 STEP4 step .. of the outputs and rows of this tile: texels of 16 codes. */
void stage(int id, int tile0, int row0, int t0, int texels)
{
    const int texel_row = int(p.in_pad) / 16, ldq4 = int(p.ldq) / 4;
    for (int i = id; i < TILE_M * texels; i += THREADS) {
        const int col = i % TILE_M, t = i / TILE_M, m = tile0 + col;
        const uvec4 c = w((m / 8 * texel_row + t0 + t) * 8 + m % 8) ^ 0x80808080u;
        [[unroll]] for (int s = 0; s < 4; s++) stage_m(4 * t + s, col, bytes_of(c, s));
    }
    for (int i = id; i < TILE_N * texels; i += THREADS) {
        const int t = i % texels, row = i / texels;
        const uvec4 a = q((row0 + row) * ldq4 + t0 + t);
        [[unroll]] for (int s = 0; s < 4; s++) stage_n(4 * t + s, row, bytes_of(a, s));
    }
}

void fold()
{
    [[unroll]] for (int i = 0; i < 16; i++) {
        sum[i] += int(acc[i]);
        acc[i] = 0.0;
    }
}

void main()
{
    const int id = int(gl_LocalInvocationIndex);
    const int tile0 = int(gl_WorkGroupID.x) * TILE_M, row0 = int(gl_WorkGroupID.y) * TILE_N;
    const int texels = int(p.in_pad) / 16, step = STEP / 16;
    [[unroll]] for (int i = 0; i < 16; i++) {
        sum[i] = 0;
        acc[i] = 0.0;
    }
    for (int t = 0; t < texels; t += step) { /* in_pad is a multiple of 32 */
        if (t % BLOCK_TEXELS == 0)
            fold();
        barrier(); /* the last step has been read */
        stage(id, tile0, row0, t, step);
        barrier();
        multiply(STEP4);
    }
    fold();
    const int m0 = tile0 + 4 * tile_col(), n0 = row0 + 4 * tile_row();
    [[unroll]] for (int i = 0; i < 4; i++) {
        const float scale_x = input_scale(n0 + i);
        [[unroll]] for (int j = 0; j < 4; j++)
            acc[4 * i + j] = scaled(sum[4 * i + j], scale_x, row_scale(m0 + j));
    }
    if ((FLAGS & int(MATMUL_LORA)) != 0)
        for (int k = 0; k < int(p.rank) / 4; k++)
            [[unroll]] for (int i = 0; i < 4; i++) {
                const vec4 v = down(n0 + i, tile0, k);
                [[unroll]] for (int j = 0; j < 4; j++) {
                    const vec4 l = up(m0 + j, k);
                    [[unroll]] for (int e = 0; e < 4; e++)
                        acc[4 * i + j] = fma(v[e], l[e], acc[4 * i + j]);
                }
            }
    [[unroll]] for (int i = 0; i < 4; i++)
        [[unroll]] for (int j = 0; j < 4; j++) put(acc[4 * i + j], n0 + i, m0 + j);
}

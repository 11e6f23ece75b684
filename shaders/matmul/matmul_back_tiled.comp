#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#include "shaders/push.h"

/* dx[row][k] (+)= sum_m dy[row][m] w[m][k], then LoRA: see matmul_back_push.
 *
 * For GPUs: a tile of the stored weight is decoded into shared memory, m = 0, 1, 2 ...
 * in order (shaders/lib/tile.glsl).
 * Macros  TILE_M columns of dx, TILE_N rows; WIDTH = TILE_M TILE_N / 16; TEXEL 0.
 * Grid    (in_pad / TILE_M, rows / TILE_N).
 * Cost    2 rows out in FLOPs.
 * Twin    runtime/ref/ref_matmul.c */

layout(local_size_x = WIDTH) in;

#include "shaders/lib/operand.glsl"
#include "shaders/lib/weight_any.glsl"
OPERAND(2, dy)
OPERAND(3, du)
OPERAND(4, a)
layout(binding = 5) buffer Dx { vec4 dx[]; };
layout(push_constant) uniform Push { matmul_back_push p; };

#include "shaders/lib/tile.glsl"

/* Columns 4 col .. 4 col + 3 of row m of the weight operand. */
void stage_m(int m, int col, vec4 v)
{
    [[unroll]] for (int c = 0; c < 4; c++) tile_m[m * SPREAD_M + 4 * col + c] = v[c];
}

void main()
{
    const int id = int(gl_LocalInvocationIndex);
    const int col0 = int(gl_WorkGroupID.x) * (TILE_M / 4); /* in vec4 columns */
    const int row0 = int(gl_WorkGroupID.y) * TILE_N;
    const int k4 = int(p.in_pad) / 4, m4 = int(p.out_pad) / 4, r4 = int(p.rank) / 4;

    for (int m = 0; m < m4; m += STEP4) {
        const int count = min(STEP4, m4 - m);
        sum_begin(m);
        barrier(); /* the last step has been read */
        for (int t = 0; t < TILE_M * STEP4 / THREADS; t++) {
            const int i = id + t * THREADS, mm = i % STEP, col = i / STEP;
            if (mm < 4 * count)
                stage_m(mm, col, weight_at(4 * m + mm, min(col0 + col, k4 - 1), k4));
        }
        [[unroll]] for (int t = 0; t < TILE_N * STEP4 / THREADS; t++) {
            const int i = id + t * THREADS, mm = i % STEP4, row = i / STEP4;
            if (mm < count)
                stage_n(mm, row,
                        dy(((row0 + row) * int(p.lddy) + int(p.offdy)) / 4 + m + mm));
        }
        barrier();
        multiply(count);
    }
    sum_end();
    for (int m = 0; m < r4; m += STEP4) {
        const int count = min(STEP4, r4 - m);
        barrier();
        [[unroll]] for (int t = 0; t < TILE_M * STEP4 / THREADS; t++) {
            const int i = id + t * THREADS, mm = i % STEP, col = i / STEP;
            const int j = 4 * m + mm, k = min(col0 + col, k4 - 1);
            if (mm < 4 * count)
                stage_m(mm, col, a((j / 8 * k4 + k) * 8 + j % 8));
        }
        [[unroll]] for (int t = 0; t < TILE_N * STEP4 / THREADS; t++) {
            const int i = id + t * THREADS, mm = i % STEP4, row = i / STEP4;
            if (mm < count)
                stage_n(mm, row, du((row0 + row) * int(p.lddu) / 4 + m + mm));
        }
        barrier();
        multiply(count);
    }
    const int col = col0 + tile_col();
    if (col >= k4)
        return;
    [[unroll]] for (int i = 0; i < 4; i++) {
        const int row = row0 + 4 * tile_row() + i;
        const int at = (row * int(p.lddx) + int(p.offdx)) / 4 + col;
        const vec4 v = vec4(acc[4 * i], acc[4 * i + 1], acc[4 * i + 2], acc[4 * i + 3]);
        dx[at] = p.accumulate != 0 ? dx[at] + v : v;
    }
}

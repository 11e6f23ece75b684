#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#include "shaders/push.h"

/* y[row][m] = sum_k x[row][k] w[m][k], then LoRA, bias and residual: see matmul_push.
 *
 * For GPUs: the weight is decoded once a tile into shared memory, k = 0, 1, 2 ... in
 * order (shaders/lib/tile.glsl).
 * Macros  TILE_M, TILE_N; WIDTH = TILE_M TILE_N / 16 invocations; TEXEL 0.
 * Grid    (out_pad / TILE_M, rows / TILE_N).
 * Cost    2 rows out in FLOPs.
 * Twin    runtime/ref/ref_matmul.c */

layout(local_size_x = WIDTH) in;
layout(constant_id = 11) const int FLAGS = 0;

#include "shaders/lib/operand.glsl"
#include "shaders/lib/weight_any.glsl"
OPERAND(2, x)
OPERAND(3, u)
OPERAND(4, b)
layout(binding = 5) readonly buffer Bias { float bias[]; };
layout(binding = 6) readonly buffer Residual { float residual[]; };
layout(binding = 7) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { matmul_push p; };

#include "shaders/lib/tile.glsl"

void stage_m(int k4, int m, vec4 v)
{
    [[unroll]] for (int c = 0; c < 4; c++) tile_m[(4 * k4 + c) * SPREAD_M + m] = v[c];
}

void main()
{
    const int id = int(gl_LocalInvocationIndex);
    const int tile0 = int(gl_WorkGroupID.x) * TILE_M, row0 = int(gl_WorkGroupID.y) * TILE_N;
    const int k4 = int(p.in_pad) / 4;

    for (int k = 0; k < k4; k += STEP4) {
        const int count = min(STEP4, k4 - k);
        sum_begin(k);
        barrier(); /* the last step has been read */
        for (int t = 0; t < TILE_M * STEP4 / THREADS; t++) {
            const int i = id + t * THREADS, m = i % TILE_M, kk = i / TILE_M;
            if (kk < count)
                stage_m(kk, m, weight_at(tile0 + m, k + kk, k4));
        }
        [[unroll]] for (int t = 0; t < TILE_N * STEP4 / THREADS; t++) {
            const int i = id + t * THREADS, kk = i % STEP4, row = i / STEP4;
            if (kk < count)
                stage_n(kk, row, x(((row0 + row) * int(p.ldx) + int(p.offx)) / 4 + k + kk));
        }
        barrier();
        multiply(count);
    }
    sum_end();
    if ((FLAGS & int(MATMUL_LORA)) != 0) {
        const int part = (tile0 >= int(p.part1) ? 1 : 0) + (tile0 >= int(p.part2) ? 1 : 0);
        const int r4 = int(p.rank) / 4;
        for (int k = 0; k < r4; k += STEP4) {
            const int count = min(STEP4, r4 - k);
            barrier();
            [[unroll]] for (int t = 0; t < TILE_M * STEP4 / THREADS; t++) {
                const int i = id + t * THREADS, col = i % TILE_M, m = tile0 + col;
                const int kk = i / TILE_M;
                if (kk < count)
                    stage_m(kk, col, b((m / 8 * r4 + k + kk) * 8 + m % 8));
            }
            [[unroll]] for (int t = 0; t < TILE_N * STEP4 / THREADS; t++) {
                const int i = id + t * THREADS, kk = i % STEP4, row = i / STEP4;
                if (kk < count)
                    stage_n(kk, row, u((row0 + row) * int(p.ldu) / 4 + part * r4 + k + kk));
            }
            barrier();
            multiply(count);
        }
    }
    const int m0 = tile0 + 4 * tile_col();
    [[unroll]] for (int i = 0; i < 4; i++)
        [[unroll]] for (int j = 0; j < 4; j++) {
            const int row = row0 + 4 * tile_row() + i;
            const int at = row * int(p.ldy) + int(p.offy) + m0 + j;
            float v = acc[4 * i + j];
            if ((FLAGS & int(MATMUL_BIAS)) != 0)
                v += bias[m0 + j];
            if ((FLAGS & int(MATMUL_RESIDUAL)) != 0)
                v += residual[at];
            y[at] = v;
        }
}

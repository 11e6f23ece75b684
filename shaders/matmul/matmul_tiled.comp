#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#include "shaders/push.h"

/* y[row][m] = sum_k x[row][k] w[m][k], then LoRA, bias and residual: see matmul_push.
 *
 * For GPUs: the weight is decoded once a tile into shared memory, k = 0, 1, 2 ... in
 * order (shaders/lib/tile_rows.glsl), codes by lib/weight_fast.glsl.
 * Macros  TILE_M, TILE_N; TU rows an invocation; WIDTH = TILE_M TILE_N / (4 TU); TEXEL 0.
 * Grid    (out_pad / TILE_M, rows / TILE_N).
 * Cost    2 rows out in FLOPs; bytes: the weight rows / TILE_N times, x out_pad / TILE_M
 *         times, y once. Of 4 inputs an invocation issues 16 TU fma and TU + 4 loads from
 *         shared memory, and decodes 4 TILE_M / WIDTH weights.
 * Twin    runtime/ref/ref_matmul.c */

layout(local_size_x = WIDTH) in;
layout(constant_id = 11) const int FLAGS = 0;
layout(constant_id = 14) const uint LOADS_MOST = 0u;
#define UNKNOWN_ZERO (gl_GlobalInvocationID.x >> 31)

#include "shaders/lib/weight_any.glsl"
layout(binding = 2) readonly buffer X { vec4 x[]; };
layout(binding = 3) readonly buffer U { vec4 u[]; };
layout(binding = 4) readonly buffer B { vec4 b[]; };
layout(binding = 5) readonly buffer Bias { float bias[]; };
layout(binding = 6) readonly buffer Residual { float residual[]; };
layout(binding = 7) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { matmul_push p; };

#include "shaders/lib/tile_rows.glsl"

/* This invocation stages 4 EACH elements of one column. */
const uint EACH = STEP4 * TILE_M / THREADS;
uint stage_col() { return gl_LocalInvocationIndex % TILE_M; }
uint stage_from() { return gl_LocalInvocationIndex / TILE_M * EACH; }

void stage_m(uint t, vec4 v) { tile_m[place_m(stage_col(), stage_from() + t)] = v; }

void stage_weight(fast_row w, uint k)
{
    if (BITS >= 16) {
        [[unroll]] for (uint t = 0u; t < EACH; t++)
            if (k + stage_from() + t < w.k4)
                stage_m(t, fast_float4(w, k + stage_from() + t));
        return;
    }
    weight_run run = fast_open(w, k / 8u);
    const uint skip = k % 8u + stage_from();
    if (LOADS_MOST == 0u) {
        if (EACH < 8u)
            fast_skip(run, skip);
        [[unroll]] for (int t = 0; t < EACH; t++) stage_m(t, fast_take(run, t, skip));
        return;
    }
    [[dont_unroll]] for (uint t = 0u; t < EACH; t += LOADS_MOST) {
        weight_run part = run;
        fast_skip(part, skip + t);
        [[unroll]] for (int e = 0; e < LOADS_MOST; e++)
            stage_m(t + e, fast_take(part, e, skip + t));
    }
}

void add_adapter(uint tile0, uint row0)
{
    const uint part = (tile0 >= p.part1 ? 1u : 0u) + (tile0 >= p.part2 ? 1u : 0u);
    const uint r4 = p.rank / 4u, m = tile0 + stage_col();
    for (uint k = 0u; k < r4; k += STEP4) {
        barrier();
        [[unroll]] for (uint t = 0u; t < EACH; t++) {
            const uint kk = k + stage_from() + t;
            if (kk < r4)
                stage_m(t, b[(m / 8u * r4 + kk) * 8u + m % 8u]);
        }
        [[unroll]] for (uint i = 0u; i < TILE_N / ROWS_AT_ONCE; i++) {
            const uint row = row0 + stage_row() + ROWS_AT_ONCE * i, kk = k + stage_k();
            if (kk < r4)
                stage_n(i, u[row * p.ldu / 4u + part * r4 + kk]);
        }
        barrier();
        multiply(min(STEP4, r4 - k));
    }
}

void main()
{
    const uint tile0 = gl_WorkGroupID.x * TILE_M, row0 = gl_WorkGroupID.y * TILE_N;
    const uint k4 = p.in_pad / 4u;
    const fast_row w = fast_row_of(tile0 + stage_col(), k4);
    const uint x0 = ((row0 + stage_row()) * p.ldx + p.offx) / 4u + stage_k();
    const uint x_rows = ROWS_AT_ONCE * p.ldx / 4u;

    sum_begin();
    for (uint from = 0u; from < k4; from += SUM_BLOCK4) {
        const uint to = min(from + SUM_BLOCK4, k4);
        block_begin();
        for (uint k = from; k < to; k += STEP4) {
            barrier(); /* the last step has been read */
            stage_weight(w, k);
            [[unroll]] for (uint i = 0u; i < TILE_N / ROWS_AT_ONCE; i++)
                if (BITS < 16 || k + stage_k() < k4)
                    stage_n(i, x[x0 + i * x_rows + k]);
            barrier();
            if (BITS < 16)
                multiply_step();
            else
                multiply(min(STEP4, k4 - k));
        }
        block_end();
    }
    sum_end();
    if ((FLAGS & int(MATMUL_LORA)) != 0)
        add_adapter(tile0, row0);
    [[unroll]] for (int r = 0; r < TU; r++) {
        const uint at = (row0 + tile_row() + DOWN * r) * p.ldy + p.offy + tile0 + tile_col();
        [[unroll]] for (uint i = 0u; i < 4u; i++) {
            float v = acc[r][i];
            if ((FLAGS & int(MATMUL_BIAS)) != 0)
                v += bias[tile0 + tile_col() + ACROSS * i];
            if ((FLAGS & int(MATMUL_RESIDUAL)) != 0)
                v += residual[at + ACROSS * i];
            y[at + ACROSS * i] = v;
        }
    }
}

#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#include "shaders/push.h"

/* dx[row][k] (+)= sum_m dy[row][m] w[m][k], then LoRA: see matmul_back_push.
 *
 * For GPUs: a tile of the stored weight is decoded into shared memory, m = 0, 1, 2 ...
 * in order (shaders/lib/tile_rows.glsl), codes by lib/weight_fast.glsl.
 * Macros  TILE_M columns of dx, TILE_N rows; TU rows an invocation;
 *         WIDTH = TILE_M TILE_N / (4 TU); TEXEL 0.
 * Grid    (in_pad / TILE_M, rows / TILE_N).
 * Cost    2 rows out in FLOPs; bytes: the weight rows / TILE_N times, dy in_pad / TILE_M
 *         times, dx once. Of 4 outputs an invocation issues 16 TU fma and TU + 4 loads from
 *         shared memory, and decodes 4 TILE_M / WIDTH weights.
 * Twin    runtime/ref/ref_matmul.c */

layout(local_size_x = WIDTH) in;
layout(constant_id = 14) const uint LOADS_MOST = 0u;
#define UNKNOWN_ZERO (gl_GlobalInvocationID.x >> 31)

#include "shaders/lib/weight_any.glsl"
layout(binding = 2) readonly buffer Dy { vec4 dy[]; };
layout(binding = 3) readonly buffer Du { vec4 du[]; };
layout(binding = 4) readonly buffer A { vec4 a[]; };
layout(binding = 5) buffer Dx { vec4 dx[]; };
layout(push_constant) uniform Push { matmul_back_push p; };

#define BY_COLUMNS
#include "shaders/lib/tile_rows.glsl"

/* This invocation stages 4 EACH columns of one row of the weight. */
const uint EACH = ACROSS * STEP / THREADS;
uint stage_m_row() { return gl_LocalInvocationIndex % 8u * 4u + gl_LocalInvocationIndex / 8u % 4u; }
uint stage_col4() { return gl_LocalInvocationIndex / STEP * EACH; }

void stage_m(uint t, vec4 v) { tile_m[place_m(stage_m_row(), stage_col4() + t)] = v; }

/* Columns from 4 col on; those beyond the last are any. */
void stage_weight(fast_row w, uint col)
{
    if (BITS >= 16) {
        [[unroll]] for (uint t = 0u; t < EACH; t++) stage_m(t, fast_float4(w, min(col + t, w.k4 - 1u)));
        return;
    }
    weight_run run = fast_open(w, min(col, w.k4 - 1u) / 8u);
    if (LOADS_MOST == 0u) {
        if (EACH < 8u)
            fast_skip(run, col % 8u);
        [[unroll]] for (int t = 0; t < EACH; t++) stage_m(t, fast_take(run, t, col % 8u));
        return;
    }
    [[dont_unroll]] for (uint t = 0u; t < EACH; t += LOADS_MOST) {
        weight_run part = run;
        fast_skip(part, col % 8u + t);
        [[unroll]] for (int e = 0; e < LOADS_MOST; e++)
            stage_m(t + e, fast_take(part, e, col % 8u + t));
    }
}

void main()
{
    const uint col0 = gl_WorkGroupID.x * (TILE_M / 4), row0 = gl_WorkGroupID.y * TILE_N;
    const uint k4 = p.in_pad / 4u, m4 = p.out_pad / 4u, r4 = p.rank / 4u;
    const uint dy0 = ((row0 + stage_row()) * p.lddy + p.offdy) / 4u + stage_k();
    const uint dy_rows = ROWS_AT_ONCE * p.lddy / 4u;
    fast_row w = fast_row_of(stage_m_row(), k4);

    sum_begin();
    for (uint from = 0u; from < m4; from += SUM_BLOCK4) {
        const uint to = min(from + SUM_BLOCK4, m4);
        block_begin();
        for (uint m = from; m < to; m += STEP4) {
            barrier(); /* the last step has been read */
            if (BITS < 16 || 4u * m + stage_m_row() < p.out_pad)
                stage_weight(w, col0 + stage_col4());
            fast_advance(w, STEP / 8u);
            [[unroll]] for (uint i = 0u; i < TILE_N / ROWS_AT_ONCE; i++)
                if (BITS < 16 || m + stage_k() < m4)
                    stage_n(i, dy[dy0 + i * dy_rows + m]);
            barrier();
            if (BITS < 16)
                multiply_step();
            else
                multiply(min(STEP4, m4 - m));
        }
        block_end();
    }
    sum_end();
    for (uint m = 0u; m < r4; m += STEP4) {
        barrier();
        const uint j = 4u * m + stage_m_row();
        [[unroll]] for (uint t = 0u; t < EACH; t++)
            if (j < p.rank)
                stage_m(t, a[(j / 8u * k4 + min(col0 + stage_col4() + t, k4 - 1u)) * 8u + j % 8u]);
        [[unroll]] for (uint i = 0u; i < TILE_N / ROWS_AT_ONCE; i++) {
            const uint row = row0 + stage_row() + ROWS_AT_ONCE * i;
            if (m + stage_k() < r4)
                stage_n(i, du[row * p.lddu / 4u + m + stage_k()]);
        }
        barrier();
        multiply(min(STEP4, r4 - m));
    }
    const uint col = col0 + tile_col();
    if (col >= k4)
        return;
    [[unroll]] for (int r = 0; r < TU; r++) {
        const uint at = ((row0 + tile_row() + DOWN * r) * p.lddx + p.offdx) / 4u + col;
        dx[at] = p.accumulate != 0 ? dx[at] + acc[r] : acc[r];
    }
}

#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#include "shaders/push.h"

/* d[m][s] = sum over segment s of D[m][k] w[m][k], D = dy^T x, and the sums of D alone: see
 * scale_back_push.
 *
 * For GPUs: a tile of D by tiles in shared memory (shaders/lib/tile_outer.glsl), which then
 * holds the tile itself, so that one invocation has the columns of a segment in order.
 * Macros  TILE_M rows m, TILE_N columns k, 64 each; TU columns an invocation, 8;
 *         WIDTH = TILE_M TILE_N / (4 TU); TEXEL 0.
 * Grid    (out_pad / TILE_M, in_pad / TILE_N).
 * Cost    2 rows out in FLOPs; bytes: x out / TILE_M times, dy in / TILE_N times, w and d once.
 * Twin    runtime/ref/ref_matmul.c */

layout(local_size_x = WIDTH) in;
layout(binding = 0) readonly buffer W { vec4 w[]; };
layout(binding = 1) readonly buffer X { vec4 pv[]; };
layout(binding = 2) readonly buffer Dy { vec4 qv[]; };
layout(binding = 3) writeonly buffer D { float d[]; };
layout(push_constant) uniform Push { scale_back_push p; };

#include "shaders/lib/tile_outer.glsl"

const uint SEGMENT = uint(SCALE_SEGMENT), SEGMENT4 = SEGMENT / 4u;

/* Rows 4 tile_b() .. + 3 of a segment of the tile: column k of D. */
vec4 column(uint k)
{
    return k < STEP ? tile_p[k * ACROSS + tile_b()] : tile_q[(k - STEP) * ACROSS + tile_b()];
}

void main()
{
    const uint m4 = p.out_pad / 4u, k4 = p.in_pad / 4u;
    const uint k0 = gl_WorkGroupID.y * UP, m0 = gl_WorkGroupID.x * ACROSS;
    sum_rows(rows_of_p(p.offx, p.ldx, k0, k4), rows_of_q(p.offdy, p.lddy, m0, m4), p.rows);

    barrier();
    [[unroll]] for (uint c = 0u; c < 4u; c++) {
        tile_p[(4u * tile_a() + c) * ACROSS + tile_b()] = acc[c];
        tile_q[(4u * tile_a() + c) * ACROSS + tile_b()] = acc[4u + c];
    }
    barrier();
    const uint s = tile_a(), at = m0 + tile_b(), from = k0 + s * SEGMENT4;
    if (s >= TILE_N / SEGMENT || at >= m4 || from >= k4)
        return;
    float sum[4] = float[4](0.0, 0.0, 0.0, 0.0), plain[4] = float[4](0.0, 0.0, 0.0, 0.0);
    [[unroll]] for (uint c = 0u; c < SEGMENT4; c++) {
        vec4 v[4];
        [[unroll]] for (uint i = 0u; i < 4u; i++) v[i] = column(s * SEGMENT + 4u * c + i);
        [[unroll]] for (uint r = 0u; r < 4u; r++) {
            const vec4 weight = w[(at / 2u * k4 + from + c) * 8u + at % 2u * 4u + r];
            [[unroll]] for (int i = 0; i < 4; i++) {
                sum[r] = fma(v[i][r], weight[i], sum[r]);
                plain[r] += v[i][r];
            }
        }
    }
    const uint segments = p.in_pad / SEGMENT, to = from / SEGMENT4;
    [[unroll]] for (uint r = 0u; r < 4u; r++) {
        d[(4u * at + r) * segments + to] = sum[r];
        if (p.sums != 0)
            d[(p.out_pad + 4u * at + r) * segments + to] = plain[r];
    }
}

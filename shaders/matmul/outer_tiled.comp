#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#include "shaders/push.h"

/* d[a][b] (+)= scale sum over rows of p[row][a] q[row][b]: see outer_push.
 *
 * For GPUs: tiles in shared memory (shaders/lib/tile_outer.glsl).
 * Macros  TILE_M columns b, TILE_N columns a; TU columns a an invocation;
 *         WIDTH = TILE_M TILE_N / (4 TU); TEXEL 0.
 * Grid    (nb / TILE_M, na / TILE_N).
 * Cost    2 rows na nb FLOPs; bytes: p nb / TILE_M times, q na / TILE_N times, d once.
 * Twin    runtime/ref/ref_matmul.c */

layout(local_size_x = WIDTH) in;
layout(binding = 0) readonly buffer P { vec4 pv[]; };
layout(binding = 1) readonly buffer Q { vec4 qv[]; };
layout(binding = 2) buffer D { vec4 d[]; };
layout(push_constant) uniform Push { outer_push p; };

#include "shaders/lib/tile_outer.glsl"

void main()
{
    const uint na4 = p.na / 4u, nb4 = p.nb / 4u;
    const uint a0 = gl_WorkGroupID.y * UP, b0 = gl_WorkGroupID.x * ACROSS;
    sum_rows(rows_of_p(p.offp, p.ldp, a0, na4), rows_of_q(p.offq, p.ldq, b0, nb4), p.rows);
    [[unroll]] for (uint i = 0u; i < TU; i++) {
        const uint a4 = a0 + tile_a() + DOWN * (i / 4u);
        if (a4 >= na4 || b0 + tile_b() >= nb4)
            continue;
        const uint at = (a4 * 4u + i % 4u) * (p.ldd / 4u) + b0 + tile_b();
        const vec4 v = vec4(p.scale) * acc[i];
        d[at] = p.accumulate != 0 ? d[at] + v : v;
    }
}

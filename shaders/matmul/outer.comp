#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#include "shaders/push.h"

/* d[a][b] (+)= scale sum over rows of p[row][a] q[row][b]: see outer_push.
 *
 * Lanes lie along vec4 columns b, the a of an invocation are TU neighbours read by the
 * whole subgroup alike; TU by TL vec4 in registers; rows in order.
 * Grid    (nb / 4 / (WIDTH TL), na / TU).
 * Cost    2 rows na nb FLOPs.
 * Twin    runtime/ref/ref_matmul.c */

layout(local_size_x = WIDTH) in;
#include "shaders/lib/operand.glsl"
OPERAND(0, pv)
OPERAND(1, qv)
layout(binding = 2) buffer D { vec4 d[]; };
layout(push_constant) uniform Push { outer_push p; };

const int T4 = TU / 4;

void main()
{
    const int lane = int(gl_LocalInvocationID.x);
    const int nb4 = int(p.nb) / 4, na4 = int(p.na) / 4;
    const int b0 = int(gl_WorkGroupID.x) * (WIDTH * TL) + lane;
    const int a0 = int(gl_WorkGroupID.y) * T4;
    vec4 acc[TU * TL];
    int ca[T4], cb[TL];
    [[unroll]] for (int i = 0; i < TU * TL; i++) acc[i] = vec4(0.0);
    [[unroll]] for (int i = 0; i < T4; i++)
        ca[i] = int(p.offp) / 4 + min(a0 + i, na4 - 1);
    [[unroll]] for (int j = 0; j < TL; j++)
        cb[j] = int(p.offq) / 4 + min(b0 + j * WIDTH, nb4 - 1);
    const int ldp4 = int(p.ldp) / 4, ldq4 = int(p.ldq) / 4;

    for (int row = 0; row < int(p.rows); row++) {
        vec4 q[TL];
        [[unroll]] for (int j = 0; j < TL; j++) q[j] = qv(row * ldq4 + cb[j]);
        [[unroll]] for (int i = 0; i < T4; i++) {
            const vec4 v = pv(row * ldp4 + ca[i]);
            [[unroll]] for (int c = 0; c < 4; c++)
                [[unroll]] for (int j = 0; j < TL; j++)
                    acc[(i * 4 + c) * TL + j] =
                        fma(vec4(v[c]), q[j], acc[(i * 4 + c) * TL + j]);
        }
    }
    [[unroll]] for (int i = 0; i < T4; i++)
        [[unroll]] for (int c = 0; c < 4; c++)
            [[unroll]] for (int j = 0; j < TL; j++)
                if (a0 + i < na4 && b0 + j * WIDTH < nb4) {
                    const int at = ((a0 + i) * 4 + c) * (int(p.ldd) / 4) + b0 + j * WIDTH;
                    const vec4 v = vec4(p.scale) * acc[(i * 4 + c) * TL + j];
                    d[at] = p.accumulate != 0 ? d[at] + v : v;
                }
}

#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#include "shaders/push.h"

/* d[m][s] = sum over segment s of D[m][k] w[m][k], D = dy^T x, and the sums of D alone: see
 * scale_back_push.
 *
 * Lanes lie along four rows m each (a vec4 of dy), the TU = SCALE_SEGMENT columns of a
 * segment are read by the whole subgroup alike; TU by TL vec4 of D in registers, which the
 * end multiplies with w and sums: D never leaves them.
 * Grid    (out_pad / 4 / (WIDTH TL), in_pad / TU).
 * Cost    2 rows out in FLOPs, as matmul_back; 4 (rows (in + out) + out in + out in / 16)
 *         bytes if every operand is read once.
 * Twin    runtime/ref/ref_matmul.c */

layout(local_size_x = WIDTH) in;
#include "shaders/lib/operand.glsl"
OPERAND(0, w)
OPERAND(1, xv)
OPERAND(2, dy)
layout(binding = 3) writeonly buffer D { float d[]; };
layout(push_constant) uniform Push { scale_back_push p; };

const int T4 = TU / 4, BL = 8;

/* Rows 4 at .. 4 at + 3 of segment s: acc[k] is D of its column k. */
void put(int at, int s, vec4 acc[TU])
{
    const int k4 = int(p.in_pad) / 4, segments = int(p.in_pad) / TU;
    const int block = at / 2 * k4, in_blk = at % 2 * 4;
    [[unroll]] for (int r = 0; r < 4; r++) {
        float sum = 0.0, plain = 0.0;
        [[unroll]] for (int c = 0; c < T4; c++) {
            const vec4 v = w((block + s * T4 + c) * BL + in_blk + r);
            [[unroll]] for (int i = 0; i < 4; i++) {
                sum = fma(acc[4 * c + i][r], v[i], sum);
                plain += acc[4 * c + i][r];
            }
        }
        d[(4 * at + r) * segments + s] = sum;
        if (p.sums != 0)
            d[(int(p.out_pad) + 4 * at + r) * segments + s] = plain;
    }
}

void main()
{
    const int lane = int(gl_LocalInvocationID.x), m4 = int(p.out_pad) / 4;
    const int m0 = int(gl_WorkGroupID.x) * (WIDTH * TL) + lane;
    const int s = int(gl_WorkGroupID.y);
    const int x0 = int(p.offx) / 4 + s * T4;
    const int ldx4 = int(p.ldx) / 4, lddy4 = int(p.lddy) / 4;
    vec4 acc[TL][TU];
    int at[TL];
    [[unroll]] for (int j = 0; j < TL; j++) {
        at[j] = int(p.offdy) / 4 + min(m0 + j * WIDTH, m4 - 1);
        [[unroll]] for (int i = 0; i < TU; i++) acc[j][i] = vec4(0.0);
    }
    for (int row = 0; row < int(p.rows); row++) {
        vec4 g[TL];
        [[unroll]] for (int j = 0; j < TL; j++) g[j] = dy(row * lddy4 + at[j]);
        [[unroll]] for (int c = 0; c < T4; c++) {
            const vec4 v = xv(row * ldx4 + x0 + c);
            [[unroll]] for (int i = 0; i < 4; i++)
                [[unroll]] for (int j = 0; j < TL; j++)
                    acc[j][4 * c + i] = fma(g[j], vec4(v[i]), acc[j][4 * c + i]);
        }
    }
    [[unroll]] for (int j = 0; j < TL; j++)
        if (m0 + j * WIDTH < m4)
            put(m0 + j * WIDTH, s, acc[j]);
}

#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#include "shaders/push.h"

/* y[row][m] = sum_k x[row][k] w[m][k], then LoRA, bias and residual: see matmul_push.
 *
 * For GPUs and few rows: an invocation keeps one output of TU rows, and neighbours read
 * neighbouring texels; no shared memory, no barriers. k = 0, 1, 2 ... in order, in the
 * blocks of lib/sum.glsl.
 * Macros  TU rows; WIDTH invocations; TL 1; TEXEL 0.
 * Grid    (out_pad / WIDTH, rows / TU).
 * Cost    2 rows out in FLOPs; weights once per TU rows.
 * Twin    runtime/ref/ref_matmul.c */

layout(local_size_x = WIDTH) in;
layout(constant_id = 11) const int FLAGS = 0;

#include "shaders/lib/operand.glsl"
#include "shaders/lib/sum.glsl"
#include "shaders/lib/weight_any.glsl"
OPERAND(2, x)
OPERAND(3, u)
OPERAND(4, b)
layout(binding = 5) readonly buffer Bias { float bias[]; };
layout(binding = 6) readonly buffer Residual { float residual[]; };
layout(binding = 7) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { matmul_push p; };

float acc[TU], total[TU];
int x0[TU];

/* Four inputs of every row against four of this output. */
void add4(int k, vec4 w)
{
    [[unroll]] for (int i = 0; i < TU; i++) {
        const vec4 v = x(x0[i] + k);
        [[unroll]] for (int c = 0; c < 4; c++) acc[i] = fma(v[c], w[c], acc[i]);
    }
}

void main()
{
    const int m = int(gl_GlobalInvocationID.x), row0 = int(gl_WorkGroupID.y) * TU;
    const int k4 = int(p.in_pad) / 4;
    [[unroll]] for (int i = 0; i < TU; i++) {
        total[i] = 0.0;
        x0[i] = ((row0 + i) * int(p.ldx) + int(p.offx)) / 4;
    }
    for (int from = 0; from < k4; from += SUM_BLOCK4) {
        const int to = min(from + SUM_BLOCK4, k4);
        [[unroll]] for (int i = 0; i < TU; i++) acc[i] = 0.0;
        if (BITS >= 16) {
            for (int k = from; k < to; k++) add4(k, weight_at(m, k, k4));
        } else {
            for (int k = from; k < to; k += 8) {
                weight_run run = run_open(m, k, k4, BITS, GROUP, FORM);
                for (int t = 0; t < 8; t++) add4(k + t, run_take(run, t, BITS, FORM));
            }
        }
        [[unroll]] for (int i = 0; i < TU; i++) total[i] += acc[i];
    }
    [[unroll]] for (int i = 0; i < TU; i++) acc[i] = total[i];
    if ((FLAGS & int(MATMUL_LORA)) != 0) {
        const int tile0 = int(gl_WorkGroupID.x) * WIDTH;
        const int part = (tile0 >= int(p.part1) ? 1 : 0) + (tile0 >= int(p.part2) ? 1 : 0);
        const int r4 = int(p.rank) / 4;
        for (int k = 0; k < r4; k++) {
            const vec4 w = b((m / 8 * r4 + k) * 8 + m % 8);
            [[unroll]] for (int i = 0; i < TU; i++) {
                const vec4 v = u((row0 + i) * int(p.ldu) / 4 + part * r4 + k);
                [[unroll]] for (int c = 0; c < 4; c++) acc[i] = fma(v[c], w[c], acc[i]);
            }
        }
    }
    [[unroll]] for (int i = 0; i < TU; i++) {
        const int at = (row0 + i) * int(p.ldy) + int(p.offy) + m;
        float v = acc[i];
        if ((FLAGS & int(MATMUL_BIAS)) != 0)
            v += bias[m];
        if ((FLAGS & int(MATMUL_RESIDUAL)) != 0)
            v += residual[at];
        y[at] = v;
    }
}

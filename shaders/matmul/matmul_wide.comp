#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#include "shaders/push.h"

/* y[row][m] = sum_k x[row][k] w[m][k], then LoRA, bias and residual: see matmul_push.
 *
 * For GPUs and few rows: an invocation keeps one output of TU rows, and neighbours read
 * neighbouring texels; no shared memory, no barriers. k = 0, 1, 2 ... in order, in the
 * blocks of lib/sum.glsl.
 * Macros  TU rows; WIDTH invocations; TL 1; TEXEL 0; CONVERT: see shaders/attributes.def.
 * Grid    (out_pad / WIDTH, rows / TU).
 * Cost    2 rows out in FLOPs; bytes: the weight rows / TU times, x once per workgroup, y
 *         once. Of 32 inputs an invocation issues 32 TU fma, 8 TU loads of x at an address
 *         that all share, one load of codes (8 bits: two, halves: four), one of scales, and
 *         decodes 32 weights (lib/weight_fast.glsl).
 * Twin    runtime/ref/ref_matmul.c */

layout(local_size_x = WIDTH) in;
layout(constant_id = 11) const int FLAGS = 0;
layout(constant_id = 14) const uint TAKES_MOST = 0u;

layout(push_constant) uniform Push { matmul_push p; };
#define UNKNOWN_ZERO (gl_GlobalInvocationID.x >> 31)
#include "shaders/lib/sum.glsl"
#include "shaders/lib/weight_any.glsl"
layout(binding = 2) readonly buffer X { vec4 x[]; };
layout(binding = 3) readonly buffer U { vec4 u[]; };
layout(binding = 4) readonly buffer B { vec4 b[]; };
layout(binding = 5) readonly buffer Bias { float bias[]; };
layout(binding = 6) readonly buffer Residual { float residual[]; };
layout(binding = 7) writeonly buffer Y { float y[]; };

/* Fours of codes that are decoded at once, as compilers load at once for what is unrolled:
 * twice as many of one row, and of forms that take few operations; at most all 8. */
const uint TAKES_FIT = TAKES_MOST * (FOREIGN ? 1u : 2u) * (TU == 1 ? 2u : 1u);
const uint TAKES = TAKES_MOST == 0u || TAKES_FIT > 8u ? 8u : TAKES_FIT;
const uint HALF_TAKES = TAKES / 2u; /* of halves, two at once come of a load */

float acc[TU], total[TU];
uint x0[TU];

/* Four inputs of every row against four of this output. */
void add4(uint k, vec4 w)
{
    [[unroll]] for (int i = 0; i < TU; i++) {
        const vec4 v = x[x0[i] + k];
        [[unroll]] for (int c = 0; c < 4; c++) acc[i] = fma(v[c], w[c], acc[i]);
    }
}

/* Inputs 8 i .. 8 i + 7 against halves. */
void add_halves(fast_row w, uint i)
{
    const uvec4 h = codes(int(w.low + i * 8u));
#if CONVERT
    const vec2 x = unpackHalf2x16(h.x), y = unpackHalf2x16(h.y);
    const vec2 z = unpackHalf2x16(h.z), v = unpackHalf2x16(h.w);
    add4(2u * i, vec4(x.x, y.x, z.x, v.x));
    add4(2u * i + 1u, vec4(x.y, y.y, z.y, v.y));
#else
    const bool upper = FORM == FORM_BF16;
    add4(2u * i, upper ? uintBitsToFloat(h << 16) : half4(h & 0xffffu));
    add4(2u * i + 1u, upper ? uintBitsToFloat(h & 0xffff0000u) : half4(h >> 16));
#endif
}

/* The codes of 32 inputs, or as many halves, from 32 j on. */
void add_run(fast_row w, uint j)
{
    if (BITS == 16 && TAKES == 8u) {
        [[unroll]] for (uint i = 0u; i < 4u; i++) add_halves(w, 4u * j + i);
    } else if (BITS == 16) {
        [[dont_unroll]] for (uint i = 0u; i < 4u; i += HALF_TAKES)
            [[unroll]] for (uint e = 0u; e < HALF_TAKES; e++) add_halves(w, 4u * j + i + e);
    } else if (TAKES == 8u) {
        const weight_run run = fast_open(w, j);
        [[unroll]] for (int t = 0; t < 8; t++) add4(8u * j + t, fast_take(run, t, 0u));
    } else {
        const weight_run run = fast_open(w, j);
        [[dont_unroll]] for (uint t = 0u; t < 8u; t += TAKES) {
            weight_run part = run;
            fast_skip(part, t);
            [[unroll]] for (int e = 0; e < TAKES; e++)
                add4(8u * j + t + e, fast_take(part, e, t));
        }
    }
}

void main()
{
    const uint m = gl_GlobalInvocationID.x, row0 = gl_WorkGroupID.y * TU, k4 = p.in_pad / 4u;
    const fast_row w = fast_row_of(m, k4);
    [[unroll]] for (int i = 0; i < TU; i++) {
        total[i] = 0.0;
        x0[i] = ((row0 + i) * p.ldx + p.offx) / 4u;
    }
    for (uint from = 0u; from < k4; from += SUM_BLOCK4) {
        const uint to = min(from + SUM_BLOCK4, k4);
        [[unroll]] for (int i = 0; i < TU; i++) acc[i] = 0.0;
        if (BITS == 32) {
            for (uint k = from; k < to; k++) add4(k, fast_float4(w, k));
        } else {
            for (uint j = from / 8u; j < to / 8u; j++) add_run(w, j);
        }
        [[unroll]] for (int i = 0; i < TU; i++) total[i] += acc[i];
    }
    [[unroll]] for (int i = 0; i < TU; i++) acc[i] = total[i];
    if ((FLAGS & int(MATMUL_LORA)) != 0) {
        const uint tile0 = gl_WorkGroupID.x * WIDTH, r4 = p.rank / 4u;
        const uint part = (tile0 >= p.part1 ? 1u : 0u) + (tile0 >= p.part2 ? 1u : 0u);
        for (uint k = 0u; k < r4; k++) {
            const vec4 l = b[(m / 8u * r4 + k) * 8u + m % 8u];
            [[unroll]] for (int i = 0; i < TU; i++) {
                const vec4 v = u[(row0 + i) * p.ldu / 4u + part * r4 + k];
                [[unroll]] for (int c = 0; c < 4; c++) acc[i] = fma(v[c], l[c], acc[i]);
            }
        }
    }
    [[unroll]] for (int i = 0; i < TU; i++) {
        const uint at = (row0 + i) * p.ldy + p.offy + m;
        float v = acc[i];
        if ((FLAGS & int(MATMUL_BIAS)) != 0)
            v += bias[m];
        if ((FLAGS & int(MATMUL_RESIDUAL)) != 0)
            v += residual[at];
        y[at] = v;
    }
}

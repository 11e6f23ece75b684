#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#if BROADCAST
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_KHR_shader_subgroup_quad : enable
#endif
#include "shaders/push.h"

/* y[row][m] = sum_k x[row][k] w[m][k], then LoRA, bias and residual: see matmul_push.
 *
 * No shared memory, no barriers. Lanes lie along m, the rows of x are read by the whole
 * subgroup alike; an invocation keeps TU rows by TL outputs (WIDTH apart) in registers.
 * Every output sums k = 0, 1, 2 ... in the blocks of lib/sum.glsl, so that tile, operand
 * path and batch size never change a bit. Forms and rates: bench/probe/README.md.
 * How the rows of x are read decides the rate (LLVM 22 of Mesa 26: BROADCAST from 8 rows
 * on and for one, X_STORAGE between; older ones: texels): by texels or storage, all lanes
 * alike, or lane i fetches row i, or vec4 i of 32 inputs of the only row, which then goes
 * round the subgroup. In a subgroup of four
 * (SwiftShader, where a load is a loop over lanes and a broadcast twelve instructions) rows
 * change places in pairs, one instruction: lane l then holds sums of row i ^ l where
 * others hold row i.
 * Macros  BITS; TU, TL; WIDTH invocations; TEXEL; UNROLL (unpack steps, TU 1 to 4);
 *         X_STORAGE; BROADCAST (WIDTH is 8 or 4, the subgroup; TU a multiple of it, or 1 at 8);
 *         FORM_OFFSET (lib/weight.glsl); GROUP16 (8 bits): groups are of 16 codes.
 * Grid    (out_pad / (WIDTH TL), rows / TU).
 * Cost    2 rows out in FLOPs; weights once per row tile, x once per column tile.
 * Twin    runtime/ref/ref_matmul.c */

layout(local_size_x = WIDTH) in;
layout(constant_id = 10) const int GROUP = 0;
layout(constant_id = 11) const int FLAGS = 0;

#include "shaders/lib/operand.glsl"
#include "shaders/lib/sum.glsl"
#include "shaders/lib/weight.glsl"
#if BITS == 32
OPERAND(0, w)
#else
OPERAND_UINT(0, w)
#endif
#if BITS < 16
OPERAND(1, scales)
#endif
#if X_STORAGE
layout(binding = 2) readonly buffer x_block { vec4 x_buf[]; };
vec4 x(int i) { return x_buf[i]; }
#else
OPERAND(2, x)
#endif
OPERAND(3, u)
OPERAND(4, b)
layout(binding = 5) readonly buffer Bias { float bias[]; };
layout(binding = 6) readonly buffer Residual { float residual[]; };
layout(binding = 7) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { matmul_push p; };

#define ONE_ROW (BROADCAST && TU == 1)

const int BL = 8; /* rows interleaved in a weight */
const int N = TU * TL;

/* One vec4 of the row operand, t of the step at k, against TL lane vectors. */
#if BROADCAST && WIDTH == 4 /* few registers: a sum stays in one for four steps */
#define STEP_ORDER                              \
    [[unroll]] for (int j = 0; j < TL; j++)     \
        [[unroll]] for (int c = 0; c < 4; c++)
#else
#define STEP_ORDER                              \
    [[unroll]] for (int c = 0; c < 4; c++)      \
        [[unroll]] for (int j = 0; j < TL; j++)
#endif
#define ROW(i, v)                                                        \
    {                                                                    \
        const vec4 r_ = v;                                               \
        STEP_ORDER                                                       \
            acc[(i) * TL + j] = fma(r_[c], lv[j][c], acc[(i) * TL + j]); \
    }
#if BROADCAST && WIDTH == 4
#define ROW_OF(i) ((i) ^ lane)
#define RANK4(k, t)                                         \
    [[unroll]] for (int h = 0; h < TU; h += 4) {            \
        const vec4 mine = x(x0[h / 4] + (k) + (t));         \
        ROW(h, mine)                                        \
        ROW(h + 1, subgroupQuadSwapHorizontal(mine))        \
        ROW(h + 2, subgroupQuadSwapVertical(mine))          \
        ROW(h + 3, subgroupQuadSwapDiagonal(mine))          \
    }
#else
#define ROW_OF(i) (i)
#if BROADCAST
#define PASSES PASS(0) PASS(1) PASS(2) PASS(3) PASS(4) PASS(5) PASS(6) PASS(7)
#if ONE_ROW
#define PASS(i) inputs[i] = subgroupBroadcast(mine, i);
#define RANK4(k, t) ROW(0, inputs[t])
#else
#define PASS(i) ROW(h + (i), subgroupBroadcast(mine, i))
#define RANK4(k, t)                                               \
    [[unroll]] for (int h = 0; h < TU; h += 8) {                  \
        const vec4 mine = x(x0[h / 8] + (k) + (t));               \
        PASSES                                                    \
    }
#endif
#else
#define RANK4(k, t) [[unroll]] for (int i = 0; i < TU; i++) ROW(i, x(x0[i] + (k) + (t)))
#endif
#endif
/* At the start of a block the sum of the last one goes to the total. Few rows of codes or
 * halves ask in their only loop whether a block starts, because a loop round it costs
 * llvmpipe 8 % of one row; floats (short steps) and many rows (many sums) would pay a
 * quarter for asking. */
#define FLAT (TU <= 4 && BITS < 32)
#define FOLD(starts)                         \
    [[unroll]] for (int i = 0; i < N; i++) { \
        total[i] += (starts) ? acc[i] : 0.0; \
        acc[i] = (starts) ? 0.0 : acc[i];    \
    }
#ifdef UNROLL
#define STEPS [[unroll]]
#else
#define STEPS [[dont_unroll]]
#endif
/* Both texels of 32 codes of 8 bits unrolled at 16x8 take glslc 9 GB and half a minute. */
#if BITS == 8 && TU >= 16
#define TEXELS [[dont_unroll]]
#else
#define TEXELS [[unroll]]
#endif

void main()
{
    const int lane = int(gl_LocalInvocationID.x);
    const int tile0 = int(gl_WorkGroupID.x) * (WIDTH * TL);
    const int m0 = tile0 + lane, row0 = int(gl_WorkGroupID.y) * TU;
    const int k4 = int(p.in_pad) / 4;
    float acc[N], total[N];
#if ONE_ROW
    const int x0 = (row0 * int(p.ldx) + int(p.offx)) / 4 + lane;
#elif BROADCAST
    int x0[TU / WIDTH]; /* rows of this lane */
    [[unroll]] for (int i = 0; i < TU / WIDTH; i++)
        x0[i] = ((row0 + WIDTH * i + lane) * int(p.ldx) + int(p.offx)) / 4;
#else
    int x0[TU];
    [[unroll]] for (int i = 0; i < TU; i++)
        x0[i] = ((row0 + i) * int(p.ldx) + int(p.offx)) / 4;
#endif
    [[unroll]] for (int i = 0; i < N; i++) acc[i] = total[i] = 0.0;

#if BITS == 32
    int base[TL];
    [[unroll]] for (int j = 0; j < TL; j++) {
        const int m = m0 + j * WIDTH;
        base[j] = m / BL * k4 * BL + m % BL;
    }
#define STRIDE 1
#else
#define STRIDE 8
    int qb[TL];
    [[unroll]] for (int j = 0; j < TL; j++) {
        const int m = m0 + j * WIDTH, texels = k4 * BITS / 32;
        qb[j] = m / BL * texels * BL + m % BL;
    }
#if BITS < 16
    int sb[TL];
    vec4 pair[TL]; /* scales of two groups */
    vec2 sc[TL];
    const int group4 = GROUP / 4;
    [[unroll]] for (int j = 0; j < TL; j++) {
        const int m = m0 + j * WIDTH;
        const int groups = GROUP == 0 ? 1 : (k4 + group4 - 1) / group4;
        sb[j] = m / BL * ((groups + 1) / 2) * BL + m % BL;
        if (GROUP == 0)
            sc[j] = scales(sb[j]).xy;
    }
#endif
#endif
    /* k: four inputs, or 32 codes of each row */
#if FLAT
    for (int k = 0; k < k4; k += STRIDE) {
        FOLD(k % SUM_BLOCK4 == 0)
#else
    for (int from = 0; from < k4; from += SUM_BLOCK4) {
        FOLD(true)
        const int to = min(from + SUM_BLOCK4, k4);
        for (int k = from; k < to; k += STRIDE) {
#endif
#if BITS == 32
        vec4 lv[TL];
        [[unroll]] for (int j = 0; j < TL; j++) lv[j] = w(base[j] + k * BL);
        RANK4(k, 0)
#else
#ifdef GROUP16 /* both groups of these 32 codes lie in one texel */
        [[unroll]] for (int j = 0; j < TL; j++) pair[j] = scales(sb[j] + k / 8 * BL);
#elif BITS < 16
        if (GROUP != 0) {
            const int g = k / group4;
            if (k % (2 * group4) == 0)
                [[unroll]] for (int j = 0; j < TL; j++)
                    pair[j] = scales(sb[j] + g / 2 * BL);
            [[unroll]] for (int j = 0; j < TL; j++)
                sc[j] = (g & 1) == 0 ? pair[j].xy : pair[j].zw;
        }
#endif
#if ONE_ROW
        const vec4 mine = x(x0 + k);
        vec4 inputs[8];
        PASSES
#endif
#if BITS == 3
        uvec4 low[TL], high[TL];
        [[unroll]] for (int j = 0; j < TL; j++) {
            low[j] = w(qb[j] + (k / 32 * 3 + (k / 16 & 1)) * BL) >> (k / 8 & 1) * 16;
            high[j] = w(qb[j] + (k / 32 * 3 + 2) * BL) >> (k / 8 & 3) * 8;
        }
        STEPS for (int t = 0; t < 8; t++) {
            vec4 lv[TL];
            [[unroll]] for (int j = 0; j < TL; j++) {
                lv[j] = decode4((low[j] & 3u) | (high[j] & 1u) << 2, sc[j]);
                low[j] >>= 2;
                high[j] >>= 1;
            }
            RANK4(k, t)
        }
#elif BITS == 2
        uvec4 q[TL];
        [[unroll]] for (int j = 0; j < TL; j++)
            q[j] = w(qb[j] + k / 16 * BL) >> (k / 8 & 1) * 16;
        STEPS for (int t = 0; t < 8; t++) {
            vec4 lv[TL];
            [[unroll]] for (int j = 0; j < TL; j++) {
                lv[j] = decode4(q[j] & 3u, sc[j]);
                q[j] >>= 2;
            }
            RANK4(k, t)
        }
#else
        TEXELS for (int v = 0; v < BITS / 4; v++) {
            uvec4 q[TL];
            [[unroll]] for (int j = 0; j < TL; j++)
                q[j] = w(qb[j] + (k * BITS / 32 + v) * BL);
#ifdef GROUP16 /* a texel holds 16 codes */
            [[unroll]] for (int j = 0; j < TL; j++)
                sc[j] = v == 0 ? pair[j].xy : pair[j].zw;
#endif
            STEPS for (int t = 0; t < 32 / BITS; t++) {
                vec4 lv[TL];
                [[unroll]] for (int j = 0; j < TL; j++) {
#if BITS == 16
                    lv[j] = half4(q[j] & 0xffffu);
#else
                    lv[j] = decode4(q[j] & ((1u << BITS) - 1u), sc[j]);
#endif
                    q[j] >>= BITS;
                }
                RANK4(k, v * (32 / BITS) + t)
            }
        }
#endif
#endif
    }
#if !FLAT
    }
#endif
    [[unroll]] for (int i = 0; i < N; i++) acc[i] += total[i];

    if ((FLAGS & int(MATMUL_LORA)) != 0) {
        const int part = (tile0 >= int(p.part1) ? 1 : 0) + (tile0 >= int(p.part2) ? 1 : 0);
        const int r4 = int(p.rank) / 4;
        for (int k = 0; k < r4; k++) {
            vec4 lv[TL];
            [[unroll]] for (int j = 0; j < TL; j++) {
                const int m = m0 + j * WIDTH;
                lv[j] = b((m / BL * r4 + k) * BL + m % BL);
            }
            [[unroll]] for (int i = 0; i < TU; i++)
                ROW(i, u(((row0 + ROW_OF(i)) * int(p.ldu)) / 4 + part * r4 + k))
        }
    }
    [[unroll]] for (int i = 0; i < TU; i++)
        [[unroll]] for (int j = 0; j < TL; j++) {
            const int m = m0 + j * WIDTH;
            const int at = (row0 + ROW_OF(i)) * int(p.ldy) + int(p.offy) + m;
            float v = acc[i * TL + j];
            if ((FLAGS & int(MATMUL_BIAS)) != 0)
                v += bias[m];
            if ((FLAGS & int(MATMUL_RESIDUAL)) != 0)
                v += residual[at];
            y[at] = v;
        }
}

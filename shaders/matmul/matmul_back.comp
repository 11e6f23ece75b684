#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#if BROADCAST
#extension GL_KHR_shader_subgroup_quad : enable
#endif
#include "shaders/push.h"

/* dx[row][k] (+)= sum_m dy[row][m] w[m][k], then LoRA: see matmul_back_push. The same
 * stored weight as forward, read along its other axis; no second copy.
 *
 * Lanes lie along vec4 columns k, rows of dy are read by the whole subgroup alike; TU
 * rows by TL vec4 columns in registers; m = 0, 1, 2 ... in order. With BROADCAST (WIDTH is
 * 4, the subgroup) lane l fetches row l, and lanes change rows in pairs: see matmul.comp.
 * Grid    (in_pad / 4 / (WIDTH TL), rows / TU).
 * Cost    2 rows out in FLOPs.
 * Twin    runtime/ref/ref_matmul.c */

layout(local_size_x = WIDTH) in;
layout(constant_id = 10) const int GROUP = 0;

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
OPERAND(2, dy)
OPERAND(3, du)
OPERAND(4, a)
layout(binding = 5) buffer Dx { vec4 dx[]; };
layout(push_constant) uniform Push { matmul_back_push p; };

const int BL = 8;

/* Four rows, of which lane l holds l, to r[0] to r[3] of all lanes: ROW_OF. */
#if BROADCAST
#define ROW_OF(i) ((i) ^ lane)
#define ROWS_OF(r, fetch)                              \
    [[unroll]] for (int i = 0; i < TU; i += 4) {       \
        r[i] = fetch;                                  \
        r[i + 1] = subgroupQuadSwapHorizontal(r[i]);   \
        r[i + 2] = subgroupQuadSwapVertical(r[i]);     \
        r[i + 3] = subgroupQuadSwapDiagonal(r[i]);     \
    }
#else
#define ROW_OF(i) (i)
#define ROWS_OF(r, fetch) [[unroll]] for (int i = 0; i < TU; i++) r[i] = fetch;
#endif

void main()
{
    const int lane = int(gl_LocalInvocationID.x), k4 = int(p.in_pad) / 4;
    const int k0 = int(gl_WorkGroupID.x) * (WIDTH * TL) + lane;
    const int row0 = int(gl_WorkGroupID.y) * TU;
    vec4 acc[TU * TL], total[TU * TL];
    int y0[TU], col[TL];
    [[unroll]] for (int i = 0; i < TU * TL; i++) total[i] = vec4(0.0);
    [[unroll]] for (int i = 0; i < TU; i++)
        y0[i] = ((row0 + ROW_OF(i)) * int(p.lddy) + int(p.offdy)) / 4;
    [[unroll]] for (int j = 0; j < TL; j++) col[j] = min(k0 + j * WIDTH, k4 - 1);
#if BITS != 32
    const int texels = k4 * BITS / 32;
#endif
#if BITS < 16
    const int group4 = GROUP == 0 ? k4 : GROUP / 4;
    const int pairs = ((k4 + group4 - 1) / group4 + 1) / 2;
#endif

    const int m4 = int(p.out_pad) / 4;
    for (int from = 0; from < m4; from += SUM_BLOCK4) {
        const int to = min(from + SUM_BLOCK4, m4);
        [[unroll]] for (int i = 0; i < TU * TL; i++) acc[i] = vec4(0.0);
        for (int m = from; m < to; m++) { /* four rows of w */
            vec4 yv[TU];
            ROWS_OF(yv, dy(y0[i] + m))
            const int blk = m * 4 / BL, in_blk = m * 4 % BL;
            [[unroll]] for (int r = 0; r < 4; r++)
                [[unroll]] for (int j = 0; j < TL; j++) {
                    const int k = col[j];
#if BITS == 32
                    const vec4 wv = w((blk * k4 + k) * BL + in_blk + r);
#elif BITS == 16
                    const uvec4 q = w((blk * texels + k / 2) * BL + in_blk + r) >> (k % 2 * 16);
                    const vec4 wv = half4(q & 0xffffu);
#else
                    const vec4 s = scales((blk * pairs + k / group4 / 2) * BL + in_blk + r);
                    const vec2 sc = (k / group4 & 1) == 0 ? s.xy : s.zw;
#if BITS == 3
                    const int t = (blk * texels + k / 32 * 3) * BL + in_blk + r;
                    const uvec4 low = w(t + (k / 16 & 1) * BL) >> (k % 16 * 2);
                    const uvec4 high = w(t + 2 * BL) >> (k % 32);
                    const vec4 wv = decode4((low & 3u) | (high & 1u) << 2, sc);
#else
                    const int spv = 32 / BITS; /* vec4 steps in a texel */
                    const uvec4 q =
                        w((blk * texels + k / spv) * BL + in_blk + r) >> (k % spv * BITS);
                    const vec4 wv = decode4(q & ((1u << BITS) - 1u), sc);
#endif
#endif
                    [[unroll]] for (int i = 0; i < TU; i++)
                        acc[i * TL + j] = fma(vec4(yv[i][r]), wv, acc[i * TL + j]);
                }
        }
        [[unroll]] for (int i = 0; i < TU * TL; i++) total[i] += acc[i];
    }
    [[unroll]] for (int i = 0; i < TU * TL; i++) acc[i] = total[i];

    const int r4 = int(p.rank) / 4;
    for (int m = 0; m < r4; m++) { /* four rows of a */
        vec4 uv[TU];
        ROWS_OF(uv, du((row0 + ROW_OF(i)) * int(p.lddu) / 4 + m))
        const int blk = m * 4 / BL, in_blk = m * 4 % BL;
        [[unroll]] for (int r = 0; r < 4; r++)
            [[unroll]] for (int j = 0; j < TL; j++) {
                const vec4 av = a((blk * k4 + col[j]) * BL + in_blk + r);
                [[unroll]] for (int i = 0; i < TU; i++)
                    acc[i * TL + j] = fma(vec4(uv[i][r]), av, acc[i * TL + j]);
            }
    }
    [[unroll]] for (int i = 0; i < TU; i++)
        [[unroll]] for (int j = 0; j < TL; j++)
            if (k0 + j * WIDTH < k4) {
                const int at =
                    ((row0 + ROW_OF(i)) * int(p.lddx) + int(p.offdx)) / 4 + col[j];
                dx[at] = p.accumulate != 0 ? dx[at] + acc[i * TL + j] : acc[i * TL + j];
            }
}

#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#include "shaders/push.h"

/* y[row][m] = float(sum_k q[row][k] c[m][k]) sx[row] sw[m], then LoRA, bias and residual:
 * see matmul_w8a8_push.
 *
 * No shared memory, no barriers. Lanes lie along m, the rows of q are read by the whole
 * subgroup alike; an invocation keeps TU rows by TL outputs (WIDTH apart) in registers.
 * Whole numbers are multiplied in floats (lib/w8a8.glsl), because no software device, and no
 * GPU without integer dots, multiplies 32-bit integers as fast. Sums are exact, so every
 * kernel gives the same.
 * Macros  TU, TL; WIDTH invocations; TEXEL.
 * Grid    (out_pad / (WIDTH TL), rows / TU).
 * Cost    2 rows out in FLOPs; weights once per row tile, q once per column tile.
 * Twin    runtime/ref/ref_w8a8.c */

layout(local_size_x = WIDTH) in;
#include "shaders/lib/w8a8.glsl"

const int N = TU * TL;
#if TU < 4
#define STEPS [[unroll]]
#else
#define STEPS [[dont_unroll]]
#endif

void main()
{
    const int tile0 = int(gl_WorkGroupID.x) * (WIDTH * TL);
    const int m0 = tile0 + int(gl_LocalInvocationID.x), row0 = int(gl_WorkGroupID.y) * TU;
    const int texels = int(p.in_pad) / 16, ldq4 = int(p.ldq) / 4;
    int wb[TL];
    [[unroll]] for (int j = 0; j < TL; j++) {
        const int m = m0 + j * WIDTH;
        wb[j] = m / 8 * texels * 8 + m % 8;
    }
    float acc[N];
    int sum[N];
    [[unroll]] for (int i = 0; i < N; i++) sum[i] = 0;

    for (int from = 0; from < texels; from += BLOCK_TEXELS) {
        const int to = min(from + BLOCK_TEXELS, texels);
        [[unroll]] for (int i = 0; i < N; i++) acc[i] = 0.0;
        for (int t = from; t < to; t++) {
            uvec4 c[TL], a[TU];
            [[unroll]] for (int j = 0; j < TL; j++)
                c[j] = w(wb[j] + t * 8) ^ 0x80808080u;
            [[unroll]] for (int i = 0; i < TU; i++) a[i] = q((row0 + i) * ldq4 + t);
            STEPS for (int s = 0; s < 4; s++) {
                vec4 l[TL];
                [[unroll]] for (int j = 0; j < TL; j++) l[j] = bytes_of(c[j], s);
                [[unroll]] for (int i = 0; i < TU; i++) {
                    const vec4 v = bytes_of(a[i], s);
                    [[unroll]] for (int e = 0; e < 4; e++)
                        [[unroll]] for (int j = 0; j < TL; j++)
                            acc[i * TL + j] = fma(v[e], l[j][e], acc[i * TL + j]);
                }
            }
        }
        [[unroll]] for (int i = 0; i < N; i++) sum[i] += int(acc[i]);
    }
    float scale_w[TL];
    [[unroll]] for (int j = 0; j < TL; j++) scale_w[j] = row_scale(m0 + j * WIDTH);
    [[unroll]] for (int i = 0; i < TU; i++) {
        const float scale_x = input_scale(row0 + i);
        [[unroll]] for (int j = 0; j < TL; j++)
            acc[i * TL + j] = scaled(sum[i * TL + j], scale_x, scale_w[j]);
    }
    if ((FLAGS & int(MATMUL_LORA)) != 0)
        for (int k = 0; k < int(p.rank) / 4; k++) {
            vec4 l[TL];
            [[unroll]] for (int j = 0; j < TL; j++) l[j] = up(m0 + j * WIDTH, k);
            [[unroll]] for (int i = 0; i < TU; i++) {
                const vec4 v = down(row0 + i, tile0, k);
                [[unroll]] for (int e = 0; e < 4; e++)
                    [[unroll]] for (int j = 0; j < TL; j++)
                        acc[i * TL + j] = fma(v[e], l[j][e], acc[i * TL + j]);
            }
        }
    [[unroll]] for (int i = 0; i < TU; i++)
        [[unroll]] for (int j = 0; j < TL; j++)
            put(acc[i * TL + j], row0 + i, m0 + j * WIDTH);
}

#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#include "shaders/push.h"

/* One block of columns of GPTQ, rows by themselves: see round_block_push.
 *
 * An invocation carries what STEP columns gained in registers: first from the columns of
 * the block before them, whose errors it reads back from w, then column by column. Products
 * and sums are fma, so that no compiler changes their bits.
 * Grid  one invocation per row; factor and groups are read by all of them alike.
 * Cost  ROUND_BLOCK + 12 FLOPs and 16 bytes a weight, 4 ROUND_BLOCK^2 bytes a call. The
 *       products with columns before the block, 2 FLOPs for each of them, are matmul's.
 * Twin  runtime/ref/ref_round.c */

layout(local_size_x = WIDTH) in;
layout(binding = 0) readonly buffer Factor { vec4 factor[]; };
layout(binding = 1) readonly buffer Group { uint group[]; };
layout(binding = 2) readonly buffer Scales { float scales[]; };
layout(binding = 3) readonly buffer Zeros { float zeros[]; };
layout(binding = 4) readonly buffer Gained { vec4 gained[]; };
layout(binding = 5) buffer W { vec4 w[]; };
layout(binding = 6) writeonly buffer Codes { uint codes[]; };
layout(binding = 7) buffer Sums { vec2 sums[]; };
layout(push_constant) uniform Push { round_block_push p; };

const int STEP = 16, S4 = STEP / 4, B4 = int(ROUND_BLOCK) / 4;

/* v / scale as a float, rounded to the nearest whole number, half to even, and cut. A
 * device's quotient need not be the nearest float, so it only guesses the whole number below;
 * what v is beyond the middle of that and the next, which is exact where it is close, settles
 * it. The float is the middle itself if it is no further away than half a place of it. */
float whole_of(float v, float scale, float low, float high)
{
    const float size = abs(v), below = floor(min(size / scale, 256.0)), middle = below + 0.5;
    const float rest = fma(-middle, scale, size);
    const float place = uintBitsToFloat(floatBitsToUint(middle) & 0x7f800000u);
    const bool even = (int(below) & 1) == 0;
    const bool tie = abs(rest) <= scale * (place * (1.0 / 16777216.0));
    const float whole = (tie ? even : rest < 0.0) ? below : below + 1.0;
    return clamp(v < 0.0 ? -whole : whole, low, high);
}

void main()
{
    const int row = int(gl_GlobalInvocationID.x);
    if (row >= int(p.rows))
        return;
    const int w0 = (row * int(p.ldw) + int(p.offw)) / 4, g0 = row * B4;
    const int c0 = row * int(p.ldc) + int(p.offw) / 4, s0 = row * int(p.groups);
    vec2 sum = sums[row];
    for (int step = 0; step < B4; step += S4) {
        vec4 g[S4];
        [[unroll]] for (int k = 0; k < S4; k++) g[k] = gained[g0 + step + k];
        for (int i = 0; i < step; i++) {
            const vec4 before = w[w0 + i];
            [[unroll]] for (int c = 0; c < 4; c++)
                [[unroll]] for (int k = 0; k < S4; k++)
                    g[k] = fma(vec4(before[c]), factor[(4 * i + c) * B4 + step + k], g[k]);
        }
        [[unroll]] for (int k = 0; k < S4; k++) {
            const vec4 values = w[w0 + step + k];
            vec4 errors = vec4(0.0);
            uint word = 0;
            [[unroll]] for (int c = 0; c < 4; c++) {
                const int j = 4 * (step + k) + c;
                const uint own = group[j];
                if (own == 0xffffffffu)
                    continue;
                const float scale = scales[s0 + int(own)], zero = zeros[s0 + int(own)];
                const float t = p.nearest != 0 ? values[c] : values[c] + g[k][c];
                const float q =
                    whole_of(t, scale, float(p.lowest) - zero, float(p.top) - zero);
                const float e = fma(-q, scale, values[c]);
                const float all = factor[j * B4 + step + k][c] * (g[k][c] + e);
                errors[c] = e;
                word |= uint(q + zero) << (8 * c);
                sum = fma(vec2(all, e), vec2(all, e), sum);
                [[unroll]] for (int n = k; n < S4; n++)
                    g[n] = fma(vec4(e), factor[j * B4 + step + n], g[n]);
            }
            w[w0 + step + k] = errors;
            codes[c0 + step + k] = word;
        }
    }
    sums[row] = sum;
}

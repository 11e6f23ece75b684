#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : enable
#include "shaders/push.h"

/* Rows of floats as bytes and a scale, exact on every device: see quantize_push.
 *
 * A division need not be rounded correctly on a device, so neither is one: max / 127 is
 * computed on the significand in whole numbers, and a quotient only guesses a code, which
 * is then settled by comparing 2 |x| with (2 n + 1) scale. The scale is cut into two halves
 * of 12 bits, so that both products, and the difference from 2 |x| wherever it is close, are
 * floats.
 * Grid  one invocation (ROWGROUP: one workgroup) per row.
 * Cost  about 30 operations and 9 bytes a column.
 * Twin  runtime/ref/ref_w8a8.c */

layout(local_size_x = WIDTH) in;
layout(binding = 0) readonly buffer X { vec4 x[]; };
layout(binding = 1) readonly buffer Given { float given[]; };
layout(binding = 2) writeonly buffer Q { uvec4 q[]; };
layout(push_constant) uniform Push { quantize_push p; };

const uint INFINITE = 0x7f800000u, NAN_BITS = 0x7fc00000u;
const uint LEAST = 0x1f800000u; /* 2^-64 */

#if ROWGROUP
#define ROW int(gl_WorkGroupID.x)
#define FIRST int(gl_LocalInvocationID.x)
#define STRIDE WIDTH
shared uint part[WIDTH];

uint most_of_all(uint most)
{
    part[gl_LocalInvocationID.x] = most;
    for (uint width = WIDTH / 2; width > 0; width /= 2) {
        barrier();
        if (gl_LocalInvocationID.x < width)
            part[gl_LocalInvocationID.x] =
                max(part[gl_LocalInvocationID.x], part[gl_LocalInvocationID.x + width]);
    }
    barrier();
    return part[0];
}
#else
#define ROW int(gl_GlobalInvocationID.x)
#define FIRST 0
#define STRIDE 1
#define most_of_all(most) (most)
#endif

/* The float nearest to m / 127, by the bits of m, which is normal and at least 2^-64. */
float scale_of(uint most)
{
    const uint n = (most & 0x7fffffu | 0x800000u) << 7;
    uint exponent = (most >> 23) - 7u, whole = n / 127u;
    const uint rest = n - whole * 127u;
    if (whole >= 1u << 24) { /* one bit too many, and a tie is possible */
        const uint lost = whole & 1u;
        whole >>= 1;
        exponent++;
        whole += lost & (rest > 0u ? 1u : whole & 1u);
    } else if (2u * rest > 127u) {
        whole++;
    }
    return uintBitsToFloat((exponent << 23) + (whole - 0x800000u));
}

void main()
{
    const int row = ROW, texels = int(p.cols) / 16;
    if (row >= int(p.rows))
        return;
    const int x0 = (row * int(p.ldx) + int(p.offx)) / 4, q0 = row * int(p.ldq) / 4;
    uint most = 0;
    for (int t = FIRST; t < texels; t += STRIDE) {
        uvec4 bits = floatBitsToUint(x[x0 + 4 * t]) & 0x7fffffffu;
        [[unroll]] for (int i = 1; i < 4; i++)
            bits = max(bits, floatBitsToUint(x[x0 + 4 * t + i]) & 0x7fffffffu);
        most = max(most, max(max(bits.x, bits.y), max(bits.z, bits.w)));
    }
    most = most_of_all(most);
    const bool is_broken = most >= INFINITE;
    const bool is_zero = is_broken || (p.given == 0u && most < LEAST);
    const float scale = is_zero ? 0.0 : p.given != 0u ? given[0] : scale_of(most);
    const float inverse = is_zero ? 0.0 : 1.0 / scale;
    const float high = uintBitsToFloat(floatBitsToUint(scale) & 0xfffff000u);
    precise const float low = scale - high;
    for (int t = FIRST; t < texels; t += STRIDE) {
        uvec4 words = uvec4(0u);
        [[unroll]] for (int i = 0; i < 4; i++) {
            const vec4 v = x[x0 + 4 * t + i], size = is_zero ? vec4(0.0) : abs(v);
            const vec4 n = floor(min(size * inverse, vec4(200.0)));
            const vec4 odd = 2.0 * n + 1.0;
            precise const vec4 above = 2.0 * size - odd * high, bound = odd * low;
            const ivec4 whole = ivec4(n);
            ivec4 up = ivec4(greaterThan(above, bound));
            up |= ivec4(equal(above, bound)) & whole & 1; /* a tie */
            const ivec4 is_less = ivec4(lessThan(v, vec4(0.0)));
            const ivec4 code = min(whole + up, 127 + is_less) * (1 - 2 * is_less);
            words |= (uvec4(code) & 255u) << (8 * i);
        }
        q[q0 + t] = words;
    }
    if (FIRST == 0)
        q[q0 + texels] =
            uvec4(is_broken ? NAN_BITS : floatBitsToUint(scale), 0u, 0u, 0u);
}

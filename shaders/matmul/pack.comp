#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* Row-major floats into part of a 32-bit weight: see pack_push.
 *
 * Grid  one invocation per element.
 * Cost  8 bytes an element.
 * Twin  runtime/ref/ref_matmul.c */

layout(local_size_x = WIDTH) in;
layout(binding = 0) readonly buffer Src { float src[]; };
layout(binding = 1) writeonly buffer Dst { float dst[]; };
layout(push_constant) uniform Push { pack_push p; };

void main()
{
    const uint e = gl_GlobalInvocationID.x;
    const uint i = e / p.n_in, j = e % p.n_in;
    if (i >= p.n_out)
        return;
    const uint m = p.m0 + i, k = p.k0 + j;
    const float v = p.transpose != 0 ? src[j * p.lds + i] : src[i * p.lds + j];
    dst[((m / 8 * (p.in_pad / 4) + k / 4) * 8 + m % 8) * 4 + k % 4] = p.scale * v;
}

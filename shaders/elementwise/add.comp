#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* y[i] += scale x[i]: see add_push.
 *
 * Grid  one invocation per four floats.
 * Cost  2 FLOPs and 12 bytes a float.
 * Twin  runtime/ref/ref_elementwise.c */

layout(local_size_x = WIDTH) in;
layout(binding = 0) readonly buffer X { vec4 x[]; };
layout(binding = 1) buffer Y { vec4 y[]; };
layout(push_constant) uniform Push { add_push p; };

void main()
{
    const uint i = gl_GlobalInvocationID.x;
    if (i < p.count / 4)
        y[i] = fma(x[i], vec4(p.scale), y[i]);
}

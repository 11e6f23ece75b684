#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* Sums of squares of blocks of 1024 floats: see sumsq_push.
 *
 * Grid  one invocation per block, floats in order.
 * Cost  2 FLOPs and 4 bytes a float.
 * Twin  runtime/ref/ref_optim.c */

layout(local_size_x = WIDTH) in;
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) writeonly buffer Partial { float partial[]; };
layout(push_constant) uniform Push { sumsq_push p; };

void main()
{
    const uint i = gl_GlobalInvocationID.x, first = i * 1024;
    if (first >= p.count)
        return;
    const uint end = min(first + 1024, p.count);
    float sum = 0.0;
    for (uint j = first; j < end; j++)
        sum = fma(x[j], x[j], sum);
    partial[i] = sum;
}

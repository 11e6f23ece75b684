#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* y = x after `steps` multiply-adds in registers: see peak_fma_push. What the device's
 * arithmetic reaches when nothing else is in its way.
 *
 * Grid  one invocation per CHAINS x four floats, a workgroup's side by side.
 * Cost  2 FLOPs a float and step, 8 bytes a float.
 * Twin  runtime/ref/ref_peak.c */

/* Unrolled, so that counting them does not count. */
#define STEPS 16

layout(local_size_x = WIDTH) in;
layout(binding = 0) readonly buffer X { vec4 x[]; };
layout(binding = 1) writeonly buffer Y { vec4 y[]; };
layout(push_constant) uniform Push { peak_fma_push p; };

void main()
{
    const uint n = p.count / 4;
    const uint first = gl_WorkGroupID.x * (WIDTH * CHAINS) + gl_LocalInvocationID.x;
    const vec4 a = vec4(p.a), b = vec4(p.b);
    vec4 v[CHAINS];
    for (uint c = 0; c < CHAINS; c++)
        v[c] = x[min(first + c * WIDTH, n - 1)];
    uint s = 0;
    for (; s + STEPS <= p.steps; s += STEPS)
        for (uint k = 0; k < STEPS; k++)
            for (uint c = 0; c < CHAINS; c++)
                v[c] = fma(v[c], a, b);
    for (; s < p.steps; s++)
        for (uint c = 0; c < CHAINS; c++)
            v[c] = fma(v[c], a, b);
    for (uint c = 0; c < CHAINS; c++)
        if (first + c * WIDTH < n)
            y[first + c * WIDTH] = v[c];
}

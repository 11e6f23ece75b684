#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* y = x: see peak_copy_push. What a kernel reaches that reads and writes and does nothing
 * else.
 *
 * Grid  one invocation per four vec4, a workgroup's side by side.
 * Cost  8 bytes a float.
 * Twin  runtime/ref/ref_peak.c */

#define EACH 4
layout(local_size_x = WIDTH) in;
#include "shaders/lib/operand.glsl"
OPERAND(0, x)
layout(binding = 1) writeonly buffer Y { vec4 y[]; };
layout(push_constant) uniform Push { peak_copy_push p; };

void main()
{
    const int n = int(p.count) / 4;
    const int first = int(gl_WorkGroupID.x) * (WIDTH * EACH) + int(gl_LocalInvocationID.x);
    vec4 v[EACH];
    for (int k = 0; k < EACH; k++)
        v[k] = x(min(first + k * WIDTH, n - 1));
    for (int k = 0; k < EACH; k++)
        if (first + k * WIDTH < n)
            y[first + k * WIDTH] = v[k];
}

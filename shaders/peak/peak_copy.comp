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
    /* by name: SwiftShader keeps arrays in memory */
    const vec4 v0 = x(min(first, n - 1)), v1 = x(min(first + WIDTH, n - 1));
    const vec4 v2 = x(min(first + 2 * WIDTH, n - 1)), v3 = x(min(first + 3 * WIDTH, n - 1));
    if (first < n) y[first] = v0;
    if (first + WIDTH < n) y[first + WIDTH] = v1;
    if (first + 2 * WIDTH < n) y[first + 2 * WIDTH] = v2;
    if (first + 3 * WIDTH < n) y[first + 3 * WIDTH] = v3;
}

#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* Sums of columns, block by block: see peak_read_push. What a kernel reaches that only
 * reads.
 *
 * Grid  one invocation per four columns of a block; blocks are read front to back.
 * Sums  float, rows in order; four rows are loaded at once.
 * Cost  1 FLOP and 4 bytes a float of x.
 * Twin  runtime/ref/ref_peak.c */

layout(local_size_x = WIDTH) in;
#include "shaders/lib/operand.glsl"
OPERAND(0, x)
layout(binding = 1) writeonly buffer Y { vec4 y[]; };
layout(push_constant) uniform Push { peak_read_push p; };

void main()
{
    const int i = int(gl_GlobalInvocationID.x), rows = int(p.rows), n = PEAK_COLUMNS / 4;
    if (i >= int(p.blocks) * n)
        return;
    const int x0 = i / n * rows * n + i % n;
    vec4 sum = vec4(0.0);
    int r = 0;
    for (; r + 4 <= rows; r += 4) {
        const vec4 v0 = x(x0 + r * n), v1 = x(x0 + (r + 1) * n);
        const vec4 v2 = x(x0 + (r + 2) * n), v3 = x(x0 + (r + 3) * n);
        sum = sum + v0;
        sum = sum + v1;
        sum = sum + v2;
        sum = sum + v3;
    }
    for (; r < rows; r++)
        sum = sum + x(x0 + r * n);
    y[i] = sum;
}

#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* y[row] = x[index[row]] or 0: see gather_push.
 *
 * Grid  one invocation per four columns.
 * Cost  8 bytes an element.
 * Twin  runtime/ref/ref_elementwise.c */

layout(local_size_x = WIDTH) in;
layout(binding = 0) readonly buffer Index { uint index[]; };
layout(binding = 1) readonly buffer X { vec4 x[]; };
layout(binding = 2) writeonly buffer Y { vec4 y[]; };
layout(push_constant) uniform Push { gather_push p; };

void main()
{
    const uint n = p.cols / 4, i = gl_GlobalInvocationID.x, row = i / n, c = i % n;
    if (row >= p.rows)
        return;
    const uint from = index[row];
    vec4 v = vec4(0.0);
    if (from != 0xffffffffu)
        v = x[from * (p.ldx / 4) + c];
    y[row * (p.ldy / 4) + c] = v;
}

#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* y[row][c] (+)= x[row][index[c]] or 0: see columns_push.
 *
 * Grid  one invocation per four columns.
 * Cost  12 bytes an element, 16 with accumulate.
 * Twin  runtime/ref/ref_elementwise.c */

layout(local_size_x = WIDTH) in;
layout(binding = 0) readonly buffer Index { uvec4 index[]; };
layout(binding = 1) readonly buffer X { float x[]; };
layout(binding = 2) buffer Y { vec4 y[]; };
layout(push_constant) uniform Push { columns_push p; };

void main()
{
    const uint n = p.cols / 4, i = gl_GlobalInvocationID.x, row = i / n, c = i % n;
    if (row >= p.rows)
        return;
    const uvec4 from = index[c];
    const uint x0 = row * p.ldx + p.offx, to = (row * p.ldy + p.offy) / 4 + c;
    vec4 v = vec4(0.0);
    for (int k = 0; k < 4; k++)
        if (from[k] != 0xffffffffu)
            v[k] = x[x0 + from[k]];
    if (p.accumulate != 0)
        v += y[to];
    y[to] = v;
}

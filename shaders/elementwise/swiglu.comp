#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* h = silu(gate) up: see swiglu_push.
 *
 * Grid  one invocation per four columns.
 * Cost  8 FLOPs and 12 bytes an element.
 * Twin  runtime/ref/ref_elementwise.c */

layout(local_size_x = WIDTH) in;
#include "shaders/lib/operand.glsl"
OPERAND(0, x)
layout(binding = 1) writeonly buffer H { vec4 h[]; };
layout(push_constant) uniform Push { swiglu_push p; };

void main()
{
    const int n = int(p.cols) / 4, i = int(gl_GlobalInvocationID.x);
    const int row = i / n, c = i % n;
    if (row >= int(p.rows))
        return;
    const vec4 gate = x((row * int(p.ldx) + int(p.offg)) / 4 + c);
    const vec4 up = x((row * int(p.ldx) + int(p.offu)) / 4 + c);
    h[row * (int(p.ldh) / 4) + c] = gate / (1.0 + exp(-gate)) * up;
}

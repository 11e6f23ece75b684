#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* Gradients of gate and up: see swiglu_back_push.
 *
 * Grid  one invocation per four columns.
 * Cost  15 FLOPs and 20 bytes an element.
 * Twin  runtime/ref/ref_elementwise.c */

layout(local_size_x = WIDTH) in;
#include "shaders/lib/operand.glsl"
OPERAND(0, x)
OPERAND(1, dh)
layout(binding = 2) writeonly buffer Dx { vec4 dx[]; };
layout(push_constant) uniform Push { swiglu_back_push p; };

void main()
{
    const int n = int(p.cols) / 4, i = int(gl_GlobalInvocationID.x);
    const int row = i / n, c = i % n;
    if (row >= int(p.rows))
        return;
    const vec4 gate = x((row * int(p.ldx) + int(p.offg)) / 4 + c);
    const vec4 up = x((row * int(p.ldx) + int(p.offu)) / 4 + c);
    const vec4 d = dh(row * (int(p.lddh) / 4) + c);
    const vec4 s = 1.0 / (1.0 + exp(-gate));
    dx[(row * int(p.lddx) + int(p.offu)) / 4 + c] = d * gate * s;
    dx[(row * int(p.lddx) + int(p.offg)) / 4 + c] = d * up * s * (1.0 + gate * (1.0 - s));
}

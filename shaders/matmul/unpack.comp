#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* Decodes a weight into a 32-bit one of the same shape: see unpack_push.
 *
 * Grid  one invocation per four elements, in the order of the result.
 * Cost  2 FLOPs and 4 + bits / 8 bytes an element.
 * Twin  runtime/ref/ref_matmul.c */

layout(local_size_x = WIDTH) in;
#include "shaders/lib/operand.glsl"
OPERAND_UINT(0, codes)
OPERAND(1, scales)
layout(binding = 2) writeonly buffer Out { vec4 result[]; };
layout(push_constant) uniform Push { unpack_push p; };
#include "shaders/lib/weight_read.glsl"

void main()
{
    const int i = int(gl_GlobalInvocationID.x), k4 = int(p.in_pad) / 4;
    if (i >= k4 * int(p.out_pad))
        return;
    const int m = i / (8 * k4) * 8 + i % 8, k = i / 8 % k4;
    result[i] = weight4(m, k, k4, int(p.bits), int(p.group), int(p.form));
}

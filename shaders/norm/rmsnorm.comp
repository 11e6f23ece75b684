#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* y = w x / sqrt(mean x^2 + eps), per row and head: see rmsnorm_push.
 *
 * Grid  one invocation (ROWGROUP: one workgroup) per (row, head).
 * Sums  float, four partial sums by column modulo 4, added x + y + z + w.
 * Cost  4 FLOPs and 12 bytes a column.
 * Twin  runtime/ref/ref_norm.c */

layout(local_size_x = WIDTH) in;
#include "shaders/lib/operand.glsl"
#include "shaders/lib/group.glsl"
OPERAND(0, x)
OPERAND(1, w)
layout(binding = 2) writeonly buffer Y { vec4 y[]; };
layout(push_constant) uniform Push { rmsnorm_push p; };

void main()
{
    const int i = ITEM, heads = int(p.heads);
    const int row = i / heads, h = i % heads, n = int(p.cols) / 4;
    if (row >= int(p.rows))
        return;
    const int x0 = (row * int(p.ldx) + int(p.offx)) / 4 + h * n;
    const int y0 = (row * int(p.ldy) + int(p.offy)) / 4 + h * n;
    vec4 sum = vec4(0.0);
    for (int c = FIRST; c < n; c += STRIDE) {
        const vec4 v = x(x0 + c);
        sum = fma(v, v, sum);
    }
    sum = group_sum(sum);
    const float mean = (sum.x + sum.y + sum.z + sum.w) / float(p.cols);
    const float scale = 1.0 / sqrt(mean + p.eps);
    for (int c = FIRST; c < n; c += STRIDE)
        y[y0 + c] = w(c) * (x(x0 + c) * scale);
}

#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* Gradient of RMSNorm: see rmsnorm_back_push.
 *
 * Grid  one invocation (ROWGROUP: one workgroup) per (row, head).
 * Sums  float, four partial sums by column modulo 4.
 * Cost  10 FLOPs and 20 bytes a column.
 * Twin  runtime/ref/ref_norm.c */

layout(local_size_x = WIDTH) in;
#include "shaders/lib/operand.glsl"
#include "shaders/lib/group.glsl"
OPERAND(0, x)
OPERAND(1, w)
OPERAND(2, dy)
layout(binding = 3) buffer Dx { vec4 dx[]; };
layout(push_constant) uniform Push { rmsnorm_back_push p; };

void main()
{
    const int i = ITEM, heads = int(p.heads);
    const int row = i / heads, h = i % heads, n = int(p.cols) / 4;
    if (row >= int(p.rows))
        return;
    const int x0 = (row * int(p.ldx) + int(p.offx)) / 4 + h * n;
    const int y0 = (row * int(p.lddy) + int(p.offdy)) / 4 + h * n;
    const int d0 = (row * int(p.lddx) + int(p.offdx)) / 4 + h * n;
    vec4 square = vec4(0.0), product = vec4(0.0);
    for (int c = FIRST; c < n; c += STRIDE) {
        const vec4 v = x(x0 + c);
        square = fma(v, v, square);
        product = fma(dy(y0 + c) * w(c), v, product);
    }
    square = group_sum(square);
    product = group_sum(product);
    const float cols = float(p.cols);
    const float scale =
        1.0 / sqrt((square.x + square.y + square.z + square.w) / cols + p.eps);
    const float mean =
        (product.x + product.y + product.z + product.w) / cols * scale * scale;
    for (int c = FIRST; c < n; c += STRIDE) {
        const vec4 d = scale * (dy(y0 + c) * w(c) - x(x0 + c) * mean);
        dx[d0 + c] = p.accumulate != 0 ? dx[d0 + c] + d : d;
    }
}

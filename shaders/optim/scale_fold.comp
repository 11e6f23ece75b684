#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* Gradients of the parameters of scales and zeros, from those of segments: see
 * scale_fold_push.
 *
 * Grid  one invocation per row and block, segments in order.
 * Cost  3 FLOPs and 8 bytes a segment, 9 and 40 a block.
 * Twin  runtime/ref/ref_optim.c */

layout(local_size_x = WIDTH) in;
layout(binding = 0) readonly buffer D { float d[]; };
layout(binding = 1) readonly buffer Base { float base[]; };
layout(binding = 2) readonly buffer Parameter { float parameter[]; };
layout(binding = 3) readonly buffer Sub { uint sub[]; };
layout(binding = 4) writeonly buffer Grad { float grad[]; };
layout(push_constant) uniform Push { scale_fold_push p; };
#include "shaders/lib/scale_round.glsl"

void main()
{
    const uint blocks = (p.groups + p.per - 1) / p.per;
    const uint i = gl_GlobalInvocationID.x, m = i / blocks, b = i % blocks;
    if (m >= p.out_pad)
        return;
    const uint segments = p.in_pad / SCALE_SEGMENT, beyond = p.out_pad * segments;
    const uint each = p.group == 0 ? segments : p.group / SCALE_SEGMENT;
    const uint end = min((b + 1) * p.per * each, segments), behind = p.out_pad * blocks;
    const bool is_minimum = p.zeros == SCALE_ZERO_MINIMUM || p.zeros == SCALE_ZERO_PRODUCT;
    const float minimum =
        is_minimum ? scale_of(base[behind + i], parameter[behind + i], p.rounding) : 0.0;
    float sum = 0.0, of_zero = 0.0;
    for (uint s = b * p.per * each; s < end; s++) {
        float v = d[m * segments + s];
        if (p.zeros != SCALE_ZERO_FIXED) {
            float e = d[beyond + m * segments + s];
            if (p.zeros == SCALE_ZERO_PRODUCT)
                e *= -(minimum * sub_minimum(sub[m * p.groups + s / each]));
            else if (is_minimum)
                e *= minimum;
            of_zero += e;
            v -= is_minimum ? e : 0.0;
        }
        sum += v;
    }
    const float scale = scale_of(base[i], parameter[i], p.rounding);
    grad[i] = scale == 0.0 ? 0.0 : sum * (base[i] / scale);
    if (is_minimum)
        grad[behind + i] = minimum == 0.0 ? 0.0 : of_zero * (base[behind + i] / minimum);
    else if (p.zeros == SCALE_ZERO_WHOLE)
        grad[behind + i] = of_zero * (-SCALE_ZERO_STEP * scale);
}

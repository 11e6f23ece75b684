#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* Gradients of the parameters of scales, from those of segments: see scale_fold_push.
 *
 * Grid  one invocation per row and group, segments in order.
 * Cost  one FLOP and 4 bytes a segment, 3 and 12 a group.
 * Twin  runtime/ref/ref_optim.c */

layout(local_size_x = WIDTH) in;
layout(binding = 0) readonly buffer D { float d[]; };
layout(binding = 1) readonly buffer Base { float base[]; };
layout(binding = 2) readonly buffer Parameter { float parameter[]; };
layout(binding = 3) writeonly buffer Grad { float grad[]; };
layout(push_constant) uniform Push { scale_fold_push p; };
#include "shaders/lib/scale_round.glsl"

void main()
{
    const uint i = gl_GlobalInvocationID.x, m = i / p.groups, g = i % p.groups;
    if (m >= p.out_pad)
        return;
    const uint segments = p.in_pad / SCALE_SEGMENT;
    const uint each = p.group == 0 ? segments : p.group / SCALE_SEGMENT;
    const uint end = min((g + 1) * each, segments);
    float sum = 0.0;
    for (uint s = g * each; s < end; s++) sum += d[m * segments + s];
    const float scale = scale_of(base[i], parameter[i], p.rounding);
    grad[i] = scale == 0.0 ? 0.0 : sum * (base[i] / scale);
}

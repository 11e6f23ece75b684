#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* Gradient norm and the factor that clips it: see clip_push.
 *
 * Grid  one invocation; partial sums in order.
 * Cost  one FLOP and 4 bytes a partial sum.
 * Twin  runtime/ref/ref_optim.c */

layout(local_size_x = WIDTH) in;
layout(binding = 0) readonly buffer Partial { float partial[]; };
layout(binding = 1) writeonly buffer State { float state[]; };
layout(push_constant) uniform Push { clip_push p; };

void main()
{
    if (gl_GlobalInvocationID.x != 0)
        return;
    float sum = 0.0;
    for (uint i = 0; i < p.count; i++)
        sum += partial[i];
    const float norm = sqrt(sum), factor = p.max_norm / (norm + 1e-6);
    state[0] = norm;
    state[1] = p.max_norm > 0.0 && factor < 1.0 ? factor : 1.0;
}

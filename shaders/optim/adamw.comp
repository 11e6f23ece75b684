#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* One AdamW step: see adamw_push (Loshchilov and Hutter, arXiv 1711.05101).
 *
 * Grid  one invocation per four floats.
 * Cost  14 FLOPs and 28 bytes a float.
 * Twin  runtime/ref/ref_optim.c */

layout(local_size_x = WIDTH) in;
layout(binding = 0) readonly buffer Hyper { float hyper[]; };
layout(binding = 1) readonly buffer State { float state[]; };
layout(binding = 2) readonly buffer Grad { vec4 grad[]; };
layout(binding = 3) buffer W { vec4 w[]; };
layout(binding = 4) buffer M { vec4 m[]; };
layout(binding = 5) buffer V { vec4 v[]; };
layout(push_constant) uniform Push { adamw_push p; };

void main()
{
    const uint i = gl_GlobalInvocationID.x;
    if (i >= p.count / 4)
        return;
    const float lr = hyper[0], b1 = hyper[1], b2 = hyper[2], eps = hyper[3];
    const vec4 g = state[1] * grad[i];
    const vec4 mi = b1 * m[i] + (1.0 - b1) * g;
    const vec4 vi = b2 * v[i] + (1.0 - b2) * g * g;
    m[i] = mi;
    v[i] = vi;
    const vec4 kept = w[i] - lr * hyper[4] * w[i];
    w[i] = kept - lr * (mi / hyper[5]) / (sqrt(vi / hyper[6]) + eps);
}

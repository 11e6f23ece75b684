#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* logits become seed (onehot - p): see ce_back_push.
 *
 * Grid  one invocation per four columns.
 * Cost  4 FLOPs and 8 bytes a column.
 * Twin  runtime/ref/ref_loss.c */

layout(local_size_x = WIDTH) in;
layout(binding = 0) readonly buffer Stat { uint stat[]; };
layout(binding = 1) readonly buffer Seed { float seed[]; };
layout(binding = 2) readonly buffer None { uint none[]; };
layout(binding = 3) buffer Z { vec4 z[]; };
layout(push_constant) uniform Push { ce_back_push p; };

void main()
{
    const uint n = p.ldl / 4, i = gl_GlobalInvocationID.x, row = i / n, c = i % n;
    if (row >= p.rows)
        return;
    const float lse = uintBitsToFloat(stat[row * 8 + 4]), s = seed[row];
    const uint target = stat[row * 8 + 5];
    const uvec4 id = uvec4(c * 4) + uvec4(0, 1, 2, 3);
    const vec4 one = vec4(equal(id, uvec4(target)));
    const vec4 d = s * (one - exp(z[i] - lse));
    z[i] = mix(vec4(0.0), d, lessThan(id, uvec4(p.vocab)));
}

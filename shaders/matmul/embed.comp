#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* y[row][k] = table[ids[row]][k]: see embed_push.
 *
 * Grid  one invocation per four floats of y.
 * Cost  no arithmetic to speak of; one row of the table and of y a token.
 * Twin  runtime/ref/ref_matmul.c */

layout(local_size_x = WIDTH) in;
layout(binding = 0) readonly buffer Ids { uint ids[]; };
layout(binding = 1) readonly buffer Codes { uvec4 codes_[]; };
layout(binding = 2) readonly buffer Scales { uvec4 scales_[]; };
layout(binding = 3) writeonly buffer Y { vec4 y[]; };
layout(push_constant) uniform Push { embed_push p; };
uvec4 codes(int i) { return codes_[i]; }
uvec4 scales(int i) { return scales_[i]; }
#include "shaders/lib/weight_read.glsl"

void main()
{
    const int cols4 = (int(p.cols) + 3) / 4, i = int(gl_GlobalInvocationID.x);
    const int row = i / cols4, k = i % cols4;
    if (row >= int(p.rows))
        return;
    const uint id = (ids[row] < p.vocab ? ids[row] : 0u) - p.row0;
    if (id >= p.part)
        return;
    y[row * (int(p.ldy) / 4) + k] = weight4(int(id), k, int(p.in_pad) / 4, int(p.bits),
                                            int(p.group), int(p.form));
}

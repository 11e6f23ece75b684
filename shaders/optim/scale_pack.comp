#version 450
#extension GL_GOOGLE_include_directive : require
#include "shaders/push.h"

/* Scales of a packed weight from their parameters: see scale_pack_push.
 *
 * Grid  one invocation per row and texel that holds scales: of 2 groups (floats beside
 *       zeros), 4 (floats) or 8 (halves).
 * Cost  8 bytes a group and 32 a texel.
 * Twin  runtime/ref/ref_optim.c */

layout(local_size_x = WIDTH) in;
layout(binding = 0) readonly buffer Base { float base[]; };
layout(binding = 1) readonly buffer Parameter { float parameter[]; };
layout(binding = 2) buffer Scales { uvec4 scales[]; };
layout(push_constant) uniform Push { scale_pack_push p; };
#include "shaders/lib/scale_round.glsl"

/* enum rt_form of runtime/op/weight.h, without levels. */
const uint FORM_OFFSET_ = 1, FORM_FLOAT = 10, FORM_FLOAT_ZERO = 11;

uint groups_of_texel()
{
    const uint form = p.form & 255u;
    return form <= FORM_OFFSET_ ? 2 : form == FORM_FLOAT || form == FORM_FLOAT_ZERO ? 4 : 8;
}

void main()
{
    const uint each = groups_of_texel(), own = (p.groups + each - 1) / each;
    const uint i = gl_GlobalInvocationID.x, m = i / own, t = i % own;
    if (m >= p.out_pad)
        return;
    const uint at = (m / 8 * p.texels + t) * 8 + m % 8;
    uvec4 texel = scales[at];
    for (uint j = 0; j < each && t * each + j < p.groups; j++) {
        const uint g = m * p.groups + t * each + j;
        const float v = scale_of(base[g], parameter[g], p.rounding);
        const uint bits = floatBitsToUint(v);
        if (each == 2) {
            texel[j * 2] = bits;
        } else if (each == 4) {
            texel[j] = bits;
        } else {
            const uint h = p.rounding == SCALE_F16 ? scale_half(v) : bits >> 16;
            const uint shift = j % 2 * 16;
            texel[j / 2] = (texel[j / 2] & ~(0xffffu << shift)) | h << shift;
        }
    }
    scales[at] = texel;
}

/* shaders/lib/weight.glsl
 * Decoding of weights in the layout of runtime/weight.h. The including kernel defines
 * BITS and has the specialization constants GROUP (codes a scale; 0: one a row) and
 * FORM (0: (q - zero) scale, 1: q scale + zero). */
const int FORM_ZERO = 0;

/* Four codes in the low bits of the words of a texel. */
vec4 decode4(uvec4 codes, vec2 scale)
{
    const vec4 q = vec4(ivec4(codes));
    precise vec4 v;
    if (FORM == FORM_ZERO)
        v = (q - vec4(scale.y)) * vec4(scale.x);
    else
        v = q * vec4(scale.x) + vec4(scale.y);
    return v;
}

#include "shaders/lib/half.glsl"

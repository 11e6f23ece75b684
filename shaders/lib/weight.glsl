/* shaders/lib/weight.glsl
 * Decoding of weights in the layout of runtime/op/weight.h, form RT_FORM_ZERO or, with the
 * macro FORM_OFFSET, RT_FORM_OFFSET. A macro, not a constant: branches inside unrolled
 * code cost SwiftShader's compiler minutes. */

/* Four codes in the low bits of the words of a texel. LLVM 22 of Mesa 26 makes one
 * operation of a product and a sum in some kernels, in spite of `precise`. So the bits of
 * the product pass a number that is 0 but not to it. */
vec4 decode4(uvec4 codes, vec2 scale)
{
    const vec4 q = vec4(ivec4(codes));
#ifdef FORM_OFFSET
    precise const vec4 product = q * vec4(scale.x);
    const uint unknown_zero = gl_GlobalInvocationID.x >> 31;
    precise vec4 v = uintBitsToFloat(floatBitsToUint(product) ^ unknown_zero) + vec4(scale.y);
#else
    precise vec4 v = (q - vec4(scale.y)) * vec4(scale.x);
#endif
    return v;
}
#include "shaders/lib/half.glsl"

/* shaders/lib/half.glsl
 * IEEE halves by integer arithmetic, so that every device gives the same bits. */

/* Four halves in the low 16 bits of the words of a texel: exact for subnormals too, which
 * unpackHalf2x16 may flush. */
vec4 half4(uvec4 h)
{
    const vec4 normal = uintBitsToFloat((h & 0x7fffu) << 13) * 5.192296858534828e+33;
    const vec4 tiny = vec4(ivec4(h & 0x3ffu)) * 5.9604644775390625e-8;
    const vec4 v = mix(normal, tiny, equal(h & 0x7c00u, uvec4(0u)));
    return uintBitsToFloat(floatBitsToUint(v) | (h & 0x8000u) << 16);
}

/* The half nearest to a float, ties to even. What would be subnormal (below 2^-14 once
 * rounded) is a zero of its sign, so that nothing depends on who flushes; finite numbers
 * beyond 65504 are 65504 of their sign; infinities and NaN stay.
 * Twin: rt_half_from_float of runtime/op/weight.h. */
uint half_bits(float v)
{
    const uint bits = floatBitsToUint(v), size = bits & 0x7fffffffu;
    const uint sign = bits >> 16 & 0x8000u;
    if (size >= 0x7f800000u)
        return sign | (size > 0x7f800000u ? 0x7e00u : 0x7c00u);
    const uint rounded = (size + 0xfffu + (size >> 13 & 1u)) >> 13;
    return sign | (rounded < 0x1c400u ? 0u : min(rounded - 0x1c000u, 0x7bffu));
}

/* Two of them in a word, the first in the lower bits. */
uint half_pair(float first, float second)
{
    return half_bits(first) | half_bits(second) << 16;
}

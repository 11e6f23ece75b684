/* shaders/lib/half.glsl
 * Four IEEE halves in the low 16 bits of the words of a texel, by integer arithmetic:
 * exact for subnormals too, which unpackHalf2x16 may flush. */
vec4 half4(uvec4 h)
{
    const vec4 normal = uintBitsToFloat((h & 0x7fffu) << 13) * 5.192296858534828e+33;
    const vec4 tiny = vec4(ivec4(h & 0x3ffu)) * 5.9604644775390625e-8;
    const vec4 v = mix(normal, tiny, equal(h & 0x7c00u, uvec4(0u)));
    return uintBitsToFloat(floatBitsToUint(v) | (h & 0x8000u) << 16);
}

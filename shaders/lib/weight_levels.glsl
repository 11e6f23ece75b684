/* shaders/lib/weight_levels.glsl
 * What the codes of a form with levels stand for (enum rt_levels of
 * runtime/op/weight.h). */

const int LEVELS_IQ4_NL = 1, LEVELS_E2M1 = 2, LEVELS_TERNARY = 3, LEVELS_NF4 = 4,
          LEVELS_FP4 = 5, LEVELS_E4M3 = 6, LEVELS_E5M2 = 7;

int levels_of(int form) { return form >> 8; }

/* Bytes by q, four a word. */
uvec4 byte_of_16(uvec4 q, uvec4 words)
{
    const bvec4 odd = notEqual(q & 4u, uvec4(0u)), high = notEqual(q & 8u, uvec4(0u));
    const uvec4 a = mix(words.xxxx, words.yyyy, odd), b = mix(words.zzzz, words.wwww, odd);
    return mix(a, b, high) >> (q & 3u) * 8u & 255u;
}

/* The levels that are whole numbers, those of E2M1 doubled; without levels the codes. */
ivec4 whole_levels(uvec4 q, int levels)
{
    if (levels == LEVELS_IQ4_NL) /* plus 128 */
        return ivec4(byte_of_16(q, uvec4(0x3f2d1801u, 0x766a5d4fu, 0xa6998d81u,
                                         0xf1d9c5b5u))) - 128;
    if (levels == LEVELS_E2M1) { /* magnitudes of 4 bits, one after the other */
        const ivec4 v = ivec4(uvec4(0xc8643210u) >> (q & 7u) * 4u & 15u);
        return mix(v, -v, notEqual(q & 8u, uvec4(0u)));
    }
    return levels == LEVELS_TERNARY ? ivec4(q) - 1 : ivec4(q);
}

/* A float by three bits of q. */
vec4 float_of_8(uvec4 q, vec4 low, vec4 high)
{
    const bvec4 one = notEqual(q & 1u, uvec4(0u)), two = notEqual(q & 2u, uvec4(0u));
    const vec4 a = mix(mix(low.xxxx, low.yyyy, one), mix(low.zzzz, low.wwww, one), two);
    const vec4 b = mix(mix(high.xxxx, high.yyyy, one), mix(high.zzzz, high.wwww, one), two);
    return mix(a, b, notEqual(q & 4u, uvec4(0u)));
}

/* Floats of 8 bits. E5M2 is the upper half of a half. */
vec4 levels_of_f8(uvec4 q, int levels)
{
    if (levels == LEVELS_E5M2)
        return half4(q << 8);
    const vec4 normal = uintBitsToFloat((q & 0x7fu) << 20) * 1.329227995784915872903807e36;
    const vec4 tiny = vec4(ivec4(q & 7u)) * 0.001953125;
    const vec4 v = mix(normal, tiny, equal(q & 0x78u, uvec4(0u)));
    return uintBitsToFloat(floatBitsToUint(v) | (q & 0x80u) << 24);
}

/* The levels that are not: those of bitsandbytes, and floats of 8 bits. */
vec4 float_levels(uvec4 q, int levels)
{
    if (levels >= LEVELS_E4M3)
        return levels_of_f8(q, levels);
    const bvec4 high = notEqual(q & 8u, uvec4(0u));
    if (levels == LEVELS_FP4) {
        const vec4 v = float_of_8(q, vec4(0.0, 0.005208333333, 0.66666667, 1.0),
                                  vec4(0.33333333, 0.5, 0.16666667, 0.25));
        return mix(v, -v, high);
    }
    const vec4 a =
        float_of_8(q,
                   vec4(-1.0, -0.6961928009986877, -0.5250730514526367,
                        -0.39491748809814453),
                   vec4(-0.28444138169288635, -0.18477343022823334, -0.09105003625154495,
                        0.0));
    const vec4 b = float_of_8(q,
                              vec4(0.07958029955625534, 0.16093020141124725,
                                   0.24611230194568634, 0.33791524171829224),
                              vec4(0.44070982933044434, 0.5626170039176941,
                                   0.7229568362236023, 1.0));
    return mix(a, b, high);
}

/* shaders/lib/scale_round.glsl
 * A scale from its base and its parameter, rounded as the file of the weight holds it:
 * SCALE_* of shaders/push.h. By integer arithmetic, so that every device gives the same
 * bits. Twin: ref_scale of runtime/ref/ref_optim.c. */

/* The nearest half of a finite float, ties to even, as its bits. */
uint scale_half(float v)
{
    const uint bits = floatBitsToUint(v), size = bits & 0x7fffffffu;
    const uint sign = bits >> 16 & 0x8000u;
    if (size < 0x38800000u) /* below 2^-14: whole multiples of 2^-24 */
        return sign | uint(roundEven(uintBitsToFloat(size) * 16777216.0));
    return sign | min((size + 0xfffu + (size >> 13 & 1u)) >> 13, 0x23bffu) - 0x1c000u;
}

/* The upper half of the nearest bfloat16. */
uint scale_bfloat(float v)
{
    const uint bits = floatBitsToUint(v);
    return (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
}

/* A half as a float; subnormals too. */
float scale_of_half(uint h)
{
    const uint size = h & 0x7fffu, sign = (h & 0x8000u) << 16;
    const float v = size < 0x400u ? float(size) * 5.9604644775390625e-8
                                  : uintBitsToFloat((size << 13) + 0x38000000u);
    return uintBitsToFloat(floatBitsToUint(v) | sign);
}

float scale_of(float base, float parameter, uint rounding)
{
    precise float v = base * parameter;
    if (rounding == SCALE_F16)
        return scale_of_half(scale_half(v));
    return rounding == SCALE_BF16 ? uintBitsToFloat(scale_bfloat(v) << 16) : v;
}

/* A whole zero: SCALE_ZERO_WHOLE. */
float zero_of(float base, float parameter, float low, float high)
{
    precise float moved = SCALE_ZERO_STEP * (parameter - 1.0);
    precise float v = base + moved;
    return clamp(roundEven(v), min(low, base), max(high, base));
}

/* Of the word of a group in `sub`: s, l, and whether the file has the group. */
float sub_scale(uint word)
{
    return float(int(word << 24) >> 24);
}

float sub_minimum(uint word)
{
    return float(word >> 8 & 255u);
}

bool sub_exists(uint word)
{
    return (word >> 16 & 1u) != 0u;
}

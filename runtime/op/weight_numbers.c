/* runtime/op/weight_numbers.c
 * The numbers that weights are made of: halves, scales of 8 bits, levels. */
#include "runtime/op/weight.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- levels ---- */

/* Levels of bitsandbytes' types, as its source gives them. */
static const float nf4[16] = {
    -1.0f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0.0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1.0f,
};
static const float fp4[8] = { 0.0f, 0.005208333333f, 0.66666667f, 1.0f, 0.33333333f,
                              0.5f, 0.16666667f,     0.25f };
static const int8_t iq4_nl[16] = { -127, -104, -83, -65, -49, -35, -22, -10,
                                   1,    13,   25,  38,  53,  69,  89,  113 };
static const uint8_t e2m1[8] = { 0, 1, 2, 3, 4, 6, 8, 12 }; /* doubled */

float rt_weight_level(uint32_t form, uint32_t code)
{
    const uint32_t levels = form & ~RT_FORM_MASK;
    if (levels == RT_LEVELS_E4M3 || levels == RT_LEVELS_E5M2)
        return (levels == RT_LEVELS_E4M3 ? rt_e4m3_to_float
                                         : rt_e5m2_to_float)((uint8_t)code);
    assert(code < 16);
    switch (levels) {
    case RT_LEVELS_IQ4_NL:
        return (float)iq4_nl[code];
    case RT_LEVELS_E2M1:
        return (float)(code & 8 ? -e2m1[code & 7] : e2m1[code & 7]);
    case RT_LEVELS_TERNARY:
        return (float)code - 1;
    case RT_LEVELS_NF4:
        return nf4[code];
    default:
        assert(levels == RT_LEVELS_FP4);
        return code & 8 ? -fp4[code & 7] : fp4[code & 7];
    }
}

/* ---- scales of 8 bits ---- */

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

float rt_scale_e8m0(uint32_t s)
{
    /* the first two are below what a float has as a normal number */
    return float_of(s < 2 ? 0x200000u << s : (s - 1) << 23);
}

/* The product of the row's factor and 8 + i, moved. */
static float factor_times(const struct rt_weight_factor *row, uint32_t i)
{
    const uint32_t move = row->places >> (4 * i) & 15;
    const float product = row->factor * (float)(8 + i);
    return float_of(bits_of(product) + (move < 8 ? move : move - 16));
}

float rt_scale_e4m3(const struct rt_weight_factor *row, uint32_t s)
{
    uint32_t i = s & 7, exponent = s >> 3 & 15;
    if (exponent == 0 && i == 0)
        return 0;
    if (exponent == 0) { /* subnormal: its first bit becomes the implied one */
        const uint32_t up = i >= 4 ? 1 : i >= 2 ? 2 : 3;
        i = i << up & 7;
        exponent = 1 - up;
    }
    const float size = factor_times(row, i) * float_of((exponent + 116) << 23);
    return s & 128 ? -size : size;
}

struct rt_weight_factor rt_weight_divisor(float divisor)
{
    struct rt_weight_factor row = { .factor = 1 / divisor };
    for (uint32_t i = 0; i < 8; i++) {
        const uint32_t want = bits_of((float)(8 + i) / divisor);
        const uint32_t move = want - bits_of(row.factor * (float)(8 + i));
        row.places |= (move & 15) << (4 * i);
    }
    return row;
}

/* ---- halves ---- */

float rt_half_to_float(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = (half >> 10) & 31, mantissa = half & 1023;
    uint32_t bits;
    if (exponent == 31) {
        bits = sign | 0x7f800000 | mantissa << 13;
    } else if (exponent != 0) {
        bits = sign | (exponent + 112) << 23 | mantissa << 13;
    } else if (mantissa == 0) {
        bits = sign;
    } else { /* subnormal: normalise */
        exponent = 113;
        while (!(mantissa & 1024)) {
            mantissa <<= 1;
            exponent--;
        }
        bits = sign | exponent << 23 | (mantissa & 1023) << 13;
    }
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint16_t rt_half_from_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t size = bits & 0x7fffffff, sign = bits >> 16 & 0x8000;
    if (size >= 0x7f800000)
        return (uint16_t)(sign | (size > 0x7f800000 ? 0x7e00 : 0x7c00));
    const uint32_t rounded = (size + 0xfff + (size >> 13 & 1)) >> 13;
    if (rounded < 0x1c400) /* exponent of 2^-14 */
        return (uint16_t)sign;
    const uint32_t half = rounded - 0x1c000;
    return (uint16_t)(sign | (half < 0x7bff ? half : 0x7bff));
}

uint16_t rt_half_nearest(float value)
{
    const uint32_t size = bits_of(value) & 0x7fffffff;
    if (size >= 0x38800000) /* 2^-14 */
        return rt_half_from_float(value);
    const uint32_t sign = bits_of(value) >> 16 & 0x8000;
    return (uint16_t)(sign | (uint32_t)rintf(float_of(size) * 0x1p24f));
}

float rt_bf16_to_float(uint16_t bf16)
{
    return float_of((uint32_t)bf16 << 16);
}

uint16_t rt_bf16_nearest(float value)
{
    const uint32_t bits = bits_of(value);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

uint8_t rt_e4m3_nearest(float value)
{
    const uint32_t sign = bits_of(value) >> 24 & 0x80, size = bits_of(value) & 0x7fffffff;
    if (size >= 0x7f800000) /* E4M3 has no infinity */
        return (uint8_t)(sign | 0x7f);
    if (size < 0x3c800000) /* 2^-6: below it steps are of 2^-9 */
        return (uint8_t)(sign | (uint32_t)rintf(float_of(size) * 0x1p9f));
    const uint32_t code = ((size + 0x7ffff + (size >> 20 & 1)) >> 20) - (120u << 3);
    return (uint8_t)(sign | (code > 0x7e ? 0x7e : code));
}

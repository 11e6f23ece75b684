/* runtime/op/weight_numbers.c
 * The numbers that weights are made of: halves. */
#include "runtime/op/weight.h"

#include <string.h>

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

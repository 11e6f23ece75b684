/* runtime/op/weight_f8.c
 * Floats of 8 bits, as their types define them, to float. */
#include "runtime/op/weight.h"

#include <math.h>

float rt_e4m3_to_float(uint8_t code)
{
    if ((code & 0x7f) == 0x7f)
        return NAN;
    /* a half has the same fields but a bias that is greater by 8 */
    const uint32_t half = (code & 0x80u) << 8 | (code & 0x7fu) << 7;
    return rt_half_to_float((uint16_t)half) * 256;
}

float rt_e5m2_to_float(uint8_t code)
{
    return rt_half_to_float((uint16_t)(code << 8));
}

#include "runtime/weight.h"

#include <assert.h>
#include <string.h>

uint32_t rt_weight_in_pad(uint32_t bits, uint32_t in)
{
    return rt_round_up32(in, bits == 3 ? 128 : bits == 2 ? 64 : 32);
}

uint32_t rt_weight_texels(const struct rt_weight_shape *s)
{
    if (s->bits == 3)
        return s->in_pad / 128 * 3;
    return s->in_pad * s->bits / 128;
}

static uint32_t group_count(const struct rt_weight_shape *s)
{
    return s->group == 0 ? 1 : (s->in_pad + s->group - 1) / s->group;
}

uint32_t rt_weight_pairs(const struct rt_weight_shape *s)
{
    return s->bits >= 16 ? 0 : (group_count(s) + 1) / 2;
}

static uint64_t rows_stored(const struct rt_weight_shape *s)
{
    return rt_round_up(s->out_pad, RT_WEIGHT_BLOCK);
}

uint64_t rt_weight_code_bytes(const struct rt_weight_shape *s)
{
    return rows_stored(s) * rt_weight_texels(s) * 16;
}

uint64_t rt_weight_scale_bytes(const struct rt_weight_shape *s)
{
    const uint64_t bytes = rows_stored(s) * rt_weight_pairs(s) * 16;
    return bytes ? bytes : 16;
}

/* Word index of texel t of row m, before the word within the texel. */
static uint64_t texel_word(const struct rt_weight_shape *s, uint32_t m, uint32_t t)
{
    const uint64_t texel =
        ((uint64_t)(m / RT_WEIGHT_BLOCK) * rt_weight_texels(s) + t) * RT_WEIGHT_BLOCK +
        m % RT_WEIGHT_BLOCK;
    return texel * 4;
}

void rt_weight_put_code(const struct rt_weight_shape *s, uint32_t *codes, uint32_t m,
                        uint32_t k, uint32_t code)
{
    assert(m < rows_stored(s) && k < s->in_pad);
    if (s->bits == 3) {
        const uint32_t j = k % 128;
        codes[texel_word(s, m, k / 128 * 3 + j / 64) + j % 4] |= (code & 3)
                                                                 << (j % 64 / 4 * 2);
        codes[texel_word(s, m, k / 128 * 3 + 2) + j % 4] |= (code >> 2) << (j / 4);
        return;
    }
    const uint32_t v = 128 / s->bits, j = k % v;
    codes[texel_word(s, m, k / v) + j % 4] |= code << (j / 4 * s->bits);
}

/* n codes of at most `bits` bits, striped over a texel from bit 0 of its words. */
static void put_stripe(uint32_t *texel, const uint8_t *row, uint32_t n, uint32_t bits,
                       uint32_t shift)
{
    for (uint32_t j = 0; j < n; j++)
        texel[j % 4] |= ((uint32_t)row[j] >> shift & ((1u << bits) - 1))
                        << (j / 4 * bits);
}

void rt_weight_put_row(const struct rt_weight_shape *s, uint32_t *codes, uint32_t m,
                       const uint8_t *row, uint32_t n)
{
    assert(m < rows_stored(s) && n <= s->in_pad && s->bits <= 8);
    const uint32_t v = 128 / (s->bits == 3 ? 1 : s->bits);
    for (uint32_t k = 0, t = 0; k < n; k += v) {
        const uint32_t left = n - k < v ? n - k : v;
        if (s->bits != 3) {
            put_stripe(codes + texel_word(s, m, t++), row + k, left, s->bits, 0);
            continue;
        }
        const uint32_t low = left < 64 ? left : 64;
        put_stripe(codes + texel_word(s, m, t++), row + k, low, 2, 0);
        put_stripe(codes + texel_word(s, m, t++), row + k + low, left - low, 2, 0);
        put_stripe(codes + texel_word(s, m, t++), row + k, left, 1, 2);
    }
}

uint32_t rt_weight_get_code(const struct rt_weight_shape *s, const uint32_t *codes,
                            uint32_t m, uint32_t k)
{
    if (s->bits == 3) {
        const uint32_t j = k % 128;
        const uint32_t low = codes[texel_word(s, m, k / 128 * 3 + j / 64) + j % 4];
        const uint32_t high = codes[texel_word(s, m, k / 128 * 3 + 2) + j % 4];
        return ((low >> (j % 64 / 4 * 2)) & 3) | ((high >> (j / 4)) & 1) << 2;
    }
    const uint32_t v = 128 / s->bits, j = k % v;
    const uint32_t word = codes[texel_word(s, m, k / v) + j % 4];
    return s->bits == 32 ? word : (word >> (j / 4 * s->bits)) & ((1u << s->bits) - 1);
}

/* Float index of the (scale, zero) of group g of row m. */
static uint64_t scale_at(const struct rt_weight_shape *s, uint32_t m, uint32_t g)
{
    const uint64_t texel =
        ((uint64_t)(m / RT_WEIGHT_BLOCK) * rt_weight_pairs(s) + g / 2) * RT_WEIGHT_BLOCK +
        m % RT_WEIGHT_BLOCK;
    return texel * 4 + g % 2 * 2;
}

void rt_weight_put_scale(const struct rt_weight_shape *s, float *scales, uint32_t m,
                         uint32_t g, float scale, float zero)
{
    scales[scale_at(s, m, g)] = scale;
    scales[scale_at(s, m, g) + 1] = zero;
}

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

float rt_weight_value(const struct rt_weight_shape *s, const uint32_t *codes,
                      const float *scales, uint32_t m, uint32_t k)
{
    const uint32_t code = rt_weight_get_code(s, codes, m, k);
    if (s->bits == 32) {
        float value;
        memcpy(&value, &code, sizeof value);
        return value;
    }
    if (s->bits == 16)
        return rt_half_to_float((uint16_t)code);
    const uint32_t g = s->group == 0 ? 0 : k / s->group;
    const float scale = scales[scale_at(s, m, g)], zero = scales[scale_at(s, m, g) + 1];
    if (s->form == RT_FORM_ZERO)
        return ((float)code - zero) * scale;
    return (float)code * scale + zero;
}

/* runtime/format/packed_zeros.c
 * Zero points of packed matrices, written where fmt_packed_zero reads them. */
#include "runtime/format/packed_impl.h"

#include <assert.h>

bool fmt_packed_has_zeros(const struct fmt_packed *p, uint32_t *low, uint32_t *high)
{
    *low = fmt_packed_shift(p);
    *high = *low + (1u << p->stored) - 1;
    if (p->minus) /* 0 is stored as the greatest field, which some readers add 1 to */
        *low = 1;
    return p->zeros && !p->levels && (p->zeros->count > 1 || p->out == 1);
}

/* Bits [bit, bit + count) of a stream of words that lie `stride` words apart. */
static void put_bits(uint8_t *data, uint64_t first, uint64_t stride, uint64_t bit,
                     uint32_t count, uint32_t value)
{
    for (uint32_t i = 0; i < count; i++, bit++) {
        const uint64_t byte = 4 * (first + bit / 32 * stride) + bit % 32 / 8;
        const uint8_t mask = (uint8_t)(1u << bit % 8);
        data[byte] = (uint8_t)((data[byte] & ~mask) | (value >> i & 1 ? mask : 0));
    }
}

void fmt_packed_put_zero(const struct fmt_packed *p, uint8_t *data, uint32_t row,
                         uint32_t g, uint32_t zero)
{
    assert(row < p->out && g < p->groups);
    const uint32_t per = 32 / p->stored, field = zero - fmt_packed_shift(p);
    switch (p->method) {
    case FMT_PACK_QUANTIZED:
        put_bits(data, g, p->groups,
                 p->dense ? (uint64_t)row * p->stored
                          : row / per * 32ull + row % per * p->stored,
                 p->stored, field);
        break;
    case FMT_INT_QUANTIZED:
        data[(uint64_t)row * p->groups + g] = (uint8_t)(zero ^ 0x80u);
        break;
    case FMT_AWQ:
        put_bits(data, (uint64_t)g * (p->out / 8) + row / 8, 1, fmt_awq_shift(row), 4,
                 zero);
        break;
    default:
        put_bits(data, g * (((uint64_t)p->out * p->bits + 31) / 32), 1,
                 (uint64_t)row * p->bits, p->bits, zero - p->minus);
        break;
    }
}

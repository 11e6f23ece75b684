/* runtime/format/gguf_pack.c
 * Puts codes and scales of a block into the bytes of its GGUF type: what the decoders of
 * gguf_types.c, where the layouts are told, take apart. */
#include "runtime/format/gguf_pack.h"

#include <assert.h>
#include <math.h>
#include <string.h>

uint16_t fmt_half_near(float value)
{
    if (fabsf(value) < 65520)
        return rt_half_nearest(value);
    return signbit(value) ? 0xfc00 : 0x7c00;
}

static void put_half(uint8_t *p, uint16_t half)
{
    p[0] = (uint8_t)half;
    p[1] = (uint8_t)(half >> 8);
}

/* ---- blocks of 32 with one scale ---- */

static void join_nibbles(const uint8_t *code, uint8_t *q)
{
    for (int j = 0; j < 16; j++)
        q[j] = (uint8_t)((code[j] & 15) | (code[j + 16] & 15) << 4);
}

static void join_fifth_bits(const uint8_t *code, uint8_t *high)
{
    for (int j = 0; j < 32; j++)
        high[j / 8] |= (uint8_t)((code[j] >> 4 & 1) << (j % 8));
}

/* Q4_0 and IQ4_NL */
static void join_q4_0(const struct fmt_block *b, uint8_t *p)
{
    put_half(p, b->scale[0].d);
    join_nibbles(b->code, p + 2);
}

static void join_q4_1(const struct fmt_block *b, uint8_t *p)
{
    put_half(p, b->scale[0].d);
    put_half(p + 2, b->scale[0].m);
    join_nibbles(b->code, p + 4);
}

static void join_q5_0(const struct fmt_block *b, uint8_t *p)
{
    put_half(p, b->scale[0].d);
    join_fifth_bits(b->code, p + 2);
    join_nibbles(b->code, p + 6);
}

static void join_q5_1(const struct fmt_block *b, uint8_t *p)
{
    put_half(p, b->scale[0].d);
    put_half(p + 2, b->scale[0].m);
    join_fifth_bits(b->code, p + 4);
    join_nibbles(b->code, p + 8);
}

static void join_q8_0(const struct fmt_block *b, uint8_t *p)
{
    put_half(p, b->scale[0].d);
    for (int j = 0; j < 32; j++)
        p[2 + j] = b->code[j] ^ 0x80;
}

/* ---- blocks of 256 ---- */

static void join_pairs(const uint8_t *code, uint8_t *q)
{
    for (int i = 0; i < 256; i++)
        q[i / 128 * 32 + i % 32] |= (uint8_t)((code[i] & 3) << (2 * (i % 128 / 32)));
}

static void join_q2_k(const struct fmt_block *b, uint8_t *p)
{
    for (int g = 0; g < 16; g++)
        p[g] = (uint8_t)((b->scale[g].s & 15) | (b->scale[g].l & 15) << 4);
    join_pairs(b->code, p + 16);
    put_half(p + 80, b->scale[0].d);
    put_half(p + 82, b->scale[0].m);
}

static void join_q3_k(const struct fmt_block *b, uint8_t *p)
{
    uint8_t *packed = p + 96;
    join_pairs(b->code, p + 32);
    for (int i = 0; i < 256; i++)
        p[i % 32] |= (uint8_t)((b->code[i] >> 2 & 1) << (i / 32));
    for (int g = 0; g < 16; g++) {
        const unsigned scale = (uint8_t)(b->scale[g].s + 32);
        packed[g % 8] |= (uint8_t)((scale & 15) << (4 * (g / 8)));
        packed[8 + g % 4] |= (uint8_t)((scale >> 4 & 3) << (2 * (g / 4)));
    }
    put_half(p + 108, b->scale[0].d);
}

/* The head of Q4_K and Q5_K. */
static void join_eight(const struct fmt_block *b, uint8_t *p)
{
    uint8_t *q = p + 4;
    put_half(p, b->scale[0].d);
    put_half(p + 2, b->scale[0].m);
    for (int g = 0; g < 8; g++) {
        const unsigned s = b->scale[g].s, l = b->scale[g].l;
        if (g < 4) {
            q[g] |= (uint8_t)s;
            q[g + 4] |= (uint8_t)l;
        } else {
            q[g + 4] |= (uint8_t)((s & 15) | (l & 15) << 4);
            q[g - 4] |= (uint8_t)(s >> 4 << 6);
            q[g] |= (uint8_t)(l >> 4 << 6);
        }
    }
}

static void join_halves(const uint8_t *code, uint8_t *q)
{
    for (int i = 0; i < 256; i++)
        q[i / 64 * 32 + i % 32] |= (uint8_t)((code[i] & 15) << (4 * (i % 64 / 32)));
}

static void join_q4_k(const struct fmt_block *b, uint8_t *p)
{
    join_eight(b, p);
    join_halves(b->code, p + 16);
}

static void join_q5_k(const struct fmt_block *b, uint8_t *p)
{
    join_eight(b, p);
    for (int i = 0; i < 256; i++)
        p[16 + i % 32] |= (uint8_t)((b->code[i] >> 4 & 1) << (i / 32));
    join_halves(b->code, p + 48);
}

static void join_q6_k(const struct fmt_block *b, uint8_t *p)
{
    for (int i = 0; i < 256; i++) {
        const int half = i / 128, s = i % 128 / 32, l = i % 32;
        const unsigned code = b->code[i];
        p[64 * half + l + 32 * (s % 2)] |= (uint8_t)((code & 15) << (4 * (s / 2)));
        p[128 + 32 * half + l] |= (uint8_t)((code >> 4 & 3) << (2 * s));
    }
    for (int g = 0; g < 16; g++)
        p[192 + g] = b->scale[g].s;
    put_half(p + 208, b->scale[0].d);
}

static void join_iq4_xs(const struct fmt_block *b, uint8_t *p)
{
    put_half(p, b->scale[0].d);
    for (int g = 0; g < 8; g++) {
        const unsigned scale = (uint8_t)(b->scale[g].s + 32);
        p[4 + g / 2] |= (uint8_t)((scale & 15) << (4 * (g % 2)));
        p[2 + g / 4] |= (uint8_t)((scale >> 4 & 3) << (2 * (g % 4)));
        join_nibbles(b->code + 32 * g, p + 8 + 16 * g);
    }
}

static const struct {
    uint32_t id;
    void (*join)(const struct fmt_block *block, uint8_t *data);
} joins[] = {
    { FMT_BLOCK_ID_Q4_0, join_q4_0 },   { FMT_BLOCK_ID_Q4_1, join_q4_1 },
    { FMT_BLOCK_ID_Q5_0, join_q5_0 },   { FMT_BLOCK_ID_Q5_1, join_q5_1 },
    { FMT_BLOCK_ID_Q8_0, join_q8_0 },   { FMT_BLOCK_ID_Q2_K, join_q2_k },
    { FMT_BLOCK_ID_Q3_K, join_q3_k },   { FMT_BLOCK_ID_Q4_K, join_q4_k },
    { FMT_BLOCK_ID_Q5_K, join_q5_k },   { FMT_BLOCK_ID_Q6_K, join_q6_k },
    { FMT_BLOCK_ID_IQ4_NL, join_q4_0 }, { FMT_BLOCK_ID_IQ4_XS, join_iq4_xs },
};

bool fmt_block_joins(const struct fmt_block_type *type)
{
    for (size_t i = 0; i < RT_COUNT(joins); i++)
        if (joins[i].id == type->id)
            return true;
    return false;
}

void fmt_block_join(const struct fmt_block_type *type, const struct fmt_block *block,
                    uint8_t *data)
{
    size_t i = 0;
    while (joins[i].id != type->id) {
        i++;
        assert(i < RT_COUNT(joins));
    }
    memset(data, 0, type->bytes);
    joins[i].join(block, data);
}

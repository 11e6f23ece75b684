/* runtime/format/gguf_types.c
 * Decodes the blocks of each GGUF type into codes, scales and zero points. */
#include "runtime/format/gguf_types.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static uint16_t bits_at(const uint8_t *p)
{
    return (uint16_t)(p[0] | (uint32_t)p[1] << 8);
}

static uint32_t word_at(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* ---- blocks of 32 with one scale ---- */

/* 16 bytes: element j in the low nibble of byte j, element j + 16 in the high one. */
static void split_nibbles(const uint8_t *q, uint8_t *code)
{
    for (int j = 0; j < 16; j++) {
        code[j] = q[j] & 15;
        code[j + 16] = q[j] >> 4;
    }
}

/* The fifth bit of element j is bit j of a word. */
static void add_fifth_bits(const uint8_t *high, uint8_t *code)
{
    const uint32_t bits = word_at(high);
    for (int j = 0; j < 32; j++)
        code[j] |= (uint8_t)((bits >> j & 1) << 4);
}

/* half d, nibbles */
static void split_q4_0(const uint8_t *p, struct fmt_block *b)
{
    b->scale[0].d = bits_at(p);
    split_nibbles(p + 2, b->code);
}

/* half d, half m, nibbles */
static void split_q4_1(const uint8_t *p, struct fmt_block *b)
{
    b->scale[0].d = bits_at(p);
    b->scale[0].m = bits_at(p + 2);
    split_nibbles(p + 4, b->code);
}

/* half d, word of fifth bits, nibbles */
static void split_q5_0(const uint8_t *p, struct fmt_block *b)
{
    b->scale[0].d = bits_at(p);
    split_nibbles(p + 6, b->code);
    add_fifth_bits(p + 2, b->code);
}

/* half d, half m, word of fifth bits, nibbles */
static void split_q5_1(const uint8_t *p, struct fmt_block *b)
{
    b->scale[0].d = bits_at(p);
    b->scale[0].m = bits_at(p + 2);
    split_nibbles(p + 8, b->code);
    add_fifth_bits(p + 4, b->code);
}

/* half d, signed bytes; stored here plus 128 */
static void split_q8_0(const uint8_t *p, struct fmt_block *b)
{
    b->scale[0].d = bits_at(p);
    for (int j = 0; j < 32; j++)
        b->code[j] = p[2 + j] ^ 0x80;
}

/* half d, nibbles that index the levels */
static void split_iq4_nl(const uint8_t *p, struct fmt_block *b)
{
    b->scale[0].d = bits_at(p);
    split_nibbles(p + 2, b->code);
}

/* E8M0 scale, nibbles that index the levels of E2M1 */
static void split_mxfp4(const uint8_t *p, struct fmt_block *b)
{
    b->scale[0].s = p[0];
    split_nibbles(p + 1, b->code);
}

/* Four E4M3 scales without a sign, then for each 16 elements 8 bytes: element j in the low
 * nibble of byte j, element j + 8 in the high one. 0x7f, no number in E4M3, is read as 0;
 * behind a set highest bit it is 480, as the format's readers have it. */
static void split_nvfp4(const uint8_t *p, struct fmt_block *b)
{
    for (int g = 0; g < 4; g++)
        b->scale[g].s = p[g] == 0x7f ? 0 : p[g] & 0x7f;
    for (int i = 0; i < 64; i++)
        b->code[i] = p[4 + i / 16 * 8 + i % 8] >> (4 * (i % 16 / 8)) & 15;
}

/* ---- blocks of 256 with scales of their own for every 16 or 32 elements ---- */

/* 64 bytes of 2-bit codes: each half of 128 elements has 32 bytes, and bits 2 s, 2 s + 1
 * of byte l hold element 32 s + l of the half. */
static void split_pairs(const uint8_t *q, uint8_t *code)
{
    for (int i = 0; i < 256; i++)
        code[i] = q[i / 128 * 32 + i % 32] >> (2 * (i % 128 / 32)) & 3;
}

/* 16 bytes (scale low, minimum high nibble), 64 bytes of 2-bit codes, half d, half dmin;
 * d scale q - dmin minimum */
static void split_q2_k(const uint8_t *p, struct fmt_block *b)
{
    split_pairs(p + 16, b->code);
    for (int g = 0; g < 16; g++)
        b->scale[g] = (struct rt_weight_scale){
            .d = bits_at(p + 80), .m = bits_at(p + 82), .s = p[g] & 15, .l = p[g] >> 4
        };
}

/* 32 bytes of third bits (bit 4 h + s of byte l: element 128 h + 32 s + l), 64 bytes of
 * 2-bit codes, 12 bytes with 16 scales of 6 bits, half d; d (scale - 32) (q - 4) */
static void split_q3_k(const uint8_t *p, struct fmt_block *b)
{
    const uint8_t *packed = p + 96;
    split_pairs(p + 32, b->code);
    for (int i = 0; i < 256; i++)
        b->code[i] |= (uint8_t)((p[i % 32] >> (i / 32) & 1) << 2);
    for (int g = 0; g < 16; g++) {
        const int low = packed[g % 8] >> (4 * (g / 8)) & 15;
        const int high = packed[8 + g % 4] >> (2 * (g / 4)) & 3;
        b->scale[g].d = bits_at(p + 108);
        b->scale[g].s = (uint8_t)((low | high << 4) - 32);
    }
}

/* half d, half dmin, then 12 bytes with eight scales and eight minima of 6 bits. The first
 * four of each are the low 6 bits of bytes 0-3 and 4-7; of the last four, bytes 8-11 hold
 * the low nibbles (scale low, minimum high) and the top bits of bytes 0-3 and 4-7 the
 * rest. */
static void scales_of_eight(const uint8_t *p, struct fmt_block *b)
{
    const uint8_t *q = p + 4;
    for (int g = 0; g < 8; g++) {
        int scale = q[g % 4] & 63, minimum = q[g % 4 + 4] & 63;
        if (g >= 4) {
            scale = (q[g + 4] & 15) | q[g - 4] >> 6 << 4;
            minimum = q[g + 4] >> 4 | q[g] >> 6 << 4;
        }
        b->scale[g] = (struct rt_weight_scale){ .d = bits_at(p),
                                                .m = bits_at(p + 2),
                                                .s = (uint8_t)scale,
                                                .l = (uint8_t)minimum };
    }
}

/* half d, half dmin, 12 bytes of scales, 128 bytes: every 64 elements have 32 bytes, the
 * first 32 in the low nibbles; d scale q - dmin minimum */
static void split_q4_k(const uint8_t *p, struct fmt_block *b)
{
    scales_of_eight(p, b);
    for (int i = 0; i < 256; i++)
        b->code[i] = p[16 + i / 64 * 32 + i % 32] >> (4 * (i % 64 / 32)) & 15;
}

/* As Q4_K, with 32 bytes of fifth bits before the nibbles: bit i / 32 of byte i % 32. */
static void split_q5_k(const uint8_t *p, struct fmt_block *b)
{
    scales_of_eight(p, b);
    for (int i = 0; i < 256; i++) {
        const int low = p[48 + i / 64 * 32 + i % 32] >> (4 * (i % 64 / 32)) & 15;
        b->code[i] = (uint8_t)(low | (p[16 + i % 32] >> (i / 32) & 1) << 4);
    }
}

/* 128 bytes of low nibbles, 64 of high pairs, 16 signed scales, half d. A half of 128
 * elements has 64 and 32 of those bytes: element l + 32 s is in nibble s / 2 of byte
 * l + 32 (s % 2), its high pair in bits 2 s of byte l; d scale (q - 32) */
static void split_q6_k(const uint8_t *p, struct fmt_block *b)
{
    for (int i = 0; i < 256; i++) {
        const int half = i / 128, s = i % 128 / 32, l = i % 32;
        const int low = p[64 * half + l + 32 * (s % 2)] >> (4 * (s / 2)) & 15;
        const int high = p[128 + 32 * half + l] >> (2 * s) & 3;
        b->code[i] = (uint8_t)(low | high << 4);
    }
    for (int g = 0; g < 16; g++) {
        b->scale[g].d = bits_at(p + 208);
        b->scale[g].s = p[192 + g];
    }
}

/* half d, eight pairs of high bits of the scales, eight nibbles of their low bits, 128
 * bytes of nibbles that index the levels: every 32 elements have 16 bytes;
 * d (scale - 32) level */
static void split_iq4_xs(const uint8_t *p, struct fmt_block *b)
{
    const uint32_t high = bits_at(p + 2);
    for (int g = 0; g < 8; g++) {
        const uint32_t low = p[4 + g / 2] >> (4 * (g % 2)) & 15;
        b->scale[g].d = bits_at(p);
        b->scale[g].s = (uint8_t)((low | (high >> (2 * g) & 3) << 4) - 32);
        split_nibbles(p + 8 + 16 * g, b->code + 32 * g);
    }
}

/* 64 bytes of 2-bit codes as Q2_K's, half d; d (q - 1) */
static void split_tq2_0(const uint8_t *p, struct fmt_block *b)
{
    b->scale[0].d = bits_at(p + 64);
    split_pairs(p, b->code);
}

/* Trit i of a byte: the byte is a fraction of 256, and the digits of its thirds follow. */
static uint8_t trit_of(uint32_t byte, uint32_t i)
{
    static const uint32_t powers[5] = { 1, 3, 9, 27, 81 };
    return (uint8_t)((byte * powers[i] & 255) * 3 >> 8);
}

/* Five trits of 32 bytes, five of 16, four of 4, each digit of all bytes before the next;
 * half d; d (trit - 1) */
static void split_tq1_0(const uint8_t *p, struct fmt_block *b)
{
    b->whole.d = bits_at(p + 52);
    for (uint32_t i = 0; i < 160; i++)
        b->whole.trit[i] = trit_of(p[i % 32], i / 32);
    for (uint32_t i = 0; i < 80; i++)
        b->whole.trit[160 + i] = trit_of(p[32 + i % 16], i / 16);
    for (uint32_t i = 0; i < 16; i++)
        b->whole.trit[240 + i] = trit_of(p[48 + i % 4], i / 4);
}

/* ---- rows of grids ---- */

/* The eighth sign makes the number of minuses even. */
static uint8_t signs_of(uint32_t seven)
{
    uint32_t odd = 0;
    for (uint32_t bits = seven & 127; bits; bits &= bits - 1)
        odd ^= 128;
    return (uint8_t)((seven & 127) | odd);
}

/* Words of 32 elements: four times seven signs, scale above. */
static void split_sign_words(const uint8_t *p, uint32_t step, struct rt_weight_block *w)
{
    for (uint32_t g = 0; g < 8; g++) {
        const uint32_t word = word_at(p + step * g);
        for (uint32_t i = 0; i < 4; i++)
            w->sign[4 * g + i] = signs_of(word >> (7 * i));
        w->scale[g] = (uint8_t)(word >> 28);
    }
}

/* Nibbles, the low one first. */
static void split_scales(const uint8_t *p, uint32_t n, struct rt_weight_block *w)
{
    for (uint32_t i = 0; i < n; i++)
        w->scale[i] = p[i / 2] >> (4 * (i % 2)) & 15;
}

/* half d, 64 bytes of rows of four, eight words of signs and scales */
static void split_iq3_xxs(const uint8_t *p, struct fmt_block *b)
{
    b->whole.d = bits_at(p);
    for (uint32_t i = 0; i < 64; i++)
        b->whole.row[i] = p[2 + i];
    split_sign_words(p + 66, 4, &b->whole);
}

/* half d, 64 bytes of rows of four, 8 of their ninth bits, 32 of signs, 4 of scales */
static void split_iq3_s(const uint8_t *p, struct fmt_block *b)
{
    b->whole.d = bits_at(p);
    for (uint32_t i = 0; i < 64; i++)
        b->whole.row[i] = (uint16_t)(p[2 + i] | (p[66 + i / 8] >> (i % 8) & 1) << 8);
    memcpy(b->whole.sign, p + 74, 32);
    split_scales(p + 106, 8, &b->whole);
}

/* half d, then for each 32 elements four bytes of rows of eight and a word of signs and
 * scale */
static void split_iq2_xxs(const uint8_t *p, struct fmt_block *b)
{
    b->whole.d = bits_at(p);
    for (uint32_t i = 0; i < 32; i++)
        b->whole.row[i] = p[2 + i / 4 * 8 + i % 4];
    split_sign_words(p + 6, 8, &b->whole);
}

/* half d, for each 8 elements nine bits of row and seven signs, 8 bytes of scales */
static void split_iq2_xs(const uint8_t *p, struct fmt_block *b)
{
    b->whole.d = bits_at(p);
    for (uint32_t i = 0; i < 32; i++) {
        b->whole.row[i] = bits_at(p + 2 + 2 * i) & 511;
        b->whole.sign[i] = signs_of((uint32_t)bits_at(p + 2 + 2 * i) >> 9);
    }
    split_scales(p + 66, 16, &b->whole);
}

/* half d, 32 bytes of rows of eight, 32 of signs, 8 of two more bits per row, 8 of scales */
static void split_iq2_s(const uint8_t *p, struct fmt_block *b)
{
    b->whole.d = bits_at(p);
    for (uint32_t i = 0; i < 32; i++)
        b->whole.row[i] =
            (uint16_t)(p[2 + i] | (p[66 + i / 4] >> (2 * (i % 4)) & 3) << 8);
    memcpy(b->whole.sign, p + 34, 32);
    split_scales(p + 74, 16, &b->whole);
}

/* half d, 32 bytes of rows of eight, for each 32 elements 16 bits: three more per row, three
 * of scale, the sign of the delta */
static void split_iq1_s(const uint8_t *p, struct fmt_block *b)
{
    b->whole.d = bits_at(p);
    for (uint32_t i = 0; i < 32; i++) {
        const uint32_t high = bits_at(p + 34 + 2 * (i / 4));
        b->whole.row[i] = (uint16_t)(p[2 + i] | (high >> (3 * (i % 4)) & 7) << 8);
        b->whole.sign[i] = (uint8_t)(high >> 15);
        b->whole.scale[i / 4] = high >> 12 & 7;
    }
}

/* 32 bytes of rows of eight, a nibble per row: three more bits and the sign of the delta;
 * for each 64 elements 16 bits: four scales of three bits and, above, four bits of d */
static void split_iq1_m(const uint8_t *p, struct fmt_block *b)
{
    for (uint32_t i = 0; i < 32; i++) {
        const uint32_t high = p[32 + i / 2] >> (4 * (i % 2)) & 15;
        b->whole.row[i] = (uint16_t)(p[i] | (high & 7) << 8);
        b->whole.sign[i] = (uint8_t)(high >> 3);
    }
    b->whole.d = 0;
    for (uint32_t i = 0; i < 4; i++) {
        const uint32_t word = bits_at(p + 48 + 2 * i);
        b->whole.d |= (uint16_t)(word >> 12 << (4 * i));
        for (uint32_t j = 0; j < 4; j++)
            b->whole.scale[4 * i + j] = word >> (3 * j) & 7;
    }
}

/* ---- the list ---- */

static const struct fmt_block_type types[] = {
    { 0, "F32", 1, 4, 0, 0, NULL },
    { 1, "F16", 1, 2, 0, 0, NULL },
    { 2, "Q4_0", 32, 18, 4, RT_FORM_HALF, split_q4_0 },
    { 3, "Q4_1", 32, 20, 4, RT_FORM_HALVES, split_q4_1 },
    { 6, "Q5_0", 32, 22, 5, RT_FORM_HALF, split_q5_0 },
    { 7, "Q5_1", 32, 24, 5, RT_FORM_HALVES, split_q5_1 },
    { 8, "Q8_0", 32, 34, 8, RT_FORM_HALF, split_q8_0 },
    { 10, "Q2_K", 256, 84, 2, RT_FORM_K16_MIN, split_q2_k },
    { 11, "Q3_K", 256, 110, 3, RT_FORM_K16, split_q3_k },
    { 12, "Q4_K", 256, 144, 4, RT_FORM_K32, split_q4_k },
    { 13, "Q5_K", 256, 176, 5, RT_FORM_K32, split_q5_k },
    { 14, "Q6_K", 256, 210, 6, RT_FORM_K16, split_q6_k },
    { 16, "IQ2_XXS", 256, 66, 2, RT_FORM_IQ2_XXS, split_iq2_xxs },
    { 17, "IQ2_XS", 256, 74, 2, RT_FORM_IQ2_XS, split_iq2_xs },
    { 18, "IQ3_XXS", 256, 98, 3, RT_FORM_IQ3_XXS, split_iq3_xxs },
    { 19, "IQ1_S", 256, 50, 2, RT_FORM_IQ1_S, split_iq1_s },
    { 20, "IQ4_NL", 32, 18, 4, RT_FORM_HALF | RT_LEVELS_IQ4_NL, split_iq4_nl },
    { 21, "IQ3_S", 256, 110, 3, RT_FORM_IQ3_S, split_iq3_s },
    { 22, "IQ2_S", 256, 82, 2, RT_FORM_IQ2_S, split_iq2_s },
    { 23, "IQ4_XS", 256, 136, 4, RT_FORM_S32 | RT_LEVELS_IQ4_NL, split_iq4_xs },
    { 29, "IQ1_M", 256, 56, 2, RT_FORM_IQ1_M, split_iq1_m },
    { 30, "BF16", 1, 2, 0, 0, NULL },
    { 34, "TQ1_0", 256, 54, 2, RT_FORM_TRITS, split_tq1_0 },
    { 35, "TQ2_0", 256, 66, 2, RT_FORM_HALF | RT_LEVELS_TERNARY, split_tq2_0 },
    { 39, "MXFP4", 32, 17, 4, RT_FORM_E8M0 | RT_LEVELS_E2M1, split_mxfp4 },
    { 40, "NVFP4", 64, 36, 4, RT_FORM_E4M3 | RT_LEVELS_E2M1, split_nvfp4 },
    /* Known by name, so that a refusal can say what the file holds. */
    { .id = 9, .name = "Q8_1" },
    { .id = 15, .name = "Q8_K" },
    { .id = 24, .name = "I8" },
    { .id = 25, .name = "I16" },
    { .id = 26, .name = "I32" },
    { .id = 27, .name = "I64" },
    { .id = 28, .name = "F64" },
    { .id = 41, .name = "Q1_0" },
    { .id = 42, .name = "Q2_0" },
};

const struct fmt_block_type *fmt_block_type_find(uint32_t id)
{
    for (size_t i = 0; i < RT_COUNT(types); i++)
        if (types[i].id == id)
            return &types[i];
    return NULL;
}

const struct fmt_block_type *fmt_block_type_named(const char *name)
{
    for (size_t i = 0; i < RT_COUNT(types); i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

const char *fmt_block_type_names(char *buffer, size_t size)
{
    size_t n = 0;
    buffer[0] = '\0';
    for (size_t i = 0; i < RT_COUNT(types) && n < size; i++)
        if (types[i].bytes)
            n += (size_t)snprintf(buffer + n, size - n, "%s%s", n ? ", " : "",
                                  types[i].name);
    return buffer;
}

bool fmt_block_has_factor(const struct fmt_block_type *type)
{
    return (type->form & RT_FORM_MASK) == RT_FORM_E4M3;
}

bool fmt_block_halves(const struct fmt_block_type *type, uint32_t *scale,
                      uint32_t *minima)
{
    *scale = *minima = 0;
    switch (type->split ? type->form & RT_FORM_MASK : RT_FORM_COUNT) {
    case RT_FORM_HALF:
        return (type->form & ~RT_FORM_MASK) != RT_LEVELS_TERNARY;
    case RT_FORM_HALVES:
    case RT_FORM_K32:
        *minima = 2;
        return true;
    case RT_FORM_S32:
        return true;
    case RT_FORM_K16:
        *scale = type->bytes - 2;
        return true;
    case RT_FORM_K16_MIN:
        *scale = type->bytes - 4;
        *minima = type->bytes - 2;
        return true;
    default:
        return false;
    }
}

void fmt_block_split(const struct fmt_block_type *type, const uint8_t *data, float factor,
                     struct fmt_block *out)
{
    assert(type->split);
    memset(out->scale, 0, sizeof out->scale);
    type->split(data, out);
    for (uint32_t g = 0; fmt_block_has_factor(type) && g < FMT_BLOCK_GROUPS_MAX; g++)
        out->scale[g].row.factor = factor;
}

static void plain_floats(const struct fmt_block_type *type, const uint8_t *data,
                         uint64_t n, float *out)
{
    for (uint64_t i = 0; i < n; i++, data += type->bytes) {
        if (type->bytes == 4)
            out[i] = float_of(word_at(data));
        else if (type->id == FMT_BLOCK_ID_F16)
            out[i] = rt_half_to_float(bits_at(data));
        else
            out[i] = float_of((uint32_t)data[0] << 16 | (uint32_t)data[1] << 24);
    }
}

static void whole_floats(const struct fmt_block_type *type, const struct fmt_block *b,
                         float *out)
{
    int8_t level[FMT_BLOCK_MAX];
    float scale[FMT_BLOCK_GROUPS_MAX];
    const uint32_t group = rt_weight_form_group(type->form);
    rt_weight_block_split(type->form, &b->whole, level, scale);
    for (uint32_t i = 0; i < type->block; i++)
        out[i] = (float)level[i] * scale[i / group];
}

void fmt_block_floats(const struct fmt_block_type *type, const uint8_t *data,
                      uint64_t blocks, float factor, float *out)
{
    struct fmt_block b;
    float scale = 0, zero = 0;
    if (!type->split) {
        plain_floats(type, data, blocks, out);
        return;
    }
    const uint32_t group = rt_weight_form_group(type->form);
    for (uint64_t k = 0; k < blocks; k++, data += type->bytes, out += type->block) {
        fmt_block_split(type, data, factor, &b);
        if (rt_weight_is_blocks(type->form)) {
            whole_floats(type, &b, out);
            continue;
        }
        for (uint32_t i = 0; i < type->block; i++) {
            if (i % group == 0)
                rt_weight_unpack_scale(type->form, type->bits, &b.scale[i / group],
                                       &scale, &zero);
            out[i] = rt_weight_decode(type->form, b.code[i], scale, zero);
        }
    }
}

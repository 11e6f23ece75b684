/* runtime/op/weight.c
 * Sizes of a packed weight and the functions that put and get its codes, scales and
 * zero points. */
#include "runtime/op/weight_blocks.h"

#include <assert.h>
#include <string.h>

/* The part of a form that tells how its scales are stored. */
static uint32_t scales_of(uint32_t form)
{
    return form & RT_FORM_MASK;
}

static uint32_t levels_of(uint32_t form)
{
    return form & ~RT_FORM_MASK;
}

/* How a form stores its scales: bits of a group's own; bits of a block of 256, or of a
 * group's zero, behind. */
static const struct form {
    const char *name;
    uint32_t group, own, block, zero;
    bool is_offset; /* what belongs to a scale is added, not taken off before */
    bool is_float;  /* a group's own is one float, or the upper half of one */
} forms[RT_FORM_COUNT] = {
    [RT_FORM_ZERO] = { "float scale and zero", 0, 64, 0, 0, false, false },
    [RT_FORM_OFFSET] = { "float scale and minimum", 0, 64, 0, 0, true, false },
    [RT_FORM_HALF] = { "half scale", 32, 16, 0, 0, false, false },
    [RT_FORM_HALVES] = { "half scale and minimum", 32, 32, 0, 0, true, false },
    [RT_FORM_S32] = { "8-bit scale, a half a 256", 32, 8, 16, 0, false, false },
    [RT_FORM_K32] = { "8-bit scale and minimum, two halves a 256", 32, 16, 32, 0, true,
                      false },
    [RT_FORM_K16] = { "8-bit scale, a half a 256", 16, 8, 16, 0, false, false },
    [RT_FORM_K16_MIN] = { "4-bit scale and minimum, two halves a 256", 16, 8, 32, 0, true,
                          false },
    [RT_FORM_BF16] = { "bfloat16", 0, 0, 0, 0, false, false },
    [RT_FORM_HALF_ZERO] = { "half scale, 8-bit zero", 0, 16, 0, 8, false, false },
    [RT_FORM_FLOAT] = { "float scale", 0, 32, 0, 0, false, true },
    [RT_FORM_FLOAT_ZERO] = { "float scale, 8-bit zero", 0, 32, 0, 8, false, true },
    [RT_FORM_BFLOAT] = { "bfloat16 scale", 0, 16, 0, 0, false, true },
    [RT_FORM_BFLOAT_ZERO] = { "bfloat16 scale, 8-bit zero", 0, 16, 0, 8, false, true },
    [RT_FORM_E8M0] = { "E8M0 scale", 32, 8, 0, 0, false, false },
    [RT_FORM_E4M3] = { "E4M3 scale, a float a row", 16, 8, 0, 0, false, false },
    [RT_FORM_TRITS] = { .name = "ternary, five a byte", .group = 256 },
    [RT_FORM_IQ3_XXS] = { .name = "grid of 256 fours, 4-bit scale", .group = 32 },
    [RT_FORM_IQ3_S] = { .name = "grid of 512 fours, 4-bit scale", .group = 32 },
    [RT_FORM_IQ2_XXS] = { .name = "grid of 256 eights, 4-bit scale", .group = 32 },
    [RT_FORM_IQ2_XS] = { .name = "grid of 512 eights, 4-bit scale", .group = 16 },
    [RT_FORM_IQ2_S] = { .name = "grid of 1024 eights, 4-bit scale", .group = 16 },
    [RT_FORM_IQ1_S] = { .name = "grid of 2048 eights, 3-bit scale", .group = 32 },
    [RT_FORM_IQ1_M] = { .name = "grid of 2048 eights, 3-bit scale", .group = 16 },
};

static const struct form *form_of(uint32_t form)
{
    assert(scales_of(form) < RT_FORM_COUNT);
    return &forms[scales_of(form)];
}

uint32_t rt_weight_form_group(uint32_t form)
{
    if (levels_of(form) == RT_LEVELS_TERNARY)
        return RT_WEIGHT_K_BLOCK;
    return form_of(form)->group;
}

uint32_t rt_weight_form_wide(uint32_t form)
{
    return form_of(form)->is_offset ? RT_FORM_OFFSET : RT_FORM_ZERO;
}

bool rt_weight_form_is_whole(uint32_t form)
{
    return levels_of(form) < RT_LEVELS_NF4 && !rt_weight_is_blocks(form);
}

const char *rt_weight_form_name(uint32_t form)
{
    static const struct {
        uint32_t form;
        const char *name;
    } with_levels[] = {
        { RT_FORM_HALF | RT_LEVELS_IQ4_NL, "half scale, levels of IQ4_NL" },
        { RT_FORM_S32 | RT_LEVELS_IQ4_NL, "8-bit scale, a half a 256, levels of IQ4_NL" },
        { RT_FORM_E8M0 | RT_LEVELS_E2M1, "E8M0 scale, levels of E2M1" },
        { RT_FORM_E4M3 | RT_LEVELS_E2M1, "E4M3 scale, a float a row, levels of E2M1" },
        { RT_FORM_HALF | RT_LEVELS_TERNARY, "half scale, ternary" },
        { RT_FORM_FLOAT | RT_LEVELS_NF4, "float scale, levels of NF4" },
        { RT_FORM_FLOAT | RT_LEVELS_FP4, "float scale, levels of FP4" },
        { RT_FORM_FLOAT | RT_LEVELS_E4M3, "float scale, F8_E4M3" },
        { RT_FORM_FLOAT | RT_LEVELS_E5M2, "float scale, F8_E5M2" },
        { RT_FORM_BFLOAT | RT_LEVELS_E4M3, "bfloat16 scale, F8_E4M3" },
        { RT_FORM_BFLOAT | RT_LEVELS_E5M2, "bfloat16 scale, F8_E5M2" },
    };
    for (size_t i = 0; i < RT_COUNT(with_levels); i++)
        if (with_levels[i].form == form)
            return with_levels[i].name;
    return form_of(form)->name;
}

uint32_t rt_weight_in_pad(uint32_t bits, uint32_t in)
{
    return rt_round_up32(in, bits == 3 ? 128 : bits == 2 ? 64 : 32);
}

/* High bits of a code that lie behind the low four. */
static uint32_t high_bits(uint32_t bits)
{
    return bits == 5 || bits == 6 ? bits - 4 : 0;
}

static uint32_t texels_of(uint32_t codes, uint32_t bits)
{
    return (codes * bits + 127) / 128;
}

uint32_t rt_weight_texels(const struct rt_weight_shape *s)
{
    const uint32_t high = high_bits(s->bits);
    if (rt_weight_is_blocks(s->form))
        return rt_weight_block_texels(s);
    if (s->bits == 3)
        return s->in_pad / 128 * 3;
    return texels_of(s->in_pad, s->bits - high) + texels_of(s->in_pad, high);
}

static uint32_t group_count(const struct rt_weight_shape *s)
{
    return s->group == 0 ? 1 : (s->in_pad + s->group - 1) / s->group;
}

/* Texels of what groups have of their own. */
static uint32_t own_texels(const struct rt_weight_shape *s)
{
    return texels_of(group_count(s), form_of(s->form)->own);
}

uint32_t rt_weight_scale_texels(const struct rt_weight_shape *s)
{
    const uint32_t blocks = (s->in_pad + RT_WEIGHT_K_BLOCK - 1) / RT_WEIGHT_K_BLOCK;
    if (s->bits >= 16)
        return 0;
    if (rt_weight_is_blocks(s->form))
        return rt_weight_block_scale_texels(s);
    return own_texels(s) + texels_of(blocks, form_of(s->form)->block) +
           texels_of(group_count(s), form_of(s->form)->zero) +
           (scales_of(s->form) == RT_FORM_E4M3);
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
    const uint64_t bytes =
        (rows_stored(s) * rt_weight_scale_texels(s) + rt_weight_grid_texels(s->form)) *
        16;
    return bytes ? bytes : 16;
}

uint64_t rt_weight_bytes(const struct rt_weight_shape *s)
{
    return rt_weight_code_bytes(s) + (s->bits < 16 ? rt_weight_scale_bytes(s) : 0);
}

uint64_t rt_weight_word(uint32_t texels, uint32_t m, uint32_t t)
{
    const uint64_t texel =
        ((uint64_t)(m / RT_WEIGHT_BLOCK) * texels + t) * RT_WEIGHT_BLOCK +
        m % RT_WEIGHT_BLOCK;
    return texel * 4;
}

static uint64_t texel_word(const struct rt_weight_shape *s, uint32_t m, uint32_t t)
{
    return rt_weight_word(rt_weight_texels(s), m, t);
}

/* Where a piece of a code lies: word and bit. */
struct place {
    uint64_t word;
    uint32_t bit;
};

/* Code k of `bits` bits, striped over texels from texel t on. */
static struct place striped(const struct rt_weight_shape *s, uint32_t m, uint32_t t,
                            uint32_t k, uint32_t bits)
{
    const uint32_t v = 128 / bits, j = k % v;
    return (struct place){ texel_word(s, m, t + k / v) + j % 4, j / 4 * bits };
}

/* Low and high piece of a code; the bits of the low one. 0 of a high one: none. */
static uint32_t places(const struct rt_weight_shape *s, uint32_t m, uint32_t k,
                       struct place *low, struct place *high)
{
    const uint32_t more = high_bits(s->bits);
    if (s->bits == 3) {
        const uint32_t j = k % 128, t = k / 128 * 3;
        *low = (struct place){ texel_word(s, m, t + j / 64) + j % 4, j % 64 / 4 * 2 };
        *high = (struct place){ texel_word(s, m, t + 2) + j % 4, j / 4 };
        return 2;
    }
    *low = striped(s, m, 0, k, s->bits - more);
    if (more)
        *high = striped(s, m, texels_of(s->in_pad, 4), k, more);
    return s->bits - more;
}

void rt_weight_put_code(const struct rt_weight_shape *s, uint32_t *codes, uint32_t m,
                        uint32_t k, uint32_t code)
{
    assert(m < rows_stored(s) && k < s->in_pad);
    struct place low, high;
    const uint32_t bits = places(s, m, k, &low, &high);
    const uint32_t mask = bits == 32 ? UINT32_MAX : (1u << bits) - 1;
    codes[low.word] |= (code & mask) << low.bit;
    if (bits < s->bits)
        codes[high.word] |= (code >> bits) << high.bit;
}

uint32_t rt_weight_get_code(const struct rt_weight_shape *s, const uint32_t *codes,
                            uint32_t m, uint32_t k)
{
    struct place low, high;
    const uint32_t bits = places(s, m, k, &low, &high);
    if (bits == 32)
        return codes[low.word];
    uint32_t code = codes[low.word] >> low.bit & ((1u << bits) - 1);
    if (bits < s->bits)
        code |= (codes[high.word] >> high.bit & ((1u << (s->bits - bits)) - 1)) << bits;
    return code;
}

/* n codes of at most `bits` bits, striped over a texel from bit 0 of its words. */
static void put_stripe(uint32_t *texel, const uint8_t *row, uint32_t n, uint32_t bits,
                       uint32_t shift)
{
    for (uint32_t j = 0; j < n; j++)
        texel[j % 4] |= ((uint32_t)row[j] >> shift & ((1u << bits) - 1))
                        << (j / 4 * bits);
}

/* `bits` bits of n codes, from bit `shift` of each on, in texels t, t + 1, ... */
static void put_plane(const struct rt_weight_shape *s, uint32_t *codes, uint32_t m,
                      uint32_t t, const uint8_t *row, uint32_t n, uint32_t bits,
                      uint32_t shift)
{
    const uint32_t v = 128 / bits;
    for (uint32_t k = 0; k < n; k += v)
        put_stripe(codes + texel_word(s, m, t++), row + k, n - k < v ? n - k : v, bits,
                   shift);
}

void rt_weight_put_row(const struct rt_weight_shape *s, uint32_t *codes, uint32_t m,
                       const uint8_t *row, uint32_t n)
{
    assert(m < rows_stored(s) && n <= s->in_pad && s->bits <= 8);
    assert(!rt_weight_is_blocks(s->form));
    const uint32_t more = high_bits(s->bits);
    for (uint32_t k = 0; s->bits == 3 && k < n; k += 128) {
        const uint32_t left = n - k < 128 ? n - k : 128;
        put_plane(s, codes, m, k / 128 * 3, row + k, left, 2, 0);
        put_plane(s, codes, m, k / 128 * 3 + 2, row + k, left, 1, 2);
    }
    if (s->bits == 3)
        return;
    put_plane(s, codes, m, 0, row, n, s->bits - more, 0);
    if (more)
        put_plane(s, codes, m, texels_of(s->in_pad, 4), row, n, more, 4);
}

/* ---- scales ---- */

/* Word index of (scale, zero) of group g of row m. */
static uint64_t scale_at(const struct rt_weight_shape *s, uint32_t m, uint32_t g)
{
    return rt_weight_word(rt_weight_scale_texels(s), m, g / 2) + g % 2 * 2;
}

/* Item i of `bits` bits of a row, from texel t on. */
static struct place item_at(const struct rt_weight_shape *s, uint32_t m, uint32_t t,
                            uint32_t i, uint32_t bits)
{
    const uint32_t bit = i % (128 / bits) * bits;
    const uint64_t word =
        rt_weight_word(rt_weight_scale_texels(s), m, t + i / (128 / bits));
    return (struct place){ word + bit / 32, bit % 32 };
}

static struct place own_at(const struct rt_weight_shape *s, uint32_t m, uint32_t g)
{
    return item_at(s, m, 0, g, form_of(s->form)->own);
}

static struct place block_at(const struct rt_weight_shape *s, uint32_t m, uint32_t g)
{
    const uint32_t b = g * form_of(s->form)->group / RT_WEIGHT_K_BLOCK;
    return item_at(s, m, own_texels(s), b, form_of(s->form)->block);
}

static struct place zero_at(const struct rt_weight_shape *s, uint32_t m, uint32_t g)
{
    return item_at(s, m, own_texels(s), g, form_of(s->form)->zero);
}

static void put_zero(const struct rt_weight_shape *s, uint32_t *words, uint32_t m,
                     uint32_t g, uint32_t zero)
{
    assert(zero < 256);
    if (!form_of(s->form)->zero)
        return;
    const struct place at = zero_at(s, m, g);
    words[at.word] |= zero << at.bit;
}

void rt_weight_put_scale(const struct rt_weight_shape *s, void *scales, uint32_t m,
                         uint32_t g, float scale, float zero)
{
    uint32_t bits, *words = scales;
    if (s->form <= RT_FORM_OFFSET) {
        float *to = (float *)scales + scale_at(s, m, g);
        to[0] = scale;
        to[1] = zero;
        return;
    }
    assert(form_of(s->form)->is_float);
    const struct place own = own_at(s, m, g);
    memcpy(&bits, &scale, sizeof bits);
    words[own.word] |= form_of(s->form)->own == 32 ? bits : bits >> 16 << own.bit;
    put_zero(s, words, m, g, (uint32_t)zero);
}

/* What a group has of its own, as the bits that are stored. */
static uint32_t own_bits(uint32_t form, const struct rt_weight_scale *p)
{
    switch (scales_of(form)) {
    case RT_FORM_HALVES:
        return p->d | (uint32_t)p->m << 16;
    case RT_FORM_K32:
        return p->s | (uint32_t)p->l << 8;
    case RT_FORM_K16:
    case RT_FORM_S32:
    case RT_FORM_E8M0:
    case RT_FORM_E4M3:
        return p->s;
    case RT_FORM_K16_MIN:
        return (p->s & 15u) | (uint32_t)p->l << 4;
    default:
        return p->d;
    }
}

/* The texel of a row that holds its factor. */
static uint64_t factor_at(const struct rt_weight_shape *s, uint32_t m)
{
    return rt_weight_word(rt_weight_scale_texels(s), m, own_texels(s));
}

void rt_weight_put_packed(const struct rt_weight_shape *s, void *scales, uint32_t m,
                          uint32_t g, const struct rt_weight_scale *packed)
{
    uint32_t *words = scales;
    const struct form *form = form_of(s->form);
    const struct place own = own_at(s, m, g);
    words[own.word] |= own_bits(s->form, packed) << own.bit;
    put_zero(s, words, m, g, packed->l);
    if (scales_of(s->form) == RT_FORM_E4M3)
        memcpy(words + factor_at(s, m), &packed->row, sizeof packed->row);
    if (!form->block || g * form->group % RT_WEIGHT_K_BLOCK)
        return;
    const struct place block = block_at(s, m, g);
    words[block.word] |= (uint32_t)packed->d << block.bit;
    if (form->block == 32)
        words[block.word] |= (uint32_t)packed->m << 16;
}

static struct rt_weight_scale get_packed(const struct rt_weight_shape *s,
                                         const uint32_t *words, uint32_t m, uint32_t g)
{
    const struct form *form = form_of(s->form);
    const struct place own = own_at(s, m, g);
    const uint32_t v = words[own.word] >> own.bit;
    struct rt_weight_scale p = { .d = (uint16_t)v, .m = (uint16_t)(v >> 16) };
    if (form->own == 8 && !form->block)
        p.s = (uint8_t)v;
    if (scales_of(s->form) == RT_FORM_E4M3)
        memcpy(&p.row, words + factor_at(s, m), sizeof p.row);
    if (form->zero) {
        const struct place zero = zero_at(s, m, g);
        p.l = (uint8_t)(words[zero.word] >> zero.bit);
    }
    if (!form->block)
        return p;
    const struct place block = block_at(s, m, g);
    const uint32_t w = words[block.word] >> block.bit;
    p = (struct rt_weight_scale){ .d = (uint16_t)w,
                                  .m = (uint16_t)(w >> 16),
                                  .s = (uint8_t)v,
                                  .l = (uint8_t)(v >> 8) };
    if (s->form == RT_FORM_K16_MIN) {
        p.s = v & 15;
        p.l = v >> 4 & 15;
    }
    return p;
}

void rt_weight_unpack_scale(uint32_t form, uint32_t bits, const struct rt_weight_scale *p,
                            float *scale, float *zero)
{
    const float d = rt_half_to_float(p->d), m = rt_half_to_float(p->m);
    *scale = d;
    *zero = (float)(1u << (bits - 1));
    switch (scales_of(form)) {
    case RT_FORM_HALVES:
        *zero = m;
        break;
    case RT_FORM_HALF_ZERO:
        *zero = p->l;
        break;
    case RT_FORM_K16:
    case RT_FORM_S32:
        *scale = d * (float)(int8_t)p->s;
        break;
    case RT_FORM_K32:
    case RT_FORM_K16_MIN:
        *scale = d * (float)p->s;
        *zero = -(m * (float)p->l);
        break;
    case RT_FORM_E8M0:
        *scale = rt_scale_e8m0(p->s);
        break;
    case RT_FORM_E4M3:
        *scale = rt_scale_e4m3(&p->row, p->s);
        break;
    default:
        break;
    }
    if (levels_of(form))
        *zero = 0;
}

float rt_weight_decode(uint32_t form, uint32_t code, float scale, float zero)
{
    if (levels_of(form))
        return rt_weight_level(form, code) * scale;
    return form_of(form)->is_offset ? (float)code * scale + zero
                                    : ((float)code - zero) * scale;
}

static void read_float(const struct rt_weight_shape *s, const uint32_t *words, uint32_t m,
                       uint32_t g, const struct rt_weight_scale *packed, float *scale,
                       float *zero)
{
    const uint32_t word = words[own_at(s, m, g).word];
    const uint32_t bits = form_of(s->form)->own == 32 ? word : (uint32_t)packed->d << 16;
    memcpy(scale, &bits, sizeof bits);
    if (form_of(s->form)->zero)
        *zero = packed->l;
}

static void read_scale(const struct rt_weight_shape *s, const void *scales, uint32_t m,
                       uint32_t g, float *scale, float *zero)
{
    if (s->form <= RT_FORM_OFFSET) {
        const float *pair = (const float *)scales + scale_at(s, m, g);
        *scale = pair[0];
        *zero = pair[1];
        return;
    }
    const struct rt_weight_scale packed = get_packed(s, scales, m, g);
    rt_weight_unpack_scale(s->form, s->bits, &packed, scale, zero);
    if (form_of(s->form)->is_float)
        read_float(s, scales, m, g, &packed, scale, zero);
}

bool rt_weight_form_has_scales(uint32_t form)
{
    form = scales_of(form);
    return form <= RT_FORM_HALF || form == RT_FORM_HALF_ZERO || form == RT_FORM_FLOAT ||
           form == RT_FORM_FLOAT_ZERO || form == RT_FORM_BFLOAT ||
           form == RT_FORM_BFLOAT_ZERO;
}

float rt_weight_get_scale(const struct rt_weight_shape *s, const void *scales, uint32_t m,
                          uint32_t g)
{
    float scale, zero;
    assert(rt_weight_form_has_scales(s->form) && s->bits < 16);
    read_scale(s, scales, m, g, &scale, &zero);
    return scale;
}

float rt_weight_get_zero(const struct rt_weight_shape *s, const void *scales, uint32_t m,
                         uint32_t g)
{
    float scale, zero;
    assert(rt_weight_form_has_scales(s->form) && s->bits < 16);
    read_scale(s, scales, m, g, &scale, &zero);
    return zero;
}

float rt_weight_value(const struct rt_weight_shape *s, const uint32_t *codes,
                      const void *scales, uint32_t m, uint32_t k)
{
    if (rt_weight_is_blocks(s->form))
        return rt_weight_block_value(s, codes, scales, m, k);
    const uint32_t code = rt_weight_get_code(s, codes, m, k);
    float scale, zero;
    if (s->bits == 32 || s->form == RT_FORM_BF16) {
        const uint32_t word = s->bits == 32 ? code : code << 16;
        float value;
        memcpy(&value, &word, sizeof value);
        return value;
    }
    if (s->bits == 16)
        return rt_half_to_float((uint16_t)code);
    read_scale(s, scales, m, s->group == 0 ? 0 : k / s->group, &scale, &zero);
    return rt_weight_decode(s->form, code, scale, zero);
}

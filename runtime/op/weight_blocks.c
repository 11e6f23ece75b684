/* runtime/op/weight_blocks.c
 * Puts and gets the block forms: ternary numbers five a byte, and rows of grids. */
#include "runtime/op/weight_blocks.h"

#include <assert.h>
#include <string.h>

enum { BLOCK = 256, TRIT_WORDS = 13 };

/* How an IQ type is stored: elements of a grid row; bits of an index as stored, and of its
 * high part in `extra`; whether there are words of signs; bits of a scale. */
struct kind {
    const uint16_t *grid;
    uint32_t rows, per, index, high, extra, block, group;
    bool signs;
};

static const struct kind kinds[] = {
    { rt_grid_iq3_xxs, 256, 4, 8, 0, 0, 16, 32, true },
    { rt_grid_iq3_s, 512, 4, 8, 1, 16, 16, 32, true },
    { rt_grid_iq2_xxs, 256, 8, 8, 0, 0, 16, 32, true },
    { rt_grid_iq2_xs, 512, 8, 16, 0, 8, 16, 16, false },
    { rt_grid_iq2_s, 1024, 8, 8, 2, 16, 16, 16, true },
    { rt_grid_iq1, 2048, 8, 8, 3, 16, 16, 32, false },
    { rt_grid_iq1, 2048, 8, 8, 3, 16, 64, 16, false },
};

bool rt_weight_is_blocks(uint32_t form)
{
    return form >= RT_FORM_TRITS && form <= RT_FORM_IQ1_M;
}

static const struct kind *kind_of(uint32_t form)
{
    assert(form >= RT_FORM_IQ3_XXS && form <= RT_FORM_IQ1_M);
    return &kinds[form - RT_FORM_IQ3_XXS];
}

/* ---- sizes ---- */

/* Texels of n items. */
static uint32_t texels_of(uint32_t n, uint32_t bits)
{
    return (n * bits + 127) / 128;
}

static uint32_t index_texels(const struct rt_weight_shape *s)
{
    const struct kind *k = kind_of(s->form);
    return texels_of(s->in_pad / k->per, k->index);
}

static uint32_t extra_texels(const struct rt_weight_shape *s)
{
    return texels_of(s->in_pad / 32, kind_of(s->form)->extra);
}

uint32_t rt_weight_block_texels(const struct rt_weight_shape *s)
{
    assert(s->in_pad % BLOCK == 0);
    const uint32_t blocks = s->in_pad / BLOCK;
    if (s->form == RT_FORM_TRITS)
        return texels_of(2 * TRIT_WORDS * blocks + blocks, 16);
    return index_texels(s) + (kind_of(s->form)->signs ? s->in_pad / 128 : 0);
}

uint32_t rt_weight_block_scale_texels(const struct rt_weight_shape *s)
{
    if (s->form == RT_FORM_TRITS)
        return 0;
    return extra_texels(s) + texels_of(s->in_pad / BLOCK, kind_of(s->form)->block);
}

uint32_t rt_weight_grid_texels(uint32_t form)
{
    return rt_weight_is_blocks(form) && form != RT_FORM_TRITS ? kind_of(form)->rows / 8
                                                              : 0;
}

void rt_weight_put_grid(uint32_t form, void *scales)
{
    uint32_t *words = scales;
    for (uint32_t i = 0; i < 8 * rt_weight_grid_texels(form); i++)
        words[i / 2] |= (uint32_t)kind_of(form)->grid[i] << (16 * (i % 2));
}

/* ---- fields ---- */

/* Where arrays of a row lie: words, texels of a row, row, first texel. */
struct field {
    uint32_t *words;
    uint32_t texels, m, t;
};

static uint32_t *item(const struct field *f, uint32_t i, uint32_t bits, uint32_t *shift)
{
    const uint32_t bit = i % (128 / bits) * bits;
    *shift = bit % 32;
    return f->words + rt_weight_word(f->texels, f->m, f->t + i / (128 / bits)) + bit / 32;
}

static void put(const struct field *f, uint32_t i, uint32_t bits, uint32_t value)
{
    uint32_t shift = 0;
    uint32_t *word = item(f, i, bits, &shift);
    *word |= value << shift;
}

static uint32_t get(const struct field *f, uint32_t i, uint32_t bits)
{
    uint32_t shift = 0; /* the call comes first: its order in an expression is open */
    const uint32_t *at = item(f, i, bits, &shift);
    const uint32_t word = *at >> shift;
    return bits < 32 ? word & ((1u << bits) - 1) : word;
}

struct fields {
    struct field index, signs, extra, block;
};

/* Reading writes nothing, whatever the pointers say. */
static struct fields fields_of(const struct rt_weight_shape *s, const uint32_t *codes,
                               const void *scales, uint32_t m)
{
    uint32_t *c = (uint32_t *)(uintptr_t)codes;
    uint32_t *w = (uint32_t *)(uintptr_t)scales + 4 * rt_weight_grid_texels(s->form);
    const uint32_t texels = rt_weight_block_texels(s);
    const uint32_t scale_texels = rt_weight_block_scale_texels(s);
    return (struct fields){ .index = { c, texels, m, 0 },
                            .signs = { c, texels, m, index_texels(s) },
                            .extra = { w, scale_texels, m, 0 },
                            .block = { w, scale_texels, m, extra_texels(s) } };
}

/* ---- trits ---- */

static const uint32_t powers[5] = { 1, 3, 9, 27, 81 };

/* Byte and power of element i of a block. */
static uint32_t trit_byte(uint32_t i, uint32_t *power)
{
    if (i < 160) {
        *power = i / 32;
        return i % 32;
    }
    if (i < 240) {
        *power = (i - 160) / 16;
        return 32 + i % 16;
    }
    *power = (i - 240) / 4;
    return 48 + i % 4;
}

static struct field trit_field(const struct rt_weight_shape *s, const uint32_t *codes,
                               uint32_t m)
{
    return (struct field){ (uint32_t *)(uintptr_t)codes, rt_weight_block_texels(s), m,
                           0 };
}

/* A byte is the fraction sum trit[i] / 3^(i + 1) of 256, rounded up. */
static void put_trits(const struct rt_weight_shape *s, uint32_t *codes, uint32_t m,
                      uint32_t b, const struct rt_weight_block *block)
{
    const struct field f = trit_field(s, codes, m);
    uint32_t sum[4 * TRIT_WORDS] = { 0 }, power;
    for (uint32_t i = 0; i < BLOCK; i++) {
        const uint32_t byte = trit_byte(i, &power);
        sum[byte] += block->trit[i] * powers[4 - power];
    }
    for (uint32_t i = 0; i < 4 * TRIT_WORDS; i++)
        put(&f, 4 * TRIT_WORDS * b + i, 8, (sum[i] * 256 + 242) / 243);
    put(&f, 2 * TRIT_WORDS * (s->in_pad / BLOCK) + b, 16, block->d);
}

static float trit_value(const struct rt_weight_shape *s, const uint32_t *codes,
                        uint32_t m, uint32_t k)
{
    const struct field f = trit_field(s, codes, m);
    uint32_t power;
    const uint32_t byte = trit_byte(k % BLOCK, &power), b = k / BLOCK;
    const uint32_t q = get(&f, 4 * TRIT_WORDS * b + byte, 8) * powers[power] & 255;
    const uint32_t d = get(&f, 2 * TRIT_WORDS * (s->in_pad / BLOCK) + b, 16);
    return ((float)(q * 3 >> 8) - 1) * rt_half_to_float((uint16_t)d);
}

/* ---- grids ---- */

static bool is_xxs(uint32_t form)
{
    return form == RT_FORM_IQ3_XXS || form == RT_FORM_IQ2_XXS;
}

static bool is_iq1(uint32_t form)
{
    return form == RT_FORM_IQ1_S || form == RT_FORM_IQ1_M;
}

/* Signs of seven elements with that of the eighth. */
static uint32_t with_eighth(uint32_t seven)
{
    uint32_t odd = seven ^ seven >> 4;
    odd ^= odd >> 2;
    odd ^= odd >> 1;
    return seven | (odd & 1) << 7;
}

/* Element k of row r of the grid; IQ1: eight times, and `negative` makes the delta so. */
static int level_of(uint32_t form, uint32_t r, uint32_t k, bool negative)
{
    const struct kind *kind = kind_of(form);
    assert(r < kind->rows);
    const uint32_t bits = 16 / kind->per;
    const int n = kind->grid[r] >> (k % kind->per * bits) & ((1 << bits) - 1);
    int level = 8 + 17 * n + (n == 2);
    if (form == RT_FORM_IQ3_XXS)
        level = 8 * n + 4 + (n == 7 ? 2 : 0);
    if (form == RT_FORM_IQ3_S)
        level = 2 * n + 1;
    if (is_iq1(form))
        return 8 * (n - 1) + (negative ? -1 : 1);
    return negative ? -level : level;
}

static float scale_of(uint32_t form, uint32_t d, uint32_t s)
{
    const float unit = form == RT_FORM_IQ3_S     ? 1
                       : form == RT_FORM_IQ3_XXS ? 0.25f
                                                 : 0.125f;
    return rt_half_to_float((uint16_t)d) * (float)(2 * s + 1) * unit;
}

/* The word of signs of 32 elements. */
static uint32_t sign_word(uint32_t form, const struct rt_weight_block *b, uint32_t g)
{
    uint32_t word = is_xxs(form) ? (uint32_t)b->scale[g] << 28 : 0;
    for (uint32_t i = 0; i < 4; i++) {
        const uint32_t sign = b->sign[4 * g + i];
        assert(!is_xxs(form) || with_eighth(sign & 127) == sign);
        word |= is_xxs(form) ? (sign & 127) << (7 * i) : sign << (8 * i);
    }
    return word;
}

/* What 32 elements have in `extra`. */
static uint32_t extra_bits(uint32_t form, const struct rt_weight_block *b, uint32_t g)
{
    const struct kind *k = kind_of(form);
    const uint32_t n = 32 / k->per;
    uint32_t extra = 0;
    for (uint32_t i = 0; i < n && k->high; i++)
        extra |= (uint32_t)b->row[g * n + i] >>
                 8 << (i * (form == RT_FORM_IQ1_M ? 4 : k->high));
    switch (form) {
    case RT_FORM_IQ3_S:
        return extra | (uint32_t)b->scale[g] << 8;
    case RT_FORM_IQ2_XS:
        return b->scale[2 * g] | (uint32_t)b->scale[2 * g + 1] << 4;
    case RT_FORM_IQ2_S:
        return extra | (uint32_t)b->scale[2 * g] << 8 |
               (uint32_t)b->scale[2 * g + 1] << 12;
    case RT_FORM_IQ1_S:
        return extra | (uint32_t)b->scale[g] << 12 | (uint32_t)b->sign[4 * g] << 15;
    default:
        for (uint32_t i = 0; i < 4; i++)
            extra |= (uint32_t)b->sign[4 * g + i] << (4 * i + 3);
        return extra;
    }
}

static void put_block_scale(const struct fields *f, uint32_t form, uint32_t b,
                            const struct rt_weight_block *block)
{
    if (form != RT_FORM_IQ1_M) {
        put(&f->block, b, 16, block->d);
        return;
    }
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t word = (uint32_t)block->d >> (4 * i) << 12 & 0xf000;
        for (uint32_t j = 0; j < 4; j++)
            word |= (uint32_t)block->scale[4 * i + j] << (3 * j);
        put(&f->block, 4 * b + i, 16, word);
    }
}

void rt_weight_put_block(const struct rt_weight_shape *s, uint32_t *codes, void *scales,
                         uint32_t m, uint32_t b, const struct rt_weight_block *block)
{
    if (s->form == RT_FORM_TRITS) {
        put_trits(s, codes, m, b, block);
        return;
    }
    const struct kind *k = kind_of(s->form);
    const struct fields f = fields_of(s, codes, scales, m);
    const uint32_t n = BLOCK / k->per;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t index = block->row[i];
        if (k->index == 16)
            index |= (uint32_t)(block->sign[i] & 127) << 9;
        put(&f.index, b * n + i, k->index, k->index == 16 ? index : index & 255);
    }
    for (uint32_t g = 0; g < BLOCK / 32; g++) {
        if (k->signs)
            put(&f.signs, b * 8 + g, 32, sign_word(s->form, block, g));
        if (k->extra)
            put(&f.extra, b * 8 + g, k->extra, extra_bits(s->form, block, g));
    }
    put_block_scale(&f, s->form, b, block);
}

void rt_weight_block_split(uint32_t form, const struct rt_weight_block *block,
                           int8_t level[256], float *scale)
{
    for (uint32_t i = 0; i < BLOCK && form == RT_FORM_TRITS; i++)
        level[i] = (int8_t)(block->trit[i] - 1);
    if (form == RT_FORM_TRITS) {
        scale[0] = rt_half_to_float(block->d);
        return;
    }
    const struct kind *k = kind_of(form);
    for (uint32_t i = 0; i < BLOCK; i++) {
        const uint32_t bit = is_iq1(form) ? 0 : i % 8;
        level[i] = (int8_t)level_of(form, block->row[i / k->per], i,
                                    block->sign[i / 8] >> bit & 1);
    }
    for (uint32_t g = 0; g < BLOCK / k->group; g++)
        scale[g] = scale_of(form, block->d, block->scale[g]);
}

/* ---- one element ---- */

/* What `extra` and the words of signs say of element k; XXS and IQ1_M differ. */
struct parts {
    uint32_t row, scale, d;
    bool negative;
};

/* The scale and d of element k of IQ1_M. */
static void get_iq1_m(const struct fields *f, uint32_t k, struct parts *p)
{
    for (uint32_t i = 0; i < 4; i++)
        p->d |= get(&f->block, k / BLOCK * 4 + i, 16) >> 12 << (4 * i);
    p->scale = get(&f->block, k / 64, 16) >> (3 * (k % 64 / 16)) & 7;
}

static struct parts parts_of(const struct rt_weight_shape *s, const struct fields *f,
                             uint32_t k)
{
    const struct kind *kind = kind_of(s->form);
    const uint32_t g = k / 32, i = k % 32 / kind->per, eight = k % 32 / 8;
    const uint32_t index = get(&f->index, k / kind->per, kind->index);
    const uint32_t extra = kind->extra ? get(&f->extra, g, kind->extra) : 0;
    const uint32_t signs = kind->signs ? get(&f->signs, g, 32) : 0;
    const uint32_t step = s->form == RT_FORM_IQ1_M ? 4 : kind->high;
    struct parts p = { .row = index | (extra >> (i * step) & ((1u << kind->high) - 1))
                                          << 8 };
    uint32_t eighth = signs >> (8 * eight) & 255; /* signs of eight */
    if (s->form == RT_FORM_IQ1_M)
        get_iq1_m(f, k, &p);
    else
        p.d = get(&f->block, k / BLOCK, 16);
    switch (s->form) {
    case RT_FORM_IQ3_S:
        p.scale = extra >> 8 & 15;
        break;
    case RT_FORM_IQ2_XS:
        p.row = index & 511;
        p.scale = extra >> (4 * (k % 32 / 16)) & 15;
        eighth = with_eighth(index >> 9);
        break;
    case RT_FORM_IQ2_S:
        p.scale = extra >> (8 + 4 * (k % 32 / 16)) & 15;
        break;
    case RT_FORM_IQ1_S:
        p.scale = extra >> 12 & 7;
        eighth = extra >> 15 ? 255 : 0;
        break;
    case RT_FORM_IQ1_M:
        eighth = extra >> (4 * i + 3) & 1 ? 255 : 0;
        break;
    default:
        p.scale = signs >> 28;
        eighth = with_eighth(signs >> (7 * eight) & 127);
        break;
    }
    p.negative = eighth >> (k % 8) & 1;
    return p;
}

float rt_weight_block_value(const struct rt_weight_shape *s, const uint32_t *codes,
                            const void *scales, uint32_t m, uint32_t k)
{
    if (s->form == RT_FORM_TRITS)
        return trit_value(s, codes, m, k);
    const struct fields f = fields_of(s, codes, scales, m);
    const struct parts p = parts_of(s, &f, k);
    return (float)level_of(s->form, p.row, k, p.negative) *
           scale_of(s->form, p.d, p.scale);
}

/* runtime/op/op_cases.c
 * From the parameters of a case to its operands and their contents. The cases themselves
 * are rows of op_cases_<family>.c and op_cases_bench.c. */
#include "runtime/op/op_cases_list.h"
#include "runtime/op/op_row.h"
#include "runtime/op/weight_blocks.h"

#include <math.h>
#include <string.h>

void rt_op_case_make(struct rt_op_case *c)
{
    rt_op_rows[c->op]->operands(c);
}

/* The indices of cases run through the lists in this order. */
static const struct rt_op_case_list *const lists[] = {
    &rt_op_cases_matmul,      &rt_op_cases_norm, &rt_op_cases_attention,
    &rt_op_cases_elementwise, &rt_op_cases_loss, &rt_op_cases_optim,
    &rt_op_cases_peak,        &rt_op_cases_w8a8, &rt_op_cases_round,
    &rt_op_cases_bench,
};

bool rt_op_case_get(uint32_t index, struct rt_op_case *out)
{
    uint32_t i = 0;
    while (i < RT_COUNT(lists) && index >= lists[i]->count)
        index -= lists[i++]->count;
    if (i == RT_COUNT(lists))
        return false;
    *out = lists[i]->cases[index];
    rt_op_case_make(out);
    if (out->fill)
        out->operand[rt_op_rows[out->op]->filled].fill = out->fill;
    return true;
}

/* ---- contents ---- */

static uint32_t next_word(uint32_t *seed)
{
    /* The 32-bit finalizer of a counter: neighbours of a plain congruence are alike. */
    uint32_t x = *seed += 0x9E3779B9u;
    x = (x ^ (x >> 16)) * 0x85EBCA6Bu;
    x = (x ^ (x >> 13)) * 0xC2B2AE35u;
    return x ^ (x >> 16);
}

static float next_unit(uint32_t *seed)
{
    return (float)((int32_t)(next_word(seed) >> 8) - (1 << 23)) * (1.0f / 8388608.0f);
}

static float next_float(enum rt_fill fill, uint32_t *seed)
{
    const float unit = next_unit(seed);
    const uint32_t dice =
        fill == RT_FILL_BROKEN || fill == RT_FILL_MASKED ? next_word(seed) % 24 : 24;
    switch (fill) {
    case RT_FILL_POSITIVE:
        return 1.0f + 0.5f * unit;
    case RT_FILL_TIES:
        return floorf(4.999f * unit);
    case RT_FILL_BROKEN:
        if (dice < 3)
            return dice == 0 ? NAN : dice == 1 ? INFINITY : -INFINITY;
        return 8 * unit;
    case RT_FILL_MASKED:
        return dice < 6 ? -INFINITY : 8 * unit;
    case RT_FILL_LOGITS:
        return 8 * unit;
    case RT_FILL_LARGE:
        return 1e4f * unit;
    case RT_FILL_SMALL:
        return 0.0625f * unit;
    case RT_FILL_TINY:
        return 1e-18f * unit;
    case RT_FILL_EDGES:
        return ldexpf(unit, (int)(next_word(seed) % 51) - 30);
    default:
        return unit;
    }
}

static uint32_t word_of(float value)
{
    uint32_t word;
    memcpy(&word, &value, sizeof word);
    return word;
}

static void fill_codes(const struct rt_op_operand *o, uint32_t *seed, uint32_t *words)
{
    const uint32_t levels = o->arg >> 8 & ~RT_FORM_MASK, bits = o->arg & 255;
    const bool is_f8 = levels == RT_LEVELS_E4M3 || levels == RT_LEVELS_E5M2;
    for (uint64_t i = 0; i < o->bytes / 4; i++) {
        const uint32_t word = next_word(seed);
        if (bits == 32)
            words[i] = word_of(next_unit(seed));
        else if (is_f8) /* numbers below 2 */
            words[i] = word & 0xbfbfbfbfu;
        else if (o->arg >> 8 == RT_FORM_TRITS) /* some of them halves */
            words[i] = (word & 0x83FF83FFu) | 0x1C001C00u;
        else if (bits ==
                 16) /* halves of about 0.12 to 0.25, either sign, some subnormal */
            words[i] = (word & 0x83FF83FFu) |
                       (i % 31 == 7 && o->arg >> 8 != RT_FORM_BF16 ? 0 : 0x30003000u);
        else
            words[i] = word;
    }
}

/* Scales of the block forms: what is there is a half or small numbers. */
static void fill_block_scales(const struct rt_op_operand *o, uint32_t *seed,
                              uint32_t *words)
{
    const uint32_t grid = 4 * rt_weight_grid_texels(o->arg >> 8);
    memset(words, 0, o->bytes);
    rt_weight_put_grid(o->arg >> 8, words);
    for (uint64_t i = grid; i < o->bytes / 4; i++)
        words[i] = (next_word(seed) & 0x83FF83FFu) | 0x1C001C00u;
}

/* Of the forms with floats: zeros in the middle of the codes, or minima. Of the others any
 * bits, the exponents of halves kept small, wherever the form has them: a byte beside
 * another is a scale as good as any. */
static void fill_scales(const struct rt_op_operand *o, uint32_t *seed, uint32_t *words)
{
    const uint32_t form = o->arg >> 8 & RT_FORM_MASK, bits = o->arg & 255;
    const float middle = (float)(1u << (bits < 16 ? bits - 1 : 0));
    if (rt_weight_is_blocks(o->arg >> 8)) {
        fill_block_scales(o, seed, words);
        return;
    }
    for (uint64_t i = 0; i < o->bytes / 4; i++) {
        if (form == RT_FORM_FLOAT || form == RT_FORM_FLOAT_ZERO)
            words[i] = word_of(0.1f + 0.05f * next_unit(seed));
        else if (form == RT_FORM_BFLOAT || form == RT_FORM_BFLOAT_ZERO)
            words[i] = (next_word(seed) & 0x807f807fu) | 0x3d803d80u;
        else if (form == RT_FORM_E8M0) /* 2^-8 to 2^-1 */
            words[i] = (next_word(seed) & 0x07070707u) | 0x78787878u;
        else if (form == RT_FORM_E4M3) /* up to 2; and a factor of about 0.05 */
            words[i] = (next_word(seed) & 0x003f3f3fu) | 0x3d000000u;
        else if (form > RT_FORM_OFFSET)
            words[i] = (next_word(seed) & 0x83FF83FFu) | 0x1C001C00u;
        else if (i % 2 == 0)
            words[i] = word_of(0.1f + 0.05f * next_unit(seed));
        else
            words[i] = word_of(form == RT_FORM_OFFSET ? -next_unit(seed) : middle);
    }
}

static void fill_stat(const struct rt_op_operand *o, uint32_t *seed, uint32_t *words)
{
    for (uint64_t r = 0; r < o->checked / 32; r++, words += 8) {
        words[4] = word_of(8.5f + 0.5f * next_unit(seed)); /* log-sum-exp */
        words[5] = next_word(seed) % o->arg;
        words[6] = word_of(4 + 4 * next_unit(seed));
    }
}

double rt_op_case_keys(const struct rt_op_case *c)
{
    const struct rt_op_row *row = rt_op_rows[c->op];
    return row->keys ? row->keys(c) : 0;
}

/* One word of a fill that draws all of them alike. */
static uint32_t drawn_word(const struct rt_op_operand *o, uint64_t index, uint32_t *seed)
{
    if (o->fill == RT_FILL_WORDS)
        return next_word(seed);
    if (o->fill == RT_FILL_IDS)
        return index % 5 == 3 ? 0xffffffffu : next_word(seed) % (o->arg + 1);
    return word_of(next_float(o->fill, seed));
}

static void fill_halves(const struct rt_op_operand *o, uint32_t *seed, uint16_t *halves)
{
    for (uint64_t i = 0; i < o->bytes / 2; i++)
        halves[i] = rt_half_from_float(next_unit(seed));
}

static void fill_table(const struct rt_op_operand *o, uint32_t *words)
{
    const uint64_t pages = o->checked / 4;
    for (uint64_t i = 0; i < pages; i++)
        words[i] = (uint32_t)(pages - 1 - i);
}

static void fill_quantized(const struct rt_op_operand *o, uint32_t *seed, uint32_t *words)
{
    for (uint64_t i = 0; i < o->bytes / 4; i++)
        words[i] = i % o->ld == o->arg ? word_of(0.1f + 0.05f * next_unit(seed))
                                       : next_word(seed);
}

void rt_op_case_fill(const struct rt_op_case *c, uint32_t binding, uint32_t seed,
                     void *data)
{
    static const float hyper[8] = { 0.01f, 0.9f, 0.999f, 1e-8f, 0.1f, 0.1f, 0.001f, 0 };
    const struct rt_op_operand *o = &c->operand[binding];
    uint32_t *words = data, state = seed * 0x01000193u + binding * 0x10001u;
    memset(data, 0, o->bytes);
    switch (o->fill) {
    case RT_FILL_ZERO:
        break;
    case RT_FILL_CODES:
        fill_codes(o, &state, words);
        break;
    case RT_FILL_SCALES:
        fill_scales(o, &state, words);
        break;
    case RT_FILL_STAT:
        fill_stat(o, &state, words);
        break;
    case RT_FILL_HYPER:
        memcpy(data, hyper, sizeof hyper);
        break;
    case RT_FILL_META:
        rt_op_rows[c->op]->meta(c, words);
        break;
    case RT_FILL_TABLE:
        fill_table(o, words);
        break;
    case RT_FILL_HALVES:
        fill_halves(o, &state, data);
        break;
    case RT_FILL_QUANTIZED:
        fill_quantized(o, &state, words);
        break;
    default:
        for (uint64_t i = 0; i < o->bytes / 4; i++)
            words[i] = drawn_word(o, i, &state);
    }
}

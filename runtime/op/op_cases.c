/* runtime/op/op_cases.c
 * From the parameters of a case to its operands. The cases themselves are rows of
 * runtime/op/op_cases_list.c and runtime/op/op_cases_bench.c. */
#include "runtime/op/op_cases_list.h"

#include "runtime/weight.h"

#include <math.h>
#include <string.h>

static struct rt_op_operand plain(uint64_t words, enum rt_fill fill)
{
    return (struct rt_op_operand){ .bytes = 4 * rt_round_up(words ? words : 1, 64),
                                   .checked = 4 * words,
                                   .fill = fill };
}

/* A row buffer: rows padded to 64. */
static struct rt_op_operand rows_of(uint64_t rows, uint32_t ld, enum rt_fill fill)
{
    return (struct rt_op_operand){
        .bytes = 4 * rt_round_up(rows ? rows : 1, RT_ROW_PAD) * ld,
        .checked = 4 * rows * ld,
        .ld = ld,
        .fill = fill,
    };
}

/* Rows of keys and values: floats, or halves. */
static struct rt_op_operand keys_of(uint64_t rows, uint32_t ld, bool halves)
{
    struct rt_op_operand o = rows_of(rows, ld, halves ? RT_FILL_HALVES : RT_FILL_UNIT);
    if (halves) {
        o.bytes /= 2;
        o.checked /= 2;
        o.content = RT_CONTENT_HALVES;
    }
    return o;
}

/* Codes and scales of a weight. */
static void weight_of(struct rt_op_operand *o, uint32_t out_pad, uint32_t in_pad,
                      uint32_t bits, uint32_t group, uint32_t form)
{
    const struct rt_weight_shape s = {
        .out_pad = out_pad, .in_pad = in_pad, .bits = bits, .group = group, .form = form
    };
    o[0] = plain(rt_weight_code_bytes(&s) / 4, RT_FILL_CODES);
    o[1] = plain(rt_weight_scale_bytes(&s) / 4, RT_FILL_SCALES);
    o[0].arg = bits;
    o[1].arg = form << 8 | bits;
}

static struct rt_op_operand adapter_of(uint32_t out_pad, uint32_t in_pad)
{
    struct rt_op_operand o[2];
    weight_of(o, out_pad, in_pad ? in_pad : 4, 32, 0, 0);
    return o[0];
}

static void make_matmul(struct rt_op_case *c)
{
    struct rt_op_operand *o = c->operand;
    const struct matmul_push *p = &c->push.matmul;
    weight_of(o, p->out_pad, p->in_pad, p->bits, p->group, p->form);
    o[2] = rows_of(p->rows, p->ldx, RT_FILL_UNIT);
    o[3] = rows_of(p->rows, p->ldu ? p->ldu : 128, RT_FILL_UNIT);
    o[4] = adapter_of(p->out_pad, p->rank);
    o[5] = plain(p->out_pad, RT_FILL_UNIT);
    o[6] = rows_of(p->rows, p->ldy, RT_FILL_UNIT);
    o[7] = rows_of(p->rows, p->ldy, RT_FILL_UNIT);
}

static void make_matmul_back(struct rt_op_case *c)
{
    struct rt_op_operand *o = c->operand;
    const struct matmul_back_push *p = &c->push.matmul_back;
    weight_of(o, p->out_pad, p->in_pad, p->bits, p->group, p->form);
    o[2] = rows_of(p->rows, p->lddy, RT_FILL_UNIT);
    o[3] = rows_of(p->rows, p->lddu ? p->lddu : 128, RT_FILL_UNIT);
    o[4] = adapter_of(p->rank ? p->rank : 8, p->in_pad);
    o[5] = rows_of(p->rows, p->lddx, RT_FILL_UNIT);
}

static void make_matrix(struct rt_op_case *c)
{
    struct rt_op_operand *o = c->operand;
    if (c->op == RT_OP_embed) {
        const struct embed_push *p = &c->push.embed;
        o[0] = plain(p->rows, RT_FILL_IDS);
        o[0].arg = p->vocab;
        weight_of(o + 1, rt_round_up32(p->part, RT_WEIGHT_OUT_PAD), p->in_pad, p->bits,
                  p->group, p->form);
        o[3] = rows_of(p->rows, p->ldy, RT_FILL_UNIT);
    } else if (c->op == RT_OP_unpack) {
        const struct unpack_push *p = &c->push.unpack;
        weight_of(o, p->out_pad, p->in_pad, p->bits, p->group, p->form);
        o[2] = plain((uint64_t)p->out_pad * p->in_pad, RT_FILL_UNIT);
    } else if (c->op == RT_OP_outer) {
        const struct outer_push *p = &c->push.outer;
        o[0] = rows_of(p->rows, p->ldp, RT_FILL_UNIT);
        o[1] = rows_of(p->rows, p->ldq, RT_FILL_UNIT);
        o[2] = rows_of(p->na, p->ldd, RT_FILL_UNIT);
    } else {
        const struct pack_push *p = &c->push.pack;
        o[0] = rows_of(p->transpose ? p->n_in : p->n_out, p->lds, RT_FILL_UNIT);
        o[1] = adapter_of(rt_round_up32(p->m0 + p->n_out, 16), p->in_pad);
        o[1].fill = RT_FILL_UNIT;
    }
}

static void make_norm(struct rt_op_case *c)
{
    struct rt_op_operand *o = c->operand;
    if (c->op == RT_OP_rmsnorm) {
        const struct rmsnorm_push *p = &c->push.rmsnorm;
        o[0] = rows_of(p->rows, p->ldx, RT_FILL_UNIT);
        o[1] = plain(p->cols, RT_FILL_UNIT);
        o[2] = rows_of(p->rows, p->ldy, RT_FILL_UNIT);
    } else {
        const struct rmsnorm_back_push *p = &c->push.rmsnorm_back;
        o[0] = rows_of(p->rows, p->ldx, RT_FILL_UNIT);
        o[1] = plain(p->cols, RT_FILL_UNIT);
        o[2] = rows_of(p->rows, p->lddy, RT_FILL_UNIT);
        o[3] = rows_of(p->rows, p->lddx, RT_FILL_UNIT);
    }
}

static uint32_t pages_of(const struct rt_op_case *c)
{
    const uint32_t page = c->push.attention.page;
    return page ? (c->length + page - 1) / page : 0;
}

static void make_attention(struct rt_op_case *c)
{
    struct rt_op_operand *o = c->operand;
    const struct attention_push *p = &c->push.attention;
    const uint64_t keys = p->page ? (uint64_t)p->rows * pages_of(c) * p->page : p->rows;
    o[0] = rows_of(p->rows, p->ldq, RT_FILL_UNIT);
    o[1] = keys_of(keys, p->ldk, p->halves != 0);
    o[2] = keys_of(keys, p->ldv, p->halves != 0);
    o[3] = plain(4ull * p->rows, RT_FILL_META);
    o[4] = plain((uint64_t)p->rows * pages_of(c), RT_FILL_TABLE);
    o[5] = rows_of(p->rows, p->ldo, RT_FILL_UNIT);
    o[6] = plain((uint64_t)p->rows * p->heads, RT_FILL_UNIT);
}

static void make_attention_back(struct rt_op_case *c)
{
    struct rt_op_operand *o = c->operand;
    if (c->op == RT_OP_attention_back_q) {
        const struct attention_back_q_push *p = &c->push.attention_back_q;
        o[0] = rows_of(p->rows, p->ldq, RT_FILL_UNIT);
        o[1] = rows_of(p->rows, p->ldk, RT_FILL_UNIT);
        o[2] = rows_of(p->rows, p->ldv, RT_FILL_UNIT);
        o[3] = plain(4ull * p->rows, RT_FILL_META);
        o[4] = rows_of(p->rows, p->ldo, RT_FILL_UNIT);
        o[5] = plain((uint64_t)p->rows * p->heads, RT_FILL_POSITIVE);
        o[6] = rows_of(p->rows, p->lddq, RT_FILL_UNIT);
        o[7] = plain((uint64_t)p->rows * p->heads, RT_FILL_UNIT);
    } else {
        const struct attention_back_kv_push *p = &c->push.attention_back_kv;
        o[0] = rows_of(p->rows, p->ldq, RT_FILL_UNIT);
        o[1] = rows_of(p->rows, p->ldk, RT_FILL_UNIT);
        o[2] = rows_of(p->rows, p->ldv, RT_FILL_UNIT);
        o[3] = plain(4ull * p->rows, RT_FILL_META);
        o[4] = rows_of(p->rows, p->ldo, RT_FILL_UNIT);
        o[5] = plain((uint64_t)p->rows * p->heads, RT_FILL_POSITIVE);
        o[6] = plain((uint64_t)p->rows * p->heads, RT_FILL_UNIT);
        o[7] = rows_of(p->rows, p->lddk, RT_FILL_UNIT);
    }
}

static void make_elementwise(struct rt_op_case *c)
{
    struct rt_op_operand *o = c->operand;
    if (c->op == RT_OP_swiglu) {
        const struct swiglu_push *p = &c->push.swiglu;
        o[0] = rows_of(p->rows, p->ldx, RT_FILL_LOGITS);
        o[1] = rows_of(p->rows, p->ldh, RT_FILL_UNIT);
    } else if (c->op == RT_OP_swiglu_back) {
        const struct swiglu_back_push *p = &c->push.swiglu_back;
        o[0] = rows_of(p->rows, p->ldx, RT_FILL_LOGITS);
        o[1] = rows_of(p->rows, p->lddh, RT_FILL_UNIT);
        o[2] = rows_of(p->rows, p->lddx, RT_FILL_UNIT);
    } else if (c->op == RT_OP_add) {
        o[0] = plain(c->push.add.count, RT_FILL_UNIT);
        o[1] = plain(c->push.add.count, RT_FILL_UNIT);
    } else if (c->op == RT_OP_gather) {
        const struct gather_push *p = &c->push.gather;
        o[0] = plain(p->rows, RT_FILL_IDS);
        o[0].arg = 62; /* rows 0 .. 62 of a buffer of 64 */
        o[1] = rows_of(64, p->ldx, RT_FILL_UNIT);
        o[2] = rows_of(p->rows, p->ldy, RT_FILL_UNIT);
    } else if (c->op == RT_OP_columns) {
        const struct columns_push *p = &c->push.columns;
        o[0] = plain(p->cols, RT_FILL_IDS);
        o[0].arg = p->ldx - p->offx - 1;
        o[1] = rows_of(p->rows, p->ldx, RT_FILL_UNIT);
        o[2] = rows_of(p->rows, p->ldy, RT_FILL_UNIT);
    } else {
        const struct rope_push *p = &c->push.rope;
        o[0] = plain((uint64_t)p->positions * p->hd, RT_FILL_UNIT);
        o[1] = plain(4ull * p->rows, RT_FILL_META);
        o[2] = rows_of(p->rows, p->ldx, RT_FILL_UNIT);
        o[3] =
            p->store ? keys_of(p->rows, p->ldc, p->halves != 0) : plain(0, RT_FILL_ZERO);
    }
}

static void make_loss(struct rt_op_case *c)
{
    struct rt_op_operand *o = c->operand;
    if (c->op == RT_OP_logits_stat) {
        const struct logits_stat_push *p = &c->push.logits_stat;
        o[0] = rows_of(p->rows, p->ldl, RT_FILL_LOGITS);
        o[1] = plain(p->rows, RT_FILL_IDS);
        o[1].arg = p->vocab;
        o[2] = plain(8ull * p->rows, RT_FILL_ZERO);
        o[2].ld = 8;
        o[2].content = RT_CONTENT_STAT;
    } else if (c->op == RT_OP_ce_back) {
        const struct ce_back_push *p = &c->push.ce_back;
        o[0] = plain(8ull * p->rows, RT_FILL_STAT);
        o[0].arg = p->vocab;
        o[1] = plain(p->rows, RT_FILL_UNIT);
        o[2] = plain(0, RT_FILL_ZERO);
        o[3] = rows_of(p->rows, p->ldl, RT_FILL_LOGITS);
    } else if (c->op == RT_OP_kl) {
        const struct kl_push *p = &c->push.kl;
        o[0] = rows_of(p->rows, p->ldl, RT_FILL_LOGITS);
        o[1] = plain(p->rows, RT_FILL_POSITIVE);
        o[2] = rows_of(p->rows, p->ldl, RT_FILL_LOGITS);
        o[3] = plain(4ull * p->rows, RT_FILL_ZERO);
        o[3].ld = 4;
        o[3].content = RT_CONTENT_KLSTAT;
    } else {
        const struct sample_push *p = &c->push.sample;
        o[0] = rows_of(p->rows, p->ldl, RT_FILL_LOGITS);
        o[1] = plain(4ull * p->rows, RT_FILL_WORDS);
        o[2] = plain(2ull * p->rows, RT_FILL_ZERO);
        o[2].content = RT_CONTENT_WORDS;
    }
}

/* Tokens of the chosen and rejected range of pair i: different, the first short. */
static uint32_t dpo_chosen(uint32_t i)
{
    return 1 + 3 * i;
}

static uint32_t dpo_rejected(uint32_t i)
{
    return 7 + 2 * i;
}

static void make_optim(struct rt_op_case *c)
{
    struct rt_op_operand *o = c->operand;
    if (c->op == RT_OP_dpo) {
        uint32_t tokens = 0;
        for (uint32_t i = 0; i < c->push.dpo.pairs; i++)
            tokens += dpo_chosen(i) + dpo_rejected(i);
        o[0] = plain(8ull * tokens, RT_FILL_STAT);
        o[0].arg = 100;
        o[1] = plain(tokens, RT_FILL_UNIT);
        o[2] = plain(4ull * c->push.dpo.pairs, RT_FILL_META);
        o[3] = plain(0, RT_FILL_ZERO);
        o[4] = plain(tokens, RT_FILL_UNIT);
        o[5] = plain(8ull * c->push.dpo.pairs, RT_FILL_UNIT);
        o[5].ld = 8;
    } else if (c->op == RT_OP_sumsq) {
        o[0] = plain(c->push.sumsq.count, RT_FILL_UNIT);
        o[1] = plain((c->push.sumsq.count + 1023) / 1024, RT_FILL_UNIT);
    } else if (c->op == RT_OP_clip) {
        o[0] = plain(c->push.clip.count, RT_FILL_POSITIVE);
        o[1] = plain(4, RT_FILL_ZERO);
    } else {
        const uint32_t count = c->push.adamw.count;
        o[0] = plain(8, RT_FILL_HYPER);
        o[1] = plain(4, RT_FILL_POSITIVE);
        o[2] = plain(count, RT_FILL_UNIT);
        o[3] = plain(count, RT_FILL_UNIT);
        o[4] = plain(count, RT_FILL_UNIT);
        o[5] = plain(count, RT_FILL_POSITIVE);
    }
}

static void make_peak(struct rt_op_case *c)
{
    struct rt_op_operand *o = c->operand;
    if (c->op == RT_OP_peak_read) {
        const struct peak_read_push *p = &c->push.peak_read;
        const uint64_t columns = (uint64_t)p->blocks * PEAK_COLUMNS;
        o[0] = plain(columns * p->rows, RT_FILL_UNIT);
        o[1] = plain(columns, RT_FILL_ZERO);
    } else {
        const uint32_t count =
            c->op == RT_OP_peak_fma ? c->push.peak_fma.count : c->push.peak_copy.count;
        o[0] = plain(count, RT_FILL_UNIT);
        o[1] = plain(count, RT_FILL_ZERO);
    }
}

typedef void make_fn(struct rt_op_case *c);

static make_fn *const makers[RT_OP_COUNT] = {
    [RT_OP_embed] = make_matrix,
    [RT_OP_rmsnorm] = make_norm,
    [RT_OP_rmsnorm_back] = make_norm,
    [RT_OP_rope] = make_elementwise,
    [RT_OP_attention] = make_attention,
    [RT_OP_attention_back_q] = make_attention_back,
    [RT_OP_attention_back_kv] = make_attention_back,
    [RT_OP_swiglu] = make_elementwise,
    [RT_OP_swiglu_back] = make_elementwise,
    [RT_OP_add] = make_elementwise,
    [RT_OP_gather] = make_elementwise,
    [RT_OP_matmul] = make_matmul,
    [RT_OP_matmul_back] = make_matmul_back,
    [RT_OP_unpack] = make_matrix,
    [RT_OP_outer] = make_matrix,
    [RT_OP_pack] = make_matrix,
    [RT_OP_logits_stat] = make_loss,
    [RT_OP_ce_back] = make_loss,
    [RT_OP_kl] = make_loss,
    [RT_OP_dpo] = make_optim,
    [RT_OP_sumsq] = make_optim,
    [RT_OP_clip] = make_optim,
    [RT_OP_adamw] = make_optim,
    [RT_OP_sample] = make_loss,
    [RT_OP_columns] = make_elementwise,
    [RT_OP_peak_fma] = make_peak,
    [RT_OP_peak_copy] = make_peak,
    [RT_OP_peak_read] = make_peak,
};

/* The operand that a case's own fill replaces. */
static uint32_t filled_operand(enum rt_op op)
{
    return op == RT_OP_ce_back ? 3 : op == RT_OP_adamw ? 2 : 0;
}

void rt_op_case_make(struct rt_op_case *c)
{
    makers[c->op](c);
}

bool rt_op_case_get(uint32_t index, struct rt_op_case *out)
{
    if (index >= rt_op_case_count + rt_op_bench_count)
        return false;
    *out = index < rt_op_case_count ? rt_op_case_list[index]
                                    : rt_op_bench_list[index - rt_op_case_count];
    rt_op_case_make(out);
    if (out->fill)
        out->operand[filled_operand(out->op)].fill = out->fill;
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
    case RT_FILL_TINY:
        return 1e-18f * unit;
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
    for (uint64_t i = 0; i < o->bytes / 4; i++) {
        const uint32_t word = next_word(seed);
        if (o->arg == 32)
            words[i] = word_of(next_unit(seed));
        else if (o->arg == 16) /* halves of about 0.12 to 0.25, either sign */
            words[i] = (word & 0x83FF83FFu) | 0x30003000u;
        else
            words[i] = word;
    }
}

/* Of the forms with floats: zeros in the middle of the codes, or minima. Of the others any
 * bits, the exponents of halves kept small, wherever the form has them: a byte beside
 * another is a scale as good as any. */
static void fill_scales(const struct rt_op_operand *o, uint32_t *seed, uint32_t *words)
{
    const uint32_t form = o->arg >> 8, bits = o->arg & 255;
    const float middle = (float)(1u << (bits < 16 ? bits - 1 : 0));
    for (uint64_t i = 0; i < o->bytes / 4; i++) {
        if (form == RT_FORM_FLOAT || form == RT_FORM_FLOAT_ZERO)
            words[i] = word_of(0.1f + 0.05f * next_unit(seed));
        else if (form == RT_FORM_BFLOAT || form == RT_FORM_BFLOAT_ZERO)
            words[i] = (next_word(seed) & 0x807f807fu) | 0x3d803d80u;
        else if (form > RT_FORM_OFFSET)
            words[i] = (next_word(seed) & 0x83FF83FFu) | 0x1C001C00u;
        else if (i % 2 == 0)
            words[i] = word_of(0.1f + 0.05f * next_unit(seed));
        else
            words[i] = word_of(form == RT_FORM_OFFSET ? -next_unit(seed) : middle);
    }
}

/* Of row r of an attention case. */
static uint32_t position_of(const struct rt_op_case *c, uint32_t r, uint32_t length)
{
    const bool paged = c->op == RT_OP_attention && c->push.attention.page;
    return paged ? (7 * r + length - 1) % length : r % length;
}

static void fill_meta(const struct rt_op_case *c, uint32_t *m)
{
    const uint32_t length = c->length ? c->length : 1;
    if (c->op == RT_OP_dpo) {
        uint32_t token = 0;
        for (uint32_t i = 0; i < c->push.dpo.pairs; i++, m += 4) {
            m[0] = token;
            m[1] = dpo_chosen(i);
            m[2] = m[0] + m[1];
            m[3] = dpo_rejected(i);
            token = m[2] + m[3];
        }
        return;
    }
    /* `rows` is the first parameter of the rest. */
    const uint32_t rows = c->push.rope.rows;
    for (uint32_t r = 0; r < rows; r++, m += 4) {
        if (c->op == RT_OP_rope) { /* some positions are past the table */
            m[0] = 37 * r % (c->push.rope.positions + 3);
            m[1] = r % 5 == 4 ? 0xffffffffu : rows - 1 - r;
        } else if (c->op == RT_OP_attention && c->push.attention.page) {
            m[0] = position_of(c, r, length);
            m[1] = r * pages_of(c);
        } else {
            m[0] = position_of(c, r, length);
            m[1] = r - m[0];
            m[2] = m[1] + length < rows ? m[1] + length : rows;
        }
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
    const bool attention = c->op == RT_OP_attention || c->op == RT_OP_attention_back_q ||
                           c->op == RT_OP_attention_back_kv;
    const uint32_t rows = c->push.attention.rows, length = c->length ? c->length : 1;
    double keys = 0;
    for (uint32_t r = 0; attention && r < rows; r++)
        keys += 1 + position_of(c, r, length);
    return rows ? keys / rows : 0;
}

void rt_op_case_fill(const struct rt_op_case *c, uint32_t binding, uint32_t seed,
                     void *data)
{
    static const float hyper[8] = { 0.01f, 0.9f, 0.999f, 1e-8f, 0.1f, 0.1f, 0.001f, 0 };
    const struct rt_op_operand *o = &c->operand[binding];
    const uint64_t n = o->bytes / 4;
    uint32_t *words = data, state = seed * 0x01000193u + binding * 0x10001u;
    memset(data, 0, o->bytes);
    switch (o->fill) {
    case RT_FILL_ZERO:
        break;
    case RT_FILL_WORDS:
        for (uint64_t i = 0; i < n; i++)
            words[i] = next_word(&state);
        break;
    case RT_FILL_IDS:
        for (uint64_t i = 0; i < n; i++)
            words[i] = i % 5 == 3 ? 0xffffffffu : next_word(&state) % (o->arg + 1);
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
        fill_meta(c, words);
        break;
    case RT_FILL_TABLE:
        for (uint64_t i = 0; i < o->checked / 4; i++)
            words[i] = (uint32_t)(o->checked / 4 - 1 - i);
        break;
    case RT_FILL_HALVES:
        for (uint64_t i = 0; i < 2 * n; i++)
            ((uint16_t *)data)[i] = rt_half_from_float(next_unit(&state));
        break;
    default:
        for (uint64_t i = 0; i < n; i++)
            words[i] = word_of(next_float(o->fill, &state));
    }
}

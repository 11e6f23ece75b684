/* runtime/quant/blocks_gptq.c
 * Blocks are taken apart, their codes rounded anew, and put together again. */
#include "runtime/quant/blocks_gptq.h"

#include "runtime/op/weight.h"
#include "runtime/quant/blocks_impl.h"
#include "runtime/quant/gptq.h"

#include <assert.h>
#include <string.h>

struct work {
    const struct fmt_block_type *type;
    const struct quant_block_grid *grid;
    uint32_t out, in, groups; /* groups of a row */
    float *scale, *zero;      /* [out][groups], as a reader has them */
    uint8_t *codes;           /* [out][in] */
};

static float round_value(void *user, uint32_t row, uint32_t column, float wanted)
{
    const struct work *w = user;
    const size_t g = (size_t)row * w->groups + column / w->grid->size;
    const float scale = w->scale[g], zero = w->zero[g];
    const float level = quant_block_level(w->grid, wanted, scale != 0 ? 1 / scale : 0,
                                          w->grid->has_minimum ? -zero : 0);
    const uint8_t code = quant_block_code(w->type, w->grid, level);
    w->codes[(size_t)row * w->in + column] = code;
    return rt_weight_decode(w->type->form, code, scale, zero);
}

/* Scales and zeros of all groups. */
static void take_apart(struct work *w, const uint8_t *blocks)
{
    struct fmt_block b;
    float *scale = w->scale, *zero = w->zero;
    const size_t count = (size_t)w->out * (w->in / w->type->block);
    for (size_t i = 0; i < count; i++, blocks += w->type->bytes) {
        fmt_block_split(w->type, blocks, 1, &b);
        for (uint32_t g = 0; g < w->grid->groups; g++)
            rt_weight_unpack_scale(w->type->form, w->type->bits, &b.scale[g], scale++,
                                   zero++);
    }
}

static void put_together(const struct work *w, uint8_t *blocks)
{
    struct fmt_block b;
    const uint8_t *codes = w->codes;
    const size_t count = (size_t)w->out * (w->in / w->type->block);
    for (size_t i = 0; i < count; i++, blocks += w->type->bytes) {
        fmt_block_split(w->type, blocks, 1, &b);
        memcpy(b.code, codes, w->type->block);
        codes += w->type->block;
        fmt_block_join(w->type, &b, blocks);
    }
}

rt_status quant_blocks_gptq(struct rt_ctx *ctx, const struct fmt_block_type *type,
                            const struct quant_options *o, const struct quant_matrix *m,
                            uint8_t *blocks, double *objective, bool *good)
{
    rt_status st;
    struct work w = {
        .type = type, .grid = quant_block_grid_of(type), .out = m->out, .in = m->in
    };
    const struct quant_gptq_grid grid = { round_value, &w };
    assert(w.grid && m->in % type->block == 0);
    w.groups = m->in / w.grid->size;
    w.scale = rt_alloc(ctx, (size_t)m->out * w.groups, sizeof *w.scale);
    w.zero = rt_alloc(ctx, (size_t)m->out * w.groups, sizeof *w.zero);
    w.codes = rt_alloc(ctx, (size_t)m->out * m->in, sizeof *w.codes);
    if (!w.scale || !w.zero || !w.codes) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory for '%s'",
                     m->name);
        goto fail;
    }
    take_apart(&w, blocks);
    TRY(quant_gptq_round(ctx, o, m, &grid, objective, good));
    if (*good)
        put_together(&w, blocks);

fail:
    rt_free(w.scale);
    rt_free(w.zero);
    rt_free(w.codes);
    return st;
}

/* runtime/quant/gguf_rounded.c
 * Matrices of a GGUF file by GPTQ: as the model passes over the text layer by layer, each is
 * written to its place in the file. In memory is one matrix, beside what observe_layers and
 * gptq.h hold. */
#include "runtime/quant/blocks_gptq.h"
#include "runtime/quant/gguf_making.h"
#include "runtime/quant/job.h"
#include "runtime/quant/seen_inputs.h"

#include <assert.h>

struct rounded {
    const struct quant_gguf_row *row;
    struct quant_matrix matrix;
    float *w, *d;    /* [rows][columns]: the matrix, what its blocks differ by */
    uint8_t *blocks; /* of all rows */
    uint64_t bytes;
};

/* The error of the outputs that the blocks make. */
static rt_status measure(struct quant_gguf_making *m, const struct rounded *r,
                         double *error)
{
    const uint64_t n = r->row->rows * r->row->columns;
    fmt_block_floats(r->row->type, r->blocks, n / r->row->type->block, 1, r->d);
    for (uint64_t i = 0; i < n; i++)
        r->d[i] = r->w[i] - r->d[i];
    return quant_output_error(m->ctx, &r->matrix, r->d, error);
}

/* Blocks to nearest for comparison, then those of the search if there is one, with codes by
 * GPTQ. */
static rt_status make_blocks(struct quant_gguf_making *m, const struct rounded *r,
                             const float *importance, struct quant_gguf_squares *sums,
                             bool *good)
{
    rt_status st;
    const struct quant_gguf_row *row = r->row;
    const struct quant_gguf_calibration *c = m->options->calibration;
    const struct quant_options options = { .natural_order = c->natural_order,
                                           .damping = c->damping };
    TRY(quant_gguf_to_blocks(m, row, row->rows, r->w, NULL, true, r->blocks));
    TRY(measure(m, r, &sums->rtn));
    if (!m->options->plain)
        TRY(quant_gguf_to_blocks(m, row, row->rows, r->w, importance, false, r->blocks));
    TRY(quant_blocks_gptq(m->ctx, row->type, &options, &r->matrix, r->blocks,
                          &sums->error, good));
    if (!*good)
        TRY(measure(m, r, &sums->error));
    TRY(quant_output_error(m->ctx, &r->matrix, r->w, &sums->all));

fail:
    return st;
}

static rt_status round_matrix(struct quant_gguf_making *m, uint32_t i,
                              const struct observe_group *seen, const float *importance,
                              struct quant_gguf_outcome *outcome)
{
    rt_status st;
    bool good;
    struct quant_gguf_squares sums = { 0 };
    const struct quant_gguf_row *row = &m->source.rows[i];
    const uint64_t n = row->rows * row->columns;
    struct rounded r = { .row = row,
                         .w = rt_alloc(m->ctx, n, sizeof *r.w),
                         .d = rt_alloc(m->ctx, n, sizeof *r.d),
                         .bytes = n / row->type->block * row->type->bytes };
    r.blocks = rt_alloc(m->ctx, r.bytes, 1);
    r.matrix = (struct quant_matrix){ .name = row->name,
                                      .w = r.w,
                                      .out = (uint32_t)row->rows,
                                      .in = (uint32_t)row->columns,
                                      .moment = seen->moment,
                                      .seen = seen };
    if (!r.w || !r.d || !r.blocks) {
        st = rt_fail(m->ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory for '%s'",
                     row->name);
        goto fail;
    }
    TRY(quant_source_floats(&m->source, i, 0, row->rows, r.w));
    TRY(make_blocks(m, &r, importance, &sums, &good));
    TRY(fmt_gguf_out_seek(&m->out, i));
    TRY(fmt_gguf_out_data(&m->out, r.blocks, r.bytes));
    m->made[i] = true;
    m->done += n;
    *outcome = (struct quant_gguf_outcome){ sums, good ? QUANT_GGUF_ROUNDED
                                                       : QUANT_GGUF_SEARCHED };
    TRY(quant_gguf_tell(m, row, true, good, &sums));

fail:
    rt_free(r.w);
    rt_free(r.d);
    rt_free(r.blocks);
    return st;
}

/* Whether a tensor gets codes that it has not yet. */
static bool gets_codes(const struct quant_source *s, uint32_t i)
{
    return i < s->count && !s->rows[i].is_kept && s->rows[i].type->split &&
           !quant_source_is(s, i, s->rows[i].type);
}

static rt_status after_group(void *user, const struct observe_group *seen)
{
    rt_status st;
    struct quant_gguf_making *m = user;
    char name[QUANT_GGUF_NAME_MAX];
    struct quant_importance *all = m->options->calibration->seen;
    TRY(quant_importance_add(m->ctx, seen, all));
    for (uint32_t i = 0; quant_importance_name(seen->layer, seen->group, i, name); i++) {
        const uint32_t row = quant_source_find(&m->source, name);
        struct quant_gguf_outcome *outcome = &m->outcome[m->outcomes++];
        *outcome = (struct quant_gguf_outcome){ { 0 }, QUANT_GGUF_LEFT };
        if (!gets_codes(&m->source, row))
            continue;
        assert(m->source.rows[row].columns == seen->in); /* one model */
        TRY(round_matrix(m, row, seen, quant_importance_find(all, name)->values,
                         outcome));
    }

fail:
    return st;
}

static rt_status after_layer(void *user, uint32_t layer, const float *hidden,
                             uint64_t floats)
{
    struct quant_gguf_making *m = user;
    assert(layer == m->layers);
    return quant_gguf_state_layer(m, hidden, floats);
}

static rt_status get_hidden(void *user, uint32_t layer, float *hidden, uint64_t floats)
{
    struct quant_gguf_making *m = user;
    assert(layer == m->layers);
    return quant_job_get_hidden(m->ctx, m->state, layer, hidden, floats);
}

static rt_status after_pass(void *user, uint64_t done, uint64_t total)
{
    const struct quant_gguf_making *m = user;
    const struct quant_gguf_options *o = m->options;
    return o->calibration->pass ? o->calibration->pass(o->user, done, total) : RT_OK;
}

rt_status quant_gguf_rounded(struct quant_gguf_making *m)
{
    const struct quant_gguf_calibration *c = m->options->calibration;
    const struct observe_task task = { .model = c->model,
                                       .sequences = c->sequences,
                                       .count = c->count,
                                       .what = QUANT_GGUF_NEEDS,
                                       .group = after_group,
                                       .pass = after_pass,
                                       .first_layer = m->layers,
                                       .hidden = get_hidden,
                                       .layer = after_layer,
                                       .user = m };
    const rt_status st = quant_seen_observe(c->shared, &task);
    return st == RT_OK && c->done ? c->done(m->options->user) : st;
}

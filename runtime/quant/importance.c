/* runtime/quant/importance.c
 * Mean squares of the inputs of matrices: observed, read, written. */
#include "runtime/quant/importance.h"

#include "runtime/format/gguf_write.h"
#include "runtime/model/model_impl.h"
#include "runtime/quant/blocks.h"
#include "runtime/quant/seen_inputs.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static rt_status no_memory(struct rt_ctx *ctx)
{
    return rt_fail(ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory for importance");
}

const struct quant_importance_row *quant_importance_find(const struct quant_importance *i,
                                                         const char *name)
{
    for (uint32_t k = 0; k < i->count; k++)
        if (strcmp(i->rows[k].name, name) == 0)
            return &i->rows[k];
    return NULL;
}

void quant_importance_deinit(struct quant_importance *importance)
{
    for (uint32_t k = 0; k < importance->count; k++)
        rt_free(importance->rows[k].values);
    rt_free(importance->rows);
    *importance = (struct quant_importance){ 0 };
}

struct quant_importance_row *quant_importance_row(struct rt_ctx *ctx,
                                                  struct quant_importance *all,
                                                  const char *name, uint32_t columns)
{
    if (all->count == all->capacity) {
        const uint32_t capacity = all->capacity ? 2 * all->capacity : 128;
        struct quant_importance_row *rows =
            rt_resize(ctx, all->rows, all->capacity, capacity, sizeof *rows);
        if (!rows)
            return NULL;
        all->rows = rows;
        all->capacity = capacity;
    }
    struct quant_importance_row *row = &all->rows[all->count];
    row->values = rt_alloc(ctx, columns, sizeof *row->values);
    if (!row->values)
        return NULL;
    all->count++;
    row->columns = columns;
    snprintf(row->name, sizeof row->name, "%s", name);
    return row;
}

/* ---- seen by us ---- */

bool quant_importance_name(uint32_t layer, enum model_group group, uint32_t i,
                           char name[65])
{
    static const char *const of_group[MODEL_GROUP_COUNT][QUANT_GROUP_MATRICES] = {
        [MODEL_QKV] = { "attn_q", "attn_k", "attn_v" },
        [MODEL_O] = { "attn_output" },
        [MODEL_GATE_UP] = { "ffn_gate", "ffn_up" },
        [MODEL_DOWN] = { "ffn_down" },
    };
    if (i >= QUANT_GROUP_MATRICES || !of_group[group][i])
        return false;
    snprintf(name, 65, "blk.%u.%s.weight", layer, of_group[group][i]);
    return true;
}

/* Columns that a float has no weight for would be counted like all others without a word. */
static rt_status check_finite(struct rt_ctx *ctx, const struct observe_group *seen)
{
    char name[65];
    quant_importance_name(seen->layer, seen->group, 0, name);
    for (uint32_t k = 0; k < seen->in; k++)
        if (!isfinite((float)seen->squares[k]))
            return rt_fail(ctx, RT_ERR_INPUT,
                           "input %u of '%s' is not finite on the calibration text: the "
                           "model's activations overflow there; use other text or "
                           "another model",
                           k, name);
    return RT_OK;
}

rt_status quant_importance_add(struct rt_ctx *ctx, const struct observe_group *seen,
                               struct quant_importance *out)
{
    rt_status st;
    char name[65];
    TRY(check_finite(ctx, seen));
    for (uint32_t i = 0; quant_importance_name(seen->layer, seen->group, i, name); i++) {
        struct quant_importance_row *row = quant_importance_row(ctx, out, name, seen->in);
        if (!row)
            return no_memory(ctx);
        row->count = seen->weight;
        for (uint32_t k = 0; k < seen->in; k++)
            row->values[k] = (float)seen->squares[k];
    }
    return RT_OK;

fail:
    return st;
}

struct observing {
    struct rt_ctx *ctx;
    const struct quant_importance_source *source;
    struct quant_importance *out;
};

static rt_status after_group(void *user, const struct observe_group *seen)
{
    struct observing *o = user;
    return quant_importance_add(o->ctx, seen, o->out);
}

static rt_status after_pass(void *user, uint64_t done, uint64_t total)
{
    const struct quant_importance_source *source = ((struct observing *)user)->source;
    return source->pass ? source->pass(source->user, done, total) : RT_OK;
}

rt_status quant_importance_observe(struct rt_ctx *ctx,
                                   const struct quant_importance_source *source,
                                   struct quant_importance *out)
{
    struct observing o = { ctx, source, out };
    const struct observe_task task = { .model = source->model,
                                       .sequences = source->sequences,
                                       .count = source->count,
                                       .what = OBSERVE_SQUARES,
                                       .group = after_group,
                                       .pass = after_pass,
                                       .user = &o };
    return quant_seen_observe(source->shared, &task);
}

/* ---- files ---- */

static rt_status damaged(const struct fmt_gguf *f, const char *name, const char *why)
{
    return rt_fail(f->ctx, RT_ERR_INPUT, "'%s': tensor '%.80s' %s", f->path, name, why);
}

/* Sums that were seen on no token are of a matrix that was not used. */
static rt_status take_sums(const struct fmt_gguf *f, const struct fmt_gguf_tensor *sums,
                           const char *stem, struct quant_importance *out)
{
    char name[80];
    float count;
    snprintf(name, sizeof name, "%.64s.counts", stem);
    const struct fmt_gguf_tensor *counts = fmt_gguf_find(f, name);
    if (!counts || counts->count != 1 || sums->count != sums->shape[0])
        return damaged(f, sums->name, "is not the sums of one matrix with its .counts");
    if (sums->count > UINT32_MAX || strlen(stem) >= sizeof out->rows->name)
        return damaged(f, sums->name, "is too long");
    fmt_gguf_floats(counts, 0, 1, &count);
    if (!(count >= 0 && isfinite(count)))
        return damaged(f, name, "is negative or not finite");
    if (count == 0)
        return RT_OK;
    struct quant_importance_row *row =
        quant_importance_row(f->ctx, out, stem, (uint32_t)sums->count);
    if (!row)
        return no_memory(f->ctx);
    row->count = (double)count;
    fmt_gguf_floats(sums, 0, sums->count, row->values);
    for (uint32_t k = 0; k < row->columns; k++) {
        row->values[k] /= count;
        if (!(row->values[k] >= 0 && isfinite(row->values[k])))
            return damaged(f, sums->name, "holds a value that is negative or not finite");
    }
    return RT_OK;
}

static rt_status take_file(const struct fmt_gguf *f, struct quant_importance *out)
{
    static const char end[] = ".in_sum2";
    rt_status st = RT_OK;
    for (uint32_t i = 0; i < f->tensor_count && st == RT_OK; i++) {
        char stem[80];
        const char *name = f->tensors[i].name;
        const size_t n = strlen(name);
        if (n < sizeof end || strcmp(name + n - (sizeof end - 1), end) != 0)
            continue;
        snprintf(stem, sizeof stem, "%.*s", (int)(n - (sizeof end - 1)), name);
        st = take_sums(f, &f->tensors[i], stem, out);
    }
    if (st == RT_OK && out->count == 0)
        st = rt_fail(f->ctx, RT_ERR_INPUT,
                     "'%s' is no importance matrix: it has no tensor NAME.in_sum2 with "
                     "counts above 0",
                     f->path);
    return st;
}

rt_status quant_importance_read(struct rt_ctx *ctx, const char *path,
                                struct quant_importance *out)
{
    struct fmt_gguf file;
    rt_status st = fmt_gguf_open(ctx, path, &file);
    if (st != RT_OK)
        return st;
    st = take_file(&file, out);
    fmt_gguf_close(&file);
    return st;
}

static rt_status add_tensors(struct fmt_gguf_out *out, const char *stem, uint32_t columns)
{
    char name[80];
    const struct fmt_block_type *f32 = fmt_block_type_find(FMT_BLOCK_ID_F32);
    const uint64_t sums[2] = { columns, 1 }, counts[2] = { 1, 1 };
    snprintf(name, sizeof name, "%s.in_sum2", stem);
    rt_status st = fmt_gguf_out_add(out, name, f32, 2, sums);
    snprintf(name, sizeof name, "%s.counts", stem);
    if (st == RT_OK)
        st = fmt_gguf_out_add(out, name, f32, 2, counts);
    return st;
}

/* Floats as bytes of the file. */
static rt_status put_floats(struct fmt_gguf_out *out, const float *values, uint32_t n,
                            float factor)
{
    rt_status st = RT_OK;
    const struct fmt_block_type *f32 = fmt_block_type_find(FMT_BLOCK_ID_F32);
    for (uint32_t i = 0; i < n && st == RT_OK; i++) {
        uint8_t bytes[4];
        const float value = values[i] * factor;
        if (!quant_blocks_row(f32, &value, NULL, 1, true, bytes))
            return rt_fail(out->ctx, RT_ERR_INPUT, "importance is not finite");
        st = fmt_gguf_out_data(out, bytes, sizeof bytes);
    }
    return st;
}

rt_status quant_importance_write(struct rt_ctx *ctx, const char *path, const char *text,
                                 uint32_t tokens,
                                 const struct quant_importance *importance)
{
    rt_status st;
    double most = 0;
    struct fmt_gguf_out out = { .ctx = ctx };
    for (uint32_t i = 0; i < importance->count; i++)
        most = fmax(most, importance->rows[i].count);
    fmt_gguf_put_text(&out, "general.type", "imatrix");
    fmt_gguf_put_array(&out, "imatrix.datasets", FMT_GGUF_STRING, 1);
    fmt_gguf_put_string(&out, text, strlen(text));
    fmt_gguf_put_u32(&out, "imatrix.chunk_count", (uint32_t)(most / tokens) + 1);
    fmt_gguf_put_u32(&out, "imatrix.chunk_size", tokens);
    for (uint32_t i = 0; i < importance->count; i++)
        TRY(add_tensors(&out, importance->rows[i].name, importance->rows[i].columns));
    TRY(fmt_gguf_out_begin(&out, path));
    for (uint32_t i = 0; i < importance->count; i++) {
        const struct quant_importance_row *row = &importance->rows[i];
        const float count = (float)row->count;
        TRY(put_floats(&out, row->values, row->columns, count));
        TRY(put_floats(&out, &count, 1, 1));
    }
    TRY(fmt_gguf_out_end(&out));

fail:
    fmt_gguf_out_deinit(&out);
    return st;
}

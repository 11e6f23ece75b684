/* runtime/quant/gguf_file.c
 * Reads a model tensor by tensor and writes it as blocks. */
#include "runtime/quant/gguf_making.h"

#include "runtime/base/os.h"
#include "runtime/quant/folder.h"
#include "runtime/quant/gptq.h"
#include "runtime/quant/job.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK_FLOATS = 1 << 20, QUANTIZATION_VERSION = 2 };

static rt_status no_memory(struct rt_ctx *ctx)
{
    return rt_fail(ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory");
}

/* ---- before ---- */

static rt_status plan(struct quant_gguf_making *m)
{
    struct quant_source *s = &m->source;
    s->sizes.is_calibrated = m->options->importance || m->options->calibration;
    return quant_gguf_plan(m->ctx, m->options->mix, m->options->plan, &s->sizes, s->rows,
                           s->count);
}

/* Importance of other columns is of another model. */
static rt_status check_importance(const struct quant_gguf_making *m)
{
    uint32_t found = 0;
    const struct quant_importance *all = m->options->importance;
    for (uint32_t i = 0; all && i < m->source.count; i++) {
        const struct quant_gguf_row *r = &m->source.rows[i];
        const struct quant_importance_row *row = quant_importance_find(all, r->name);
        if (row && !r->is_kept && row->columns != r->columns)
            return rt_fail(m->ctx, RT_ERR_INPUT,
                           "importance of '%s' has %u columns, the model's tensor has "
                           "%llu; it is of another model",
                           r->name, row->columns, (unsigned long long)r->columns);
        found += row && !r->is_kept;
    }
    if (all && !found)
        return rt_fail(m->ctx, RT_ERR_INPUT,
                       "the importance is of no tensor of '%s'; it is of another model",
                       m->source.path);
    return RT_OK;
}

static bool is_of_layer(const struct quant_gguf_row *r)
{
    return strncmp(r->name, "blk.", 4) == 0 && !r->is_kept && r->type->split;
}

/* Whether matrices are rounded by GPTQ. */
static bool is_rounded(const struct quant_gguf_making *m)
{
    for (uint32_t i = 0; m->options->calibration && i < m->source.count; i++)
        if (is_of_layer(&m->source.rows[i]))
            return true;
    return false;
}

static rt_status describe(struct quant_gguf_making *m)
{
    rt_status st;
    struct quant_source *s = &m->source;
    const struct quant_importance *importance = m->options->importance;
    TRY(quant_source_keys(s, &m->out));
    fmt_gguf_put_u32(&m->out, "general.quantization_version", QUANTIZATION_VERSION);
    fmt_gguf_put_u32(&m->out, "general.file_type",
                     quant_gguf_mix_number(m->options->mix));
    if (importance) {
        fmt_gguf_put_u32(&m->out, "quantize.imatrix.entries_count", importance->count);
        if (m->options->importance_from)
            fmt_gguf_put_text(&m->out, "quantize.imatrix.dataset",
                              m->options->importance_from);
    }
    if (m->options->importance_from && is_rounded(m))
        fmt_gguf_put_text(&m->out, "faultline.gptq.dataset", m->options->importance_from);
    for (uint32_t i = 0; i < s->count; i++) {
        const struct quant_gguf_row *r = &s->rows[i];
        const uint64_t shape[2] = { r->columns, r->rows };
        TRY(fmt_gguf_out_add(&m->out, r->name, r->type, r->is_matrix ? 2 : 1, shape));
        m->total += r->rows * r->columns;
    }

fail:
    return st;
}

static rt_status make_room(struct quant_gguf_making *m)
{
    uint64_t floats = CHUNK_FLOATS;
    for (uint32_t i = 0; i < m->source.count; i++)
        floats = m->source.rows[i].columns > floats ? m->source.rows[i].columns : floats;
    m->values = rt_alloc(m->ctx, floats, sizeof *m->values);
    m->read = rt_alloc(m->ctx, floats, sizeof *m->read);
    m->bytes = rt_alloc(m->ctx, floats, sizeof(float));
    m->made = rt_alloc(m->ctx, m->source.count + 1, sizeof *m->made);
    return m->values && m->read && m->bytes && m->made ? RT_OK : no_memory(m->ctx);
}

/* ---- tensors ---- */

/* Weighted squares of a chunk, and of what its blocks make of it. */
static void add_error(struct quant_gguf_making *m, const struct quant_gguf_row *r,
                      uint64_t rows, const float *importance, double *error,
                      double *square)
{
    const uint64_t n = rows * r->columns;
    fmt_block_floats(r->type, m->bytes, n / r->type->block, 1, m->read);
    for (uint64_t i = 0; i < n; i++) {
        const double w = importance ? (double)importance[i % r->columns] : 1;
        const double x = (double)m->values[i], d = x - (double)m->read[i];
        *error += w * d * d;
        *square += w * x * x;
    }
}

rt_status quant_gguf_to_blocks(const struct quant_gguf_making *m,
                               const struct quant_gguf_row *r, uint64_t rows,
                               const float *values, const float *importance, bool plain,
                               uint8_t *out)
{
    const uint64_t row_bytes = r->columns / r->type->block * r->type->bytes;
    for (uint64_t i = 0; i < rows; i++)
        if (!quant_blocks_row(r->type, values + i * r->columns, importance,
                              (uint32_t)r->columns, plain, out + i * row_bytes))
            return rt_fail(m->ctx, RT_ERR_INPUT,
                           "'%s': tensor '%s' holds a value that is too large for %s; "
                           "give it another type by --plan",
                           m->source.path, r->name, r->type->name);
    return RT_OK;
}

/* The chunk under way. */
static rt_status to_blocks(struct quant_gguf_making *m, const struct quant_gguf_row *r,
                           uint64_t rows, const float *importance, bool plain)
{
    return quant_gguf_to_blocks(m, r, rows, m->values, importance, plain, m->bytes);
}

static rt_status make_chunk(struct quant_gguf_making *m, uint32_t row, uint64_t first,
                            uint64_t rows, const float *importance,
                            struct quant_gguf_squares *sums)
{
    rt_status st;
    double ignored = 0;
    const struct quant_gguf_row *r = &m->source.rows[row];
    const bool is_coded = r->type->split != NULL;
    TRY(quant_source_floats(&m->source, row, first, rows, m->values));
    if (is_coded && !m->options->plain) {
        TRY(to_blocks(m, r, rows, importance, true));
        add_error(m, r, rows, importance, &sums->rtn, &ignored);
    }
    TRY(to_blocks(m, r, rows, importance, m->options->plain));
    add_error(m, r, rows, importance, &sums->error, &sums->all);
    TRY(fmt_gguf_out_data(&m->out, m->bytes,
                          rows * (r->columns / r->type->block * r->type->bytes)));

fail:
    return st;
}

rt_status quant_gguf_tell(struct quant_gguf_making *m, const struct quant_gguf_row *r,
                          bool is_weighted, bool is_rounded,
                          const struct quant_gguf_squares *sums)
{
    struct quant_gguf_report *report = m->report;
    const bool is_rtn = !r->type->split || (m->options->plain && !is_rounded);
    const double rtn = is_rtn ? sums->error : sums->rtn;
    const double all = sums->all > 0 ? sums->all : 1;
    const struct quant_gguf_fared fared = { .row = r,
                                            .error = sums->error / all,
                                            .rtn = rtn / all,
                                            .outputs = is_rounded ? sums->all : 0,
                                            .is_weighted = is_weighted,
                                            .is_rounded = is_rounded,
                                            .is_no_better = r->type->split && rtn > 0 &&
                                                            !(sums->error < rtn) };
    report->matrices++;
    report->weights += r->rows * r->columns;
    const uint64_t blocks = r->rows * (r->columns / r->type->block);
    report->bits_per_weight += 8.0 * (double)(blocks * r->type->bytes);
    report->fallbacks += r->type != r->wanted;
    report->unweighted += m->importance && !is_weighted;
    report->not_better += fared.is_no_better;
    return m->options->matrix ? m->options->matrix(m->options->user, &fared) : RT_OK;
}

static rt_status keep(struct quant_gguf_making *m, uint32_t row);

static rt_status make_matrix(struct quant_gguf_making *m, uint32_t row)
{
    rt_status st;
    struct quant_gguf_squares sums = { 0 };
    const struct quant_gguf_row *r = &m->source.rows[row];
    const struct quant_importance_row *known =
        m->importance ? quant_importance_find(m->importance, r->name) : NULL;
    const uint64_t most = r->columns < CHUNK_FLOATS ? CHUNK_FLOATS / r->columns : 1;
    if (quant_source_is(&m->source, row, r->type)) { /* nothing could be nearer */
        TRY(keep(m, row));
        TRY(quant_gguf_tell(m, r, known != NULL, false, &sums));
        return RT_OK;
    }
    for (uint64_t first = 0; first < r->rows; first += most) {
        const uint64_t rows = r->rows - first < most ? r->rows - first : most;
        TRY(make_chunk(m, row, first, rows, known ? known->values : NULL, &sums));
        m->done += rows * r->columns;
        if (m->options->progress)
            TRY(m->options->progress(m->options->user, r->name, m->done, m->total));
    }
    TRY(quant_gguf_tell(m, r, known != NULL, false, &sums));

fail:
    return st;
}

static rt_status keep(struct quant_gguf_making *m, uint32_t row)
{
    const struct quant_gguf_row *r = &m->source.rows[row];
    const uint8_t *bytes = quant_source_bytes(&m->source, row);
    m->done += r->rows * r->columns;
    if (bytes)
        return fmt_gguf_out_data(
            &m->out, bytes, r->rows * (r->columns / r->type->block * r->type->bytes));
    assert(r->rows == 1);
    const rt_status st = quant_source_floats(&m->source, row, 0, 1, m->values);
    if (st != RT_OK)
        return st;
    const bool good =
        quant_blocks_row(r->type, m->values, NULL, (uint32_t)r->columns, true, m->bytes);
    assert(good); /* F32 holds all that is finite */
    return fmt_gguf_out_data(&m->out, m->bytes, r->columns * r->type->bytes);
}

static rt_status make(struct quant_gguf_making *m, const char *to)
{
    rt_status st;
    TRY(make_room(m));
    if (m->options->calibration) {
        TRY(quant_gguf_state_open(m, to));
        st = quant_gguf_rounded(m);
        if (st != RT_OK && !quant_is_resumable(st))
            m->out.is_kept = false;
        TRY(st);
    } else {
        TRY(quant_gguf_state_drop(m, to));
        TRY(fmt_gguf_out_begin(&m->out, to));
    }
    for (uint32_t i = 0; i < m->source.count; i++) {
        if (m->made[i])
            continue;
        TRY(fmt_gguf_out_seek(&m->out, i));
        TRY(m->source.rows[i].is_kept ? keep(m, i) : make_matrix(m, i));
    }
    if (m->report->weights)
        m->report->bits_per_weight /= (double)m->report->weights;
    TRY(fmt_gguf_out_end(&m->out));

fail:
    if (m->is_ours && (st == RT_OK || !m->out.is_kept))
        quant_job_remove(m->state);
    return st;
}

static rt_status check_target(struct rt_ctx *ctx, const char *from, const char *to,
                              bool force)
{
    if (os_kind_of(to) == OS_KIND_FOLDER)
        return rt_fail(ctx, RT_ERR_USAGE, "'%s' is a folder; name a file (.gguf)", to);
    if (os_same(from, to))
        return rt_fail(ctx, RT_ERR_USAGE,
                       "'%s' is the model that is read; write to another file", to);
    if (fmt_exists(to) && !force)
        return rt_fail(ctx, RT_ERR_USAGE,
                       "'%s' exists already; use --force or another name", to);
    return RT_OK;
}

/* A target that may be written, the source open, the type of every tensor planned. */
static rt_status begin(struct quant_gguf_making *m, const char *from, const char *to)
{
    rt_status st;
    TRY(check_target(m->ctx, from, to, m->options->force));
    TRY(quant_source_open(m->ctx, from, &m->source));
    TRY(plan(m));

fail:
    return st;
}

static void making_deinit(struct quant_gguf_making *m)
{
    fmt_gguf_out_deinit(&m->out);
    quant_source_close(&m->source);
    rt_free(m->values);
    rt_free(m->read);
    rt_free(m->bytes);
    rt_free(m->made);
}

rt_status quant_gguf_file(struct rt_ctx *ctx, const char *from, const char *to,
                          const struct quant_gguf_options *options,
                          struct quant_gguf_report *report)
{
    rt_status st;
    *report = (struct quant_gguf_report){ 0 };
    assert(!options->calibration || !options->importance);
    struct quant_gguf_making m = { .ctx = ctx,
                                   .options = options,
                                   .importance = options->calibration
                                                     ? options->calibration->seen
                                                     : options->importance,
                                   .out = { .ctx = ctx },
                                   .report = report };
    TRY(check_target(ctx, from, to, options->force));
    TRY(quant_source_open(ctx, from, &m.source));
    if (m.source.is_packed)
        rt_log(ctx, RT_LOG_WARNING,
               "'%s' is quantized already: its values stand in for those of a "
               "full-precision model",
               from);
    TRY(plan(&m));
    TRY(check_importance(&m));
    TRY(describe(&m));
    report->bytes = fmt_gguf_out_bytes(&m.out);
    TRY(make(&m, to));

fail:
    making_deinit(&m);
    return st;
}

rt_status quant_gguf_check(struct rt_ctx *ctx, const char *from, const char *to,
                           const struct quant_gguf_options *options)
{
    struct quant_gguf_making m = { .ctx = ctx, .options = options };
    const rt_status st = begin(&m, from, to);
    quant_source_close(&m.source);
    return st;
}

rt_status quant_gguf_plan_file(struct rt_ctx *ctx, const char *from, const char *to,
                               const struct quant_gguf_options *options)
{
    rt_status st;
    struct quant_gguf_making m = { .ctx = ctx, .options = options };
    TRY(begin(&m, from, to));
    TRY(quant_gguf_plan_write(ctx, to, options->mix, m.source.rows, m.source.count));

fail:
    quant_source_close(&m.source);
    return st;
}

/* ---- what it takes ---- */

enum {
    TIMED_COLUMNS = 256 /* a multiple of every block */,
    TIMED_ROWS = 64,
    TIMES = 5,
    TYPES = 48
};

/* Seconds per element to make blocks of a type as make_chunk does, of values like any. */
static rt_status time_type(struct quant_gguf_making *m, const struct fmt_block_type *type,
                           double *seconds)
{
    rt_status st = RT_OK;
    const struct quant_gguf_row row = {
        .name = "timed", .columns = TIMED_COLUMNS, .rows = TIMED_ROWS, .type = type
    };
    float importance[TIMED_COLUMNS];
    double least = INFINITY; /* others may use the processor too */
    uint32_t word = 1;
    for (uint32_t i = 0; i < TIMED_COLUMNS * TIMED_ROWS; i++) {
        word = word * 1664525u + 1013904223u;
        m->values[i] = (float)(int32_t)word / 2147483648.0f;
        importance[i % TIMED_COLUMNS] = fabsf(m->values[i]) + 0.1f;
    }
    const float *weights =
        m->options->importance || m->options->calibration ? importance : NULL;
    for (int i = 0; i < TIMES; i++) {
        const uint64_t started = rt_time_ns();
        if (type->split && !m->options->plain)
            TRY(to_blocks(m, &row, TIMED_ROWS, weights, true));
        TRY(to_blocks(m, &row, TIMED_ROWS, weights, m->options->plain));
        const double took = (double)(rt_time_ns() - started) / 1e9;
        least = took < least ? took : least;
    }
    *seconds = least / ((double)TIMED_COLUMNS * TIMED_ROWS);

fail:
    return st;
}

/* A matrix that is rounded by GPTQ: two errors of outputs beside. Returns the bytes that it
 * works in: values, differences, codes and blocks, then the factor. */
static uint64_t add_rounded(const struct quant_gguf_row *r, struct quant_gguf_cost *out)
{
    const double rows = (double)r->rows, in = (double)r->columns;
    out->flops += 2 * 1.13 * rows * in * in + rows * in * in + in * in * in / 3;
    return 10 * r->rows * r->columns + 8 * r->columns * r->columns +
           8 * (uint64_t)QUANT_GPTQ_ERRORS;
}

static rt_status add_costs(struct quant_gguf_making *m, struct quant_gguf_cost *out)
{
    rt_status st = RT_OK;
    uint64_t most = 0, works = 0;
    uint32_t types = 0;
    struct {
        const struct fmt_block_type *type;
        double seconds;
    } timed[TYPES];
    for (uint32_t i = 0; i < m->source.count; i++) {
        const struct quant_gguf_row *r = &m->source.rows[i];
        const uint64_t count = r->rows * r->columns;
        uint32_t t = 0;
        if (r->is_kept)
            continue;
        out->weights += count;
        out->bits += 8.0 * (double)(count / r->type->block * r->type->bytes);
        if (quant_source_is(&m->source, i, r->type))
            continue;
        most = m->source.is_packed && !m->source.is_gguf && count > most ? count : most;
        if (m->options->calibration && is_of_layer(r)) {
            const uint64_t own = add_rounded(r, out);
            works = own > works ? own : works;
        }
        while (t < types && timed[t].type != r->type)
            t++;
        if (t == types && types < TYPES) {
            timed[types].type = r->type;
            TRY(time_type(m, r->type, &timed[types++].seconds));
        }
        if (t < types)
            out->seconds += timed[t].seconds * (double)count;
    }
    out->bits /= out->weights ? (double)out->weights : 1;
    out->bits_all = 8.0 * (double)out->bytes / (double)m->total;
    out->host_bytes = 3ull * CHUNK_FLOATS * sizeof(float) + most * sizeof(float) + works;

fail:
    return st;
}

rt_status quant_gguf_cost_of(struct rt_ctx *ctx, const char *from,
                             const struct quant_gguf_options *options,
                             struct quant_gguf_cost *out)
{
    rt_status st;
    struct quant_gguf_making m = { .ctx = ctx,
                                   .options = options,
                                   .out = { .ctx = ctx } };
    *out = (struct quant_gguf_cost){ 0 };
    TRY(quant_source_open(ctx, from, &m.source));
    TRY(plan(&m));
    TRY(describe(&m));
    TRY(make_room(&m));
    out->bytes = fmt_gguf_out_bytes(&m.out);
    TRY(add_costs(&m, out));

fail:
    making_deinit(&m);
    return st;
}

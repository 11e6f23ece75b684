/* runtime/quant/folder_kept.c
 * Tensors that a quantized folder keeps: as they are stored, or blocks of a GGUF file as
 * halves. */
#include "runtime/quant/folder_impl.h"

#include "runtime/format/gguf_types.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static uint64_t count_of(const struct fmt_tensor_info *t)
{
    uint64_t count = 1;
    for (uint32_t d = 0; d < t->dims; d++)
        count *= t->shape[d];
    return count;
}

/* A tensor that is copied as it is: a model with a broken one would not load. */
static rt_status check_copied(struct quant_writer *w, const struct fmt_tensor_info *t)
{
    float values[1024];
    const struct fmt_tensor tensor = { .dtype = t->dtype, .data = t->data };
    const uint64_t count = count_of(t);
    if (!fmt_dtype_is_float(t->dtype))
        return RT_OK;
    rt_status st = RT_OK;
    for (uint64_t i = 0; i < count && st == RT_OK; i += RT_COUNT(values)) {
        const size_t n = count - i < RT_COUNT(values) ? count - i : RT_COUNT(values);
        fmt_tensor_floats(&tensor, i, n, values);
        st = quant_check_finite(w, t->name, i, values, n);
    }
    return st;
}

/* Values from `first` on of a tensor to halves, which may lie in the same place; what
 * changed most goes into the report. */
static rt_status halve(struct quant_writer *w, const struct fmt_tensor_info *t,
                       uint64_t first, const float *values, size_t count,
                       uint16_t *halves)
{
    struct quant_report *report = w->report;
    for (size_t i = 0; i < count; i++) {
        const float value = values[i];
        if (!(fabsf(value) <= 65504))
            return rt_fail(w->ctx, RT_ERR_INPUT,
                           "'%s': tensor '%s' holds %g at %llu, which F16 has no number "
                           "for; use --keep f32",
                           w->from, t->name, (double)value,
                           (unsigned long long)(first + i));
        const uint16_t half = rt_half_nearest(value);
        const double change = fabs((double)rt_half_to_float(half) - (double)value);
        if (change > report->change) {
            report->change = change;
            report->changed_value = (double)value;
            snprintf(report->changed, sizeof report->changed, "%.159s", t->name);
        }
        memcpy(&halves[i], &half, sizeof half);
    }
    return RT_OK;
}

/* ---- large tables ---- */

enum { PIECE = 1 << 18 /* elements that are decoded at once */ };

/* The type of a table's blocks if pieces of them can be decoded by themselves. */
static const struct fmt_block_type *table_type(const struct fmt_tensor_info *t)
{
    if (!t->blocks || t->dims != 2 ||
        (strcmp(t->name, "model.embed_tokens.weight") != 0 &&
         strcmp(t->name, "lm_head.weight") != 0))
        return NULL;
    for (uint32_t id = 0; id < 64; id++) {
        const struct fmt_block_type *type = fmt_block_type_find(id);
        if (type && strcmp(type->name, t->blocks) == 0)
            return type->bytes && type->split && PIECE % type->block == 0 &&
                           !fmt_block_has_factor(type) && t->shape[1] % type->block == 0
                       ? type
                       : NULL;
    }
    return NULL;
}

/* Halves of a table without all of its floats, which take more than the model itself. */
static rt_status halve_table(struct quant_writer *w, const struct fmt_tensor_info *t,
                             const struct fmt_block_type *type, void **out)
{
    rt_status st = RT_OK;
    const uint64_t count = count_of(t);
    uint16_t *halves = rt_alloc(w->ctx, count, sizeof *halves);
    float *values = rt_alloc(w->ctx, PIECE, sizeof *values);
    if (!halves || !values) {
        st = quant_no_memory(w);
        goto fail;
    }
    for (uint64_t at = 0; at < count; at += PIECE) {
        const size_t n = count - at < PIECE ? (size_t)(count - at) : PIECE;
        const uint8_t *from = (const uint8_t *)t->stored + at / type->block * type->bytes;
        fmt_block_floats(type, from, n / type->block, 1, values);
        TRY(quant_check_finite(w, t->name, at, values, n));
        TRY(halve(w, t, at, values, n, halves + at));
    }
    w->report->halved++;
    *out = halves;
    halves = NULL;

fail:
    rt_free(halves);
    rt_free(values);
    return st;
}

/* Values that a BF16 file holds back to its halves of floats, in place. */
static void cut_to_bf16(float *values, size_t count)
{
    uint16_t *halves = (uint16_t *)values;
    for (size_t i = 0; i < count; i++) {
        uint32_t word;
        memcpy(&word, &values[i], sizeof word);
        const uint16_t half = (uint16_t)(word >> 16);
        memcpy(&halves[i], &half, sizeof half);
    }
}

/* What the files do not have as it is written: blocks, and rows that are in another order
 * there. *dtype is what they are written in. */
static rt_status make_kept(struct quant_writer *w, const struct fmt_tensor_info *t,
                           enum fmt_dtype *dtype, void **out)
{
    rt_status st;
    const uint64_t count = count_of(t);
    const struct fmt_block_type *type = w->options->keep_f32 ? NULL : table_type(t);
    if (type) {
        *dtype = FMT_F16;
        return halve_table(w, t, type, out);
    }
    float *values = rt_alloc(w->ctx, count, sizeof *values);
    if (!values)
        return quant_no_memory(w);
    TRY(fmt_tensor_f32(w->model, t->name, count, values));
    *dtype = t->blocks && !w->options->keep_f32 ? FMT_F16 : t->dtype;
    if (*dtype == FMT_F16) {
        TRY(halve(w, t, 0, values, count, (uint16_t *)values));
        w->report->halved += t->blocks != NULL;
    } else if (*dtype == FMT_BF16)
        cut_to_bf16(values, count);
    if (*dtype != FMT_F32) { /* the second half is free */
        float *half = rt_resize(w->ctx, values, count, (count + 1) / 2, sizeof *values);
        values = half ? half : values;
    }
    *out = values;
    return RT_OK;

fail:
    rt_free(values);
    return st;
}

/* A tensor that takes over factors of columns (awq.h), in floats. */
static rt_status make_divided(struct quant_writer *w, const struct fmt_tensor_info *t,
                              const struct quant_divided *d, void **out)
{
    rt_status st;
    const uint64_t count = count_of(t);
    float *values = rt_alloc(w->ctx, count, sizeof *values);
    if (!values)
        return quant_no_memory(w);
    assert(count == d->count);
    TRY(fmt_tensor_f32(w->model, t->name, count, values));
    TRY(quant_check_finite(w, t->name, 0, values, count));
    for (uint64_t i = 0; i < count; i++)
        values[i] /= d->divisors[i];
    *out = values;
    return RT_OK;

fail:
    rt_free(values);
    return st;
}

rt_status quant_keep_tensor(struct quant_writer *w, const struct fmt_tensor_info *t)
{
    rt_status st;
    void *values = NULL;
    enum fmt_dtype dtype = t->dtype;
    if (dtype == FMT_OTHER) {
        rt_log(w->ctx, RT_LOG_WARNING,
               "tensor '%s' has a type that is not known and is left out", t->name);
        return RT_OK;
    }
    const struct quant_divided *divided = quant_divided_find(w, t->name);
    if (divided) {
        dtype = FMT_F32;
        TRY(make_divided(w, t, divided, &values));
    } else if (t->data)
        TRY(check_copied(w, t));
    else
        TRY(make_kept(w, t, &dtype, &values));
    TRY(quant_add_output(w, t->name, "", dtype, 0, 0, values));
    struct fmt_tensor_out *o = &w->outputs[w->count - 1].tensor;
    o->dims = t->dims;
    memcpy(o->shape, t->shape, sizeof o->shape);
    o->data = values ? (const void *)values : t->data;
    return RT_OK;

fail:
    return st;
}

/* ---- packed tables ---- */

static const char *const table_names[] = { "model.embed_tokens", "lm_head" };

rt_status quant_tables_find(struct fmt_model *model, struct quant_tables *out)
{
    rt_status st = RT_OK;
    const struct fmt_config *c = fmt_model_config(model);
    *out = (struct quant_tables){ .count = (uint64_t)c->vocab * c->hidden };
    for (size_t i = 0; i < RT_COUNT(table_names) && c->quantization.present; i++) {
        struct fmt_stored stored;
        if (i == 1 && !fmt_has_head(model))
            continue;
        TRY(fmt_weight_stored(model, table_names[i], &stored));
        out->is_packed[i] = stored.packed;
    }

fail:
    return st;
}

bool quant_is_kept(const struct quant_tables *tables, bool tied, const char *name)
{
    uint32_t layer;
    enum fmt_module module;
    if (!name[0] || (tied && strcmp(name, "lm_head.weight") == 0))
        return false;
    for (size_t i = 0; i < RT_COUNT(table_names); i++) {
        const size_t n = strlen(table_names[i]);
        if (tables->is_packed[i] && strncmp(name, table_names[i], n) == 0 &&
            name[n] == '.')
            return false;
    }
    return !quant_find_module(name, &layer, &module);
}

static rt_status keep_table(struct quant_writer *w, const char *name)
{
    rt_status st;
    const struct fmt_config *c = fmt_model_config(w->model);
    const size_t count = (size_t)c->vocab * c->hidden;
    struct fmt_tensor_info info = { .dtype = FMT_F32 };
    snprintf(info.name, sizeof info.name, "%s.weight", name);
    float *values = rt_alloc(w->ctx, count, sizeof *values);
    if (!values)
        return quant_no_memory(w);
    TRY(fmt_weight_floats(w->model, name, c->vocab, c->hidden, values));
    TRY(quant_check_finite(w, info.name, 0, values, count));
    if (!w->options->keep_f32) {
        info.dtype = FMT_F16;
        TRY(halve(w, &info, 0, values, count, (uint16_t *)values));
        w->report->halved++;
    }
    return quant_add_output(w, name, ".weight", info.dtype, c->vocab, c->hidden, values);

fail:
    rt_free(values);
    return st;
}

rt_status quant_keep_tables(struct quant_writer *w)
{
    rt_status st = RT_OK;
    for (size_t i = 0; i < RT_COUNT(table_names); i++)
        if (w->tables.is_packed[i])
            TRY(keep_table(w, table_names[i]));

fail:
    return st;
}

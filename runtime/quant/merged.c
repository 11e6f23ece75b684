/* runtime/quant/merged.c
 * One layer after the other: decoded, adapted, rounded, written. */
#include "runtime/quant/merged.h"

#include "runtime/format/peft.h"
#include "runtime/quant/folder_impl.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct merging {
    struct quant_writer w;
    struct fmt_adapter *adapter; /* NULL: none */
    struct quant_merged *out;
    double error, norm; /* sums of squares */
};

/* w [out][in] += scale B A. */
static void add_lora(const struct fmt_lora *lora, uint32_t out, uint32_t in, float *w)
{
    for (uint32_t r = 0; r < out; r++) {
        const float *b = lora->b + (size_t)r * lora->rank;
        float *row = w + (size_t)r * in;
        for (uint32_t k = 0; k < in; k++) {
            double sum = 0;
            for (uint32_t j = 0; j < lora->rank; j++)
                sum += (double)b[j] * (double)lora->a[(size_t)j * in + k];
            row[k] = (float)((double)row[k] + (double)lora->scale * sum);
        }
    }
}

/* Floats to what is written, which lies in the same place. */
static rt_status round_values(struct merging *m, const char *name, float *values,
                              size_t count)
{
    uint16_t *halves = (uint16_t *)values;
    for (size_t i = 0; i < count; i++) {
        const float value = values[i];
        float rounded = value;
        if (!(fabsf(value) <= (m->w.floats == FMT_F16 ? 65504 : FLT_MAX / 2)))
            return rt_fail(
                m->w.ctx, RT_ERR_INPUT,
                "'%s': matrix '%s' with the adapter is %g at %zu, which %s has "
                "no number for%s",
                m->w.from, name, (double)value, i,
                m->w.floats == FMT_F16 ? "F16" : "no type",
                m->w.floats == FMT_F16 ? "; use --type bf16 or f32" : "");
        if (m->w.floats != FMT_F32) {
            const uint16_t half =
                m->w.floats == FMT_F16 ? rt_half_nearest(value) : rt_bf16_nearest(value);
            rounded =
                m->w.floats == FMT_F16 ? rt_half_to_float(half) : rt_bf16_to_float(half);
            memcpy(&halves[i], &half, sizeof half);
        }
        const double error = (double)rounded - (double)value;
        m->error += error * error;
        m->norm += (double)value * (double)value;
    }
    return RT_OK;
}

static rt_status merge_module(struct merging *m, uint32_t layer, enum fmt_module module)
{
    rt_status st;
    char name[FMT_TENSOR_NAME_MAX];
    uint32_t out, in;
    struct quant_writer *w = &m->w;
    const struct fmt_lora *lora =
        m->adapter ? &m->adapter->lora[layer * FMT_MODULE_COUNT + module] : NULL;
    fmt_module_size(fmt_model_config(w->model), module, &out, &in);
    snprintf(name, sizeof name, "model.layers.%u.%s", layer, fmt_module_path[module]);
    const size_t count = (size_t)out * in;
    float *values = rt_alloc(w->ctx, count, sizeof *values);
    if (!values)
        return quant_no_memory(w);
    TRY(fmt_weight_floats(w->model, name, out, in, values));
    TRY(quant_check_finite(w, name, 0, values, count));
    if (lora && lora->rank) {
        add_lora(lora, out, in, values);
        m->out->adapted++;
    }
    TRY(round_values(m, name, values, count));
    m->out->matrices++;
    m->out->bytes += count * (m->w.floats == FMT_F32 ? 4 : 2);
    return quant_add_output(w, name, ".weight", m->w.floats, out, in, values);

fail:
    rt_free(values);
    return st;
}

static rt_status keep_rest(struct merging *m)
{
    rt_status st = RT_OK;
    struct fmt_tensor_info t;
    for (uint32_t i = 0; fmt_tensor_at(m->w.model, i, &t); i++)
        if (quant_is_kept(&m->w.tables, m->w.tied, t.name))
            TRY(quant_keep_tensor(&m->w, &t));
    TRY(quant_keep_tables(&m->w));

fail:
    return st;
}

static rt_status merge_all(struct merging *m, const char *to)
{
    rt_status st;
    for (uint32_t l = 0; l < fmt_model_config(m->w.model)->layers; l++) {
        for (int i = 0; i < FMT_MODULE_COUNT; i++)
            TRY(merge_module(m, l, (enum fmt_module)i));
        TRY(quant_part_layer(&m->w, l));
    }
    TRY(keep_rest(m));
    TRY(quant_folder_finish(&m->w, to));
    m->out->rounding = m->norm > 0 ? sqrt(m->error / m->norm) : 0;

fail:
    return st;
}

/* Merging into other weights is possible, and said. */
static rt_status warn_of_base(const struct merging *m, const char *adapter)
{
    char hash[65];
    if (!m->adapter->base[0])
        return RT_OK;
    const rt_status st = fmt_model_hash(m->w.model, hash);
    if (st == RT_OK && strcmp(hash, m->adapter->base) != 0)
        rt_log(m->w.ctx, RT_LOG_WARNING,
               "'%s' was trained on weights of hash %.12s, '%s' has %.12s; it is merged "
               "into a model that it was not made for",
               adapter, m->adapter->base, m->w.from, hash);
    return st;
}

rt_status quant_merge(struct rt_ctx *ctx, const char *from, const char *adapter,
                      const char *target, enum fmt_dtype type, bool force,
                      struct quant_merged *out)
{
    rt_status st;
    char to[QUANT_TARGET];
    const struct quant_options rest = { .keep_f32 = type == FMT_F32 };
    struct quant_report kept = { 0 };
    struct merging m = { .w = { .ctx = ctx,
                                .from = from,
                                .options = &rest,
                                .report = &kept,
                                .floats = type },
                         .out = out };
    *out = (struct quant_merged){ 0 };
    TRY(quant_folder_begin(&m.w, target, force, to));
    if (adapter) {
        TRY(fmt_adapter_read(ctx, adapter, fmt_model_config(m.w.model), &m.adapter));
        TRY(warn_of_base(&m, adapter));
    }
    TRY(quant_part_open(&m.w, to));
    st = merge_all(&m, to);
    quant_part_remove(&m.w);

fail:
    fmt_adapter_destroy(&m.adapter);
    quant_part_close(&m.w);
    fmt_model_close(&m.w.model);
    return st;
}

/* runtime/quant/cost.c
 * Bytes of a quantized folder, and memory and operations of making it. */
#include "runtime/quant/cost.h"

#include "runtime/format/checkpoint.h"
#include "runtime/model/model_layout.h"
#include "runtime/quant/awq.h"
#include "runtime/quant/folder_impl.h"
#include "runtime/quant/gptq.h"
#include "runtime/quant/grid.h"
#include "runtime/quant/smoothquant.h"
#include "runtime/quant/width_plan.h"

#include <stdio.h>
#include <string.h>

static uint64_t words(uint64_t codes, uint32_t bits)
{
    return (codes * bits + 31) / 32;
}

/* Codes, scales, zeros and shape of a matrix, as folder_module.c writes them. */
static uint64_t packed_bytes(const struct quant_options *o, uint32_t out, uint32_t in)
{
    const uint64_t groups = quant_groups(o, in);
    return 4 * out * words(in, o->bits) + 4 * out * groups + 16 +
           (o->asymmetric ? 4 * words(out, o->bits) * groups : 0);
}

/* What the method works in for a matrix of `in` columns, beside values and codes. */
static uint64_t method_bytes(const struct quant_options *o, bool on_device, uint64_t out,
                             uint64_t in)
{
    uint64_t differences = 4 * out * in;  /* of the objective */
    if (o->inputs != QUANT_INPUTS_FLOATS) /* doubles of inputs, weights and outputs */
        differences += 8 * (OBSERVE_SAMPLED * (in + 2 * out) + out * in);
    if (strcmp(quant_method_of(o)->name, "awq") == 0) /* errors; moments of a group */
        return differences + 4 * in * quant_group(o, (uint32_t)in);
    if (!quant_rounds_by_gptq(o))
        return differences;
    const uint64_t work = on_device ? quant_gptq_host_bytes((uint32_t)out, (uint32_t)in)
                                    : 8 * (uint64_t)QUANT_GPTQ_ERRORS;
    const uint64_t own = 8 * in * in + work;
    return own > differences ? own : differences;
}

/* ---- AWQ ---- */

/* Rows of all drafts that the search for factors makes. */
static double awq_drafted(double out)
{
    return (out < QUANT_AWQ_ROWS ? out : QUANT_AWQ_ROWS) * (1 + QUANT_AWQ_RATIOS);
}

/* Ranges of a group that a sweep tries, not of a draft. */
static double awq_ranges(const struct quant_options *o, double in)
{
    const bool has_two_ends =
        o->asymmetric && quant_group(o, (uint32_t)in) <= QUANT_AWQ_ENDS_MAX;
    return has_two_ends ? QUANT_AWQ_ENDS * QUANT_AWQ_ENDS : QUANT_AWQ_CUTS;
}

static double awq_sweeps(const struct quant_options *o, double in)
{
    return quant_group(o, (uint32_t)in) < in ? QUANT_AWQ_SWEEPS : 1;
}

/* The ranges of a matrix and of its drafts. With the options' search drafts are compared by
 * their objective. */
static double awq_flops(const struct quant_options *o, double out, double in,
                        double objective)
{
    const double group = quant_group(o, (uint32_t)in);
    const double draft = 2 * group * QUANT_AWQ_CUTS + in;
    const double ranges =
        awq_sweeps(o, in) * (2 * group * awq_ranges(o, in) + 2 * in) - in;
    if (o->search)
        return objective / out * awq_drafted(out);
    return in * (awq_drafted(out) * draft + out * ranges);
}

static double awq_tried(const struct quant_options *o, double out, double in)
{
    if (o->search)
        return QUANT_SHRINKS * in * (awq_drafted(out) + out);
    return in * (QUANT_AWQ_CUTS * awq_drafted(out) +
                 awq_sweeps(o, in) * awq_ranges(o, in) * out);
}

/* ---- any method ---- */

/* Of the method on the host; columns on the device are not among them. */
static double method_flops(const struct quant_options *o, bool on_device, double out,
                           double in)
{
    const char *name = quant_method_of(o)->name;
    const double objective = /* of rounding to nearest */
        o->inputs == QUANT_INPUTS_FLOATS ? 1.13 * out * in * in
                                         : 4.0 * OBSERVE_SAMPLED * out * in;
    const double columns = on_device ? 0 : out * in * in;
    const double gptq = quant_rounds_by_gptq(o) ? in * in * in / 3 + columns : 0;
    const double costs = o->float_inputs > 0 ? 2 * objective : 0;
    const bool measured = on_device && !o->search && o->inputs == QUANT_INPUTS_FLOATS;
    if (strcmp(name, "gptq") == 0)
        return (measured ? 0 : objective) + costs + gptq;
    if (strcmp(name, "awq") == 0)
        return 2 * objective + awq_flops(o, out, in, objective);
    if (strcmp(name, "smoothquant") == 0)
        return objective * (1 + QUANT_SMOOTH_STEPS + 2) + costs + gptq;
    return objective * (o->search ? 2 : 1) + costs;
}

static double method_tried(const struct quant_options *o, double out, double in)
{
    if (strcmp(quant_method_of(o)->name, "awq") == 0)
        return awq_tried(o, out, in);
    return o->search ? QUANT_SHRINKS * in * out : 0;
}

/* The matrices of a layer as they are written, by the widths of a plan if there is one. */
static uint64_t layer_bytes(const struct quant_options *o,
                            const struct model_group_shape shape[MODEL_GROUP_COUNT],
                            uint32_t layer)
{
    uint64_t sum = 0;
    char name[128];
    struct quant_options own = *o;
    for (int g = 0; g < MODEL_GROUP_COUNT; g++)
        for (uint32_t p = 0; p < shape[g].parts; p++) {
            snprintf(name, sizeof name, "model.layers.%u.%s", layer,
                     fmt_module_path[shape[g].module[p]]);
            own.bits = o->plan ? quant_plan_bits(o->plan, name, o->bits) : o->bits;
            sum += packed_bytes(&own, shape[g].out[p], shape[g].in);
        }
    return sum;
}

/* What a device rounds of a matrix; one after the other is in its memory. */
static void add_columns(const struct quant_options *o, double layers, uint32_t out,
                        uint32_t in, struct quant_cost *c)
{
    const uint64_t own = quant_gptq_device_bytes(out, in, quant_groups(o, in));
    c->columns_flops += 2 * layers * out * (double)in * in; /* of nearest too */
    c->columns_bytes = own > c->columns_bytes ? own : c->columns_bytes;
}

/* All matrices, and the largest group of a layer: its parts are in memory at once. */
static void add_matrices(const struct quant_options *o, const struct fmt_config *config,
                         bool calibrated, bool on_device, struct quant_cost *c)
{
    uint64_t most = 0, layer = 0;
    struct model_group_shape shape[MODEL_GROUP_COUNT];
    model_group_shapes(config, shape);
    for (int g = 0; g < MODEL_GROUP_COUNT; g++) {
        const uint64_t in = shape[g].in;
        uint64_t held = 0, works = 0;
        for (uint32_t p = 0; p < shape[g].parts; p++) {
            const uint64_t out = shape[g].out[p];
            const uint64_t own = method_bytes(o, on_device, out, in);
            held += 5 * out * in; /* values and codes */
            works = own > works ? own : works;
            c->weights += config->layers * out * in;
            c->method_flops +=
                calibrated
                    ? config->layers * method_flops(o, on_device, (double)out, (double)in)
                    : 0;
            if (on_device)
                add_columns(o, config->layers, shape[g].out[p], shape[g].in, c);
            c->tried += config->layers * method_tried(o, (double)out, (double)in);
        }
        most = held + works > most ? held + works : most;
    }
    for (uint32_t l = 0; l < config->layers; l++) {
        const uint64_t bytes = layer_bytes(o, shape, l);
        c->packed_bytes += bytes;
        layer = bytes > layer ? bytes : layer;
    }
    c->host_bytes += most + layer;
}

/* Elements that are kept, in this many bytes each. */
static void add_elements(struct quant_cost *c, uint64_t count, uint32_t bytes)
{
    c->kept += count;
    c->kept_bytes += count * bytes;
}

/* *most gets the bytes of the largest one that is made: it is in memory until it is
 * written. */
static rt_status add_kept(const struct quant_options *o, struct fmt_model *model,
                          struct quant_cost *c, uint64_t *most)
{
    rt_status st;
    struct fmt_tensor_info t;
    struct quant_tables tables;
    const bool tied = fmt_model_config(model)->tied;
    *most = 0;
    TRY(quant_tables_find(model, &tables));
    for (uint32_t i = 0; fmt_tensor_at(model, i, &t); i++) {
        uint64_t count = 1;
        if (!quant_is_kept(&tables, tied, t.name))
            continue;
        for (uint32_t d = 0; d < t.dims; d++)
            count *= t.shape[d];
        const uint32_t bytes = t.blocks && !o->keep_f32 ? 2 : fmt_dtype_bytes(t.dtype);
        add_elements(c, count, bytes);
        *most = !t.data && count * bytes > *most ? count * bytes : *most;
    }
    for (size_t i = 0; i < RT_COUNT(tables.is_packed); i++)
        if (tables.is_packed[i]) {
            add_elements(c, tables.count, o->keep_f32 ? 4 : 2);
            *most = 4 * tables.count > *most ? 4 * tables.count : *most;
        }

fail:
    return st;
}

uint64_t quant_compared_bytes(const struct model_size *size, uint64_t pass_bytes,
                              uint64_t candidate_bytes, bool sequential)
{
    return pass_bytes + size->projections - size->projections / size->config.layers +
           candidate_bytes + size->tables + (sequential ? model_size_streamed(size) : 0);
}

static void add_pass(const struct model_size *size, uint64_t tokens, uint32_t pass_rows,
                     bool software, bool magnitudes, bool sequential,
                     struct quant_cost *c)
{
    struct observe_cost cost;
    const struct fmt_config *f = &size->config;
    observe_cost_of(f, tokens, pass_rows,
                    OBSERVE_MOMENTS | (magnitudes ? OBSERVE_MEANS : 0), software, &cost);
    c->host_bytes += cost.host_bytes;
    c->device_bytes = cost.device_bytes + model_size_streamed(size) + c->columns_bytes;
    c->compared_bytes =
        quant_compared_bytes(size, c->device_bytes, c->packed_bytes, sequential);
    c->sums_flops = cost.flops;
    c->forward_flops = 2.0 * (double)tokens * (double)c->weights;
}

rt_status quant_cost_of(struct rt_ctx *ctx, const char *from,
                        const struct quant_options *o, uint64_t tokens,
                        uint32_t pass_rows, bool software, struct quant_cost *out)
{
    rt_status st;
    struct fmt_model *model = NULL;
    struct model_size size;
    uint64_t table;
    *out = (struct quant_cost){ 0 };
    TRY(quant_check(ctx, o));
    TRY(fmt_model_open(ctx, from, &model));
    TRY(quant_check_source(ctx, from, model));
    if (o->plan)
        TRY(quant_plan_check(ctx, o->plan, fmt_model_config(model)->layers));
    TRY(rt_model_size(ctx, model, &size));
    out->source_bytes = size.file;
    out->layers = size.config.layers;
    add_matrices(o, &size.config, tokens > 0,
                 tokens > 0 && quant_rounds_by_gptq(o) && (!software || o->device_rounds),
                 out);
    TRY(add_kept(o, model, out, &table));
    if (tokens > 0)
        add_pass(&size, tokens, pass_rows, software,
                 (quant_method_of(o)->needs & ~(uint32_t)OBSERVE_MOMENTS) != 0 ||
                     o->inputs != QUANT_INPUTS_FLOATS,
                 o->true_sequential, out);
    out->host_bytes = table > out->host_bytes ? table : out->host_bytes;
    out->bits = 8.0 * (double)out->packed_bytes / (double)out->weights;
    out->bits_all = 8.0 * (double)(out->packed_bytes + out->kept_bytes) /
                    (double)(out->weights + out->kept);

fail:
    fmt_model_close(&model);
    return st;
}

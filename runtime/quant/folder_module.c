/* runtime/quant/folder_module.c
 * The projections of a folder: values read, quantized, and packed as tensors; one by one, or
 * layer by layer as their inputs become known. */
#include "runtime/quant/folder_impl.h"

#include "runtime/format/peft.h"
#include "runtime/model/model_layout.h"
#include "runtime/quant/int8.h"
#include "runtime/quant/job.h"
#include "runtime/quant/rtn.h"
#include "runtime/quant/seen_inputs.h"
#include "runtime/quant/smoothquant.h"
#include "runtime/quant/width_plan.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

void quant_use_module(struct quant_writer *w, const char *name)
{
    if (!w->asked->plan)
        return;
    w->own = *w->asked;
    w->own.bits = quant_plan_bits(w->asked->plan, name, w->asked->bits);
    w->options = &w->own;
}

void quant_use_float_inputs(struct quant_writer *w)
{
    w->own = *w->options;
    w->own.inputs = QUANT_INPUTS_FLOATS;
    w->options = &w->own;
}

/* Words that n codes take. */
static uint32_t words_of(const struct quant_writer *w, uint32_t n)
{
    return (uint32_t)(((uint64_t)n * w->options->bits + 31) / 32);
}

/* Puts code k of a stream of bits, low bits first, over words `stride` apart. */
static void put_code(const struct quant_writer *w, uint32_t *words, size_t stride,
                     uint32_t k, uint32_t code)
{
    const uint32_t bits = w->options->bits;
    const uint64_t at = (uint64_t)k * bits;
    words[at / 32 * stride] |= code << at % 32;
    if (at % 32 + bits > 32)
        words[(at / 32 + 1) * stride] |= code >> (32 - at % 32);
}

/* Codes of a matrix, a stream per row. */
static int32_t *pack_rows(struct quant_writer *w, const uint8_t *codes, uint32_t out,
                          uint32_t in)
{
    const uint32_t words = words_of(w, in);
    uint32_t *packed = rt_alloc(w->ctx, (size_t)out * words, sizeof *packed);
    for (uint32_t r = 0; packed && r < out; r++)
        for (uint32_t k = 0; k < in; k++)
            put_code(w, packed + (size_t)r * words, 1, k, codes[(size_t)r * in + k]);
    return (int32_t *)packed;
}

/* Zero points, a stream per group along the rows. */
static int32_t *pack_zeros(struct quant_writer *w, const uint8_t *zeros, uint32_t out,
                           uint32_t groups)
{
    uint32_t *packed =
        rt_alloc(w->ctx, (size_t)words_of(w, out) * groups, sizeof *packed);
    for (uint32_t r = 0; packed && r < out; r++)
        for (uint32_t g = 0; g < groups; g++)
            put_code(w, packed + g, groups, r, zeros[(size_t)r * groups + g]);
    return (int32_t *)packed;
}

void quant_count_matrix(struct quant_writer *w, uint32_t out, uint32_t in)
{
    const struct quant_options *o = w->options;
    w->report->weights += (uint64_t)out * in;
    w->report->matrices++;
    if (w->asked->inputs != QUANT_INPUTS_FLOATS && o->inputs == QUANT_INPUTS_FLOATS) {
        w->report->float_matrices++;
        w->report->float_weights += (uint64_t)out * in;
    }
    w->report->bits_per_weight +=
        quant_packed_bits(out, in, o->bits, o->group, o->asymmetric);
}

/* Takes `scales`, also on failure. */
static rt_status add_packed(struct quant_writer *w, const char *name, uint32_t out,
                            uint32_t in, const uint8_t *codes, float *scales,
                            const uint8_t *zeros)
{
    rt_status st;
    const uint32_t groups = quant_groups(w->options, in);
    TRY(quant_add_output(w, name, ".weight_scale", FMT_F32, out, groups, scales));
    int32_t *packed = pack_rows(w, codes, out, in);
    if (!packed)
        return quant_no_memory(w);
    TRY(quant_add_output(w, name, ".weight_packed", FMT_I32, out, words_of(w, in),
                         packed));
    int64_t *shape = rt_alloc(w->ctx, 2, sizeof *shape);
    if (!shape)
        return quant_no_memory(w);
    shape[0] = out;
    shape[1] = in;
    TRY(quant_add_output(w, name, ".weight_shape", FMT_I64, 2, 0, shape));
    if (w->options->asymmetric) {
        int32_t *z = pack_zeros(w, zeros, out, groups);
        if (!z)
            return quant_no_memory(w);
        TRY(quant_add_output(w, name, ".weight_zero_point", FMT_I32, words_of(w, out),
                             groups, z));
    }
    quant_count_matrix(w, out, in);
    return RT_OK;

fail:
    return st;
}

/* Others read only full groups. */
static void warn_of_short_group(struct quant_writer *w, const char *name, uint32_t in)
{
    const uint32_t group = w->options->group;
    if (group == 0 || in % group == 0 || w->warned)
        return;
    w->warned = true;
    rt_log(
        w->ctx, RT_LOG_WARNING,
        "'%s' has %u columns, which groups of %u do not divide: faultline reads such a "
        "folder, transformers and vLLM do not; --group row is read by all",
        name, in, group);
}

/* Values, codes, scales and zeros of one matrix. */
struct module {
    struct quant_matrix matrix;
    float *values;
    struct quant_codes codes;
};

static void deinit_module(struct module *m)
{
    rt_free(m->values);
    rt_free(m->codes.codes);
    rt_free(m->codes.scales);
    rt_free(m->codes.zeros);
}

static rt_status init_module(struct quant_writer *w, const char *name, uint32_t out,
                             uint32_t in, struct module *m)
{
    rt_status st;
    quant_use_module(w, name);
    const size_t count = (size_t)out * in,
                 scales = (size_t)out * quant_groups(w->options, in);
    *m = (struct module){ .values = rt_alloc(w->ctx, count, sizeof *m->values),
                          .codes = { .codes = rt_alloc(w->ctx, count, 1),
                                     .scales = rt_alloc(w->ctx, scales, sizeof(float)),
                                     .zeros = rt_alloc(w->ctx, scales, 1) } };
    if (!m->values || !m->codes.codes || !m->codes.scales || !m->codes.zeros)
        return quant_no_memory(w);
    m->matrix =
        (struct quant_matrix){ .name = name, .w = m->values, .out = out, .in = in };
    TRY(fmt_weight_floats(w->model, name, out, in, m->values));
    char tensor[160];
    snprintf(tensor, sizeof tensor, "%.150s.weight", name);
    TRY(quant_check_finite(w, tensor, 0, m->values, count));
    warn_of_short_group(w, name, in);
    return RT_OK;

fail:
    return st;
}

static rt_status pack_module(struct quant_writer *w, struct module *m)
{
    float *scales = m->codes.scales;
    m->codes.scales = NULL; /* taken */
    if (w->options->inputs != QUANT_INPUTS_FLOATS)
        return quant_int8_pack(w, &m->matrix, m->codes.codes, scales);
    return add_packed(w, m->matrix.name, m->matrix.out, m->matrix.in, m->codes.codes,
                      scales, m->codes.zeros);
}

rt_status quant_module(struct quant_writer *w, const char *name, uint32_t out,
                       uint32_t in)
{
    rt_status st;
    struct module m;
    TRY(init_module(w, name, out, in, &m));
    TRY(quant_method_of(w->options)->quantize(w->ctx, w->options, &m.matrix, &m.codes));
    TRY(pack_module(w, &m));

fail:
    deinit_module(&m);
    return st;
}

/* ---- with calibration ---- */

struct calibrating {
    struct quant_writer *w;
    struct model_group_shape shape[MODEL_GROUP_COUNT];
};

/* The objective of rounding to nearest, in the codes of the module. */
static rt_status measure_nearest(struct quant_writer *w, struct module *m, double *out)
{
    rt_status st;
    struct quant_options nearest = *w->options;
    nearest.search = false;
    TRY(quant_rtn(w->ctx, &nearest, &m->matrix, &m->codes));
    TRY(quant_objective(w->ctx, &nearest, &m->matrix, &m->codes, out));

fail:
    return st;
}

/* The codes of the method, and their objective; codes of rounding to nearest are there. */
static rt_status quantize_measured(struct quant_writer *w, struct module *m,
                                   double nearest, double *out)
{
    rt_status st;
    const struct quant_method *method = quant_method_of(w->options);
    *out = nearest;
    if (method->quantize == quant_rtn && !w->options->search)
        return RT_OK;
    m->codes.objective = NAN;
    TRY(method->quantize(w->ctx, w->options, &m->matrix, &m->codes));
    *out = m->codes.objective;
    if (isnan(*out) || w->options->inputs != QUANT_INPUTS_FLOATS) /* as rtn's is */
        TRY(quant_objective(w->ctx, w->options, &m->matrix, &m->codes, out));
    return RT_OK;

fail:
    return st;
}

bool quant_is_no_better(double objective, double rtn)
{
    return !(objective < rtn);
}

rt_status quant_tell_fared(struct quant_writer *w, const struct quant_fared *fared)
{
    const struct quant_calibration *c = w->calibration;
    w->report->objective += fared->objective;
    w->report->objective_rtn += fared->rtn;
    w->report->not_better += quant_is_no_better(fared->objective, fared->rtn);
    return c && c->matrix ? c->matrix(c->user, fared) : RT_OK;
}

/* For the finished layer's file. */
static rt_status add_fared(struct quant_writer *w, const struct quant_fared *fared)
{
    double *both = rt_alloc(w->ctx, 2, sizeof *both);
    if (!both)
        return quant_no_memory(w);
    both[0] = fared->objective;
    both[1] = fared->rtn;
    return quant_add_output(w, fared->name, ".fared", FMT_I64, 2, 0, both);
}

static rt_status calibrated_module(struct quant_writer *w, struct module *m,
                                   const float *factors)
{
    rt_status st;
    struct quant_fared fared = { .name = m->matrix.name };
    quant_use_module(w, m->matrix.name);
    const bool by_device = quant_device_measures(w->options);
    if (!by_device)
        TRY(measure_nearest(w, m, &fared.rtn));
    for (size_t r = 0; factors && r < m->matrix.out; r++)
        for (size_t k = 0; k < m->matrix.in; k++)
            m->values[r * m->matrix.in + k] *= factors[k];
    m->matrix.divisors = factors;
    m->codes.nearest = NAN;
    TRY(quantize_measured(w, m, fared.rtn, &fared.objective));
    if (by_device) /* or the codes themselves are rounded to nearest */
        fared.rtn = isnan(m->codes.nearest) ? fared.objective : m->codes.nearest;
    TRY(quant_tell_fared(w, &fared));
    TRY(add_fared(w, &fared));
    TRY(pack_module(w, m));

fail:
    return st;
}

/* ---- factors of columns ---- */

const struct quant_divided *quant_divided_find(const struct quant_writer *w,
                                               const char *name)
{
    for (uint32_t i = 0; i < w->divided_count; i++)
        if (strcmp(w->divided[i].name, name) == 0)
            return &w->divided[i];
    return NULL;
}

/* The kept tensor "model.layers.<layer>.<name>" is divided when its turn comes. */
static rt_status add_divided(struct quant_writer *w, uint32_t layer, const char *name,
                             const float *divisors, uint32_t count)
{
    float *own = rt_alloc(w->ctx, count, sizeof *own);
    if (!own)
        return quant_no_memory(w);
    memcpy(own, divisors, count * sizeof *own);
    struct quant_divided *d = &w->divided[w->divided_count++];
    d->divisors = own;
    d->count = count;
    snprintf(d->name, sizeof d->name, "model.layers.%u.%.120s", layer, name);
    return RT_OK;
}

/* The rows of a matrix that is packed already: a row of scales each. */
static void divide_rows(struct quant_writer *w, uint32_t layer, const char *module,
                        const float *divisors, uint32_t rows)
{
    char name[160];
    snprintf(name, sizeof name, "model.layers.%u.%s.weight_scale", layer, module);
    for (uint32_t i = 0; i < w->count; i++) {
        struct quant_output *o = &w->outputs[i];
        if (strcmp(o->name, name) != 0)
            continue;
        float *scales = o->owned;
        const uint64_t groups = o->tensor.shape[1];
        assert(o->tensor.shape[0] == rows);
        for (uint32_t r = 0; r < rows; r++)
            for (uint64_t g = 0; g < groups; g++)
                scales[r * groups + g] /= divisors[r];
        return;
    }
    assert(false); /* the matrix is packed */
}

/* What makes the input of a group, and what of it is divided; false: nothing can be. The
 * values of v reach o unchanged only where there are as many heads of v as of q. */
static bool has_producer(const struct calibrating *c, enum model_group g)
{
    return g != MODEL_O || c->shape[MODEL_QKV].out[2] == c->shape[MODEL_O].in;
}

static rt_status divide_producer(struct calibrating *c, uint32_t layer,
                                 enum model_group g, const float *factors)
{
    struct quant_writer *w = c->w;
    const uint32_t in = c->shape[g].in;
    const char *made_by = g == MODEL_O ? "self_attn.v_proj" : "mlp.up_proj";
    char bias[64];
    if (g == MODEL_QKV)
        return add_divided(w, layer, "input_layernorm.weight", factors, in);
    if (g == MODEL_GATE_UP)
        return add_divided(w, layer, "post_attention_layernorm.weight", factors, in);
    divide_rows(w, layer, made_by, factors, in);
    snprintf(bias, sizeof bias, "%s.bias", made_by);
    return add_divided(w, layer, bias, factors, in);
}

/* ---- a group ---- */

/* Makes the options of the group under way those of float inputs where rounding them costs
 * too much. Engines fuse the matrices of a group, so they stay alike. */
static rt_status choose_inputs(struct quant_writer *w,
                               const struct quant_matrix *matrices, uint32_t parts,
                               const float *factors)
{
    rt_status st;
    struct quant_int8_costs costs;
    const struct quant_options *o = w->options;
    if (o->inputs == QUANT_INPUTS_FLOATS || !(o->float_inputs > 0))
        return RT_OK;
    TRY(quant_int8_costs_of(w->ctx, o, matrices, parts, factors, &costs));
    rt_log(w->ctx, RT_LOG_TRACE,
           "'%s': rounding its inputs costs %.4g, rounding its weights %.4g",
           matrices->name, costs.inputs, costs.weights);
    if (costs.inputs > o->float_inputs * costs.weights)
        quant_use_float_inputs(w);

fail:
    return st;
}

static rt_status quantize_group(struct calibrating *c, const struct observe_group *seen,
                                struct module modules[MODEL_PARTS_MAX], uint32_t parts)
{
    rt_status st = RT_OK;
    struct quant_writer *w = c->w;
    const struct quant_method *method = quant_method_of(w->options);
    struct quant_matrix matrices[MODEL_PARTS_MAX];
    float *factors = NULL;
    assert(parts > 0);
    for (uint32_t p = 0; p < parts; p++)
        matrices[p] = modules[p].matrix;
    quant_use_module(w, matrices[0].name);
    if (method->scale && has_producer(c, seen->group)) {
        factors = rt_alloc(w->ctx, seen->in, sizeof *factors);
        if (!factors)
            return quant_no_memory(w);
        TRY(method->scale(w->ctx, w->options, matrices, parts, seen->means, factors));
    }
    TRY(choose_inputs(w, matrices, parts, factors));
    if (method->quantize == quant_smoothquant &&
        w->options->inputs == QUANT_INPUTS_FLOATS) {
        rt_free(factors); /* they are for rounded inputs */
        factors = NULL;
    }
    if (factors)
        TRY(divide_producer(c, seen->layer, seen->group, factors));
    for (uint32_t p = 0; p < parts; p++)
        TRY(calibrated_module(w, &modules[p], factors));

fail:
    w->options = w->asked;
    rt_free(factors);
    return st;
}

/* An input that is not finite makes every error so, which no method can compare. */
static rt_status check_inputs(struct quant_writer *w, const struct observe_group *seen,
                              const char *name)
{
    for (uint32_t i = 0; i < seen->in; i++)
        if (!isfinite(*observe_moment_right(seen->moment, i)))
            return rt_fail(w->ctx, RT_ERR_INPUT,
                           "'%s': input %u of '%s' is not finite on the calibration "
                           "text: the model's activations overflow there; use other text "
                           "or another model",
                           w->from, i, name);
    return RT_OK;
}

static rt_status take_group(void *user, const struct observe_group *seen)
{
    rt_status st = RT_OK;
    struct calibrating *c = user;
    const struct model_group_shape *s = &c->shape[seen->group];
    struct module modules[MODEL_PARTS_MAX] = { 0 };
    char names[MODEL_PARTS_MAX][128];
    for (uint32_t p = 0; p < s->parts && st == RT_OK; p++) {
        snprintf(names[p], sizeof names[p], "model.layers.%u.%s", seen->layer,
                 fmt_module_path[s->module[p]]);
        st = init_module(c->w, names[p], s->out[p], s->in, &modules[p]);
        modules[p].matrix.moment = seen->moment;
        modules[p].matrix.seen = seen;
    }
    if (st == RT_OK)
        st = check_inputs(c->w, seen, names[0]);
    if (st == RT_OK)
        st = quantize_group(c, seen, modules, s->parts);
    for (uint32_t p = 0; p < s->parts; p++)
        deinit_module(&modules[p]);
    return st;
}

static rt_status after_pass(void *user, uint64_t done, uint64_t total)
{
    const struct calibrating *c = user;
    const struct quant_calibration *calibration = c->w->calibration;
    return calibration->pass ? calibration->pass(calibration->user, done, total) : RT_OK;
}

static rt_status get_hidden(void *user, uint32_t layer, float *hidden, uint64_t floats)
{
    const struct calibrating *c = user;
    return quant_job_get_hidden(c->w->ctx, c->w->part, layer, hidden, floats);
}

static rt_status end_layer(void *user, uint32_t layer, const float *hidden,
                           uint64_t floats)
{
    rt_status st;
    const struct calibrating *c = user;
    TRY(quant_finish_layer(c->w));
    if (hidden)
        TRY(quant_job_put_hidden(c->w->ctx, c->w->part, layer + 1, hidden, floats));
    TRY(quant_part_layer(c->w, layer));

fail:
    return st;
}

static rt_status replace_layer(void *user, uint32_t layer, struct fmt_model **from)
{
    rt_status st;
    const struct calibrating *c = user;
    (void)layer;
    TRY(quant_finish_layer(c->w));
    TRY(quant_part_trial(c->w, from));

fail:
    return st;
}

uint32_t quant_folder_needs(const struct quant_options *o)
{
    return OBSERVE_MOMENTS | quant_method_of(o)->needs | quant_int8_needs(o);
}

rt_status quant_modules_calibrated(struct quant_writer *w, uint32_t first)
{
    struct calibrating c = { .w = w };
    const struct observe_task task = { .model = w->calibration->model,
                                       .sequences = w->calibration->sequences,
                                       .count = w->calibration->count,
                                       .what = quant_folder_needs(w->options),
                                       .group = take_group,
                                       .pass = after_pass,
                                       .first_layer = first,
                                       .hidden = get_hidden,
                                       .layer = end_layer,
                                       .replace = w->options->true_sequential
                                                      ? replace_layer
                                                      : NULL,
                                       .user = &c,
                                       .times = &w->report->times };
    model_group_shapes(fmt_model_config(w->model), c.shape);
    assert(!task.replace || !w->calibration->shared);
    return quant_seen_observe(w->calibration->shared, &task);
}

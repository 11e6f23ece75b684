/* pipeline/run/quantize.c
 * Runs a quantizer over a model, with or without calibration text. */
#include "pipeline/run/quantize.h"

#include "runtime/quant/folder.h"
#include "runtime/quant/rescale.h"

#include <stdio.h>
#include <string.h>

bool pipe_quantize_method(const char *name, bool *calibrated)
{
    const struct quant_method *method = quant_method_find(name);
    *calibrated = method && method->needs != 0;
    return method != NULL;
}

const char *pipe_quantize_methods(char *buffer, size_t size)
{
    buffer[0] = '\0';
    for (uint32_t i = 0; quant_method_at(i); i++)
        snprintf(buffer + strlen(buffer), size - strlen(buffer), "%s%s", i ? ", " : "",
                 quant_method_at(i)->name);
    return buffer;
}

struct quant_options pipe_quantize_options_of(const struct pipe_quantize_options *o)
{
    return (struct quant_options){ .bits = o->bits,
                                   .group = o->group,
                                   .asymmetric = o->asymmetric,
                                   .keep_f32 = o->keep_f32,
                                   .method =
                                       o->method ? quant_method_find(o->method) : NULL,
                                   .search = o->search,
                                   .natural_order = o->natural_order,
                                   .inputs = o->given  ? QUANT_INPUTS_GIVEN
                                             : o->int8 ? QUANT_INPUTS_ROWS
                                                       : QUANT_INPUTS_FLOATS,
                                   .true_sequential = o->true_sequential,
                                   .float_inputs = o->float_inputs,
                                   .nearest = o->nearest,
                                   .damping = o->damping,
                                   .plan = o->plan,
                                   .once = o->once };
}

rt_status pipe_quantize_check(struct rt_ctx *ctx, const char *model, const char *out,
                              const struct pipe_quantize_options *o)
{
    char to[QUANT_PATH_MAX];
    const struct quant_options q = pipe_quantize_options_of(o);
    const rt_status st = quant_check(ctx, &q);
    return st == RT_OK && out ? quant_target(ctx, model, out, o->force, to) : st;
}

static void take_report(const struct quant_report *report, struct pipe_quantized *out)
{
    out->matrices = report->matrices;
    out->weights = report->weights;
    out->bits_per_weight = report->bits_per_weight;
    out->float_matrices = report->float_matrices;
    out->float_weights = report->float_weights;
    out->halved = report->halved;
    out->change = report->change;
    out->changed_value = report->changed_value;
    snprintf(out->changed, sizeof out->changed, "%s", report->changed);
    out->objective = report->objective;
    out->objective_rtn = report->objective_rtn;
    out->not_better = report->not_better;
    out->forward = (double)report->times.forward_ns / 1e9;
    out->sums = (double)report->times.sums_ns / 1e9;
    out->method = (double)report->times.group_ns / 1e9;
}

rt_status pipe_quantize(struct rt_ctx *ctx, const char *model, const char *out,
                        const struct pipe_quantize_options *o,
                        struct pipe_quantized *result)
{
    struct quant_report report = { 0 };
    const struct quant_options q = pipe_quantize_options_of(o);
    *result = (struct pipe_quantized){ 0 };
    const rt_status st = quant_folder(ctx, model, out, &q, NULL, o->force, &report);
    take_report(&report, result);
    return st;
}

/* ---- with calibration ---- */

/* Steps are passes and matrices: the last pass is not the end. */
struct running {
    struct pipe_session *session;
    struct pipe_quantized *result;
    uint32_t layers, capacity; /* matrices */
    uint64_t started_ns, passes, passes_total, matrices;
    uint64_t before; /* steps of an earlier run, which say nothing of the pace */
    char last[96];
};

static void tell(struct running *r)
{
    char text[128];
    const uint32_t layer = pipe_layer_of_pass(r->passes, r->passes_total, r->layers);
    snprintf(text, sizeof text, "at layer %u%s%s", layer, r->last[0] ? ": " : "",
             r->last);
    const struct pipe_progress now = { .what = "quantize",
                                       .done = r->passes + r->matrices - r->before,
                                       .total = r->passes_total + r->capacity - r->before,
                                       .started_ns = r->started_ns,
                                       .extra = text };
    pipe_progress(r->session->host, &now);
}

uint32_t pipe_layer_of_pass(uint64_t done, uint64_t total, uint32_t layers)
{
    const uint64_t each = total / layers;
    return each && done ? (uint32_t)((done - 1) / each) : 0;
}

static rt_status after_pass(void *user, uint64_t done, uint64_t total)
{
    struct running *r = user;
    if (!r->passes_total)
        r->before = done - 1 + r->matrices;
    r->passes = done;
    r->passes_total = total;
    tell(r);
    return pipe_stop_status(r->session->host, r->session->ctx);
}

static rt_status after_matrix(void *user, const struct quant_fared *fared)
{
    struct running *r = user;
    struct pipe_quantized *q = r->result;
    if (q->list_count < r->capacity) {
        struct pipe_quantized_matrix *m = &q->list[q->list_count++];
        snprintf(m->name, sizeof m->name, "%.95s", fared->name);
        m->objective = fared->objective;
        m->rtn = fared->rtn;
    }
    snprintf(r->last, sizeof r->last, "%.48s %.4g of %.4g%s", fared->name,
             fared->objective, fared->rtn,
             quant_is_no_better(fared->objective, fared->rtn) ? ", no better" : "");
    r->matrices++;
    if (r->passes_total) /* else of an earlier run */
        tell(r);
    return pipe_stop_status(r->session->host, r->session->ctx);
}

rt_status pipe_quantize_on(struct pipe_session *session,
                           const struct pipe_quantize_text *text, const char *model,
                           const char *out, const struct pipe_quantize_options *o,
                           struct pipe_quantized *result)
{
    struct quant_report report = { 0 };
    const struct quant_options q = pipe_quantize_options_of(o);
    struct running r = { .session = session,
                         .result = result,
                         .layers = rt_model_config(text->full)->layers,
                         .capacity = 7 * rt_model_config(text->full)->layers,
                         .started_ns = rt_time_ns() };
    const struct quant_calibration calibration = { .model = text->full,
                                                   .sequences = text->sequences,
                                                   .count = text->count,
                                                   .shared = text->shared,
                                                   .pass = after_pass,
                                                   .matrix = after_matrix,
                                                   .user = &r };
    *result = (struct pipe_quantized){ 0 };
    for (uint32_t i = 0; i < text->count; i++)
        result->tokens += text->sequences[i].n;
    result->list = rt_alloc(session->ctx, r.capacity, sizeof *result->list);
    if (!result->list)
        return rt_fail(session->ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory");
    const rt_status st =
        quant_folder(session->ctx, model, out, &q, &calibration, o->force, &report);
    take_report(&report, result);
    return st;
}

bool pipe_quantized_is_no_better(const struct pipe_quantized_matrix *m)
{
    return quant_is_no_better(m->objective, m->rtn);
}

void pipe_quantized_deinit(struct pipe_quantized *result)
{
    rt_free(result->list);
    *result = (struct pipe_quantized){ 0 };
}

/* pipeline/run/select_folder.c
 * Candidates that are folders. */
#include "pipeline/run/select_kind.h"

#include "runtime/quant/folder.h"
#include "runtime/quant/quant_files.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* ---- what is varied ---- */

static void name(struct pipe_candidate *c)
{
    const struct pipe_quantize_options *o = &c->options;
    const bool int8 = o->method && strcmp(o->method, "smoothquant") == 0;
    const bool gptq = int8 || (o->method && strcmp(o->method, "gptq") == 0);
    const char *order = o->natural_order ? "natural order" : "by activation";
    const char *search = o->search ? "searched" : "not searched";
    if (!gptq)
        snprintf(c->name, sizeof c->name, "%s", search);
    else
        snprintf(c->name, sizeof c->name, "%s%s%s, damping %g", order, int8 ? "" : ", ",
                 int8 ? "" : search, o->damping > 0 ? o->damping : QUANT_DAMPING);
}

static void vary(struct pipe_candidate *c, enum pipe_select_change change)
{
    struct pipe_quantize_options *o = &c->options;
    if (change == PIPE_SELECT_SEARCH)
        o->search = !o->search;
    else if (change == PIPE_SELECT_ORDER)
        o->natural_order = !o->natural_order;
    else if (change == PIPE_SELECT_DAMPING)
        o->damping = PIPE_SELECT_DAMPING_HIGH;
    else
        o->nearest = true;
}

static rt_status hash_options(const struct pipe_select_job *job,
                              const struct pipe_candidate *c, struct sha256 *hash)
{
    char text[320];
    const struct pipe_quantize_options *o = &c->options;
    (void)job;
    snprintf(text, sizeof text,
             "%s bits %u group %u asym %d search %d natural %d sequential %d damping %a "
             "int8 %d given %d floats %a nearest %d f32 %d",
             o->method ? o->method : "", o->bits, o->group, o->asymmetric, o->search,
             o->natural_order, o->true_sequential, o->damping, o->int8, o->given,
             o->float_inputs, o->nearest, o->keep_f32);
    sha256_add_text(hash, text);
    for (uint32_t i = 0; o->plan && i < o->plan->count; i++) {
        sha256_add_text(hash, o->plan->rows[i].pattern);
        sha256_add(hash, &o->plan->rows[i].bits, sizeof o->plan->rows[i].bits);
    }
    return RT_OK;
}

/* Search, order and damping ask for nothing more. */
static uint32_t needs(const struct pipe_candidate *c)
{
    const struct quant_options o = pipe_quantize_options_of(&c->options);
    return o.true_sequential ? 0 : quant_folder_needs(&o);
}

static rt_status make(const struct pipe_select_job *job, const struct pipe_candidate *c,
                      const char *path, struct pipe_select_result *result)
{
    rt_status st;
    struct rt_model *own = NULL; /* whose layers are replaced */
    if (c->options.true_sequential)
        TRY(pipe_model_load_streamed(job->session, job->from->model, &own));
    const struct pipe_quantize_text text = { .full = own ? own : job->from->full,
                                             .sequences = job->used,
                                             .count = job->used_count,
                                             .shared = job->shared };
    TRY(pipe_quantize_on(job->session, &text, job->from->model, path, &c->options,
                         &result->folder));

fail:
    rt_model_destroy(&own);
    return st;
}

static double objective(const struct pipe_select_result *result)
{
    return result->folder.objective;
}

/* ---- what was made ---- */

/* The members of both directions. */
static const struct {
    const char *name;
    size_t at;
} numbers[] = {
    { "bits", offsetof(struct pipe_quantized, bits_per_weight) },
    { "change", offsetof(struct pipe_quantized, change) },
    { "changed_value", offsetof(struct pipe_quantized, changed_value) },
    { "objective", offsetof(struct pipe_quantized, objective) },
    { "objective_rtn", offsetof(struct pipe_quantized, objective_rtn) },
    { "forward", offsetof(struct pipe_quantized, forward) },
    { "sums", offsetof(struct pipe_quantized, sums) },
    { "method", offsetof(struct pipe_quantized, method) },
};

static json_t *write_result(const struct pipe_select_result *result)
{
    const struct pipe_quantized *q = &result->folder;
    json_t *list = json_array();
    json_t *changed =
        json_string(q->changed); /* a name of a file: NULL if it is no text */
    for (uint32_t i = 0; i < q->list_count; i++)
        json_array_append_new(list, json_pack("[s, o, o]", q->list[i].name,
                                              pipe_select_number(q->list[i].objective),
                                              pipe_select_number(q->list[i].rtn)));
    json_t *object = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:o}", "matrices",
        (json_int_t)q->matrices, "weights", (json_int_t)q->weights, "float_matrices",
        (json_int_t)q->float_matrices, "float_weights", (json_int_t)q->float_weights,
        "halved", (json_int_t)q->halved, "changed", changed ? q->changed : "", "tokens",
        (json_int_t)q->tokens, "not_better", (json_int_t)q->not_better, "list", list);
    json_decref(changed);
    for (size_t i = 0; object && i < RT_COUNT(numbers); i++) {
        double value;
        memcpy(&value, (const char *)q + numbers[i].at, sizeof value);
        json_object_set_new(object, numbers[i].name, pipe_select_number(value));
    }
    return object;
}

static rt_status read_list(struct rt_ctx *ctx, const json_t *list,
                           struct pipe_quantized *q, bool *good)
{
    const size_t count = json_array_size(list);
    q->list = rt_alloc(ctx, count + 1, sizeof *q->list);
    if (!q->list)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory");
    for (size_t i = 0; i < count; i++) {
        const json_t *row = json_array_get(list, i);
        const char *name = json_string_value(json_array_get(row, 0));
        struct pipe_quantized_matrix *m = &q->list[q->list_count++];
        snprintf(m->name, sizeof m->name, "%.95s", name ? name : "");
        m->objective = pipe_select_number_of(json_array_get(row, 1), good);
        m->rtn = pipe_select_number_of(json_array_get(row, 2), good);
    }
    return RT_OK;
}

static rt_status read_result(struct rt_ctx *ctx, const json_t *object,
                             struct pipe_select_result *result, bool *good)
{
    struct pipe_quantized *q = &result->folder;
    const char *changed = json_string_value(json_object_get(object, "changed"));
    q->matrices = (uint32_t)pipe_select_count_of(object, "matrices", good);
    q->weights = pipe_select_count_of(object, "weights", good);
    q->float_matrices = (uint32_t)pipe_select_count_of(object, "float_matrices", good);
    q->float_weights = pipe_select_count_of(object, "float_weights", good);
    q->halved = (uint32_t)pipe_select_count_of(object, "halved", good);
    q->tokens = pipe_select_count_of(object, "tokens", good);
    q->not_better = (uint32_t)pipe_select_count_of(object, "not_better", good);
    snprintf(q->changed, sizeof q->changed, "%.159s", changed ? changed : "");
    for (size_t i = 0; i < RT_COUNT(numbers); i++) {
        const double value =
            pipe_select_number_of(json_object_get(object, numbers[i].name), good);
        memcpy((char *)q + numbers[i].at, &value, sizeof value);
    }
    return read_list(ctx, json_object_get(object, "list"), q, good);
}

static void deinit(struct pipe_select_result *result)
{
    pipe_quantized_deinit(&result->folder);
}

const struct pipe_select_kind pipe_select_folder = {
    .name = name,
    .vary = vary,
    .hash = hash_options,
    .needs = needs,
    .make = make,
    .objective = objective,
    .write = write_result,
    .read = read_result,
    .deinit = deinit,
    .remove = quant_files_remove,
    .place = quant_folder_place,
};

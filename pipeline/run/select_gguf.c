/* pipeline/run/select_gguf.c
 * Candidates that are GGUF files. */
#include "pipeline/run/select_kind.h"

#include "runtime/base/file.h"
#include "runtime/format/gguf_types.h"
#include "runtime/quant/gguf_file.h"
#include "runtime/quant/method.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- what is varied ---- */

static void name(struct pipe_candidate *c)
{
    const struct pipe_gguf_options *o = &c->gguf;
    const char *search = o->plain ? "not searched" : "searched";
    if (o->nearest)
        snprintf(c->name, sizeof c->name, "to nearest, %s", search);
    else
        snprintf(c->name, sizeof c->name, "%s, %s, damping %g",
                 o->natural_order ? "natural order" : "by activation", search,
                 o->damping > 0 ? o->damping : QUANT_DAMPING);
}

static void vary(struct pipe_candidate *c, enum pipe_select_change change)
{
    struct pipe_gguf_options *o = &c->gguf;
    o->imatrix_out = NULL; /* the first one's is that of all */
    switch (change) {
    case PIPE_SELECT_SEARCH:
        o->plain = !o->plain;
        break;
    case PIPE_SELECT_ORDER:
        o->natural_order = !o->natural_order;
        break;
    case PIPE_SELECT_DAMPING:
        o->damping = PIPE_SELECT_DAMPING_HIGH;
        break;
    default: /* which has neither order nor damping */
        o->nearest = true;
        o->natural_order = false;
        o->damping = 0;
    }
}

/* The text's name is a key of the file. */
static rt_status hash_options(const struct pipe_select_job *job,
                              const struct pipe_candidate *c, struct sha256 *hash)
{
    char text[160];
    struct fmt_map plan = { 0 };
    const struct pipe_gguf_options *o = &c->gguf;
    snprintf(text, sizeof text, "gguf %s plain %d nearest %d natural %d damping %a",
             pipe_gguf_type(o), o->plain, o->nearest, o->natural_order, o->damping);
    sha256_add_text(hash, text);
    sha256_add_text(hash, job->from->read->from);
    sha256_add_text(hash, o->imatrix_out ? o->imatrix_out : "");
    if (!o->plan)
        return RT_OK;
    const rt_status st = fmt_map_open(job->session->ctx, o->plan, &plan);
    if (st == RT_OK)
        sha256_add(hash, plan.data, plan.size);
    fmt_map_close(&plan);
    return st;
}

/* The nearest code needs no more than the others. */
static uint32_t needs(const struct pipe_candidate *c)
{
    return c->gguf.nearest ? OBSERVE_SQUARES : QUANT_GGUF_NEEDS;
}

static rt_status make(const struct pipe_select_job *job, const struct pipe_candidate *c,
                      const char *path, struct pipe_select_result *result)
{
    struct rt_model *full = job->from->full;
    const struct pipe_gguf_text text = { .full = &full,
                                         .sequences = job->used,
                                         .count = job->used_count,
                                         .shared = job->shared,
                                         .read = job->from->read };
    return pipe_quantize_gguf_on(job->session, &text, job->from->model, path, &c->gguf,
                                 &result->file);
}

/* Of the matrices that were rounded by GPTQ, as the results file has them. */
static double objective(const struct pipe_select_result *result)
{
    bool any = false;
    double sum = 0;
    for (uint32_t i = 0; i < result->file.count; i++) {
        const struct pipe_gguf_tensor *t = &result->file.list[i];
        sum += t->is_rounded ? t->error * t->outputs : 0;
        any = any || t->is_rounded;
    }
    return any ? sum : NAN;
}

/* ---- what was made ---- */

static json_t *json_of_tensor(const struct pipe_gguf_tensor *t)
{
    return json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:o, s:o, s:o, s:b, s:b, s:b}", "name", t->name,
        "type", t->type, "wanted", t->wanted, "rows", (json_int_t)t->rows, "columns",
        (json_int_t)t->columns, "error", pipe_select_number(t->error), "rtn",
        pipe_select_number(t->rtn), "outputs", pipe_select_number(t->outputs), "weighted",
        t->is_weighted, "rounded", t->is_rounded, "no_better", t->is_no_better);
}

static json_t *write_result(const struct pipe_select_result *result)
{
    const struct pipe_gguf_made *m = &result->file;
    json_t *list = json_array();
    for (uint32_t i = 0; i < m->count; i++)
        json_array_append_new(list, json_of_tensor(&m->list[i]));
    return json_pack("{s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:o}", "bytes",
                     (json_int_t)m->bytes, "weights", (json_int_t)m->weights, "bits",
                     pipe_select_number(m->bits_per_weight), "fallbacks",
                     (json_int_t)m->fallbacks, "unweighted", (json_int_t)m->unweighted,
                     "not_better", (json_int_t)m->not_better, "tokens",
                     (json_int_t)m->tokens, "list", list);
}

/* A name that lasts; NULL: it is no type. */
static const char *type_of(const json_t *tensor, const char *member)
{
    const char *text = json_string_value(json_object_get(tensor, member));
    const struct fmt_block_type *type = text ? fmt_block_type_named(text) : NULL;
    return type ? type->name : NULL;
}

static void read_tensor(const json_t *tensor, struct pipe_gguf_tensor *t, bool *good)
{
    const char *text = json_string_value(json_object_get(tensor, "name"));
    snprintf(t->name, sizeof t->name, "%.64s", text ? text : "");
    t->type = type_of(tensor, "type");
    t->wanted = type_of(tensor, "wanted");
    t->rows = pipe_select_count_of(tensor, "rows", good);
    t->columns = pipe_select_count_of(tensor, "columns", good);
    t->error = pipe_select_number_of(json_object_get(tensor, "error"), good);
    t->rtn = pipe_select_number_of(json_object_get(tensor, "rtn"), good);
    t->outputs = pipe_select_number_of(json_object_get(tensor, "outputs"), good);
    t->is_weighted = json_is_true(json_object_get(tensor, "weighted"));
    t->is_rounded = json_is_true(json_object_get(tensor, "rounded"));
    t->is_no_better = json_is_true(json_object_get(tensor, "no_better"));
    *good = *good && text && t->type && t->wanted;
}

static rt_status read_result(struct rt_ctx *ctx, const json_t *object,
                             struct pipe_select_result *result, bool *good)
{
    struct pipe_gguf_made *m = &result->file;
    const json_t *list = json_object_get(object, "list");
    const size_t count = json_array_size(list);
    m->bytes = pipe_select_count_of(object, "bytes", good);
    m->weights = pipe_select_count_of(object, "weights", good);
    m->bits_per_weight = pipe_select_number_of(json_object_get(object, "bits"), good);
    m->fallbacks = (uint32_t)pipe_select_count_of(object, "fallbacks", good);
    m->unweighted = (uint32_t)pipe_select_count_of(object, "unweighted", good);
    m->not_better = (uint32_t)pipe_select_count_of(object, "not_better", good);
    m->tokens = pipe_select_count_of(object, "tokens", good);
    m->list = rt_alloc(ctx, count + 1, sizeof *m->list);
    if (!m->list)
        return rt_fail(ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory");
    m->capacity = (uint32_t)count + 1;
    for (size_t i = 0; i < count; i++)
        read_tensor(json_array_get(list, i), &m->list[m->count++], good);
    return RT_OK;
}

/* ---- the file ---- */

static void deinit(struct pipe_select_result *result)
{
    pipe_gguf_made_deinit(&result->file);
}

static void remove_file(const char *path)
{
    remove(path);
}

static rt_status place(struct rt_ctx *ctx, const char *path, const char *to)
{
    if (rename(path, to) != 0)
        return rt_fail(ctx, RT_ERR_IO, "cannot put '%s' in place: %s", to,
                       strerror(errno));
    return fmt_sync_parent(ctx, to);
}

const struct pipe_select_kind pipe_select_gguf = {
    .name = name,
    .vary = vary,
    .hash = hash_options,
    .needs = needs,
    .make = make,
    .objective = objective,
    .write = write_result,
    .read = read_result,
    .deinit = deinit,
    .remove = remove_file,
    .place = place,
};

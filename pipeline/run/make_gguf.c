/* pipeline/run/make_gguf.c
 * Importance from where the caller says, then the file. */
#include "pipeline/run/make_gguf.h"

#include "pipeline/run/quantize.h"
#include "runtime/model/model.h"
#include "runtime/quant/gguf_file.h"

#include <stdio.h>
#include <string.h>

struct making {
    struct rt_ctx *ctx;
    const struct pipe_gguf_options *options;
    const struct pipe_calibration_options *from; /* NULL: no text */
    struct quant_importance importance;
    const struct pipe_host *host; /* NULL: nobody looks on */
    struct pipe_gguf_made *made;
    uint64_t started_ns; /* of what is told */
    const char *what;    /* of the progress line */
    char last[112];      /* the matrix that was made last */
    uint32_t layers;     /* of a model whose passes round them, 0: these do not */
};

static rt_status tell(struct making *m, const char *name, uint64_t done, uint64_t total)
{
    const struct pipe_progress now = { .what = m->what,
                                       .done = done,
                                       .total = total,
                                       .started_ns = m->started_ns,
                                       .extra = name };
    if (!m->host)
        return RT_OK;
    pipe_progress(m->host, &now);
    return pipe_stop_status(m->host, m->ctx);
}

static rt_status after_chunk(void *user, const char *name, uint64_t done, uint64_t total)
{
    return tell(user, name, done, total);
}

static rt_status after_pass(void *user, uint64_t done, uint64_t total)
{
    struct making *m = user;
    char text[144];
    if (!m->layers)
        return tell(m, m->last, done, total);
    snprintf(text, sizeof text, "at layer %u%s%s",
             pipe_layer_of_pass(done, total, m->layers), m->last[0] ? ": " : "", m->last);
    /* The last pass is not the end: its layer's matrices follow. */
    return tell(m, text, done == total ? total - 1 : done, total);
}

static rt_status after_matrix(void *user, const struct quant_gguf_fared *fared)
{
    struct making *m = user;
    struct pipe_gguf_made *made = m->made;
    if (made->count == made->capacity) {
        const uint32_t capacity = made->capacity ? 2 * made->capacity : 128;
        struct pipe_gguf_tensor *list =
            rt_resize(m->ctx, made->list, made->capacity, capacity, sizeof *list);
        if (!list)
            return rt_fail(m->ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory");
        made->list = list;
        made->capacity = capacity;
    }
    struct pipe_gguf_tensor *t = &made->list[made->count++];
    *t = (struct pipe_gguf_tensor){ .type = fared->row->type->name,
                                    .wanted = fared->row->wanted->name,
                                    .rows = fared->row->rows,
                                    .columns = fared->row->columns,
                                    .error = fared->error,
                                    .rtn = fared->rtn,
                                    .outputs = fared->outputs,
                                    .is_weighted = fared->is_weighted,
                                    .is_rounded = fared->is_rounded,
                                    .is_no_better = fared->is_no_better };
    snprintf(t->name, sizeof t->name, "%s", fared->row->name);
    snprintf(m->last, sizeof m->last, "%.64s %.3g of %.3g%s", t->name, t->error, t->rtn,
             t->is_no_better ? ", no better" : "");
    return m->host ? pipe_stop_status(m->host, m->ctx) : RT_OK;
}

static const struct quant_gguf_mix *mix_of(const struct pipe_gguf_options *o)
{
    return quant_gguf_mix_find(o->type ? o->type : PIPE_GGUF_TYPE);
}

const char *pipe_gguf_type(const struct pipe_gguf_options *o)
{
    return quant_gguf_mix_name(mix_of(o));
}

bool pipe_gguf_has_codes(const struct pipe_gguf_options *o)
{
    return o->plan || quant_gguf_mix_has_codes(mix_of(o));
}

rt_status pipe_gguf_check(struct rt_ctx *ctx, const struct pipe_gguf_options *o)
{
    char names[320];
    if (mix_of(o))
        return RT_OK;
    return rt_fail(ctx, RT_ERR_USAGE, "--type %s is not known; there are %s", o->type,
                   quant_gguf_mix_names(names, sizeof names));
}

rt_status pipe_gguf_check_file(struct rt_ctx *ctx, const char *model, const char *out,
                               const struct pipe_gguf_options *o)
{
    rt_status st;
    TRY(pipe_gguf_check(ctx, o));
    const struct quant_gguf_options options = { .mix = mix_of(o),
                                                .plan = o->plan,
                                                .force = o->force };
    TRY(quant_gguf_check(ctx, model, out, &options));

fail:
    return st;
}

/* Importance of text that was seen, for others. */
static rt_status after_text(void *user)
{
    struct making *m = user;
    return m->options->imatrix_out
               ? quant_importance_write(m->ctx, m->options->imatrix_out, m->from->from,
                                        m->from->length, &m->importance)
               : RT_OK;
}

static rt_status make(struct making *m, const char *model, const char *out,
                      const struct quant_importance *importance,
                      const struct quant_gguf_calibration *calibration, const char *from)
{
    struct quant_gguf_report report = { 0 };
    const struct pipe_gguf_options *o = m->options;
    const struct quant_gguf_options options = { .mix = mix_of(o),
                                                .plan = o->plan,
                                                .importance = importance,
                                                .calibration = calibration,
                                                .importance_from = from,
                                                .plain = o->plain,
                                                .force = o->force,
                                                .matrix = after_matrix,
                                                .progress = after_chunk,
                                                .user = m };
    if (o->write_plan)
        return quant_gguf_plan_file(m->ctx, model, o->write_plan, &options);
    m->what = "quantize";
    m->started_ns = rt_time_ns();
    const rt_status st = quant_gguf_file(m->ctx, model, out, &options, &report);
    m->made->bytes = report.bytes;
    m->made->weights = report.weights;
    m->made->bits_per_weight = report.bits_per_weight;
    m->made->fallbacks = report.fallbacks;
    m->made->unweighted = report.unweighted;
    m->made->not_better = report.not_better;
    return st;
}

rt_status pipe_quantize_gguf(struct rt_ctx *ctx, const struct pipe_host *host,
                             const char *model, const char *out,
                             const struct pipe_gguf_options *o,
                             struct pipe_gguf_made *made)
{
    rt_status st;
    struct making m = { .ctx = ctx, .options = o, .host = host, .made = made };
    *made = (struct pipe_gguf_made){ 0 };
    TRY(pipe_gguf_check(ctx, o));
    if (o->imatrix)
        TRY(quant_importance_read(ctx, o->imatrix, &m.importance));
    TRY(make(&m, model, out, o->imatrix ? &m.importance : NULL, NULL, o->imatrix));

fail:
    quant_importance_deinit(&m.importance);
    return st;
}

static void destroy_last(const struct pipe_gguf_text *text)
{
    if (text->is_last) /* makes room */
        rt_model_destroy(text->full);
}

/* Importance by a pass over the text, then the file. */
static rt_status make_nearest(struct making *m, const struct pipe_gguf_text *text,
                              const char *model, const char *out)
{
    rt_status st;
    const struct quant_importance_source source = { .model = *text->full,
                                                    .sequences = text->sequences,
                                                    .count = text->count,
                                                    .shared = text->shared,
                                                    .pass = after_pass,
                                                    .user = m };
    TRY(quant_importance_observe(m->ctx, &source, &m->importance));
    destroy_last(text);
    TRY(after_text(m));
    TRY(make(m, model, out, &m->importance, NULL, m->from->from));

fail:
    return st;
}

/* The file as the model passes over the text. */
static rt_status make_rounded(struct making *m, const struct pipe_gguf_text *text,
                              const char *model, const char *out)
{
    const struct pipe_gguf_options *o = m->options;
    const struct quant_gguf_calibration calibration = { .model = *text->full,
                                                        .sequences = text->sequences,
                                                        .count = text->count,
                                                        .shared = text->shared,
                                                        .natural_order = o->natural_order,
                                                        .damping = o->damping,
                                                        .seen = &m->importance,
                                                        .pass = after_pass,
                                                        .done = after_text };
    m->layers = rt_model_config(*text->full)->layers;
    const rt_status st = make(m, model, out, NULL, &calibration, m->from->from);
    destroy_last(text);
    return st;
}

rt_status pipe_quantize_gguf_on(struct pipe_session *session,
                                const struct pipe_gguf_text *text, const char *model,
                                const char *out, const struct pipe_gguf_options *o,
                                struct pipe_gguf_made *made)
{
    struct making m = { .ctx = session->ctx,
                        .options = o,
                        .from = text->read,
                        .host = session->host,
                        .made = made,
                        .started_ns = rt_time_ns(),
                        .what = "calibrate" };
    *made = (struct pipe_gguf_made){ 0 };
    for (uint32_t i = 0; i < text->count; i++)
        made->tokens += text->sequences[i].n;
    const bool nearest = o->nearest || o->write_plan;
    const rt_status st = (nearest ? make_nearest : make_rounded)(&m, text, model, out);
    quant_importance_deinit(&m.importance);
    return st;
}

uint32_t pipe_gguf_fallbacks(const struct pipe_gguf_made *m, uint32_t i)
{
    const struct pipe_gguf_tensor *t = &m->list[i];
    uint32_t same = 0;
    if (strcmp(t->type, t->wanted) == 0)
        return 0;
    for (uint32_t k = 0; k < m->count; k++) {
        const struct pipe_gguf_tensor *u = &m->list[k];
        if (strcmp(t->type, u->type) != 0 || strcmp(t->wanted, u->wanted) != 0 ||
            t->columns != u->columns)
            continue;
        if (k < i)
            return 0;
        same++;
    }
    return same;
}

void pipe_gguf_made_deinit(struct pipe_gguf_made *made)
{
    rt_free(made->list);
    *made = (struct pipe_gguf_made){ 0 };
}

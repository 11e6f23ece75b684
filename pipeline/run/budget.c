/* pipeline/run/budget.c
 * Quantizes a model at every width, measures one group at a time, and chooses. */
#include "pipeline/run/budget.h"

#include "runtime/base/file.h"
#include "runtime/model/model_layout.h"
#include "runtime/quant/folder.h"
#include "runtime/quant/quant_files.h"
#include "runtime/quant/seen_inputs.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct budgeting {
    struct pipe_session *session;
    const struct pipe_select_from *from;
    const char *out;
    const struct pipe_quantize_options *o;
    struct pipe_budget *b;
    struct model_group_shape shape[MODEL_GROUP_COUNT];
    struct pipe_sequences
        text; /* the first of the calibration text; its list is borrowed */
    struct pipe_kl_base base;
    struct quant_seen *shared; /* one pass over the text serves all widths */
    uint64_t started_ns;
    uint32_t done, steps; /* groups measured */
};

static void folder_of(const struct budgeting *s, uint32_t width, char *out, size_t size)
{
    snprintf(out, size, "%.*s.width-%u", (int)fmt_path_length(s->out), s->out,
             quant_plan_widths[width]);
}

static void folder_of_shared(const struct budgeting *s, char *out, size_t size)
{
    snprintf(out, size, "%.*s.widths", (int)fmt_path_length(s->out), s->out);
}

static rt_status open_shared(struct budgeting *s)
{
    char folder[4200];
    const struct quant_options o = pipe_quantize_options_of(s->o);
    const struct pipe_sequences *all = &s->from->calibration->sequences;
    const struct quant_seen_source source = { .model = s->from->full,
                                              .sequences = all->list,
                                              .count = all->count,
                                              .what = quant_folder_needs(&o) };
    folder_of_shared(s, folder, sizeof folder);
    return quant_seen_open(&source, folder, &s->shared);
}

static double bits_of(const struct pipe_quantize_options *o,
                      const struct model_group_shape *g, uint32_t bits)
{
    double sum = 0;
    for (uint32_t p = 0; p < g->parts; p++)
        sum += quant_packed_bits(g->out[p], g->in, bits, o->group, o->asymmetric);
    return sum;
}

static double weights_of(const struct model_group_shape *g)
{
    double sum = 0;
    for (uint32_t p = 0; p < g->parts; p++)
        sum += (double)g->out[p] * g->in;
    return sum;
}

double pipe_budget_bits(const struct fmt_config *config,
                        const struct pipe_quantize_options *options, uint32_t width)
{
    double bits = 0, weights = 0; /* of a layer: all are alike */
    struct model_group_shape shape[MODEL_GROUP_COUNT];
    model_group_shapes(config, shape);
    for (int g = 0; g < MODEL_GROUP_COUNT; g++) {
        bits += bits_of(options, &shape[g], width);
        weights += weights_of(&shape[g]);
    }
    return bits / weights;
}

rt_status pipe_budget_check(struct rt_ctx *ctx, const struct fmt_config *config,
                            const struct pipe_quantize_options *options, double bits)
{
    const double least = pipe_budget_bits(config, options, quant_plan_widths[0]);
    return bits >= least
               ? RT_OK
               : rt_fail(ctx, RT_ERR_USAGE,
                         "--budget %g: with all matrices at %u bits the model takes %.3f "
                         "bits per weight, scales included; larger groups take less",
                         bits, quant_plan_widths[0], least);
}

/* ---- what is known before ---- */

static rt_status make_groups(struct budgeting *s)
{
    struct pipe_budget *b = s->b;
    const struct fmt_config *c = rt_model_config(s->from->full);
    model_group_shapes(c, s->shape);
    b->count = c->layers * MODEL_GROUP_COUNT;
    b->groups = rt_alloc(s->session->ctx, b->count, sizeof *b->groups);
    if (!b->groups)
        return rt_fail(s->session->ctx, RT_ERR_HOST_MEMORY, "budget: no host memory");
    for (uint32_t i = 0; i < b->count; i++) {
        struct pipe_budget_group *g = &b->groups[i];
        const struct model_group_shape *shape = &s->shape[i % MODEL_GROUP_COUNT];
        g->layer = i / MODEL_GROUP_COUNT;
        g->group = (enum model_group)(i % MODEL_GROUP_COUNT);
        b->weights += weights_of(shape);
        for (uint32_t w = 0; w < QUANT_PLAN_WIDTHS; w++)
            g->cell[w].bits = bits_of(s->o, shape, quant_plan_widths[w]);
    }
    return RT_OK;
}

static void take_text(struct budgeting *s)
{
    const struct pipe_sequences *all = &s->from->calibration->sequences;
    uint64_t tokens = 0;
    s->text = (struct pipe_sequences){ .list = all->list, .per_item = 1 };
    while (s->text.count < all->count && tokens < PIPE_BUDGET_TOKENS)
        tokens += all->list[s->text.count++].n;
    s->base = (struct pipe_kl_base){ s->session, s->from->full, &s->text, { 0 } };
}

/* ---- a width ---- */

/* The place of a matrix "model.layers.3.mlp.up_proj" among the groups. */
static struct pipe_budget_group *group_of(const struct budgeting *s, const char *name)
{
    char wanted[128];
    for (uint32_t i = 0; i < s->b->count; i++) {
        const struct model_group_shape *g = &s->shape[i % MODEL_GROUP_COUNT];
        for (uint32_t p = 0; p < g->parts; p++) {
            snprintf(wanted, sizeof wanted, "model.layers.%u.%s", i / MODEL_GROUP_COUNT,
                     fmt_module_path[g->module[p]]);
            if (strcmp(wanted, name) == 0)
                return &s->b->groups[i];
        }
    }
    return NULL;
}

static rt_status quantize(struct budgeting *s, uint32_t w)
{
    char folder[4200];
    struct pipe_quantized q = { 0 };
    struct pipe_quantize_options o = *s->o;
    const struct pipe_sequences *all = &s->from->calibration->sequences;
    o.bits = quant_plan_widths[w];
    o.plan = NULL;
    o.force = false;
    folder_of(s, w, folder, sizeof folder);
    quant_files_remove(folder); /* of a run that was killed */
    const struct pipe_quantize_text text = { .full = s->from->full,
                                             .sequences = all->list,
                                             .count = all->count,
                                             .shared = s->shared };
    const rt_status st =
        pipe_quantize_on(s->session, &text, s->from->model, folder, &o, &q);
    for (uint32_t i = 0; st == RT_OK && i < q.list_count; i++) {
        struct pipe_budget_group *g = group_of(s, q.list[i].name);
        assert(g); /* the quantizer names the projections of the model */
        g->cell[w].error += q.list[i].objective;
    }
    pipe_quantized_deinit(&q);
    return st;
}

static rt_status measure_group(struct budgeting *s, struct rt_model *quantized,
                               struct pipe_budget_group *g, uint32_t w,
                               struct pipe_kl *kl)
{
    rt_status st;
    char what[64];
    struct rt_model *hybrid = NULL;
    TRY(rt_model_hybrid_create(s->from->full, &hybrid));
    rt_model_hybrid_take(hybrid, quantized, g->layer, g->group);
    snprintf(what, sizeof what, "sensitivity %u of %u", ++s->done, s->steps);
    TRY(pipe_kl_measure(&s->base, hybrid, NULL, what, NULL, kl));
    g->cell[w].kl = kl->mean > 0 ? kl->mean : 0;
    g->cell[w].measured = true;
    s->b->tokens = kl->tokens;

fail:
    rt_model_hybrid_destroy(&hybrid);
    return st;
}

static rt_status measure(struct budgeting *s, uint32_t w)
{
    rt_status st;
    char folder[4200];
    struct rt_model *quantized = NULL;
    struct pipe_kl *kl = rt_alloc(s->session->ctx, 1, sizeof *kl);
    if (!kl)
        return rt_fail(s->session->ctx, RT_ERR_HOST_MEMORY, "budget: no host memory");
    folder_of(s, w, folder, sizeof folder);
    TRY(pipe_model_load(s->session, folder, &quantized));
    for (uint32_t i = 0; i < s->b->count; i++)
        TRY(measure_group(s, quantized, &s->b->groups[i], w, kl));

fail:
    rt_model_destroy(&quantized);
    rt_free(kl);
    return st;
}

/* A small error moves the logits in proportion, and the KL by the square of that, which is
 * what an output error is. */
static void estimate(struct pipe_budget *b, uint32_t from)
{
    for (uint32_t i = 0; i < b->count; i++) {
        const struct pipe_budget_cell *known = &b->groups[i].cell[from];
        for (uint32_t w = 0; w < QUANT_PLAN_WIDTHS; w++) {
            struct pipe_budget_cell *c = &b->groups[i].cell[w];
            if (!c->measured)
                c->kl = known->error > 0 ? known->kl * c->error / known->error : 0;
        }
    }
}

/* ---- the choice ---- */

static rt_status choose(struct budgeting *s, double bits)
{
    rt_status st;
    struct pipe_budget *b = s->b;
    struct rt_ctx *ctx = s->session->ctx;
    bool fits = false;
    const size_t cells = (size_t)b->count * QUANT_PLAN_WIDTHS;
    double *loss = rt_alloc(ctx, cells, sizeof *loss);
    double *cost = rt_alloc(ctx, cells, sizeof *cost);
    uint32_t *chosen = rt_alloc(ctx, b->count, sizeof *chosen);
    if (!loss || !cost || !chosen) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "budget: no host memory");
        goto fail;
    }
    for (size_t i = 0; i < cells; i++) {
        const struct pipe_budget_cell *c =
            &b->groups[i / QUANT_PLAN_WIDTHS].cell[i % QUANT_PLAN_WIDTHS];
        loss[i] = c->kl;
        cost[i] = c->bits;
    }
    TRY(pipe_budget_choose(ctx, loss, cost, b->count, QUANT_PLAN_WIDTHS,
                           bits * b->weights, chosen, &fits));
    for (uint32_t i = 0; i < b->count; i++) {
        b->groups[i].chosen =
            fits ? chosen[i] : 0; /* rounding up: the least still fits */
        b->bits += b->groups[i].cell[b->groups[i].chosen].bits / b->weights;
        b->kl += b->groups[i].cell[b->groups[i].chosen].kl;
    }

fail:
    rt_free(loss);
    rt_free(cost);
    rt_free(chosen);
    return st;
}

static rt_status write_plan(struct budgeting *s)
{
    rt_status st = RT_OK;
    char name[128];
    for (uint32_t i = 0; i < s->b->count; i++) {
        const struct pipe_budget_group *g = &s->b->groups[i];
        const struct model_group_shape *shape = &s->shape[g->group];
        for (uint32_t p = 0; p < shape->parts; p++) {
            snprintf(name, sizeof name, "model.layers.%u.%s", g->layer,
                     fmt_module_path[shape->module[p]]);
            TRY(quant_plan_add(s->session->ctx, &s->b->plan, name,
                               quant_plan_widths[g->chosen]));
        }
    }

fail:
    return st;
}

rt_status pipe_budget_make(struct pipe_session *session,
                           const struct pipe_select_from *from, const char *out,
                           const struct pipe_quantize_options *options, double bits,
                           bool all, struct pipe_budget *budget)
{
    rt_status st;
    char folder[4200];
    struct budgeting s = { .session = session,
                           .from = from,
                           .out = out,
                           .o = options,
                           .b = budget,
                           .started_ns = rt_time_ns() };
    *budget = (struct pipe_budget){ .count = 0 };
    TRY(make_groups(&s));
    TRY(pipe_budget_check(session->ctx, rt_model_config(from->full), options, bits));
    take_text(&s);
    TRY(open_shared(&s));
    s.steps = budget->count * (all ? QUANT_PLAN_WIDTHS : 1);
    for (uint32_t w = 0; w < QUANT_PLAN_WIDTHS; w++) {
        TRY(quantize(&s, w));
        if (w == 0 || all)
            TRY(measure(&s, w));
    }
    estimate(budget, 0);
    TRY(choose(&s, bits));
    TRY(write_plan(&s));

fail:
    pipe_kl_base_deinit(&s.base);
    folder_of_shared(&s, folder, sizeof folder);
    if (s.shared) /* else it may be another command's */
        quant_seen_remove(folder);
    quant_seen_close(&s.shared);
    if (st == RT_ERR_INTERRUPTED || st == RT_ERR_TIME_LIMIT)
        rt_log(session->ctx, RT_LOG_WARNING,
               "finished widths are removed: the same command begins with 2 bits again");
    for (uint32_t w = 0; w < QUANT_PLAN_WIDTHS; w++) {
        folder_of(&s, w, folder, sizeof folder);
        quant_files_remove(folder);
    }
    return st;
}

void pipe_budget_deinit(struct pipe_budget *b)
{
    rt_free(b->groups);
    quant_plan_deinit(&b->plan);
    *b = (struct pipe_budget){ .count = 0 };
}

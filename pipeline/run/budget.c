/* pipeline/run/budget.c
 * Quantizes a model at every width, measures one group at a time, and chooses. */
#include "pipeline/run/budget.h"

#include "pipeline/run/budget_state.h"
#include "pipeline/run/select_state.h"
#include "runtime/base/file.h"
#include "runtime/model/model_layout.h"
#include "runtime/quant/folder.h"
#include "runtime/quant/quant_files.h"
#include "runtime/quant/seen_inputs.h"

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
    uint32_t done, steps; /* groups measured */
};

/* A width that is being made. */
struct making {
    uint32_t width; /* index */
    uint32_t most;  /* groups to measure at it */
    uint32_t measured;
    char folder[4200], key[65];
};

static void folder_of(const char *target, uint32_t width, char *out, size_t size)
{
    snprintf(out, size, "%.*s.width-%u", (int)fmt_path_length(target), target,
             quant_plan_widths[width]);
}

static void folder_of_shared(const char *target, char *out, size_t size)
{
    snprintf(out, size, "%.*s.widths", (int)fmt_path_length(target), target);
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
    folder_of_shared(s->out, folder, sizeof folder);
    return quant_seen_open(&source, folder, &s->b->shared);
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

static double error_of(const struct pipe_quantized *q, const char *name)
{
    for (uint32_t i = 0; i < q->list_count; i++)
        if (strcmp(q->list[i].name, name) == 0)
            return q->list[i].objective;
    return 0;
}

/* In the order of the modules, whatever that of the list is: layers that an earlier command made
 * come in another one, and the sums must not depend on it. */
static void take_errors(struct budgeting *s, const struct pipe_quantized *q,
                        uint32_t width)
{
    char name[128];
    for (uint32_t i = 0; i < s->b->count; i++) {
        struct pipe_budget_group *g = &s->b->groups[i];
        const struct model_group_shape *shape = &s->shape[g->group];
        g->cell[width].error = 0;
        for (uint32_t p = 0; p < shape->parts; p++) {
            snprintf(name, sizeof name, "model.layers.%u.%s", g->layer,
                     fmt_module_path[shape->module[p]]);
            g->cell[width].error += error_of(q, name);
        }
    }
}

static struct pipe_quantize_options options_at(const struct budgeting *s, uint32_t width)
{
    struct pipe_quantize_options o = *s->o;
    o.bits = quant_plan_widths[width];
    o.plan = NULL;
    o.force = false;
    return o;
}

/* What a width and its KL depend on: what a candidate does that is compared on this text. */
static rt_status key_of(const struct budgeting *s, struct making *m)
{
    const struct pipe_sequences *all = &s->from->calibration->sequences;
    const struct pipe_select_job job = { .session = s->session,
                                         .from = s->from,
                                         .kind = &pipe_select_folder,
                                         .used = all->list,
                                         .used_count = all->count };
    const struct pipe_candidate c = { .options = options_at(s, m->width) };
    return pipe_select_key(&job, &s->text, &c, m->key);
}

static void forget(struct budgeting *s, struct making *m)
{
    m->measured = 0;
    for (uint32_t i = 0; i < s->b->count; i++)
        s->b->groups[i].cell[m->width].measured = false;
}

static rt_status quantize(struct budgeting *s, struct making *m)
{
    rt_status st;
    struct pipe_quantized q = { 0 };
    const struct pipe_quantize_options o = options_at(s, m->width);
    const struct pipe_sequences *all = &s->from->calibration->sequences;
    pipe_budget_state_remove(m->folder); /* of another command */
    forget(s, m);
    const struct pipe_quantize_text text = { .full = s->from->full,
                                             .sequences = all->list,
                                             .count = all->count,
                                             .shared = s->b->shared };
    TRY(pipe_quantize_on(s->session, &text, s->from->model, m->folder, &o, &q));
    take_errors(s, &q, m->width);
    TRY(pipe_budget_state_write(s->session->ctx, m->folder, m->key, s->b, m->width, 0));

fail:
    pipe_quantized_deinit(&q);
    return st;
}

static rt_status measure_group(struct budgeting *s, struct rt_model *quantized,
                               const struct making *m, struct pipe_kl *kl)
{
    rt_status st;
    char what[64];
    struct rt_model *hybrid = NULL;
    struct pipe_budget_group *g = &s->b->groups[m->measured];
    struct pipe_budget_cell *c = &g->cell[m->width];
    TRY(rt_model_hybrid_create(s->from->full, &hybrid));
    rt_model_hybrid_take(hybrid, quantized, g->layer, g->group);
    snprintf(what, sizeof what, "sensitivity %u of %u", ++s->done, s->steps);
    TRY(pipe_kl_measure(&s->base, hybrid, NULL, what, NULL, kl));
    c->kl = kl->mean > 0 ? kl->mean : 0;
    c->measured = true;
    s->b->tokens = kl->tokens;
    TRY(pipe_budget_state_write(s->session->ctx, m->folder, m->key, s->b, m->width,
                                m->measured + 1));

fail:
    rt_model_hybrid_destroy(&hybrid);
    return st;
}

static rt_status measure(struct budgeting *s, struct making *m)
{
    rt_status st;
    struct rt_model *quantized = NULL;
    struct pipe_kl *kl = rt_alloc(s->session->ctx, 1, sizeof *kl);
    if (!kl)
        return rt_fail(s->session->ctx, RT_ERR_HOST_MEMORY, "budget: no host memory");
    TRY(pipe_model_load(s->session, m->folder, &quantized));
    for (; m->measured < m->most; m->measured++)
        TRY(measure_group(s, quantized, m, kl));

fail:
    rt_model_destroy(&quantized);
    rt_free(kl);
    return st;
}

static void say_found(const struct budgeting *s, const struct making *m)
{
    char measured[64] = "";
    if (m->most)
        snprintf(measured, sizeof measured, ", %u of %u groups measured", m->measured,
                 m->most);
    pipe_say(s->session->host, "%u bits: made before this command was stopped%s",
             quant_plan_widths[m->width], measured);
}

/* All that is asked of a width, as far as it is not known; then its folder is not needed. */
static rt_status make_width(struct budgeting *s, uint32_t width, bool measured)
{
    rt_status st;
    struct making m = { .width = width, .most = measured ? s->b->count : 0 };
    folder_of(s->out, width, m.folder, sizeof m.folder);
    TRY(key_of(s, &m));
    const bool found = pipe_budget_state_read(s->session->ctx, m.folder, m.key, m.most,
                                              s->b, width, &m.measured);
    if (!found || (m.measured < m.most && !fmt_exists(m.folder)))
        TRY(quantize(s, &m));
    else
        say_found(s, &m);
    s->done += m.measured;
    if (m.measured < m.most)
        TRY(measure(s, &m));
    quant_files_remove(m.folder);

fail:
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
    struct budgeting s = {
        .session = session, .from = from, .out = out, .o = options, .b = budget
    };
    *budget = (struct pipe_budget){ .count = 0 };
    TRY(make_groups(&s));
    TRY(pipe_budget_check(session->ctx, rt_model_config(from->full), options, bits));
    take_text(&s);
    TRY(open_shared(&s));
    s.steps = budget->count * (all ? QUANT_PLAN_WIDTHS : 1);
    for (uint32_t w = 0; w < QUANT_PLAN_WIDTHS; w++)
        TRY(make_width(&s, w, w == 0 || all));
    quant_seen_clear(budget->shared);
    estimate(budget, 0);
    TRY(choose(&s, bits));
    TRY(write_plan(&s));

fail:
    pipe_kl_base_deinit(&s.base);
    return st;
}

void pipe_budget_end(struct rt_ctx *ctx, const char *out, rt_status st,
                     struct pipe_budget *b)
{
    char folder[4200];
    if (!b->shared) /* nothing was begun, or it is another command's */
        return;
    quant_seen_close(&b->shared);
    if (quant_is_resumable(st)) {
        rt_log(ctx, RT_LOG_WARNING,
               "what is known of the widths is kept beside '%s': the same command "
               "continues there",
               out);
        return;
    }
    for (uint32_t w = 0; w < QUANT_PLAN_WIDTHS; w++) {
        folder_of(out, w, folder, sizeof folder);
        pipe_budget_state_remove(folder);
    }
    folder_of_shared(out, folder, sizeof folder); /* last: it says whose the others are */
    quant_seen_remove(folder);
}

void pipe_budget_deinit(struct pipe_budget *b)
{
    quant_seen_close(&b->shared);
    rt_free(b->groups);
    quant_plan_deinit(&b->plan);
    *b = (struct pipe_budget){ .count = 0 };
}

/* pipeline/restore/start.c
 * Where an adapter begins: at random with B = 0, or at the activation-weighted low-rank
 * fit of what quantization took away. */
#include "pipeline/restore/items.h"

#include "pipeline/run/work.h"

#include "runtime/model/model_layout.h"
#include "runtime/observe/moments.h"
#include "runtime/quant/lowrank.h"

#include <math.h>
#include <stdio.h>

/* Texts, and tokens of them at most: hidden states of all are kept (observe/moments.h). */
enum { CALIBRATION = 332, CALIBRATION_ROWS = 65536 };

#define DAMPING 1e-4

/* A uniform within +-1/sqrt(in) (PEFT's default), B zero. */
static void random_start(struct fmt_adapter *a, const struct fmt_config *c, uint64_t seed)
{
    for (uint32_t i = 0; i < a->layers * FMT_MODULE_COUNT; i++) {
        uint32_t out, in;
        fmt_module_size(c, (enum fmt_module)(i % FMT_MODULE_COUNT), &out, &in);
        const double bound = 1 / sqrt(in);
        for (uint32_t k = 0; k < a->lora[i].rank * in; k++) {
            const uint32_t word = train_word(seed, k, i);
            a->lora[i].a[k] = (float)(bound * ((double)word / 2147483648.0 - 1));
        }
    }
}

/* What a group of the full model is fitted with. */
struct fitting {
    struct pipe_session *session;
    struct model_group_shape shape[MODEL_GROUP_COUNT]; /* of the full model */
    struct fmt_model *full, *quant;
    struct fmt_adapter *adapter;
    uint64_t started_ns;
};

static rt_status fit_part(struct fitting *f, const struct observe_group *seen, uint32_t p)
{
    rt_status st;
    struct rt_ctx *ctx = f->session->ctx;
    const struct model_group_shape *s = &f->shape[seen->group];
    const struct fmt_lora *l =
        &f->adapter->lora[seen->layer * FMT_MODULE_COUNT + s->module[p]];
    const size_t count = (size_t)s->out[p] * s->in;
    char name[128];
    snprintf(name, sizeof name, "model.layers.%u.%s", seen->layer,
             fmt_module_path[s->module[p]]);
    float *w = rt_alloc(ctx, count, sizeof *w), *wq = rt_alloc(ctx, count, sizeof *wq);
    if (!w || !wq) {
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY,
                     "low-rank start: no host memory for '%s' twice", name);
        goto fail;
    }
    TRY(fmt_weight_floats(f->full, name, s->out[p], s->in, w));
    TRY(fmt_weight_floats(f->quant, name, s->out[p], s->in, wq));
    const struct quant_lowrank_task task = { .w = w,
                                             .wq = wq,
                                             .out = s->out[p],
                                             .in = s->in,
                                             .moment = seen->moment,
                                             .damping = DAMPING,
                                             .rank = l->rank,
                                             .scale = l->scale };
    TRY(quant_lowrank(ctx, &task, l->a, l->b, NULL));

fail:
    rt_free(w);
    rt_free(wq);
    return st;
}

static rt_status fit_group(void *user, const struct observe_group *seen)
{
    rt_status st = RT_OK;
    struct fitting *f = user;
    for (uint32_t p = 0; p < f->shape[seen->group].parts; p++) {
        TRY(pipe_work_beat(f->session));
        TRY(pipe_stop_status(f->session->host, f->session->ctx));
        TRY(fit_part(f, seen, p));
    }

fail:
    return st;
}

static rt_status after_pass(void *user, uint64_t done, uint64_t total)
{
    struct fitting *f = user;
    const struct pipe_progress now = { .what = "low-rank start",
                                       .done = done,
                                       .total = total,
                                       .started_ns = f->started_ns };
    pipe_progress(f->session->host, &now);
    const rt_status st = pipe_work_beat(f->session);
    return st == RT_OK ? pipe_stop_status(f->session->host, f->session->ctx) : st;
}

/* The first sequences that together stay within CALIBRATION_ROWS, at least one. */
static uint32_t calibration_count(const struct pipe_sequences *items)
{
    uint32_t count = 0;
    uint64_t rows = 0;
    while (count < items->count) {
        rows += items->list[count].n;
        if (count > 0 && rows > CALIBRATION_ROWS)
            break;
        count++;
    }
    return count;
}

/* Second moments of full's inputs over its own traces of random solved problems, and the
 * fit of every matrix to those of its inputs. */
static rt_status lowrank_start(struct pipe_session *session,
                               const struct pipe_material *material,
                               struct fmt_adapter *a)
{
    rt_status st;
    struct pipe_item_set set = { 0 };
    struct pipe_sequences items = { 0 };
    struct fitting f = { .session = session, .adapter = a, .started_ns = rt_time_ns() };
    model_group_shapes(rt_model_config(material->full->model), f.shape);
    struct pipe_material calibration = *material;
    calibration.items_max = CALIBRATION;
    calibration.faults = NULL;
    TRY(pipe_item_set_make(session, &calibration, PIPE_ITEMS_RANDOM, &set));
    if (set.curated.count == 0) {
        st = rt_fail(session->ctx, RT_ERR_USAGE,
                     "a low-rank start has nothing to measure: full solves none of the "
                     "mined problems; mine more problems");
        goto fail;
    }
    TRY(pipe_item_set_sequences(session, UINT32_MAX, &calibration, &set, &items));
    TRY(fmt_model_open(session->ctx, material->full_folder, &f.full));
    TRY(fmt_model_open(session->ctx, material->quant_folder, &f.quant));
    const struct observe_task task = { .model = material->full->model,
                                       .sequences = items.list,
                                       .count = calibration_count(&items),
                                       .what = OBSERVE_MOMENTS,
                                       .group = fit_group,
                                       .pass = after_pass,
                                       .user = &f };
    TRY(observe_layers(&task));

fail:
    pipe_sequences_free(&items);
    pipe_item_set_deinit(&set);
    fmt_model_close(&f.full);
    fmt_model_close(&f.quant);
    return st;
}

rt_status pipe_start_make(struct pipe_session *session,
                          const struct pipe_material *material,
                          const struct pipe_restore_recipe *recipe,
                          struct fmt_adapter **out)
{
    rt_status st;
    const struct fmt_config *c = rt_model_config(material->full->model);
    TRY(fmt_adapter_new(session->ctx, c, material->rank, 2.0f * (float)material->rank,
                        out));
    if (recipe->lowrank)
        TRY(lowrank_start(session, material, *out));
    else
        random_start(*out, c, session->seed);
    return RT_OK;

fail:
    fmt_adapter_destroy(out);
    return st;
}

/* pipeline/cli/loop_start.c
 * Where an adapter begins: at random with B = 0, or at the activation-weighted low-rank
 * fit of what quantization took away. */
#include "pipeline/cli/loop_items.h"

#include "runtime/quant/lowrank.h"
#include "runtime/train/score.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CALIBRATION = 332 };

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

struct moments {
    double **sum; /* [layers * MODEL_GROUP_COUNT] */
    uint32_t count;
    uint64_t rows;
};

static void moments_free(struct moments *m)
{
    for (uint32_t i = 0; m->sum && i < m->count; i++)
        rt_free(m->sum[i]);
    rt_free(m->sum);
}

static rt_status moments_alloc(struct rt_ctx *ctx, const struct rt_model *model,
                               struct moments *m)
{
    m->count = model->config.layers * MODEL_GROUP_COUNT;
    m->sum = rt_alloc(ctx, m->count, sizeof *m->sum);
    for (uint32_t i = 0; m->sum && i < m->count; i++) {
        const size_t in = model->shape[i % MODEL_GROUP_COUNT].in;
        m->sum[i] = rt_alloc(ctx, in * in, sizeof **m->sum);
        if (!m->sum[i])
            return rt_fail(ctx, RT_ERR_HOST_MEMORY, "moments: no memory");
    }
    return m->sum ? RT_OK : rt_fail(ctx, RT_ERR_HOST_MEMORY, "moments: no memory");
}

/* Second moments of full's inputs over its own traces of random solved problems. */
static rt_status measure_moments(struct loop *loop, const struct loop_material *material,
                                 struct moments *m)
{
    rt_status st;
    struct rt_scorer *scorer = NULL;
    struct loop_set set = { 0 };
    struct loop_sequences items = { 0 };
    struct loop_material calibration = *material;
    calibration.items_max = CALIBRATION;
    calibration.faults = NULL;
    TRY(moments_alloc(loop->ctx, material->full->model, m));
    TRY(loop_set_make(loop, &calibration, LOOP_ITEMS_RANDOM, &set));
    TRY(loop_set_sequences(loop, UINT32_MAX, &calibration, &set, &items));
    const uint32_t rows = loop_sequences_rows(&items);
    uint32_t n, targets;
    TRY(rt_scorer_create(material->full->model, NULL, NULL, rows, &scorer));
    for (uint32_t i = 0; i < items.count; i += n) {
        n = loop_sequences_batch(&items, i, rows, &targets);
        TRY(rt_scorer_moments(scorer, items.list + i, n, m->sum, &m->rows));
    }
    for (uint32_t i = 0; i < m->count; i++) {
        const size_t in = material->full->model->shape[i % MODEL_GROUP_COUNT].in;
        for (size_t k = 0; k < in * in; k++)
            m->sum[i][k] /= (double)m->rows;
    }

fail:
    rt_scorer_destroy(&scorer);
    loop_sequences_free(&items);
    loop_set_deinit(&set);
    return st;
}

/* The modules of one group share an input and so its roots. */
static rt_status fit_group(struct loop *loop, struct fmt_model *full,
                           struct fmt_model *quant, const struct rt_model *model,
                           uint32_t index, const double *moment, struct fmt_adapter *a)
{
    rt_status st;
    struct rt_ctx *ctx = loop->ctx;
    const struct model_group_shape *s = &model->shape[index % MODEL_GROUP_COUNT];
    const uint32_t layer = index / MODEL_GROUP_COUNT;
    struct quant_roots roots = { 0 };
    float *w = NULL, *wq = NULL;
    TRY(quant_roots_init(ctx, moment, s->in, DAMPING, &roots));
    for (uint32_t p = 0; p < s->parts; p++) {
        char name[128];
        const size_t count = (size_t)s->out[p] * s->in;
        struct fmt_lora *l = &a->lora[layer * FMT_MODULE_COUNT + s->module[p]];
        snprintf(name, sizeof name, "model.layers.%u.%s", layer,
                 fmt_module_path[s->module[p]]);
        rt_free(w);
        rt_free(wq);
        w = rt_alloc(ctx, count, sizeof *w);
        wq = rt_alloc(ctx, count, sizeof *wq);
        if (!w || !wq) {
            st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "low-rank start: no host memory");
            goto fail;
        }
        TRY(fmt_weight_floats(full, name, s->out[p], s->in, w));
        TRY(fmt_weight_floats(quant, name, s->out[p], s->in, wq));
        TRY(quant_lowrank(ctx, w, wq, s->out[p], s->in, &roots, l->rank, l->scale, l->a,
                          l->b));
    }

fail:
    quant_roots_deinit(&roots);
    rt_free(w);
    rt_free(wq);
    return st;
}

static rt_status lowrank_start(struct loop *loop, const struct loop_material *material,
                               struct fmt_adapter *a)
{
    rt_status st;
    struct moments m = { 0 };
    struct fmt_model *full = NULL, *quant = NULL;
    TRY(measure_moments(loop, material, &m));
    TRY(fmt_model_open(loop->ctx, material->full_folder, &full));
    TRY(fmt_model_open(loop->ctx, material->quant_folder, &quant));
    for (uint32_t i = 0; i < m.count; i++)
        TRY(fit_group(loop, full, quant, material->full->model, i, m.sum[i], a));

fail:
    moments_free(&m);
    fmt_model_close(&full);
    fmt_model_close(&quant);
    return st;
}

rt_status loop_start_make(struct loop *loop, const struct loop_material *material,
                          const struct loop_recipe *recipe, struct fmt_adapter **out)
{
    rt_status st;
    const struct fmt_config *c = &material->full->model->config;
    TRY(fmt_adapter_new(loop->ctx, c, material->rank, 2.0f * (float)material->rank, out));
    if (recipe->lowrank)
        TRY(lowrank_start(loop, material, *out));
    else
        random_start(*out, c, loop->seed);
    return RT_OK;

fail:
    fmt_adapter_destroy(out);
    return st;
}

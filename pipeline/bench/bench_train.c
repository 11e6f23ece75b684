/* pipeline/bench/bench_train.c
 * Suite `train`: whole steps (gradient and AdamW update) of a rank-16 adapter on all
 * projections of the frozen model, eight sequences of 64 made-up tokens of which the
 * second half are targets. The teacher of KL is the model without its adapter; the
 * reference log-probabilities of DPO are given numbers, as they are in a real run. */
#include "pipeline/bench/bench_impl.h"

#include "runtime/train/train.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SEQUENCES = 8, LENGTH = 64, RANK = 16 };
#define RATE 1e-5
#define REFERENCE (-2.0f)

struct train_work {
    struct bench *b; /* borrowed */
    struct rt_adapter *adapter;
    struct rt_trainer *trainer;
    struct train_sequence batch[SEQUENCES];
    uint32_t ids[SEQUENCES][LENGTH];
    uint8_t mask[LENGTH];
    float ref[LENGTH];
};

static void close_train(void *self)
{
    struct train_work *w = self;
    rt_trainer_destroy(&w->trainer);
    rt_adapter_destroy(&w->adapter);
    rt_free(w);
}

/* Small numbers in A and B alike, so that no gradient is zero. */
static void fill(float *values, size_t count, uint32_t salt)
{
    for (size_t i = 0; i < count; i++) {
        const double word = train_word(1, (uint32_t)i, salt);
        values[i] = (float)(0.02 * (word / 2147483648.0 - 1));
    }
}

static rt_status make_adapter(struct train_work *w)
{
    struct fmt_adapter *source = NULL;
    const struct fmt_config *config = rt_model_config(w->b->model);
    const rt_status st = fmt_adapter_new(w->b->ctx, config, RANK, RANK, &source);
    if (st != RT_OK)
        return st;
    for (uint32_t i = 0; i < source->layers * FMT_MODULE_COUNT; i++) {
        uint32_t out, in;
        struct fmt_lora *l = &source->lora[i];
        fmt_module_size(config, (enum fmt_module)(i % FMT_MODULE_COUNT), &out, &in);
        fill(l->a, (size_t)l->rank * in, 2 * i);
        fill(l->b, (size_t)l->rank * out, 2 * i + 1);
    }
    return rt_adapter_create(w->b->model, source, true, &w->adapter);
}

static rt_status open_train(struct bench *b, struct bench_case *c, void **self)
{
    rt_status st;
    struct train_options options;
    struct train_work *w = rt_alloc(b->ctx, 1, sizeof *w);
    *self = w;
    if (!w)
        return rt_fail(b->ctx, RT_ERR_HOST_MEMORY, "%s: no memory", c->name);
    w->b = b;
    for (uint32_t i = 0; i < LENGTH; i++) {
        w->mask[i] = i >= LENGTH / 2;
        w->ref[i] = REFERENCE;
    }
    for (uint32_t s = 0; s < SEQUENCES; s++) {
        for (uint32_t i = 0; i < LENGTH; i++)
            w->ids[s][i] = bench_token(rt_model_config(b->model)->vocab, s, i);
        w->batch[s] =
            (struct train_sequence){ w->ids[s], w->mask, LENGTH,
                                     c->loss == TRAIN_DPO ? w->ref : NULL, NULL };
    }
    train_options_default(&options);
    options.loss = (enum train_loss)c->loss;
    if (c->loss == TRAIN_DPO)
        options.beta = 0.1f;
    TRY(make_adapter(w));
    TRY(rt_trainer_create(b->model, w->adapter, c->loss == TRAIN_KL ? b->model : NULL,
                          &options, SEQUENCES * (LENGTH - 1), SEQUENCES * LENGTH / 2,
                          &w->trainer));

fail:
    return st;
}

static rt_status step(struct train_work *w, struct train_metrics *m, double *norm)
{
    rt_status st;
    TRY(rt_trainer_gradient(w->trainer, w->batch, SEQUENCES, m));
    TRY(rt_trainer_update(w->trainer, RATE, norm));

fail:
    return st;
}

static rt_status check_train(void *self, struct bench_case *c,
                             struct pipe_bench_check *out)
{
    rt_status st;
    struct train_work *w = self;
    struct train_metrics first, second;
    struct rt_trainer_stats before, after;
    double norm;
    const uint64_t start = rt_time_ns();
    TRY(rt_trainer_gradient(w->trainer, w->batch, SEQUENCES, &first));
    out->cold_ns = (double)(rt_time_ns() - start);
    rt_trainer_stats_get(w->trainer, &before);
    TRY(step(w, &second, &norm));
    rt_trainer_stats_get(w->trainer, &after);
    c->flops = after.flops - before.flops;
    c->bytes = NAN;
    c->tokens = (double)(after.rows - before.rows);
    out->good = isfinite(first.loss) && isfinite(norm) &&
                memcmp(&first.loss, &second.loss, sizeof first.loss) == 0;
    if (!out->good)
        snprintf(out->fault, sizeof out->fault,
                 "the loss of one batch is %.17g, then %.17g, its gradient's norm %.9g",
                 first.loss, second.loss, norm);

fail:
    return st;
}

static rt_status run_train(void *user, struct pipe_bench_sample *out)
{
    rt_status st;
    struct train_work *w = user;
    struct train_metrics m;
    double norm;
    const double busy = bench_busy(w->b->dev);
    const uint64_t start = rt_time_ns();
    TRY(step(w, &m, &norm));
    const double wall = (double)(rt_time_ns() - start);
    *out = (struct pipe_bench_sample){
        .device_ns = bench_device_ns(bench_busy(w->b->dev) - busy, 1),
        .wall_ns = wall,
        .seconds = wall * 1e-9,
    };

fail:
    return st;
}

static const struct bench_kind train_kind = { true, open_train, check_train, run_train,
                                              close_train };

rt_status bench_train_list(struct rt_ctx *ctx, struct bench_cases *out)
{
    static const struct {
        const char *name;
        enum train_loss loss;
    } losses[] = { { "SFT, 8 sequences of 64", TRAIN_SFT },
                   { "KL, 8 sequences of 64", TRAIN_KL },
                   { "DPO, 4 pairs of 64", TRAIN_DPO } };
    rt_status st = RT_OK;
    for (size_t i = 0; i < RT_COUNT(losses); i++) {
        struct bench_case c = {
            .kind = &train_kind,
            .suite = "train",
            .unit = "tok/s",
            .explain = "gradient and update of a rank-16 adapter; checked: finite, and "
                       "the same loss twice",
            .quick = losses[i].loss == TRAIN_KL,
            .wall = true,
            .batch = SEQUENCES,
            .length = LENGTH,
            .loss = losses[i].loss,
        };
        snprintf(c.name, sizeof c.name, "train step, %s", losses[i].name);
        TRY(bench_cases_add(ctx, out, &c));
    }

fail:
    return st;
}

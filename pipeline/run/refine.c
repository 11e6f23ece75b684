/* pipeline/run/refine.c
 * Trains the scales of a packed model, step by step with checkpoints, and writes them. */
#include "pipeline/run/refine.h"

#include "runtime/base/file.h"
#include "runtime/base/sha256.h"
#include "runtime/quant/rescale.h"
#include "runtime/train/train.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { PATH = QUANT_PATH_MAX + 40 };

struct refining {
    struct pipe_session *session;
    const struct pipe_refine_options *o;
    struct rt_model *full, *model;
    struct rt_scales *scales;
    struct rt_trainer *trainer;
    struct pipe_calibration items;
    struct train_sequence *batch; /* [o->batch] */
    uint32_t *order;              /* [items] */
    uint32_t steps_per_epoch, steps;
    double rate;
    double first, last; /* sums of the loss over the first and the last epoch */
    char identity[65];  /* of everything that the result depends on */
    char to[QUANT_PATH_MAX];
    uint32_t saved; /* steps of the checkpoint that the state names; 0: none */
    uint64_t started_ns, saved_ns;
};

/* ---- what is trained on ---- */

/* Sequences of step k, in a fresh order each epoch. */
static uint32_t batch_of(struct refining *r, uint32_t k)
{
    const uint32_t size = r->o->batch, count = r->items.sequences.count;
    const uint32_t first = k % r->steps_per_epoch * size;
    uint32_t n = 0;
    train_order(r->session->seed, k / r->steps_per_epoch, count, r->order);
    for (uint32_t i = first; i < first + size && i < count; i++)
        r->batch[n++] = r->items.sequences.list[r->order[i]];
    return n;
}

/* The most rows and targets that any batch needs. */
static void plan_capacity(struct refining *r, uint32_t *rows, uint32_t *targets)
{
    *rows = *targets = 0;
    for (uint32_t k = 0; k < r->steps; k++) {
        uint32_t all = 0, marked = 0;
        const uint32_t n = batch_of(r, k);
        for (uint32_t i = 0; i < n; i++) {
            all += r->batch[i].n - 1;
            marked += train_sequence_targets(&r->batch[i]);
        }
        *rows = all > *rows ? all : *rows;
        *targets = marked > *targets ? marked : *targets;
    }
}

static void name_work(struct refining *r)
{
    char text[512];
    const struct pipe_refine_options *o = r->o;
    struct sha256 hash;
    snprintf(text, sizeof text, "%s %s %s %s %u %u %.17g %llu %d", r->session->env_id,
             rt_model_hash(r->full), rt_model_hash(r->model), r->items.id, o->batch,
             o->epochs, r->rate, (unsigned long long)r->session->seed, o->zeros);
    sha256_init(&hash);
    sha256_add_text(&hash, text);
    sha256_end_hex(&hash, r->identity);
}

static rt_status prepare(struct refining *r)
{
    rt_status st;
    uint32_t rows, targets;
    struct train_options o;
    struct pipe_session *s = r->session;
    TRY(pipe_model_load(s, r->o->full, &r->full));
    TRY(pipe_model_load(s, r->o->model, &r->model));
    TRY(rt_scales_create(r->model, r->o->model, r->o->zeros, &r->scales));
    TRY(pipe_calibration_read(s, &r->o->on, r->full, &r->items));
    const uint32_t count = r->items.sequences.count;
    r->rate = r->o->rate > 0 ? r->o->rate
              : rt_model_bits_per_weight(r->model) < PIPE_REFINE_BITS
                  ? PIPE_REFINE_RATE
                  : PIPE_REFINE_RATE_FINE;
    r->steps_per_epoch = (count + r->o->batch - 1) / r->o->batch;
    r->steps = r->o->epochs * r->steps_per_epoch;
    r->order = rt_alloc(s->ctx, count, sizeof *r->order);
    r->batch = rt_alloc(s->ctx, r->o->batch, sizeof *r->batch);
    if (!r->order || !r->batch) {
        st = rt_fail(s->ctx, RT_ERR_HOST_MEMORY, "refine: no host memory");
        goto fail;
    }
    name_work(r);
    plan_capacity(r, &rows, &targets);
    train_options_default(&o);
    o.lr = (float)r->rate;
    const struct train_parameters parameters = { .scales = r->scales };
    TRY(rt_trainer_create_for(r->model, &parameters, r->full, &o, rows, targets,
                              &r->trainer));

fail:
    return st;
}

/* ---- checkpoints ---- */

static void state_path(const struct refining *r, char path[PATH])
{
    snprintf(path, PATH, "%s.refine.json", r->to);
}

static void checkpoint_path(const struct refining *r, uint32_t k, char path[PATH])
{
    snprintf(path, PATH, "%s.refine-%u.ckpt", r->to, k);
}

/* The checkpoint that the state names stays until the state names the next. */
static rt_status save(struct refining *r, uint32_t k)
{
    rt_status st;
    char path[PATH];
    struct rt_ctx *ctx = r->session->ctx;
    checkpoint_path(r, k, path);
    TRY(rt_trainer_save(r->trainer, path));
    json_t *state = json_pack("{s:s, s:i, s:f, s:f}", "identity", r->identity, "steps",
                              (int)k, "first", r->first, "last", r->last);
    state_path(r, path);
    st = fmt_json_write(ctx, path, state);
    json_decref(state);
    TRY(st);
    if (r->saved) {
        checkpoint_path(r, r->saved, path);
        remove(path);
    }
    r->saved = k;
    r->saved_ns = rt_time_ns();

fail:
    return st;
}

static void remove_state(struct refining *r)
{
    char path[PATH];
    state_path(r, path);
    remove(path);
    checkpoint_path(r, r->saved, path);
    if (r->saved)
        remove(path);
}

/* The step to go on with. What does not fit is started anew. */
static uint32_t resume(struct refining *r)
{
    char path[PATH];
    json_t *state = NULL;
    struct rt_ctx *ctx = r->session->ctx;
    uint32_t steps = 0;
    state_path(r, path);
    if (!fmt_exists(path) || fmt_json_read(ctx, path, &state) != RT_OK)
        return 0;
    const char *identity = json_string_value(json_object_get(state, "identity"));
    const int64_t given = json_integer_value(json_object_get(state, "steps"));
    checkpoint_path(r, (uint32_t)given, path);
    if (identity && strcmp(identity, r->identity) == 0 && given > 0 &&
        given <= r->steps && rt_trainer_load(r->trainer, path) == RT_OK) {
        steps = r->saved = (uint32_t)given;
        r->first = json_number_value(json_object_get(state, "first"));
        r->last = json_number_value(json_object_get(state, "last"));
        pipe_say(r->session->host, "refine: goes on after step %u of %u", steps,
                 r->steps);
    }
    json_decref(state);
    return steps;
}

/* ---- steps ---- */

static void tell(struct refining *r, uint32_t done, const struct train_metrics *m)
{
    char extra[64];
    snprintf(extra, sizeof extra, "KL %.4f", m->loss);
    const struct pipe_progress now = { .what = "refine",
                                       .done = done,
                                       .total = r->steps,
                                       .started_ns = r->started_ns,
                                       .extra = extra };
    pipe_progress(r->session->host, &now);
}

static rt_status run_steps(struct refining *r)
{
    rt_status st = RT_OK;
    const uint32_t warmup = (r->steps + 9) / 10;
    r->saved_ns = rt_time_ns();
    for (uint32_t k = resume(r); k < r->steps; k++) {
        struct train_metrics m;
        const uint32_t n = batch_of(r, k);
        if (pipe_stopping(r->session->host) && k > r->saved)
            TRY(save(r, k));
        TRY(pipe_stop_status(r->session->host, r->session->ctx));
        TRY(rt_trainer_gradient(r->trainer, r->batch, n, &m));
        TRY(rt_trainer_update(r->trainer, train_rate(r->rate, k, r->steps, warmup, 0.1),
                              NULL));
        r->first += k < r->steps_per_epoch ? m.loss : 0;
        r->last += k >= r->steps - r->steps_per_epoch ? m.loss : 0;
        tell(r, k + 1, &m);
        if ((double)(rt_time_ns() - r->saved_ns) * 1e-9 >= r->o->checkpoint_seconds)
            TRY(save(r, k + 1));
    }

fail:
    return st;
}

static rt_status take_scales(void *user, uint32_t layer, enum fmt_module module,
                             uint32_t groups, float *values, float *zeros)
{
    struct refining *r = user;
    return rt_scales_read(r->scales, layer, module, groups, values, zeros);
}

static void fill_result(const struct refining *r, struct pipe_refined *out)
{
    struct rt_trainer_stats stats;
    assert(r->steps_per_epoch > 0);
    rt_trainer_stats_get(r->trainer, &stats);
    *out =
        (struct pipe_refined){ .items = r->items.sequences.count,
                               .steps = r->steps,
                               .scales = rt_scales_count(r->scales),
                               .kl_first = r->first / r->steps_per_epoch,
                               .kl_last = r->last / r->steps_per_epoch,
                               .rate = r->rate,
                               .seconds = (double)(rt_time_ns() - r->started_ns) * 1e-9,
                               .tflop = stats.flops * 1e-12 };
}

rt_status pipe_refine(struct pipe_session *session, const struct pipe_refine_options *o,
                      struct pipe_refined *result)
{
    rt_status st;
    struct refining r = { .session = session, .o = o, .started_ns = rt_time_ns() };
    *result = (struct pipe_refined){ 0 };
    TRY(quant_target(session->ctx, o->model, o->out, o->force, r.to));
    TRY(prepare(&r));
    TRY(run_steps(&r));
    TRY(quant_rescale(session->ctx, o->model, r.to, take_scales, &r));
    remove_state(&r);
    fill_result(&r, result);

fail:
    rt_trainer_destroy(&r.trainer);
    rt_scales_destroy(&r.scales);
    rt_model_destroy(&r.model);
    rt_model_destroy(&r.full);
    pipe_calibration_deinit(&r.items);
    rt_free(r.order);
    rt_free(r.batch);
    return st;
}

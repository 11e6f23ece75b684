/* pipeline/run/quantize_cost.c
 * Sizes by the headers of the files; time by one pass through the first layer. */
#include "pipeline/run/quantize_cost.h"

#include "runtime/base/blas.h"
#include "runtime/model/model_layout.h"
#include "runtime/quant/cost.h"
#include "runtime/quant/folder.h"
#include "runtime/quant/gguf_file.h"
#include "runtime/quant/seen_inputs.h"

#include <cblas.h>

enum { SIDE = 1024, PRODUCTS = 4 };
#define WEIGHTS_PER_SECOND 3e7 /* rounded to nearest and packed, one core: assumed */
#define TRIED_PER_SECOND 7e8   /* rounded within a search, one core: assumed */

/* FLOP/s of float products on the host; 0 without memory. */
static double host_rate(struct rt_ctx *ctx)
{
    float *a = rt_alloc(ctx, (size_t)SIDE * SIDE, sizeof *a);
    float *b = rt_alloc(ctx, (size_t)SIDE * SIDE, sizeof *b);
    double rate = 0;
    if (a && b) {
        const double flops = 2.0 * SIDE * SIDE * SIDE;
        rt_blas_threads(flops);
        uint64_t start = 0;
        for (int i = 0; i <= PRODUCTS; i++) {
            if (i == 1) /* the first warms up */
                start = rt_time_ns();
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, SIDE, SIDE, SIDE, 1, a,
                        SIDE, a, SIDE, 0, b, SIDE);
        }
        rate = PRODUCTS * flops / ((double)(rt_time_ns() - start + 1) / 1e9);
    }
    rt_free(a);
    rt_free(b);
    return rate;
}

/* What is no product of matrices. */
static double host_seconds(const struct quant_cost *cost)
{
    return (double)cost->weights / WEIGHTS_PER_SECOND + cost->tried / TRIED_PER_SECOND;
}

static rt_status take_nothing(void *user, const struct observe_group *seen)
{
    (void)user, (void)seen;
    return RT_OK;
}

enum { TIMED_ROWS_MIN = 64 };
#define TIMED_FLOPS 6e10 /* of a layer, about: seconds on a processor of two cores */

struct timing {
    struct pipe_session *session;
    uint64_t started_ns, first_ns, passes;
    bool over;
};

/* The first pass compiles kernels, the second is timed. */
static rt_status after_pass(void *user, uint64_t done, uint64_t total)
{
    struct timing *t = user;
    const uint64_t now = rt_time_ns();
    const rt_status st = pipe_stop_status(t->session->host, t->session->ctx);
    if (st != RT_OK)
        return st;
    t->passes = total;
    if (done == 1 && total > 1) {
        t->started_ns = now;
        return RT_OK;
    }
    t->first_ns = now - t->started_ns;
    t->over = true;
    return RT_ERR_INTERRUPTED;
}

/* Tokens that are timed: those of a pass, or less of a layer of many weights. */
static uint32_t timed_rows(const struct rt_model *model)
{
    struct model_group_shape shape[MODEL_GROUP_COUNT];
    double weights = 0;
    model_group_shapes(rt_model_config(model), shape);
    for (int g = 0; g < MODEL_GROUP_COUNT; g++)
        for (uint32_t p = 0; p < shape[g].parts; p++)
            weights += (double)shape[g].out[p] * shape[g].in;
    const double rows = TIMED_FLOPS / (2 * weights);
    return rows < TIMED_ROWS_MIN         ? TIMED_ROWS_MIN
           : rows < OBSERVE_ROWS_DEFAULT ? (uint32_t)rows
                                         : OBSERVE_ROWS_DEFAULT;
}

/* The beginnings of sequences, as many as two passes of `rows` take: how many. */
static uint32_t cut_short(const struct pipe_calibration *c, uint32_t rows,
                          struct train_sequence *out)
{
    uint32_t n = 0;
    uint64_t held = 0;
    for (; n < c->sequences.count; n++) {
        out[n] = c->sequences.list[n];
        out[n].weight = NULL;
        out[n].n = out[n].n > rows + 1 ? rows + 1 : out[n].n;
        held += out[n].n - 1;
        if (n >= 2 && held > 2ull * rows)
            break;
    }
    return n;
}

/* Rows of all sequences. */
static double rows_of(const struct train_sequence *list, uint32_t count)
{
    double rows = 0;
    for (uint32_t i = 0; i < count; i++)
        rows += list[i].n - 1;
    return rows;
}

/* Seconds of the whole forward pass and the sums, from one pass of the first layer. */
static rt_status time_passes(struct pipe_session *session, struct rt_model *model,
                             const struct pipe_calibration *c, uint32_t what,
                             double *seconds)
{
    struct timing t = { .session = session, .started_ns = rt_time_ns() };
    const uint32_t rows = timed_rows(model);
    struct train_sequence *list =
        rt_alloc(session->ctx, c->sequences.count, sizeof *list);
    if (!list)
        return rt_fail(session->ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory");
    const struct observe_task task = { .model = model,
                                       .sequences = list,
                                       .count = cut_short(c, rows, list),
                                       .what = what,
                                       .pass_rows = rows,
                                       .group = take_nothing,
                                       .pass = after_pass,
                                       .user = &t };
    const rt_status st = observe_layers(&task);
    if (t.over)
        *seconds = (double)t.first_ns / 1e9 * (double)t.passes *
                   rows_of(c->sequences.list, c->sequences.count) /
                   rows_of(list, task.count);
    rt_free(list);
    return t.over ? RT_OK : st;
}

/* The model, a layer at a time, and the text. */
static rt_status open_text(struct pipe_session *session, const char *folder,
                           const struct pipe_calibration_options *from,
                           struct rt_model **model, struct pipe_calibration *c)
{
    if (pipe_calibration_kind_of(from->from) == PIPE_CALIBRATION_SELF)
        return rt_fail(session->ctx, RT_ERR_USAGE,
                       "--dry-run runs no model: '%s' would have it answer first; give "
                       "the problems without self:",
                       from->from);
    const rt_status st = pipe_model_load_streamed(session, folder, model);
    return st == RT_OK ? pipe_calibration_read(session, from, *model, c) : st;
}

static rt_status with_text(struct pipe_session *session, const char *folder,
                           const struct pipe_quantize_options *o,
                           const struct pipe_calibration_options *from,
                           const struct quant_options *q, struct quant_cost *cost,
                           struct pipe_quantize_cost *out)
{
    rt_status st;
    struct rt_model *model = NULL;
    struct pipe_calibration c = { 0 };
    const bool software = rt_device_info_of(session->dev)->software;
    out->device_has = rt_device_memory_left(session->dev);
    TRY(open_text(session, folder, from, &model, &c));
    out->tokens = c.tokens;
    TRY(quant_cost_of(session->ctx, folder, q, c.tokens, OBSERVE_ROWS_DEFAULT, software,
                      cost));
    if (!o->true_sequential)
        out->seen_bytes =
            quant_seen_bytes(rt_model_config(model), c.tokens, quant_folder_needs(q));
    if (cost->device_bytes > out->device_has)
        goto fail;
    TRY(time_passes(session, model, &c, OBSERVE_MOMENTS, &out->forward));
    const double rate = host_rate(session->ctx);
    if (rate > 0) {
        out->sums = software ? cost->sums_flops / rate : 0;
        out->method = cost->method_flops / rate + host_seconds(cost);
    }
    /* Products of the same kind as a forward pass, if of floats. */
    if (cost->forward_flops > 0)
        out->method += out->forward * cost->columns_flops / cost->forward_flops;
    /* What was timed holds the sums. */
    out->forward = out->forward > out->sums ? out->forward - out->sums : out->forward;
    if (o->true_sequential)
        out->forward *= 2;

fail:
    pipe_calibration_deinit(&c);
    rt_model_destroy(&model);
    return st;
}

/* Candidates of one pass, or each of its own, then the full model and each of them on the text
 * that is held out. `head`: the share of a pass that ends in logits over that of the layers. */
static void add_choice(const struct pipe_calibrated_options *o, double head,
                       struct pipe_quantize_cost *out)
{
    const double n = pipe_calibrated_candidates(o), pass = out->forward + out->sums;
    if (n > 1)
        out->choice = (out->seen_bytes ? 1 : n) * pass + n * out->method +
                      (n + 1) * out->forward * head / PIPE_HELD_OUT_EVERY;
}

/* What a budget buys: no more bits per weight than the widest codes take. */
static rt_status bits_of_budget(struct rt_ctx *ctx, const char *path,
                                const struct pipe_quantize_options *o, double budget,
                                double *out)
{
    struct fmt_model *model = NULL;
    rt_status st = fmt_model_open(ctx, path, &model);
    if (st != RT_OK)
        return st;
    const struct fmt_config *config = fmt_model_config(model);
    const double most =
        pipe_budget_bits(config, o, quant_plan_widths[QUANT_PLAN_WIDTHS - 1]);
    *out = budget < most ? budget : most;
    st = pipe_budget_check(ctx, config, o, budget);
    fmt_model_close(&model);
    return st;
}

/* A pass that ends in logits, the layers' share being 1, by elements. */
static double head_of(const struct quant_cost *cost)
{
    return 1 + (double)cost->kept / (double)cost->weights;
}

/* All that a budget adds: the model is quantized at every width, of one pass, and of each
 * group the KL over the first tokens is that of two models. out->bits is what it buys. */
static void add_budget(const struct pipe_calibrated_options *o, uint32_t layers,
                       const struct quant_cost *cost, struct pipe_quantize_cost *out)
{
    const double groups = (double)layers * MODEL_GROUP_COUNT * (o->budget_is_all ? 4 : 1);
    const double share =
        out->tokens > PIPE_BUDGET_TOKENS ? PIPE_BUDGET_TOKENS / (double)out->tokens : 1;
    const double head = head_of(cost);
    out->out_bytes = cost->kept_bytes + (uint64_t)(out->bits * (double)cost->weights / 8);
    out->bits_all = 8.0 * (double)out->out_bytes / (double)(cost->weights + cost->kept);
    out->device_bytes = out->compared_bytes;
    out->widths = out->forward + out->sums + 4 * out->method +
                  groups * 2 * out->forward * share * head;
}

rt_status pipe_quantize_cost(struct rt_ctx *ctx, struct pipe_session *session,
                             const char *model, const struct pipe_quantize_options *o,
                             const struct pipe_calibrated_options *calibrated,
                             struct pipe_quantize_cost *out)
{
    rt_status st;
    struct quant_cost cost;
    const struct quant_options q = pipe_quantize_options_of(o);
    *out = (struct pipe_quantize_cost){ 0 };
    if (session && calibrated) {
        TRY(with_text(session, model, o, &calibrated->read, &q, &cost, out));
    } else {
        TRY(quant_cost_of(ctx, model, &q, 0, 0, false, &cost));
        out->method = host_seconds(&cost);
    }
    out->source_bytes = cost.source_bytes;
    out->out_bytes = cost.packed_bytes + cost.kept_bytes;
    out->bits = cost.bits;
    out->bits_all = cost.bits_all;
    out->host_bytes = cost.host_bytes;
    out->device_bytes = cost.device_bytes;
    out->compared_bytes = cost.compared_bytes;
    if (calibrated)
        add_choice(calibrated, head_of(&cost), out);
    if (calibrated && calibrated->budget > 0) {
        TRY(bits_of_budget(ctx, model, o, calibrated->budget, &out->bits));
        add_budget(calibrated, cost.layers, &cost, out);
    }

fail:
    return st;
}

/* ---- a model and a candidate ---- */

rt_status pipe_quantize_compared_bytes(struct pipe_session *session, const char *path,
                                       const struct pipe_quantize_options *folder,
                                       const struct pipe_gguf_options *gguf,
                                       uint64_t *out)
{
    rt_status st;
    struct observe_cost pass;
    struct model_size size;
    struct quant_gguf_cost cost = { 0 };
    struct fmt_model *model = NULL;
    struct rt_ctx *ctx = session->ctx;
    const struct pipe_quantize_options none = { .bits = 8 };
    const struct quant_options q = pipe_quantize_options_of(folder ? folder : &none);
    const uint32_t what = folder          ? quant_folder_needs(&q)
                          : gguf->nearest ? OBSERVE_SQUARES
                                          : QUANT_GGUF_NEEDS;
    TRY(fmt_model_open(ctx, path, &model));
    TRY(rt_model_size(ctx, model, &size));
    if (folder) {
        cost.bits = pipe_budget_bits(&size.config, folder, folder->bits);
    } else {
        const struct quant_gguf_options o = {
            .mix = quant_gguf_mix_find(gguf->type ? gguf->type : PIPE_GGUF_TYPE),
            .plan = gguf->plan,
            .plain = true
        };
        TRY(quant_gguf_cost_of(ctx, path, &o, &cost));
    }
    observe_cost_of(&size.config, OBSERVE_ROWS_DEFAULT, OBSERVE_ROWS_DEFAULT, what,
                    rt_device_info_of(session->dev)->software, &pass);
    *out = quant_compared_bytes(&size, pass.device_bytes + model_size_streamed(&size),
                                (uint64_t)(size.linear_weights * cost.bits / 8),
                                folder && folder->true_sequential);

fail:
    fmt_model_close(&model);
    return st;
}

/* ---- a GGUF file ---- */

/* One pass over the text; `flops` of GPTQ, 0: every weight to its nearest code. */
static rt_status see_text(struct pipe_session *session, const char *path,
                          const struct pipe_calibration_options *from,
                          const struct model_size *size, double flops,
                          struct pipe_quantize_cost *out)
{
    rt_status st;
    struct observe_cost cost;
    struct rt_model *model = NULL;
    struct pipe_calibration c = { 0 };
    const uint32_t what = flops > 0 ? QUANT_GGUF_NEEDS : OBSERVE_SQUARES;
    const bool software = rt_device_info_of(session->dev)->software;
    TRY(open_text(session, path, from, &model, &c));
    out->tokens = c.tokens;
    out->seen_bytes = quant_seen_bytes(&size->config, c.tokens, what);
    out->device_has = rt_device_memory_left(session->dev);
    observe_cost_of(&size->config, c.tokens, OBSERVE_ROWS_DEFAULT, what, software, &cost);
    out->device_bytes = cost.device_bytes + model_size_streamed(size);
    out->compared_bytes = quant_compared_bytes(
        size, out->device_bytes, (uint64_t)(size->linear_weights * out->bits / 8), false);
    if (flops > 0)
        out->host_bytes += cost.host_bytes;
    else if (cost.host_bytes > out->host_bytes) /* one after the other */
        out->host_bytes = cost.host_bytes;
    if (out->device_bytes > out->device_has)
        goto fail;
    TRY(time_passes(session, model, &c, what, &out->forward));
    const double rate = flops > 0 ? host_rate(session->ctx) : 0;
    if (rate > 0) {
        out->method += flops / rate;
        out->sums = software ? cost.flops / rate : 0;
        out->forward -= out->forward > out->sums ? out->sums : 0;
    }

fail:
    pipe_calibration_deinit(&c);
    rt_model_destroy(&model);
    return st;
}

rt_status pipe_quantize_gguf_cost(struct rt_ctx *ctx, struct pipe_session *session,
                                  const char *path, const struct pipe_gguf_options *o,
                                  const struct pipe_calibrated_options *calibrated,
                                  struct pipe_quantize_cost *out)
{
    rt_status st;
    struct quant_gguf_cost cost;
    struct model_size size;
    struct fmt_model *model = NULL;
    const struct quant_importance none = { 0 };
    const struct quant_gguf_calibration text = { .count = 0 };
    const char *from = calibrated ? calibrated->read.from : o->imatrix;
    const bool is_rounded = calibrated && !o->nearest;
    *out = (struct pipe_quantize_cost){ 0 };
    TRY(pipe_gguf_check(ctx, o));
    const struct quant_gguf_options q = {
        .mix = quant_gguf_mix_find(o->type ? o->type : PIPE_GGUF_TYPE),
        .plan = o->plan,
        .importance = from && !is_rounded ? &none : NULL,
        .calibration = is_rounded ? &text : NULL,
        .importance_from = from,
        .plain = o->plain,
    };
    TRY(quant_gguf_cost_of(ctx, path, &q, &cost));
    TRY(fmt_model_open(ctx, path, &model));
    TRY(rt_model_size(ctx, model, &size));
    out->source_bytes = size.file;
    out->out_bytes = cost.bytes;
    out->bits = cost.bits;
    out->bits_all = cost.bits_all;
    out->host_bytes = cost.host_bytes;
    out->method = cost.seconds;
    if (session && calibrated) {
        const double table = (double)size.config.vocab * size.config.hidden;
        TRY(see_text(session, path, &calibrated->read, &size, cost.flops, out));
        add_choice(calibrated, 1 + table / (double)size.linear_weights, out);
    }

fail:
    fmt_model_close(&model);
    return st;
}

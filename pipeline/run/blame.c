/* pipeline/run/blame.c
 * Measures the quantized model with one part after the other in full precision. */
#include "pipeline/run/blame_impl.h"

#include "pipeline/run/work.h"
#include "runtime/base/json_put.h"
#include "store/queries.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(PIPE_BLAME_KINDS == (int)MODEL_GROUP_COUNT &&
                   PIPE_BLAME_MATRICES == (int)FMT_MODULE_COUNT,
               "the results file has one step per kind and matrix");

static rt_status no_memory(const struct blaming *b)
{
    return rt_fail(b->session->ctx, RT_ERR_HOST_MEMORY, "blame: no host memory");
}

/* ---- parts ---- */

static struct pipe_blame_part *add_part(struct blaming *b, enum pipe_blame_level level,
                                        uint32_t layer, uint32_t index)
{
    assert(b->out->count < b->room);
    struct pipe_blame_part *p = &b->out->parts[b->out->count++];
    *p = (struct pipe_blame_part){ .place = { level, layer, index } };
    pipe_blame_name(&p->place, p->name);
    return p;
}

/* ---- one measurement ---- */

/* Puts a part of the full model into the hybrid. */
static rt_status put_back(struct blaming *b, struct rt_model *hybrid,
                          const struct pipe_blame_part *p)
{
    const uint32_t layers = rt_model_config(b->full)->layers;
    struct fmt_model *files[MODEL_PARTS_MAX] = { b->file[1], b->file[1], b->file[1] };
    uint32_t part;
    if (p->place.level == PIPE_BLAME_MATRIX) {
        const enum model_group g =
            model_group_of(b->shape, (enum fmt_module)p->place.index, &part);
        files[part] = b->file[0];
        return rt_model_hybrid_load(hybrid, p->place.layer, g, files);
    }
    for (uint32_t l = 0; l < layers; l++)
        for (int g = 0; g < MODEL_GROUP_COUNT; g++)
            if (p->place.level == PIPE_BLAME_ALL ||
                (p->place.level == PIPE_BLAME_KIND && p->place.index == (uint32_t)g) ||
                (p->place.level == PIPE_BLAME_LAYER && p->place.layer == l))
                rt_model_hybrid_take(hybrid, b->full, l, (enum model_group)g);
    return RT_OK;
}

rt_status pipe_blame_hybrid(struct blaming *b, const struct pipe_blame_part *p,
                            struct rt_model **out)
{
    rt_status st;
    TRY(rt_model_hybrid_create(b->quant.model, out));
    TRY(put_back(b, *out, p));
    return RT_OK;

fail:
    rt_model_hybrid_destroy(out);
    return st;
}

/* The standard error of the difference of both means: of a ratio of sums over sequences
 * (Cochran, Sampling Techniques, 6.13). */
static double error_of_gain(const struct blaming *b, double gain)
{
    const struct pipe_sequences *all = &b->text.sequences;
    const double n = all->count;
    double squares = 0;
    for (uint32_t i = 0; i < all->count; i++) {
        const double d =
            b->base[i] - b->sums[i] - gain * train_sequence_targets(&all->list[i]);
        squares += d * d;
    }
    return n < 2 ? INFINITY : sqrt(squares * n / (n - 1)) / (double)b->out->tokens;
}

static rt_status save_part(struct blaming *b, const struct pipe_blame_part *p)
{
    rt_status st;
    struct store *s = b->session->store;
    TRY(store_begin(s));
    TRY(store_put_metric(s, b->run_id, "blame_kl", pipe_blame_step(&p->place), p->kl));
    if (isfinite(p->gain_error))
        TRY(store_put_metric(s, b->run_id, "blame_error", pipe_blame_step(&p->place),
                             p->gain_error));
    TRY(store_commit(s));
    return RT_OK;

fail:
    store_rollback(s);
    return st;
}

struct finding {
    int64_t step;
    double value;
    bool found;
};

static rt_status find_step(void *user, const struct pipe_metric *m)
{
    struct finding *f = user;
    if (m->step == f->step) {
        f->value = m->value;
        f->found = true;
    }
    return RT_OK;
}

/* What an earlier, stopped command measured. */
static rt_status find_part(struct blaming *b, struct pipe_blame_part *p, bool *found)
{
    rt_status st;
    struct store *s = b->session->store;
    struct finding kl = { .step = pipe_blame_step(&p->place) },
                   error = { .step = pipe_blame_step(&p->place) };
    TRY(store_each_metric(s, b->run_id, "blame_kl", find_step, &kl));
    TRY(store_each_metric(s, b->run_id, "blame_error", find_step, &error));
    *found = kl.found;
    if (!kl.found)
        return RT_OK;
    p->kl = kl.value;
    p->gain = b->out->kl - p->kl;
    p->gain_error = error.found ? error.value : INFINITY;

fail:
    return st;
}

static rt_status save_base(struct blaming *b)
{
    rt_status st;
    struct store *s = b->session->store;
    TRY(store_begin(s));
    TRY(store_put_metric(s, b->run_id, "text_kl", 0, b->out->kl));
    if (isfinite(b->out->kl_error))
        TRY(store_put_metric(s, b->run_id, "text_kl_error", 0, b->out->kl_error));
    TRY(store_put_metric(s, b->run_id, "text_tokens", 0, (double)b->out->tokens));
    TRY(store_commit(s));
    return RT_OK;

fail:
    store_rollback(s);
    return st;
}

/* The quantized model itself. Measured again by a command that resumes, for its sums. */
static rt_status begin(struct blaming *b)
{
    rt_status st;
    if (b->begun)
        return RT_OK;
    TRY(pipe_work_begin(b->session, b->run_id));
    TRY(pipe_kl_measure(&b->against, b->quant.model, NULL, "blame, the quantized model",
                        b->base, b->kl));
    b->out->kl = b->kl->mean;
    b->out->kl_error = b->kl->error;
    b->out->tokens = b->kl->tokens;
    TRY(save_base(b));
    b->begun = true;

fail:
    return st;
}

static rt_status measure_part(struct blaming *b, struct pipe_blame_part *p)
{
    rt_status st;
    char what[96];
    bool found;
    struct rt_model *hybrid = NULL;
    b->steps++;
    TRY(find_part(b, p, &found));
    b->out->found += found;
    if (found)
        return RT_OK;
    TRY(begin(b));
    TRY(pipe_blame_hybrid(b, p, &hybrid));
    snprintf(what, sizeof what, "blame %u of %u, %.60s", b->steps, b->room, p->name);
    TRY(pipe_work_beat(b->session));
    TRY(pipe_kl_measure(&b->against, hybrid, NULL, what, b->sums, b->kl));
    p->kl = b->kl->mean;
    p->gain = b->out->kl - p->kl;
    p->gain_error = error_of_gain(b, p->gain);
    TRY(save_part(b, p));

fail:
    rt_model_hybrid_destroy(&hybrid);
    return st;
}

/* ---- the order ---- */

static int by_gain(const void *a, const void *b)
{
    const struct pipe_blame_part *x = a, *y = b;
    const double gx = isnan(x->gain) ? -INFINITY : x->gain;
    const double gy = isnan(y->gain) ? -INFINITY : y->gain;
    if (x->place.level != y->place.level)
        return (x->place.level > y->place.level) - (x->place.level < y->place.level);
    if (gx != gy)
        return gx < gy ? 1 : -1;
    return pipe_blame_step(&x->place) < pipe_blame_step(&y->place) ? -1 : 1;
}

static void sort(struct blaming *b)
{
    qsort(b->out->parts, b->out->count, sizeof *b->out->parts, by_gain);
}

static rt_status measure_parts(struct blaming *b)
{
    rt_status st;
    const uint32_t layers = rt_model_config(b->full)->layers;
    uint32_t worst[64], n = 0;
    TRY(measure_part(b, add_part(b, PIPE_BLAME_ALL, 0, 0)));
    for (uint32_t g = 0; g < MODEL_GROUP_COUNT; g++)
        TRY(measure_part(b, add_part(b, PIPE_BLAME_KIND, 0, g)));
    for (uint32_t l = 0; l < layers; l++)
        TRY(measure_part(b, add_part(b, PIPE_BLAME_LAYER, l, 0)));
    sort(b);
    for (uint32_t i = 0; i < b->out->count && n < b->o->worst; i++)
        if (b->out->parts[i].place.level == PIPE_BLAME_LAYER)
            worst[n++] = b->out->parts[i].place.layer;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t m = 0; m < FMT_MODULE_COUNT; m++)
            TRY(measure_part(b, add_part(b, PIPE_BLAME_MATRIX, worst[i], m)));
    sort(b);

fail:
    return st;
}

/* ---- the whole ---- */

static rt_status check_same_model(struct blaming *b)
{
    const struct fmt_config *f = rt_model_config(b->full),
                            *q = rt_model_config(b->quant.model);
    const bool same = f->vocab == q->vocab && f->layers == q->layers &&
                      f->hidden == q->hidden && f->ffn == q->ffn &&
                      f->heads == q->heads && f->kv_heads == q->kv_heads &&
                      f->head_dim == q->head_dim && f->family == q->family;
    return same
               ? RT_OK
               : rt_fail(b->session->ctx, RT_ERR_INPUT,
                         "'%s' and '%s' differ in layers, sizes or tokens; blame needs a "
                         "quantized variant of the full model",
                         b->o->full, b->o->quant);
}

static rt_status open_models(struct blaming *b)
{
    rt_status st;
    struct rt_ctx *ctx = b->session->ctx;
    TRY(pipe_model_load(b->session, b->o->full, &b->full));
    TRY(pipe_calibration_read(b->session, &b->o->text, b->full, &b->text));
    TRY(pipe_variant_load(b->session, b->o->quant, NULL, "quant", "quant", &b->quant));
    TRY(check_same_model(b));
    TRY(fmt_model_open(ctx, b->o->full, &b->file[0]));
    TRY(fmt_model_open(ctx, b->o->quant, &b->file[1]));
    model_group_shapes(rt_model_config(b->full), b->shape);

fail:
    return st;
}

static rt_status allocate(struct blaming *b)
{
    struct rt_ctx *ctx = b->session->ctx;
    const uint32_t layers = rt_model_config(b->full)->layers;
    const uint32_t worst = b->o->worst < layers ? b->o->worst : layers;
    b->room = 1 + MODEL_GROUP_COUNT + layers + worst * FMT_MODULE_COUNT;
    b->out->parts = rt_alloc(ctx, b->room, sizeof *b->out->parts);
    b->base = rt_alloc(ctx, b->text.sequences.count, sizeof *b->base);
    b->sums = rt_alloc(ctx, b->text.sequences.count, sizeof *b->sums);
    b->kl = rt_alloc(ctx, 1, sizeof *b->kl);
    return b->out->parts && b->base && b->sums && b->kl ? RT_OK : no_memory(b);
}

static rt_status open_run(struct blaming *b)
{
    rt_status st;
    char benchmark[STORE_ID], split[32], config[400];
    struct store *s = b->session->store;
    const char *hash = b->text.id + strlen("sha256:");
    const char *name = strrchr(b->o->text.from, '/');
    snprintf(split, sizeof split, "text:%.16s", hash);
    snprintf(config, sizeof config, "{\"blame\":true,\"text\":\"%s\",\"base\":\"%s\"}",
             b->text.id, rt_model_hash(b->full));
    TRY(store_begin(s));
    TRY(store_put_benchmark(s, name ? name + 1 : b->o->text.from, split, NULL, 0,
                            benchmark));
    struct store_run run = { .campaign_id = b->session->campaign_id,
                             .kind = "eval",
                             .variant_id = b->quant.row.id,
                             .benchmark_id = benchmark,
                             .env_id = b->session->env_id,
                             .config = config };
    TRY(store_run_open(s, &run));
    snprintf(b->run_id, sizeof b->run_id, "%s", run.id);
    TRY(store_commit(s));
    return RT_OK;

fail:
    store_rollback(s);
    return st;
}

static rt_status find_base(struct blaming *b)
{
    rt_status st;
    struct store *s = b->session->store;
    struct finding kl = { .step = 0 }, error = { .step = 0 }, tokens = { .step = 0 };
    TRY(store_each_metric(s, b->run_id, "text_kl", find_step, &kl));
    TRY(store_each_metric(s, b->run_id, "text_kl_error", find_step, &error));
    TRY(store_each_metric(s, b->run_id, "text_tokens", find_step, &tokens));
    b->out->kl = kl.value;
    b->out->kl_error = error.found ? error.value : INFINITY;
    b->out->tokens = (uint64_t)tokens.value;

fail:
    return st;
}

static rt_status measure_all(struct blaming *b)
{
    rt_status st;
    bool done;
    TRY(open_run(b));
    TRY(find_base(b));
    TRY(measure_parts(b));
    TRY(store_run_is_done(b->session->store, b->run_id, &done));
    if (!b->begun && done)
        return RT_OK;
    if (!b->begun) /* killed between the last part and the end of the run */
        TRY(pipe_work_begin(b->session, b->run_id));
    TRY(store_begin(b->session->store));
    TRY(pipe_work_commit(b->session));

fail:
    if (st != RT_OK)
        pipe_work_stopped(b->session, st);
    return st;
}

rt_status pipe_blame_measure(struct pipe_session *session,
                             const struct pipe_blame_options *options,
                             struct pipe_blame *out)
{
    rt_status st;
    struct blaming b = { .session = session, .o = options, .out = out };
    *out = (struct pipe_blame){ .count = 0 };
    assert(options->worst <= 64);
    TRY(open_models(&b));
    TRY(allocate(&b));
    b.against = (struct pipe_kl_base){ session, b.full, &b.text.sequences, { 0 } };
    TRY(measure_all(&b));
    TRY(pipe_blame_mend(&b));

fail:
    fmt_model_close(&b.file[0]);
    fmt_model_close(&b.file[1]);
    pipe_variant_close(&b.quant);
    rt_model_destroy(&b.full);
    pipe_kl_base_deinit(&b.against);
    pipe_calibration_deinit(&b.text);
    rt_free(b.base);
    rt_free(b.sums);
    rt_free(b.kl);
    return st;
}

void pipe_blame_deinit(struct pipe_blame *blame)
{
    rt_free(blame->parts);
    *blame = (struct pipe_blame){ .count = 0 };
}

double pipe_blame_share(const struct pipe_blame *b, const struct pipe_blame_part *p)
{
    return b->kl > 0 ? p->gain / b->kl : NAN;
}

void pipe_blame_json(FILE *out, const struct pipe_blame *b)
{
    fprintf(out, "{\"tokens\":%llu", (unsigned long long)b->tokens);
    rt_json_number(out, "kl", b->kl);
    rt_json_number(out, "kl_error", b->kl_error);
    if (b->answered)
        fprintf(out, ",\"answered\":%u,\"lost\":%u,\"kept\":%u", b->answered, b->lost,
                b->kept);
    fputs(",\"parts\":[", out);
    for (uint32_t i = 0; i < b->count; i++) {
        const struct pipe_blame_part *p = &b->parts[i];
        fprintf(out, "%s{\"level\":\"%s\"", i ? "," : "",
                pipe_blame_level_name(p->place.level));
        rt_json_member(out, "name", p->name);
        rt_json_number(out, "kl", p->kl);
        rt_json_number(out, "gain", p->gain);
        rt_json_number(out, "gain_error", p->gain_error);
        rt_json_number(out, "share", pipe_blame_share(b, p));
        if (p->asked)
            fprintf(out, ",\"mended\":%u,\"broken\":%u", p->mended, p->broken);
        fputc('}', out);
    }
    fputs("]}\n", out);
}

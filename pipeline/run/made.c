/* pipeline/run/made.c
 * One run per quantized model: options as its configuration, cost and errors as metrics. */
#include "pipeline/run/made.h"

#include "runtime/base/os.h"
#include "runtime/quant/method.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *boolean(bool value)
{
    return value ? "true" : "false";
}

/* The id of the text as JSON. */
static void put_text_id(const struct pipe_made *m, char out[STORE_ID + 2])
{
    if (m->calibration)
        snprintf(out, STORE_ID + 2, "\"%s\"", m->calibration->id);
    else
        snprintf(out, STORE_ID + 2, "null");
}

static void write_gguf_config(const struct pipe_made *m, char *out, size_t size)
{
    const struct pipe_gguf_options *o = m->gguf;
    char text[STORE_ID + 2];
    put_text_id(m, text);
    snprintf(
        out, size,
        "{\"made\":\"quantize\",\"method\":\"gguf\",\"type\":\"%s\",\"plan\":%s,"
        "\"imatrix\":%s,\"search\":%s,\"rounding\":\"%s\",\"order\":\"%s\",\"damping\":"
        "%.9g,\"calibration\":%s,\"candidates\":%u,\"from\":\"%s\"}",
        pipe_gguf_type(o), boolean(o->plan != NULL), boolean(o->imatrix != NULL),
        boolean(!o->plain), o->nearest || !m->calibration ? "nearest" : "gptq",
        o->natural_order ? "natural" : "activation",
        o->damping > 0 ? o->damping : QUANT_DAMPING, text,
        m->selected ? m->selected->count : 0, m->full_hash);
}

static void write_config(const struct pipe_made *m, char *out, size_t size)
{
    const struct pipe_quantize_options *o = m->options;
    char text[STORE_ID + 2];
    put_text_id(m, text);
    snprintf(out, size,
             "{\"made\":\"quantize\",\"method\":\"%s\",\"bits\":%u,\"group\":%u,\"asym\":"
             "%s,\"search\":%s,\"order\":\"%s\",\"damping\":%.9g,\"activations\":\"%s\","
             "\"float_inputs\":%.9g,\"rounding\":\"%s\",\"float_matrices\":%u,"
             "\"true_sequential\":%s,\"calibration\":%s,\"planned\":%u,"
             "\"candidates\":%u,\"from\":\"%s\"}",
             o->method ? o->method : quant_method_at(0)->name, o->bits, o->group,
             boolean(o->asymmetric), boolean(o->search),
             o->natural_order ? "natural" : "activation",
             o->damping > 0 ? o->damping : QUANT_DAMPING,
             o->given  ? "static"
             : o->int8 ? "dynamic"
                       : "float",
             o->float_inputs, o->nearest ? "nearest" : "gptq",
             m->quantized->float_matrices, boolean(o->true_sequential), text,
             o->plan ? o->plan->count : 0, m->selected ? m->selected->count : 0,
             m->full_hash);
}

/* ---- errors of matrices ---- */

struct error {
    const char *name;
    double error, rtn;
    bool is_no_better;
};

static uint32_t error_count(const struct pipe_made *m)
{
    return m->gguf ? m->gguf_made->count : m->quantized->list_count;
}

/* False: of another kind, which is not kept. */
static bool error_at(const struct pipe_made *m, uint32_t i, struct error *out)
{
    if (m->gguf) {
        const struct pipe_gguf_tensor *t = &m->gguf_made->list[i];
        *out = (struct error){ t->name, t->error * t->outputs, t->rtn * t->outputs,
                               t->is_no_better };
        return t->is_rounded;
    }
    const struct pipe_quantized_matrix *q = &m->quantized->list[i];
    *out =
        (struct error){ q->name, q->objective, q->rtn, pipe_quantized_is_no_better(q) };
    return true;
}

static rt_status put_errors(struct store *s, const char *run, const struct pipe_made *m)
{
    rt_status st = RT_OK;
    struct error e;
    for (uint32_t i = 0, n = 0; i < error_count(m); i++)
        if (error_at(m, i, &e)) {
            TRY(store_put_metric(s, run, "layer_error", n, e.error));
            TRY(store_put_metric(s, run, "layer_error_rtn", n++, e.rtn));
        }
    for (uint32_t i = 0; m->selected && i < m->selected->count; i++)
        if (isfinite(m->selected->list[i].kl))
            TRY(store_put_metric(s, run, "candidate_kl", i, m->selected->list[i].kl));

fail:
    return st;
}

/* The configuration, an object, with the names of the matrices that fared no better; NULL:
 * no memory. */
static char *with_names(struct rt_ctx *ctx, const char *config, const struct pipe_made *m)
{
    struct error e;
    json_t *names = json_array();
    for (uint32_t i = 0; names && i < error_count(m); i++)
        if (error_at(m, i, &e) && e.is_no_better) /* a name that is no text is left out */
            json_array_append_new(names, json_string(e.name));
    char *text = json_dumps(names, JSON_COMPACT);
    char *out = text ? rt_format(ctx, "%.*s,\"not_better\":%s}", (int)strlen(config) - 1,
                                 config, text)
                     : NULL;
    free(text); /* lint: jansson's own */
    json_decref(names);
    return out;
}

static rt_status put_numbers(struct store *s, const char *run, const struct pipe_made *m)
{
    rt_status st;
    const uint64_t tokens = m->gguf ? m->gguf_made->tokens : m->quantized->tokens;
    if (m->calibration)
        TRY(store_put_metric(s, run, "tokens", 0, (double)tokens));
    TRY(store_put_metric(s, run, "wall_seconds", 0, m->seconds));
    TRY(store_put_metric(s, run, "peak_bytes", 0, (double)os_memory_peak_bytes()));
    TRY(put_errors(s, run, m));

fail:
    return st;
}

rt_status pipe_made_save(struct pipe_session *session, const struct pipe_made *m)
{
    rt_status st;
    char short_config[768], *config = NULL;
    struct store *s = session->store;
    struct store_attempt attempt;
    struct pipe_variant v = { 0 };
    (m->gguf ? write_gguf_config : write_config)(m, short_config, sizeof short_config);
    st = pipe_variant_note(session, m->out, "quant", "quant", &v);
    if (st != RT_OK)
        return st;
    config = with_names(session->ctx, short_config, m);
    if (!config)
        return rt_fail(session->ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory");
    TRY(store_begin(s));
    /* Of no campaign: what a report is about stays the newest. */
    struct store_run run = { .kind = "train",
                             .variant_id = v.row.id,
                             .env_id = session->env_id,
                             .config = config };
    TRY(store_run_open(s, &run));
    TRY(store_attempt_open(s, run.id, session->env_id, &attempt));
    if (m->calibration)
        TRY(store_put_run_artifact(s, run.id, m->calibration->id, "in", "calibration"));
    TRY(store_put_run_artifact(s, run.id, v.weights_id, "out", "weights"));
    TRY(put_numbers(s, run.id, m));
    TRY(store_attempt_close(s, &attempt, "done", 0, NULL));
    TRY(store_commit(s));

fail:
    if (st != RT_OK)
        store_rollback(s);
    rt_free(config);
    return st;
}

static rt_status hash_of(struct rt_ctx *ctx, const char *model, char hash[65])
{
    struct fmt_model *file = NULL;
    rt_status st = fmt_model_open(ctx, model, &file);
    if (st == RT_OK)
        st = fmt_model_hash(file, hash);
    fmt_model_close(&file);
    return st;
}

rt_status pipe_made_save_alone(struct rt_ctx *ctx, struct store *store, const char *model,
                               const struct pipe_made *made)
{
    rt_status st;
    char hash[65];
    const struct rt_device_options options = { .name = "ref" };
    struct pipe_session session = { .ctx = ctx, .store = store };
    struct pipe_made m = *made;
    TRY(hash_of(ctx, model, hash));
    m.full_hash = hash;
    TRY(rt_device_create(ctx, &options, &session.dev));
    TRY(store_begin(store));
    st = store_put_environment(store, session.dev, session.env_id);
    if (st == RT_OK)
        st = store_commit(store);
    else
        store_rollback(store);
    TRY(st);
    TRY(pipe_made_save(&session, &m));

fail:
    rt_device_destroy(&session.dev);
    return st;
}

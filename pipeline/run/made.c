/* pipeline/run/made.c
 * One run per quantized model: options as its configuration, cost and errors as metrics. */
#include "pipeline/run/made.h"

#include "runtime/base/os.h"
#include "runtime/quant/method.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *boolean(bool value)
{
    return value ? "true" : "false";
}

static void write_gguf_config(const struct pipe_made *m, char *out, size_t size)
{
    const struct pipe_gguf_options *o = m->gguf;
    snprintf(out, size,
             "{\"made\":\"quantize\",\"method\":\"gguf\",\"type\":\"%s\",\"plan\":%s,"
             "\"search\":%s,\"rounding\":\"%s\",\"order\":\"%s\",\"damping\":%.9g,"
             "\"calibration\":\"%s\",\"candidates\":%u,\"from\":\"%s\"}",
             pipe_gguf_type(o), boolean(o->plan != NULL), boolean(!o->plain),
             o->nearest ? "nearest" : "gptq", o->natural_order ? "natural" : "activation",
             o->damping > 0 ? o->damping : QUANT_DAMPING, m->calibration->id,
             m->selected->count, m->full_hash);
}

static void write_config(const struct pipe_made *m, char *out, size_t size)
{
    const struct pipe_quantize_options *o = m->options;
    snprintf(out, size,
             "{\"made\":\"quantize\",\"method\":\"%s\",\"bits\":%u,\"group\":%u,\"asym\":"
             "%s,\"search\":%s,\"order\":\"%s\",\"damping\":%.9g,\"activations\":\"%s\","
             "\"float_inputs\":%.9g,\"rounding\":\"%s\",\"float_matrices\":%u,"
             "\"true_sequential\":%s,\"calibration\":\"%s\",\"planned\":%u,"
             "\"candidates\":%u,\"from\":\"%s\"}",
             o->method ? o->method : quant_method_at(0)->name, o->bits, o->group,
             boolean(o->asymmetric), boolean(o->search),
             o->natural_order ? "natural" : "activation",
             o->damping > 0 ? o->damping : QUANT_DAMPING,
             o->given  ? "static"
             : o->int8 ? "dynamic"
                       : "float",
             o->float_inputs, o->nearest ? "nearest" : "gptq",
             m->quantized->float_matrices, boolean(o->true_sequential),
             m->calibration->id, o->plan ? o->plan->count : 0, m->selected->count,
             m->full_hash);
}

static rt_status put_error(struct store *s, const char *run, uint32_t i, double error,
                           double rtn)
{
    const rt_status st = store_put_metric(s, run, "layer_error", i, error);
    return st == RT_OK ? store_put_metric(s, run, "layer_error_rtn", i, rtn) : st;
}

static rt_status put_gguf_errors(struct store *s, const char *run,
                                 const struct pipe_made *m)
{
    rt_status st = RT_OK;
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->gguf_made->count; i++) {
        const struct pipe_gguf_tensor *t = &m->gguf_made->list[i];
        if (t->is_rounded)
            TRY(put_error(s, run, n++, t->error * t->outputs, t->rtn * t->outputs));
    }

fail:
    return st;
}

static rt_status put_errors(struct store *s, const char *run, const struct pipe_made *m)
{
    rt_status st = RT_OK;
    for (uint32_t i = 0; i < m->quantized->list_count; i++)
        TRY(put_error(s, run, i, m->quantized->list[i].objective,
                      m->quantized->list[i].rtn));

fail:
    return st;
}

static rt_status put_candidates(struct store *s, const char *run,
                                const struct pipe_selected *selected)
{
    rt_status st = RT_OK;
    for (uint32_t i = 0; i < selected->count; i++)
        if (isfinite(selected->list[i].kl))
            TRY(store_put_metric(s, run, "candidate_kl", i, selected->list[i].kl));

fail:
    return st;
}

static rt_status put_numbers(struct store *s, const char *run, const struct pipe_made *m)
{
    rt_status st;
    const uint64_t tokens = m->gguf ? m->gguf_made->tokens : m->quantized->tokens;
    TRY(store_put_metric(s, run, "wall_seconds", 0, m->seconds));
    TRY(store_put_metric(s, run, "peak_bytes", 0, (double)os_memory_peak_bytes()));
    TRY(store_put_metric(s, run, "tokens", 0, (double)tokens));
    TRY((m->gguf ? put_gguf_errors : put_errors)(s, run, m));
    TRY(put_candidates(s, run, m->selected));

fail:
    return st;
}

rt_status pipe_made_save(struct pipe_session *session, const struct pipe_made *m)
{
    rt_status st;
    char config[768];
    struct store *s = session->store;
    struct store_attempt attempt;
    struct pipe_variant v = { 0 };
    (m->gguf ? write_gguf_config : write_config)(m, config, sizeof config);
    st = pipe_variant_note(session, m->out, "quant", "quant", &v);
    if (st != RT_OK)
        return st;
    TRY(store_begin(s));
    /* Of no campaign: what a report is about stays the newest. */
    struct store_run run = { .kind = "train",
                             .variant_id = v.row.id,
                             .env_id = session->env_id,
                             .config = config };
    TRY(store_run_open(s, &run));
    TRY(store_attempt_open(s, run.id, session->env_id, &attempt));
    TRY(store_put_run_artifact(s, run.id, m->calibration->id, "in", "calibration"));
    TRY(store_put_run_artifact(s, run.id, v.weights_id, "out", "weights"));
    TRY(put_numbers(s, run.id, m));
    TRY(store_attempt_close(s, &attempt, "done", 0, NULL));
    TRY(store_commit(s));

fail:
    if (st != RT_OK)
        store_rollback(s);
    return st;
}

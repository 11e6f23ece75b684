/* pipeline/run/perplexity.c
 * Windows are scored one after the other; what they sum up to is saved at the end. */
#include "pipeline/run/perplexity.h"

#include "pipeline/run/session.h"
#include "runtime/observe/score.h"
#include "pipeline/stats/statistics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct pipe_perplexity {
    struct pipe_session *session; /* borrowed */
    struct pipe_perplexity_options o;
    struct rt_model *model, *base;
    struct rt_adapter *adapter;
    struct rt_scorer *scorer;
    uint32_t *ids, count;     /* of the text; owned */
    uint32_t *window;         /* [context]: one window's ids */
    uint8_t *mask, *same;     /* [context] */
    float *logprob, *kl;      /* [context] */
    double *means;            /* a window's mean surprise, [windows] */
    uint32_t bos, windows;    /* bos UINT32_MAX: none */
    uint32_t context, stride; /* tokens */
    double nll, kl_sum, same_sum;
    uint64_t tokens;
};

rt_status pipe_perplexity_create(struct pipe_session *session,
                                 const struct pipe_perplexity_options *o,
                                 struct pipe_perplexity **out)
{
    rt_status st;
    struct pipe_perplexity *p = rt_alloc(session->ctx, 1, sizeof *p);
    *out = p;
    if (!p)
        return rt_fail(session->ctx, RT_ERR_HOST_MEMORY, "no memory to read the text");
    p->session = session;
    p->o = *o;
    TRY(text_encode(session->tok, o->text->text, o->text->size, false, &p->ids,
                    &p->count));
    if (p->count < 2) {
        st = rt_fail(session->ctx, RT_ERR_INPUT, "'%s' is too short: %u tokens", o->path,
                     p->count);
        goto fail;
    }
    p->bos = text_bos_id(session->tok);
    TRY(pipe_model_load(session, o->model, &p->model));
    if (o->base)
        TRY(pipe_model_load(session, o->base, &p->base));
    if (o->adapter)
        TRY(rt_adapter_load(p->model, o->adapter, &p->adapter));
    return RT_OK;

fail:
    pipe_perplexity_destroy(out);
    return st;
}

void pipe_perplexity_destroy(struct pipe_perplexity **perplexity)
{
    struct pipe_perplexity *p = *perplexity;
    if (!p)
        return;
    rt_scorer_destroy(&p->scorer);
    rt_adapter_destroy(&p->adapter);
    rt_model_destroy(&p->model);
    rt_model_destroy(&p->base);
    rt_free(p->ids);
    rt_free(p->window);
    rt_free(p->mask);
    rt_free(p->same);
    rt_free(p->logprob);
    rt_free(p->kl);
    rt_free(p->means);
    rt_free(p);
    *perplexity = NULL;
}

uint32_t pipe_perplexity_context_max(const struct pipe_perplexity *p)
{
    const uint32_t own = rt_model_positions(p->model);
    const uint32_t base = p->base ? rt_model_positions(p->base) : own;
    return base < own ? base : own;
}

/* Scores the window that begins at `start`; tokens before `from` are context only. */
static rt_status score_window(struct pipe_perplexity *p, uint32_t start, uint32_t from,
                              uint32_t end)
{
    const uint32_t lead = p->bos != UINT32_MAX;
    const struct score_out out = { .logprob = p->logprob,
                                   .kl = p->base ? p->kl : NULL,
                                   .same = p->base ? p->same : NULL };
    struct train_sequence sequence = { .ids = p->window,
                                       .mask = p->mask,
                                       .n = end - start + lead };
    double sum = 0;
    uint32_t n = 0;
    p->window[0] = p->bos;
    memcpy(p->window + lead, p->ids + start, (end - start) * sizeof *p->ids);
    for (uint32_t i = 0; i < sequence.n; i++) {
        const uint32_t token = start + i - lead; /* of the text; i < lead: none */
        p->mask[i] = i >= lead && i > 0 && token >= from;
        n += p->mask[i];
    }
    if (n == 0)
        return RT_OK;
    const rt_status st = rt_scorer_run(p->scorer, &sequence, 1, &out);
    for (uint32_t i = 0; st == RT_OK && i < n; i++) {
        sum -= (double)p->logprob[i];
        p->kl_sum += p->base ? (double)p->kl[i] : 0;
        p->same_sum += p->base ? p->same[i] : 0;
    }
    p->nll += sum;
    p->tokens += n;
    p->means[p->windows++] = sum / n;
    return st;
}

static rt_status score_text(struct pipe_perplexity *p)
{
    rt_status st = RT_OK;
    const uint32_t lead = p->bos != UINT32_MAX;
    const uint32_t room = p->context - lead;
    const uint64_t started = rt_time_ns();
    uint32_t from = 0;
    for (uint32_t start = 0; from < p->count; start += p->stride) {
        const uint32_t end = p->count - start < room ? p->count : start + room;
        TRY(score_window(p, start, from, end));
        from = end;
        const struct pipe_progress now = {
            .what = "perplexity", .done = from, .total = p->count, .started_ns = started
        };
        pipe_progress(p->session->host, &now);
        if (pipe_stopping(p->session->host) && from < p->count)
            return rt_fail(p->session->ctx, RT_ERR_INTERRUPTED,
                           "stopped after %u of %u tokens; nothing is saved", from,
                           p->count);
    }

fail:
    return st;
}

static rt_status allocate(struct pipe_perplexity *p)
{
    struct rt_ctx *ctx = p->session->ctx;
    const size_t n = p->context;
    p->window = rt_alloc(ctx, n, sizeof *p->window);
    p->mask = rt_alloc(ctx, n, 1);
    p->same = rt_alloc(ctx, n, 1);
    p->logprob = rt_alloc(ctx, n, sizeof *p->logprob);
    p->kl = rt_alloc(ctx, n, sizeof *p->kl);
    p->means = rt_alloc(ctx, p->count / (size_t)p->stride + 2, sizeof *p->means);
    return p->window && p->mask && p->same && p->logprob && p->kl && p->means
               ? RT_OK
               : rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory to read the text");
}

/* The numbers as metrics of a run that the text and the windows name. */
static rt_status save(struct pipe_perplexity *p, const struct pipe_variant *v,
                      const struct pipe_perplexity_result *result)
{
    rt_status st;
    char config[384], benchmark[STORE_ID], split[32];
    struct store *s = p->session->store;
    struct store_attempt attempt;
    const char *slash = strrchr(p->o.path, '/');
    snprintf(split, sizeof split, "text:%.16s", p->o.text->hash);
    snprintf(config, sizeof config,
             "{\"text\":\"sha256:%s\",\"context\":%u,\"stride\":%u,\"bos\":%s,\"base\":"
             "\"%s\"}",
             p->o.text->hash, p->context, p->stride,
             p->bos == UINT32_MAX ? "false" : "true",
             p->base ? rt_model_hash(p->base) : "");
    TRY(store_begin(s));
    TRY(store_put_benchmark(s, slash ? slash + 1 : p->o.path, split, NULL, 0, benchmark));
    struct store_run run = { .campaign_id = p->session->campaign_id,
                             .kind = "eval",
                             .variant_id = v->row.id,
                             .benchmark_id = benchmark,
                             .env_id = p->session->env_id,
                             .config = config };
    TRY(store_run_open(s, &run));
    TRY(store_attempt_open(s, run.id, p->session->env_id, &attempt));
    TRY(store_put_metric(s, run.id, "text_nll", 0, result->nll));
    TRY(store_put_metric(s, run.id, "text_perplexity", 0, result->perplexity));
    TRY(store_put_metric(s, run.id, "text_tokens", 0, (double)result->tokens));
    if (result->compared) {
        TRY(store_put_metric(s, run.id, "text_kl", 0, result->kl));
        TRY(store_put_metric(s, run.id, "text_same_top", 0, result->same_top));
    }
    TRY(store_attempt_close(s, &attempt, "done", 0, NULL));
    TRY(store_commit(s));
    return RT_OK;

fail:
    store_rollback(s);
    return st;
}

static struct pipe_perplexity_result result_of(const struct pipe_perplexity *p)
{
    double mean;
    struct pipe_perplexity_result r = {
        .tokens = p->tokens,
        .windows = p->windows,
        .nll = p->nll / (double)p->tokens,
        .bits_per_byte = p->nll / log(2) / (double)p->o.text->size,
        .compared = p->base != NULL,
        .kl = p->kl_sum / (double)p->tokens,
        .same_top = p->same_sum / (double)p->tokens,
    };
    r.perplexity = exp(r.nll);
    pipe_mean_error(p->means, p->windows, &mean, &r.nll_error);
    return r;
}

rt_status pipe_perplexity_run(struct pipe_perplexity *p, uint32_t context,
                              uint32_t stride, struct pipe_perplexity_result *out)
{
    rt_status st;
    struct pipe_variant v;
    *out = (struct pipe_perplexity_result){ 0 };
    p->context = context;
    p->stride = stride;
    TRY(rt_scorer_create(p->model, p->adapter, p->base, context, &p->scorer));
    TRY(pipe_variant_put(p->session, p->model, p->adapter, p->o.model, p->o.role,
                         p->o.role, NULL, &v));
    TRY(allocate(p));
    TRY(score_text(p));
    *out = result_of(p);
    TRY(save(p, &v, out));

fail:
    return st;
}

/* pipeline/cli/cmd_perplexity.c
 * perplexity: how well a model predicts a text, and how far it is from another model there.
 * Windows of `context` tokens that begin `stride` apart; in each the tokens count that no
 * earlier window held, so that every token but the first counts once, with at least
 * context - stride tokens before it from the second window on. */
#include "pipeline/cli/cli_session.h"
#include "pipeline/cli/problem_source.h"
#include "runtime/train/score.h"

#include "pipeline/data/data_file.h"
#include "pipeline/statistics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct cli_option options[] = {
    { "model", "DIR", "model folder or GGUF file" },
    { "adapter", "DIR", "PEFT adapter folder" },
    { "role", "NAME", "full, quant, restored or control (default full)" },
    { "text", "FILE", "UTF-8 text (.gz too)" },
    { "base", "DIR", "also KL(base || model) and the share of equal first choices" },
    { "context", "N", "tokens of a window (default 512, or what the model has)" },
    { "stride", "N", "tokens between windows (default: half of the context)" },
    { NULL, NULL, NULL },
};

struct reading {
    struct cli *cli;
    struct loop loop;
    struct pipe_data_file text;
    struct rt_model *model, *base;
    struct rt_adapter *adapter;
    struct rt_scorer *scorer;
    uint32_t *ids, count;    /* of the text; owned */
    uint32_t *window;        /* [context]: one window's ids */
    uint8_t *mask, *same;    /* [context] */
    float *logprob, *kl;     /* [context] */
    double *means;           /* a window's mean surprise, [windows] */
    uint32_t bos, windows;   /* bos UINT32_MAX: none */
    int64_t context, stride; /* tokens */
    double nll, kl_sum, same_sum;
    uint64_t tokens;
};

/* Scores the window that begins at `start`; tokens before `from` are context only. */
static rt_status score_window(struct reading *r, uint32_t start, uint32_t from,
                              uint32_t end)
{
    const uint32_t lead = r->bos != UINT32_MAX;
    const struct score_out out = { .logprob = r->logprob,
                                   .kl = r->base ? r->kl : NULL,
                                   .same = r->base ? r->same : NULL };
    struct train_sequence sequence = { .ids = r->window,
                                       .mask = r->mask,
                                       .n = end - start + lead };
    double sum = 0;
    uint32_t n = 0;
    r->window[0] = r->bos;
    memcpy(r->window + lead, r->ids + start, (end - start) * sizeof *r->ids);
    for (uint32_t i = 0; i < sequence.n; i++) {
        const uint32_t token = start + i - lead; /* of the text; i < lead: none */
        r->mask[i] = i >= lead && i > 0 && token >= from;
        n += r->mask[i];
    }
    if (n == 0)
        return RT_OK;
    const rt_status st = rt_scorer_run(r->scorer, &sequence, 1, &out);
    for (uint32_t i = 0; st == RT_OK && i < n; i++) {
        sum -= (double)r->logprob[i];
        r->kl_sum += r->base ? (double)r->kl[i] : 0;
        r->same_sum += r->base ? r->same[i] : 0;
    }
    r->nll += sum;
    r->tokens += n;
    r->means[r->windows++] = sum / n;
    return st;
}

static rt_status score_text(struct reading *r)
{
    rt_status st = RT_OK;
    const uint32_t lead = r->bos != UINT32_MAX;
    const uint32_t room = (uint32_t)r->context - lead, stride = (uint32_t)r->stride;
    const uint64_t started = rt_time_ns();
    uint32_t from = 0;
    for (uint32_t start = 0; from < r->count; start += stride) {
        const uint32_t end = r->count - start < room ? r->count : start + room;
        TRY(score_window(r, start, from, end));
        from = end;
        const struct pipe_progress now = {
            .what = "perplexity", .done = from, .total = r->count, .started_ns = started
        };
        cli_progress(r->cli, &now);
        if (cli_stopping() && from < r->count)
            return rt_fail(r->loop.ctx, RT_ERR_INTERRUPTED,
                           "stopped after %u of %u tokens; nothing is saved", from,
                           r->count);
    }

fail:
    return st;
}

static rt_status allocate(struct reading *r)
{
    struct rt_ctx *ctx = r->loop.ctx;
    const size_t n = (size_t)r->context;
    r->window = rt_alloc(ctx, n, sizeof *r->window);
    r->mask = rt_alloc(ctx, n, 1);
    r->same = rt_alloc(ctx, n, 1);
    r->logprob = rt_alloc(ctx, n, sizeof *r->logprob);
    r->kl = rt_alloc(ctx, n, sizeof *r->kl);
    r->means = rt_alloc(ctx, r->count / (size_t)r->stride + 2, sizeof *r->means);
    return r->window && r->mask && r->same && r->logprob && r->kl && r->means
               ? RT_OK
               : rt_fail(ctx, RT_ERR_HOST_MEMORY, "no memory to read the text");
}

static rt_status load(struct reading *r, const char *model, const char *base)
{
    rt_status st;
    struct cli *cli = r->cli;
    const char *adapter = cli_value(cli, "adapter", NULL);
    TRY(loop_model_load(&r->loop, model, &r->model));
    if (base)
        TRY(loop_model_load(&r->loop, base, &r->base));
    if (adapter)
        TRY(rt_adapter_load(r->model, adapter, &r->adapter));
    const int64_t most = r->base && r->base->positions < r->model->positions
                             ? r->base->positions
                             : r->model->positions;
    TRY(cli_number(cli, "context", most < 512 ? most : 512, 8, most, &r->context));
    TRY(cli_number(cli, "stride", r->context / 2, 1, r->context - 1, &r->stride));
    return rt_scorer_create(r->model, r->adapter, r->base, (uint32_t)r->context,
                            &r->scorer);

fail:
    return st;
}

/* The numbers as metrics of a run that the text and the windows name. */
static rt_status save(struct reading *r, const struct loop_variant *v, const char *path)
{
    rt_status st;
    char config[256], benchmark[STORE_ID], split[32];
    struct store *s = r->loop.store;
    struct store_attempt attempt;
    snprintf(split, sizeof split, "text:%.16s", r->text.hash);
    snprintf(config, sizeof config,
             "{\"text\":\"sha256:%s\",\"context\":%lld,\"stride\":%lld,\"bos\":%s}",
             r->text.hash, (long long)r->context, (long long)r->stride,
             r->bos == UINT32_MAX ? "false" : "true");
    TRY(store_begin(s));
    TRY(store_put_benchmark(s, pipe_list_name(path), split, NULL, 0, benchmark));
    struct store_run run = { .campaign_id = r->loop.campaign_id,
                             .kind = "eval",
                             .variant_id = v->row.id,
                             .benchmark_id = benchmark,
                             .env_id = r->loop.env_id,
                             .config = config };
    TRY(store_run_open(s, &run));
    TRY(store_attempt_open(s, run.id, r->loop.env_id, &attempt));
    const double mean = r->nll / (double)r->tokens;
    TRY(store_put_metric(s, run.id, "text_nll", 0, mean));
    TRY(store_put_metric(s, run.id, "text_perplexity", 0, exp(mean)));
    TRY(store_put_metric(s, run.id, "text_tokens", 0, (double)r->tokens));
    if (r->base) {
        TRY(store_put_metric(s, run.id, "text_kl", 0, r->kl_sum / (double)r->tokens));
        TRY(store_put_metric(s, run.id, "text_same_top", 0,
                             r->same_sum / (double)r->tokens));
    }
    TRY(store_attempt_close(s, &attempt, "done", 0, NULL));
    TRY(store_commit(s));
    return RT_OK;

fail:
    store_rollback(s);
    return st;
}

static void tell(const struct reading *r)
{
    double mean, error;
    const double nll = r->nll / (double)r->tokens;
    const double bits = r->nll / log(2) / (double)r->text.size;
    pipe_mean_error(r->means, r->windows, &mean, &error);
    if (cli_flag(r->cli, "json")) {
        printf("{\"perplexity\":%.10g,\"nll\":%.10g,\"nll_error\":%.6g,"
               "\"bits_per_byte\":%.10g,\"tokens\":%llu,\"windows\":%u",
               exp(nll), nll, error, bits, (unsigned long long)r->tokens, r->windows);
        if (r->base)
            printf(",\"kl\":%.10g,\"same_top\":%.10g", r->kl_sum / (double)r->tokens,
                   r->same_sum / (double)r->tokens);
        puts("}");
        return;
    }
    printf("perplexity %.4f (%.4f nats a token, standard error over windows %.4f), %.4f "
           "bits a byte, %llu tokens in %u windows\n",
           exp(nll), nll, error, bits, (unsigned long long)r->tokens, r->windows);
    if (r->base)
        printf("KL(base || model) %.6f nats a token, same first choice %.2f %%\n",
               r->kl_sum / (double)r->tokens, 100 * r->same_sum / (double)r->tokens);
}

static void deinit(struct reading *r)
{
    rt_scorer_destroy(&r->scorer);
    rt_adapter_destroy(&r->adapter);
    rt_model_destroy(&r->model);
    rt_model_destroy(&r->base);
    rt_free(r->ids);
    rt_free(r->window);
    rt_free(r->mask);
    rt_free(r->same);
    rt_free(r->logprob);
    rt_free(r->kl);
    rt_free(r->means);
    pipe_data_file_deinit(&r->text);
    loop_close(&r->loop);
}

static rt_status perplexity(struct cli *cli)
{
    rt_status st;
    struct reading r = { .cli = cli };
    struct loop_variant v;
    const char *model = cli_value(cli, "model", NULL);
    const char *path = cli_value(cli, "text", NULL), *slash;
    const char *role =
        cli_value(cli, "role", cli_flag(cli, "adapter") ? "restored" : "full");
    if (!model || !path)
        return rt_fail(&cli->ctx, RT_ERR_USAGE,
                       "perplexity needs --model DIR and --text FILE");
    TRY(pipe_data_file_read(&cli->ctx, path, &r.text));
    TRY(cli_session_open(cli, model, NULL, "eval", "{}", &r.loop));
    TRY(text_encode(r.loop.tok, r.text.text, r.text.size, false, &r.ids, &r.count));
    if (r.count < 2) {
        st = rt_fail(&cli->ctx, RT_ERR_INPUT, "'%s' is too short: %u tokens", path,
                     r.count);
        goto fail;
    }
    r.bos = text_bos_id(r.loop.tok);
    TRY(load(&r, model, cli_value(cli, "base", NULL)));
    TRY(loop_variant_put(&r.loop, r.model, r.adapter, model, role, role, NULL, &v));
    TRY(allocate(&r));
    TRY(score_text(&r));
    slash = strrchr(path, '/');
    TRY(save(&r, &v, slash ? slash + 1 : path));
    tell(&r);

fail:
    deinit(&r);
    return st;
}

const struct cli_command cli_perplexity = { "perplexity",
                                            "how well a model predicts a text",
                                            "--model DIR --text FILE", options,
                                            perplexity };

/* pipeline/run/kl.c
 * Sums over the tokens that two models have passed, and their rows in the results file. */
#include "pipeline/run/kl.h"

#include "store/queries.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    BLOCK = 64,     /* targets whose errors belong together */
    BIN_SHIFT = 15, /* of a float: 8 bits of the mantissa are kept */
    BINS = 1 << (31 - BIN_SHIFT)
};

struct summing {
    struct pipe_session *session; /* borrowed */
    struct pipe_kl *out;
    const char *what;
    uint64_t started_ns;
    uint32_t *bins; /* [BINS], by the leading bits of a KL */
    double *sums;   /* of each sequence, borrowed, may be NULL */
    double kl, same, nll, nll_full;
    /* The block under way, and sums over finished ones for the error of a mean. */
    double block;
    uint32_t block_count, sequence;
    uint64_t blocks;
    double sum_ss, sum_sn, sum_nn; /* of sums s and counts n of blocks */
};

/* ---- a token ---- */

static void end_block(struct summing *s)
{
    if (s->block_count == 0)
        return;
    s->blocks++;
    s->sum_ss += s->block * s->block;
    s->sum_sn += s->block * s->block_count;
    s->sum_nn += (double)s->block_count * s->block_count;
    s->block = 0;
    s->block_count = 0;
}

/* NaN is the worst of all. */
static bool is_worse(const struct observe_pair_token *a,
                     const struct observe_pair_token *b)
{
    return isnan(a->kl) ? !isnan(b->kl) : a->kl > b->kl;
}

static void keep_worst(struct pipe_kl *k, const struct observe_pair_token *token)
{
    uint32_t at = k->worst_count;
    while (at > 0 && is_worse(token, &k->worst[at - 1]))
        at--;
    if (at == PIPE_KL_WORST)
        return;
    if (k->worst_count < PIPE_KL_WORST)
        k->worst_count++;
    memmove(&k->worst[at + 1], &k->worst[at],
            (k->worst_count - at - 1) * sizeof k->worst[0]);
    k->worst[at] = *token;
}

static uint32_t bin_of(float kl)
{
    uint32_t word;
    const float positive = kl > 0 ? kl : 0; /* sums of floats may end below zero */
    memcpy(&word, &positive, sizeof word);
    return word >> BIN_SHIFT;
}

static void take_token(void *user, const struct observe_pair_token *token)
{
    struct summing *s = user;
    const double kl = (double)token->kl;
    if (token->sequence != s->sequence || s->block_count == BLOCK)
        end_block(s);
    s->sequence = token->sequence;
    s->block += kl;
    s->block_count++;
    s->kl += kl;
    if (s->sums)
        s->sums[token->sequence] += kl;
    s->same += token->best_full == token->best;
    s->nll -= (double)token->logprob;
    s->nll_full -= (double)token->logprob_full;
    s->bins[bin_of(token->kl)]++;
    s->out->tokens++;
    keep_worst(s->out, token);
}

static rt_status after_piece(void *user, uint64_t done, uint64_t total)
{
    const struct summing *s = user;
    const struct pipe_progress now = {
        .what = s->what, .done = done, .total = total, .started_ns = s->started_ns
    };
    pipe_progress(s->session->host, &now);
    return done < total ? pipe_stop_status(s->session->host, s->session->ctx) : RT_OK;
}

/* ---- the whole ---- */

/* The middle of the bin that holds the token of this rank. */
static double quantile(const struct summing *s, double share)
{
    const uint64_t n = s->out->tokens;
    const uint64_t rank = (uint64_t)ceil(share * (double)n);
    uint64_t below = 0;
    uint32_t bin = 0;
    while (bin + 1 < BINS && (below += s->bins[bin]) < rank)
        bin++;
    if (bin == 0)
        return 0;
    const uint32_t word = bin << BIN_SHIFT | 1u << (BIN_SHIFT - 1);
    float value;
    memcpy(&value, &word, sizeof value);
    return (double)value;
}

/* The standard error of a ratio of sums over blocks (Cochran, Sampling Techniques, 6.13). */
static double error_of_mean(const struct summing *s, double mean, double n)
{
    const double m = (double)s->blocks;
    const double squares = s->sum_ss - 2 * mean * s->sum_sn + mean * mean * s->sum_nn;
    return s->blocks < 2 ? INFINITY : sqrt(fmax(squares, 0) * m / (m - 1)) / n;
}

static void sum_up(struct summing *s)
{
    struct pipe_kl *k = s->out;
    const double n = (double)k->tokens;
    end_block(s);
    k->mean = s->kl / n;
    k->error = error_of_mean(s, k->mean, n);
    k->interval =
        (struct pipe_interval){ k->mean - 1.96 * k->error, k->mean + 1.96 * k->error };
    if (k->interval.low < 0) /* it never is */
        k->interval.low = 0;
    k->median = quantile(s, 0.5);
    k->p90 = quantile(s, 0.9);
    k->p99 = quantile(s, 0.99);
    k->most = (double)k->worst[0].kl;
    k->same_top = s->same / n;
    k->nll = s->nll / n;
    k->nll_full = s->nll_full / n;
    if (!isfinite(k->mean)) /* a bin holds no NaN */
        k->median = k->p90 = k->p99 = NAN;
}

void pipe_kl_base_deinit(struct pipe_kl_base *base)
{
    observe_kept_deinit(&base->kept);
}

rt_status pipe_kl_measure(struct pipe_kl_base *base, struct rt_model *model,
                          struct rt_adapter *adapter, const char *what, double *sums,
                          struct pipe_kl *out)
{
    rt_status st;
    struct pipe_session *session = base->session;
    const struct pipe_sequences *text = base->text;
    struct summing s = { .session = session,
                         .out = out,
                         .what = what,
                         .sums = sums,
                         .started_ns = rt_time_ns(),
                         .bins = rt_alloc(session->ctx, BINS, sizeof *s.bins) };
    const struct observe_pair_task task = { .full = base->full,
                                            .other = model,
                                            .adapter = adapter,
                                            .sequences = text->list,
                                            .count = text->count,
                                            .kept = &base->kept,
                                            .token = take_token,
                                            .pass = after_piece,
                                            .user = &s };
    *out = (struct pipe_kl){ 0 };
    if (!s.bins)
        return rt_fail(session->ctx, RT_ERR_HOST_MEMORY, "comparing models: no memory");
    for (uint32_t i = 0; sums && i < text->count; i++)
        sums[i] = 0;
    TRY(observe_pair(&task));
    assert(out->tokens > 0); /* callers read texts that have targets */
    sum_up(&s);
    out->seconds = (double)(rt_time_ns() - s.started_ns) / 1e9;

fail:
    rt_free(s.bins);
    return st;
}

/* ---- rows ---- */

static rt_status put_numbers(struct store *s, const char *run, const struct pipe_kl *k,
                             uint32_t vocabulary)
{
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        { "text_tokens", (double)k->tokens },
        { "text_nll", k->nll },
        { "text_perplexity", exp(k->nll) },
        { "text_perplexity_full", exp(k->nll_full) },
        { "text_kl", k->mean },
        { "text_kl_error", k->error },
        { "text_kl_median", k->median },
        { "text_kl_p90", k->p90 },
        { "text_kl_p99", k->p99 },
        { "text_kl_most", k->most },
        { "text_same_top", k->same_top },
        { "text_vocabulary", vocabulary },
    };
    rt_status st = RT_OK;
    for (size_t i = 0; i < RT_COUNT(numbers) && st == RT_OK; i++)
        if (isfinite(numbers[i].value))
            st = store_put_metric(s, run, numbers[i].name, 0, numbers[i].value);
    return st;
}

/* Token `rank` of the worst, from 1 on: its place, itself, both first choices. */
static rt_status put_worst(struct store *s, const char *run, uint32_t rank,
                           const struct observe_pair_token *t)
{
    rt_status st;
    if (isfinite(t->kl))
        TRY(store_put_metric(s, run, "worst_kl", rank, (double)t->kl));
    TRY(store_put_metric(s, run, "worst_sequence", rank, t->sequence));
    TRY(store_put_metric(s, run, "worst_position", rank, t->at));
    TRY(store_put_metric(s, run, "worst_token", rank, t->id));
    TRY(store_put_metric(s, run, "worst_choice_full", rank, t->best_full));
    TRY(store_put_metric(s, run, "worst_choice", rank, t->best));

fail:
    return st;
}

/* Within a transaction. run->config is null afterwards: the text is of this call. */
static rt_status open_run(struct pipe_session *session, const struct pipe_variant *v,
                          const struct pipe_kl_text *text, struct store_run *run,
                          char benchmark[STORE_ID])
{
    rt_status st;
    char split[32], config[400];
    snprintf(split, sizeof split, "text:%.16s", text->id + strlen("sha256:"));
    snprintf(config, sizeof config,
             "{\"text\":\"%s\",\"context\":%u,\"stride\":%u,\"base\":\"%s\"}", text->id,
             text->context, text->stride, text->base);
    TRY(store_put_benchmark(session->store, text->name, split, NULL, 0, benchmark));
    *run = (struct store_run){ .campaign_id = session->campaign_id,
                               .kind = "eval",
                               .variant_id = v->row.id,
                               .benchmark_id = benchmark,
                               .env_id = session->env_id,
                               .config = config };
    st = store_run_open(session->store, run);
    run->config = NULL;

fail:
    return st;
}

rt_status pipe_kl_is_saved(struct pipe_session *session, const struct pipe_variant *v,
                           const struct pipe_kl_text *text, bool *saved)
{
    rt_status st;
    char benchmark[STORE_ID];
    struct store_run run;
    struct store *s = session->store;
    *saved = false;
    TRY(store_begin(s));
    TRY(open_run(session, v, text, &run, benchmark));
    TRY(store_run_is_done(s, run.id, saved));
    if (*saved)
        TRY(store_commit(s));
    else
        store_rollback(s);
    return RT_OK;

fail:
    store_rollback(s);
    return st;
}

rt_status pipe_kl_save(struct pipe_session *session, const struct pipe_variant *v,
                       const struct pipe_kl_text *text, const struct pipe_kl *k)
{
    rt_status st;
    char benchmark[STORE_ID];
    struct store_run run;
    struct store *s = session->store;
    struct store_attempt attempt;
    TRY(store_begin(s));
    TRY(open_run(session, v, text, &run, benchmark));
    TRY(store_attempt_open(s, run.id, session->env_id, &attempt));
    TRY(put_numbers(s, run.id, k, rt_model_config(v->model)->vocab));
    for (uint32_t i = 0; i < k->worst_count; i++)
        TRY(put_worst(s, run.id, i + 1, &k->worst[i]));
    TRY(store_attempt_close(s, &attempt, "done", 0, NULL));
    TRY(store_commit(s));
    return RT_OK;

fail:
    store_rollback(s);
    return st;
}

/* pipeline/bench/bench_run.c
 * The passes: every pass measures all cases, each pass beginning at another case, so that
 * what came before (a warm device, a busy neighbour) is not the same twice. A case is
 * checked each time before it is timed; its row is durable before the next begins. */
#include "pipeline/bench/bench_impl.h"

#include "runtime/base/os.h"
#include "runtime/train/train.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SAMPLES_MAX = 20000 };

double bench_busy(const struct rt_device *dev)
{
    struct rt_device_stats stats;
    rt_device_stats_get(dev, &stats);
    return stats.busy_seconds;
}

double bench_device_ns(double busy_seconds, double units)
{
    return busy_seconds > 0 ? busy_seconds * 1e9 / units : NAN;
}

uint32_t bench_token(uint32_t vocab, uint32_t sequence, uint32_t position)
{
    return train_word(1, sequence, position) % vocab;
}

/* What the clock of a software device is: the mean of the processor's cores. NaN where
 * the system does not say, and for hardware, whose clocks are not read yet. */
static double clock_mhz(const struct rt_device *dev)
{
    const double mhz = rt_device_info_of(dev)->software ? os_cpu_mhz() : 0;
    return mhz > 0 ? mhz : NAN;
}

rt_status bench_stop(const struct bench *b)
{
    return rt_fail(b->ctx, pipe_stop_status(b->host, b->ctx),
                   "stopped; results so far are stored, the same command measures anew");
}

/* One case in one pass. */
struct turn {
    struct bench *b;
    struct bench_case *c;
    void *self; /* of the kind, while it is open */
    struct pipe_bench_series series;
    struct store_bench_result row;
    char reason[256];
    char case_id[STORE_ID]; /* what row points to, which outlives the case written */
};

static rt_status check_turn(void *user, struct pipe_bench_check *out)
{
    struct turn *t = user;
    return t->c->kind->check(t->self, t->c, out);
}

static rt_status run_turn(void *user, struct pipe_bench_sample *out)
{
    struct turn *t = user;
    return pipe_stopping(t->b->host) ? bench_stop(t->b) : t->c->kind->run(t->self, out);
}

static rt_status fill_row(struct turn *t)
{
    rt_status st;
    struct pipe_bench_stats stats;
    struct store_bench_result *r = &t->row;
    const struct bench_case *c = t->c;
    /* Without timestamps the host's clock is all there is. */
    const bool wall = c->wall || isnan(t->series.measured[0].device_ns);
    TRY(pipe_bench_series_stats(t->b->ctx, &t->series, wall, &stats));
    const double work = strcmp(c->unit, "GFLOP/s") == 0 ? c->flops
                        : strcmp(c->unit, "GB/s") == 0  ? c->bytes
                                                        : c->tokens * 1e9;
    r->status = "ok";
    r->n = stats.n;
    r->warmups = t->series.warm_count;
    r->outliers = stats.outliers;
    r->median_ns = stats.median;
    r->mad_ns = stats.mad;
    r->value = work / stats.median; /* FLOPs or bytes a nanosecond, tokens a second */
    r->low = work / stats.high;
    r->high = work / stats.low;
    r->steady = stats.steady && t->series.warm_steady;

fail:
    return st;
}

/* Failures that end the command; others are the case's own. */
static bool is_fatal(rt_status st)
{
    return st == RT_ERR_DEVICE_LOST || st == RT_ERR_INTERRUPTED ||
           st == RT_ERR_TIME_LIMIT || st == RT_ERR_HOST_MEMORY || st == RT_ERR_STORE;
}

static void set_failure(struct turn *t, rt_status st)
{
    t->row.status = st == RT_ERR_USAGE       ? "skipped"
                    : st == RT_ERR_NO_DEVICE ? "unsupported"
                                             : "error";
    snprintf(t->reason, sizeof t->reason, "%.255s", t->b->ctx->message);
    t->row.reason = t->reason;
}

static rt_status measure(struct turn *t)
{
    rt_status st;
    const struct bench_kind *kind = t->c->kind;
    const double before = clock_mhz(t->b->dev);
    TRY(kind->open(t->b, t->c, &t->self));
    const struct pipe_bench_subject subject = { check_turn, run_turn, t };
    TRY(pipe_bench_measure(t->b->ctx, &t->b->budget, &subject, &t->series));
    t->row.error = t->series.check.error;
    t->row.clock_mhz = (before + clock_mhz(t->b->dev)) / 2;
    if (t->series.check.good) {
        TRY(fill_row(t));
    } else {
        t->row.status = "invalid";
        t->row.reason = t->series.check.fault;
    }

fail:
    if (t->self)
        kind->close(t->self);
    t->self = NULL;
    return st;
}

static rt_status put_samples(struct turn *t, const char *phase,
                             const struct pipe_bench_sample *samples, uint32_t count)
{
    if (count == 0)
        return RT_OK;
    int64_t *words = rt_alloc(t->b->ctx, count, 2 * sizeof *words);
    if (!words)
        return rt_fail(t->b->ctx, RT_ERR_HOST_MEMORY, "no memory for %u samples", count);
    for (uint32_t i = 0; i < count; i++) {
        const double device = samples[i].device_ns;
        words[2 * i] = isnan(device) ? -1 : llround(device);
        words[2 * i + 1] = llround(samples[i].wall_ns);
    }
    const rt_status st = store_put_bench_sample(t->b->store, &t->row, phase, BENCH_CODEC,
                                                words, count * 2 * sizeof *words);
    rt_free(words);
    return st;
}

static rt_status save(struct turn *t)
{
    rt_status st;
    const struct bench_case *c = t->c;
    const bool timed = t->row.reason == NULL;
    struct store_bench_case row = {
        .suite = c->suite,
        .suite_version = BENCH_SUITE_VERSION,
        .name = c->name,
        .params = c->params,
        .unit = c->unit,
        .higher_better = true,
        .flops = c->flops > 0 ? c->flops : NAN,
        .bytes = c->bytes > 0 ? c->bytes : NAN,
        .explain = c->explain,
    };
    const struct pipe_bench_sample cold = { NAN, t->series.check.cold_ns, 0 };
    TRY(store_begin(t->b->store));
    TRY(store_put_bench_case(t->b->store, &row));
    snprintf(t->case_id, sizeof t->case_id, "%s", row.id);
    t->row.case_id = t->case_id;
    TRY(store_put_bench_result(t->b->store, &t->row));
    if (timed) {
        TRY(put_samples(t, "cold", &cold, 1));
        TRY(put_samples(t, "warm", t->series.warm, t->series.warm_count));
        TRY(put_samples(t, "measured", t->series.measured, t->series.count));
    }
    TRY(store_attempt_beat(t->b->store, &t->b->attempt));
    TRY(store_commit(t->b->store));
    return RT_OK;

fail:
    store_rollback(t->b->store);
    return st;
}

static rt_status take_turn(struct bench *b, struct bench_case *c, uint32_t pass,
                           uint32_t ordinal)
{
    struct turn t = { .b = b,
                      .c = c,
                      .row = { .run_id = b->run_id,
                               .pass = pass,
                               .ord = ordinal,
                               .value = NAN,
                               .low = NAN,
                               .high = NAN,
                               .median_ns = NAN,
                               .mad_ns = NAN,
                               .error = NAN,
                               .clock_mhz = NAN } };
    rt_status st = measure(&t);
    if (st != RT_OK && !is_fatal(st)) {
        set_failure(&t, st);
        st = RT_OK;
    }
    if (st == RT_OK)
        st = save(&t);
    pipe_bench_series_deinit(&t.series);
    return st;
}

static rt_status measure_all(struct bench *b, struct bench_cases *cases)
{
    rt_status st = RT_OK;
    uint32_t ordinal = 0;
    const uint32_t n = cases->count, total = n * b->passes;
    const uint64_t start = rt_time_ns();
    for (uint32_t pass = 0; pass < b->passes; pass++) {
        const uint32_t first = (uint32_t)((uint64_t)pass * n / b->passes);
        for (uint32_t i = 0; i < n; i++) {
            struct bench_case *c = &cases->items[(first + i) % n];
            const struct pipe_progress now = { .what = "bench",
                                               .done = ordinal,
                                               .total = total,
                                               .started_ns = start,
                                               .extra = c->name };
            pipe_progress(b->host, &now);
            TRY(take_turn(b, c, pass, ordinal++));
        }
    }

fail:
    return st;
}

/* ---- the run ---- */

static rt_status open_run(struct bench *b, const struct bench_options *o)
{
    rt_status st;
    char *config = NULL;
    char settings[256];
    /* Profiling, validation and the choice of kernels change what is measured; suites
     * and the number of passes do not. */
    snprintf(settings, sizeof settings,
             "{\"seconds\":%g,\"profile\":%s,\"validation\":%s,\"tune\":%s}", o->seconds,
             o->profile ? "true" : "false", o->validation ? "true" : "false",
             o->tune ? "true" : "false");
    /* Every measurement is a run of its own: the time and process make it one. */
    config = rt_format(b->ctx,
                       "{\"suites\":\"%.60s\",\"passes\":%u,\"settings\":%s,"
                       "\"started_ms\":%lld,\"process\":%lld}",
                       o->suites, o->passes, settings, (long long)rt_time_unix_ms(),
                       (long long)os_process_id());
    struct store_run run = {
        .kind = "bench", .env_id = b->env_id, .config = config, .seed = 1
    };
    if (!config) {
        st = rt_fail(b->ctx, RT_ERR_HOST_MEMORY, "bench: no memory");
        goto fail;
    }
    TRY(store_begin(b->store));
    TRY(store_put_environment(b->store, b->dev, b->env_id));
    TRY(store_run_open(b->store, &run));
    TRY(store_attempt_open(b->store, run.id, b->env_id, &b->attempt));
    TRY(store_commit(b->store));
    snprintf(b->run_id, sizeof b->run_id, "%s", run.id);

fail:
    store_rollback(b->store);
    rt_free(config);
    return st;
}

/* Which model a case ran belongs to what the case is. */
static void name_model(const struct bench *b, struct bench_cases *cases)
{
    for (uint32_t i = 0; i < cases->count; i++) {
        struct bench_case *c = &cases->items[i];
        if (c->kind->needs_model)
            snprintf(c->params, sizeof c->params,
                     "{\"model\":\"sha256:%s\",\"bits_per_weight\":%.4f,\"batch\":%u,"
                     "\"length\":%u}",
                     rt_model_hash(b->model), rt_model_bits_per_weight(b->model),
                     c->batch, c->length);
    }
}

static rt_status close_run(struct bench *b, rt_status st)
{
    char kept[sizeof b->ctx->message];
    if (!b->run_id[0])
        return st;
    snprintf(kept, sizeof kept, "%s", b->ctx->message);
    const bool stopped = st == RT_ERR_INTERRUPTED || st == RT_ERR_TIME_LIMIT;
    const char *status = st == RT_OK ? "done" : stopped ? "interrupted" : "failed";
    rt_status saved = store_begin(b->store);
    if (saved == RT_OK)
        saved = store_attempt_close(b->store, &b->attempt, status, rt_exit_code(st),
                                    st == RT_OK ? NULL : kept);
    if (saved == RT_OK)
        saved = store_commit(b->store);
    if (saved != RT_OK)
        store_rollback(b->store);
    if (st != RT_OK)
        snprintf(b->ctx->message, sizeof kept, "%s", kept);
    return st == RT_OK ? saved : st;
}

rt_status bench_run(struct rt_ctx *ctx, const struct bench_options *o,
                    struct bench_cases *cases, char run_id[STORE_ID])
{
    rt_status st;
    struct bench b = {
        .ctx = ctx,
        .host = o->host,
        .dev = o->dev,
        .store = o->store,
        .passes = o->passes,
        .budget = { .seconds = o->seconds,
                    .warm_seconds = o->seconds,
                    .seconds_max = 20 * o->seconds,
                    .samples_max = SAMPLES_MAX },
    };
    if (bench_cases_need_model(cases)) {
        TRY(rt_model_load(b.dev, o->model_folder, 0, &b.model));
        name_model(&b, cases);
    }
    TRY(open_run(&b, o));
    TRY(measure_all(&b, cases));

fail:
    st = close_run(&b, st);
    snprintf(run_id, STORE_ID, "%s", b.run_id);
    rt_model_destroy(&b.model);
    return st;
}

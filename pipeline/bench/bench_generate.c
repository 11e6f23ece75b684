/* pipeline/bench/bench_generate.c
 * Suites `decode`, `context` and `prefill`: the engine on a whole model, greedy, on made-up tokens
 * (speed does not depend on which). Only steps of the kind that is meant are counted:
 * decode, steps in which every sequence gains one token; prefill, all steps of a prompt.
 * The keys that a case of `context` decodes after are not computed: the cache is as it was
 * made, zeros, which costs what any keys cost.
 * Time is the host's, from step to step: what a user gets, gaps included. */
#include "pipeline/bench/bench_impl.h"

#include "runtime/engine/engine.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PROMPT = 32, NEW = 32, NEW_LONG = 8, PAD_PROMPT = 24, REQUESTS_MAX = 64 };

struct generate_work {
    struct bench *b; /* borrowed */
    struct bench_case *c;
    bool decode;
    uint32_t prompt, fresh; /* tokens read and made by each request */
    uint32_t assumed;       /* of those read, taken to be in the cache */
    struct rt_engine *engine;
    uint32_t *prompts; /* [batch][prompt] */
    uint32_t *ids;     /* [batch][fresh], of the last run */
    float *logprob;    /* the same */
    /* of the run under way */
    struct rt_engine *running;
    uint32_t first, end; /* keys that are asked */
    bool pad_first;      /* a short prompt goes first, so that chunks fall elsewhere */
    bool begun;
    struct rt_engine_stats before;
    uint64_t before_ns;
    double before_busy;
    double steps, rows, wall_ns, busy, flops; /* of counted steps */
};

static bool next_request(void *user, struct rt_request *out)
{
    struct generate_work *w = user;
    if (w->pad_first) {
        w->pad_first = false;
        *out = (struct rt_request){
            .key = UINT64_MAX, .prompt = w->prompts, .n_prompt = PAD_PROMPT, .max_new = 1
        };
        return true;
    }
    if (w->first == w->end)
        return false;
    const uint32_t key = w->first++;
    *out = (struct rt_request){ .key = key,
                                .prompt = w->prompts + (size_t)key * w->prompt,
                                .n_prompt = w->prompt,
                                .max_new = w->fresh,
                                .draw = key,
                                .assumed = w->assumed };
    return true;
}

static rt_status take_answer(void *user, const struct rt_answer *a)
{
    struct generate_work *w = user;
    if (a->key == UINT64_MAX)
        return RT_OK;
    if (a->n_gen != w->fresh)
        return rt_fail(w->b->ctx, RT_ERR_INTERNAL, "%s: %u tokens instead of %u",
                       w->c->name, a->n_gen, w->fresh);
    memcpy(w->ids + a->key * w->fresh, a->ids, w->fresh * sizeof *w->ids);
    memcpy(w->logprob + a->key * w->fresh, a->logprob, w->fresh * sizeof *w->logprob);
    return RT_OK;
}

/* Adds the step since the last call, if it is of the kind that is measured. */
static bool between_steps(void *user)
{
    struct generate_work *w = user;
    struct rt_engine_stats now;
    const uint64_t now_ns = rt_time_ns();
    const double busy = bench_busy(w->b->dev);
    rt_engine_stats_get(w->running, &now);
    const uint64_t rows = now.rows - w->before.rows;
    const uint64_t tokens = now.tokens - w->before.tokens;
    const bool all_decode = rows == w->c->batch && tokens == rows;
    if (w->begun && now.steps > w->before.steps && (!w->decode || all_decode)) {
        w->steps++;
        w->rows += (double)rows;
        w->wall_ns += (double)(now_ns - w->before_ns);
        w->busy += busy - w->before_busy;
        w->flops += now.flops - w->before.flops;
    }
    w->begun = true;
    w->before = now;
    w->before_busy = busy;
    w->before_ns = rt_time_ns();
    return !pipe_stopping(w->b->host);
}

/* Asks `count` requests from `first` on; the counters hold what was measured. */
static rt_status generate(struct generate_work *w, struct rt_engine *engine,
                          uint32_t first, uint32_t count)
{
    const struct rt_engine_calls calls = { next_request, take_answer, between_steps, NULL,
                                           w };
    w->running = engine;
    w->first = first;
    w->end = first + count;
    w->begun = false;
    w->steps = w->rows = w->wall_ns = w->busy = w->flops = 0;
    rt_status st = rt_engine_run(engine, &calls);
    if (st == RT_OK)
        between_steps(w);
    return st == RT_ERR_INTERRUPTED ? bench_stop(w->b) : st;
}

static rt_status make_engine(struct generate_work *w, uint32_t slots, uint32_t rows_max,
                             struct rt_engine **out)
{
    const struct rt_engine_options options = { .slots = slots,
                                               .rows_max = rows_max,
                                               .context = w->prompt + w->fresh,
                                               .no_sharing = true,
                                               .pages_at_once = true,
                                               .round_prompts = true };
    return rt_engine_create(w->b->model, NULL, &options, out);
}

static void close_generate(void *self)
{
    struct generate_work *w = self;
    rt_engine_destroy(&w->engine);
    rt_free(w->prompts);
    rt_free(w->ids);
    rt_free(w->logprob);
    rt_free(w);
}

static rt_status open_generate(struct bench *b, struct bench_case *c, void **self)
{
    struct generate_work *w = rt_alloc(b->ctx, 1, sizeof *w);
    *self = w;
    if (!w)
        return rt_fail(b->ctx, RT_ERR_HOST_MEMORY, "%s: no memory", c->name);
    w->b = b;
    w->c = c;
    const bool context = strcmp(c->suite, "context") == 0;
    w->decode = context || strcmp(c->suite, "decode") == 0;
    w->fresh = context ? NEW_LONG : w->decode ? NEW : 1;
    w->prompt = context ? c->length - NEW_LONG : w->decode ? PROMPT : c->length;
    w->assumed = context ? w->prompt - 1 : 0;
    /* A check may ask more requests than the batch: all the engine's slots. */
    w->prompts = rt_alloc(b->ctx, REQUESTS_MAX * (size_t)w->prompt, sizeof *w->prompts);
    w->ids = rt_alloc(b->ctx, REQUESTS_MAX * (size_t)w->fresh, sizeof *w->ids);
    w->logprob = rt_alloc(b->ctx, REQUESTS_MAX * (size_t)w->fresh, sizeof *w->logprob);
    if (!w->prompts || !w->ids || !w->logprob)
        return rt_fail(b->ctx, RT_ERR_HOST_MEMORY, "%s: no memory", c->name);
    const uint32_t vocab = rt_model_config(b->model)->vocab;
    for (uint32_t i = 0; i < REQUESTS_MAX * w->prompt; i++)
        w->prompts[i] = bench_token(vocab, i / w->prompt, i % w->prompt);
    return make_engine(w, c->batch, 0, &w->engine);
}

/* Tokens and log-probabilities of one request, twice: equal bits, all finite. */
static void hold(const struct generate_work *w, uint32_t key, const uint32_t *ids,
                 const float *logprob, struct pipe_bench_check *out)
{
    const size_t at = (size_t)key * w->fresh;
    for (uint32_t i = 0; i < w->fresh && out->good; i++) {
        out->good = isfinite(logprob[at + i]) && w->ids[at + i] == ids[at + i] &&
                    memcmp(&w->logprob[at + i], &logprob[at + i], sizeof *logprob) == 0;
        if (!out->good)
            snprintf(out->fault, sizeof out->fault,
                     "sequence %u token %u is %u (log p %.9g); %s it is %u (%.9g)", key,
                     i, ids[at + i], (double)logprob[at + i],
                     w->decode ? "at another batch size" : "prefilled in other parts",
                     w->ids[at + i], (double)w->logprob[at + i]);
    }
}

/* The same requests at another batch size (decode) or in other chunks (prefill). */
static rt_status check_again(struct generate_work *w, struct rt_engine *other,
                             struct pipe_bench_check *out)
{
    rt_status st;
    const size_t count = (size_t)w->c->batch * w->fresh;
    uint32_t *ids = rt_alloc(w->b->ctx, count, sizeof *ids);
    float *logprob = rt_alloc(w->b->ctx, count, sizeof *logprob);
    if (!ids || !logprob) {
        st = rt_fail(w->b->ctx, RT_ERR_HOST_MEMORY, "%s: no memory", w->c->name);
        goto fail;
    }
    memcpy(ids, w->ids, count * sizeof *ids);
    memcpy(logprob, w->logprob, count * sizeof *logprob);
    const uint32_t last = w->c->batch - 1;
    if (last > 0) { /* the outermost two, each alone */
        TRY(generate(w, other, 0, 1));
        if (w->assumed == 0) { /* else its cache is no longer zeros */
            TRY(generate(w, other, last, 1));
            hold(w, last, ids, logprob, out);
        }
    } else {
        w->pad_first = !w->decode;
        TRY(generate(w, other, 0, w->decode ? 8 : 1));
    }
    hold(w, 0, ids, logprob, out);

fail:
    rt_free(ids);
    rt_free(logprob);
    return st;
}

static rt_status check_generate(void *self, struct bench_case *c,
                                struct pipe_bench_check *out)
{
    rt_status st;
    struct generate_work *w = self;
    struct rt_engine *other = NULL;
    const uint64_t start = rt_time_ns();
    out->good = true;
    TRY(generate(w, w->engine, 0, c->batch));
    out->cold_ns = (double)(rt_time_ns() - start);
    if (!(w->steps > 0)) {
        st = rt_fail(w->b->ctx, RT_ERR_INTERNAL, "%s: no step to measure", c->name);
        goto fail;
    }
    c->tokens = w->decode ? c->batch : w->rows;
    c->flops = w->decode ? w->flops / w->steps : w->flops;
    c->bytes = NAN;
    TRY(w->decode ? make_engine(w, c->batch > 1 ? 1 : 8, 0, &other)
                  : make_engine(w, 2, 64, &other));
    TRY(check_again(w, other, out));

fail:
    rt_engine_destroy(&other);
    return st;
}

static rt_status run_generate(void *user, struct pipe_bench_sample *out)
{
    struct generate_work *w = user;
    const uint64_t start = rt_time_ns();
    const rt_status st = generate(w, w->engine, 0, w->c->batch);
    const double units = w->decode ? w->steps : 1;
    *out = (struct pipe_bench_sample){
        .device_ns = bench_device_ns(w->busy, units),
        .wall_ns = w->wall_ns / units,
        .seconds = (double)(rt_time_ns() - start) * 1e-9,
    };
    return st;
}

static const struct bench_kind generate_kind = { true, open_generate, check_generate,
                                                 run_generate, close_generate };

rt_status bench_decode_list(struct rt_ctx *ctx, struct bench_cases *out)
{
    static const uint32_t batches[] = { 1, 8, 32, 64 };
    rt_status st = RT_OK;
    for (size_t i = 0; i < RT_COUNT(batches); i++) {
        struct bench_case c = {
            .kind = &generate_kind,
            .suite = "decode",
            .unit = "tok/s",
            .explain = "one token a sequence and step, 33 to 63 keys; checked: same bits "
                       "at another batch size",
            .quick = batches[i] == 1 || batches[i] == 64,
            .wall = true,
            .batch = batches[i],
        };
        snprintf(c.name, sizeof c.name, "decode, batch %u", batches[i]);
        TRY(bench_cases_add(ctx, out, &c));
    }

fail:
    return st;
}

rt_status bench_context_list(struct rt_ctx *ctx, struct bench_cases *out)
{
    static const struct {
        uint32_t length, batch;
    } sizes[] = { { 128, 1 },  { 128, 4 },  { 128, 16 },  { 128, 64 },
                  { 1024, 1 }, { 1024, 4 }, { 1024, 16 }, { 1024, 64 },
                  { 4096, 1 }, { 4096, 4 }, { 4096, 16 } };
    rt_status st = RT_OK;
    for (size_t i = 0; i < RT_COUNT(sizes); i++) {
        struct bench_case c = {
            .kind = &generate_kind,
            .suite = "context",
            .unit = "tok/s",
            .explain =
                "one token a sequence and step after so many keys (zeros); checked: "
                "same bits at another batch size",
            .wall = true,
            .batch = sizes[i].batch,
            .length = sizes[i].length,
        };
        snprintf(c.name, sizeof c.name, "decode after %u keys, batch %u", c.length,
                 c.batch);
        TRY(bench_cases_add(ctx, out, &c));
    }

fail:
    return st;
}

rt_status bench_prefill_list(struct rt_ctx *ctx, struct bench_cases *out)
{
    static const uint32_t lengths[] = { 64, 256, 448, 512, 1024 };
    rt_status st = RT_OK;
    for (size_t i = 0; i < RT_COUNT(lengths); i++) {
        struct bench_case c = {
            .kind = &generate_kind,
            .suite = "prefill",
            .unit = "tok/s",
            .explain = "one prompt to its first token; checked: same bits in other "
                       "chunks",
            .quick = lengths[i] == 256,
            .wall = true,
            .batch = 1,
            .length = lengths[i],
        };
        snprintf(c.name, sizeof c.name, "prefill, %u tokens", lengths[i]);
        TRY(bench_cases_add(ctx, out, &c));
    }

fail:
    return st;
}

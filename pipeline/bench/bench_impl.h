/* pipeline/bench/bench_impl.h
 * Private to pipeline/bench: the lists of cases, and how each kind is checked and run. */
#ifndef PIPELINE_BENCH_BENCH_IMPL_H
#define PIPELINE_BENCH_BENCH_IMPL_H

#include "pipeline/bench/bench.h"
#include "pipeline/bench/bench_measure.h"
#include "runtime/model/model.h"
#include "store/store_claim.h"

enum { BENCH_SUITE_VERSION = 2 };

/* Pairs of int64: device ns (-1: not known) and wall ns of one unit of work. */
#define BENCH_CODEC "i64ns device,wall"

/* One device under measurement. */
struct bench {
    struct rt_ctx *ctx;           /* this and the next three are borrowed */
    const struct pipe_host *host; /* may be NULL */
    struct rt_device *dev;
    struct store *store;
    struct rt_model *model; /* owned, NULL if no case needs one */
    char env_id[STORE_ID], run_id[STORE_ID];
    struct store_attempt attempt; /* at run_id */
    uint32_t passes;
    struct pipe_bench_budget budget;
};

/* Adds a copy; for the suites. */
RT_CHECKED rt_status bench_cases_add(struct rt_ctx *ctx, struct bench_cases *cases,
                                     const struct bench_case *c);

/* The suites' cases. */
RT_CHECKED rt_status bench_ops_list(struct rt_ctx *ctx, struct bench_cases *out);
RT_CHECKED rt_status bench_decode_list(struct rt_ctx *ctx, struct bench_cases *out);
RT_CHECKED rt_status bench_context_list(struct rt_ctx *ctx, struct bench_cases *out);
RT_CHECKED rt_status bench_prefill_list(struct rt_ctx *ctx, struct bench_cases *out);
RT_CHECKED rt_status bench_train_list(struct rt_ctx *ctx, struct bench_cases *out);

/* How cases of one kind are set up, checked, run and taken down. */
struct bench_kind {
    bool needs_model;
    /* RT_ERR_USAGE: the case does not fit the model, it is skipped. */
    rt_status (*open)(struct bench *b, struct bench_case *c, void **self);
    /* A wrong result is a finding in `out`, not a failure. */
    rt_status (*check)(void *self, struct bench_case *c, struct pipe_bench_check *out);
    pipe_bench_run_fn *run;
    void (*close)(void *self); /* of what open made, also half of it */
};

/* Device execution so far, seconds. */
double bench_busy(const struct rt_device *dev);
/* Device time of a sample: NaN where the device did not say. */
double bench_device_ns(double busy_seconds, double units);
/* The status and message of a run that the host wants to end. */
rt_status bench_stop(const struct bench *b);
/* Deterministic token ids for a model of any vocabulary. */
uint32_t bench_token(uint32_t vocab, uint32_t sequence, uint32_t position);

#endif

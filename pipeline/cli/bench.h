/* pipeline/cli/bench.h
 * Private to `faultline bench`: cases, how each kind of case is checked and run, and the
 * rows that come out. How it measures and what verdicts mean: docs/bench.md. */
#ifndef PIPELINE_CLI_BENCH_H
#define PIPELINE_CLI_BENCH_H

#include "pipeline/bench_measure.h"
#include "pipeline/cli/cli.h"
#include "runtime/train/train.h"
#include "store/store_claim.h"

enum { BENCH_SUITE_VERSION = 2 };

/* Pairs of int64: device ns (-1: not known) and wall ns of one unit of work. */
#define BENCH_CODEC "i64ns device,wall"

/* Unit of the case that says what starting an op costs. */
#define BENCH_UNIT_DISPATCH "op/s"

/* ---- one device under measurement ---- */

struct bench {
    struct cli *cli;
    struct rt_ctx *ctx; /* = &cli->ctx */
    struct rt_device *dev;
    const char *model_folder; /* null: no case needs a model */
    struct rt_model *model;   /* null: no case needs one */
    struct store *store;
    char env_id[STORE_ID], run_id[STORE_ID];
    struct store_attempt attempt; /* at run_id */
    uint32_t passes;
    struct pipe_bench_budget budget;
};

/* ---- cases ---- */

struct bench_kind;

/* What is timed. `flops`, `bytes` and `params` are filled when it is opened or checked. */
struct bench_case {
    const struct bench_kind *kind;
    const char *suite, *unit, *explain; /* static */
    char name[96];
    char params[640]; /* JSON object */
    bool quick;       /* of the suite `quick` */
    bool wall;        /* timed by the host's clock, else by the device's */
    double tokens;    /* of one unit of work where the unit is tok/s; ops: 1 */
    double flops, bytes;
    uint32_t op_index;      /* ops: of runtime/op_cases.h */
    uint32_t batch, length; /* sequences at once, tokens of each */
    enum train_loss loss;
};

struct bench_cases {
    struct bench_case *items;
    uint32_t count, capacity;
};
/* Every case there is, in the order of the suites; `model` as rt_model_load knows it is
 * not needed. bench_cases_deinit frees. */
RT_CHECKED rt_status bench_cases_all(struct rt_ctx *ctx, struct bench_cases *out);
/* Adds a copy; for the suites. */
RT_CHECKED rt_status bench_cases_add(struct rt_ctx *ctx, struct bench_cases *cases,
                                     const struct bench_case *c);
/* Keeps what is in one of the suites (comma list; quick, full) and fits the pattern (as
 * of a shell, null: all). RT_ERR_USAGE: unknown suite, or nothing is left. */
RT_CHECKED rt_status bench_cases_select(struct rt_ctx *ctx, struct bench_cases *cases,
                                        const char *suites, const char *pattern);
bool bench_cases_need_model(const struct bench_cases *cases);
void bench_cases_deinit(struct bench_cases *cases);

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
/* The status and message of a run that a signal ends. */
rt_status bench_stop(struct rt_ctx *ctx);
/* Deterministic token ids for a model of any vocabulary. */
uint32_t bench_token(uint32_t vocab, uint32_t sequence, uint32_t position);

/* Measures all passes of all cases into one run of the store; each result is durable
 * before the next case starts. */
RT_CHECKED rt_status bench_measure_all(struct bench *b, struct bench_cases *cases);

/* ---- stored results ---- */

struct bench_result {
    char status[16], reason[256];
    uint32_t n;
    double value, low, high, median_ns, clock_mhz, error;
    double device_share; /* of wall time; NaN: not known */
    bool steady;
};

/* A case of a run with all its passes, and what it is compared with. */
struct bench_row {
    char case_id[STORE_ID], run_id[STORE_ID], suite[16], name[96], unit[16];
    bool higher_better;
    double flops, bytes;
    struct bench_result passes[PIPE_BENCH_PASSES_MAX];
    uint32_t count;
    struct bench_row *base; /* owned, null: none */
    struct pipe_bench_comparison comparison;
};

struct bench_rows {
    struct bench_row *items;
    uint32_t count, capacity;
    bool compared;
    char device[256], driver[512]; /* of the run */
    char differs[1024]; /* "driver (A -> B), kernel (C -> D)"; empty: nothing */
};

/* The rows of a run in the order they were measured. */
RT_CHECKED rt_status bench_rows_load(struct store *store, struct rt_ctx *ctx,
                                     const char *run_id, struct bench_rows *out);
void bench_rows_deinit(struct bench_rows *rows);
/* Finds the id of a bench run by "latest" or the start of its id. */
RT_CHECKED rt_status bench_run_find(struct store *store, struct rt_ctx *ctx,
                                    const char *wanted, char run_id[STORE_ID]);
/* Holds every row against its base: in `base_run` (null: the newest finished run that has
 * the case, on the same device if there is one) of `base`. */
RT_CHECKED rt_status bench_rows_compare(struct bench_rows *rows, struct store *store,
                                        struct store *base, struct rt_ctx *ctx,
                                        const char *base_run);
/* The median over the passes that have a time, and half the width of all their
 * intervals; false where no pass has one (then `why` is its status and reason). */
bool bench_row_value(const struct bench_row *row, double *value, double *half, char *why,
                     size_t size);

/* What a row reached, over all passes. */
struct bench_facts {
    double gflops, gbytes; /* counted work at the median time; NaN: not counted */
    double ns;             /* the median time; NaN: there is none */
    double ns_min;         /* the median of the fastest pass */
    double device_share;   /* mean; NaN: not known */
    double error;
    uint32_t samples;
    bool steady, covered; /* every pass; enough samples for an interval */
};
struct bench_facts bench_row_facts(const struct bench_row *row);

/* The limits of the device, from the suite `peak` of the same run: the fastest form in its
 * fastest pass. 0: not measured. The rows they are from are borrowed. */
struct bench_peaks {
    double gflops, gbytes, dispatch_ns;
    const struct bench_row *of_gflops, *of_gbytes;
};
struct bench_peaks bench_peaks_of(const struct bench_rows *rows);

/* What no kernel can beat: the work at the device's measured rates, and a dispatch. */
enum bench_bound {
    BENCH_BOUND_NONE = 0, /* not known */
    BENCH_BOUND_FLOPS,
    BENCH_BOUND_BYTES,
    BENCH_BOUND_DISPATCH,
    BENCH_BOUND_COUNT
};
extern const char *const bench_bound_names[BENCH_BOUND_COUNT];

/* A row against the limits. With work W and traffic Q the least time is the greatest of
 * W / peak FLOP/s, Q / peak bytes/s (the roofline of Williams, Waterman and Patterson,
 * CACM 52(4), 2009) and a dispatch. */
struct bench_limit {
    double flops, bytes; /* reached, of the peak; NaN: not known */
    enum bench_bound bound;
    double share; /* least time over the measured one; NaN: not known */
};
struct bench_limit bench_limit_of(const struct bench_peaks *peaks,
                                  const struct bench_row *row);

/* The ops furthest from their limit, worst first; at most `most`. Returns how many. */
uint32_t bench_worst(const struct bench_rows *rows, const struct bench_peaks *peaks,
                     const struct bench_row **out, uint32_t most);

enum bench_format { BENCH_TABLE, BENCH_MD, BENCH_CSV, BENCH_JSON };
/* On stdout. JSON: an object a run. */
void bench_rows_print(const struct bench_rows *rows, enum bench_format format);

#endif

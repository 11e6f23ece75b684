/* pipeline/bench/bench.h
 * Device benchmark: which cases there are, a run that measures them into the results file,
 * and the rows that come out. How it measures and what verdicts mean: docs/bench.md. */
#ifndef PIPELINE_BENCH_BENCH_H
#define PIPELINE_BENCH_BENCH_H

#include "pipeline/bench/bench_stats.h"
#include "pipeline/host.h"
#include "store/store.h"

/* Unit of the case that says what starting an op costs. */
#define BENCH_UNIT_DISPATCH "op/s"

struct rt_device;

/* ---- cases ---- */

struct bench_kind; /* how such cases are run: bench_impl.h */

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
    uint32_t op_index;      /* ops: of runtime/op/op_cases.h */
    uint32_t batch, length; /* sequences at once, tokens of each */
    uint32_t loss;          /* train: an enum train_loss */
};

struct bench_cases {
    struct bench_case *items;
    uint32_t count, capacity;
};
/* Every case there is, in the order of the suites; `model` as rt_model_load knows it is
 * not needed. bench_cases_deinit frees. */
RT_CHECKED rt_status bench_cases_all(struct rt_ctx *ctx, struct bench_cases *out);
/* Keeps what is in one of the suites (comma list; quick, full) and fits the pattern (as
 * of a shell, null: all). RT_ERR_USAGE: unknown suite, or nothing is left. */
RT_CHECKED rt_status bench_cases_select(struct rt_ctx *ctx, struct bench_cases *cases,
                                        const char *suites, const char *pattern);
bool bench_cases_need_model(const struct bench_cases *cases);
void bench_cases_deinit(struct bench_cases *cases);

/* ---- a run ---- */

/* What is borrowed lives until bench_run returns. */
struct bench_options {
    const struct pipe_host *host; /* may be NULL */
    struct rt_device *dev;
    struct store *store;      /* open for writing */
    const char *model_folder; /* NULL: no case needs a model */
    const char *suites;       /* the list that chose the cases, for the run's record */
    uint32_t passes;          /* 1 to PIPE_BENCH_PASSES_MAX */
    double seconds;           /* measured in each case and pass */
    bool profile, validation, tune; /* what `dev` was opened with */
};
/* Measures all passes of all cases into a new run of the store; each result is durable
 * before the next case starts. run_id: of the run, empty where none was opened. A run that
 * fails or is stopped stays in the store as such. */
RT_CHECKED rt_status bench_run(struct rt_ctx *ctx, const struct bench_options *options,
                               struct bench_cases *cases, char run_id[STORE_ID]);

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

/* ---- gates ---- */

/* What a gate looks for, over any number of runs. Zero is a valid start. */
struct bench_gate_hits {
    uint32_t count;
    char first[96]; /* name of the first case */
};
/* Adds the rows that the gate looks for. */
void bench_gate_count(const struct pipe_bench_gate *gate, const struct bench_rows *rows,
                      struct bench_gate_hits *hits);
/* A gate on counts fires above its limit; one on speed at the first hit. */
bool bench_gate_fires(const struct pipe_bench_gate *gate,
                      const struct bench_gate_hits *hits);

#endif

/* pipeline/bench/bench_measure.h
 * How one case is measured: its result is checked, and only where that is right it is
 * timed, with samples until it runs at an even speed, then samples for a time. Knows neither device nor clock, only what each sample says it took. */
#ifndef PIPELINE_BENCH_BENCH_MEASURE_H
#define PIPELINE_BENCH_BENCH_MEASURE_H

#include "pipeline/bench/bench_stats.h"

/* Times are of one unit of work, however many a sample holds. */
struct pipe_bench_sample {
    double device_ns; /* device execution; NaN: the device has no timestamps */
    double wall_ns;
    double seconds; /* wall time of taking the sample; what budgets are spent on */
};

typedef rt_status pipe_bench_run_fn(void *user, struct pipe_bench_sample *out);

/* What a check found. */
struct pipe_bench_check {
    bool good;
    char fault[256]; /* not good: what is wrong */
    double error;    /* greatest relative error, 0: bits are equal; NaN: not measured */
    double cold_ns;  /* preparing and the first run, compiling included */
};

/* A wrong result is a finding in `out` (zeroed before), not a failure. */
typedef rt_status pipe_bench_check_fn(void *user, struct pipe_bench_check *out);

/* What is measured. */
struct pipe_bench_subject {
    pipe_bench_check_fn *check;
    pipe_bench_run_fn *run;
    void *user;
};

struct pipe_bench_budget {
    double seconds;       /* of measured samples; exceeded for PIPE_BENCH_SAMPLES_MIN */
    double warm_seconds;  /* of warming up at most */
    double seconds_max;   /* of measured samples, whatever their number */
    uint32_t samples_max; /* of warming up, and of measured ones */
};

struct pipe_bench_series {
    struct pipe_bench_check check;
    struct pipe_bench_sample *warm, *measured; /* owned */
    uint32_t warm_count, count;
    bool warm_steady; /* warming up ended because it was steady, not because of a cap */
};

/* Checks, then measures what is right; `run` is not called where the check is not good.
 *
 * Warm-up: blocks of samples that double the time spent, until a block's median is
 * within 2 % of the one before or a cap is reached. The first failure of `run` ends it;
 * what was measured stays in `out`, which pipe_bench_series_deinit frees in any case. */
RT_CHECKED rt_status pipe_bench_measure(struct rt_ctx *ctx,
                                        const struct pipe_bench_budget *budget,
                                        const struct pipe_bench_subject *subject,
                                        struct pipe_bench_series *out);
void pipe_bench_series_deinit(struct pipe_bench_series *series);
/* Of the measured samples, device or wall time in nanoseconds. count > 0. */
RT_CHECKED rt_status pipe_bench_series_stats(struct rt_ctx *ctx,
                                             const struct pipe_bench_series *series,
                                             bool wall, struct pipe_bench_stats *out);

#endif

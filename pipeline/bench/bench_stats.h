/* pipeline/bench/bench_stats.h
 * What repeated timings say, and whether two sets of them differ. Pure functions.
 *
 *   interval  of the median, from order statistics: the narrowest pair (k-th smallest,
 *             k-th largest) that holds the median with probability >= 95 %, whatever the
 *             distribution, if samples are independent: 2 P[Bin(n, 1/2) <= k - 1] <= 0.05.
 *             It exists from n = 6 on; below, the range stands for it.
 *   MAD       median of |x - median|, not scaled
 *   outliers  0.6745 |x - median| / MAD > 3.5 (Iglewicz and Hoaglin 1993), counted, never
 *             dropped; a MAD below a thousandth of the median counts as that
 *   steady    the medians of the first and the second half differ by at most 2 %, or
 *             their intervals overlap */
#ifndef PIPELINE_BENCH_BENCH_STATS_H
#define PIPELINE_BENCH_BENCH_STATS_H

#include "runtime/base/rt.h"

enum { PIPE_BENCH_SAMPLES_MIN = 6, PIPE_BENCH_PASSES_MAX = 32 };

/* Difference of speed that is not worth a word, and of clocks that explains one. */
#define PIPE_BENCH_SAME 0.02
#define PIPE_BENCH_CLOCK 0.02

struct pipe_bench_stats {
    uint32_t n, outliers;
    double median, mad;
    double low, high; /* interval of the median */
    bool covered;     /* n is large enough for 95 % */
    bool steady;
};

/* Of n > 0 values in the order of time. */
RT_CHECKED rt_status pipe_bench_stats_of(struct rt_ctx *ctx, const double *values,
                                         uint32_t n, struct pipe_bench_stats *out);
/* Sorts the values. n > 0. */
double pipe_bench_median(double *values, uint32_t n);
/* The k above: 1 for the smallest and largest; 0 where n is too small. */
uint32_t pipe_bench_rank(uint32_t n);

/* One case in one pass, in the unit of the case (more or less is better, as it says). */
struct pipe_bench_pass {
    double value, low, high;
    double clock_mhz; /* NaN: not known */
    bool covered, steady;
};

enum pipe_bench_verdict {
    PIPE_BENCH_IS_SAME,
    PIPE_BENCH_FASTER,
    PIPE_BENCH_SLOWER,
    PIPE_BENCH_UNCLEAR,
    PIPE_BENCH_NEW,     /* nothing to compare with */
    PIPE_BENCH_INVALID, /* one side has no time: a failed check, an error, a skip */
};

/* Why a verdict is unclear, as bits. */
enum pipe_bench_reason {
    PIPE_BENCH_OVERLAP = 1,      /* intervals overlap but are too wide or too far off */
    PIPE_BENCH_UNSTEADY = 2,     /* the two halves of a pass differ */
    PIPE_BENCH_CLOCK_DRIFT = 4,  /* apart, but not in clock cycles */
    PIPE_BENCH_ENV_DIFFERS = 8,  /* measured in another way or on something else */
    PIPE_BENCH_FEW_SAMPLES = 16, /* an interval is not worth its name */
};

struct pipe_bench_comparison {
    enum pipe_bench_verdict verdict;
    unsigned reasons;    /* of UNCLEAR */
    double base, now;    /* medians over the passes */
    double change;       /* speed of now over that of base, less 1; +0.14: 14 % faster */
    double clock_change; /* of the mean clocks; NaN: not known */
};

/* How the two sides were measured. */
struct pipe_bench_conditions {
    bool higher_better;
    bool settings_differ; /* profiling, validation, sample time ...: never a verdict */
    bool env_differs;     /* machine, device, driver: named where nothing is clear */
};

/* FASTER or SLOWER where every interval of one side is apart from every interval of the
 * other, in time and (where clocks are known) in cycles, and all passes are steady with
 * enough samples. SAME where medians are within 2 %, every interval within 5 % of its
 * side's median, and the passes are steady. Else UNCLEAR, with reasons. Counts are 1 to
 * PIPE_BENCH_PASSES_MAX. */
void pipe_bench_compare(const struct pipe_bench_pass *base, uint32_t base_count,
                        const struct pipe_bench_pass *now, uint32_t now_count,
                        const struct pipe_bench_conditions *conditions,
                        struct pipe_bench_comparison *out);

const char *pipe_bench_verdict_name(enum pipe_bench_verdict verdict);
/* "overlap, unsteady"; "" for none. */
void pipe_bench_reasons_print(unsigned reasons, char *text, size_t size);

/* --fail-if: "slower>5%", "invalid>0", "unclear>0". */
enum pipe_bench_gate_kind {
    PIPE_BENCH_GATE_SLOWER,
    PIPE_BENCH_GATE_INVALID,
    PIPE_BENCH_GATE_UNCLEAR,
};
struct pipe_bench_gate {
    enum pipe_bench_gate_kind kind;
    double limit; /* per cent for slower, else a count */
};
/* RT_ERR_USAGE with what can be written. */
RT_CHECKED rt_status pipe_bench_gate_parse(struct rt_ctx *ctx, const char *text,
                                           struct pipe_bench_gate *out);
/* Whether one case is what the gate looks for: SLOWER by more than the limit, or of the
 * kind that it counts. */
bool pipe_bench_gate_hits(const struct pipe_bench_gate *gate,
                          const struct pipe_bench_comparison *c);

#endif

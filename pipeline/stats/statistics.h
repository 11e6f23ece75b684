/* pipeline/stats/statistics.h
 * The statistics of paired comparisons. Everything is two-sided at 95 % and needs no
 * random state: the bootstrap draws by counter from a seed, so that it gives the same
 * interval on every machine. Formulas:
 *
 *   Wilson           score interval of one proportion
 *   Clopper-Pearson  inverts the exact binomial tails
 *   McNemar exact    min(1, 2 P[X <= min(b, c)]), X ~ Bin(b + c, 1/2)
 *   McNemar mid-p    the exact p less P[X = min(b, c)]; 1 where b = c
 *   Tango            score interval of the paired difference (Tango, Statistics in
 *                    Medicine 17, 1998): the differences d whose score test with the
 *                    maximum-likelihood nuisance parameter under d is not rejected
 *   bootstrap        percentile interval over problems; the samples of one problem
 *                    stay together because a problem enters by its mean
 *   Holm             step-down adjusted p-values */
#ifndef PIPELINE_STATS_STATISTICS_H
#define PIPELINE_STATS_STATISTICS_H

#include "runtime/base/rt.h"

/* Of every bootstrap and permutation test whose result is shown, whatever the seed of the
 * run: the same answers have the same numbers wherever they are compared. */
enum { PIPE_STATS_SEED = 1, PIPE_BOOTSTRAP_DRAWS = 2000 };

struct pipe_interval {
    double low, high;
};

/* `k` of `n`; [0, 1] for n = 0. */
struct pipe_interval pipe_wilson(uint32_t k, uint32_t n);
struct pipe_interval pipe_clopper_pearson(uint32_t k, uint32_t n);

/* p-values of `lost` (right to wrong) against `gained` (wrong to right). */
double pipe_mcnemar_exact(uint32_t lost, uint32_t gained);
double pipe_mcnemar_mid(uint32_t lost, uint32_t gained);

/* Interval of (gained - lost) / n; [-1, 1] for n = 0. */
struct pipe_interval pipe_tango(uint32_t gained, uint32_t lost, uint32_t n);

/* One variant against another on the same problems, one answer each. */
struct pipe_paired {
    uint32_t n, right_base, right_other;
    uint32_t lost, gained;         /* base right & other wrong, and the reverse; flips are
                                      their sum */
    double difference;             /* accuracy of other less that of base */
    double error;                  /* standard error of the difference; 0 for n < 2 */
    struct pipe_interval interval; /* Tango */
    double p_exact, p_mid;
};
void pipe_paired_compare(const bool *base, const bool *other, uint32_t n,
                         struct pipe_paired *out);

/* Paired bootstrap of what an arm recovers: (arm - quant) / (full - quant). Each array
 * has one accuracy per problem, 0 to 1 (the mean of its samples). */
struct pipe_recovery {
    double difference; /* arm - quant */
    struct pipe_interval difference_interval;
    double share; /* recovered; NaN where full does not beat quant */
    struct pipe_interval share_interval; /* infinite where too many draws are undefined */
    uint32_t
        undefined; /* draws in which full does not beat quant; left out of the share */
};
RT_CHECKED rt_status pipe_bootstrap_recovery(struct rt_ctx *ctx, const double *full,
                                             const double *quant, const double *arm,
                                             uint32_t n, uint32_t draws, uint64_t seed,
                                             struct pipe_recovery *out);

/* Paired bootstrap of the mean of other - base, one value per problem in each. */
RT_CHECKED rt_status pipe_bootstrap_difference(struct rt_ctx *ctx, const double *base,
                                               const double *other, uint32_t n,
                                               uint32_t draws, uint64_t seed,
                                               double *difference,
                                               struct pipe_interval *interval);

/* Adjusted p-values in the order of `p`. `adjusted` may be `p` itself. */
RT_CHECKED rt_status pipe_holm(struct rt_ctx *ctx, const double *p, uint32_t count,
                               double *adjusted);

/* Unbiased pass@k of c right among n samples: 1 - C(n - c, k) / C(n, k); k <= n. Over
 * several problems: pipe_mean_error of these. */
double pipe_pass_at_k(uint32_t n, uint32_t c, uint32_t k);
/* Mean of values and its standard error (0 for n < 2): for several samples per problem,
 * pass the means of the problems. */
void pipe_mean_error(const double *values, uint32_t n, double *mean, double *error);

#endif

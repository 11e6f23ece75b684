/* pipeline/stats/binomial.h
 * The binomial distribution to nearly full precision, for any size of n. A probability p
 * is passed with its complement q = 1 - p, because one of the two is small somewhere and
 * must not be rounded to the grid of the other.
 *
 * The mass at k is a Gaussian prefactor times exponentials of the Stirling errors and of
 * the deviances k log(k / np) + np - k (C. Loader, "Fast and accurate computation of
 * binomial probabilities", 2000): no large logarithms cancel. Tails are summed from the
 * given k away from the mean, term from term, so that a tail of 1e-300 has the same
 * relative error as one of 0.1 (about 1e-13). */
#ifndef PIPELINE_STATS_BINOMIAL_H
#define PIPELINE_STATS_BINOMIAL_H

#include <stdint.h>

/* P[X = k], X ~ Bin(n, p); k <= n. Below 1e-308 it is 0. */
double pipe_binomial_mass(uint64_t k, uint64_t n, double p, double q);
/* P[X <= k]; k <= n. */
double pipe_binomial_lower(uint64_t k, uint64_t n, double p, double q);
/* The p at which P[X >= k] is `tail`, 0 < k <= n, tail <= 1/2: the exact lower bound. */
double pipe_binomial_low(uint64_t k, uint64_t n, double tail);
/* The p at which P[X <= k] is `tail`, k < n: the exact upper bound. */
double pipe_binomial_high(uint64_t k, uint64_t n, double tail);

#endif

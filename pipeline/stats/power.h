/* pipeline/stats/power.h
 * How many problems a paired comparison needs. `flips` is the share of problems on which
 * the two models disagree about being right, `difference` that of accuracies; so the
 * flips of one direction have the share (flips + difference) / 2 and of the other
 * (flips - difference) / 2. Power is the probability that McNemar's test at 5 %,
 * two-sided, rejects.
 *
 *   exact   over all numbers of discordant problems, Bin(n, flips), and of losses among
 *           them: nothing is approximated
 *   normal  (z_975 sqrt(flips) + z_power sqrt(flips - difference^2))^2 / difference^2
 *           (O. Miettinen, Biometrics 24, 1968; R. Connor, Biometrics 43, 1987) */
#ifndef PIPELINE_STATS_POWER_H
#define PIPELINE_STATS_POWER_H

#include <stdbool.h>
#include <stdint.h>

enum { PIPE_POWER_PROBLEMS_MAX = 100000 }; /* beyond: only the normal formula */

struct pipe_power {
    double flips;      /* 0 < flips <= 1 */
    double difference; /* 0 < difference <= flips; the sign does not matter */
    bool mid;          /* mid-p McNemar instead of the exact one */
};

/* Of n problems, n <= PIPE_POWER_PROBLEMS_MAX. */
double pipe_power_of(const struct pipe_power *p, uint32_t n);
/* The fewest problems with at least that power, found by halving (power rises with n but
 * for steps of the whole numbers); 0 if PIPE_POWER_PROBLEMS_MAX are too few. */
uint32_t pipe_power_problems(const struct pipe_power *p, double power);
/* The smallest difference that n problems show with that power; p->difference is not
 * read. Above p->flips (so: none) where even the largest is not shown: NaN. */
double pipe_power_difference(const struct pipe_power *p, uint32_t n, double power);
/* The normal formula, not rounded. */
double pipe_power_problems_normal(const struct pipe_power *p, double power);

#endif

/* pipeline/stats/power.c
 * Sample sizes and least differences of the exact paired test, by summing over all
 * outcomes. */
#include "pipeline/stats/power.h"

#include "pipeline/stats/binomial.h"

#include <assert.h>
#include <math.h>

static const double LEVEL = 0.05, Z_LEVEL = 1.959963984540054;

enum { HALVINGS = 60 };

static double p_value(uint64_t least, uint64_t m, bool mid)
{
    if (2 * least == m)
        return 1.0;
    const double lower = 2.0 * pipe_binomial_lower(least, m, 0.5, 0.5);
    return mid ? lower - pipe_binomial_mass(least, m, 0.5, 0.5) : lower;
}

/* P[at most c or at least m - c of m], each with probability `share`. */
static double both_tails(int64_t c, uint64_t m, double share)
{
    if (c < 0)
        return 0.0;
    return pipe_binomial_lower((uint64_t)c, m, share, 1.0 - share) +
           pipe_binomial_lower((uint64_t)c, m, 1.0 - share, share);
}

double pipe_power_of(const struct pipe_power *p, uint32_t n)
{
    assert(p->flips > 0.0 && p->flips <= 1.0 && fabs(p->difference) <= p->flips);
    const double share = (1.0 + fabs(p->difference) / p->flips) / 2.0;
    const double middle = n * p->flips;
    const double reach = 9.0 * sqrt(middle * (1.0 - p->flips)) + 30.0;
    const uint64_t from = middle > reach ? (uint64_t)(middle - reach) : 0;
    double sum = 0.0;
    int64_t c = -1; /* the test rejects at up to c of m; c grows with m */
    for (uint64_t m = from; m <= n && (double)m <= middle + reach; m++) {
        if (m == from && m > 0) {
            /* normal start, safely below; the loop under it finds the exact place */
            c = (int64_t)floor((double)m / 2.0 - 1.2 * sqrt((double)m) - 3.0);
            c = c < -1 ? -1 : c;
        }
        while (2 * (c + 1) < (int64_t)m && p_value((uint64_t)(c + 1), m, p->mid) <= LEVEL)
            c++;
        sum +=
            pipe_binomial_mass(m, n, p->flips, 1.0 - p->flips) * both_tails(c, m, share);
    }
    return sum;
}

uint32_t pipe_power_problems(const struct pipe_power *p, double power)
{
    uint32_t low = 0, high = PIPE_POWER_PROBLEMS_MAX;
    const double guess = pipe_power_problems_normal(p, power);
    /* A bracket around the normal answer first: the search is cheap for small n. */
    if (guess * 1.3 + 50.0 < high &&
        pipe_power_of(p, (uint32_t)(guess * 1.3 + 50)) >= power)
        high = (uint32_t)(guess * 1.3 + 50);
    else if (!(guess <= high) || !(pipe_power_of(p, high) >= power))
        return 0;
    while (high - low > 1) {
        const uint32_t middle = low + (high - low) / 2;
        if (pipe_power_of(p, middle) >= power)
            high = middle;
        else
            low = middle;
    }
    return high;
}

double pipe_power_difference(const struct pipe_power *p, uint32_t n, double power)
{
    struct pipe_power at = *p;
    double low = 0.0, high = p->flips;
    at.difference = high;
    if (!(pipe_power_of(&at, n) >= power))
        return NAN;
    for (int i = 0; i < HALVINGS && high - low > 1e-12; i++) {
        at.difference = (low + high) / 2.0;
        if (pipe_power_of(&at, n) >= power)
            high = at.difference;
        else
            low = at.difference;
    }
    return high;
}

/* The z that a standard normal variable exceeds with probability 1 - p. */
static double normal_quantile(double p)
{
    double low = -40.0, high = 40.0;
    for (int i = 0; i < 2 * HALVINGS; i++) {
        const double middle = (low + high) / 2.0;
        if (erfc(-middle / sqrt(2.0)) / 2.0 < p)
            low = middle;
        else
            high = middle;
    }
    return high;
}

double pipe_power_problems_normal(const struct pipe_power *p, double power)
{
    const double d = p->difference;
    const double root = Z_LEVEL * sqrt(p->flips) +
                        normal_quantile(power) * sqrt(fmax(0.0, p->flips - d * d));
    return root * root / (d * d);
}

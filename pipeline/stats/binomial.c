/* pipeline/stats/binomial.c
 * The binomial distribution of binomial.h: masses by Loader's method, tails summed
 * away from the mean. */
#include "pipeline/stats/binomial.h"

#include <assert.h>
#include <math.h>

static const double TWO_PI = 6.283185307179586;

/* What Stirling's formula leaves of log n!, n > 0. */
static double stirling_error(double n)
{
    if (n < 16.0) {
        double factorial = 1.0; /* exact up to 18! */
        for (double i = 2.0; i <= n; i += 1.0)
            factorial *= i;
        return log(factorial) - (n + 0.5) * log(n) + n - 0.5 * log(TWO_PI);
    }
    const double r = 1.0 / (n * n);
    return (1.0 / 12 - r * (1.0 / 360 - r * (1.0 / 1260 - r * (1.0 / 1680 - r / 1188)))) /
           n;
}

/* x log(x / m) + m - x; a series where x is near m, for there the terms cancel. */
static double deviance(double x, double m)
{
    if (fabs(x - m) >= 0.1 * (x + m))
        return x * log(x / m) + m - x;
    const double v = (x - m) / (x + m);
    double sum = (x - m) * v, term = 2.0 * x * v;
    for (double j = 3.0;; j += 2.0) {
        term *= v * v;
        const double next = sum + term / j;
        if (next == sum)
            return sum;
        sum = next;
    }
}

/* log p where p may be so near to 1 that only q still tells it apart. */
static double log_share(double p, double q)
{
    return q < 0.5 ? log1p(-q) : log(p);
}

double pipe_binomial_mass(uint64_t k, uint64_t n, double p, double q)
{
    assert(k <= n);
    const double a = (double)k, b = (double)(n - k), all = (double)n;
    if (p <= 0.0 || q <= 0.0)
        return (p <= 0.0 ? k == 0 : k == n) ? 1.0 : 0.0;
    if (k == 0)
        return exp(all * log_share(q, p));
    if (k == n)
        return exp(all * log_share(p, q));
    const double log_mass = stirling_error(all) - stirling_error(a) - stirling_error(b) -
                            deviance(a, all * p) - deviance(b, all * q);
    return exp(log_mass) * sqrt(all / (TWO_PI * a * b));
}

double pipe_binomial_lower(uint64_t k, uint64_t n, double p, double q)
{
    assert(k <= n);
    if (k == n)
        return 1.0;
    if ((double)k > (double)n * p) /* the other tail is the small one */
        return 1.0 - pipe_binomial_lower(n - k - 1, n, q, p);
    double term = pipe_binomial_mass(k, n, p, q), sum = term;
    const double odds = q / p;
    for (uint64_t i = k; i > 0 && term > sum * 1e-24; i--) {
        term *= (double)i / (double)(n - i + 1) * odds;
        sum += term;
    }
    return sum;
}

double pipe_binomial_low(uint64_t k, uint64_t n, double tail)
{
    assert(k > 0 && k <= n && tail > 0.0 && tail <= 0.5);
    double low = 0.0, high = (double)k / (double)n;
    if (2 * k > n) /* the complement is the small number that must be exact */
        return 1.0 - pipe_binomial_high(n - k, n, tail);
    for (;;) { /* down to neighbouring numbers, for the bound may be tiny */
        const double middle = low + (high - low) / 2.0;
        if (middle <= low || middle >= high)
            return high;
        if (pipe_binomial_lower(n - k, n, 1.0 - middle, middle) < tail)
            low = middle;
        else
            high = middle;
    }
}

double pipe_binomial_high(uint64_t k, uint64_t n, double tail)
{
    assert(k < n && tail > 0.0 && tail <= 0.5);
    double low = (double)k / (double)n, high = 1.0;
    if (2 * k > n)
        return 1.0 - pipe_binomial_low(n - k, n, tail);
    for (;;) {
        const double middle = low + (high - low) / 2.0;
        if (middle <= low || middle >= high)
            return low;
        if (pipe_binomial_lower(k, n, middle, 1.0 - middle) < tail)
            high = middle;
        else
            low = middle;
    }
}

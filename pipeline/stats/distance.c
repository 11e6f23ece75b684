/* pipeline/stats/distance.c
 * Distances between two next-token distributions, from their logits, with sums that
 * keep their digits. */
#include "pipeline/stats/distance.h"

#include <assert.h>
#include <math.h>

/* A sum with the rounding error of its additions carried along (Neumaier). */
struct sum {
    double value, lost;
};

static void sum_add(struct sum *s, double x)
{
    const double next = s->value + x;
    s->lost += fabs(s->value) >= fabs(x) ? (s->value - next) + x : (x - next) + s->value;
    s->value = next;
}

/* What is needed of one distribution: log p(i) = (logit[i] - logit[top]) - log_rest. */
struct shape {
    uint32_t top;
    double best, second; /* the two largest logits */
    double log_rest;     /* log of (1 + the other tokens' weight against the top's) */
};

static struct shape shape_of(const double *logit, uint32_t n)
{
    struct shape s = { 0, logit[0], -INFINITY, 0.0 };
    for (uint32_t i = 1; i < n; i++) {
        if (logit[i] > s.best) {
            s.second = s.best;
            s.best = logit[i];
            s.top = i;
        } else if (logit[i] > s.second) {
            s.second = logit[i];
        }
    }
    struct sum rest = { 0 };
    for (uint32_t i = 0; i < n; i++)
        if (i != s.top)
            sum_add(&rest, exp(logit[i] - s.best));
    s.log_rest = log1p(rest.value + rest.lost);
    return s;
}

static double log_p(const struct shape *s, const double *logit, uint32_t i)
{
    return (logit[i] - s->best) - s->log_rest;
}

/* p log(p/q) - p + q, which is never negative and sums to the divergence as well. x is
 * log(q/p): for small x a series, because the terms nearly cancel. */
static double divergence(double log_of_p, double log_of_q)
{
    const double p = exp(log_of_p), x = log_of_q - log_of_p;
    if (log_of_p == -INFINITY)
        return exp(log_of_q);
    if (fabs(x) >= 0.5)
        return (exp(log_of_q) - p) - (p > 0.0 ? p * x : 0.0);
    double term = x * x / 2.0, sum = 0.0;
    for (double i = 3.0; sum + term != sum; i += 1.0) {
        sum += term;
        term *= x / i;
    }
    return p * sum;
}

static double margin(const struct shape *s)
{
    return s->best - s->second;
}

void pipe_distance_of(const double *base, const double *other, uint32_t n, uint32_t token,
                      struct pipe_distance *out)
{
    assert(n >= 2 && token < n);
    const struct shape b = shape_of(base, n), o = shape_of(other, n);
    struct sum kl = { 0 };
    for (uint32_t i = 0; i < n; i++)
        sum_add(&kl, divergence(log_p(&b, base, i), log_p(&o, other, i)));
    const double log_b = log_p(&b, base, token), log_o = log_p(&o, other, token);
    const double p_b = exp(log_b), p_o = exp(log_o);
    *out = (struct pipe_distance){
        /* an infinite term makes the carried error meaningless */
        .kl = isinf(kl.value) ? kl.value : kl.value + kl.lost,
        .delta_p = fabs(log_o - log_b) < 0.5 ? p_b * expm1(log_o - log_b) : p_o - p_b,
        .nll_base = -log_b,
        .nll_other = -log_o,
        .same_top = b.top == o.top,
        .margin_base = margin(&b),
        .margin_other = margin(&o),
    };
}

/* pipeline/stats/distance.h
 * How far one model's next-token distribution lies from another's, from the logits of
 * both at one position. Natural logarithms. Sums are arranged so that distances of 1e-20
 * and of 1e3 both keep their digits. */
#ifndef PIPELINE_STATS_DISTANCE_H
#define PIPELINE_STATS_DISTANCE_H

#include <stdbool.h>
#include <stdint.h>

struct pipe_distance {
    double kl;                        /* KL(base || other), nats; never negative */
    double delta_p;                   /* p_other(token) - p_base(token) */
    double nll_base, nll_other;       /* -log p(token) */
    bool same_top;                    /* both like the same token best */
    double margin_base, margin_other; /* log p of the best token less that of the next */
};

/* `n` >= 2 logits each, token < n. A logit of -infinity is a token that cannot come; KL is
 * infinite where base allows what other does not. Ties: the lower id is the top. */
void pipe_distance_of(const double *base, const double *other, uint32_t n, uint32_t token,
                      struct pipe_distance *out);

#endif

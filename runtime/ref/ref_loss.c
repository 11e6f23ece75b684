/* runtime/ref/ref_loss.c
 * Twins of shaders/loss/: statistics of logits, losses and their gradients, sampling. */
#include "runtime/ref/ref.h"

#include "runtime/base/philox.h"

#include <math.h>
#include <string.h>

/* Statistic rows mix words and numbers; in the double build numbers take the place of
 * words, so that one struct of reals serves (ids are exact in either). */
static void put_id(real *stat, uint32_t i, uint32_t id)
{
#ifdef REF_DOUBLE
    stat[i] = id;
#else
    memcpy(&stat[i], &id, sizeof id);
#endif
}

static uint32_t get_id(const real *stat, uint32_t i)
{
#ifdef REF_DOUBLE
    return (uint32_t)stat[i];
#else
    uint32_t id;
    memcpy(&id, &stat[i], sizeof id);
    return id;
#endif
}

/* log sum exp of scale * z, skipping what is not finite; its maximum in *most. */
static double log_sum_exp(const real *z, uint32_t n, double scale, double *most)
{
    *most = -INFINITY;
    for (uint32_t v = 0; v < n; v++)
        if (isfinite(z[v]) && scale * z[v] > *most)
            *most = scale * z[v];
    double sum = 0;
    for (uint32_t v = 0; v < n; v++)
        if (isfinite(z[v]))
            sum += exp(scale * z[v] - *most);
    return *most + log(sum);
}

void REF(logits_stat)(const void *push, void *const *b)
{
    const struct logits_stat_push *p = push;
    const uint32_t *target = b[1];
    for (uint32_t r = 0; r < p->rows; r++) {
        const real *z = (const real *)b[0] + (size_t)r * p->ldl;
        real *stat = (real *)b[2] + (size_t)r * 8;
        uint32_t best = 0, second = 0, broken = 0;
        real top = -INFINITY, next = -INFINITY;
        for (uint32_t v = 0; v < p->vocab; v++) {
            if (!isfinite(z[v])) {
                broken++;
                continue;
            }
            if (z[v] > top) {
                second = best;
                next = top;
                best = v;
                top = z[v];
            } else if (z[v] > next) {
                second = v;
                next = z[v];
            }
        }
        double most;
        const uint32_t id = target[r] < p->vocab ? target[r] : best;
        put_id(stat, 0, best);
        put_id(stat, 1, second);
        stat[2] = top;
        stat[3] = next;
        stat[4] = (real)log_sum_exp(z, p->vocab, 1, &most);
        put_id(stat, 5, id);
        stat[6] = z[id];
        put_id(stat, 7, broken);
    }
}

void REF(ce_back)(const void *push, void *const *b)
{
    const struct ce_back_push *p = push;
    const real *seed = b[1];
    for (uint32_t r = 0; r < p->rows; r++) {
        const real *stat = (const real *)b[0] + (size_t)r * 8;
        real *z = (real *)b[3] + (size_t)r * p->ldl;
        const uint32_t target = get_id(stat, 5);
        for (uint32_t v = 0; v < p->ldl; v++) {
            const double one = v == target ? 1 : 0;
            z[v] = v < p->vocab
                       ? (real)(seed[r] * (one - exp((double)z[v] - (double)stat[4])))
                       : 0;
        }
    }
}

/* The greatest logit's id; *broken where the row has no meaning as probabilities. */
static uint32_t best_id(const real *z, uint32_t n, int *broken)
{
    uint32_t best = 0;
    real top = -INFINITY;
    for (uint32_t v = 0; v < n; v++) {
        *broken |= isnan(z[v]) || (isinf(z[v]) && z[v] > 0);
        if (z[v] > top) {
            top = z[v];
            best = v;
        }
    }
    *broken |= isinf(top);
    return best;
}

void REF(kl)(const void *push, void *const *b)
{
    const struct kl_push *p = push;
    const real *weight = b[1];
    for (uint32_t r = 0; r < p->rows; r++) {
        const real *zp = (const real *)b[0] + (size_t)r * p->ldl;
        real *zq = (real *)b[2] + (size_t)r * p->ldl;
        real *stat = (real *)b[3] + (size_t)r * 4;
        int broken = 0;
        const uint32_t best_p = best_id(zp, p->vocab, &broken);
        const uint32_t best_q = best_id(zq, p->vocab, &broken);
        double most_p, most_q, kl = 0;
        const double lse_p = log_sum_exp(zp, p->vocab, p->inv_temp, &most_p);
        const double lse_q = log_sum_exp(zq, p->vocab, p->inv_temp, &most_q);
        for (uint32_t v = 0; v < p->ldl; v++) {
            const double lp = p->inv_temp * (double)zp[v] - lse_p;
            const double lq = p->inv_temp * (double)zq[v] - lse_q;
            if (v < p->vocab && exp(lp) > 0)
                kl += exp(lp) * (lp - lq);
            if (p->want_grad)
                zq[v] = v >= p->vocab ? 0
                        : broken      ? (real)NAN
                                 : (real)(weight[r] * p->inv_temp * (exp(lq) - exp(lp)));
        }
        stat[0] = broken ? (real)NAN : (real)kl;
        put_id(stat, 1, best_p);
        put_id(stat, 2, best_q);
        put_id(stat, 3, best_p == best_q);
    }
}

/* Loss of h (for IPO: of u) and its derivative. */
static double preference(uint32_t loss, double h, double *slope)
{
    if (loss == DPO_HINGE) {
        *slope = h < 1 ? -1 : 0;
        return h < 1 ? 1 - h : 0;
    }
    if (loss == DPO_IPO) {
        *slope = 2 * h;
        return h * h;
    }
    *slope = -1 / (1 + exp(h));
    return h > 0 ? log1p(exp(-h)) : -h + log1p(exp(h));
}

/* Sum over a range of log p, and of log p - reference. */
static double range_sum(const real *stat, const real *ref, const uint32_t *range,
                        double *difference)
{
    double sum = 0, d = 0;
    for (uint32_t t = range[0]; t < range[0] + range[1]; t++) {
        const double logp =
            (double)stat[8 * (size_t)t + 6] - (double)stat[8 * (size_t)t + 4];
        sum += logp;
        d += logp - (double)ref[t];
    }
    *difference = d;
    return sum;
}

void REF(dpo)(const void *push, void *const *b)
{
    const struct dpo_push *p = push;
    const real *stat = b[0], *ref = b[1];
    const uint32_t *pair = b[2];
    real *seed = b[4], *out = b[5];
    double chosen_tokens = 0;
    for (uint32_t i = 0; i < p->pairs; i++)
        chosen_tokens += pair[4 * i + 1];
    for (uint32_t i = 0; i < p->pairs; i++, pair += 4, out += 8) {
        double dc, dr, slope;
        const double pc = range_sum(stat, ref, pair, &dc);
        const double pr = range_sum(stat, ref, pair + 2, &dr);
        const int ipo = p->loss == DPO_IPO;
        const double wc = ipo ? 1.0 / pair[1] : 1, wr = ipo ? 1.0 / pair[3] : 1;
        dc *= wc;
        dr *= wr;
        const double h = ipo ? dc - dr - 1 / (2 * (double)p->beta) : p->beta * (dc - dr);
        const double loss = preference(p->loss, h, &slope);
        const double step = slope * (ipo ? 1.0 : (double)p->beta) / p->pairs;
        /* Weight of one chosen token's -log p in the supervised term, times pairs. */
        const double each = p->sft_norm ? p->pairs / chosen_tokens : 1.0 / pair[1];
        for (uint32_t t = pair[0]; t < pair[0] + pair[1]; t++)
            seed[t] = (real)(step * wc - p->sft * each / p->pairs);
        for (uint32_t t = pair[2]; t < pair[2] + pair[3]; t++)
            seed[t] = (real)(-step * wr);
        out[0] = (real)loss;
        out[1] = (real)dc;
        out[2] = (real)dr;
        out[3] = (real)h;
        out[4] = (real)pc;
        out[5] = (real)pr;
        out[6] = (real)(-pc * each);
        out[7] = 0;
    }
}

/* Mass of the ids whose probability is at least `cut`. */
static double mass_above(const real *z, uint32_t n, double scale, double lse, double cut)
{
    double mass = 0;
    for (uint32_t v = 0; v < n; v++) {
        const double prob = exp(scale * z[v] - lse);
        mass += prob >= cut ? prob : 0;
    }
    return mass;
}

enum { NUCLEUS_STEPS = 24 };

void REF(sample)(const void *push, void *const *b)
{
    const struct sample_push *p = push;
    const uint32_t *meta = b[1];
    uint32_t *out = b[2];
    for (uint32_t r = 0; r < p->rows; r++) {
        const real *z = (const real *)b[0] + (size_t)r * p->ldl;
        double most;
        const double lse = log_sum_exp(z, p->vocab, p->inv_temp, &most);
        double low = 0, high = exp(most - lse);
        for (int i = 0; p->top_p < 1 && i < NUCLEUS_STEPS; i++) {
            const double middle = 0.5 * (low + high);
            if (mass_above(z, p->vocab, p->inv_temp, lse, middle) >= p->top_p)
                low = middle;
            else
                high = middle;
        }
        uint32_t count = 0, best = 0;
        double top = -INFINITY;
        for (uint32_t v = 0; v < p->vocab; v++) {
            const double score = p->inv_temp * (double)z[v] - lse;
            if (!(exp(score) >= low))
                continue;
            const uint32_t word = philox_word(v, meta[4 * r + 2], meta[4 * r],
                                              meta[4 * r + 1], p->seed_low, p->seed_high);
            const double u = ((double)(word >> 9) + 0.5) * (1.0 / 8388608.0);
            const double gumbel = score - log(-log(u));
            count++;
            if (gumbel > top) {
                top = gumbel;
                best = v;
            }
        }
        out[r] = best;
        out[p->rows + r] = count;
    }
}

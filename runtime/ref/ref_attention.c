/* runtime/ref/ref_attention.c
 * Twins of shaders/attention/: rotary embedding, causal attention over contiguous or
 * paged keys, and its gradients. */
#include "runtime/ref/ref.h"

#include "runtime/op/weight.h"

#include <math.h>

static void rotate(real *v, const float *table, uint32_t hd, int inverse)
{
    const uint32_t half = hd / 2;
    for (uint32_t i = 0; i < half; i++) {
        const double c = table[2 * i], s = inverse ? -table[2 * i + 1] : table[2 * i + 1];
        const double a = v[i], b = v[i + half];
        v[i] = (real)(a * c - b * s);
        v[i + half] = (real)(b * c + a * s);
    }
}

/* n elements of a cache from element `at` on. */
static void store(void *cache, size_t at, const real *values, uint32_t n, bool halves)
{
    for (uint32_t c = 0; c < n; c++)
        if (halves)
            ((uint16_t *)cache)[at + c] = rt_half_from_float((float)values[c]);
        else
            ((real *)cache)[at + c] = values[c];
}

/* The same read: where they lie, or as floats in `room`. */
static const real *load(const void *cache, size_t at, uint32_t n, bool halves, real *room)
{
    if (!halves)
        return (const real *)cache + at;
    for (uint32_t c = 0; c < n; c++)
        room[c] = rt_half_to_float(((const uint16_t *)cache)[at + c]);
    return room;
}

void REF(rope)(const void *push, void *const *b)
{
    const struct rope_push *p = push;
    const float *table = b[0];
    const uint32_t *meta = b[1];
    for (uint32_t r = 0; r < p->rows; r++) {
        const uint32_t last = p->positions - 1;
        const uint32_t position = meta[4 * r] < last ? meta[4 * r] : last;
        const float *angles = table + (size_t)position * p->hd;
        real *row = (real *)b[2] + (size_t)r * p->ldx;
        for (uint32_t h = 0; h < p->heads_q; h++)
            rotate(row + p->offq + (size_t)h * p->hd, angles, p->hd, p->inverse != 0);
        for (uint32_t h = 0; h < p->heads_k; h++)
            rotate(row + p->offk + (size_t)h * p->hd, angles, p->hd, p->inverse != 0);
        if (!p->store || meta[4 * r + 1] == 0xffffffff)
            continue;
        const size_t at = (size_t)meta[4 * r + 1] * p->ldc;
        const uint32_t n = p->heads_k * p->hd;
        store(b[3], at, row + p->offk, n, p->halves != 0);
        store(b[3], at + n, row + p->offv, n, p->halves != 0);
    }
}

static double dot(const real *a, const real *b, uint32_t n)
{
    double sum = 0;
    for (uint32_t c = 0; c < n; c++)
        sum += (double)a[c] * (double)b[c];
    return sum;
}

/* Row of key j. */
static size_t key_row(uint32_t page, const uint32_t *table, uint32_t base, uint32_t j)
{
    return page == 0 ? base + j : (size_t)table[base + j / page] * page + j % page;
}

void REF(attention)(const void *push, void *const *b)
{
    const struct attention_push *p = push;
    const uint32_t *meta = b[3], *table = b[4];
    const bool halves = p->halves != 0;
    real room[2][512];
    for (uint32_t r = 0; r < p->rows; r++)
        for (uint32_t h = 0; h < p->heads; h++) {
            const uint32_t position = meta[4 * r], base = meta[4 * r + 1];
            const size_t kv = (size_t)(h / (p->heads / p->heads_k)) * p->hd;
            const real *q =
                (const real *)b[0] + (size_t)r * p->ldq + p->offq + (size_t)h * p->hd;
            real *o = (real *)b[5] + (size_t)r * p->ldo + p->offo + (size_t)h * p->hd;
            double most = -INFINITY, sum = 0, acc[512] = { 0 };
            for (uint32_t j = 0; j <= position; j++) {
                const size_t row = key_row(p->page, table, base, j);
                const real *k =
                    load(b[1], row * p->ldk + p->offk + kv, p->hd, halves, room[0]);
                const real *v =
                    load(b[2], row * p->ldv + p->offv + kv, p->hd, halves, room[1]);
                const double score = p->scale * dot(q, k, p->hd);
                const double top = score > most ? score : most;
                const double keep = exp(most - top), e = exp(score - top);
                most = top;
                sum = sum * keep + e;
                for (uint32_t c = 0; c < p->hd; c++)
                    acc[c] = acc[c] * keep + e * v[c];
            }
            for (uint32_t c = 0; c < p->hd; c++)
                o[c] = (real)(acc[c] / sum);
            if (p->want_lse)
                ((real *)b[6])[(size_t)r * p->heads + h] = (real)(most + log(sum));
        }
}

void REF(attention_back_q)(const void *push, void *const *b)
{
    const struct attention_back_q_push *p = push;
    const uint32_t *meta = b[3];
    for (uint32_t r = 0; r < p->rows; r++)
        for (uint32_t h = 0; h < p->heads; h++) {
            const size_t head = (size_t)h * p->hd;
            const size_t kv = (size_t)(h / (p->heads / p->heads_k)) * p->hd;
            const real *q = (const real *)b[0] + (size_t)r * p->ldq + p->offq + head;
            const real *o = (const real *)b[4] + (size_t)r * p->ldo + p->offo + head;
            const real *g = (const real *)b[4] + (size_t)r * p->ldo + p->offdo + head;
            const double lse = ((const real *)b[5])[(size_t)r * p->heads + h];
            const double delta = dot(g, o, p->hd);
            double acc[512] = { 0 };
            for (uint32_t j = 0; j <= meta[4 * r]; j++) {
                const size_t row = meta[4 * r + 1] + j;
                const real *k = (const real *)b[1] + row * p->ldk + p->offk + kv;
                const real *v = (const real *)b[2] + row * p->ldv + p->offv + kv;
                const double e = exp(p->scale * dot(q, k, p->hd) - lse);
                const double ds = e * (dot(g, v, p->hd) - delta);
                for (uint32_t c = 0; c < p->hd; c++)
                    acc[c] += ds * k[c];
            }
            real *dq = (real *)b[6] + (size_t)r * p->lddq + p->offdq + head;
            for (uint32_t c = 0; c < p->hd; c++)
                dq[c] = (real)(p->scale * acc[c]);
            ((real *)b[7])[(size_t)r * p->heads + h] = (real)delta;
        }
}

void REF(attention_back_kv)(const void *push, void *const *b)
{
    const struct attention_back_kv_push *p = push;
    const uint32_t *meta = b[3];
    const uint32_t shared = p->heads / p->heads_k;
    for (uint32_t r = 0; r < p->rows; r++)
        for (uint32_t hk = 0; hk < p->heads_k; hk++) {
            const size_t kv = (size_t)hk * p->hd;
            const real *k = (const real *)b[1] + (size_t)r * p->ldk + p->offk + kv;
            const real *v = (const real *)b[2] + (size_t)r * p->ldv + p->offv + kv;
            double dk[512] = { 0 }, dv[512] = { 0 };
            for (uint32_t h = hk * shared; h < (hk + 1) * shared; h++)
                for (uint32_t i = r; i < meta[4 * r + 2]; i++) {
                    const size_t head = (size_t)h * p->hd;
                    const real *q =
                        (const real *)b[0] + (size_t)i * p->ldq + p->offq + head;
                    const real *g =
                        (const real *)b[4] + (size_t)i * p->ldo + p->offdo + head;
                    const double lse = ((const real *)b[5])[(size_t)i * p->heads + h];
                    const double delta = ((const real *)b[6])[(size_t)i * p->heads + h];
                    const double e = exp(p->scale * dot(q, k, p->hd) - lse);
                    const double ds = e * (dot(g, v, p->hd) - delta);
                    for (uint32_t c = 0; c < p->hd; c++) {
                        dk[c] += ds * q[c];
                        dv[c] += e * g[c];
                    }
                }
            real *out = (real *)b[7] + (size_t)r * p->lddk + kv;
            for (uint32_t c = 0; c < p->hd; c++) {
                out[p->offdk + c] = (real)(p->scale * dk[c]);
                out[p->offdv + c] = (real)dv[c];
            }
        }
}

#include "runtime/quant/lowrank.h"

#include <lapacke.h>
#include <math.h>
#include <string.h>

static rt_status no_memory(struct rt_ctx *ctx)
{
    return rt_fail(ctx, RT_ERR_HOST_MEMORY, "low-rank start: no host memory");
}

/* out = V diag(d) V^T, V column j in v[.][j], all [n][n] row-major. */
static void from_eigen(const double *v, const double *d, uint32_t n, double *out)
{
    memset(out, 0, (size_t)n * n * sizeof *out);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < n; k++) {
            const double f = v[(size_t)i * n + k] * d[k];
            for (uint32_t j = 0; j < n; j++)
                out[(size_t)i * n + j] += f * v[(size_t)j * n + k];
        }
}

rt_status quant_roots_init(struct rt_ctx *ctx, const double *moment, uint32_t in,
                           double damping, struct quant_roots *out)
{
    rt_status st = RT_OK;
    const size_t count = (size_t)in * in;
    *out = (struct quant_roots){ .in = in };
    double *v = rt_alloc(ctx, count, sizeof *v),
           *d = rt_alloc(ctx, 3 * (size_t)in, sizeof *d);
    out->root = rt_alloc(ctx, count, sizeof *out->root);
    out->inverse = rt_alloc(ctx, count, sizeof *out->inverse);
    if (!v || !d || !out->root || !out->inverse) {
        st = no_memory(ctx);
        goto fail;
    }
    double mean = 0;
    for (uint32_t i = 0; i < in; i++)
        mean += moment[(size_t)i * in + i] / in;
    memcpy(v, moment, count * sizeof *v);
    for (uint32_t i = 0; i < in; i++)
        v[(size_t)i * in + i] += damping * mean;
    if (!(mean > 0) ||
        LAPACKE_dsyevd(LAPACK_ROW_MAJOR, 'V', 'U', (int)in, v, (int)in, d) != 0) {
        st = rt_fail(ctx, RT_ERR_INTERNAL,
                     "low-rank start: the second moment of a layer's input has no "
                     "eigenvalues (all inputs zero?)");
        goto fail;
    }
    for (uint32_t i = 0; i < in; i++) {
        const double value = d[i] > 1e-12 * mean ? d[i] : 1e-12 * mean;
        d[in + i] = sqrt(value);
        d[2 * in + i] = 1 / sqrt(value);
    }
    from_eigen(v, d + in, in, out->root);
    from_eigen(v, d + 2 * in, in, out->inverse);

fail:
    rt_free(v);
    rt_free(d);
    if (st != RT_OK)
        quant_roots_deinit(out);
    return st;
}

void quant_roots_deinit(struct quant_roots *roots)
{
    rt_free(roots->root);
    rt_free(roots->inverse);
    *roots = (struct quant_roots){ 0 };
}

/* c [m][n] = a [m][k] b [k][n]. */
static void multiply(const double *a, const double *b, uint32_t m, uint32_t k, uint32_t n,
                     double *c)
{
    memset(c, 0, (size_t)m * n * sizeof *c);
    for (uint32_t i = 0; i < m; i++)
        for (uint32_t p = 0; p < k; p++) {
            const double f = a[(size_t)i * k + p];
            for (uint32_t j = 0; j < n; j++)
                c[(size_t)i * n + j] += f * b[(size_t)p * n + j];
        }
}

rt_status quant_lowrank(struct rt_ctx *ctx, const float *w, const float *wq, uint32_t out,
                        uint32_t in, const struct quant_roots *roots, uint32_t rank,
                        float scale, float *a, float *b)
{
    rt_status st = RT_OK;
    const uint32_t few = out < in ? out : in;
    const size_t count = (size_t)out * in;
    double *d = rt_alloc(ctx, count, sizeof *d), *m = rt_alloc(ctx, count, sizeof *m);
    double *u = rt_alloc(ctx, (size_t)out * few, sizeof *u);
    double *vt = rt_alloc(ctx, (size_t)few * in, sizeof *vt);
    double *s = rt_alloc(ctx, few, sizeof *s),
           *rows = rt_alloc(ctx, (size_t)rank * in, sizeof *rows);
    if (!d || !m || !u || !vt || !s || !rows) {
        st = no_memory(ctx);
        goto fail;
    }
    for (size_t i = 0; i < count; i++)
        d[i] = (double)w[i] - (double)wq[i];
    multiply(d, roots->root, out, in, in, m);
    if (LAPACKE_dgesdd(LAPACK_ROW_MAJOR, 'S', (int)out, (int)in, m, (int)in, s, u,
                       (int)few, vt, (int)in) != 0) {
        st = rt_fail(ctx, RT_ERR_INTERNAL, "low-rank start: the decomposition failed");
        goto fail;
    }
    memset(a, 0, (size_t)rank * in * sizeof *a);
    memset(b, 0, (size_t)rank * out * sizeof *b);
    const uint32_t kept = rank < few ? rank : few;
    multiply(vt, roots->inverse, kept, in, in, rows);
    for (uint32_t r = 0; r < kept; r++) {
        const double half = sqrt(s[r]);
        for (uint32_t i = 0; i < in; i++)
            a[(size_t)r * in + i] = (float)(half * rows[(size_t)r * in + i]);
        for (uint32_t o = 0; o < out; o++)
            b[(size_t)o * rank + r] =
                (float)(half * u[(size_t)o * few + r] / (double)scale);
    }

fail:
    rt_free(d);
    rt_free(m);
    rt_free(u);
    rt_free(vt);
    rt_free(s);
    rt_free(rows);
    return st;
}

/* runtime/quant/awq.c
 * The search for factors of columns, and the search for ranges of groups. */
#include "runtime/quant/awq.h"

#include "runtime/base/blas.h"
#include "runtime/quant/grid.h"
#include "runtime/quant/rtn.h"

#include <assert.h>
#include <cblas.h>
#include <float.h>
#include <math.h>
#include <string.h>

#define SMALLEST 1e-4 /* factor, and addend of a divisor */

static rt_status no_memory(struct rt_ctx *ctx, const struct quant_matrix *m)
{
    return rt_fail(ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory for '%s'", m->name);
}

/* ---- factors ---- */

/* What the search works in: for the largest matrix of the group. */
struct search {
    struct rt_ctx *ctx;
    const struct quant_options *o;
    const struct quant_matrix *matrices;
    uint32_t count;
    const double *means;
    double *weights; /* [in] mean share of the largest magnitude of the group */
    float *factors;  /* [in] under trial */
    float *scaled;   /* [out][in] */
    float *d;        /* [out][in] */
};

static float largest_of(const float *w, uint32_t n)
{
    float most = 0;
    for (uint32_t i = 0; i < n; i++)
        most = fabsf(w[i]) > most ? fabsf(w[i]) : most;
    return most;
}

static void mean_weights(struct search *s)
{
    const uint32_t in = s->matrices->in, group = quant_group(s->o, in);
    uint64_t rows = 0;
    memset(s->weights, 0, in * sizeof *s->weights);
    for (uint32_t m = 0; m < s->count; m++)
        for (uint32_t r = 0; r < s->matrices[m].out; r++, rows++)
            for (uint32_t first = 0; first < in; first += group) {
                const uint32_t n = in - first < group ? in - first : group;
                const float *w = s->matrices[m].w + (size_t)r * in + first;
                const double most = (double)largest_of(w, n) + 1e-6;
                for (uint32_t k = 0; k < n; k++)
                    s->weights[first + k] += (double)fabsf(w[k]) / most;
            }
    for (uint32_t k = 0; k < in; k++)
        s->weights[k] /= (double)rows;
}

static void factors_of(struct search *s, double ratio)
{
    const uint32_t in = s->matrices->in;
    double low = DBL_MAX, high = 0;
    for (uint32_t k = 0; k < in; k++) {
        const double f =
            pow(s->means[k], ratio) / (pow(s->weights[k], 1 - ratio) + SMALLEST);
        const double kept = f > SMALLEST ? f : SMALLEST;
        s->factors[k] = (float)kept;
        low = kept < low ? kept : low;
        high = kept > high ? kept : high;
    }
    const double norm = sqrt(low * high);
    for (uint32_t k = 0; k < in; k++) {
        const float f = (float)((double)s->factors[k] / norm);
        s->factors[k] = isfinite(f) && f > 0 ? f : 1.0f;
    }
}

/* W - Q(W s) / s of a row's group. */
static void difference(struct search *s, const float *w, const float *scaled,
                       const float *factors, uint32_t n, float *d)
{
    float scale;
    uint8_t zero;
    quant_grid_fit(s->o, scaled, n, NULL, &scale, &zero);
    quant_grid_values(s->o, scaled, n, scale, zero, d);
    for (uint32_t k = 0; k < n; k++)
        d[k] = w[k] - d[k] / factors[k];
}

static rt_status error_of(struct search *s, double *out)
{
    rt_status st = RT_OK;
    const uint32_t in = s->matrices->in, group = quant_group(s->o, in);
    *out = 0;
    for (uint32_t m = 0; m < s->count; m++) {
        const struct quant_matrix *matrix = &s->matrices[m];
        double error;
        for (uint32_t r = 0; r < matrix->out; r++) {
            const float *w = matrix->w + (size_t)r * in;
            for (uint32_t k = 0; k < in; k++)
                s->scaled[k] = w[k] * s->factors[k];
            for (uint32_t k = 0; k < in; k += group)
                difference(s, w + k, s->scaled + k, s->factors + k,
                           in - k < group ? in - k : group, s->d + (size_t)r * in + k);
        }
        TRY(quant_output_error(s->ctx, matrix, s->d, &error));
        *out += error;
    }

fail:
    return st;
}

static rt_status run_search(struct search *s, float *best)
{
    rt_status st;
    double least, error;
    const uint32_t in = s->matrices->in;
    mean_weights(s);
    for (uint32_t k = 0; k < in; k++)
        s->factors[k] = best[k] = 1.0f;
    TRY(error_of(s, &least));
    for (int i = 0; i < QUANT_AWQ_RATIOS; i++) {
        factors_of(s, (double)i / QUANT_AWQ_RATIOS);
        TRY(error_of(s, &error));
        if (error < least) {
            least = error;
            memcpy(best, s->factors, in * sizeof *best);
        }
    }
    return RT_OK;

fail:
    return st;
}

rt_status quant_awq_scale(struct rt_ctx *ctx, const struct quant_options *o,
                          const struct quant_matrix *matrices, uint32_t count,
                          const double *means, float *factors)
{
    size_t rows = 0;
    const size_t in = matrices->in;
    for (uint32_t m = 0; m < count; m++) {
        assert(matrices[m].in == in && matrices[m].moment && !matrices[m].divisors);
        rows = matrices[m].out > rows ? matrices[m].out : rows;
    }
    struct search s = { .ctx = ctx,
                        .o = o,
                        .matrices = matrices,
                        .count = count,
                        .means = means,
                        .weights = rt_alloc(ctx, in, sizeof *s.weights),
                        .factors = rt_alloc(ctx, in, sizeof *s.factors),
                        .scaled = rt_alloc(ctx, in, sizeof *s.scaled),
                        .d = rt_alloc(ctx, rows * in, sizeof *s.d) };
    const rt_status st = s.weights && s.factors && s.scaled && s.d
                             ? run_search(&s, factors)
                             : no_memory(ctx, matrices);
    rt_free(s.weights);
    rt_free(s.factors);
    rt_free(s.scaled);
    rt_free(s.d);
    return st;
}

/* ---- ranges ---- */

enum { ROWS = 256 }; /* that meet a group's moments together */

struct cutting {
    const struct quant_options *o;
    const struct quant_matrix *m;
    struct quant_codes *out;
    float *h;      /* [n][n]: the moments of the group's inputs */
    float *e, *y;  /* [ROWS][n] */
    double *least; /* [ROWS] */
};

/* One cut of `rows` rows from `row0` on. */
static void try_cut(struct cutting *c, uint32_t row0, uint32_t rows, uint32_t first,
                    uint32_t n, int cut)
{
    const uint32_t in = c->m->in, groups = quant_groups(c->o, in);
    const uint32_t group = quant_group(c->o, in);
    float scale[ROWS];
    uint8_t zero[ROWS];
    for (uint32_t r = 0; r < rows; r++) {
        const float *w = c->m->w + (size_t)(row0 + r) * in + first;
        float low, high;
        quant_grid_range(w, n, &low, &high);
        const float most = (-low > high ? -low : high) * (float)(1 - cut / 20.0);
        quant_grid_of(c->o, low < -most ? -most : low, high > most ? most : high,
                      &scale[r], &zero[r]);
        float *e = c->e + (size_t)r * n;
        quant_grid_values(c->o, w, n, scale[r], zero[r], e);
        for (uint32_t k = 0; k < n; k++)
            e[k] = w[k] - e[k];
    }
    rt_blas_threads(2.0 * rows * n * n);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)n, (int)n, 1,
                c->e, (int)n, c->h, (int)n, 0, c->y, (int)n);
    for (uint32_t r = 0; r < rows; r++) {
        const size_t at = (size_t)(row0 + r) * groups + first / group;
        double error = 0;
        for (size_t k = (size_t)r * n; k < (size_t)(r + 1) * n; k++)
            error += (double)c->e[k] * (double)c->y[k];
        if (cut > 0 && !(error < c->least[r]))
            continue;
        c->least[r] = error;
        c->out->scales[at] = scale[r];
        c->out->zeros[at] = zero[r];
    }
}

/* The moments of a group's inputs, divided as they are. */
static void load_moment(struct cutting *c, uint32_t first, uint32_t n)
{
    const float *divisors = c->m->divisors;
    for (uint32_t i = 0; i < n; i++) {
        const float *from = observe_moment_right(c->m->moment, first + i);
        for (uint32_t j = i; j < n; j++) {
            const double by =
                divisors ? (double)divisors[first + i] * (double)divisors[first + j]
                         : 1.0;
            const float h = (float)((double)from[j - i] / by);
            c->h[(size_t)i * n + j] = c->h[(size_t)j * n + i] = h;
        }
    }
}

static void cut_group(struct cutting *c, uint32_t first, uint32_t n)
{
    load_moment(c, first, n);
    for (uint32_t row = 0; row < c->m->out; row += ROWS) {
        const uint32_t rows = c->m->out - row < ROWS ? c->m->out - row : ROWS;
        for (int cut = 0; cut < QUANT_AWQ_CUTS; cut++)
            try_cut(c, row, rows, first, n, cut);
    }
}

static rt_status cut_ranges(struct rt_ctx *ctx, const struct quant_options *o,
                            const struct quant_matrix *m, struct quant_codes *out)
{
    rt_status st = RT_OK;
    const size_t in = m->in, group = o->group && o->group < m->in ? o->group : m->in;
    struct cutting c = { .o = o,
                         .m = m,
                         .out = out,
                         .h = rt_alloc(ctx, group * group, sizeof *c.h),
                         .e = rt_alloc(ctx, ROWS * group, sizeof *c.e),
                         .y = rt_alloc(ctx, ROWS * group, sizeof *c.y),
                         .least = rt_alloc(ctx, ROWS, sizeof *c.least) };
    if (!c.h || !c.e || !c.y || !c.least)
        st = no_memory(ctx, m);
    for (size_t k = 0; st == RT_OK && k < in; k += group)
        cut_group(&c, (uint32_t)k, (uint32_t)(in - k < group ? in - k : group));
    rt_free(c.h);
    rt_free(c.e);
    rt_free(c.y);
    rt_free(c.least);
    return st;
}

/* q and k enter a product of two, so that the error of one is no output error: their
 * ranges stay whole, as in the authors' program. */
static bool is_query_or_key(const char *name)
{
    const char *last = strrchr(name, '.');
    return last && (strcmp(last, ".q_proj") == 0 || strcmp(last, ".k_proj") == 0);
}

rt_status quant_awq(struct rt_ctx *ctx, const struct quant_options *o,
                    const struct quant_matrix *m, struct quant_codes *out)
{
    if (o->search || is_query_or_key(m->name))
        return quant_rtn(ctx, o, m, out);
    const rt_status st = cut_ranges(ctx, o, m, out);
    if (st == RT_OK)
        quant_grid_codes(o, m, out);
    return st;
}

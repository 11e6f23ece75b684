/* runtime/quant/awq_ranges.c
 * The search for ranges of groups: each by what it adds to the error of the outputs, beside
 * the errors of the other groups of its row. */
#include "runtime/quant/awq.h"

#include "runtime/base/blas.h"
#include "runtime/quant/grid.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

enum { ROWS = 256 /* that meet a group's moments together */ };

struct ranges {
    const struct quant_options *o;
    const struct quant_matrix *m;
    struct quant_codes *out;
    uint32_t first, n; /* columns of the group under way */
    uint32_t seen;     /* columns before this one have a range */
    float *d;          /* [out][in]: W - Q(W) by columns of the inputs as they were */
    float *h;          /* [in][n]: the moments of the group's inputs with those seen */
    float *inverse;    /* [n] of the divisors */
    float *others;     /* [ROWS][n]: twice what the other groups' errors meet */
    float *e, *y;      /* [ROWS][n] of a range that is tried */
    float *low, *high; /* [ROWS]: the whole ranges */
    double *least;     /* [ROWS] */
    double sum;        /* of `least` */
    bool has_two_ends; /* that are cut apart */
};

/* ---- the moments ---- */

/* Rows [0, seen) of the columns of the group. */
static void load_moment(struct ranges *r)
{
    const uint32_t first = r->first, n = r->n, end = first + n;
    for (uint32_t j = 0; j < first; j++)
        memcpy(r->h + (size_t)j * n, observe_moment_right(r->m->moment, j) + (first - j),
               n * sizeof *r->h);
    for (uint32_t i = first; i < end; i++) {
        const float *from = observe_moment_right(r->m->moment, i) - i;
        for (uint32_t j = i; j < end; j++)
            r->h[(size_t)i * n + j - first] = r->h[(size_t)j * n + i - first] = from[j];
        for (uint32_t j = end; j < r->seen; j++)
            r->h[(size_t)j * n + i - first] = from[j];
    }
    for (uint32_t k = 0; k < n; k++)
        r->inverse[k] = r->m->divisors ? 1 / r->m->divisors[first + k] : 1.0f;
}

static void multiply(uint32_t rows, uint32_t n, uint32_t inner, float alpha,
                     const float *a, uint32_t stride, const float *h, float add, float *y)
{
    rt_blas_threads(2.0 * rows * n * inner);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)n, (int)inner,
                alpha, a, (int)stride, h, (int)n, add, y, (int)n);
}

/* ---- one range of `rows` rows from `row0` on ---- */

static void try_range(struct ranges *r, uint32_t row0, uint32_t rows, float low_share,
                      float high_share, bool is_first)
{
    const uint32_t in = r->m->in, n = r->n, groups = quant_groups(r->o, in);
    float scale[ROWS];
    uint8_t zero[ROWS];
    for (uint32_t i = 0; i < rows; i++) {
        const float *w = r->m->w + (size_t)(row0 + i) * in + r->first;
        float *e = r->e + (size_t)i * n;
        quant_grid_of(r->o, r->low[i] * low_share, r->high[i] * high_share, &scale[i],
                      &zero[i]);
        quant_grid_values(r->o, w, n, scale[i], zero[i], e);
        for (uint32_t k = 0; k < n; k++)
            e[k] = (w[k] - e[k]) * r->inverse[k];
    }
    memcpy(r->y, r->others, (size_t)rows * n * sizeof *r->y);
    multiply(rows, n, n, 1, r->e, n, r->h + (size_t)r->first * n, 1, r->y);
    for (uint32_t i = 0; i < rows; i++) {
        const float *e = r->e + (size_t)i * n, *y = r->y + (size_t)i * n;
        const size_t at = (size_t)(row0 + i) * groups + r->first / quant_group(r->o, in);
        double error = 0;
        for (uint32_t k = 0; k < n; k++)
            error += (double)e[k] * (double)y[k];
        if (!is_first && !(error < r->least[i]))
            continue;
        r->least[i] = error;
        r->out->scales[at] = scale[i];
        r->out->zeros[at] = zero[i];
        memcpy(r->d + (size_t)(row0 + i) * in + r->first, e, n * sizeof *e);
    }
}

/* The best range of the group for `rows` rows. */
static void fit_rows(struct ranges *r, uint32_t row0, uint32_t rows)
{
    const uint32_t in = r->m->in, n = r->n;
    float *d = r->d + (size_t)row0 * in;
    for (uint32_t i = 0; i < rows; i++) {
        const size_t at = (size_t)i * in + r->first;
        memset(d + at, 0, n * sizeof *d);
        quant_grid_range(r->m->w + (size_t)row0 * in + at, n, &r->low[i], &r->high[i]);
    }
    multiply(rows, n, r->seen, 2, d, in, r->h, 0, r->others);
    if (r->has_two_ends)
        for (int i = 0; i < QUANT_AWQ_ENDS * QUANT_AWQ_ENDS; i++)
            try_range(r, row0, rows, (float)(1 - i / QUANT_AWQ_ENDS / 10.0),
                      (float)(1 - i % QUANT_AWQ_ENDS / 10.0), i == 0);
    else
        for (int i = 0; i < QUANT_AWQ_CUTS; i++)
            try_range(r, row0, rows, (float)(1 - i / 20.0), (float)(1 - i / 20.0),
                      i == 0);
    for (uint32_t i = 0; i < rows; i++)
        r->sum += r->least[i];
}

/* All groups in order. The first sweep takes those that are to come as exact. */
static void sweep(struct ranges *r, bool is_first)
{
    const uint32_t in = r->m->in, group = quant_group(r->o, in);
    r->sum = 0;
    for (uint32_t k = 0; k < in; k += group) {
        r->first = k;
        r->n = in - k < group ? in - k : group;
        r->seen = is_first ? k + r->n : in;
        load_moment(r);
        for (uint32_t row = 0; row < r->m->out; row += ROWS)
            fit_rows(r, row, r->m->out - row < ROWS ? r->m->out - row : ROWS);
    }
}

rt_status quant_awq_ranges(struct rt_ctx *ctx, const struct quant_options *o,
                           const struct quant_matrix *m, bool is_draft,
                           struct quant_codes *out)
{
    rt_status st = RT_OK;
    const size_t in = m->in, group = o->group && o->group < m->in ? o->group : m->in;
    const size_t rows = m->out < ROWS ? m->out : ROWS;
    const int sweeps = is_draft || group == in ? 1 : QUANT_AWQ_SWEEPS;
    struct ranges r = { .o = o,
                        .m = m,
                        .out = out,
                        .has_two_ends =
                            !is_draft && o->asymmetric && group <= QUANT_AWQ_ENDS_MAX,
                        .d = rt_alloc(ctx, m->out * in, sizeof *r.d),
                        .h = rt_alloc(ctx, in * group, sizeof *r.h),
                        .inverse = rt_alloc(ctx, group, sizeof *r.inverse),
                        .others = rt_alloc(ctx, rows * group, sizeof *r.others),
                        .e = rt_alloc(ctx, rows * group, sizeof *r.e),
                        .y = rt_alloc(ctx, rows * group, sizeof *r.y),
                        .low = rt_alloc(ctx, rows, sizeof *r.low),
                        .high = rt_alloc(ctx, rows, sizeof *r.high),
                        .least = rt_alloc(ctx, rows, sizeof *r.least) };
    if (!r.d || !r.h || !r.inverse || !r.others || !r.e || !r.y || !r.low || !r.high ||
        !r.least)
        st = rt_fail(ctx, RT_ERR_HOST_MEMORY, "quantize: no host memory for '%s'",
                     m->name);
    for (int i = 0; st == RT_OK && i < sweeps; i++)
        sweep(&r, i == 0);
    out->objective = sweeps == 1 ? r.sum / m->moment->weight : NAN;
    rt_free(r.d);
    rt_free(r.h);
    rt_free(r.inverse);
    rt_free(r.others);
    rt_free(r.e);
    rt_free(r.y);
    rt_free(r.low);
    rt_free(r.high);
    rt_free(r.least);
    return st;
}

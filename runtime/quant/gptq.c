/* runtime/quant/gptq.c
 * Columns are kept in the reverse of the order of visit, because LAPACK factors L L^T with
 * L lower triangular: column r is visited before column r - 1, and L is the factor M of
 * the header read backwards. */
#include "runtime/quant/gptq.h"

#include "runtime/base/blas.h"
#include "runtime/quant/grid.h"

#include <assert.h>
#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = QUANT_GPTQ_BLOCK, ROWS_MIN = 128, INNER = 32, TRIES = 4 };

struct gptq {
    struct rt_ctx *ctx;
    const struct quant_options *o;
    const struct quant_matrix *m;
    const struct quant_gptq_grid *grid;
    uint32_t *column; /* [in] of the matrix, at r: r = in - 1 is visited first */
    double *diagonal; /* [in] of the matrix' columns */
    double *l;        /* [in][in] column-major: the factor */
    uint32_t *at;     /* [in] r of each column of the matrix */
    double *error;    /* [rows][in]: w - q of the columns visited so far, at r */
    double *gained;   /* [rows][BLOCK]: what columns of a block take over, times L_rr */
    double *corner;   /* [BLOCK][BLOCK]: the block of l on the diagonal, by rows */
    uint32_t rows;    /* of the matrix that go together */
    double added;     /* to the diagonal of H */
    double damped;    /* the objective so far, with what was added */
    double squares;   /* sum of (w - q)^2 so far */
};

static rt_status no_memory(const struct gptq *g)
{
    return rt_fail(g->ctx, RT_ERR_HOST_MEMORY,
                   "quantize: no host memory for the %u x %u moments of '%s'", g->m->in,
                   g->m->in, g->m->name);
}

/* ---- order ---- */

struct visit {
    double diagonal;
    uint32_t column;
};

/* Least activation first; of equals the later column, so that it is visited later. */
static int compare_visits(const void *a, const void *b)
{
    const struct visit *x = a, *y = b;
    if (x->diagonal != y->diagonal)
        return x->diagonal < y->diagonal ? -1 : 1;
    return x->column > y->column ? -1 : x->column < y->column;
}

static rt_status make_order(struct gptq *g)
{
    const uint32_t in = g->m->in;
    struct visit *visits = rt_alloc(g->ctx, in, sizeof *visits);
    if (!visits)
        return no_memory(g);
    for (uint32_t k = 0; k < in; k++) {
        const struct visit v = { g->diagonal[k], k };
        visits[g->o->natural_order ? in - 1 - k : k] = v;
    }
    if (!g->o->natural_order)
        qsort(visits, in, sizeof *visits, compare_visits);
    for (uint32_t r = 0; r < in; r++)
        g->column[r] = visits[r].column;
    rt_free(visits);
    return RT_OK;
}

/* ---- the factor ---- */

/* The lower triangle of H in the reverse order of visit, damped. */
static void load_moment(struct gptq *g, double added)
{
    const uint32_t in = g->m->in;
    const double rows = g->m->moment->weight;
    const float *divisors = g->m->divisors;
    for (uint32_t r = 0; r < in; r++)
        g->at[g->column[r]] = r;
    for (uint32_t i = 0; i < in; i++) {
        const float *from = observe_moment_right(g->m->moment, i);
        const double by = rows * (divisors ? (double)divisors[i] : 1.0);
        const size_t r = g->at[i];
        for (uint32_t j = i; j < in; j++) {
            const size_t s = g->at[j];
            const double h = (double)from[j - i] / by;
            g->l[r < s ? r * in + s : s * in + r] =
                divisors ? h / (double)divisors[j] : h;
        }
    }
    for (uint32_t r = 0; r < in; r++)
        g->l[(size_t)r * in + r] += added;
    g->added = added;
}

/* *good false: not positive definite, however damped. */
static rt_status make_factor(struct gptq *g, bool *good)
{
    const uint32_t in = g->m->in;
    double mean = 0, damping = g->o->damping > 0 ? g->o->damping : QUANT_DAMPING;
    for (uint32_t k = 0; k < in; k++)
        mean += g->diagonal[k] / g->m->moment->weight / in;
    if (!isfinite(mean))
        return rt_fail(g->ctx, RT_ERR_INPUT,
                       "the inputs of '%s' are not finite on the calibration text: the "
                       "model's activations overflow there; use other text or another "
                       "model",
                       g->m->name);
    *good = false;
    for (int i = 0; i < TRIES && mean > 0 && !*good; i++, damping *= 10) {
        load_moment(g, damping * mean);
        rt_blas_threads((double)in * in * in / 3);
        *good = LAPACKE_dpotrf(LAPACK_COL_MAJOR, 'L', (int)in, g->l, (int)in) == 0;
    }
    return RT_OK;
}

/* ---- rounding ---- */

/* Column r of row `row`, whose values and errors are of row `row` of those: what it is
 * rounded to leaves *error. */
static void round_one(struct gptq *g, uint32_t row, uint32_t r, double gained,
                      double *error)
{
    const uint32_t k = g->column[r];
    const double w = (double)g->m->w[(size_t)row * g->m->in + k];
    *error = w - (double)g->grid->round(g->grid->user, row, k, (float)(w + gained));
}

/* Columns [first + j0, first + end) of a block, last first, of `count` rows from row0 on.
 * Their share of what columns before them gained is in `gained` already. */
static void round_inner(struct gptq *g, uint32_t row0, uint32_t count, uint32_t first,
                        uint32_t j0, uint32_t end)
{
    const uint32_t in = g->m->in;
    for (uint32_t row = 0; row < count; row++) {
        double *gained = g->gained + (size_t)row * BLOCK;
        double *error = g->error + (size_t)row * in + first;
        double damped = 0, squares = 0;
        for (uint32_t j = end; j-- > j0;) {
            const double *l = g->corner + (size_t)j * BLOCK;
            round_one(g, row0 + row, first + j, gained[j] / l[j], &error[j]);
            const double e = error[j], whole = gained[j] + e * l[j];
            damped += whole * whole;
            squares += e * e;
            for (uint32_t k = j0; k < j; k++)
                gained[k] += e * l[k];
        }
        g->damped += damped;
        g->squares += squares;
    }
}

/* Columns [first, first + n) of `count` rows from row0 on: a few at a time by scalars, and
 * what those give to the rest of the block as a product. */
static void round_block(struct gptq *g, uint32_t row0, uint32_t count, uint32_t first,
                        uint32_t n)
{
    const uint32_t in = g->m->in;
    for (uint32_t end = n; end > 0;) {
        const uint32_t inner = end % INNER ? end % INNER : INNER, j0 = end - inner;
        round_inner(g, row0, count, first, j0, end);
        rt_blas_threads(2.0 * count * j0 * inner);
        if (j0 > 0)
            cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)count, (int)j0,
                        (int)inner, 1, g->error + first + j0, (int)in,
                        g->corner + (size_t)j0 * BLOCK, BLOCK, 1, g->gained, BLOCK);
        end = j0;
    }
}

/* `count` rows from row0 on. */
static void round_rows(struct gptq *g, uint32_t row0, uint32_t count)
{
    const uint32_t in = g->m->in;
    for (uint32_t end = in; end > 0;) {
        const uint32_t n = end % BLOCK ? end % BLOCK : BLOCK, first = end - n;
        for (uint32_t j = 0; j < n; j++)
            for (uint32_t k = 0; k <= j; k++)
                g->corner[(size_t)j * BLOCK + k] =
                    g->l[(size_t)(first + k) * in + first + j];
        rt_blas_threads(2.0 * count * n * (in - end));
        if (end < in)
            cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)count, (int)n,
                        (int)(in - end), 1, g->error + end, (int)in,
                        g->l + (size_t)first * in + end, (int)in, 0, g->gained, BLOCK);
        else
            memset(g->gained, 0, (size_t)g->rows * BLOCK * sizeof *g->gained);
        round_block(g, row0, count, first, n);
        end = first;
    }
}

/* ---- the whole ---- */

static rt_status allocate(struct gptq *g)
{
    const size_t in = g->m->in;
    g->column = rt_alloc(g->ctx, in, sizeof *g->column);
    g->diagonal = rt_alloc(g->ctx, in, sizeof *g->diagonal);
    g->l = rt_alloc(g->ctx, in * in, sizeof *g->l);
    g->at = rt_alloc(g->ctx, in, sizeof *g->at);
    g->error = rt_alloc(g->ctx, (size_t)g->rows * in, sizeof *g->error);
    g->gained = rt_alloc(g->ctx, (size_t)g->rows * BLOCK, sizeof *g->gained);
    g->corner = rt_alloc(g->ctx, (size_t)BLOCK * BLOCK, sizeof *g->corner);
    return g->column && g->diagonal && g->l && g->at && g->error && g->gained && g->corner
               ? RT_OK
               : no_memory(g);
}

static void deinit(struct gptq *g)
{
    rt_free(g->column);
    rt_free(g->diagonal);
    rt_free(g->l);
    rt_free(g->at);
    rt_free(g->error);
    rt_free(g->gained);
    rt_free(g->corner);
}

rt_status quant_gptq_round(struct rt_ctx *ctx, const struct quant_options *o,
                           const struct quant_matrix *m,
                           const struct quant_gptq_grid *grid, double *objective,
                           bool *good)
{
    rt_status st;
    struct gptq g = { .ctx = ctx, .o = o, .m = m, .grid = grid };
    *good = false;
    assert(m->moment && m->moment->in == m->in && m->moment->weight > 0);
    g.rows = QUANT_GPTQ_ERRORS / m->in < ROWS_MIN ? ROWS_MIN : QUANT_GPTQ_ERRORS / m->in;
    g.rows = m->out < g.rows ? m->out : g.rows;
    TRY(allocate(&g));
    quant_diagonal(m, g.diagonal);
    TRY(make_order(&g));
    TRY(make_factor(&g, good));
    if (!*good) {
        rt_log(ctx, RT_LOG_WARNING,
               "'%s': its inputs are zero or all alike on the calibration text; it is "
               "rounded to nearest; use more text",
               m->name);
        goto fail;
    }
    for (uint32_t row = 0; row < m->out; row += g.rows)
        round_rows(&g, row, m->out - row < g.rows ? m->out - row : g.rows);
    *objective = g.damped - g.added * g.squares;

fail:
    deinit(&g);
    return st;
}

/* ---- the grid of the options ---- */

struct rounding {
    const struct quant_options *o;
    uint32_t in, group, groups;
    struct quant_codes *out;
};

static float round_value(void *user, uint32_t row, uint32_t column, float wanted)
{
    const struct rounding *r = user;
    const size_t s = (size_t)row * r->groups + column / r->group;
    const float scale = r->out->scales[s];
    const uint8_t zero = r->out->zeros[s];
    const uint8_t code = quant_grid_code(r->o, wanted, scale, zero);
    r->out->codes[(size_t)row * r->in + column] = code;
    return quant_grid_value(code, scale, zero);
}

rt_status quant_gptq(struct rt_ctx *ctx, const struct quant_options *o,
                     const struct quant_matrix *m, struct quant_codes *out)
{
    rt_status st;
    bool good;
    struct rounding r = { o, m->in, quant_group(o, m->in), quant_groups(o, m->in), out };
    const struct quant_gptq_grid grid = { round_value, &r };
    TRY(quant_grid_matrix(ctx, o, m, out));
    TRY(quant_gptq_round(ctx, o, m, &grid, &out->objective, &good));
    if (!good)
        quant_grid_codes(o, m, out);

fail:
    return st;
}

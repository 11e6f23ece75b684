/* runtime/quant/gptq.c
 * Rounding on the host, in double. */
#include "runtime/quant/gptq.h"

#include "runtime/base/blas.h"
#include "runtime/quant/gptq_impl.h"
#include "runtime/quant/grid.h"

#include <cblas.h>
#include <string.h>

enum { BLOCK = QUANT_GPTQ_BLOCK, ROWS_MIN = 128, INNER = 32 };

struct gptq {
    struct rt_ctx *ctx;
    const struct quant_matrix *m;
    const struct quant_gptq_grid *grid;
    const struct gptq_factor *f;
    double *error;  /* [rows][in]: w - q of the columns visited so far, at r */
    double *gained; /* [rows][BLOCK]: what columns of a block take over, times L_rr */
    double *corner; /* [BLOCK][BLOCK]: the block of l on the diagonal, by rows */
    uint32_t rows;  /* of the matrix that go together */
    double damped;  /* the objective so far, with what was added */
    double squares; /* sum of (w - q)^2 so far */
};

/* ---- rounding ---- */

/* Column r of row `row`, whose values and errors are of row `row` of those: what it is
 * rounded to leaves *error. */
static void round_one(struct gptq *g, uint32_t row, uint32_t r, double gained,
                      double *error)
{
    const uint32_t k = g->f->column[r];
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
                    g->f->l[(size_t)(first + k) * in + first + j];
        rt_blas_threads(2.0 * count * n * (in - end));
        if (end < in)
            cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)count, (int)n,
                        (int)(in - end), 1, g->error + end, (int)in,
                        g->f->l + (size_t)first * in + end, (int)in, 0, g->gained, BLOCK);
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
    g->error = rt_alloc(g->ctx, (size_t)g->rows * in, sizeof *g->error);
    g->gained = rt_alloc(g->ctx, (size_t)g->rows * BLOCK, sizeof *g->gained);
    g->corner = rt_alloc(g->ctx, (size_t)BLOCK * BLOCK, sizeof *g->corner);
    return g->error && g->gained && g->corner ? RT_OK
                                              : quant_gptq_no_memory(g->ctx, g->m);
}

static rt_status round_all(struct rt_ctx *ctx, const struct quant_matrix *m,
                           const struct gptq_factor *f,
                           const struct quant_gptq_grid *grid, double *objective)
{
    rt_status st;
    struct gptq g = { .ctx = ctx, .m = m, .grid = grid, .f = f };
    g.rows = QUANT_GPTQ_ERRORS / m->in < ROWS_MIN ? ROWS_MIN : QUANT_GPTQ_ERRORS / m->in;
    g.rows = m->out < g.rows ? m->out : g.rows;
    TRY(allocate(&g));
    for (uint32_t row = 0; row < m->out; row += g.rows)
        round_rows(&g, row, m->out - row < g.rows ? m->out - row : g.rows);
    *objective = g.damped - f->added * g.squares;

fail:
    rt_free(g.error);
    rt_free(g.gained);
    rt_free(g.corner);
    return st;
}

rt_status quant_gptq_round(struct rt_ctx *ctx, const struct quant_options *o,
                           const struct quant_matrix *m,
                           const struct quant_gptq_grid *grid, double *objective,
                           bool *good)
{
    rt_status st;
    struct gptq_factor f;
    TRY(quant_factor_init(ctx, o, m, &f, good));
    if (*good)
        TRY(round_all(ctx, m, &f, grid, objective));

fail:
    quant_factor_deinit(&f);
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
    struct gptq_factor f = { 0 };
    TRY(quant_grid_matrix(ctx, o, m, out));
    TRY(quant_factor_init(ctx, o, m, &f, &good));
    if (good && o->device)
        TRY(quant_gptq_on_device(ctx, o, m, &f, out));
    else if (good)
        TRY(round_all(ctx, m, &f, &grid, &out->objective));
    else
        quant_grid_codes(o, m, out);

fail:
    quant_factor_deinit(&f);
    return st;
}

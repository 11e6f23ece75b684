/* runtime/quant/lowrank.c
 * The first eigenvectors of M = D H D^T by products with D and H only. Blocks of vectors
 * are column-major, as LAPACK has them; D and H are made in double a few rows at a time. */
#include "runtime/quant/lowrank.h"

#include "runtime/base/blas.h"
#include "runtime/base/philox.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <string.h>

enum { CHUNK = 64 /* rows of D or H at once */, OVERSAMPLE = 8, STEPS_MAX = 16 };

static const double GROWTH_MIN =
    1e-4;                          /* of what is explained: a smaller step is the last */
static const double NOISE = 1e-14; /* of the first eigenvalue: rounding */

struct fit {
    struct rt_ctx *ctx;
    const struct quant_lowrank_task *task;
    double damping;    /* as added to the mean */
    uint32_t block;    /* vectors of a block */
    uint32_t most;     /* vectors that fit the basis */
    uint32_t count;    /* vectors of the basis so far */
    double *basis;     /* [most][out], orthonormal */
    double *small;     /* [most][most]: basis^T M basis, upper triangle */
    double *chunk;     /* [CHUNK][in] */
    double *z, *y;     /* [block][in] */
    double *image;     /* [block][out]: M times the newest block */
    double *vectors;   /* [rank][most]: eigenvectors of small */
    double *values;    /* [most], ascending */
    double *scratch;   /* [most][most]: small, overwritten by LAPACK */
    double *tau;       /* [block] of LAPACK */
    lapack_int *pairs; /* [2 most] of LAPACK */
};

static rt_status failed(struct rt_ctx *ctx, const char *what)
{
    return rt_fail(ctx, RT_ERR_INTERNAL,
                   "low-rank start: LAPACK's %s failed; please report it", what);
}

/* Rows [first, first + count) of D into the chunk. */
static void load_difference(struct fit *f, uint32_t first, uint32_t count)
{
    const size_t at = (size_t)first * f->task->in, n = (size_t)count * f->task->in;
    for (size_t i = 0; i < n; i++)
        f->chunk[i] = (double)f->task->w[at + i] - (double)f->task->wq[at + i];
}

static uint32_t chunk_rows(uint32_t first, uint32_t end)
{
    return end - first < CHUNK ? end - first : CHUNK;
}

/* z [n][in] = D^T x, x [n][out]. */
static void times_transposed(struct fit *f, const double *x, uint32_t n, double *z)
{
    const int out = (int)f->task->out, in = (int)f->task->in;
    memset(z, 0, (size_t)n * f->task->in * sizeof *z);
    for (uint32_t r = 0; r < f->task->out; r += CHUNK) {
        const uint32_t rows = chunk_rows(r, f->task->out);
        load_difference(f, r, rows);
        cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, in, (int)n, (int)rows, 1,
                    f->chunk, in, x + r, out, 1, z, in);
    }
}

/* y [n][in] = H z. */
static void times_moment(struct fit *f, const double *z, uint32_t n, double *y)
{
    const struct observe_moment *m = f->task->moment;
    const int in = (int)m->in;
    for (uint32_t r = 0; r < m->in; r += CHUNK) {
        const uint32_t rows = chunk_rows(r, m->in);
        observe_moment_rows(m, r, rows, f->chunk);
        cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, (int)rows, (int)n, in,
                    1 / m->weight, f->chunk, in, z, in, 0, y + r, in);
    }
    cblas_daxpy((int)(n * m->in), f->damping, z, 1, y, 1);
}

/* x [n][out] = D y. */
static void times_difference(struct fit *f, const double *y, uint32_t n, double *x)
{
    const int out = (int)f->task->out, in = (int)f->task->in;
    for (uint32_t r = 0; r < f->task->out; r += CHUNK) {
        const uint32_t rows = chunk_rows(r, f->task->out);
        load_difference(f, r, rows);
        cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, (int)rows, (int)n, in, 1,
                    f->chunk, in, y, in, 0, x + r, out);
    }
}

/* image = M x for a block, and its columns of small; the block is the basis' newest. */
static void apply(struct fit *f, uint32_t n)
{
    const int out = (int)f->task->out;
    const double *x = f->basis + (size_t)(f->count - n) * f->task->out;
    times_transposed(f, x, n, f->z);
    times_moment(f, f->z, n, f->y);
    times_difference(f, f->y, n, f->image);
    cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, (int)f->count, (int)n, out, 1,
                f->basis, out, f->image, out, 0,
                f->small + (size_t)(f->count - n) * f->most, (int)f->most);
}

/* Eigenpairs of small: the first min(rank, count), and *explained their sum. */
static rt_status solve(struct fit *f, uint32_t *found, double *explained)
{
    const uint32_t wanted = f->task->rank < f->count ? f->task->rank : f->count;
    lapack_int n = 0;
    memcpy(f->scratch, f->small, (size_t)f->most * f->count * sizeof *f->small);
    if (LAPACKE_dsyevr(LAPACK_COL_MAJOR, 'V', 'I', 'U', (int)f->count, f->scratch,
                       (int)f->most, 0, 0, (int)(f->count - wanted + 1), (int)f->count, 0,
                       &n, f->values, f->vectors, (int)f->most, f->pairs) != 0 ||
        (uint32_t)n != wanted)
        return failed(f->ctx, "dsyevr");
    *found = wanted;
    *explained = 0;
    for (uint32_t i = 0; i < wanted; i++)
        *explained += f->values[i] > 0 ? f->values[i] : 0;
    return RT_OK;
}

/* Takes the image's part in the basis away. */
static void project_out(struct fit *f, uint32_t n)
{
    const int out = (int)f->task->out;
    cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, (int)f->count, (int)n, out, 1,
                f->basis, out, f->image, out, 0, f->scratch, (int)f->most);
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, out, (int)n, (int)f->count, -1,
                f->basis, out, f->scratch, (int)f->most, 1, f->image, out);
}

/* The image becomes the next block, orthonormal and orthogonal to the basis (twice is
 * enough, Kahan and Parlett); *grew is false where it lies in the basis already. */
static rt_status extend(struct fit *f, uint32_t n, bool *grew)
{
    const int out = (int)f->task->out;
    const int count = (int)(n * f->task->out);
    const double before = cblas_dnrm2(count, f->image, 1);
    *grew = false;
    for (int pass = 0; pass < 2; pass++) {
        if (f->count > 0)
            project_out(f, n);
        if (pass == 0 && !(cblas_dnrm2(count, f->image, 1) > 1e-10 * before))
            return RT_OK;
        if (LAPACKE_dgeqrf(LAPACK_COL_MAJOR, out, (int)n, f->image, out, f->tau) != 0 ||
            LAPACKE_dorgqr(LAPACK_COL_MAJOR, out, (int)n, (int)n, f->image, out,
                           f->tau) != 0)
            return failed(f->ctx, "dgeqrf");
    }
    memcpy(f->basis + (size_t)f->count * f->task->out, f->image,
           (size_t)count * sizeof *f->image);
    f->count += n;
    *grew = true;
    return RT_OK;
}

/* The whole space: M itself. */
static void start_exact(struct fit *f)
{
    for (uint32_t i = 0; i < f->task->out; i++)
        f->basis[(size_t)i * f->task->out + i] = 1;
    f->count = f->task->out;
}

/* D times random vectors, always the same ones. */
static rt_status start_random(struct fit *f, bool *grew)
{
    for (uint32_t v = 0; v < f->block; v++)
        for (uint32_t i = 0; i < f->task->in; i++)
            f->y[(size_t)v * f->task->in + i] =
                philox_word(i, v, 0, 0, 0x10f7, 0x57a7) / 2147483648.0 - 1;
    times_difference(f, f->y, f->block, f->image);
    return extend(f, f->block, grew);
}

static rt_status find_vectors(struct fit *f, uint32_t *found, double *explained,
                              uint32_t *steps)
{
    rt_status st;
    bool grew = true;
    double before = 0;
    if (f->block == f->task->out)
        start_exact(f);
    else
        TRY(start_random(f, &grew));
    while (grew) {
        apply(f, f->block);
        ++*steps;
        TRY(solve(f, found, explained));
        if (f->count + f->block > f->most ||
            *explained - before <= GROWTH_MIN * *explained)
            break;
        before = *explained;
        TRY(extend(f, f->block, &grew));
    }
    return RT_OK;

fail:
    return st;
}

/* U = basis vectors, a = s^-1/2 U^T D and b = s^1/2 U / scale, s the root of the value. */
static void write_out(struct fit *f, uint32_t found, float *a, float *b)
{
    const uint32_t out = f->task->out, in = f->task->in, rank = f->task->rank;
    if (found == 0)
        return;
    const double first = f->values[found - 1];
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, (int)out, (int)found,
                (int)f->count, 1, f->basis, (int)out, f->vectors, (int)f->most, 0,
                f->image, (int)out);
    times_transposed(f, f->image, found, f->z);
    for (uint32_t r = 0; r < found; r++) {
        const uint32_t from = found - 1 - r; /* LAPACK's order is ascending */
        if (!(f->values[from] > NOISE * first))
            continue;
        const double root = sqrt(sqrt(f->values[from]));
        for (uint32_t i = 0; i < in; i++)
            a[(size_t)r * in + i] = (float)(f->z[(size_t)from * in + i] / root);
        for (uint32_t o = 0; o < out; o++)
            b[(size_t)o * rank + r] =
                (float)(f->image[(size_t)from * out + o] * root / (double)f->task->scale);
    }
}

static rt_status fit_init(struct fit *f)
{
    const struct quant_lowrank_task *t = f->task;
    const double mean = observe_moment_diagonal(t->moment) / t->moment->weight;
    if (!(mean > 0) || !isfinite(mean))
        return rt_fail(f->ctx, RT_ERR_INPUT,
                       "low-rank start: the inputs of a layer have the mean square %g; "
                       "the model is damaged, or no text went through it",
                       mean);
    f->damping = t->damping * mean;
    f->block = t->rank + OVERSAMPLE;
    if (t->out <= QUANT_EXACT || f->block > t->out)
        f->block = t->out;
    f->most = f->block == t->out || t->out / STEPS_MAX < f->block ? t->out
                                                                  : f->block * STEPS_MAX;
    const size_t in = t->in, out = t->out, most = f->most;
    f->basis = rt_alloc(f->ctx, most * out, sizeof *f->basis);
    f->small = rt_alloc(f->ctx, most * most, sizeof *f->small);
    f->scratch = rt_alloc(f->ctx, most * most, sizeof *f->scratch);
    f->chunk = rt_alloc(f->ctx, CHUNK * in, sizeof *f->chunk);
    f->z = rt_alloc(f->ctx, f->block * in, sizeof *f->z);
    f->y = rt_alloc(f->ctx, f->block * in, sizeof *f->y);
    f->image = rt_alloc(f->ctx, f->block * out, sizeof *f->image);
    f->vectors = rt_alloc(f->ctx, t->rank * most, sizeof *f->vectors);
    f->values = rt_alloc(f->ctx, most, sizeof *f->values);
    f->tau = rt_alloc(f->ctx, f->block, sizeof *f->tau);
    f->pairs = rt_alloc(f->ctx, 2 * most, sizeof *f->pairs);
    if (!f->basis || !f->small || !f->scratch || !f->chunk || !f->z || !f->y ||
        !f->image || !f->vectors || !f->values || !f->tau || !f->pairs)
        return rt_fail(f->ctx, RT_ERR_HOST_MEMORY,
                       "low-rank start: no host memory for a matrix of %u by %u", t->out,
                       t->in);
    return RT_OK;
}

static void fit_deinit(struct fit *f)
{
    rt_free(f->basis);
    rt_free(f->small);
    rt_free(f->scratch);
    rt_free(f->chunk);
    rt_free(f->z);
    rt_free(f->y);
    rt_free(f->image);
    rt_free(f->vectors);
    rt_free(f->values);
    rt_free(f->tau);
    rt_free(f->pairs);
}

rt_status quant_lowrank(struct rt_ctx *ctx, const struct quant_lowrank_task *task,
                        float *a, float *b, struct quant_lowrank_report *report)
{
    rt_status st;
    struct fit f = { .ctx = ctx, .task = task };
    struct quant_lowrank_report own = { 0 };
    uint32_t found = 0;
    rt_blas_threads(2.0 * task->out * task->in * task->rank);
    memset(a, 0, (size_t)task->rank * task->in * sizeof *a);
    memset(b, 0, (size_t)task->rank * task->out * sizeof *b);
    TRY(fit_init(&f));
    TRY(find_vectors(&f, &found, &own.explained, &own.steps));
    write_out(&f, found, a, b);
    if (report)
        *report = own;

fail:
    fit_deinit(&f);
    return st;
}

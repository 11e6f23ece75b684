/* The low-rank fit leaves the least error that any fit of its rank can leave: checked
 * against a dense singular value decomposition, for moments in one panel and in many. */
#include "runtime/quant/lowrank.h"

#include <lapacke.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double DAMPING = 1e-4;

static uint64_t state64 = 0x9e3779b97f4a7c15u;

static double uniform(void) /* -1 to 1, xorshift64 */
{
    state64 ^= state64 << 13;
    state64 ^= state64 >> 7;
    state64 ^= state64 << 17;
    return (double)(state64 >> 11) / 4503599627370496.0 - 1;
}

/* A matrix, what quantization made of it, and the moment of inputs: alike (a flat
 * spectrum), or some of them thirty times larger than others. */
struct ground {
    uint32_t out, in;
    float *w, *wq, *sum; /* sum [in][in] */
    struct observe_moment moment;
};

static void ground_init(struct ground *g, uint32_t out, uint32_t in, uint32_t rows,
                        bool is_flat)
{
    *g = (struct ground){ .out = out, .in = in };
    float *x = calloc((size_t)rows * in, sizeof *x);
    g->w = calloc((size_t)out * in, sizeof *g->w);
    g->wq = calloc((size_t)out * in, sizeof *g->wq);
    g->sum = calloc((size_t)in * in, sizeof *g->sum);
    for (size_t i = 0; i < (size_t)out * in; i++) {
        g->w[i] = (float)uniform();
        g->wq[i] = rintf(g->w[i] * 4) / 4;
    }
    for (size_t i = 0; i < (size_t)rows * in; i++) {
        x[i] = (float)uniform();
        if (!is_flat)
            x[i] = x[i] * (i % in % 50 == 7 ? 30 : 1) + (i % in > 0 ? x[i - 1] / 2 : 0);
    }
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t i = 0; i < in; i++)
            for (uint32_t j = 0; j < in; j++)
                g->sum[(size_t)i * in + j] +=
                    x[(size_t)r * in + i] * x[(size_t)r * in + j];
    g->moment = (struct observe_moment){ .in = in,
                                         .rows = rows,
                                         .weight = rows,
                                         .height = in,
                                         .panels = 1,
                                         .panel = { g->sum } };
    free(x);
}

static void ground_deinit(struct ground *g)
{
    free(g->w);
    free(g->wq);
    free(g->sum);
}

/* D L with H = L L^T: its singular values squared are the eigenvalues of D H D^T. */
static double *weighted(const struct ground *g, const double *d)
{
    const uint32_t in = g->in;
    double *h = calloc((size_t)in * in, sizeof *h);
    double *m = calloc((size_t)g->out * in, sizeof *m);
    const double mean = observe_moment_diagonal(&g->moment) / (double)g->moment.rows;
    for (size_t i = 0; i < (size_t)in * in; i++)
        h[i] = (double)g->sum[i] / (double)g->moment.rows +
               (i % (in + 1) == 0 ? DAMPING * mean : 0);
    assert_int_equal(LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', (int)in, h, (int)in), 0);
    for (uint32_t o = 0; o < g->out; o++)
        for (uint32_t k = 0; k < in; k++)
            for (uint32_t i = 0; i <= k; i++)
                m[(size_t)o * in + i] += d[(size_t)o * in + k] * h[(size_t)k * in + i];
    free(h);
    return m;
}

static double squares(const double *v, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += v[i] * v[i];
    return sum;
}

/* The first `rank` squared singular values and all of them, summed. */
static double best(const struct ground *g, uint32_t rank, double *all)
{
    const uint32_t few = g->out < g->in ? g->out : g->in;
    double *d = calloc((size_t)g->out * g->in, sizeof *d), *s = calloc(few, sizeof *s);
    for (size_t i = 0; i < (size_t)g->out * g->in; i++)
        d[i] = (double)g->w[i] - g->wq[i];
    double *m = weighted(g, d);
    assert_int_equal(LAPACKE_dgesdd(LAPACK_ROW_MAJOR, 'N', (int)g->out, (int)g->in, m,
                                    (int)g->in, s, NULL, (int)g->out, NULL, (int)g->in),
                     0);
    *all = squares(s, few);
    const double top = squares(s, rank < few ? rank : few);
    free(d);
    free(m);
    free(s);
    return top;
}

/* The error that the fit leaves: squares of (D - scale b a) L. */
static double left(const struct ground *g, uint32_t rank, float scale, const float *a,
                   const float *b)
{
    double *d = calloc((size_t)g->out * g->in, sizeof *d);
    for (uint32_t o = 0; o < g->out; o++)
        for (uint32_t i = 0; i < g->in; i++) {
            double v = (double)g->w[(size_t)o * g->in + i] - g->wq[(size_t)o * g->in + i];
            for (uint32_t r = 0; r < rank; r++)
                v -= (double)scale * b[(size_t)o * rank + r] * a[(size_t)r * g->in + i];
            d[(size_t)o * g->in + i] = v;
        }
    double *m = weighted(g, d);
    const double sum = squares(m, (size_t)g->out * g->in);
    free(d);
    free(m);
    return sum;
}

static void check(uint32_t out, uint32_t in, uint32_t rows, uint32_t rank, bool is_flat,
                  double within)
{
    struct rt_ctx ctx = { 0 };
    struct ground g;
    struct quant_lowrank_report report;
    double all;
    ground_init(&g, out, in, rows, is_flat);
    const struct quant_lowrank_task task = { g.w,       g.wq,    out,  in,
                                             &g.moment, DAMPING, rank, 0.5f };
    float *a = calloc((size_t)rank * in, sizeof *a),
          *b = calloc((size_t)rank * out, sizeof *b);
    if (quant_lowrank(&ctx, &task, a, b, &report) != RT_OK)
        fail_msg("%s", ctx.message);
    const double top = best(&g, rank, &all), rest = left(&g, rank, 0.5f, a, b);
    const double least = all - top;
    printf("    %4u by %4u, rank %2u: %2u steps, explained %.4f of %.4f, left over least "
           "%.7f\n",
           out, in, rank, report.steps, report.explained / all, top / all, rest / least);
    assert_true(rest <= least * (1 + within) + 1e-10 * all);
    assert_true(fabs(report.explained - (all - rest)) <= 1e-5 * all);
    free(a);
    free(b);
    ground_deinit(&g);
}

static void the_error_left_is_the_least_there_is(void **state)
{
    (void)state;
    check(96, 160, 400, 8, false, 1e-5);
    check(160, 96, 400, 8, false, 1e-5);
    check(64, 64, 20, 16, false, 1e-5); /* fewer rows than inputs: damping fills up */
    check(5, 40, 100, 8, false, 1e-5);  /* a rank that explains all */
    check(QUANT_EXACT, 48, 100, 16, true, 1e-5);
    check(1, 4, 10, 1, false, 1e-5);
}

/* Blocks of a Krylov space: the spectrum of rounding errors is flat, the worst there is. */
static void large_matrices_come_close_to_it(void **state)
{
    (void)state;
    check(720, 300, 900, 16, false, 1e-3);
    check(QUANT_EXACT + 1, 200, 400, 16, true, 1e-3); /* one more is no longer exact */
    check(900, 500, 1500, 4, true, 1e-3);
    check(700, 700, 1400, 16, true, 1e-3);
}

static void no_difference_is_no_correction(void **state)
{
    (void)state;
    static const uint32_t outs[] = { 48, 700 }; /* exact, blocks */
    for (size_t i = 0; i < RT_COUNT(outs); i++) {
        struct rt_ctx ctx = { 0 };
        struct ground g;
        ground_init(&g, outs[i], 32, 50, true);
        float *a = calloc(4 * 32, sizeof *a), *b = calloc(4 * (size_t)outs[i], sizeof *b);
        const struct quant_lowrank_task task = { g.w,       g.w,     outs[i], 32,
                                                 &g.moment, DAMPING, 4,       2.0f };
        assert_int_equal(quant_lowrank(&ctx, &task, a, b, NULL), RT_OK);
        for (size_t k = 0; k < 4 * 32; k++)
            assert_true(a[k] == 0);
        for (size_t k = 0; k < 4 * (size_t)outs[i]; k++)
            assert_true(b[k] == 0);
        free(a);
        free(b);
        ground_deinit(&g);
    }
}

static void inputs_of_zero_are_refused(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct ground g;
    float a[16], b[16];
    ground_init(&g, 4, 4, 8, true);
    memset(g.sum, 0, 16 * sizeof *g.sum);
    const struct quant_lowrank_task task = {
        g.w, g.wq, 4, 4, &g.moment, DAMPING, 4, 2.0f
    };
    assert_int_equal(quant_lowrank(&ctx, &task, a, b, NULL), RT_ERR_INPUT);
    assert_non_null(strstr(ctx.message, "mean square 0"));
    ground_deinit(&g);
}

static void failing_allocations_are_a_status(void **state)
{
    (void)state;
    struct ground g;
    float a[4 * 20], b[4 * 12];
    ground_init(&g, 12, 20, 30, true);
    const struct quant_lowrank_task task = { g.w,       g.wq,    12, 20,
                                             &g.moment, DAMPING, 4,  1.0f };
    uint64_t n = 1;
    for (;; n++) {
        struct rt_ctx ctx = { .alloc_fail_at = n };
        const rt_status st = quant_lowrank(&ctx, &task, a, b, NULL);
        if (st == RT_OK)
            break;
        assert_int_equal(st, RT_ERR_HOST_MEMORY);
    }
    assert_true(n > 5);
    ground_deinit(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_error_left_is_the_least_there_is),
        cmocka_unit_test(large_matrices_come_close_to_it),
        cmocka_unit_test(no_difference_is_no_correction),
        cmocka_unit_test(inputs_of_zero_are_refused),
        cmocka_unit_test(failing_allocations_are_a_status),
    };
    return cmocka_run_group_tests_name("low-rank fit", tests, NULL, NULL);
}

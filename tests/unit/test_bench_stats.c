/* What timings say: intervals, outliers, steadiness, verdicts, gates; and that a case is
 * timed only after a good check, within its budget. No device, no clock. */
#include "pipeline/bench/bench_measure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct rt_ctx ctx;

static struct pipe_bench_stats stats_of(const double *values, uint32_t n)
{
    struct pipe_bench_stats s;
    assert_int_equal(pipe_bench_stats_of(&ctx, values, n, &s), RT_OK);
    return s;
}

/* Ranks of the table of the sign test: the widest k with 2 P[Bin(n, 1/2) < k] <= 0.05. */
static void ranks_are_those_of_the_sign_test(void **state)
{
    (void)state;
    static const uint32_t table[][2] = { { 1, 0 },  { 5, 0 },   { 6, 1 },   { 8, 1 },
                                         { 9, 2 },  { 11, 2 },  { 12, 3 },  { 20, 6 },
                                         { 25, 8 }, { 50, 18 }, { 100, 40 } };
    for (size_t i = 0; i < RT_COUNT(table); i++)
        assert_int_equal(pipe_bench_rank(table[i][0]), table[i][1]);
    /* Thousands of samples: the normal approximation, no overflow. */
    const double k = pipe_bench_rank(10000);
    assert_true(fabs(k - (5000 - 0.98 * 100)) < 3);
}

static void the_interval_holds_the_median_of_nineteen_in_twenty_sets(void **state)
{
    (void)state;
    enum { SETS = 2000, N = 21 };
    uint32_t held = 0;
    uint64_t seed = 1;
    for (int i = 0; i < SETS; i++) {
        double values[N];
        for (int k = 0; k < N; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            const double u = ((double)(seed >> 11) + 0.5) / 9007199254740992.0;
            values[k] = 1 - log(u); /* skewed, as times are; the median is 1 + log 2 */
        }
        const struct pipe_bench_stats s = stats_of(values, N);
        held += s.low <= 1 + log(2.0) && s.high >= 1 + log(2.0);
    }
    printf("    %u of %d\n", held, SETS);
    assert_true(held >= SETS * 0.95 && held < SETS);
}

static void medians_spreads_and_outliers(void **state)
{
    (void)state;
    static const double values[] = { 10, 11, 9, 10, 12, 10, 11, 9, 10, 100 };
    const struct pipe_bench_stats s = stats_of(values, 10);
    assert_true(fabs(s.median - 10) < 1e-12 && fabs(s.mad - 1) < 1e-12);
    assert_int_equal(s.outliers, 1); /* counted, but the hundred is still in n */
    assert_int_equal(s.n, 10);
    assert_true(s.covered && s.low >= 9 && s.high <= 12);
    static const double same[] = { 5, 5, 5, 5, 5, 5, 5, 5.001 };
    assert_int_equal(stats_of(same, 8).outliers, 0); /* a tick of the clock is none */
    assert_false(stats_of(values, 5).covered);
}

static void a_ramp_is_not_steady_and_noise_is(void **state)
{
    (void)state;
    double ramp[40], noise[40], step[40];
    for (int i = 0; i < 40; i++) {
        ramp[i] = 100 + i;
        noise[i] = 100 + (i * 7 % 11);
        step[i] = i < 20 ? 100 : 110;
    }
    assert_false(stats_of(ramp, 40).steady);
    assert_false(stats_of(step, 40).steady);
    assert_true(stats_of(noise, 40).steady);
}

/* ---- verdicts ---- */

static struct pipe_bench_pass pass(double value, double spread)
{
    return (struct pipe_bench_pass){ value, value - spread, value + spread,
                                     NAN,   true,           true };
}

static const struct pipe_bench_conditions rates = { .higher_better = true };

static struct pipe_bench_comparison compare(const struct pipe_bench_pass *a, uint32_t na,
                                            const struct pipe_bench_pass *b, uint32_t nb,
                                            const struct pipe_bench_conditions *c)
{
    struct pipe_bench_comparison out;
    pipe_bench_compare(a, na, b, nb, c, &out);
    return out;
}

static void faster_only_where_every_pass_is_apart(void **state)
{
    (void)state;
    const struct pipe_bench_pass base[] = { pass(100, 2), pass(101, 2), pass(99, 2) };
    const struct pipe_bench_pass fast[] = { pass(114, 2), pass(115, 2), pass(113, 2) };
    const struct pipe_bench_pass once[] = { pass(114, 2), pass(104, 2), pass(113, 2) };
    struct pipe_bench_comparison c = compare(base, 3, fast, 3, &rates);
    assert_int_equal(c.verdict, PIPE_BENCH_FASTER);
    assert_true(fabs(c.change - 0.14) < 1e-9);
    c = compare(fast, 3, base, 3, &rates);
    assert_int_equal(c.verdict, PIPE_BENCH_SLOWER);
    c = compare(base, 3, once, 3, &rates);
    assert_int_equal(c.verdict, PIPE_BENCH_UNCLEAR);
    assert_int_equal(c.reasons, PIPE_BENCH_OVERLAP);
    /* Where less is better, the words turn round. */
    const struct pipe_bench_conditions times = { .higher_better = false };
    assert_int_equal(compare(base, 3, fast, 3, &times).verdict, PIPE_BENCH_SLOWER);
    /* Other numbers of passes: all of them against all. */
    assert_int_equal(compare(base, 1, fast, 3, &rates).verdict, PIPE_BENCH_FASTER);
}

static void same_needs_narrow_intervals(void **state)
{
    (void)state;
    const struct pipe_bench_pass a[] = { pass(100, 1), pass(100.5, 1) };
    const struct pipe_bench_pass b[] = { pass(101, 1), pass(100, 1) };
    const struct pipe_bench_pass wide[] = { pass(100, 20), pass(101, 20) };
    assert_int_equal(compare(a, 2, b, 2, &rates).verdict, PIPE_BENCH_IS_SAME);
    const struct pipe_bench_comparison c = compare(a, 2, wide, 2, &rates);
    assert_int_equal(c.verdict, PIPE_BENCH_UNCLEAR);
    assert_int_equal(c.reasons, PIPE_BENCH_OVERLAP);
}

static void doubts_stop_a_verdict_and_are_named(void **state)
{
    (void)state;
    const struct pipe_bench_pass base = pass(100, 1);
    struct pipe_bench_pass now = pass(150, 1);
    struct pipe_bench_conditions conditions = rates;
    now.steady = false;
    struct pipe_bench_comparison c = compare(&base, 1, &now, 1, &conditions);
    assert_int_equal(c.verdict, PIPE_BENCH_UNCLEAR);
    assert_int_equal(c.reasons, PIPE_BENCH_UNSTEADY);
    now = pass(150, 1);
    now.covered = false;
    c = compare(&base, 1, &now, 1, &conditions);
    assert_int_equal(c.reasons, PIPE_BENCH_FEW_SAMPLES);
    now = pass(150, 1);
    conditions.settings_differ = true;
    c = compare(&base, 1, &now, 1, &conditions);
    assert_int_equal(c.reasons, PIPE_BENCH_ENV_DIFFERS);
    /* Another device or driver is what is compared: no doubt by itself ... */
    conditions = (struct pipe_bench_conditions){ true, false, true };
    assert_int_equal(compare(&base, 1, &now, 1, &conditions).verdict, PIPE_BENCH_FASTER);
    /* ... but named where nothing is clear. */
    now = pass(104, 4);
    c = compare(&base, 1, &now, 1, &conditions);
    assert_int_equal(c.reasons, PIPE_BENCH_OVERLAP | PIPE_BENCH_ENV_DIFFERS);
    char text[96];
    pipe_bench_reasons_print(c.reasons, text, sizeof text);
    assert_string_equal(text, "overlap, env-differs");
}

static void a_faster_clock_is_not_a_faster_program(void **state)
{
    (void)state;
    struct pipe_bench_pass base = pass(100, 1), now = pass(120, 1);
    base.clock_mhz = 2000;
    now.clock_mhz = 2400; /* 20 % more clock, 20 % more speed */
    struct pipe_bench_comparison c = compare(&base, 1, &now, 1, &rates);
    assert_int_equal(c.verdict, PIPE_BENCH_UNCLEAR);
    assert_int_equal(c.reasons, PIPE_BENCH_CLOCK_DRIFT);
    now.value = 200, now.low = 199, now.high = 201; /* more than the clock explains */
    assert_int_equal(compare(&base, 1, &now, 1, &rates).verdict, PIPE_BENCH_FASTER);
}

static void gates(void **state)
{
    (void)state;
    struct pipe_bench_gate g;
    struct pipe_bench_comparison c = { .verdict = PIPE_BENCH_SLOWER, .change = -0.08 };
    assert_int_equal(pipe_bench_gate_parse(&ctx, "slower>5%", &g), RT_OK);
    assert_true(pipe_bench_gate_hits(&g, &c));
    c.change = -0.04;
    assert_false(pipe_bench_gate_hits(&g, &c));
    c = (struct pipe_bench_comparison){ .verdict = PIPE_BENCH_UNCLEAR, .change = -0.5 };
    assert_false(pipe_bench_gate_hits(&g, &c)); /* a doubt is no regression */
    assert_int_equal(pipe_bench_gate_parse(&ctx, "unclear>0", &g), RT_OK);
    assert_true(pipe_bench_gate_hits(&g, &c));
    static const char *const bad[] = { "",           "slower",     "slower>",
                                       "slower>x",   "slower<5%",  "slower>5%%",
                                       "faster>5%",  "invalid>1%", "slower>-1",
                                       "slower>nan", "slower>inf" };
    for (size_t i = 0; i < RT_COUNT(bad); i++)
        assert_int_equal(pipe_bench_gate_parse(&ctx, bad[i], &g), RT_ERR_USAGE);
}

/* ---- measuring ---- */

/* A scripted device: milliseconds of sample i. */
struct script {
    bool good;
    double first_ms, then_ms; /* of the first `slow` samples, and after */
    uint32_t slow, taken, fail_at;
};

static rt_status check_script(void *user, struct pipe_bench_check *out)
{
    const struct script *s = user;
    out->good = s->good;
    snprintf(out->fault, sizeof out->fault, "%s", s->good ? "" : "wrong");
    return RT_OK;
}

static rt_status run_script(void *user, struct pipe_bench_sample *out)
{
    struct script *s = user;
    const double ms = s->taken++ < s->slow ? s->first_ms : s->then_ms;
    if (s->fail_at && s->taken == s->fail_at)
        return rt_fail(&ctx, RT_ERR_DEVICE_LOST, "gone");
    *out = (struct pipe_bench_sample){ NAN, ms * 1e6, ms * 1e-3 };
    return RT_OK;
}

static const struct pipe_bench_budget budget = { 0.1, 0.2, 2, 1000 };

static rt_status measure(struct script *s, struct pipe_bench_series *out)
{
    const struct pipe_bench_subject subject = { check_script, run_script, s };
    return pipe_bench_measure(&ctx, &budget, &subject, out);
}

static void a_wrong_result_is_never_timed(void **state)
{
    (void)state;
    struct script s = { .good = false, .then_ms = 1 };
    struct pipe_bench_series series;
    assert_int_equal(measure(&s, &series), RT_OK);
    assert_false(series.check.good);
    assert_string_equal(series.check.fault, "wrong");
    assert_int_equal(s.taken, 0);
    assert_int_equal(series.count + series.warm_count, 0);
    pipe_bench_series_deinit(&series);
}

static void warming_up_ends_when_it_is_steady(void **state)
{
    (void)state;
    struct script s = { true, 3, 1, 6, 0, 0 };
    struct pipe_bench_series series;
    struct pipe_bench_stats stats;
    assert_int_equal(measure(&s, &series), RT_OK);
    assert_true(series.warm_steady);
    assert_true(series.warm_count > 6 && series.warm_count < 100);
    assert_int_equal(pipe_bench_series_stats(&ctx, &series, true, &stats), RT_OK);
    assert_true(fabs(stats.median - 1e6) < 1 && stats.steady);
    assert_true(series.count >= 100 && series.count <= 101);
    pipe_bench_series_deinit(&series);
    /* Long samples: the caps hold, and there are enough for an interval. */
    s = (struct script){ true, 150, 150, 1, 0, 0 };
    assert_int_equal(measure(&s, &series), RT_OK);
    assert_false(series.warm_steady);
    assert_int_equal(series.count, PIPE_BENCH_SAMPLES_MIN);
    pipe_bench_series_deinit(&series);
    /* Very long ones: the last cap. */
    s = (struct script){ true, 1500, 1500, 1, 0, 0 };
    assert_int_equal(measure(&s, &series), RT_OK);
    assert_int_equal(series.count, 2);
    pipe_bench_series_deinit(&series);
}

static void failures_pass_through(void **state)
{
    (void)state;
    struct pipe_bench_series series;
    for (uint32_t at = 1; at < 50; at++) {
        struct script s = { true, 2, 2, 1, 0, at };
        assert_int_equal(measure(&s, &series), RT_ERR_DEVICE_LOST);
        pipe_bench_series_deinit(&series);
    }
    for (uint64_t n = 1; n < 5; n++) { /* no memory, at every place */
        struct script s = { true, 2, 2, 1, 0, 0 };
        ctx.alloc_fail_at = ctx.alloc_count + n;
        const rt_status st = measure(&s, &series);
        ctx.alloc_fail_at = 0;
        assert_int_equal(st, RT_ERR_HOST_MEMORY);
        pipe_bench_series_deinit(&series);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_are_those_of_the_sign_test),
        cmocka_unit_test(the_interval_holds_the_median_of_nineteen_in_twenty_sets),
        cmocka_unit_test(medians_spreads_and_outliers),
        cmocka_unit_test(a_ramp_is_not_steady_and_noise_is),
        cmocka_unit_test(faster_only_where_every_pass_is_apart),
        cmocka_unit_test(same_needs_narrow_intervals),
        cmocka_unit_test(doubts_stop_a_verdict_and_are_named),
        cmocka_unit_test(a_faster_clock_is_not_a_faster_program),
        cmocka_unit_test(gates),
        cmocka_unit_test(a_wrong_result_is_never_timed),
        cmocka_unit_test(warming_up_ends_when_it_is_steady),
        cmocka_unit_test(failures_pass_through),
    };
    return cmocka_run_group_tests_name("bench statistics", tests, NULL, NULL);
}

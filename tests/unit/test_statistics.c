/* Statistics against reference values of 40 digits and against their own definitions. */
#include "pipeline/stats/statistics.h"
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void near(const char *what, double got, double expected)
{
    /* written so that NaN fails */
    if (!(fabs(got - expected) <= 1e-9 * fabs(expected) + 1e-12))
        fail_msg("%s: %.17g instead of %.17g", what, got, expected);
}

static double number(const json_t *row, const char *key)
{
    const json_t *value = json_object_get(row, key);
    if (!json_is_number(value))
        fail_msg("no number '%s'", key);
    return json_number_value(value);
}

static uint32_t whole(const json_t *row, const char *key)
{
    return (uint32_t)number(row, key);
}

static void check_interval(const json_t *row)
{
    const struct pipe_interval w = pipe_wilson(whole(row, "k"), whole(row, "n"));
    const struct pipe_interval c = pipe_clopper_pearson(whole(row, "k"), whole(row, "n"));
    const json_t *wilson = json_object_get(row, "wilson");
    const json_t *exact = json_object_get(row, "clopper_pearson");
    near("Wilson low", w.low, json_number_value(json_array_get(wilson, 0)));
    near("Wilson high", w.high, json_number_value(json_array_get(wilson, 1)));
    near("Clopper-Pearson low", c.low, json_number_value(json_array_get(exact, 0)));
    near("Clopper-Pearson high", c.high, json_number_value(json_array_get(exact, 1)));
}

static void check_mcnemar(const json_t *row)
{
    const uint32_t b = whole(row, "base_right_quant_wrong");
    const uint32_t c = whole(row, "base_wrong_quant_right");
    near("McNemar exact", pipe_mcnemar_exact(b, c), number(row, "exact_two_sided"));
    near("McNemar mid-p", pipe_mcnemar_mid(b, c), number(row, "mid_p"));
}

static void check_paired(const json_t *row)
{
    const char *base = json_string_value(json_object_get(row, "base"));
    const char *quant = json_string_value(json_object_get(row, "quant"));
    const uint32_t n = (uint32_t)strlen(base);
    bool x[64], y[64];
    assert_true(n <= 64);
    for (uint32_t i = 0; i < n; i++) {
        x[i] = base[i] == '1';
        y[i] = quant[i] == '1';
    }
    struct pipe_paired p;
    pipe_paired_compare(x, y, n, &p);
    near("accuracy", (double)p.right_base / n, number(row, "acc_base"));
    near("accuracy", (double)p.right_other / n, number(row, "acc_quant"));
    near("difference", p.difference, number(row, "diff"));
    near("paired error", p.error, number(row, "se_paired_diff"));
    near("lost", p.lost, number(row, "right_to_wrong"));
    near("gained", p.gained, number(row, "wrong_to_right"));
    near("McNemar", p.p_exact, number(row, "mcnemar_exact"));
}

static void check_average(const json_t *row)
{
    const json_t *samples = json_object_get(row, "samples");
    const uint32_t n = (uint32_t)json_array_size(samples);
    double means[16], mean, error;
    assert_true(n <= 16);
    for (uint32_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_array_get(samples, i));
        double right = 0;
        for (const char *at = text; *at; at++)
            right += *at == '1';
        means[i] = right / (double)strlen(text);
    }
    pipe_mean_error(means, n, &mean, &error);
    near("avg@k", mean, number(row, "avg"));
    near("its error", error, number(row, "se_over_question_means"));
}

static void reference_values_are_met(void **state)
{
    (void)state;
    char path[1024];
    FILE *file =
        fopen(test_path(path, sizeof path, "tests/golden/statistics/vectors.jsonl"), "r");
    assert_non_null(file);
    int counts[5] = { 0 };
    for (json_t *row; (row = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL));) {
        const char *kind = json_string_value(json_object_get(row, "kind"));
        if (strcmp(kind, "interval95") == 0 && ++counts[0])
            check_interval(row);
        else if (strcmp(kind, "mcnemar") == 0 && ++counts[1])
            check_mcnemar(row);
        else if (strcmp(kind, "paired") == 0 && ++counts[2])
            check_paired(row);
        else if (strcmp(kind, "avg_at_k") == 0 && ++counts[3])
            check_average(row);
        else if (strcmp(kind, "pass_at_k") == 0 && ++counts[4])
            near("pass@k",
                 pipe_pass_at_k(whole(row, "n"), whole(row, "c"), whole(row, "k")),
                 number(row, "value"));
        json_decref(row);
    }
    fclose(file);
    for (int i = 0; i < 5; i++)
        assert_true(counts[i] >= 2);
}

/* Log-likelihood of the table under shares q + d gained and q lost. */
static double likelihood(double gained, double lost, double n, double d, double q)
{
    double sum = 0.0;
    if (gained > 0)
        sum += gained * log(q + d);
    if (lost > 0)
        sum += lost * log(q);
    if (n - gained - lost > 0)
        sum += (n - gained - lost) * log(1.0 - 2.0 * q - d);
    return sum;
}

/* Tango's statistic from its definition: the nuisance parameter by search, no formula. */
static double score_by_search(double gained, double lost, double n, double d)
{
    double low = fmax(0.0, -d), high = (1.0 - d) / 2.0;
    for (int i = 0; i < 300; i++) {
        const double a = low + (high - low) * 0.382, b = low + (high - low) * 0.618;
        if (likelihood(gained, lost, n, d, a) < likelihood(gained, lost, n, d, b))
            low = a;
        else
            high = b;
    }
    const double q = (low + high) / 2.0;
    return (gained - lost - n * d) / sqrt(n * (2.0 * q + d - d * d));
}

static void tango_bounds_are_where_the_score_test_turns(void **state)
{
    (void)state;
    static const uint32_t rows[][3] = {
        { 274, 51, 2000 }, { 12, 60, 2000 }, { 3, 1, 30 },
        { 46, 287, 2000 }, { 1, 9, 40 },     { 5, 5, 50 }
    };
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        const uint32_t *r = rows[i];
        const struct pipe_interval t = pipe_tango(r[0], r[1], r[2]);
        const double low = score_by_search(r[0], r[1], r[2], t.low);
        const double high = score_by_search(r[0], r[1], r[2], t.high);
        if (!(fabs(low - 1.959963984540054) < 1e-5) ||
            !(fabs(high + 1.959963984540054) < 1e-5))
            fail_msg("%u/%u of %u: scores %.9f and %.9f", r[0], r[1], r[2], low, high);
        const struct pipe_interval back = pipe_tango(r[1], r[0], r[2]);
        near("mirrored low", -back.high, t.low);
        near("mirrored high", -back.low, t.high);
    }
}

static void extremes_stay_in_range(void **state)
{
    (void)state;
    const struct pipe_interval none = pipe_tango(0, 0, 20), all = pipe_tango(20, 0, 20);
    assert_true(none.low < 0 && none.high > 0 && fabs(none.low + none.high) < 1e-12);
    assert_true(all.high == 1.0 && all.low > 0.6 && all.low < 1.0);
    assert_true(pipe_wilson(0, 0).high == 1.0 && pipe_tango(0, 0, 0).low == -1.0);
    assert_true(pipe_mcnemar_exact(0, 0) == 1.0 && pipe_mcnemar_mid(0, 0) == 1.0);
    assert_true(pipe_mcnemar_exact(0, 2000) >= 0.0);
    const struct pipe_interval w = pipe_wilson(2000, 2000);
    assert_true(w.high == 1.0 && w.low > 0.99);
}

static void bootstrap_matches_its_normal_limit_and_its_seed(void **state)
{
    (void)state;
    enum { N = 2000, DRAWS = 2000 };
    struct rt_ctx ctx = { 0 };
    static double full[N], quant[N], arm[N];
    /* shares of the demo: full 0.8685, quant 0.748, arm 0.8595 with 274 fixed, 51 broken
     */
    for (int i = 0; i < N; i++) {
        quant[i] = i < 1496;
        arm[i] = (i >= 51 && i < 1496) || (i >= 1496 && i < 1770);
        full[i] = (i >= 46 && i < 1496) || (i >= 1496 && i < 1783);
    }
    struct pipe_recovery a, b, c;
    assert_int_equal(pipe_bootstrap_recovery(&ctx, full, quant, arm, N, DRAWS, 7, &a),
                     RT_OK);
    assert_int_equal(pipe_bootstrap_recovery(&ctx, full, quant, arm, N, DRAWS, 7, &b),
                     RT_OK);
    assert_int_equal(pipe_bootstrap_recovery(&ctx, full, quant, arm, N, DRAWS, 8, &c),
                     RT_OK);
    assert_memory_equal(&a, &b, sizeof a);
    assert_true(a.share_interval.low != c.share_interval.low);
    near("difference", a.difference, (274.0 - 51.0) / N);
    near("share", a.share, (274.0 - 51.0) / (287.0 - 46.0));
    assert_int_equal(a.undefined, 0);
    const double half = 1.96 * sqrt(325.0 / N - a.difference * a.difference) / sqrt(N);
    assert_true(fabs(a.difference_interval.low - (a.difference - half)) < 0.1 * half);
    assert_true(fabs(a.difference_interval.high - (a.difference + half)) < 0.1 * half);
    assert_true(a.share_interval.low < a.share && a.share < a.share_interval.high);
}

static void an_undefined_share_is_not_given_an_interval(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    const double full[4] = { 1, 0, 1, 0 }, quant[4] = { 0, 1, 1, 0 },
                 arm[4] = { 1, 1, 1, 1 };
    struct pipe_recovery r;
    assert_int_equal(pipe_bootstrap_recovery(&ctx, full, quant, arm, 4, 200, 1, &r),
                     RT_OK);
    assert_true(isnan(r.share) && isinf(r.share_interval.low) && r.undefined > 5);
    assert_int_equal(pipe_bootstrap_recovery(&ctx, full, quant, arm, 0, 200, 1, &r),
                     RT_ERR_USAGE);
}

static void holm_steps_down(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    double p[4] = { 0.01, 0.04, 0.03, 0.005 };
    assert_int_equal(pipe_holm(&ctx, p, 4, p), RT_OK);
    near("holm", p[3], 0.02);
    near("holm", p[0], 0.03);
    near("holm", p[2], 0.06);
    near("holm", p[1], 0.06); /* never below the one before */
    double one[1] = { 0.9 };
    assert_int_equal(pipe_holm(&ctx, one, 1, one), RT_OK);
    near("holm", one[0], 0.9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_values_are_met),
        cmocka_unit_test(tango_bounds_are_where_the_score_test_turns),
        cmocka_unit_test(extremes_stay_in_range),
        cmocka_unit_test(bootstrap_matches_its_normal_limit_and_its_seed),
        cmocka_unit_test(an_undefined_share_is_not_given_an_interval),
        cmocka_unit_test(holm_steps_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

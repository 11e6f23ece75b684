/* The fit of the verdict's weights and confidence on made-up evidence and on that of the tables,
 * the joint score of the judge, and the agreement of judges. */
#include "pipeline/locate/confidence_fit.h"
#include "pipeline/locate/judge.h"
#include "pipeline/locate/judge_model.h"
#include "pipeline/locate/review.h"
#include "pipeline/locate/weights_fit.h"
#include "runtime/base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* A new file; `path` ends with XXXXXX and becomes its name. */
static FILE *temporary(char *path)
{
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    assert_non_null(file);
    return file;
}

/* A locator that is right in 9 of 10 answers, else one step early. */
static void the_fit_finds_what_a_locator_is_worth(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    char path[] = "/tmp/faultline-evidence-XXXXXX";
    FILE *file = temporary(path);
    for (int i = 0; i < 400; i++) {
        struct pipe_checked c = { .step = i % 4, .rule = PIPE_CHECK_ARITHMETIC };
        c.named[PIPE_CHECK_ARITHMETIC] = (uint32_t)(i % 4) + 1;
        const struct pipe_testimony t = { .step_count = 4, .check = &c, .twin = -1 };
        char *line;
        const uint32_t truth = (uint32_t)(i % 10 ? i % 4 : (i + 1) % 4);
        assert_int_equal(pipe_case_line(&ctx, i % 2 ? "a" : "b", truth, &t, &line),
                         RT_OK);
        fprintf(file, "%s\n", line);
        rt_free(line);
    }
    assert_int_equal(fclose(file), 0);
    struct pipe_cases cases = { 0 };
    double weights[PIPE_SIGNS], again[PIPE_SIGNS];
    assert_int_equal(pipe_cases_read(&ctx, path, &cases), RT_OK);
    assert_int_equal(cases.count, 400);
    assert_int_equal(pipe_weights_fit(&ctx, &cases, NULL, weights), RT_OK);
    assert_int_equal(pipe_weights_fit(&ctx, &cases, NULL, again), RT_OK);
    assert_memory_equal(weights, again, sizeof weights);
    /* the truth is the named step or a later one, never one before */
    assert_true(weights[PIPE_SIGN_check_false] > weights[PIPE_SIGN_check_passed] + 1);
    assert_true(weights[PIPE_SIGN_check_passed] > 0);
    assert_true(weights[PIPE_SIGN_twin_sure] == 0); /* never seen */
    double p;
    uint32_t by;
    for (uint32_t i = 0; i < cases.count; i++) {
        assert_int_equal(pipe_case_step(&cases.items[i], weights, &p, &by),
                         cases.items[i].said[PIPE_SAID_CHECK]);
        assert_true(by == 1 && p > 0.5);
    }
    assert_int_equal(pipe_weights_fit(&ctx, &cases, "a", weights), RT_OK);
    pipe_cases_deinit(&cases);
    static const char *const bad[] = {
        "{\"set\":\"a\"}\n",
        "{\"set\":\"a\",\"truth\":1,\"said\":[0,0,0,0],\"signs\":[[0]]}\n",
        "{\"set\":\"a\",\"truth\":0,\"said\":[0,0,0,0],\"signs\":[[1]]}\n",
        "{\"set\":\"a\",\"truth\":-1,\"said\":[],\"signs\":[]}\n",
        "{\"set\":\"a\",\"truth\":0,\"said\":[0,0,0,0,0,0,0,0,0],\"signs\":[[0,0,0,0,0,0,"
        "0,0,0,"
        "0,0,0,0,0,0,0,0,0]],\"unsure\":[]}\n",
        "{\"set\":\"a\",\"truth\":0,\"said\":[0,0,0,0,0,0,0,0,0],\"signs\":[[0,0,0,0,0,0,"
        "0,0,0,"
        "0,0,0,0,0,0,0,0,0]],\"unsure\":[2]}\n",
        "{\"set\":",
    };
    for (size_t i = 0; i < RT_COUNT(bad); i++) {
        write_file(path, bad[i]);
        assert_int_equal(pipe_cases_read(&ctx, path, &cases), RT_ERR_INPUT);
        pipe_cases_deinit(&cases);
    }
    assert_int_equal(pipe_weights_fit(&ctx, &cases, NULL, weights), RT_ERR_INPUT);
    unlink(path);
}

/* `count` answers of 4 steps, of which the twin names the right one in `right` of 10, else the
 * step before it. */
static void put_cases(FILE *file, const char *set, int count, int right)
{
    struct rt_ctx ctx = { 0 };
    for (int i = 0; i < count; i++) {
        const uint32_t truth = 1 + (uint32_t)(i % 3);
        const struct pipe_testimony t = { .step_count = 4,
                                          .twin = (int32_t)truth - (i % 10 >= right),
                                          .twin_sure = true };
        char *line;
        assert_int_equal(pipe_case_line(&ctx, set, truth, &t, &line), RT_OK);
        fprintf(file, "%s\n", line);
        rt_free(line);
    }
}

/* A sign that is worth much in one generator's text is believed as far as the other's allows,
 * however many answers the first has. */
static void generators_count_alike(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_cases cases = { 0 };
    double both[PIPE_SIGNS], without[PIPE_SIGNS];
    char path[] = "/tmp/faultline-evidence-XXXXXX";
    FILE *file = temporary(path);
    put_cases(file, "a-one", 600, 10);
    put_cases(file, "injected_a-two/text", 300, 10);
    put_cases(file, "a-one" PIPE_SET_SHARED, 300, 10);
    put_cases(file, "b-one", 60, 7);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(pipe_cases_read(&ctx, path, &cases), RT_OK);
    unlink(path);
    assert_true(pipe_same_generator("a-one", "injected_a-two/text"));
    assert_true(pipe_same_generator("a", "a/text"));
    assert_false(pipe_same_generator("a-one", "ab-one"));
    assert_int_equal(pipe_weights_fit(&ctx, &cases, NULL, both), RT_OK);
    assert_int_equal(pipe_weights_fit(&ctx, &cases, "b-two", without), RT_OK);
    const double sure = without[PIPE_SIGN_twin_sure], worst = both[PIPE_SIGN_twin_sure];
    assert_true(sure > 5); /* all 1,200 are right */
    assert_int_equal(pipe_weights_fit(&ctx, &cases, "a", without), RT_OK);
    assert_true(worst < sure - 1 && worst > without[PIPE_SIGN_twin_sure] - 0.5);
    pipe_cases_deinit(&cases);
}

/* An answer of 4 steps whose search names `step`, and the twin too if `agreed`; the truth is
 * step 2. */
static void put_asked(FILE *file, const char *set, int32_t step, bool agreed,
                      double unsure)
{
    struct rt_ctx ctx = { 0 };
    char *line;
    const struct pipe_rollout_result rollout = { .step = step, .monotone = true };
    const double before[4] = { unsure, 0, 0, 0 };
    const struct pipe_testimony t = { .step_count = 4,
                                      .rollout = &rollout,
                                      .twin = agreed ? step : -1,
                                      .twin_sure = true,
                                      .unsure = before };
    assert_int_equal(pipe_case_line(&ctx, set, 2, &t, &line), RT_OK);
    fprintf(file, "%s\n", line);
    rt_free(line);
}

/* Verdicts on which more agree, and before which quant was sure, are right more often. */
static void confidence_is_fitted_and_covers(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_cases cases = { 0 };
    double weights[PIPE_SIGNS], sures[PIPE_SURES], confidence;
    char path[] = "/tmp/faultline-evidence-XXXXXX";
    FILE *file = temporary(path);
    for (int i = 0; i < 200; i++) {
        const char *set = i % 2 ? "a-one" : "b-one";
        put_asked(file, set, i % 20 < 18 ? 2 : 3, true, 0.1);
        put_asked(file, set, i % 20 < 12 ? 2 : 3, false, 0.1);
        put_asked(file, set, i % 20 < 6 ? 2 : 3, false, 0.4);
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(pipe_cases_read(&ctx, path, &cases), RT_OK);
    unlink(path);
    assert_int_equal(pipe_weights_fit(&ctx, &cases, NULL, weights), RT_OK);
    assert_int_equal(pipe_sures_fit(&ctx, &cases, NULL, weights, sures), RT_OK);
    assert_true(sures[PIPE_SURE_named_by] > 0.5 && sures[PIPE_SURE_unsure_before] < -1);
    assert_true(fabs(pipe_sureness(sures, 2, 0.1) - 0.9) < 0.05);
    assert_true(fabs(pipe_sureness(sures, 1, 0.1) - 0.6) < 0.05);
    assert_true(fabs(pipe_sureness(sures, 1, 0.4) - 0.3) < 0.05);
    assert_true(sures[PIPE_SURE_least] == PIPE_VERDICT_LEAST);
    assert_int_equal(pipe_sures_least(&ctx, &cases, &sures[PIPE_SURE_least]), RT_OK);
    uint32_t named = 0;
    for (uint32_t i = 0; i < cases.count; i++) {
        assert_true(pipe_case_verdict(&cases.items[i], weights, sures, &confidence) >= 2);
        named += confidence > 0.2 && confidence < 0.99;
    }
    assert_int_equal(named, cases.count);
    assert_true(sures[PIPE_SURE_least] > 0.2 && sures[PIPE_SURE_least] < 0.4);
    pipe_cases_deinit(&cases);
    memset(sures, 0, sizeof sures);
    assert_int_equal(pipe_sures_least(&ctx, &cases, &sures[PIPE_SURE_least]), RT_OK);
    assert_true(sures[PIPE_SURE_least] == 0); /* no cases: as it was */
}

/* What is fitted is what is asked at work: the same step and confidence by both. */
static void a_stored_case_has_the_verdict_of_its_testimony(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_cases cases = { 0 };
    char path[] = "/tmp/faultline-evidence-XXXXXX";
    const struct pipe_checked check = { .step = 1,
                                        .named = { [PIPE_CHECK_ARITHMETIC] = 2 } };
    const struct pipe_rollout_result rollout = { .step = 2, .monotone = true };
    const struct pipe_contrasted contrast = { .step = 3, .end = true };
    const double unsure[4] = { 0.125, 0.25, 0.375, 0.5 };
    struct pipe_testimony list[24];
    char *line;
    FILE *file = temporary(path);
    for (int i = 0; i < 24; i++) {
        list[i] = (struct pipe_testimony){ .step_count = 4,
                                           .check = i & 1 ? &check : NULL,
                                           .rollout = i & 2 ? &rollout : NULL,
                                           .contrast = i & 4 ? &contrast : NULL,
                                           .twin = i / 8 * 2 - 1,
                                           .mend = 3,
                                           .unsure = i & 2 ? unsure : NULL };
        assert_int_equal(pipe_case_line(&ctx, "a", 0, &list[i], &line), RT_OK);
        fprintf(file, "%s\n", line);
        rt_free(line);
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(pipe_cases_read(&ctx, path, &cases), RT_OK);
    unlink(path);
    assert_int_equal(cases.count, 24);
    for (uint32_t i = 0; i < cases.count; i++) {
        double said, stored;
        const int32_t step = pipe_verdict_step(&list[i], &said);
        assert_int_equal(
            pipe_case_verdict(&cases.items[i], pipe_weights, pipe_sures, &stored), step);
        assert_true(fabs(said - stored) < 1e-12);
    }
    pipe_cases_deinit(&cases);
}

/* weights.def is what the stored evidence gives. */
static void the_tables_are_those_of_the_fit(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_cases cases = { 0 };
    double weights[PIPE_SIGNS], sures[PIPE_SURES];
    assert_int_equal(
        pipe_cases_read(&ctx, TEST_SOURCE_DIR "/tests/evidence/weights.jsonl.gz", &cases),
        RT_OK);
    assert_int_equal(cases.count, 8686);
    assert_int_equal(pipe_weights_fit(&ctx, &cases, NULL, weights), RT_OK);
    assert_int_equal(pipe_sures_fit(&ctx, &cases, NULL, weights, sures), RT_OK);
    assert_int_equal(pipe_sures_least(&ctx, &cases, &sures[PIPE_SURE_least]), RT_OK);
    for (int s = 0; s < PIPE_SIGNS; s++)
        if (!(fabs(weights[s] - pipe_weights[s]) < 1e-4))
            fail_msg("%s: fitted %.4f, table %.4f", pipe_sign_name((enum pipe_sign)s),
                     weights[s], pipe_weights[s]);
    for (int s = 0; s < PIPE_SURES; s++)
        if (!(fabs(sures[s] - pipe_sures[s]) < 1e-4))
            fail_msg("%s: fitted %.4f, table %.4f", pipe_sure_name((enum pipe_sure)s),
                     sures[s], pipe_sures[s]);
    pipe_cases_deinit(&cases);
}

static void the_surest_are_kept(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    const int32_t named[6] = { 0, 1, -1, 2, 3, 4 }, truth[6] = { 0, 0, 0, 2, -1, 4 };
    const double confidence[6] = { 0.5, 0.4, 0.9, 0.5, 0.99, 0.8 };
    int32_t kept[6];
    assert_int_equal(pipe_judge_surest(&ctx, named, confidence, truth, 6, 0.4, kept),
                     RT_OK); /* 2 of 5 judged */
    const int32_t two[6] = { 0, -1, -1, -1, 3, 4 };
    assert_memory_equal(kept, two, sizeof kept);
    assert_int_equal(pipe_judge_surest(&ctx, named, confidence, truth, 6, 1, kept),
                     RT_OK);
    assert_memory_equal(kept, named, sizeof kept);
}

/* Prior and likelihood ratio: what the model names counts as much as what it did not expect. */
static void the_judge_is_scored_jointly(void **state)
{
    (void)state;
    double asked[3] = { log(0.6), log(0.3), log(0.1) };
    const double numbers[3] = { 0, log(8.0), log(2.0) };
    const double doubt = pipe_judge_joint(asked, asked, numbers, 3);
    assert_true(fabs(doubt - log(0.6 + 2.4 + 0.2)) < 1e-12);
    assert_true(fabs(exp(asked[0]) - 0.1875) < 1e-12);
    assert_true(fabs(exp(asked[1]) - 0.75) < 1e-12);
    assert_true(fabs(exp(asked[2]) - 0.0625) < 1e-12);
    double only[1];
    pipe_judge_joint(only, (const double[]){ 0 }, (const double[]){ 900 }, 1);
    assert_true(only[0] == 0);
}

static void agreement_is_kappa(void **state)
{
    (void)state;
    const int32_t a[6] = { 0, 0, 1, 1, -2, 2 }, b[6] = { 0, 1, 1, 1, 0, -2 };
    /* 3 of 4 agree; by chance 2/4 * 1/4 + 2/4 * 3/4 = 1/2 */
    assert_true(fabs(pipe_kappa(a, b, 6) - 0.5) < 1e-12);
    assert_true(isnan(pipe_kappa(a, b, 0)));
    assert_true(isnan(pipe_kappa(a + 4, b + 4, 2)));
    assert_true(fabs(pipe_kappa(a, a, 6) - 1) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fit_finds_what_a_locator_is_worth),
        cmocka_unit_test(generators_count_alike),
        cmocka_unit_test(confidence_is_fitted_and_covers),
        cmocka_unit_test(a_stored_case_has_the_verdict_of_its_testimony),
        cmocka_unit_test(the_tables_are_those_of_the_fit),
        cmocka_unit_test(the_surest_are_kept),
        cmocka_unit_test(the_judge_is_scored_jointly),
        cmocka_unit_test(agreement_is_kappa),
    };
    return cmocka_run_group_tests_name("weights, judge, agreement", tests, NULL, NULL);
}

/* Rollout bisection, twin suspects, the verdict, categories by difference, and the
 * counts by which locators are judged. */
#include "pipeline/demo/demo_category.h"
#include "pipeline/locate/judge.h"
#include "pipeline/locate/evidence.h"
#include "pipeline/locate/locate_rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

/* A scripted model: "110" can finish with 0 and 1 steps kept, not with 2. */
struct script {
    const char *can;
    uint32_t calls, repeated;
    bool seen[PIPE_ROLLOUT_MAX + 1];
    rt_status fail_with;
};

static rt_status scripted(void *user, uint32_t kept, bool *can)
{
    struct script *s = user;
    s->calls++;
    s->repeated += s->seen[kept];
    s->seen[kept] = true;
    *can = s->can[kept] == '1';
    return s->fail_with;
}

static struct pipe_rollout_result search(const char *script, int32_t guess)
{
    struct script s = { .can = script };
    struct pipe_rollout_result r;
    assert_int_equal(
        pipe_rollout_search(scripted, &s, (uint32_t)strlen(script), guess, &r), RT_OK);
    assert_int_equal(s.repeated, 0);
    assert_int_equal(s.calls, r.asked);
    return r;
}

/* A script of n characters has n steps: the whole answer is never asked. */
static void rollout_finds_every_monotone_change(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 20; n++)
        for (uint32_t fault = 0; fault < n; fault++)
            for (int32_t guess = -1; guess <= (int32_t)n; guess++) {
                char script[32] = "";
                memset(script, '0', n);
                memset(script, '1', fault + 1);
                const struct pipe_rollout_result r = search(script, guess);
                if (r.step != (int32_t)fault || !r.monotone)
                    fail_msg("%s guess %d: step %d", script, guess, r.step);
                if (r.asked > 9)
                    fail_msg("%s guess %d: %u questions", script, guess, r.asked);
            }
    assert_true(search("11111100000000", 5).asked <= 5); /* a right guess is cheap */
}

static void rollout_reports_what_it_cannot_blame(void **state)
{
    (void)state;
    struct pipe_rollout_result r = search("0000", 2);
    assert_true(r.step == -1 && r.lost_from_start && r.asked == 1);
    r = search("", -1);
    assert_true(r.step == -1 && r.asked == 0);
    /* found at 3, but the neighbour before cannot be finished: an earlier change wins */
    r = search("10010000", 3);
    assert_true(r.step == 0 && !r.monotone);
    r = search("11010", -1);
    assert_true(!r.monotone && r.step == 1);
    struct script broken = { .can = "1100", .fail_with = RT_ERR_DEVICE_LOST };
    assert_int_equal(pipe_rollout_search(scripted, &broken, 4, -1, &r),
                     RT_ERR_DEVICE_LOST);
}

static void twin_names_the_first_sure_disagreement(void **state)
{
    (void)state;
    const uint32_t ids[6] = { 1, 2, 3, 4, 5, 6 };
    const uint32_t top[6] = { 1, 9, 3, 9, 9, 6 };
    float margin[6] = { 0, 0.1f, 0, 0.7f, 3.0f, 0 };
    const struct pipe_step steps[3] = { { 0, 0, 0, 2 }, { 0, 0, 2, 4 }, { 0, 0, 4, 6 } };
    const struct pipe_twin_view view = {
        .n = 6,
        .ids = ids,
        .full_top = top,
        .full_margin = margin,
        .steps = steps,
        .step_count = 3,
    };
    struct pipe_twin_suspect found[4], one;
    assert_int_equal(pipe_twin_suspects(&view, PIPE_TWIN_SURE, found, 4), 2);
    assert_int_equal(found[0].step, 1);
    assert_int_equal(found[0].token, 3);
    assert_int_equal(found[1].token, 4);
    assert_int_equal(pipe_twin_suspects(&view, PIPE_TWIN_SURE, found, 1), 1);
    assert_int_equal(pipe_twin_step(&view, &one), 1);
    margin[3] = 0.2f;
    margin[4] = 0.3f;
    assert_int_equal(pipe_twin_step(&view, &one), 2); /* the strongest */
    assert_int_equal(one.token, 4);
    margin[4] = NAN;
    margin[3] = NAN; /* not a number is never sure */
    assert_int_equal(pipe_twin_suspects(&view, PIPE_TWIN_SURE, found, 4), 0);
    const struct pipe_twin_view agrees = {
        .n = 6,
        .ids = ids,
        .full_top = ids,
        .full_margin = margin,
        .steps = steps,
        .step_count = 3,
    };
    assert_int_equal(pipe_twin_step(&agrees, &one), -1);
    const uint32_t other[5] = { 1, 2, 7, 4, 5 };
    assert_int_equal(pipe_first_difference(ids, 6, other, 5), 2);
    assert_int_equal(pipe_first_difference(ids, 6, ids, 4), 4);
    assert_int_equal(pipe_first_difference(ids, 6, ids, 6), -1);
}

static struct pipe_checked named_at(enum pipe_check_rule rule, int32_t step)
{
    struct pipe_checked c = { .step = step, .rule = rule };
    if (rule != PIPE_CHECK_NONE && step >= 0)
        c.named[rule] = (uint32_t)step + 1;
    return c;
}

static void the_verdict_weighs_what_all_say(void **state)
{
    (void)state;
    const struct pipe_checked sum = named_at(PIPE_CHECK_ARITHMETIC, 2);
    const struct pipe_checked silent = named_at(PIPE_CHECK_NONE, -1);
    struct pipe_rollout_result rollout = search("1100", -1);
    struct pipe_testimony t = { .step_count = 4, .check = &sum, .twin = -1 };
    const struct pipe_fault check = { .step = 2, .category = PIPE_CAT_METHOD_FORMULA };
    const struct pipe_fault twin = { .step = 1, .token = 17 };
    struct pipe_fault v;
    assert_int_equal(rollout.step, 1);
    pipe_verdict(&t, &check, NULL, PIPE_CAT_EXECUTION_COMPUTATION, &v);
    assert_int_equal(v.step, 2); /* the only one that speaks */
    assert_int_equal(v.category, PIPE_CAT_METHOD_FORMULA);
    assert_string_equal(v.locator, "verdict");
    const double alone = v.confidence;
    t.rollout = &rollout;
    t.twin = 1;
    t.twin_sure = true;
    pipe_verdict(&t, &check, &twin, PIPE_CAT_EXECUTION_COMPUTATION, &v);
    assert_int_equal(v.step, 1); /* two against one, and what is false can stand behind */
    assert_int_equal(v.token, 17);
    assert_int_equal(v.category, PIPE_CAT_EXECUTION_COMPUTATION);
    t.twin = 2;
    rollout = search("1110", -1);
    pipe_verdict(&t, &check, &twin, PIPE_CAT_NONE, &v);
    assert_true(v.step == 2 && v.token == -1 && v.confidence > alone);
    t = (struct pipe_testimony){ .step_count = 4, .check = &silent, .twin = -1 };
    pipe_verdict(&t, NULL, NULL, PIPE_CAT_NONE, &v);
    assert_true(v.step == -1 && v.token == -1 && v.category == PIPE_CAT_NONE);
    t = (struct pipe_testimony){ .step_count = 0, .twin = -1 };
    pipe_verdict(&t, NULL, NULL, PIPE_CAT_NONE, &v);
    assert_int_equal(v.step, -1);
}

/* The step that more locators name wins whatever the weights say; doubt of quant before the step
 * makes it less sure, and below the least confidence nothing is named. */
static void more_voices_win_and_doubt_counts(void **state)
{
    (void)state;
    const struct pipe_rollout_result rollout = search("1100", -1);
    const struct pipe_checked sum = named_at(PIPE_CHECK_ARITHMETIC, 1);
    const struct pipe_contrasted contrast = { .step = 3, .end = true };
    double unsure[4] = { 0.01, 0.49, 0.49, 0.49 }, sure, less;
    struct pipe_testimony t = { .step_count = 4,
                                .rollout = &rollout,
                                .contrast = &contrast,
                                .twin = 1,
                                .mend = 1,
                                .unsure = unsure };
    assert_int_equal(pipe_named_by(&t, 1), 2);
    assert_int_equal(pipe_named_by(&t, 0), 0); /* mend has no voice beside a search */
    assert_int_equal(pipe_verdict_step(&t, &sure), 1);
    t.check = &sum;
    assert_int_equal(pipe_verdict_step(&t, &less), 1);
    assert_true(less > sure);
    unsure[0] = 0.49;
    assert_int_equal(pipe_verdict_step(&t, &less), 1);
    assert_true(less < sure);
    t.unsure = NULL; /* not known: as if sure */
    assert_int_equal(pipe_verdict_step(&t, &less), 1);
    assert_true(less > sure);
    const struct pipe_testimony one = {
        .step_count = 4, .rollout = &rollout, .twin = -1, .unsure = unsure
    };
    struct pipe_fault v;
    pipe_verdict(&one, NULL, NULL, PIPE_CAT_NONE, &v);
    assert_true(v.step == -1 && v.confidence < pipe_sures[PIPE_SURE_least]);
    assert_true(pipe_unsure(0) == 0.5 && pipe_unsure(INFINITY) == 0);
}

/* Two voices of small weight against one of more; then one against one. */
static void voices_come_before_weights(void **state)
{
    (void)state;
    struct pipe_rollout_result rollout = search("1100", -1);
    const struct pipe_contrasted contrast = { .step = 3, .end = true };
    struct pipe_testimony t = {
        .step_count = 4, .rollout = &rollout, .contrast = &contrast, .twin = 1
    };
    double sure;
    rollout.monotone = false;
    assert_true(pipe_probability(&t, 3) > pipe_probability(&t, 1));
    assert_int_equal(pipe_verdict_step(&t, &sure), 1);
    t.twin = -1;
    assert_true(pipe_probability(&t, 3) > pipe_probability(&t, 1));
    assert_int_equal(pipe_verdict_step(&t, &sure), 3);
    rollout.monotone = true;
    assert_true(pipe_probability(&t, 3) < pipe_probability(&t, 1));
    assert_int_equal(pipe_verdict_step(&t, &sure), 1);
}

static void an_answer_without_a_step_is_degenerate(void **state)
{
    (void)state;
    const struct pipe_testimony t = { .step_count = 0, .twin = -1 };
    struct pipe_fault v;
    pipe_verdict(&t, NULL, NULL, PIPE_CAT_UNCLASSIFIED, &v);
    assert_true(v.step == -1 && v.category == PIPE_CAT_DEGENERATE);
    assert_string_equal(v.evidence, PIPE_VERDICT_NO_ANSWER);
}

static void it_abstains_below_the_stated_confidence(void **state)
{
    (void)state;
    const double flat[4] = { -1.38, -1.39, -1.40, -1.37 };
    const struct pipe_testimony t = { .step_count = 4, .twin = -1, .judge = flat };
    struct pipe_fault v;
    pipe_verdict(&t, NULL, NULL, PIPE_CAT_NONE, &v);
    assert_true(v.step == -1 && v.confidence > 0 && v.confidence < PIPE_VERDICT_LEAST);
}

static void categories_follow_the_difference_of_the_steps(void **state)
{
    (void)state;
    static const char full[] = "Hugo: 11+40=51\nIris: 11-4=7\nTotal: 51+7=58\n#### 58";
    static const struct {
        const char *quant;
        uint32_t step;
        enum pipe_category category;
    } rows[] = {
        { "Hugo: 40+11=52", 0, PIPE_CAT_EXECUTION_COMPUTATION },
        { "Hugo: 11+4=15", 0, PIPE_CAT_METHOD_FORMULA },
        { "Hugo: 11*40=440", 0, PIPE_CAT_METHOD_FORMULA },
        { "Omar: 10+1=11", 0, PIPE_CAT_METHOD_PROCEDURE },
        { "Hugo: 11+40=51\n#### 51", 1, PIPE_CAT_METHOD_PROCEDURE },
        { "Hugo: 11+40=51\nIris: 11-4=7\nTotal: 51+7=58\n#### 85", 3, PIPE_CAT_TRANSFER },
        { "Hugo 51", 0, PIPE_CAT_EXECUTION_SYMBOLIC },
        { "Hugo: 11+40=51", 0, PIPE_CAT_UNCLASSIFIED }, /* no difference */
        { "Hugo: 11+40=51", 7, PIPE_CAT_UNCLASSIFIED }, /* no such step */
    };
    for (size_t i = 0; i < RT_COUNT(rows); i++)
        if (pipe_demo_category(rows[i].quant, rows[i].step, full) != rows[i].category)
            fail_msg("'%s' step %u: %s", rows[i].quant, rows[i].step,
                     pipe_category_code(
                         pipe_demo_category(rows[i].quant, rows[i].step, full)));
    assert_int_equal(pipe_demo_category("x", 0, NULL), PIPE_CAT_UNCLASSIFIED);
}

static void the_judge_counts_precision_recall_and_coverage(void **state)
{
    (void)state;
    const int32_t named[6] = { 0, 1, -1, 3, 2, 5 }, truth[6] = { 0, 2, 1, 3, -1, 1 };
    struct pipe_judged j;
    pipe_judge(named, truth, 6, &j);
    assert_int_equal(j.total, 5);
    assert_int_equal(j.located, 4);
    assert_int_equal(j.right, 2);
    assert_int_equal(j.within_one, 3);
    assert_true(fabs(j.offset_mean - 0.75) < 1e-12);
    assert_true(j.precision.low < 0.5 && 0.5 < j.precision.high);
    assert_true(j.recall.high < j.coverage.high);
    pipe_judge(named, truth, 0, &j);
    assert_true(j.precision.low <= 0.0 && j.precision.high >= 1.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rollout_finds_every_monotone_change),
        cmocka_unit_test(rollout_reports_what_it_cannot_blame),
        cmocka_unit_test(twin_names_the_first_sure_disagreement),
        cmocka_unit_test(the_verdict_weighs_what_all_say),
        cmocka_unit_test(more_voices_win_and_doubt_counts),
        cmocka_unit_test(voices_come_before_weights),
        cmocka_unit_test(an_answer_without_a_step_is_degenerate),
        cmocka_unit_test(it_abstains_below_the_stated_confidence),
        cmocka_unit_test(categories_follow_the_difference_of_the_steps),
        cmocka_unit_test(the_judge_counts_precision_recall_and_coverage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

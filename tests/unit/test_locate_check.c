/* The mechanical locator: what each rule names in any text, and what it makes of the demo's
 * right and wrong answers, which no rule was written for. */
#include "pipeline/demo/format_demo.h"
#include "pipeline/demo/locate_gold.h"
#include "pipeline/prompt/locate_check.h"
#include "pipeline/prompt/prompt_format.h"
#include "pipeline/prompt/step_split.h"
#include "pipeline/stats/statistics.h"
#include "tests/support/demo_answers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <string.h>

static const char SHOP[] = "Ana buys 3 cups at $12 each and twenty-four pens. There is a "
                           "25% discount. How much does she pay?";

static const struct {
    const char *question, *output;
    enum pipe_check_rule rule;
    int32_t step;
} cases[] = {
    { SHOP, "Cups: 3 * 12 = 36.\nOff: 36 / 4 = 9.\nSo 36 - 9 = 28.",
      PIPE_CHECK_ARITHMETIC, 2 },
    { SHOP, "Cups: 3 * 12 = 36.\nOff: 36 * 0.25 = 9.\n36 - 9 = 27.\nThe answer is 27.",
      PIPE_CHECK_NONE, -1 },
    { SHOP, "Cups: 3 * 12 = 36.\n36 * 0.75 = 27.\n#### 27", PIPE_CHECK_NONE, -1 },
    { SHOP, "Pens: 24 * 12 = 288.\n#### 288", PIPE_CHECK_NONE, -1 },
    { SHOP, "Cups: 3 * 12 = <<3*12=36>>39.\n#### 39", PIPE_CHECK_COPY, 0 },
    { SHOP, "Cups: 3 * 12 = 36.\nThen 7193 - 36 = 7157.\n#### 7157", PIPE_CHECK_UNKNOWN,
      1 },
    { SHOP, "She has 7193 cups.\nSo 7193 - 36 = 7157.\n#### 7157", PIPE_CHECK_UNKNOWN,
      0 },
    { SHOP, "Let x be the price.\nThen 7193 - 36 = 7157.\n#### 7157", PIPE_CHECK_NONE,
      -1 }, /* what x gives is not known */
    { SHOP, "Cups: 3 * 12 = 36.\nThe answer is 7193.", PIPE_CHECK_ANSWER, 1 },
    { SHOP, "Cups: 3 * 12 = 36.\nThe answer is \\boxed{36}.", PIPE_CHECK_NONE, -1 },
    { SHOP, "3 + 1 = 4\nNow.\nAgain.\nNow.\nAgain.\nNow.\nAgain.\nNow.\nAgain.\nNo",
      PIPE_CHECK_REPETITION, 3 },
    { SHOP, "Now.\nNow.\nNow.\n", PIPE_CHECK_NONE, -1 },
    { SHOP, "", PIPE_CHECK_NONE, -1 },
    { "", "1 + 1 = 3", PIPE_CHECK_ARITHMETIC, 0 },
};

static void each_rule_names_its_step(void **state)
{
    (void)state;
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct pipe_step steps[32];
        struct pipe_checked c;
        pipe_locate_check(cases[i].question, cases[i].output, steps,
                          pipe_split_lines(cases[i].output, steps, 32), &c);
        if (c.rule != cases[i].rule || c.step != cases[i].step)
            fail_msg("'%s': rule %s at step %d", cases[i].output,
                     pipe_check_rule_name(c.rule), c.step);
        assert_int_equal(c.rule == PIPE_CHECK_NONE, c.category == PIPE_CAT_NONE);
        for (int r = 0; r < PIPE_CHECK_RULE_COUNT; r++)
            assert_true(!c.named[r] || (int32_t)c.named[r] - 1 >= c.step);
        json_t *evidence = json_loads(c.evidence, 0, NULL);
        assert_true(json_is_object(evidence));
        json_decref(evidence);
    }
}

static void check(const char *question, const char *output, struct pipe_checked *c)
{
    const struct pipe_dialect *demo = pipe_prompt_format_find("demo")->dialect;
    demo->check(demo, question, output, c);
}

static void right_solutions_are_never_accused(void **state)
{
    (void)state;
    static const char *const files[] = { "measure.jsonl", "mine.jsonl", "validate.jsonl",
                                         "calibrate.jsonl" };
    for (size_t f = 0; f < RT_COUNT(files); f++) {
        struct rt_ctx ctx = { 0 };
        struct pipe_problem_set set;
        test_problems(&ctx, files[f], &set);
        for (uint32_t i = 0; i < set.count; i++) {
            struct pipe_checked c;
            check(set.items[i].question, set.items[i].reference, &c);
            if (c.step >= 0)
                fail_msg("%s: %s at step %d: %s", set.items[i].id,
                         pipe_check_rule_name(c.rule), c.step, set.items[i].reference);
        }
        pipe_problems_deinit(&set);
    }
}

/* What is false by itself can stand behind the first fault (a wrong operand is calculated with
 * rightly, and the next step then fails), but not before it. */
static void nothing_is_named_before_the_first_fault(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_problem_set set;
    const struct test_answer *answers = test_answers(&ctx, &set);
    for (int version = 0; version < 2; version++) {
        uint32_t named = 0, right = 0, before = 0, total = 0;
        for (uint32_t i = 0; i < set.count; i++) {
            struct pipe_checked c;
            struct pipe_gold_fault gold;
            if (answers[i].right[version])
                continue;
            check(set.items[i].question, answers[i].text[version], &c);
            assert_int_equal(
                pipe_locate_gold(&ctx, &set.items[i], answers[i].text[version], &gold),
                RT_OK);
            total++;
            named += c.step >= 0;
            right += c.step >= 0 && c.step == gold.step;
            before += c.step >= 0 && c.step < gold.step;
        }
        const struct pipe_interval p = pipe_wilson(right, named);
        print_message("%s: %u wrong, %u named, %u at the right step [%.3f, %.3f]\n",
                      version ? "quant" : "full", total, named, right, p.low, p.high);
        assert_int_equal(before, 0);
        assert_true(named > total / 8);
    }
    pipe_problems_deinit(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule_names_its_step),
        cmocka_unit_test(right_solutions_are_never_accused),
        cmocka_unit_test(nothing_is_named_before_the_first_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The mechanical locator: what each rule catches, and its precision against the judge. */
#include "pipeline/demo/locate_check.h"
#include "pipeline/demo/locate_gold.h"
#include "pipeline/demo/question.h"
#include "pipeline/stats/statistics.h"
#include "tests/support/demo_answers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <string.h>

static const char PENS[] =
    "Iris has 11 pens. Hugo has 40 more pens than Iris. Omar has 10 stones. Iris gives 4 "
    "pens to Hugo. Hugo gives away half of the pens. How many pens do Iris and Hugo have "
    "in "
    "total?";
static const char SHOP[] =
    "Ana buys 3 cups at 12 dollars each. Ana buys 5 pens at 4 dollars "
    "each. There is a 25% discount. How much does Ana pay?";

static const struct {
    const char *question, *output;
    enum pipe_check_rule rule;
    int32_t step;
} cases[] = {
    { PENS, "Hugo: 11+40=51\nIris: 11-4=7\nHugo: 51+5=56\n#### 63", PIPE_CHECK_UNKNOWN,
      2 },
    { PENS, "Hugo: 11+40=51\nIris: 11-4=8\n#### 63", PIPE_CHECK_ARITHMETIC, 1 },
    { PENS, "Hugo: 10+40=50\nIris: 11-4=7\n#### 63", PIPE_CHECK_FOREIGN, 0 },
    { PENS, "Hugo: 11+40=51\nIris: 51-4=47\n#### 63", PIPE_CHECK_FOREIGN, 1 },
    { PENS, "Hugo: 11+40=51\nHugo: 51+4=55\nHugo: 51/2=25\n#### 63", PIPE_CHECK_STALE,
      2 },
    { PENS, "Hugo: 11+40=51\nIris: 11-4=7\nTotal: 11+51=62\n#### 62", PIPE_CHECK_STALE,
      2 },
    { PENS, "Hugo: 11+40=51\nIris: 11+4=15\n#### 63", PIPE_CHECK_OPERATOR, 1 },
    { PENS, "Hugo: 11+40=51\nIris: 11-4=7\nHugo: 51-4=47\n#### 63", PIPE_CHECK_OPERATOR,
      2 },
    { SHOP, "cups: 3+12=15\n#### 36", PIPE_CHECK_OPERATOR, 0 },
    { SHOP, "cups: 12*12=144\n#### 36", PIPE_CHECK_FOREIGN, 0 },
    { "Ana counts 4 feet. Then Ana counts 75 inches more. How many inches is that?",
      "inches: 4*12=48\nTotal: 48-12=36\n#### 36", PIPE_CHECK_FOREIGN, 1 },
    { "Ana counts 4 feet. Then Ana counts 7 inches more. How many inches is that?",
      "inches: 4*12=48\nTotal: 48-7=41\n#### 41", PIPE_CHECK_OPERATOR, 1 },
    { PENS, "Hugo: 11+40=51\nIris 11-4=7\n#### 63", PIPE_CHECK_UNREADABLE, 1 },
    { PENS, "Hugo: 11+40=51\nIris: 11-4=7\nTotal: 51+7=58\n#### 85", PIPE_CHECK_ANSWER,
      3 },
    { PENS, "Hugo: 11+40=51\n#### 51", PIPE_CHECK_MISSING, 1 },
    { PENS, "Hugo: 11+40=51\n", PIPE_CHECK_MISSING, 0 },
    { PENS, "", PIPE_CHECK_MISSING, 0 },
    { PENS,
      "Hugo: 11+40=51\nIris: 11-4=7\nIris: 11-4=7\nIris: 11-4=7\nIris: 11-4=7\nIris: 11",
      PIPE_CHECK_REPETITION, 2 },
    { SHOP, "cups: 3*12=36\n#### 36", PIPE_CHECK_MISSING, 1 },
    { SHOP, "cups: 3*4=12\npens: 5*4=20\n#### 32", PIPE_CHECK_FOREIGN, 0 },
    { SHOP,
      "cups: 3*12=36\npens: 5*4=20\nTotal: 36+20=56\nOff: 56/4=14\nPay: 56-14=42\n#### "
      "42",
      PIPE_CHECK_NONE, -1 },
    { "No numbers and no sentence", "x: 1+1=2\n#### 2", PIPE_CHECK_UNKNOWN, 0 },
};

static void each_rule_names_its_step(void **state)
{
    (void)state;
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        struct pipe_check c;
        pipe_locate_check(cases[i].question, cases[i].output, &c);
        if (c.rule != cases[i].rule || c.step != cases[i].step)
            fail_msg("'%s': rule %s at step %d", cases[i].output,
                     pipe_check_rule_name(c.rule), c.step);
        assert_int_equal(c.rule == PIPE_CHECK_NONE, c.category == PIPE_CAT_NONE);
        json_t *evidence = json_loads(c.evidence, 0, NULL);
        assert_true(json_is_object(evidence));
        json_decref(evidence);
    }
}

static void gold_solutions_are_never_accused(void **state)
{
    (void)state;
    static const char *const files[] = { "measure.jsonl", "mine.jsonl", "validate.jsonl",
                                         "calibrate.jsonl" };
    for (size_t f = 0; f < RT_COUNT(files); f++) {
        struct rt_ctx ctx = { 0 };
        struct pipe_problem_set set;
        test_problems(&ctx, files[f], &set);
        for (uint32_t i = 0; i < set.count; i++) {
            struct pipe_check c;
            pipe_locate_check(set.items[i].question, set.items[i].reference, &c);
            if (c.rule != PIPE_CHECK_NONE)
                fail_msg("%s: %s at step %d", set.items[i].id,
                         pipe_check_rule_name(c.rule), c.step);
        }
        pipe_problems_deinit(&set);
    }
}

/* Of the lost problems (full right, quant wrong) or of all wrong answers of a model. */
static void measures(int version, bool only_lost, uint32_t wrong, double coverage_min)
{
    struct rt_ctx ctx = { 0 };
    struct pipe_problem_set set;
    const struct test_answer *answers = test_answers(&ctx, &set);
    uint32_t fired = 0, right = 0, total = 0;
    for (uint32_t i = 0; i < set.count; i++) {
        struct pipe_check c;
        struct pipe_gold_fault gold;
        if (answers[i].right[version] || (only_lost && !answers[i].right[0]))
            continue;
        pipe_locate_check(set.items[i].question, answers[i].text[version], &c);
        assert_int_equal(
            pipe_locate_gold(&ctx, &set.items[i], answers[i].text[version], &gold),
            RT_OK);
        total++;
        fired += c.rule != PIPE_CHECK_NONE;
        right += c.rule != PIPE_CHECK_NONE && c.step == gold.step;
    }
    pipe_problems_deinit(&set);
    const struct pipe_interval p = pipe_wilson(right, fired);
    print_message("%s%s: %u wrong, %u located, %u at the right step [%.3f, %.3f]\n",
                  version ? "quant" : "full", only_lost ? " lost" : "", total, fired,
                  right, p.low, p.high);
    assert_int_equal(total, wrong);
    assert_true(p.low >= 0.95);
    assert_true((double)fired / total >= coverage_min);
}

static void precision_is_at_least_095_against_the_judge(void **state)
{
    (void)state;
    measures(1, true, 287, 0.95);
    measures(1, false, 504, 0.95);
    measures(0, false, 263, 0.95);
}

static void questions_are_read_with_their_implications(void **state)
{
    (void)state;
    struct pipe_question q;
    pipe_question_read(SHOP, &q);
    assert_int_equal(q.count, 4);
    assert_int_equal(q.name_count, 1);
    assert_true(q.complete);
    assert_true(pipe_question_gives(&q, 4) && pipe_question_gives(&q, 100));
    assert_false(pipe_sentence_states(&q.sentences[2], 4));
    assert_true(pipe_sentence_gives(&q.sentences[2], 4));
    assert_true(pipe_sentence_has_word(&q.sentences[0], "each"));
    assert_false(pipe_sentence_has_word(&q.sentences[0], "eac"));
    pipe_question_read("", &q);
    assert_int_equal(q.count, 0);
    pipe_question_read("1 2 3 4 5 6 7 8 9 10 11 12 13 14.", &q);
    assert_false(q.complete);
    pipe_question_read("A1234567890123 B.", &q);
    assert_false(q.complete);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule_names_its_step),
        cmocka_unit_test(gold_solutions_are_never_accused),
        cmocka_unit_test(precision_is_at_least_095_against_the_judge),
        cmocka_unit_test(questions_are_read_with_their_implications),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

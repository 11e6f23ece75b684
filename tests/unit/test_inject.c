/* Injected faults: one false step at a known place, everything after it consistent; and
 * what the mechanical locator makes of 500 of them. */
#include "pipeline/demo/format_demo.h"
#include "pipeline/demo/inject.h"
#include "pipeline/locate/judge.h"
#include "pipeline/demo/locate_gold.h"
#include "pipeline/prompt/prompt_format.h"
#include "tests/support/demo_answers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

enum { FAULTS = 500 };

/* Lines of false arithmetic: exactly the altered one, and only for wrong values. */
static void check_consistency(const struct pipe_injected *x)
{
    struct pipe_step steps[PIPE_STEPS_MAX];
    const uint32_t n = pipe_demo_split(x->output, steps, PIPE_STEPS_MAX);
    struct pipe_demo_line line = { 0 };
    int64_t last = -1;
    for (uint32_t k = 0; k + 1 < n; k++) {
        int64_t value;
        pipe_demo_step_parse(x->output, &steps[k], &line);
        assert_int_equal(line.kind, PIPE_LINE_EQUATION);
        const bool holds =
            pipe_demo_evaluate(line.a, line.op, line.b, &value) && value == line.c;
        assert_int_equal(holds, x->kind == PIPE_INJECT_OPERAND || (int32_t)k != x->step);
        last = line.c;
    }
    pipe_demo_step_parse(x->output, &steps[n - 1], &line);
    assert_int_equal(line.kind, PIPE_LINE_ANSWER);
    assert_int_equal(line.c, last);
}

static void locators_are_judged_on_500_injected_faults(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_problem_set set;
    static int32_t truth[FAULTS], named[FAULTS], judged[FAULTS];
    uint32_t count = 0, of_kind[2] = { 0 };
    test_problems(&ctx, "measure.jsonl", &set);
    for (uint32_t i = 0; i < set.count && count < FAULTS; i++) {
        const struct pipe_problem *p = &set.items[i];
        struct pipe_injected x;
        const enum pipe_inject_kind kind =
            count % 2 ? PIPE_INJECT_OPERAND : PIPE_INJECT_VALUE;
        assert_int_equal(
            pipe_inject(&ctx, &set.pool, NULL, p->question, p->reference, kind, 1, i, &x),
            RT_OK);
        if (!x.output)
            continue;
        struct pipe_checked check;
        struct pipe_gold_fault gold;
        check_consistency(&x);
        const struct pipe_dialect *demo = pipe_prompt_format_find("demo")->dialect;
        demo->check(demo, p->question, x.output, &check);
        assert_int_equal(pipe_locate_gold(&ctx, p, x.output, &gold), RT_OK);
        truth[count] = x.step;
        judged[count] = gold.step;
        named[count++] = check.step;
        of_kind[kind]++;
    }
    assert_int_equal(count, FAULTS);
    assert_int_equal(of_kind[0], FAULTS / 2);
    struct pipe_judged check, gold;
    pipe_judge(named, truth, FAULTS, &check);
    pipe_judge(judged, truth, FAULTS, &gold);
    print_message(
        "check on %d injected faults: %u located, %u right [%.3f, %.3f]; judge: "
        "%u right\n",
        FAULTS, check.located, check.right, check.precision.low, check.precision.high,
        gold.right);
    assert_int_equal(gold.right, FAULTS);
    /* every wrong value is a false equation; a wrong operand is mostly right arithmetic */
    assert_true((double)check.right / check.located >= 0.95);
    assert_true(check.right >= of_kind[PIPE_INJECT_VALUE]);
    pipe_problems_deinit(&set);
}

static void a_draw_depends_on_seed_and_index_alone(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_pool pool = { 0 };
    const char *q = "Ana has 12 pens. Ana buys 30 more pens. Ana loses 5 pens. How many?";
    const char *answer = "Ana: 12+30=42\nAna: 42-5=37\n#### 37";
    struct pipe_injected a, b;
    uint32_t differ = 0;
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(
            pipe_inject(&ctx, &pool, NULL, q, answer, PIPE_INJECT_VALUE, 7, i, &a),
            RT_OK);
        assert_int_equal(
            pipe_inject(&ctx, &pool, NULL, q, answer, PIPE_INJECT_VALUE, 7, i, &b),
            RT_OK);
        assert_string_equal(a.output, b.output);
        assert_string_not_equal(a.output, answer);
        assert_int_equal(
            pipe_inject(&ctx, &pool, NULL, q, answer, PIPE_INJECT_VALUE, 8, i, &b),
            RT_OK);
        differ += strcmp(a.output, b.output) != 0;
    }
    assert_true(differ > 10);
    pipe_pool_deinit(&pool);
}

static void what_cannot_be_read_is_not_altered(void **state)
{
    (void)state;
    static const char *const answers[] = { "", "#### 3", "Ana 3\n#### 3",
                                           "Ana: 1+2=3\n#### 4", "Ana: 1+2=3\n" };
    struct rt_ctx ctx = { 0 };
    struct pipe_pool pool = { 0 };
    for (size_t i = 0; i < RT_COUNT(answers); i++) {
        struct pipe_injected x;
        assert_int_equal(pipe_inject(&ctx, &pool, NULL, "Ana has 1 pen. How many?",
                                     answers[i], PIPE_INJECT_OPERAND, 1, 0, &x),
                         RT_OK);
        assert_true(!x.output && x.step == -1);
    }
    pipe_pool_deinit(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locators_are_judged_on_500_injected_faults),
        cmocka_unit_test(a_draw_depends_on_seed_and_index_alone),
        cmocka_unit_test(what_cannot_be_read_is_not_altered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

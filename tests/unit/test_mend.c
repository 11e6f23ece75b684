/* mend: the one step whose operator or operand, changed and carried through to the end, gives the
 * right final answer; where several do, none does, or the text is false, nothing is named. */
#include "pipeline/prompt/dialect.h"
#include "pipeline/prompt/inject_text.h"
#include "pipeline/prompt/mend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static struct rt_ctx ctx;

static struct pipe_mended mend(const char *question, const char *output,
                               const char *answer)
{
    struct pipe_step steps[PIPE_STEPS_MAX];
    struct pipe_mended out;
    const uint32_t n = pipe_dialect_lines.split(output, steps, PIPE_STEPS_MAX);
    pipe_mend(&ctx, question, output, steps, n, answer, &out);
    return out;
}

static void cases_are_as_written(void **state)
{
    (void)state;
    static const struct {
        const char *what, *question, *output, *answer;
        int32_t step;
        char sign;
    } rows[] = {
        { "a wrong operator", "A bus has 42 seats. 7 buses come; 13 seats are empty.",
          "42+7=49 seats\n49-13=36 people\n#### 36", "281", 0, '*' },
        { "a wrong operator in the last step", "4 crates hold 15 eggs, 6 of them broken.",
          "4*15=60 eggs\n60+6=66 whole ones\n#### 66", "54", 1, '-' },
        { "the first of two signs", "8 and 5 and 11", "8*5+11=51\n51*3=153\n#### 153",
          "72", 0, '+' },
        { "another number of the question", "3 shirts at 5, 4 hats at 7.",
          "3*4=12 for shirts\n4*7=28 for hats\n12+28=40\n#### 40", "43", 0, 0 },
        { "units and currency", "18 inches, 9 collars, 4 each",
          "18 inches + 9 inches = 27 inches\n27 inches * 4 = 108 inches\n#### 108", "648",
          0, '*' },
        { "percent and a decimal", "30 at 2.5 and 5 off",
          "30 - 2.5 = 27.5\n27.5 - 5 = 22.5\n"
          "#### 22.5",
          "70", 0, '*' },
        /* 6+2=8 or 8+3=11 may be meant: 6*2+3=15; 8*3=24; only 15 and 24 differ */
        { "the right one of two steps", "6, 2 and 3", "6+2=8\n8+3=11\n#### 11", "15", 0,
          '*' },
        { "two steps can be mended", "2, 2, 5", "2+2=4\n4+5=9\n9-9=0\n1+1=2\n#### 2", "4",
          -1, 0 },
        { "a false equation", "7 and 8 and 2", "7+8=14\n14*2=28\n#### 28", "112", -1, 0 },
        { "nothing mends it", "7 and 8", "7+8=15\n#### 15", "1000", -1, 0 },
        { "it is right already", "7 and 8", "7+8=15\n#### 15", "15", -1, 0 },
        { "the answer is no number", "7 and 8", "7+8=15\n#### 15", "B", -1, 0 },
        { "the answer is two numbers", "7 and 8", "7+8=15\n#### 15", "7 8", -1, 0 },
        { "no answer is given", "7 and 8", "7+8=15\n#### 15", "", -1, 0 },
        { "a result below zero", "7 and 9", "7+9=16\n#### 16", "-2", -1, 0 },
        { "halves where all is whole", "7 and 2", "7+2=9\n#### 9", "3.5", -1, 0 },
        { "an equation that is not read", "x", "3+4=7\n7+2=9 so y=9+z=11\n#### 11", "14",
          -1, 0 },
        { "no equation", "x", "I do not know.", "4", -1, 0 },
        { "nothing", "", "", "4", -1, 0 },
    };
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        const struct pipe_mended out =
            mend(rows[i].question, rows[i].output, rows[i].answer);
        if (out.step != rows[i].step || (out.step >= 0 && out.sign != rows[i].sign))
            fail_msg("%s: step %d of %u, '%c'", rows[i].what, out.step, out.steps,
                     out.sign ? out.sign : '0');
        if (out.step >= 0)
            assert_true(out.at < out.end && out.end <= strlen(rows[i].output));
    }
}

/* What was injected is undone at its step, or nothing is named: twelve seeds. */
static void injected_operators_are_undone(void **state)
{
    (void)state;
    static const char question[] =
        "A farm has 12 hens. Each lays 5 eggs a day for 6 days. It sells 48 eggs and "
        "packs "
        "the rest into boxes of 8. A box is sold for 3 dollars.";
    static const char solution[] = "The hens lay 12*5=60 eggs in one day.\n"
                                   "In 6 days they lay 60*6=360 eggs.\n"
                                   "Then 360-48=312 eggs are left.\n"
                                   "They fill 312/8=39 boxes.\n"
                                   "The boxes bring 39*3=117 dollars.\n#### 117";
    uint32_t made = 0, named = 0;
    for (uint32_t seed = 1; seed <= 12; seed++) {
        struct pipe_pool pool = { 0 };
        struct pipe_injected x;
        assert_int_equal(pipe_inject_text(&ctx, &pool, &pipe_dialect_lines, question,
                                          solution, PIPE_INJECT_OPERATOR, seed, 0, &x),
                         RT_OK);
        if (x.output) {
            const struct pipe_mended out = mend(question, x.output, "117");
            made++;
            named += out.step >= 0;
            assert_true(out.step < 0 || out.step == x.step);
        }
        pipe_pool_deinit(&pool);
    }
    assert_true(made >= 8 && named * 10 >= made * 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cases_are_as_written),
        cmocka_unit_test(injected_operators_are_undone),
    };
    return cmocka_run_group_tests_name("mend", tests, NULL, NULL);
}

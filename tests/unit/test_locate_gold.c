/* The judge: accepts every gold solution, names the first illegal line of others. */
#include "pipeline/demo/locate_gold.h"
#include "tests/support/demo_answers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void every_gold_solution_is_accepted(void **state)
{
    (void)state;
    static const char *const files[] = { "measure.jsonl", "mine.jsonl", "validate.jsonl",
                                         "calibrate.jsonl" };
    for (size_t f = 0; f < RT_COUNT(files); f++) {
        struct rt_ctx ctx = { 0 };
        struct pipe_problem_set set;
        test_problems(&ctx, files[f], &set);
        for (uint32_t i = 0; i < set.count; i++) {
            struct pipe_gold_fault fault;
            assert_int_equal(
                pipe_locate_gold(&ctx, &set.items[i], set.items[i].reference, &fault),
                RT_OK);
            if (fault.step != -1 || fault.kind != PIPE_GOLD_NONE)
                fail_msg("%s: step %d is called %s", set.items[i].id, fault.step,
                         pipe_gold_kind_name(fault.kind));
        }
        pipe_problems_deinit(&set);
    }
}

static void names(const char *output, int32_t step, enum pipe_gold_kind kind)
{
    static const struct pipe_gold_step program[] = {
        { "Hugo", "11+40", 51 },
        { "Iris", "11-4", 7 },
        { "Hugo", "51+4", 55 },
        { "Total", "7+55", 62 },
    };
    const struct pipe_problem p = {
        .id = "x",
        .question =
            "Iris has 11 pens. Hugo has 40 more pens than Iris. Iris gives 4 pens "
            "to Hugo. How many pens do Iris and Hugo have in total?",
        .answer = "62",
        .program = program,
        .program_count = 4,
    };
    struct rt_ctx ctx = { 0 };
    struct pipe_gold_fault fault;
    assert_int_equal(pipe_locate_gold(&ctx, &p, output, &fault), RT_OK);
    if (fault.step != step || fault.kind != kind)
        fail_msg("'%s': step %d %s", output, fault.step, pipe_gold_kind_name(fault.kind));
}

static void the_first_illegal_line_is_named(void **state)
{
    (void)state;
    names("Iris: 11-4=7\nHugo: 40+11=51\nHugo: 51+4=55\nTotal: 55+7=62\n#### 62", -1,
          PIPE_GOLD_NONE);                                /* other order, commuted */
    names("Iris: 4-11=7\n#### 62", 0, PIPE_GOLD_OPERAND); /* - does not commute */
    names("Hugo: 11+40=52\nIris: 11-4=8\n#### 60", 0, PIPE_GOLD_ARITHMETIC);
    names("Hugo: 11+40=51\nIris: 11-4=7\nHugo: 7+4=11\n#### 18", 2, PIPE_GOLD_OPERAND);
    names("Hugo: 51+4=55\n#### 62", 0, PIPE_GOLD_OPERAND); /* its source is not done */
    names("Hugo: 11+40=51\nHugo: 11+40=51\n#### 62", 1, PIPE_GOLD_OPERAND); /* twice */
    names("Hugo: 11+40=51\nHugo 51\n#### 62", 1, PIPE_GOLD_FORMAT);
    names("Hugo: 11+40=51\n#### 51", 1, PIPE_GOLD_OTHER); /* stops too early */
    names("Hugo: 11+40=51\n", 0, PIPE_GOLD_OTHER);        /* no answer */
    names("", 0, PIPE_GOLD_OTHER);
}

/* The makers of the model count 16 arithmetic and 238 operand first faults for the full
 * model, 191 and 292 for the 3-bit one. Our rule gives the same arithmetic counts; it
 * calls 9 more of each operand faults, which the makers keep in a class of their own. */
static void first_faults_of_the_reference_answers(void **state)
{
    (void)state;
    static const uint32_t expected[2][PIPE_GOLD_KIND_COUNT] = { { 0, 16, 247, 0, 0 },
                                                                { 0, 191, 301, 8, 4 } };
    struct rt_ctx ctx = { 0 };
    struct pipe_problem_set set;
    const struct test_answer *answers = test_answers(&ctx, &set);
    for (int v = 0; v < 2; v++) {
        uint32_t counts[PIPE_GOLD_KIND_COUNT] = { 0 };
        for (uint32_t i = 0; i < set.count; i++) {
            struct pipe_gold_fault fault;
            if (answers[i].right[v])
                continue;
            assert_int_equal(
                pipe_locate_gold(&ctx, &set.items[i], answers[i].text[v], &fault), RT_OK);
            assert_true(fault.step >= 0);
            counts[fault.kind]++;
        }
        for (int k = 0; k < PIPE_GOLD_KIND_COUNT; k++)
            if (counts[k] != expected[v][k])
                fail_msg("%s: %u of kind %s, expected %u", v ? "quant" : "full",
                         counts[k], pipe_gold_kind_name((enum pipe_gold_kind)k),
                         expected[v][k]);
    }
    pipe_problems_deinit(&set);
}

static void a_problem_without_a_program_is_refused(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_gold_fault fault;
    const struct pipe_gold_step odd[] = { { "x", "1+", 1 } };
    struct pipe_problem p = { .id = "x", .question = "q", .answer = "1" };
    assert_int_equal(pipe_locate_gold(&ctx, &p, "#### 1", &fault), RT_ERR_USAGE);
    p.program = odd;
    p.program_count = 1;
    assert_int_equal(pipe_locate_gold(&ctx, &p, "#### 1", &fault), RT_ERR_USAGE);
    assert_non_null(strstr(ctx.message, "1+"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_gold_solution_is_accepted),
        cmocka_unit_test(the_first_illegal_line_is_named),
        cmocka_unit_test(first_faults_of_the_reference_answers),
        cmocka_unit_test(a_problem_without_a_program_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

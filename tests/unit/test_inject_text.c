/* Faults injected into real solutions: one altered step, all that hangs on it carried through,
 * nothing else changed; the file that they make reads back. */
#include "pipeline/locate/inject_set.h"
#include "pipeline/locate/score_labelled.h"
#include "pipeline/prompt/inject_text.h"
#include "pipeline/prompt/locate_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

/* In the style of GSM8K, written for this test. */
static const char SOLUTIONS[] =
    "{\"question\":\"A baker fills 14 trays with 12 rolls each. She sells 95 rolls and "
    "packs "
    "the rest into bags of 3. How many bags does she fill?\",\"answer\":\"She bakes "
    "14*12 = "
    "<<14*12=168>>168 rolls.\\nShe has 168 - 95 = <<168-95=73>>73 rolls left.\\nThis "
    "fills "
    "73 + 2 = 75 places.\\n#### 75\"}\n"
    "{\"question\":\"Lena earns $18 per hour and works 35 hours a week. Her brother "
    "earns $120 "
    "less than she does. What do both earn in a week?\",\"answer\":\"Lena earns 18*35 = "
    "$630.\\nHer brother earns 630 - 120 = $510.\\nTogether they earn 630 + 510 = "
    "$1140.\\n#### 1140\"}\n"
    "{\"question\":\"A tank holds 900 litres. A third leaks out, then 45 litres are "
    "added. How "
    "much is in it?\",\"answer\":\"900/3 = 300 litres leak out.\\nThis leaves 900 - 300 "
    "= 600 "
    "litres.\\nThen there are 600 + 45 = 645 litres.\\n#### 645\"}\n"
    "{\"question\":\"Nothing is calculated here.\",\"answer\":\"It is 4.\\n#### 4\"}\n";

static struct pipe_labelled_set read_solutions(struct rt_ctx *ctx)
{
    struct pipe_labelled_set set;
    assert_int_equal(pipe_labelled_parse(ctx, "gsm8k", "solutions", SOLUTIONS,
                                         strlen(SOLUTIONS), &set),
                     RT_OK);
    assert_int_equal(set.count, 4);
    return set;
}

/* How many steps hold a false equation, and the first of them. */
static uint32_t false_steps(const struct pipe_labelled *item, int32_t *first)
{
    struct pipe_checked c;
    uint32_t n = 0;
    *first = -1;
    for (uint32_t k = 0; k < item->step_count; k++) {
        pipe_locate_check(item->question, item->text, item->steps + k, 1, &c);
        if (!c.named[PIPE_CHECK_ARITHMETIC])
            continue;
        n++;
        if (*first < 0)
            *first = (int32_t)k;
    }
    return n;
}

static void one_step_is_altered_and_the_rest_follows(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_labelled_set from = read_solutions(&ctx);
    uint32_t made[PIPE_INJECT_COUNT] = { 0 };
    for (uint64_t seed = 0; seed < 40; seed++)
        for (uint32_t i = 0; i < from.count; i++)
            for (int kind = 0; kind < PIPE_INJECT_COUNT; kind++) {
                struct pipe_injected x;
                struct pipe_step steps[16];
                int32_t first;
                assert_int_equal(
                    pipe_inject_text(&ctx, &from.pool, &pipe_dialect_lines,
                                     from.items[i].question, from.items[i].text,
                                     (enum pipe_inject_kind)kind, seed, i, &x),
                    RT_OK);
                if (!x.output)
                    continue;
                made[kind]++;
                assert_null(strstr(x.output, "<<"));
                struct pipe_labelled item = { .question = from.items[i].question,
                                              .text = x.output,
                                              .steps = steps,
                                              .step_count = pipe_dialect_lines.split(
                                                  x.output, steps, 16) };
                const uint32_t n = false_steps(&item, &first);
                if (n != (kind == PIPE_INJECT_VALUE) ||
                    (kind == PIPE_INJECT_VALUE && first != x.step))
                    fail_msg("%s, step %d: %s", pipe_inject_kind_name(x.kind), x.step,
                             x.output);
                assert_true(x.step >= 0 && (uint32_t)x.step < item.step_count);
                assert_null(strstr(x.output, strstr(from.items[i].text, "####")));
            }
    for (int kind = 0; kind < PIPE_INJECT_COUNT; kind++) {
        print_message("%s: %u\n", pipe_inject_kind_name((enum pipe_inject_kind)kind),
                      made[kind]);
        assert_true(made[kind] > 0);
    }
    pipe_labelled_deinit(&from);
}

static void a_set_is_the_same_for_a_seed_and_reads_back(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_labelled_set from = read_solutions(&ctx), a, b, back;
    assert_int_equal(pipe_inject_set(&ctx, &from, 10, 3, &a), RT_OK);
    assert_int_equal(pipe_inject_set(&ctx, &from, 10, 3, &b), RT_OK);
    assert_int_equal(a.count, 3); /* one has nothing to alter */
    for (uint32_t i = 0; i < a.count; i++) {
        char *line, *again;
        assert_int_equal(pipe_labelled_line(&ctx, &a.items[i], &line), RT_OK);
        assert_int_equal(pipe_labelled_line(&ctx, &b.items[i], &again), RT_OK);
        assert_string_equal(line, again);
        assert_int_equal(
            pipe_labelled_parse(&ctx, "processbench", "x", line, strlen(line), &back),
            RT_OK);
        assert_int_equal(back.items[0].label, a.items[i].label);
        assert_string_equal(back.items[0].kind, a.items[i].kind);
        assert_int_equal(back.items[0].final, PIPE_FINAL_WRONG);
        assert_true(back.items[0].answer[0] != '\0'); /* the right one */
        assert_string_equal(back.items[0].answer, a.items[i].answer);
        pipe_labelled_deinit(&back);
        rt_free(line);
        rt_free(again);
    }
    pipe_labelled_deinit(&a);
    pipe_labelled_deinit(&b);
    pipe_labelled_deinit(&from);
}

static void labels_are_read_and_scored(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct pipe_labelled_set set;
    struct pipe_locator_score r;
    static const char records[] =
        "{\"problem\":\"p\",\"steps\":[\"a\",\"b\",\"c\"],\"label\":1,"
        "\"final_answer_correct\":false}\n"
        "{\"problem\":\"p\",\"steps\":[\"a\",\"b\"],\"label\":0}\n"
        "{\"problem\":\"q\",\"steps\":[\"a\"],\"label\":-1,\"final_answer_correct\":true}"
        "\n"
        "{\"problem\":\"r\",\"steps\":[\"a\"],\"label\":-1,\"final_answer_correct\":true}"
        "\n";
    static const int32_t said[4] = { 1, 1, 0, -1 };
    assert_int_equal(
        pipe_labelled_parse(&ctx, "processbench", "x", records, strlen(records), &set),
        RT_OK);
    assert_int_equal(set.problems, 3);
    struct pipe_locator_asked asked = { .said = said, .seed = 1 };
    assert_int_equal(pipe_locator_score(&ctx, &set, &asked, &r), RT_OK);
    assert_true(r.faulty == 2 && r.exact == 1 && r.near_one == 2 && r.named == 2);
    assert_true(r.clean == 2 && r.kept == 1 && r.f1 == 0.5 && r.offset == 0.5);
    assert_true(r.f1_interval.low <= 0.5 && r.f1_interval.high >= 0.5);
    asked.known = true;
    assert_int_equal(pipe_locator_score(&ctx, &set, &asked, &r), RT_OK);
    assert_int_equal(r.kept, 2);
    pipe_labelled_deinit(&set);
    static const char *const bad[][2] = {
        { "processbench", "{\"problem\":\"p\",\"steps\":[\"a\"],\"label\":1}" },
        { "processbench", "{\"problem\":\"p\",\"steps\":[],\"label\":-1}" },
        { "processbench", "{\"problem\":\"p\",\"steps\":[1],\"label\":-1}" },
        { "processbench", "{\"steps\":[\"a\"],\"label\":-1}" },
        { "processbench", "{\"problem\":\"p\",\"steps\":[\"a\"]" },
        { "processbench", "" },
        { "bigbench-mistake",
          "{\"input\":\"p\",\"steps\":[\"a\"],\"mistake_index\":\"1\"}" },
        { "mr-ben", "{\"Question\":\"p\",\"Model_Solution_Steps\":[\"a\"],"
                    "\"Model_Solution_First_Error_Step\":\"2\"}" },
        { "prmbench", "{\"modified_question\":\"p\",\"modified_process\":[\"a\"],"
                      "\"error_steps\":[\"x\"]}" },
    };
    for (size_t i = 0; i < RT_COUNT(bad); i++) {
        assert_int_equal(
            pipe_labelled_parse(&ctx, bad[i][0], "x", bad[i][1], strlen(bad[i][1]), &set),
            RT_ERR_INPUT);
        assert_null(set.items);
    }
    assert_int_equal(pipe_labelled_parse(&ctx, "gsm9k", "x", "{}", 2, &set),
                     RT_ERR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_step_is_altered_and_the_rest_follows),
        cmocka_unit_test(a_set_is_the_same_for_a_seed_and_reads_back),
        cmocka_unit_test(labels_are_read_and_scored),
    };
    return cmocka_run_group_tests_name("injected faults in text", tests, NULL, NULL);
}

/* Which problem an imported answer is to: by its question, which is compared so that layout
 * does not matter and signs do, or by its id. */
#include "pipeline/exchange/import_match.h"
#include "tests/support/devices.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static void read_problems(struct pipe_problem_set *set)
{
    struct rt_ctx ctx = { 0 };
    char path[1024];
    test_path(path, sizeof path, "tests/golden/exchange/problems.jsonl");
    assert_int_equal(pipe_problems_read(&ctx, path, set), RT_OK);
}

static rt_status parse(struct rt_ctx *ctx, const void *text, size_t size,
                       struct pipe_import *out)
{
    *ctx = (struct rt_ctx){ 0 };
    return pipe_import_parse(ctx, "x.jsonl", text, size, PIPE_IMPORT_AUTO, NULL, out);
}

static void answers_find_their_problems(void **state)
{
    (void)state;
    struct rt_ctx ctx;
    struct pipe_import in;
    struct pipe_problem_set set;
    uint32_t places[4];
    read_problems(&set);
    static const char good[] =
        "{\"question\":\"leo had 31 cards; and gave away 12,  how many are "
        "LEFT\",\"output\":\"1\"}\n"
        "{\"id\":\"own-0\",\"output\":\"1\"}\n"
        "{\"id\":\"own/test/own-3\",\"output\":\"1\"}\n"
        "{\"id\":\"own-1\",\"question\":\"Think. A rope of 20 m is cut into 5 equal "
        "pieces. How long is a piece, in m? Now!\",\"output\":\"1\"}\n";
    assert_int_equal(parse(&ctx, good, sizeof good - 1, &in), RT_OK);
    assert_int_equal(pipe_import_match(&ctx, "x", &in, &set, places), RT_OK);
    assert_int_equal(places[0], 2);
    assert_int_equal(places[1], 0);
    assert_int_equal(places[2], 3);
    assert_int_equal(places[3], 1);
    pipe_import_deinit(&in);
    static const struct {
        const char *text, *part;
    } bad[] = {
        { "{\"id\":\"own-9\",\"output\":\"1\"}\n", "1 of 1 answers are to no problem" },
        { "{\"id\":\"own-1\",\"question\":\"Another rope?\",\"output\":\"1\"}\n",
          "first to 'own-1'" },
        { "{\"id\":\"own-1\",\"output\":\"1\"}\n{\"id\":\"x/own-1\",\"output\":\"1\"}\n",
          "two answers of sample 0 to 'own-1', numbers 1 and 2" },
    };
    for (size_t i = 0; i < RT_COUNT(bad); i++) {
        assert_int_equal(parse(&ctx, bad[i].text, strlen(bad[i].text), &in), RT_OK);
        test_refused(&ctx, pipe_import_match(&ctx, "x", &in, &set, places), RT_ERR_INPUT,
                     bad[i].part, NULL);
        pipe_import_deinit(&in);
    }
    pipe_problems_deinit(&set);
}

/* Identical text finds its problem; what is folded never joins two questions. */
static void signs_tell_questions_apart(void **state)
{
    (void)state;
    static const struct {
        const char *known, *asked;
        bool same;
    } rows[] = {
        { "Compute $7-4$.", "Compute $7+4$.", false },
        { "Compute 7-4",
          "Compute 7\xe2\x88\x92"
          "4 .",
          true },
        { "Compute $7-4$.", "compute  7 - 4", true },
        { "Is x < 3?", "Is x > 3?", false },
        { "Is x \\le 3?", "Is x \\ge 3?", false },
        { "Find 2(3+4).", "Find 2 3+4.", false },
        { "Find 1.5 of it", "Find 15 of it", false },
        { "Find 1,5 of it", "Find 1.5 of it", false },
        { "Find 1 5 of it", "Find 15 of it", false },
        { "Find x^2", "Find x2", false },
        { "Find x\xc2\xb2", "Find x2", false },
        { "Find 1\xc2\xbd", "Find 11/2", false },
        { "Find 5!", "Find 5", false },
        { "Find f'(x)", "Find f(x)", false },
        { "Find -3", "Find 3", false },
        { "Find |x|", "Find x", false },
        { "Find 50%", "Find 50", false },
        { "Find 1,2,...,9", "Find 1,2,9", false },
        { "Find x, then X", "Find X, then x", false },
        { "He said \"go\"; why?", "He said \xe2\x80\x9cgo\xe2\x80\x9d, why", true },
        { "\\(x+1\\) is?", "$x + 1$ is", true },
        { "\xef\xbc\x91\xef\xbc\x92 apples", "12 Apples", true },
        { "x \xe2\x89\xa0 3", "x = 3", false },
    };
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        struct pipe_problem p = { .id = "k", .question = rows[i].known, .answer = "1" };
        const struct pipe_problem_set set = { .items = &p, .count = 1, .name = "set" };
        struct pipe_import_answer a = { .question = rows[i].asked, .output = "1" };
        const struct pipe_import in = { .answers = &a, .count = 1 };
        struct rt_ctx ctx = { 0 };
        uint32_t place;
        a.id = i % 2 ? "k" : NULL; /* an id joins them neither */
        const rt_status st = pipe_import_match(&ctx, "x", &in, &set, &place);
        if ((st == RT_OK) != rows[i].same)
            fail_msg("row %zu: '%s' and '%s'", i, rows[i].known, rows[i].asked);
    }
    /* Two that are alike when folded, and the identical one. */
    struct pipe_problem two[] = { { .id = "a", .question = "Add 1, 2", .answer = "1" },
                                  { .id = "b", .question = "add 1 2", .answer = "1" } };
    const struct pipe_problem_set set = { .items = two, .count = 2, .name = "set" };
    struct pipe_import_answer answers[] = { { .question = "add 1 2\n", .output = "1" },
                                            { .question = "Add 1, 2", .output = "1" } };
    const struct pipe_import in = { .answers = answers, .count = 2 };
    struct rt_ctx ctx = { 0 };
    uint32_t places[2];
    assert_int_equal(pipe_import_match(&ctx, "x", &in, &set, places), RT_OK);
    assert_true(places[0] == 1 && places[1] == 0);
}

/* Where `doc` has no field that is known as the question, the prompt decides; the place in
 * the task's list alone never does: another list has a document 0 as well. */
static void the_place_in_a_task_names_no_problem(void **state)
{
    (void)state;
    static const struct {
        const char *arguments;
        bool known;
    } rows[] = {
        { "{\"gen_args_0\":{\"arg_0\":\"Q: What is 1+1?\\nA: 2\\nQ: Leo had 7 cards. How "
          "many?\\nA:\"}}",
          true },
        { "[[\"Q: Leo had 7 cards. How many?\\nA:\",{}]]", true },
        { "{\"gen_args_0\":{\"arg_0\":\"Q: What is 1+1?\\nA:\"}}", false },
    };
    struct pipe_problem leo = { .id = "set/0",
                                .question = "Leo had 7 cards. How many?",
                                .answer = "7" };
    const struct pipe_problem_set set = { .items = &leo, .count = 1, .name = "set" };
    for (size_t i = 0; i < RT_COUNT(rows); i++) {
        struct rt_ctx ctx;
        struct pipe_import in;
        char line[512];
        uint32_t place = 9;
        const int n =
            snprintf(line, sizeof line,
                     "{\"doc_id\":0,\"doc\":{\"story\":\"Leo\"},\"arguments\":%s,"
                     "\"resps\":[[\"7\"]]}\n",
                     rows[i].arguments);
        assert_int_equal(parse(&ctx, line, (size_t)n, &in), RT_OK);
        const rt_status st = pipe_import_match(&ctx, "x", &in, &set, &place);
        if (rows[i].known) {
            assert_int_equal(st, RT_OK);
            assert_int_equal(place, 0);
        } else {
            test_refused(&ctx, st, RT_ERR_INPUT, "to no problem of 'set'", NULL);
        }
        pipe_import_deinit(&in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_find_their_problems),
        cmocka_unit_test(signs_tell_questions_apart),
        cmocka_unit_test(the_place_in_a_task_names_no_problem),
    };
    return cmocka_run_group_tests_name("problems of imported answers", tests, NULL, NULL);
}

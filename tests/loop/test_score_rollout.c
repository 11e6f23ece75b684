/* Roll-outs on labelled solutions: the model of the second demo (tests/demo2) names altered
 * steps; a command that is killed goes on to the same figures and asks nothing twice; draws are
 * asked beside what is there; right answers may come from problems with the same question;
 * a record without one abstains. */
#include "tests/support/loop.h"

#include "tests/support/demo2.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { ALTERED = 4, RIGHT = 8, USAGE = 2 };

#define ASK                                                               \
    "locate --score processbench records.jsonl --json --locators rollout" \
    " --model '" TEST_DEMO2 "' --format chat-steps --max-new 144"         \
    " --device llvmpipe --tune off --progress none "
#define SAID ">said.jsonl 2>loop.err"
#define ROLLOUTS ASK "--store loop.db " SAID

/* Tokens that the model really wrote, and those of continuations that are kept. */
static const char spent[] = "SELECT coalesce(sum(value),0) FROM metric WHERE "
                            "name='tokens'";
static const char kept[] = "SELECT coalesce(sum(json_extract(note,'$.tokens')),0) FROM "
                           "annotation WHERE tag='rollout'";

/* ---- records ---- */

/* Reference solutions of the first problems, without a fault. */
static void write_right(void)
{
    struct pipe_problem_set set;
    FILE *file = fopen("right.jsonl", "w");
    assert_non_null(file);
    test_demo2_read("measure.jsonl", &set);
    for (uint32_t i = 0; i < RIGHT; i++) {
        const struct pipe_problem *p = &set.items[i];
        json_t *steps = json_array();
        for (const char *at = p->reference; *at; at += *at == '\n') {
            json_array_append_new(steps, json_stringn(at, strcspn(at, "\n")));
            at += strcspn(at, "\n");
        }
        json_t *record = json_pack("{s:s,s:s,s:o,s:b,s:i,s:s}", "id", p->id, "problem",
                                   p->question, "steps", steps, "final_answer_correct", 1,
                                   "label", -1, "answer", p->answer);
        assert_int_equal(json_dumpf(record, file, JSON_COMPACT), 0);
        fputs("\n", file);
        json_decref(record);
    }
    fclose(file);
    pipe_problems_deinit(&set);
}

/* Altered solutions, then one of a question that no list has, with no right answer, then a
 * right one. answers: whether the altered ones have theirs. */
static void write_records(bool answers)
{
    json_error_t error;
    char line[4096];
    FILE *in = fopen("../altered.jsonl", "r"), *out = fopen("records.jsonl", "w");
    assert_true(in && out);
    for (int i = 0; fgets(line, sizeof line, in); i++) {
        json_t *record = json_loads(line, 0, &error);
        assert_non_null(record);
        if (!answers || i == ALTERED)
            json_object_del(record, "answer");
        if (i == ALTERED)
            json_object_set_new(record, "problem", json_string("Nobody asks this?"));
        assert_int_equal(json_dumpf(record, out, JSON_COMPACT), 0);
        fputs("\n", out);
        json_decref(record);
    }
    fclose(in);
    in = fopen("../right.jsonl", "r");
    assert_true(in && fgets(line, sizeof line, in));
    fputs(line, out);
    fclose(in);
    fclose(out);
}

static void enter(const char *folder)
{
    test_loop_enter(folder);
    write_records(true);
}

static char *said(void)
{
    size_t size;
    return test_file_read("said.jsonl", &size);
}

/* Without a stop, in a folder of its own; once for all tests. free() it. */
static char *unbroken(void)
{
    static bool made;
    enter("whole");
    if (!made)
        test_loop_run_well(ROLLOUTS);
    made = true;
    return said();
}

static int set_up(void **state)
{
    char line[128];
    if (test_loop_set_up(state) != 0)
        return -1;
    write_right();
    snprintf(line, sizeof line,
             "locate --inject processbench right.jsonl --injected %d >altered.jsonl "
             "2>loop.err",
             ALTERED + 1);
    test_loop_run_well(line);
    return 0;
}

/* ---- tests ---- */

struct seen {
    uint32_t asked, right, no_answer, exact;
    json_int_t tokens, row_tokens;
    json_int_t row_exact, row_faulty;
};

/* Lines of records, then rows of locators. */
static void read_said(const char *text, struct seen *out)
{
    *out = (struct seen){ .asked = 0 };
    for (const char *at = text; *at; at += strcspn(at, "\n") + 1) {
        json_error_t error;
        json_t *line = json_loadb(at, strcspn(at, "\n"), 0, &error);
        assert_non_null(line);
        const char *state = json_string_value(json_object_get(line, "state"));
        const json_int_t tokens = json_integer_value(json_object_get(line, "tokens"));
        const char *locator = json_string_value(json_object_get(line, "locator"));
        assert_non_null(locator);
        if (state) {
            out->asked += strcmp(state, "asked") == 0;
            out->right += strcmp(state, "ends right") == 0;
            out->no_answer += strcmp(state, "no answer") == 0;
            out->tokens += tokens;
            out->exact += json_is_integer(json_object_get(line, "step")) &&
                          json_integer_value(json_object_get(line, "step")) ==
                              json_integer_value(json_object_get(line, "label"));
            assert_true((strcmp(state, "asked") == 0) == (tokens > 0));
        } else if (strcmp(locator, "rollout") == 0) {
            out->row_tokens = tokens;
            out->row_exact = json_integer_value(json_object_get(line, "exact"));
            out->row_faulty = json_integer_value(json_object_get(line, "faulty"));
        } else {
            assert_int_equal(tokens, 0);
        }
        json_decref(line);
    }
}

static void an_altered_step_is_named_and_its_cost_counted(void **state)
{
    (void)state;
    struct seen seen;
    char *text = unbroken();
    read_said(text, &seen);
    assert_int_equal(seen.asked, ALTERED);
    assert_int_equal(seen.no_answer, 1);
    assert_int_equal(seen.right, 1);
    assert_true(seen.exact >= ALTERED - 1);
    assert_int_equal(seen.row_exact, seen.exact);
    assert_int_equal(seen.row_faulty, ALTERED + 1);
    assert_int_equal(seen.row_tokens, seen.tokens);
    assert_int_equal(seen.tokens, (json_int_t)test_number_of("loop.db", spent));
    assert_int_equal(seen.tokens, (json_int_t)test_number_of("loop.db", kept));
    free(text);
}

/* Kills the command as soon as it has kept something. */
static void kill_early(void)
{
    const struct timespec pause = { 0, 2000000 };
    int status = 0;
    const pid_t child = test_loop_start(ROLLOUTS);
    while (test_number_so_far("loop.db", kept) == 0 &&
           waitpid(child, &status, WNOHANG) == 0)
        nanosleep(&pause, NULL);
    kill(-child, SIGKILL);
    waitpid(child, &status, 0);
    assert_true(test_number_so_far("loop.db", kept) > 0);
}

static void a_killed_command_goes_on_to_the_same_figures(void **state)
{
    (void)state;
    char *whole = unbroken();
    const double all = test_number_of("loop.db", spent);
    enter("killed");
    kill_early();
    assert_true(test_number_of("loop.db", kept) < all);
    test_loop_run_well(ROLLOUTS);
    char *text = said();
    assert_string_equal(text, whole);
    free(text);
    /* what was kept was not asked again, and a third command asks nothing */
    assert_true(test_number_of("loop.db", spent) == all);
    test_loop_run_well(ROLLOUTS);
    text = said();
    assert_string_equal(text, whole);
    assert_true(test_number_of("loop.db", spent) == all);
    free(text);
    free(whole);
}

static void draws_come_beside_what_is_there(void **state)
{
    (void)state;
    free(unbroken());
    const double greedy = test_number_of("loop.db", spent);
    enter("drawn");
    test_loop_run_well(ASK "--samples 2 --store loop.db " SAID);
    char *fresh = said();
    const double all = test_number_of("loop.db", spent);
    assert_true(all > greedy);
    enter("beside");
    assert_int_equal(system("cp ../whole/loop.db loop.db"), 0);
    test_loop_run_well(ASK "--samples 2 --store loop.db " SAID);
    char *beside = said();
    assert_string_equal(fresh, beside);
    assert_true(test_number_of("loop.db", spent) < greedy + all);
    /* the draws are there, and do not change what the greedy ones say and cost */
    test_loop_run_well(ROLLOUTS);
    char *again = said(), *whole = unbroken();
    assert_string_equal(again, whole);
    free(fresh);
    free(beside);
    free(again);
    free(whole);
}

static void answers_come_from_problems_with_the_same_question(void **state)
{
    (void)state;
    char *whole = unbroken();
    const double all = test_number_of("loop.db", spent);
    test_loop_enter("joined");
    write_records(false);
    assert_int_equal(system("cp ../whole/loop.db loop.db"), 0);
    test_loop_run_well(ASK "--store loop.db --answers '" TEST_DEMO2
                           "/measure.jsonl' " SAID);
    char *text = said();
    assert_string_equal(text, whole); /* the same answers: the same readings */
    assert_true(test_number_of("loop.db", spent) == all);
    free(text);
    free(whole);
    /* without them nothing is asked */
    struct seen seen;
    test_loop_run_well(ASK "--store fresh.db " SAID);
    text = said();
    read_said(text, &seen);
    assert_int_equal(seen.no_answer, ALTERED + 1);
    assert_int_equal(seen.tokens, 0);
    free(text);
}

static void what_cannot_be_asked_is_refused(void **state)
{
    (void)state;
    enter("refused");
    assert_int_equal(test_loop_run("locate --score processbench records.jsonl --locators "
                                   "rollout >loop.out 2>loop.err"),
                     USAGE);
    assert_int_equal(test_loop_run("locate --score processbench records.jsonl --model "
                                   "nowhere --locators judge,twin >loop.out 2>loop.err"),
                     USAGE);
    assert_int_equal(test_loop_run(ASK "--samples 17 --store loop.db " SAID), USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_altered_step_is_named_and_its_cost_counted),
        cmocka_unit_test(a_killed_command_goes_on_to_the_same_figures),
        cmocka_unit_test(draws_come_beside_what_is_there),
        cmocka_unit_test(answers_come_from_problems_with_the_same_question),
        cmocka_unit_test(what_cannot_be_asked_is_refused),
    };
    return cmocka_run_group_tests_name("roll-outs on labelled solutions", tests, set_up,
                                       test_loop_tear_down);
}

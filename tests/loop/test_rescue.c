/* --rescue on a model that repeats itself (the demo model at 2 bits, a scale per row): what
 * an answer becomes is the same at any batch size and after a kill, loops are rare, tokens
 * thrown away are counted and within the limit. The arm `rescue` of a restore, and models
 * that are quantized again on full's own answers. */
#include "tests/support/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { PACE_MS = 5, PATIENCE = 60000, USAGE = 2, PROBLEMS = 72 };

#define DEMO TEST_SOURCE_DIR "/pipeline/demo"
#define DEVICE "--device llvmpipe --tune off --progress none --store loop.db "
#define SAID ">loop.out 2>loop.err"
#define QUANTIZE "quantize -q --model '" DEMO "' --bits 2 --out q2 " SAID
#define EVAL                                                                        \
    "eval " DEVICE "--json --model q2 --problems '" DEMO "/measure.jsonl' --limit " \
    "72 "
#define RESCUED EVAL "--rescue 8 "

static double number(const char *sql)
{
    return test_number_of("loop.db", sql);
}

static void enter(const char *name)
{
    test_loop_enter(name);
    test_loop_run_well(QUANTIZE);
}

static void kill_at(const char *line, int answers)
{
    const struct timespec pause = { 0, PACE_MS * 1000000L };
    const pid_t child = test_loop_start(line);
    for (int i = 0; test_answers_in("loop.db") < answers && i < PATIENCE; i++)
        nanosleep(&pause, NULL);
    kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    const int done = test_answers_in("loop.db");
    assert_true(done >= answers && done < PROBLEMS);
}

static void expect_rows(const char *whole)
{
    static const struct test_left_out left = { " attempt ", " argv " };
    char *rows = test_rows_without("loop.db", &left);
    test_same_rows(whole, rows);
    free(rows);
}

static double loops_of(const char *line)
{
    double loops = -1;
    test_loop_run_well(line);
    FILE *found = popen("sed -n 's/.*\"degenerate\":\\([0-9]*\\).*/\\1/p' loop.out", "r");
    assert_non_null(found);
    assert_int_equal(fscanf(found, "%lf", &loops), 1);
    assert_int_equal(pclose(found), 0);
    return loops;
}

static void a_rescued_answer_is_the_same_in_every_way(void **state)
{
    (void)state;
    static const struct test_left_out left = { " attempt ", " argv " };
    enter("whole");
    const double rescued = loops_of(RESCUED SAID);
    char *whole = test_rows_without("loop.db", &left);
    const double answers = number("SELECT count(*) FROM metric WHERE "
                                  "name='thrown_tokens' AND value>0");
    const double thrown = number("SELECT sum(value) FROM metric WHERE "
                                 "name='thrown_tokens'");
    const double kept = number("SELECT sum(n_gen) FROM generation");
    const double paid = number("SELECT sum(value) FROM metric WHERE name='tokens'");
    printf("    %g answers were taken back, %g tokens thrown away, %g kept\n", answers,
           thrown, kept);
    assert_true(answers > 20 && thrown > 10 * answers);
    /* Runners-up are there already: at most 8 of an answer are not paid. */
    assert_true(paid < kept + thrown && paid >= kept + thrown - 8 * answers);
    assert_true(paid <= 112 * PROBLEMS);
    assert_int_equal(system("grep -q '\"rescue\":8,\"rescued\":' loop.out"), 0);
    enter("narrow");
    (void)loops_of(RESCUED "--slots 7 " SAID);
    expect_rows(whole);
    enter("killed");
    kill_at(RESCUED "--slots 16 " SAID, 12);
    kill_at(RESCUED "--slots 16 " SAID, 36);
    (void)loops_of(RESCUED "--slots 16 " SAID);
    expect_rows(whole);
    /* Another run, whose answers are not taken for those without. */
    const double loops = loops_of(EVAL SAID);
    printf("    %g of %d answers repeat themselves, %g with rescues\n", loops, PROBLEMS,
           rescued);
    assert_true(loops > 20 && rescued < loops / 2);
    assert_true(number("SELECT count(*) FROM run") == 2);
    assert_true(number("SELECT count(*) FROM generation") == 2 * PROBLEMS);
    free(whole);
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    enter("refused");
    static const char *const options[] = {
        "--rescue -1",
        "--rescue 65",
        "--rescue many",
        "--rescue 2 --temp 0.6 --samples 4",
    };
    char line[1200];
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        snprintf(line, sizeof line, EVAL "%s " SAID, options[i]);
        if (test_loop_run(line) != USAGE)
            fail_msg("'%s' is not refused", line);
    }
    assert_int_equal(test_loop_run("generate --device llvmpipe --model q2 --prompt x "
                                   "--rescue 2 --temp 1 " SAID),
                     USAGE);
    /* Answers of one token: nothing can be repeated. */
    test_loop_run_well(EVAL "--rescue 2 --max-new 1 " SAID);
    assert_true(number("SELECT count(*) FROM metric WHERE name='thrown_tokens'") == 0);
    /* An answer alone says the same. */
    test_loop_run_well("generate --device llvmpipe --tune off --model q2 --prompt "
                       "'Ann has 3 coins.<|sep|>' --n 100 --rescue 8 --json " SAID);
    assert_int_equal(system("grep -q '\"thrown_tokens\": [1-9]' loop.out"), 0);
}

static void arms_that_train_nothing_are_measured(void **state)
{
    (void)state;
    test_loop_enter("arms");
    test_loop_run_well(
        "restore " DEVICE "--format demo --full '" DEMO "' --mine '" DEMO
        "/mine.jsonl[0:32]' --validate '" DEMO "/validate.jsonl[0:4]' --measure '" DEMO
        "/measure.jsonl[0:24]' --items 12 --work made --method rtn --bits 2 --recipes "
        "gptq-self,awq-self,rescue --out loop.html " SAID);
    assert_true(number("SELECT count(*) FROM variant WHERE arm='rescue' AND weights_id="
                       "(SELECT weights_id FROM variant WHERE role='quant')") == 1);
    assert_true(number("SELECT count(*) FROM run WHERE kind='eval' AND "
                       "json_extract(config,'$.rescue')=8") == 1);
    assert_true(number("SELECT value FROM metric JOIN run USING(run_id) WHERE "
                       "name='rescued' AND json_extract(config,'$.rescue')=8") > 4);
    /* Both quantizers made a model, not the same one, from as many items. */
    assert_true(number("SELECT count(DISTINCT weights_id) FROM variant WHERE arm IN "
                       "('gptq-self','awq-self') OR role='quant'") == 3);
    assert_true(number("SELECT count(DISTINCT value) FROM metric WHERE name='items'") ==
                1);
    assert_int_equal(system("grep -q 'continues with the runner-up' loop.html && grep -q "
                            "'thrown away ones too' loop.html && grep -q "
                            "'^awq-self' loop.out"),
                     0);
    assert_int_equal(
        test_loop_run("train " DEVICE "--format demo --full '" DEMO "' --mine '" DEMO
                      "/mine.jsonl[0:32]' --validate '" DEMO "/validate.jsonl[0:4]' "
                      "--measure '" DEMO "/measure.jsonl[0:24]' --items 12 --work made "
                      "--method rtn --bits 2 --recipe rescue " SAID),
        USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rescued_answer_is_the_same_in_every_way),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(arms_that_train_nothing_are_measured),
    };
    return cmocka_run_group_tests(tests, test_loop_set_up, test_loop_tear_down);
}

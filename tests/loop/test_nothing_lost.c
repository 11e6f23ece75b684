/* Bad input of restore that is a result, not an error: a quantized model that loses
 * nothing. The chain measures, writes its report and ends with 0. */
#include "runtime/base/rt.h"
#include "tests/support/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

/* `command` on 24 mined and 8 measured problems of the demo. */
static void line_of(char *line, size_t size, const char *command, const char *options)
{
    snprintf(
        line, size,
        "%s --device llvmpipe --tune off --progress none --full %s/pipeline/demo "
        "--mine '%s/pipeline/demo/mine.jsonl[0:24]' "
        "--validate '%s/pipeline/demo/validate.jsonl[0:2]' "
        "--measure '%s/pipeline/demo/measure.jsonl[0:8]' --work work --store loop.db "
        "%s >loop.out 2>loop.err",
        command, TEST_SOURCE_DIR, TEST_SOURCE_DIR, TEST_SOURCE_DIR, TEST_SOURCE_DIR,
        options);
}

static void expect_in(const char *file, const char *text)
{
    char command[512];
    snprintf(command, sizeof command, "grep -qF '%s' %s", text, file);
    if (system(command) != 0) {
        test_loop_show_error();
        fail_msg("'%s' is not in %s", text, file);
    }
}

static void expect_result(void)
{
    expect_in("loop.out", "nothing was lost: of 24 mined problems full solves ");
    expect_in(
        "loop.html",
        "<div class=\"lead\"><p id=\"nothing\"><strong>There is nothing to restore");
    assert_true(test_number_of("loop.db", "SELECT count(*) FROM run WHERE kind='train' "
                                          "AND status<>'done'") == 0);
    /* full and quant, and what needs no lost problem, on every measured problem */
    assert_true(test_number_of("loop.db",
                               "SELECT count(*) FROM generation JOIN run USING(run_id) "
                               "JOIN benchmark USING(benchmark_id) WHERE "
                               "split='measure'") == 3 * 8);
}

/* 8 bits lose nothing here. */
static void nothing_lost_is_a_result(void **state)
{
    (void)state;
    char line[3000];
    test_loop_enter("eight");
    line_of(
        line, sizeof line, "restore",
        "--bits 8 --method rtn --recipes refine,refine-random,refine-kept,gptq-bullets,"
        "refine+adapter,dpo,plain-4-row --nearest off --out loop.html");
    test_loop_run_well(line);
    expect_result();
    expect_in("loop.err", "refine-random is left out: none of the 24 mined problems is "
                          "lost, so it has nothing to train on");
    expect_in("loop.html", "serves as a training item: <em>refine</em>, "
                           "<em>refine-random</em>, <em>refine-kept</em>, "
                           "<em>gptq-bullets</em>, <em>dpo</em>.");
    /* Done is done. */
    char *rows = test_rows_of("loop.db");
    assert_int_equal(system("cp loop.html first.html"), 0);
    test_loop_run_well(line);
    char *again = test_rows_of("loop.db");
    test_same_rows(rows, again);
    free(rows);
    free(again);
    assert_int_equal(system("cmp loop.html first.html"), 0);
    /* What would make a folder cannot. */
    line_of(line, sizeof line, "train", "--bits 8 --method rtn --recipe refine");
    assert_int_equal(test_loop_run(line), 2);
    expect_in("loop.err", "none of the 24 mined problems is lost");
    line_of(line, sizeof line, "curate", "--bits 8 --method rtn --out items.jsonl");
    test_loop_run_well(line);
    assert_int_equal(system("test -e items.jsonl && ! test -s items.jsonl"), 0);
    line_of(line, sizeof line, "locate", "--bits 8 --method rtn");
    test_loop_run_well(line);
    expect_in("loop.err", "there is nothing to restore");
    test_loop_enter("");
}

/* A model held against itself. */
static void a_model_against_itself_is_one_too(void **state)
{
    (void)state;
    char line[3000];
    test_loop_enter("itself");
    line_of(line, sizeof line, "restore",
            "--quant " TEST_SOURCE_DIR "/pipeline/demo --recipes adapter,plain-4-row "
            "--nearest off --out loop.html");
    test_loop_run_well(line);
    expect_result();
    test_loop_enter("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_lost_is_a_result),
        cmocka_unit_test(a_model_against_itself_is_one_too),
    };
    return cmocka_run_group_tests_name("nothing lost", tests, test_loop_set_up,
                                       test_loop_tear_down);
}

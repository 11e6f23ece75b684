/* eval --damage: variants with labels of their own held against full on two lists. What is
 * printed becomes metrics, which the report shows; KL is not measured twice, unless the
 * stored one is of another full model. */
#include "tests/support/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define DEMO TEST_SOURCE_DIR "/pipeline/demo"
#define DEVICE "--device llvmpipe --tune off --progress none -q --store loop.db "
#define RTN "quantize --method rtn --group 32 --asym --model '" DEMO "' " DEVICE
#define VARIANTS \
    "--variant full='" DEMO "' --variant quant:two=q2 --variant quant:three=q3 "
#define EVAL                                                                           \
    "eval " DEVICE VARIANTS "--format demo --problems '" DEMO "/measure.jsonl[0:12]' " \
    "--problems '" DEMO "/validate.jsonl[0:8]' "
#define SAID ">loop.out 2>loop.err"
#define OF(name, label, split)                                                   \
    "SELECT value FROM metric JOIN run r USING(run_id) JOIN variant v "          \
    "USING(variant_id) JOIN benchmark b ON b.benchmark_id=r.benchmark_id WHERE " \
    "metric.name='" name "' AND v.label='" label "' AND b.name LIKE '" split "%'"

static double number(const char *sql)
{
    return test_number_of("loop.db", sql);
}

static void change(const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open("loop.db", &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void make_models(void)
{
    test_loop_enter("table");
    if (system("test -d q3") == 0)
        return;
    test_loop_run_well(RTN "--bits 2 --out q2 " SAID);
    /* Known by its role alone before it is named. */
    test_loop_run_well("eval " DEVICE "--format demo --variant quant=q2 --problems '" DEMO
                       "/validate.jsonl[0:8]' " SAID);
    test_loop_run_well(RTN "--bits 3 --out q3 " SAID);
}

static void a_plan_is_held_against_full(void **state)
{
    (void)state;
    make_models();
    test_loop_run_well(EVAL "--damage " SAID);
    assert_int_equal(system("grep -q '^damage against full on measure' loop.out"), 0);
    assert_int_equal(system("grep -q '^damage against full on validate' loop.out"), 0);
    assert_int_equal(system("grep -c 'after Holm' loop.out | grep -qx 4"), 0);
    assert_true(number("SELECT count(*) FROM metric WHERE name='loops'") == 6);
    assert_true(number("SELECT count(*) FROM metric WHERE name='kl_mean'") == 4);
    assert_true(number(OF("kl_mean", "two", "measure")) >
                number(OF("kl_mean", "three", "measure")));
    assert_true(number(OF("same_top", "two", "validate")) < 1);
    assert_true(number(OF("length_ratio", "full", "measure")) == 1);
    assert_true(number("SELECT count(*) FROM metric WHERE name='gain'") == 0);
    test_loop_run_well("compare --quant three --store loop.db " SAID);
    assert_int_equal(system("grep -q '^  three ' loop.out"), 0);
    test_loop_run_well("report --store loop.db --out loop.html " SAID);
    assert_int_equal(system("grep -q 'Damage beside accuracy' loop.html"), 0);
}

static void kl_is_measured_once_per_full_model(void **state)
{
    (void)state;
    make_models();
    test_loop_run_well(EVAL "--damage " SAID);
    const double kl = number(OF("kl_mean", "two", "measure"));
    change("UPDATE metric SET value=42 WHERE name='kl_mean'");
    test_loop_run_well(EVAL "--damage --json " SAID);
    assert_int_equal(system("grep -c '\"kl\":42,' loop.out | grep -qx 4"), 0);
    change("UPDATE metric SET value=value+1 WHERE name='kl_full'");
    test_loop_run_well(EVAL "--damage --json " SAID);
    assert_int_equal(system("grep -q '\"kl\":42,' loop.out"), 1 << 8);
    const double again = number(OF("kl_mean", "two", "measure"));
    assert_true(again >= kl && again <= kl);
}

static void parts_of_lists_are_refused(void **state)
{
    (void)state;
    make_models();
    assert_int_equal(test_loop_run(EVAL "--damage --limit 4 " SAID), 2);
    assert_int_equal(test_loop_run(EVAL "--damage --temp 0.5 " SAID), 2);
    assert_int_equal(
        test_loop_run("eval " DEVICE "--variant quant=q2 --variant quant:three=q3 "
                      "--damage --problems '" DEMO "/measure.jsonl[0:4]' " SAID),
        2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_is_held_against_full),
        cmocka_unit_test(kl_is_measured_once_per_full_model),
        cmocka_unit_test(parts_of_lists_are_refused),
    };
    return cmocka_run_group_tests(tests, test_loop_set_up, test_loop_tear_down);
}

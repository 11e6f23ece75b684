/* handover, twin-back, substitute and forced on the demo model: their rows hold what their definitions
 * say, each continuation is a row with its tokens, a killed search leaves the rows of an
 * unbroken one, and none of them is asked unless it is named. */
#include "tests/support/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { PACE_MS = 2, PATIENCE = 300000, USAGE = 2 };

#define DEMO TEST_SOURCE_DIR "/pipeline/demo"
#define LOCATE                                                                      \
    "locate --device llvmpipe --tune off --progress none --store loop.db --format " \
    "demo --full '" DEMO "' --mine '" DEMO "/mine.jsonl[0:40]' --validate '" DEMO   \
    "/validate.jsonl[0:4]' --measure '" DEMO                                        \
    "/measure.jsonl[0:4]' --method rtn --work made "
#define SAID ">loop.out 2>loop.err"
#define MORE LOCATE "--locators handover,substitute,forced --samples 2 " SAID

static double number(const char *sql)
{
    return test_number_of("loop.db", sql);
}

/* Whether any row comes, in a store that may be in the making. */
static bool has_row(const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    bool there = false;
    if (sqlite3_open_v2("loop.db", &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK)
        there = sqlite3_step(statement) == SQLITE_ROW;
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return there;
}

/* Kills the command at the first continuation of a locator; false: it was done before. */
static bool kill_at(const char *locator)
{
    const struct timespec pause = { 0, PACE_MS * 1000000L };
    char sql[160];
    int status = 0, patience = PATIENCE;
    snprintf(sql, sizeof sql,
             "SELECT 1 FROM rollout JOIN fault USING(fault_id) WHERE locator='%s'",
             locator);
    const pid_t child = test_loop_start(MORE);
    while (!has_row(sql) && patience-- > 0)
        nanosleep(&pause, NULL);
    kill(-child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status);
}

static void enter_whole(void)
{
    static bool made;
    test_loop_enter("whole");
    if (!made)
        test_loop_run_well(MORE);
    made = true;
}

#define JOINED " FROM rollout r JOIN fault f USING(fault_id) WHERE f.locator="

static void rows_hold_what_is_defined(void **state)
{
    (void)state;
    enter_whole();
    const double lost = number("SELECT count(*) FROM fault WHERE locator='verdict'");
    assert_true(lost > 2);
    assert_true(number("SELECT count(*) FROM fault WHERE locator='substitute'") == lost);
    /* Steps of full's own answer, continued by quant. */
    assert_true(
        number("SELECT count(*) FROM fault f JOIN generation g USING(gen_id) JOIN "
               "run r ON r.run_id=g.run_id JOIN variant v USING(variant_id) WHERE "
               "f.locator IN ('handover','twin-back') AND v.role='full'") == 2 * lost);
    assert_true(number("SELECT count(*)" JOINED
                       "'handover' AND r.variant_id NOT IN (SELECT variant_id FROM "
                       "variant WHERE role='quant')") == 0);
    /* Before the step quant fails; after it quant succeeds, or full's answer ends there. */
    assert_true(number("SELECT count(*)" JOINED
                       "'handover' AND r.step_idx=f.step_idx-1 AND r.correct") == 0);
    assert_true(number("SELECT count(*)" JOINED
                       "'handover' AND r.step_idx=f.step_idx AND NOT r.correct") == 0);
    assert_true(number("SELECT count(*) FROM fault WHERE locator='handover' AND step_idx "
                       "IS NOT NULL") > 2);
    /* The earliest of the replaced steps that mends the answer, beside the verdict. */
    assert_true(number("SELECT count(*)" JOINED
                       "'substitute' AND r.correct AND (f.step_idx IS NULL OR "
                       "r.step_idx+1<f.step_idx)") == 0);
    assert_true(
        number("SELECT count(*) FROM fault s JOIN fault v USING(gen_id, run_id) WHERE "
               "s.locator='substitute' AND v.locator='verdict' AND "
               "abs(s.step_idx-v.step_idx)>1") == 0);
    assert_true(number("SELECT count(*) FROM fault WHERE locator='substitute' AND "
                       "step_idx IS NOT NULL") > 0);
}

static void cost_is_the_sum_of_the_rows(void **state)
{
    (void)state;
    static const char *const names[] = { "rollout", "handover", "substitute", "forced" };
    enter_whole();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char sql[200];
        snprintf(sql, sizeof sql,
                 "SELECT value-(SELECT sum(n_gen)" JOINED
                 "'%s') FROM metric WHERE name='%s_tokens'",
                 names[i], names[i]);
        assert_true(number(sql) == 0);
    }
    assert_true(number("SELECT value FROM metric WHERE name='twin-back_tokens'") > 0);
    assert_int_equal(system("grep -q 'substitute names a step.* tokens$' loop.err"), 0);
}

/* Take-overs and the forced step, against what the roll-out rows say. */
static void early_is_held_against_chance(void **state)
{
    (void)state;
    enter_whole();
#define METRIC(name) "(SELECT value FROM metric WHERE name='" name "')"
    const double placed = number("SELECT " METRIC("placed"));
    assert_true(placed == number("SELECT count(*) FROM fault WHERE locator='verdict' AND "
                                 "step_idx IS NOT NULL"));
    const double chance = number("SELECT " METRIC("early_chance"));
    assert_true(chance > 0 && chance <= 0.5);
    assert_true(number("SELECT " METRIC("early")) <= placed);
    assert_true(number("SELECT count(*)=" METRIC(
                    "takeover_later") " FROM fault v WHERE "
                                      "v.locator='verdict' AND EXISTS(SELECT 1 FROM "
                                      "fault f JOIN rollout r "
                                      "USING(fault_id) WHERE f.gen_id=v.gen_id AND "
                                      "f.locator='rollout' AND "
                                      "r.step_idx=v.step_idx AND r.correct)") == 1);
    assert_true(
        number(
            "SELECT " METRIC("takeover_at") "/" METRIC("takeover_at_asked") ">=" METRIC(
                "takeover_later") "/" METRIC("takeover_later_asked")) == 1);
    assert_true(number("SELECT count(DISTINCT f.gen_id)=" METRIC("forced_quant") JOINED
                       "'forced' AND r.correct") == 1);
    assert_true(number("SELECT count(*)" JOINED "'forced' AND r.step_idx<>f.step_idx") ==
                0);
    /* Behind the last step nothing is left to continue. */
    const double inside =
        number("SELECT count(*) FROM fault f WHERE locator='verdict' AND "
               "step_idx+1<(SELECT count(*) FROM step s WHERE "
               "s.gen_id=f.gen_id)");
    assert_true(number("SELECT count(*)" JOINED "'forced'") == 2 * inside);
    assert_int_equal(system("grep -q 'same wrong step given to quant' loop.err"), 0);
}

static void a_killed_search_leaves_the_same_rows(void **state)
{
    (void)state;
    test_loop_enter("killed");
    const bool handover = kill_at("handover"), substitute = kill_at("substitute");
    const bool forced = kill_at("forced");
    assert_true(handover || substitute || forced);
    test_loop_run_well(MORE);
    char *rows = test_rows_of("loop.db");
    enter_whole();
    char *whole = test_rows_of("loop.db");
    test_same_rows(whole, rows);
    free(whole);
    free(rows);
}

static void nothing_more_is_asked_unless_named(void **state)
{
    (void)state;
    enter_whole();
    test_loop_run_well(LOCATE SAID);
    assert_true(number("SELECT count(*) FROM run WHERE kind='locate'") == 2);
    assert_true(
        number("SELECT count(*) FROM fault WHERE run_id=(SELECT run_id FROM run "
               "WHERE kind='locate' ORDER BY started_ms DESC LIMIT 1) AND locator "
               "IN ('handover','twin-back','substitute','forced')") == 0);
    /* The three that are always asked may be named. */
    test_loop_run_well(LOCATE "--locators rollout,twin " SAID);
    assert_true(number("SELECT count(*) FROM run WHERE kind='locate'") == 2);
    assert_int_equal(test_loop_run(LOCATE "--locators forced " SAID), USAGE);
    assert_int_equal(test_loop_run(LOCATE "--locators twins " SAID), USAGE);
    assert_int_equal(system("grep -q \"no locator 'twins'\" loop.err"), 0);
}

/* ---- as calibration text ---- */

static double of_text(const char *from, const char *member)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "SELECT json_extract(meta,'$.%s') FROM artifact WHERE path_hint='%s'",
             member, from);
    return test_number_of("steps.db", sql);
}

static void calibrate(const char *from, const char *out)
{
    char line[1200];
    snprintf(
        line, sizeof line,
        "quantize --device llvmpipe --tune off --progress none --store steps.db --model "
        "'%s' --method rtn --search --bits 3 --select none --out %s --calib '%s' %s",
        DEMO, out, from, SAID);
    test_loop_run_well(line);
}

/* Of answers that full gives to lost problems, as calibration text: in a copy of the rows. */
static void tokens_from_the_faulty_step_count_more(void **state)
{
    (void)state;
    enter_whole();
    assert_int_equal(system("cp loop.db steps.db"), 0);
    calibrate("run:full,lost=quant", "q1");
    calibrate("run:full,lost=quant,step=4", "q2");
    const double tokens = of_text("run:full,lost=quant,step=4", "tokens");
    const double more = of_text("run:full,lost=quant,step=4", "weight") - tokens;
    assert_true(of_text("run:full,lost=quant", "tokens") == tokens && tokens > 0);
    printf("    %g of %g tokens count four times\n", more / 3, tokens);
    assert_true(more > 0 && more / 3 < tokens && fmod(more, 3) == 0);
    assert_true(of_text("run:full,lost=quant,step=4", "weighted") > 0);
    assert_int_not_equal(system("cmp -s q1/model.safetensors q2/model.safetensors"), 0);
    calibrate("run:full,lost=quant,step=1", "q3"); /* is the same text */
    assert_int_equal(system("cmp -s q1/model.safetensors q3/model.safetensors"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_hold_what_is_defined),
        cmocka_unit_test(cost_is_the_sum_of_the_rows),
        cmocka_unit_test(early_is_held_against_chance),
        cmocka_unit_test(a_killed_search_leaves_the_same_rows),
        cmocka_unit_test(nothing_more_is_asked_unless_named),
        cmocka_unit_test(tokens_from_the_faulty_step_count_more),
    };
    return cmocka_run_group_tests_name("locators", tests, test_loop_set_up,
                                       test_loop_tear_down);
}

/* handover, twin-back, substitute, forced and judge on the demo model: their rows hold what their
 * definitions say, so do the success rates of what is drawn, each continuation is a row with its tokens, a killed search leaves the rows of an
 * unbroken one, and none of them is asked unless it is named, but the wrong step given to both,
 * of some answers. */
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
#define DEVICE                                                                      \
    "locate --device llvmpipe --tune off --progress none --store loop.db --format " \
    "demo "
#define PARTS                                                    \
    "--validate '" DEMO "/validate.jsonl[0:4]' --measure '" DEMO \
    "/measure.jsonl[0:4]' --method rtn --work made "
#define LOCATE DEVICE "--full '" DEMO "' --mine '" DEMO "/mine.jsonl[0:40]' " PARTS
#define SAID ">loop.out 2>loop.err"
#define MORE LOCATE "--locators handover,substitute,forced,judge --samples 2 -v " SAID

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

/* Kills the command once a query has a row; false: it was done before. */
static bool kill_once(const char *sql)
{
    const struct timespec pause = { 0, PACE_MS * 1000000L };
    int status = 0, patience = PATIENCE;
    const pid_t child = test_loop_start(MORE);
    while (!has_row(sql) && patience-- > 0)
        nanosleep(&pause, NULL);
    kill(-child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status);
}

/* At the first continuation of a locator. */
static bool kill_at(const char *locator)
{
    char sql[160];
    snprintf(sql, sizeof sql,
             "SELECT 1 FROM rollout JOIN fault USING(fault_id) WHERE locator='%s'",
             locator);
    return kill_once(sql);
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

#define METRIC(name) "(SELECT value FROM metric WHERE name='" name "')"
#define SAYS(member) "json_extract(evidence,'$." member "')"

/* Full read each answer, though the run's prompt is another: the row has the probability of
 * each step, and names the most probable one. */
static void the_judge_names_its_most_probable_step(void **state)
{
    (void)state;
    enter_whole();
    const double judged = number("SELECT count(*) FROM fault WHERE locator='judge'");
    assert_true(judged == number("SELECT count(*) FROM fault WHERE locator='verdict'"));
    assert_true(number("SELECT count(*) FROM annotation WHERE target='solution' AND "
                       "tag='judge'") == judged);
    assert_true(
        number("SELECT count(*) FROM fault f, json_each(f.evidence,'$.first') j WHERE "
               "locator='judge' AND (j.value>json_extract(f.evidence,'$.first['||"
               "f.step_idx||']') OR j.value>0)") == 0);
    assert_true(number("SELECT count(*) FROM fault f WHERE locator='judge' AND "
                       "json_array_length(f.evidence,'$.first')<>(SELECT count(*) FROM "
                       "step s WHERE s.gen_id=f.gen_id)") == 0);
    /* By itself it is as sure as it says. */
    assert_true(number("SELECT max(abs(exp(json_extract(evidence,'$.first['||step_idx||"
                       "']'))-confidence)) FROM fault WHERE locator='judge'") < 1e-4);
    assert_true(number("SELECT value-(SELECT sum(" SAYS(
                    "tokens") ") FROM fault WHERE locator='judge') FROM metric WHERE "
                              "name='judge_tokens'") == 0);
    assert_int_equal(system("grep -q 'judge  *names a step.* tokens$' loop.err"), 0);
}

/* Of each prefix that was asked, what its rows say. */
static void rates_are_those_of_the_draws(void **state)
{
    (void)state;
    enter_whole();
#define RATE(member) "json_extract(j.value,'$." member "')"
#define RATES " FROM fault f, json_each(f.evidence,'$.rates') j WHERE f.locator='rollout'"
#define OF_PREFIX \
    " FROM rollout r WHERE r.fault_id=f.fault_id AND r.step_idx+1=" RATE("kept")
    const double prefixes =
        number("SELECT count(DISTINCT fault_id||' '||r.step_idx)" JOINED "'rollout'");
    assert_true(prefixes > 2 && number("SELECT count(*)" RATES) == prefixes);
    assert_true(number("SELECT count(*)" RATES " AND (SELECT correct" OF_PREFIX
                       " AND sample=0)<>" RATE("greedy_right")) == 0);
    assert_true(number("SELECT count(*)" RATES " AND coalesce(" RATE(
                    "drawn") ",0)<>(SELECT count(*)" OF_PREFIX " AND sample>0)") == 0);
    assert_true(number("SELECT count(*)" RATES " AND " RATE("drawn") " AND " RATE(
                    "right") "<>(SELECT sum(correct)" OF_PREFIX " AND sample>0)") == 0);
    assert_true(number("SELECT count(*)" RATES " AND NOT(" RATE("low") "<=" RATE(
                    "rate") " AND " RATE("rate") "<=" RATE("high") ")") == 0);
    assert_true(number("SELECT count(*)" RATES " AND " RATE("drawn")) > 0);
    assert_int_equal(system("grep -Eq 'steps full draws [012] of 2 right: 0' loop.err"),
                     0);
    test_loop_run_well(LOCATE "--locators handover,substitute,forced,judge --samples 2 "
                              "--json >json.out 2>loop.json.err");
    assert_int_equal(system("grep -q '\"locator\":\"rollout\".*\"rates\":\\[{\"kept\":' "
                            "json.out"),
                     0);
    assert_int_equal(
        system("grep '\"locator\":\"judge\"' json.out | grep -q '\"rates\":null'"), 0);
}

static void injected_faults_are_judged(void **state)
{
    (void)state;
    test_loop_enter("injected");
    test_loop_run_well(LOCATE "--locators judge --injected 12 " SAID);
    const double said = number("SELECT " METRIC("injected_judge_said"));
    assert_true(said > 0 && said <= 12);
    assert_true(number("SELECT " METRIC("injected_judge_tokens")) > said);
    assert_true(number("SELECT " METRIC("injected_judge_right")) <= said);
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
    const bool judge = kill_once("SELECT 1 FROM annotation WHERE tag='judge'");
    const bool handover = kill_at("handover"), substitute = kill_at("substitute");
    const bool forced = kill_at("forced");
    assert_true(judge || handover || substitute || forced);
    test_loop_run_well(MORE);
    char *rows = test_rows_of("loop.db");
    enter_whole();
    char *whole = test_rows_of("loop.db");
    test_same_rows(whole, rows);
    free(whole);
    free(rows);
}

/* Without a word both models draw twice after the wrong step, full where its greedy
 * continuation is wrong, of as many answers as are asked for; nothing else is known by it. */
static void both_get_the_wrong_step(void **state)
{
    (void)state;
    test_loop_enter("usual");
    test_loop_run_well(LOCATE "--forced 3 " SAID);
#define FORCED_BY(role)                                                                 \
    "(SELECT count(*) FROM rollout r JOIN fault f USING(fault_id) JOIN variant v USING" \
    "(variant_id) WHERE f.locator='forced' AND v.role='" role "')"
    assert_true(number("SELECT " METRIC("forced_asked")) == 3);
    assert_true(number("SELECT " FORCED_BY("quant")) == 2 * 3);
    assert_true(
        number("SELECT " FORCED_BY(
            "full") "-2*(SELECT count(*) FROM fault v JOIN "
                    "fault f USING(run_id, gen_id) JOIN rollout r ON r.fault_id=f."
                    "fault_id AND r.step_idx=v.step_idx WHERE v.locator='forced' AND "
                    "json_extract(v.evidence,'$.full_right') IS NOT NULL AND "
                    "f.locator='rollout' AND NOT r.correct)") == 0);
    assert_true(number("SELECT count(*)=" METRIC(
                    "forced_full") " FROM fault WHERE "
                                   "locator='forced' AND " SAYS("full_right")) == 1);
    assert_true(number("SELECT value-(SELECT sum(n_gen)" JOINED "'forced') FROM metric "
                       "WHERE name='forced_tokens'") == 0);
    assert_int_equal(system("grep -q 'same wrong step given to quant: right *[0-3] of 3' "
                            "loop.err"),
                     0);
    test_loop_run_well(LOCATE SAID); /* 64: all of them, another run */
    assert_true(number("SELECT count(*) FROM run WHERE kind='locate'") == 2);
    assert_true(number("SELECT max(value) FROM metric WHERE name='forced_asked'") > 3);
}

#define SEARCHES \
    "SELECT count(*) FROM run WHERE kind='locate' AND benchmark_id IS NOT NULL"

static void nothing_more_is_asked_unless_named(void **state)
{
    (void)state;
    enter_whole();
    test_loop_run_well(LOCATE "--forced 0 " SAID);
    assert_true(number(SEARCHES) == 2);
    assert_true(
        number("SELECT count(*) FROM fault WHERE run_id=(SELECT run_id FROM run "
               "WHERE kind='locate' ORDER BY started_ms DESC LIMIT 1) AND locator "
               "IN ('handover','twin-back','substitute','forced','judge')") == 0);
    /* Nothing is drawn, so there is no rate. */
    assert_true(number("SELECT count(*) FROM fault WHERE run_id=(SELECT run_id FROM run "
                       "WHERE kind='locate' ORDER BY started_ms DESC LIMIT 1) "
                       "AND " SAYS("rates") " IS NOT NULL") == 0);
    /* The three that are always asked may be named. */
    test_loop_run_well(LOCATE "--locators rollout,twin --forced 0 " SAID);
    assert_true(number(SEARCHES) == 2);
    assert_int_equal(test_loop_run(LOCATE "--locators twins " SAID), USAGE);
    assert_int_equal(system("grep -q \"no locator 'twins'\" loop.err"), 0);
}

/* ---- a model that cannot judge ---- */

/* The demo model with another template (a command of sed), its answers under search. */
static void cannot_judge(const char *name, const char *template, const char *why)
{
    char line[400];
    test_loop_enter(name);
    snprintf(line, sizeof line,
             "mkdir model && cp '" DEMO "'/*.json '" DEMO
             "'/*.safetensors model && sed -i "
             "'%s' model/tokenizer_config.json",
             template);
    assert_int_equal(system(line), 0);
    test_loop_run_well(DEVICE "--full model --mine '" DEMO "/mine.jsonl[0:16]' " PARTS
                              "--locators judge " SAID);
    assert_true(number("SELECT count(*) FROM fault WHERE locator='verdict'") > 1);
    assert_true(number("SELECT count(*) FROM fault WHERE locator='judge'") == 0);
    assert_true(number("SELECT value FROM metric WHERE name='judge_tokens'") == 0);
    snprintf(line, sizeof line, "test \"$(grep -c 'judge abstains.*%s' loop.err)\" = 1",
             why);
    assert_int_equal(system(line), 0);
}

static void without_a_chat_nobody_judges(void **state)
{
    (void)state;
    cannot_judge("no chat", "s/\"chat_template\": .*/\"unused\": 0/", "chat template");
    cannot_judge("half a chat", "s/\\(content..\\) }}/\\1[-40:] }}/", "text back");
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
        cmocka_unit_test(the_judge_names_its_most_probable_step),
        cmocka_unit_test(cost_is_the_sum_of_the_rows),
        cmocka_unit_test(rates_are_those_of_the_draws),
        cmocka_unit_test(early_is_held_against_chance),
        cmocka_unit_test(a_killed_search_leaves_the_same_rows),
        cmocka_unit_test(both_get_the_wrong_step),
        cmocka_unit_test(injected_faults_are_judged),
        cmocka_unit_test(nothing_more_is_asked_unless_named),
        cmocka_unit_test(without_a_chat_nobody_judges),
        cmocka_unit_test(tokens_from_the_faulty_step_count_more),
    };
    return cmocka_run_group_tests_name("locators", tests, test_loop_set_up,
                                       test_loop_tear_down);
}

/* A stage finds everything in the rows: started one by one, each in a process of its own,
 * the commands leave the rows of one unbroken restore; a loop that stops on one host goes
 * on on another with the same rows; a fault that a person rejects is not trained on. */
#include "tests/support/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { PACE_MS = 20, PATIENCE = 15000, INTERRUPTED = 130 };

/* What every command of the chain is told; the smallest plan that has lost problems on
 * both lists, items, and two passes over them. */
#define DEVICE "--device llvmpipe --tune off --progress none -q --store loop.db "
#define DEMO TEST_SOURCE_DIR "/pipeline/demo"
#define MEASURED "'" DEMO "/measure.jsonl[0:32]' "
#define CHAIN                                              \
    DEVICE "--format demo --full '" DEMO "' --mine '" DEMO \
           "/mine.jsonl[0:48]' --validate '" DEMO          \
           "/validate.jsonl[0:8]' --measure " MEASURED     \
           "--items 8 --epochs 2 --samples 1 --work made --method rtn "
#define SAID ">loop.out 2>loop.err"
#define RESTORE "restore " CHAIN "--recipes adapter --nearest off --out loop.html " SAID

static double number(const char *sql)
{
    return test_number_of("loop.db", sql);
}

/* The store that others are held against: one process did all. Made by the first test that
 * wants it. */
static void enter_whole(void)
{
    static bool made;
    test_loop_enter("whole");
    if (!made)
        test_loop_run_well(RESTORE);
    made = true;
    assert_true(number("SELECT count(*) FROM bullet_item WHERE excluded IS NULL") > 2);
    assert_true(number("SELECT count(*) FROM rollout") > 0);
    assert_int_equal(system("grep -q 'Is early really early' loop.html"), 0);
    assert_int_equal(system("grep -q 'Damage beside accuracy' loop.html"), 0);
    assert_true(number("SELECT count(*) FROM metric WHERE name='val_accuracy'") == 2);
}

/* The rows of the store in this folder are those of the unbroken one. */
static void expect_rows(const char *name, const struct test_left_out *left)
{
    char *rows = test_rows_without("loop.db", left);
    assert_true(strlen(rows) > 100000); /* something was compared */
    enter_whole();
    char *whole = test_rows_without("loop.db", left);
    test_loop_enter(name);
    test_same_rows(whole, rows);
    free(whole);
    free(rows);
}

/* ---- stages alone ---- */

/* The folder of the quantized model, as restore names it. */
static void name_quantized(char name[64])
{
    FILE *found = popen("basename ../whole/made/q3-row-*", "r");
    assert_non_null(found);
    assert_int_equal(fscanf(found, "%63s", name), 1);
    assert_int_equal(pclose(found), 0);
}

static void run_stages(void)
{
    char line[4000], name[64];
    name_quantized(name);
    assert_int_equal(system("mkdir made"), 0);
    snprintf(line, sizeof line, "quantize -q --model '%s' --bits 3 --out made/%s " SAID,
             DEMO, name);
    test_loop_run_well(line);
    snprintf(line, sizeof line,
             "eval " DEVICE "--format demo --variant '%s' --variant quant=made/%s "
             "--problems " MEASURED SAID,
             DEMO, name);
    test_loop_run_well(line);
    test_loop_run_well("locate " CHAIN SAID);
    test_loop_run_well("curate " CHAIN "--kind kl --out items.jsonl " SAID);
    test_loop_run_well("train " CHAIN "--recipe adapter " SAID);
    test_loop_run_well(RESTORE);
    test_loop_run_well("compare --store loop.db --restored adapter " SAID);
}

/* What a stage has done is done: the next ones find it. */
static void expect_once(double tokens, double attempts)
{
    assert_true(number("SELECT sum(value) FROM metric WHERE name='tokens'") == tokens);
    assert_true(number("SELECT count(*) FROM attempt") == attempts);
    assert_int_equal(system("grep -q '\"prompt\"' items.jsonl"), 0);
}

static void six_processes_leave_the_rows_of_one(void **state)
{
    (void)state;
    /* An attempt is a process. argv is the command line of the process that opened a run.
     * eval has a campaign of its own beside restore's: campaigns are compared below. */
    static const struct test_left_out left = { " attempt campaign campaign_run ",
                                               " argv " };
    static const char campaign[] =
        "SELECT c.campaign_id||c.name||c.plan||r.run_id FROM campaign c JOIN "
        "campaign_run "
        "r USING(campaign_id) WHERE c.name='restore' ORDER BY 1";
    enter_whole();
    char *whole = test_lines_of("loop.db", campaign);
    const double tokens = number("SELECT sum(value) FROM metric WHERE name='tokens'");
    const double attempts = number("SELECT count(*) FROM attempt");
    test_loop_enter("stages");
    run_stages();
    expect_rows("stages", &left);
    char *staged = test_lines_of("loop.db", campaign);
    assert_string_equal(whole, staged);
    expect_once(tokens, attempts);
    free(whole);
    free(staged);
}

/* ---- two hosts ---- */

/* Runs restore as host `host` until the query counts something, and ends it by `how`. */
static void run_until(const char *host, const char *sql, int how)
{
    const struct timespec pause = { 0, PACE_MS * 1000000L };
    int status = 0, patience = PATIENCE;
    setenv("FAULTLINE_HOST", host, 1);
    const pid_t child = test_loop_start(RESTORE);
    while (test_number_so_far("loop.db", sql) == 0 && patience-- > 0)
        nanosleep(&pause, NULL);
    kill(-child, how);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (how == SIGKILL ? !WIFSIGNALED(status)
                       : !WIFEXITED(status) || WEXITSTATUS(status) != INTERRUPTED) {
        test_loop_show_error();
        fail_msg("host %s was to be stopped at '%s'; status %d", host, sql, status);
    }
}

static void another_host_goes_on(void **state)
{
    (void)state;
    /* Who worked where is told apart, and nothing else is. */
    static const struct test_left_out left = { " attempt machine environment ", "" };
    test_loop_enter("hosts");
    run_until("a", "SELECT count(*) FROM generation", SIGINT);
    run_until("b", "SELECT count(*) FROM rollout", SIGKILL);
    run_until("a", "SELECT count(*) FROM metric WHERE name='val_accuracy'", SIGKILL);
    setenv("FAULTLINE_HOST", "b", 1);
    test_loop_run_well(RESTORE);
    unsetenv("FAULTLINE_HOST");
    /* One run each of locating the mined problems and of training, on both hosts. */
    char *hosts = test_lines_of(
        "loop.db", "SELECT kind||' '||group_concat(h) FROM (SELECT "
                   "run_id, kind, substr(host,1,1) h FROM attempt JOIN run USING(run_id) "
                   "WHERE kind IN ('locate','train') ORDER BY "
                   "attempt.started_ms) GROUP BY run_id HAVING "
                   "count(DISTINCT h)=2 ORDER BY 1");
    assert_string_equal(hosts, "locate b,a\ntrain a,b\n");
    free(hosts);
    expect_rows("hosts", &left);
}

/* ---- review ---- */

/* Rows of the train runs that are there, other than those of `but`; "": of all. */
static char *trained(const char *but)
{
    char sql[1200];
    snprintf(sql, sizeof sql,
             "SELECT r.run_id||r.status||r.config||d.dataset_id||d.kind||i.idx||"
             "i.problem_id||coalesce(i.fault_id,'')||i.prompt||i.chosen||"
             "coalesce(i.excluded,'')||(SELECT group_concat(name||step||' '||value) FROM "
             "(SELECT * FROM metric m WHERE m.run_id=r.run_id ORDER BY name, step)) FROM "
             "run r JOIN bullet_set d USING(run_id) JOIN bullet_item i USING(dataset_id) "
             "WHERE r.kind='train' AND r.run_id<>'%s' ORDER BY d.dataset_id, i.idx",
             but);
    return test_lines_of("loop.db", sql);
}

/* The first column of the first row, without its end of line. */
static void take_one(const char *sql, char out[160])
{
    char *lines = test_lines_of("loop.db", sql);
    assert_int_not_equal(strcspn(lines, "\n"), 0);
    snprintf(out, 160, "%.*s", (int)strcspn(lines, "\n"), lines);
    free(lines);
}

/* A person rejects one of the faults that were trained on. */
static void reject(const char *fault)
{
    char sql[300], run[160], command[400];
    FILE *votes = fopen("votes.jsonl", "w");
    assert_non_null(votes);
    fprintf(votes, "{\"fault\":\"%s\",\"judge\":\"test\",\"step\":-1}\n", fault);
    assert_int_equal(fclose(votes), 0);
    snprintf(sql, sizeof sql, "SELECT run_id FROM fault WHERE fault_id='%s'", fault);
    take_one(sql, run);
    snprintf(command, sizeof command, "review votes.jsonl --run %s --store loop.db", run);
    test_loop_run_well(command);
    assert_true(number("SELECT count(*) FROM fault WHERE review='rejected'") == 1);
}

static void a_rejected_fault_is_not_trained_on(void **state)
{
    (void)state;
    char fault[160], second[160], sql[600];
    enter_whole();
    test_loop_enter("");
    assert_int_equal(system("cp -r whole review"), 0);
    test_loop_enter("review");
    take_one("SELECT i.fault_id FROM bullet_item i JOIN fault f ON f.fault_id=i.fault_id "
             "WHERE i.excluded IS NULL AND f.step_idx IS NOT NULL ORDER BY i.idx",
             fault);
    char *before = trained("");
    const double items = number("SELECT count(*) FROM bullet_item");
    reject(fault);
    test_loop_run_well("train " CHAIN "--recipe adapter " SAID);
    /* Another run, whose items know nothing of that fault. */
    assert_true(number("SELECT count(*) FROM run WHERE kind='train' AND status='done'") ==
                2);
    take_one("SELECT run_id FROM run WHERE kind='train' ORDER BY started_ms DESC",
             second);
    snprintf(sql, sizeof sql,
             "SELECT sum(fault_id='%s')*1000+count(*) FROM bullet_item JOIN bullet_set "
             "USING(dataset_id) WHERE run_id='%s'",
             fault, second);
    assert_true(number(sql) == items - 1);
    /* The earlier one is as it was, adapter and all. */
    char *after = trained(second);
    assert_string_equal(before, after);
    assert_int_equal(system("test $(ls made | grep -c ^adapter-adapter) = 2"), 0);
    assert_int_equal(system("cd made && for f in ../../whole/made/adapter-adapter-*; do "
                            "diff -r $f ${f##*/} || exit 1; done"),
                     0);
    free(before);
    free(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(six_processes_leave_the_rows_of_one),
        cmocka_unit_test(another_host_goes_on),
        cmocka_unit_test(a_rejected_fault_is_not_trained_on),
    };
    return cmocka_run_group_tests_name("stages", tests, test_loop_set_up,
                                       test_loop_tear_down);
}

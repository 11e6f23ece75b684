/* eval as a user runs it: killed, interrupted, in shards, by two processes at once, with
 * limits and drawn answers. Whatever the way, the rows are those of one run that nothing
 * disturbed. */
#include "store/store.h"
#include "tests/support/devices.h"
#include "tests/support/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PROBLEMS = 160, PACE_MS = 50, PATIENCE = 2400 };

static char folder[] = "/tmp/faultline-eval-XXXXXX";
static char program[1024];

static int set_up(void **state)
{
    (void)state;
    struct test_device devices[16];
    (void)test_devices(devices, 16); /* points the loader at the software devices */
    assert_non_null(mkdtemp(folder));
    snprintf(program, sizeof program, "%s/faultline",
             getenv("FAULTLINE_BUILD") ? getenv("FAULTLINE_BUILD") : TEST_BUILD_DIR);
    return chdir(folder);
}

static int tear_down(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static void eval_line(char *line, size_t size, const char *store, const char *more)
{
    snprintf(line, size,
             "eval --device llvmpipe --tune off --progress none --model "
             "'%s/pipeline/demo' --problems '%s/pipeline/demo/measure.jsonl' --limit %d "
             "--store %s --json %s",
             TEST_SOURCE_DIR, TEST_SOURCE_DIR, PROBLEMS, store, more);
}

static pid_t start(const char *store, const char *more)
{
    char line[3000], command[4200];
    eval_line(line, sizeof line, store, more);
    const pid_t child = fork();
    if (child == 0) {
        snprintf(command, sizeof command, "exec %s %s >>out.txt 2>>err.txt", program,
                 line);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    assert_true(child > 0);
    return child;
}

static int wait_for(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void run_well(const char *store, const char *more)
{
    if (wait_for(start(store, more)) != 0) {
        (void)!system("cat err.txt >&2");
        fail_msg("eval %s failed", more);
    }
}

/* ---- rows ---- */

static rt_status append(void *user, const struct store_row *row)
{
    fprintf(user, "%s\n", store_row_text(row, 0));
    return RT_OK;
}

static char *ask(const char *db, const char *sql)
{
    struct rt_ctx ctx = { 0 };
    struct store *store = NULL;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (store_open(&ctx, db, STORE_READ, &store) != RT_OK ||
        store_query(store, sql, NULL, append, out) != RT_OK)
        fail_msg("%s", ctx.message);
    store_close(&store);
    fclose(out);
    return text;
}

static long number(const char *db, const char *sql)
{
    char *text = ask(db, sql);
    const long value = strtol(text, NULL, 10);
    free(text);
    return value;
}

/* Answers, tokens, verdicts and steps, by problem and sample: all but times. */
static char *rows_of(const char *db)
{
    return ask(
        db, "SELECT g.gen_id||g.problem_id||' '||g.sample||' '||g.output||g.finish||"
            "g.n_prompt||' '||g.n_gen||hex(t.ids)||hex(t.logprob)||hex(t.margin)||"
            "hex(t.alt_id)||s.extracted||s.correct||s.extract_ok||(SELECT "
            "group_concat(idx||'-'||char_start||'-'||tok_start||'-'||tok_end) FROM step "
            "p WHERE p.gen_id=g.gen_id) FROM generation g JOIN token_trace t "
            "USING(gen_id) JOIN score s USING(gen_id) ORDER BY g.problem_id, g.sample");
}

static void expect_rows(const char *db, const char *expected, const char *what)
{
    char *rows = rows_of(db);
    if (strcmp(rows, expected) != 0)
        fail_msg("%s: other rows (%zu bytes, %zu expected)", what, strlen(rows),
                 strlen(expected));
    free(rows);
    assert_int_equal(number(db, "SELECT count(*) FROM claim"), 0);
    assert_int_equal(number(db, "SELECT count(*) FROM run WHERE status<>'done'"), 0);
}

/* Waits until a store holds `count` answers. */
static void await(const char *db, long count)
{
    const struct timespec pause = { 0, PACE_MS * 1000000L };
    for (int i = 0; i < PATIENCE; i++) {
        if (test_answers_in(db) >= count)
            return;
        nanosleep(&pause, NULL);
    }
    fail_msg("%s never came to %ld answers", db, count);
}

/* ---- the cases ---- */

static void a_killed_run_goes_on(const char *whole)
{
    long done[2];
    for (int i = 0; i < 2; i++) {
        const pid_t child = start("killed.db", "");
        await("killed.db", 20 + 60 * i);
        kill(child, SIGKILL);
        assert_int_equal(wait_for(child), 128 + SIGKILL);
        done[i] = number("killed.db", "SELECT count(*) FROM generation");
        assert_true(done[i] < PROBLEMS);
    }
    assert_true(done[1] > done[0]);
    run_well("killed.db", "");
    expect_rows("killed.db", whole, "after two kills");
    assert_int_equal(
        number("killed.db", "SELECT count(*) FROM attempt WHERE exit_code=137"), 2);
}

static void an_interrupt_ends_after_the_answers_begun(const char *whole)
{
    const pid_t child = start("stopped.db", "");
    await("stopped.db", 20);
    kill(child, SIGINT);
    assert_int_equal(wait_for(child), 130);
    const long done = number("stopped.db", "SELECT count(*) FROM generation");
    assert_true(done >= 64 && done < PROBLEMS); /* those in flight are there */
    assert_int_equal(number("stopped.db", "SELECT count(*) FROM claim"), 0);
    assert_int_equal(
        number("stopped.db", "SELECT count(*) FROM run WHERE status='interrupted'"), 1);
    run_well("stopped.db", "");
    expect_rows("stopped.db", whole, "after an interrupt");
}

static void shards_together_are_the_whole(const char *whole)
{
    run_well("shards.db", "--shard 2/3");
    assert_int_equal(number("shards.db", "SELECT count(*) FROM generation"), 53);
    assert_int_equal(number("shards.db", "SELECT count(*) FROM run WHERE status='done'"),
                     0);
    run_well("shards.db", "--shard 1/3");
    run_well("shards.db", "--shard 3/3");
    expect_rows("shards.db", whole, "three shards");
}

/* One of two is killed: the other takes over what it had claimed. */
static void two_processes_share_the_work(const char *whole)
{
    const pid_t a = start("two.db", "");
    await("two.db", 1);
    const pid_t b = start("two.db", "");
    assert_int_equal(wait_for(a), 0);
    assert_int_equal(wait_for(b), 0);
    expect_rows("two.db", whole, "two processes");
    /* Nothing was made twice: the tokens that were paid for are those that are there. */
    assert_int_equal(number("two.db", "SELECT CAST(sum(value) AS INTEGER) FROM metric "
                                      "WHERE name='tokens'"),
                     number("two.db", "SELECT sum(n_gen) FROM generation"));
    assert_int_equal(number("two.db", "SELECT count(*) FROM attempt"), 2);
    const pid_t c = start("takeover.db", "");
    await("takeover.db", 1);
    const pid_t d = start("takeover.db", "");
    kill(c, SIGKILL);
    (void)wait_for(c);
    assert_int_equal(wait_for(d), 0);
    expect_rows("takeover.db", whole, "one of two killed");
}

static void limits_are_kept(const char *whole)
{
    const pid_t child = start("limits.db", "--time-limit 0s");
    assert_int_equal(wait_for(child), 5);
    assert_int_equal(number("limits.db", "SELECT count(*) FROM generation"), 0);
    run_well("limits.db", "--limit 40");
    assert_int_equal(number("limits.db", "SELECT count(*) FROM generation"), 40);
    assert_int_equal(number("limits.db", "SELECT count(*) FROM run WHERE status='done'"),
                     1);
    run_well("limits.db", "");
    expect_rows("limits.db", whole, "a limit, then all");
}

static void runs_of_any_shape_give_the_same_rows(void **state)
{
    (void)state;
    run_well("whole.db", "");
    char *whole = rows_of("whole.db");
    assert_true(strlen(whole) > 100 * PROBLEMS);
    expect_rows("whole.db", whole, "one run");
    a_killed_run_goes_on(whole);
    an_interrupt_ends_after_the_answers_begun(whole);
    shards_together_are_the_whole(whole);
    two_processes_share_the_work(whole);
    limits_are_kept(whole);
    free(whole);
}

#define DRAWN "--limit 24 --samples 3 --temp 1.5 --top-p 1 --seed 5"

static void drawn_answers_depend_on_problem_and_sample_only(void **state)
{
    (void)state;
    run_well("drawn.db", DRAWN);
    char *whole = rows_of("drawn.db");
    assert_int_equal(number("drawn.db", "SELECT count(*) FROM generation"), 72);
    assert_true(number("drawn.db", "SELECT count(DISTINCT problem_id||output) FROM "
                                   "generation") > 30);
    run_well("drawn2.db", DRAWN " --shard 2/2");
    run_well("drawn2.db", DRAWN " --shard 1/2");
    expect_rows("drawn2.db", whole, "drawn in shards");
    run_well("drawn3.db", "--limit 24 --samples 1 --temp 1.5 --top-p 1 --seed 5");
    run_well("drawn3.db", DRAWN);
    expect_rows("drawn3.db", whole, "one sample, then three");
    free(whole);
}

/* The demo model knows no steps and no boxes: what is forced is there all the same. */
/* B3: a model is loaded for the context that the format wants; where it has less, that is
 * said, and the run tells what it really had. */
static void context_is_what_the_format_wants(void **state)
{
    (void)state;
    static const char config[] = "SELECT json_extract(config,'$.context') FROM run";
    char command[4200];
    snprintf(
        command, sizeof command,
        "mkdir long && cp '%s/pipeline/demo/'*.json '%s/pipeline/demo/'*.safetensors "
        "long && sed -i 's/\"max_position_embeddings\": 512/"
        "\"max_position_embeddings\": 8192/' long/config.json",
        TEST_SOURCE_DIR, TEST_SOURCE_DIR);
    assert_int_equal(system(command), 0);
    run_well("long.db", "--max-new 5000 --limit 2 --model long");
    assert_int_equal(number("long.db", config), 5144);
    assert_int_equal(system(": >err.txt"), 0);
    run_well("short.db", "--max-new 5000 --limit 2");
    assert_int_equal(number("short.db", config), 512);
    assert_int_equal(system("grep -q 'a context of 512 tokens instead of 5144, the model "
                            "has no more' err.txt"),
                     0);
}

static void numbered_lines_are_forced(void **state)
{
    (void)state;
    run_well("steps.db",
             "--limit 6 --format chat-steps --chat-format plain --max-new 60");
    char *starts = ask("steps.db", "SELECT substr(output,1,7) FROM generation");
    assert_string_equal(starts, "Step 1:\nStep 1:\nStep 1:\nStep 1:\nStep 1:\nStep 1:\n");
    free(starts);
    /* Every line of every answer begins with its number (the last may be cut). */
    assert_int_equal(
        number("steps.db",
               "WITH RECURSIVE line(n, rest) AS (SELECT 0, output||char(10) FROM "
               "generation UNION ALL SELECT n+1, substr(rest, instr(rest,char(10))+1) "
               "FROM line WHERE rest<>'') SELECT count(*) FROM line WHERE rest<>'' AND "
               "length(rest)>10 AND rest NOT LIKE 'Step '||(n+1)||':%'"),
        0);
    assert_int_equal(number("steps.db",
                            "SELECT count(*) FROM step WHERE segmenter='step' "
                            "AND idx=0"),
                     6);
    assert_int_equal(number("steps.db", "SELECT count(*) FROM artifact WHERE "
                                        "kind='prompt' AND json_extract(meta,'$.text') "
                                        "LIKE '%step by step%{question}%'"),
                     1);
}

static void status_tells_who_works(void **state)
{
    (void)state;
    char command[2200];
    const pid_t child = start("alive.db", "");
    await("alive.db", 10);
    snprintf(command, sizeof command, "%s status --store alive.db >status.txt", program);
    kill(child, SIGSTOP); /* nothing changes while it is looked at */
    assert_int_equal(system(command), 0);
    assert_int_equal(system("grep -q 'running.*160.*1' status.txt"), 0);
    kill(child, SIGKILL);
    kill(child, SIGCONT);
    (void)wait_for(child);
    /* The row still says running; status looks for the process. */
    assert_int_equal(
        number("alive.db", "SELECT count(*) FROM run WHERE status='running'"), 1);
    assert_int_equal(system(command), 0);
    assert_int_equal(system("grep -q 'stopped.*160.*0' status.txt"), 0);
    /* One on another machine counts until its lease has run out. */
    assert_int_equal(system("sqlite3 alive.db \"UPDATE attempt SET host='elsewhere'\""),
                     0);
    assert_int_equal(system(command), 0);
    assert_int_equal(system("grep -q 'running.*160.*1' status.txt"), 0);
    assert_int_equal(system("sqlite3 alive.db 'UPDATE attempt SET "
                            "heartbeat_ms=heartbeat_ms-100000'"),
                     0);
    assert_int_equal(system(command), 0);
    assert_int_equal(system("grep -q 'stopped.*160.*0' status.txt"), 0);
    snprintf(command, sizeof command, "%s watch --store alive.db >status.txt", program);
    assert_int_equal(system(command), 0); /* nobody works: it ends */
}

static void grading_again_keeps_what_was_replaced(void **state)
{
    (void)state;
    char command[2200];
    run_well("graded.db", "--limit 8");
    assert_int_equal(
        system("sqlite3 graded.db \"UPDATE score SET correct=1-correct, "
               "extracted='?' WHERE gen_id IN (SELECT gen_id FROM generation "
               "ORDER BY problem_id LIMIT 3); DELETE FROM score_history\""),
        0);
    char *broken = rows_of("graded.db");
    snprintf(command, sizeof command,
             "%s grade --store graded.db --dry-run >dry.txt 2>>err.txt", program);
    assert_int_equal(system(command), 0);
    char *untouched = rows_of("graded.db");
    assert_string_equal(broken, untouched);
    snprintf(command, sizeof command, "%s grade --store graded.db >grade.txt 2>>err.txt",
             program);
    assert_int_equal(system(command), 0);
    assert_int_equal(system("cmp dry.txt grade.txt && test $(wc -l <grade.txt) = 3"), 0);
    char *again = rows_of("graded.db");
    run_well("fresh.db", "--limit 8");
    char *fresh = rows_of("fresh.db");
    assert_string_equal(again, fresh);
    assert_int_equal(number("graded.db", "SELECT count(*) FROM score_history WHERE "
                                         "json_extract(old,'$.extracted')='?'"),
                     3);
    assert_int_equal(system(command), 0); /* nothing is left to change */
    assert_int_equal(system("test ! -s grade.txt"), 0);
    free(broken);
    free(untouched);
    free(again);
    free(fresh);
}

static int shell(const char *args)
{
    char command[6000];
    snprintf(command, sizeof command, "%s %s 2>>err.txt", program, args);
    const int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Two variants on two lists in one command; what compare makes of them. */
static void a_plan_is_compared_list_by_list(void **state)
{
    (void)state;
    char line[4600];
    snprintf(line, sizeof line,
             "quantize --model '%s/pipeline/demo' --bits 3 --out q3 -q", TEST_SOURCE_DIR);
    assert_int_equal(shell(line), 0);
    snprintf(
        line, sizeof line,
        "eval --device llvmpipe --tune off --progress none --store plan.db --limit 60 "
        "--variant '%s/pipeline/demo' --variant quant=q3 --bench "
        "'%s/pipeline/demo/measure.jsonl' --bench '%s/pipeline/demo/validate.jsonl' "
        "--json >plan.txt",
        TEST_SOURCE_DIR, TEST_SOURCE_DIR, TEST_SOURCE_DIR);
    assert_int_equal(shell(line), 0);
    assert_int_equal(system("test $(wc -l <plan.txt) = 4"), 0);
    assert_int_equal(number("plan.db", "SELECT count(*) FROM generation"), 240);
    assert_int_equal(shell("compare --store plan.db --json >compare.txt"), 0);
    assert_int_equal(system("test $(grep -c '\"loss_holm_p\":[0-9]' compare.txt) = 2"),
                     0);
    assert_int_equal(shell("compare --store plan.db --bench validate.jsonl --json "
                           ">compare.txt"),
                     0);
    assert_int_equal(system("test $(grep -c '\"loss_holm_p\":null' compare.txt) = 1"), 0);
    assert_int_equal(shell("compare --store plan.db --flips >flips.txt"), 0);
    /* Every pair whose verdicts differ is named, and no other. */
    const long flips =
        number("plan.db", "SELECT count(*) FROM comparison_pair WHERE f<>q");
    snprintf(line, sizeof line, "test $(grep -cE '^    (lost|gained)' flips.txt) = %ld",
             flips);
    assert_true(flips > 0);
    assert_int_equal(system(line), 0);
    assert_int_equal(shell("compare --store plan.db --fail-if 'n<1' >compare.txt"), 0);
    assert_int_equal(shell("compare --store plan.db --fail-if 'n>1' >compare.txt"), 6);
    assert_int_equal(shell("compare --store plan.db --bench other >compare.txt"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_of_any_shape_give_the_same_rows),
        cmocka_unit_test(drawn_answers_depend_on_problem_and_sample_only),
        cmocka_unit_test(context_is_what_the_format_wants),
        cmocka_unit_test(numbered_lines_are_forced),
        cmocka_unit_test(status_tells_who_works),
        cmocka_unit_test(grading_again_keeps_what_was_replaced),
        cmocka_unit_test(a_plan_is_compared_list_by_list),
    };
    return cmocka_run_group_tests_name("eval", tests, set_up, tear_down);
}

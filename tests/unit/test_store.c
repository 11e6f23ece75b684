/* The results file: writing twice changes nothing, a kill loses only what was not
 * committed, foreign and newer files are refused, failures leave it whole. */
#include "store/store.h"
#include "store/store_impl.h"

#include "runtime/base/version.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char path[64];

static int make_path(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/faultline-store-%ld.db", (long)getpid());
    return 0;
}

static int remove_path(void **state)
{
    static const char *const tails[] = { "", "-wal", "-shm" };
    (void)state;
    for (size_t i = 0; i < RT_COUNT(tails); i++) {
        char name[80];
        snprintf(name, sizeof name, "%s%s", path, tails[i]);
        chmod(name, 0600);
        remove(name);
    }
    return 0;
}

static struct store *open_store(struct rt_ctx *ctx)
{
    struct store *s = NULL;
    if (store_open(ctx, path, STORE_WRITE, &s) != RT_OK)
        fail_msg("%s", ctx->message);
    return s;
}

static const struct pipe_problem problems[] = {
    { .id = "p0", .question = "one?", .answer = "1" },
    { .id = "p1", .question = "two?", .answer = "2" },
};

/* A store with a run that generations can hang on. */
static void fill(struct rt_ctx *ctx, struct store *s, struct store_run *run)
{
    static char campaign[STORE_ID], bench[STORE_ID], env[STORE_ID];
    static struct store_variant v = { .label = "full",
                                      .role = "full",
                                      .weights_id = "sha256:w",
                                      .arch = "qwen2",
                                      .params = 1 };
    struct rt_device *dev = NULL;
    const struct rt_device_options options = { .name = "ref" };
    const struct store_artifact weights = { "sha256:w", "weights", 1, NULL };
    assert_int_equal(rt_device_create(ctx, &options, &dev), RT_OK);
    assert_int_equal(store_put_environment(s, dev, env), RT_OK);
    rt_device_destroy(&dev);
    assert_int_equal(store_put_artifact(s, &weights), RT_OK);
    assert_int_equal(store_put_variant(s, &v), RT_OK);
    assert_int_equal(store_put_campaign(s, "test", "{}", campaign), RT_OK);
    assert_int_equal(store_put_benchmark(s, "demo", "measure", problems, 2, bench),
                     RT_OK);
    *run = (struct store_run){ .campaign_id = campaign,
                               .kind = "eval",
                               .variant_id = v.id,
                               .benchmark_id = bench,
                               .env_id = env,
                               .config = "{}" };
    if (store_run_open(s, run) != RT_OK)
        fail_msg("%s", ctx->message);
}

static rt_status put_sample(struct store *s, const char *run, const char *problem,
                            uint32_t sample, bool correct)
{
    static const uint32_t ids[] = { 4, 5 };
    static const float numbers[] = { -0.5f, -0.25f };
    const struct pipe_generation g = {
        .problem_id = problem,
        .sample = sample,
        .prompt_hash = "h",
        .output = "a\n#### 1",
        .n_gen = 2,
        .segmenter = "line",
        .prefill_us = 1,
        .decode_us = 2,
        .trace = { 2, ids, numbers, numbers, ids },
    };
    const struct pipe_score score = {
        .grader = "demo", .extracted = "1", .extract_ok = true, .correct = correct
    };
    const struct pipe_step steps[] = { { 0, 2, 0, 1 }, { 2, 8, 1, 2 } };
    return store_put_generation(s, run, &g, &score, steps, 2);
}

static rt_status put(struct store *s, const char *run, const char *problem, bool correct)
{
    return put_sample(s, run, problem, 0, correct);
}

static rt_status first_number(void *user, const struct store_row *row)
{
    *(int64_t *)user = store_row_integer(row, 0);
    return RT_OK;
}

static int64_t number(struct store *s, const char *sql)
{
    int64_t n = -1;
    assert_int_equal(store_query(s, sql, NULL, first_number, &n), RT_OK);
    return n;
}

static rt_status check_answer(void *user, const struct store_answer *a)
{
    ++*(int *)user;
    assert_int_equal(a->n_gen, 2);
    assert_int_equal(a->ids[1], 5);
    assert_true(a->logprob[0] == -0.5f && a->margin[1] == -0.25f);
    assert_string_equal(a->output, "a\n#### 1");
    return RT_OK;
}

static void writing_twice_changes_nothing(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct store *s = open_store(&ctx);
    struct store_run run, again;
    fill(&ctx, s, &run);
    for (int i = 0; i < 2; i++)
        assert_int_equal(put(s, run.id, "p0", true), RT_OK);
    fill(&ctx, s, &again);
    assert_string_equal(run.id, again.id);
    int answers = 0;
    assert_int_equal(store_each_answer(s, run.id, check_answer, &answers), RT_OK);
    assert_int_equal(answers, 1);
    assert_int_equal(number(s, "SELECT count(*) FROM step"), 2);
    assert_int_equal(number(s, "SELECT count(*) FROM run"), 1);
    store_close(&s);
}

static void a_run_says_how_it_was_started(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct store *s = open_store(&ctx);
    struct store_run run;
    store_set_argv(s, "[\"faultline\",\"eval\"]");
    fill(&ctx, s, &run);
    assert_int_equal(number(s, "SELECT count(*) FROM run WHERE argv->>1='eval' AND "
                               "tool_version GLOB '[0-9]*.[0-9]*'"),
                     1);
    /* the tests are built where the program is: in a checkout, or from an archive */
    assert_int_equal(number(s, "SELECT length(coalesce(tool_commit,'')) FROM run"),
                     strlen(rt_commit));
    store_close(&s);
}

static void another_verdict_keeps_the_old_one(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct store *s = open_store(&ctx);
    struct store_run run;
    fill(&ctx, s, &run);
    assert_int_equal(put(s, run.id, "p0", true), RT_OK);
    assert_int_equal(put(s, run.id, "p0", false), RT_OK);
    assert_int_equal(number(s, "SELECT correct FROM score"), 0);
    assert_int_equal(number(s, "SELECT count(*) FROM score_history"), 1);
    store_close(&s);
}

static void costs_of_attempts_add_up(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct store *s = open_store(&ctx);
    struct store_run run;
    fill(&ctx, s, &run);
    for (int i = 0; i < 2; i++)
        assert_int_equal(store_add_metric(s, run.id, "wall_seconds", 1.5), RT_OK);
    assert_int_equal(number(s, "SELECT value FROM metric WHERE name='wall_seconds'"), 3);
    assert_int_equal(number(s, "SELECT count(*) FROM metric"), 1);
    store_close(&s);
}

static void a_kill_loses_only_what_was_not_committed(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct store_run run;
    struct store *s = open_store(&ctx);
    fill(&ctx, s, &run);
    store_close(&s);
    const pid_t child = fork();
    if (child == 0) {
        struct store *mine = open_store(&ctx);
        if (store_begin(mine) != RT_OK || put(mine, run.id, "p0", true) != RT_OK ||
            store_commit(mine) != RT_OK || store_begin(mine) != RT_OK ||
            put(mine, run.id, "p1", true) != RT_OK)
            _exit(1);
        raise(9);
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status));
    s = open_store(&ctx);
    assert_int_equal(number(s, "SELECT count(*) FROM generation"), 1);
    assert_int_equal(number(s, "SELECT count(*) FROM pragma_integrity_check WHERE "
                               "integrity_check<>'ok'"),
                     0);
    store_close(&s);
}

enum { SAMPLES = 30, WRITERS = 2, ROUNDS = 3 };

/* What one of the writing processes does: opens the store, which may not be there yet,
 * joins the run and writes its half of the answers, and every third as the other does.
 * 0, or what failed. */
static int write_half(int writer, int start)
{
    struct rt_ctx ctx = { 0 };
    struct store_run run;
    char go;
    if (read(start, &go, 1) != 0) /* until the parent closes its end */
        return 1;
    struct store *s = NULL;
    if (store_open(&ctx, path, STORE_WRITE, &s) != RT_OK) {
        fprintf(stderr, "    writer %d: %s\n", writer, ctx.message);
        return 3; /* no assertion here: it would go on with the parent's tests */
    }
    fill(&ctx, s, &run);
    for (uint32_t i = 0; i < SAMPLES; i++) {
        if (i % WRITERS != (uint32_t)writer && i % 3 != 0)
            continue;
        if (store_begin(s) != RT_OK || put_sample(s, run.id, "p0", i, true) != RT_OK ||
            store_commit(s) != RT_OK) {
            fprintf(stderr, "    writer %d, answer %u: %s\n", writer, i, ctx.message);
            return 2;
        }
    }
    store_close(&s);
    return 0;
}

static void two_processes_write_one_store(void **state)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct rt_ctx ctx = { 0 };
        pid_t child[WRITERS];
        int start[2];
        assert_int_equal(pipe(start), 0);
        for (int i = 0; i < WRITERS; i++) {
            child[i] = fork();
            if (child[i] == 0) {
                close(start[1]);
                _exit(write_half(i, start[0]));
            }
        }
        close(start[0]);
        close(start[1]);
        for (int i = 0; i < WRITERS; i++) {
            int status;
            assert_int_equal(waitpid(child[i], &status, 0), child[i]);
            if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                fail_msg("round %d: writer %d could not write", round, i);
        }
        struct store *s = open_store(&ctx);
        assert_int_equal(number(s, "SELECT count(*) FROM generation"), SAMPLES);
        assert_int_equal(number(s, "SELECT count(*) FROM score"), SAMPLES);
        assert_int_equal(number(s, "SELECT count(*) FROM step"), 2 * SAMPLES);
        assert_int_equal(number(s, "SELECT count(*) FROM run"), 1);
        assert_int_equal(number(s, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
        assert_int_equal(number(s, "SELECT count(*) FROM pragma_integrity_check WHERE "
                                   "integrity_check<>'ok'"),
                         0);
        store_close(&s);
        remove_path(state);
    }
}

static void expect_refusal(enum store_mode mode, const char *part)
{
    struct rt_ctx ctx = { 0 };
    struct store *s = NULL;
    assert_int_equal(store_open(&ctx, path, mode, &s), RT_ERR_STORE);
    assert_null(s);
    if (!strstr(ctx.message, part) || !strstr(ctx.message, path))
        fail_msg("the message is '%s'", ctx.message);
}

static void foreign_files_are_refused(void **state)
{
    (void)state;
    expect_refusal(STORE_READ, "cannot be opened"); /* there is none */
    FILE *file = fopen(path, "w");
    fputs("this is no database, and it is long enough to be looked at by SQLite .......",
          file);
    for (int i = 0; i < 100; i++)
        fputs("................................................................", file);
    fclose(file);
    expect_refusal(STORE_WRITE, "damaged or not a results file");
    remove(path);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_exec(db, "CREATE TABLE x(y)", NULL, NULL, NULL);
    sqlite3_close(db);
    expect_refusal(STORE_WRITE, "another program");
}

static void newer_files_are_refused(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct store *s = open_store(&ctx);
    sqlite3_exec(s->db, "PRAGMA user_version=99", NULL, NULL, NULL);
    store_close(&s);
    expect_refusal(STORE_WRITE, "version 99");
}

static void a_locked_file_says_so(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct store *s = open_store(&ctx), *other = open_store(&ctx);
    assert_int_equal(store_begin(s), RT_OK);
    sqlite3_busy_timeout(other->db, 50);
    assert_int_equal(store_begin(other), RT_ERR_STORE);
    assert_non_null(strstr(ctx.message, "another process"));
    store_rollback(s);
    assert_int_equal(store_begin(other), RT_OK);
    store_rollback(other);
    store_close(&s);
    store_close(&other);
}

static void a_full_disk_says_so_and_loses_nothing(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct store *s = open_store(&ctx);
    struct store_run run;
    fill(&ctx, s, &run);
    assert_int_equal(put(s, run.id, "p0", true), RT_OK);
    char pragma[64], big[200000];
    snprintf(pragma, sizeof pragma, "PRAGMA max_page_count=%lld",
             (long long)number(s, "PRAGMA page_count"));
    sqlite3_exec(s->db, pragma, NULL, NULL, NULL);
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    const struct pipe_generation g = { .problem_id = "p1",
                                       .prompt_hash = "h",
                                       .output = big };
    assert_int_equal(store_begin(s), RT_OK);
    assert_int_equal(store_put_generation(s, run.id, &g, NULL, NULL, 0), RT_ERR_STORE);
    assert_non_null(strstr(ctx.message, "disk is full"));
    store_rollback(s);
    assert_int_equal(number(s, "SELECT count(*) FROM generation"), 1);
    store_close(&s);
}

static void queries_only_read(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct store *s = open_store(&ctx);
    int64_t n;
    assert_int_equal(store_query(s, "DELETE FROM run", NULL, first_number, &n),
                     RT_ERR_USAGE);
    assert_int_equal(store_query(s, "SELECT 1; SELECT 2", NULL, first_number, &n),
                     RT_ERR_USAGE);
    assert_int_equal(store_query(s, "SELECT nothing", NULL, first_number, &n),
                     RT_ERR_STORE);
    store_close(&s);
}

static void every_failing_allocation_is_clean(void **state)
{
    (void)state;
    for (uint64_t k = 1; k < 6; k++) {
        struct rt_ctx ctx = { .alloc_fail_at = k };
        struct store *s = NULL;
        const rt_status st = store_open(&ctx, path, STORE_WRITE, &s);
        assert_true(st == RT_OK || st == RT_ERR_HOST_MEMORY);
        store_close(&s);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make_path, remove_path)

/* Answers of two devices never mix in one run. */
static void another_environment_is_another_run(void **state)
{
    struct rt_ctx ctx = { 0 };
    struct store_run run, other;
    (void)state;
    struct store *s = open_store(&ctx);
    fill(&ctx, s, &run);
    assert_int_equal(
        store_run_sql(s,
                      "INSERT INTO environment(env_id,machine_id,device_id,driver_id) "
                      "SELECT ?1,machine_id,device_id,driver_id FROM environment",
                      "t", "other"),
        RT_OK);
    other = run;
    assert_int_equal(store_run_open(s, &other), RT_OK);
    assert_string_equal(other.id, run.id);
    other.env_id = "other";
    assert_int_equal(store_run_open(s, &other), RT_OK);
    assert_string_not_equal(other.id, run.id);
    store_close(&s);
}

/* A run that stopped says why until it goes on; one that is done stays so. */
static void a_run_that_goes_on_has_no_error(void **state)
{
    static const char clean[] =
        "SELECT count(*) FROM run WHERE status='running' AND "
        "error IS NULL AND exit_code IS NULL AND ended_ms IS NULL";
    static const char stopped[] = "SELECT count(*) FROM run WHERE status='interrupted' "
                                  "AND error='why' AND exit_code=130 AND ended_ms>0";
    static const char done[] = "SELECT count(*) FROM run WHERE status='done' AND "
                               "exit_code=0 AND ended_ms>0";
    struct rt_ctx ctx = { 0 };
    struct store_run run;
    (void)state;
    struct store *s = open_store(&ctx);
    fill(&ctx, s, &run);
    assert_int_equal(store_run_close(s, run.id, "interrupted", 130, "why"), RT_OK);
    assert_int_equal(number(s, stopped), 1);
    assert_int_equal(store_run_open(s, &run), RT_OK);
    assert_int_equal(number(s, clean), 1);
    assert_int_equal(store_run_close(s, run.id, "done", 0, NULL), RT_OK);
    assert_int_equal(store_run_open(s, &run), RT_OK);
    assert_int_equal(number(s, done), 1);
    store_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(writing_twice_changes_nothing),
        CASE(a_run_says_how_it_was_started),
        CASE(another_verdict_keeps_the_old_one),
        CASE(costs_of_attempts_add_up),
        CASE(another_environment_is_another_run),
        CASE(a_run_that_goes_on_has_no_error),
        CASE(a_kill_loses_only_what_was_not_committed),
        CASE(two_processes_write_one_store),
        CASE(foreign_files_are_refused),
        CASE(newer_files_are_refused),
        CASE(a_locked_file_says_so),
        CASE(a_full_disk_says_so_and_loses_nothing),
        CASE(queries_only_read),
        CASE(every_failing_allocation_is_clean),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}

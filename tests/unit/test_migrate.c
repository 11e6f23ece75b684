/* A results file of version 1 (tests/golden/store) becomes one of the present version: its
 * runs keep their ids, nothing is lost, a copy is kept; killed on the way it is still what
 * it was; reading it changes nothing; an unfinished run of it is left behind, not lost. */
#include "store/store_claim.h"
#include "store/store_impl.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#ifndef TEST_SOURCE_DIR
#define TEST_SOURCE_DIR "."
#endif

enum { KILLS = 12 };

static struct test_folder folder;
static char log_text[2048];

static void keep_log(void *user, enum rt_log_level level, const char *line)
{
    (void)user;
    (void)level;
    strncat(log_text, line, sizeof log_text - strlen(log_text) - 1);
}

/* A fresh version 1 file of that name. */
static void make_file(const char *name)
{
    size_t size;
    char *packed =
        test_file_read(TEST_SOURCE_DIR "/tests/golden/store/version1.db.zst", &size);
    const unsigned long long whole = ZSTD_getFrameContentSize(packed, size);
    assert_true(whole > 0 && whole < 1 << 24);
    char *data = malloc((size_t)whole);
    assert_non_null(data);
    assert_int_equal(ZSTD_decompress(data, (size_t)whole, packed, size), whole);
    test_file_write(test_folder_file(&folder, name), data, (size_t)whole);
    free(data);
    free(packed);
}

static rt_status take_number(void *user, const struct store_row *row)
{
    *(int64_t *)user = store_row_integer(row, 0);
    return RT_OK;
}

static int64_t number(struct store *s, const char *sql)
{
    int64_t n = -1;
    if (store_query(s, sql, NULL, take_number, &n) != RT_OK)
        fail_msg("%s: %s", sql, s->ctx->message);
    return n;
}

static struct store *open_store(struct rt_ctx *ctx, const char *name,
                                enum store_mode mode)
{
    struct store *s = NULL;
    if (store_open(ctx, test_folder_file(&folder, name), mode, &s) != RT_OK)
        fail_msg("%s", ctx->message);
    return s;
}

/* What the fixture holds, in any version that knows it. */
static void check_rows(struct store *s)
{
    assert_int_equal(number(s, "SELECT count(*) FROM run WHERE id_scheme='v1'"), 12);
    assert_int_equal(number(s, "SELECT count(*) FROM run WHERE run_id GLOB "
                               "'sha256:f1b93a40*' AND status='running'"),
                     1);
    assert_int_equal(number(s, "SELECT count(*) FROM generation"), 581);
    assert_int_equal(number(s, "SELECT count(*) FROM token_trace"), 581);
    assert_int_equal(number(s, "SELECT count(*) FROM v_verdict"), 581);
    assert_int_equal(number(s, "SELECT count(*) FROM fault"), 175);
    assert_int_equal(number(s, "SELECT count(*) FROM rollout JOIN fault "
                               "USING(fault_id)"),
                     108);
    assert_int_equal(number(s, "SELECT count(*) FROM bullet_item"), 52);
    assert_int_equal(number(s, "SELECT count(*) FROM campaign_run"), 12);
    assert_int_equal(number(s, "SELECT count(DISTINCT run_id) FROM v_run_environment"),
                     12);
    assert_int_equal(number(s, "SELECT count(*) FROM stage"), 2);
    assert_true(number(s, "SELECT count(*) FROM v_fault") > 0);
    assert_int_equal(number(s, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    assert_int_equal(number(s, "SELECT count(*) FROM pragma_integrity_check WHERE "
                               "integrity_check<>'ok'"),
                     0);
    assert_int_equal(number(s, "SELECT user_version FROM pragma_user_version"),
                     STORE_VERSION);
}

static void writing_brings_it_forward_and_keeps_a_copy(void **state)
{
    (void)state;
    struct rt_ctx ctx = { .log = keep_log };
    size_t size;
    make_file("write.db");
    log_text[0] = '\0';
    struct store *s = open_store(&ctx, "write.db", STORE_WRITE);
    check_rows(s);
    store_close(&s);
    assert_non_null(strstr(log_text, "was of version 1 and is now of version 2"));
    assert_non_null(strstr(log_text, "write.db.v1"));
    log_text[0] = '\0';
    s = open_store(&ctx, "write.db", STORE_WRITE); /* the second time there is no word */
    check_rows(s);
    store_close(&s);
    assert_string_equal(log_text, "");
    char *copy = test_file_read(test_folder_file(&folder, "write.db.v1"), &size);
    assert_int_equal(copy[63], 1); /* the last byte of user_version */
    free(copy);
    s = open_store(&ctx, "write.db.v1", STORE_READ);
    check_rows(s);
    store_close(&s);
}

static void an_earlier_copy_is_not_overwritten(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    make_file("twice.db");
    test_file_write(test_folder_file(&folder, "twice.db.v1"), "mine", 4);
    struct store *s = open_store(&ctx, "twice.db", STORE_WRITE);
    store_close(&s);
    size_t size;
    char *text = test_file_read(test_folder_file(&folder, "twice.db.v1"), &size);
    assert_string_equal(text, "mine");
    free(text);
    s = open_store(&ctx, "twice.db.v1-2", STORE_READ);
    check_rows(s);
    store_close(&s);
}

static void reading_changes_nothing(void **state)
{
    (void)state;
    struct rt_ctx ctx = { .log = keep_log };
    size_t before, after;
    make_file("read.db");
    const char *path = test_folder_file(&folder, "read.db");
    char *old = test_file_read(path, &before);
    log_text[0] = '\0';
    struct store *s = open_store(&ctx, "read.db", STORE_READ);
    check_rows(s);
    assert_int_equal(store_run_sql(s, "DELETE FROM score", ""), RT_ERR_STORE);
    store_close(&s);
    assert_non_null(strstr(log_text, "temporary copy"));
    char *now = test_file_read(path, &after);
    assert_int_equal(before, after);
    assert_memory_equal(old, now, before);
    assert_int_not_equal(access(test_folder_file(&folder, "read.db.v1"), F_OK), 0);
    free(old);
    free(now);
}

/* Tables, indexes and views of a file that came up from version 1 and of a new one. */
static void a_new_file_has_the_same_tables(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    make_file("old.db");
    struct store *s = open_store(&ctx, "old.db", STORE_WRITE);
    assert_int_equal(sqlite3_exec(s->db, "ATTACH ':memory:' AS x", NULL, NULL, NULL), 0);
    store_close(&s);
    s = open_store(&ctx, "new.db", STORE_WRITE);
    char sql[700];
    snprintf(sql, sizeof sql, "ATTACH '%s' AS old", test_folder_file(&folder, "old.db"));
    assert_int_equal(sqlite3_exec(s->db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(number(s, "SELECT count(*) FROM (SELECT type,name,sql FROM "
                               "main.sqlite_schema EXCEPT SELECT type,name,sql FROM "
                               "old.sqlite_schema)"),
                     0);
    assert_int_equal(number(s, "SELECT (SELECT count(*) FROM main.sqlite_schema)-(SELECT "
                               "count(*) FROM old.sqlite_schema)"),
                     0);
    store_close(&s);
}

static void pause_us(long us)
{
    const struct timespec t = { us / 1000000, us % 1000000 * 1000 };
    nanosleep(&t, NULL);
}

/* Killed after a share of the time that it takes: then the file is as it was, or done. */
static void a_kill_on_the_way_loses_nothing(void **state)
{
    (void)state;
    struct rt_ctx ctx = { .log = keep_log };
    make_file("kill.db");
    const uint64_t start = rt_time_ns();
    struct store *s = open_store(&ctx, "kill.db", STORE_WRITE);
    const long whole_us = (long)((rt_time_ns() - start) / 1000);
    store_close(&s);
    int before = 0;
    for (int i = 0; i < KILLS; i++) {
        char name[32];
        snprintf(name, sizeof name, "kill-%d.db", i);
        make_file(name);
        const char *path = test_folder_file(&folder, name);
        const pid_t child = fork();
        if (child == 0) {
            struct store *mine = NULL;
            _exit(store_open(&ctx, path, STORE_WRITE, &mine) == RT_OK ? 0 : 1);
        }
        pause_us(whole_us * i / (KILLS - 4)); /* the last ones when it is done */
        kill(child, SIGKILL);
        int status;
        waitpid(child, &status, 0);
        log_text[0] = '\0';
        s = open_store(&ctx, name, STORE_READ); /* of either version */
        check_rows(s);
        before += log_text[0] != '\0';
        store_close(&s);
        s = open_store(&ctx, name, STORE_WRITE);
        check_rows(s);
        store_close(&s);
    }
    printf("    %d of %d kills came before the change\n", before, KILLS);
}

/* Puts the rows that the command of the fixture's unfinished run would put again. */
static void an_unfinished_run_is_left_behind(void **state)
{
    (void)state;
    struct rt_ctx ctx = { .log = keep_log };
    static char ids[3][STORE_ID];
    make_file("behind.db");
    struct store *s = open_store(&ctx, "behind.db", STORE_WRITE);
    sqlite3_stmt *row = NULL;
    assert_int_equal(sqlite3_prepare_v2(s->db,
                                        "SELECT variant_id, benchmark_id, env_id, config "
                                        "FROM run JOIN v_run_environment USING(run_id) "
                                        "WHERE status='running'",
                                        -1, &row, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    for (int i = 0; i < 3; i++)
        snprintf(ids[i], STORE_ID, "%s", (const char *)sqlite3_column_text(row, i));
    char *config = rt_strdup(&ctx, (const char *)sqlite3_column_text(row, 3));
    sqlite3_finalize(row);
    struct store_run run = { .kind = "eval",
                             .variant_id = ids[0],
                             .benchmark_id = ids[1],
                             .env_id = ids[2],
                             .seed = 1,
                             .config = config };
    for (int i = 0; i < 2; i++) {
        log_text[0] = '\0';
        assert_int_equal(store_run_open(s, &run), RT_OK);
        /* said once: the second time the new run goes on */
        assert_true((strstr(log_text, "is unfinished and is not continued") != NULL) ==
                    (i == 0));
    }
    assert_int_equal(number(s, "SELECT count(*) FROM run WHERE id_scheme='v2'"), 1);
    assert_int_equal(number(s, "SELECT count(*) FROM generation JOIN run USING(run_id) "
                               "WHERE status='running' AND id_scheme='v1'"),
                     5);
    rt_free(config);
    store_close(&s);
}

/* A program of version 1 that still works on the file would fail on the new tables. */
static void a_file_in_use_waits(void **state)
{
    (void)state;
    struct rt_ctx ctx = { 0 };
    struct store *s = NULL;
    sqlite3 *db = NULL;
    char sql[200];
    make_file("use.db");
    const char *path = test_folder_file(&folder, "use.db");
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    snprintf(
        sql, sizeof sql,
        "UPDATE attempt SET host='elsewhere', heartbeat_ms=%lld WHERE ended_ms IS NULL",
        (long long)rt_time_unix_ms());
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    test_refused(&ctx, store_open(&ctx, path, STORE_WRITE, &s), RT_ERR_STORE,
                 "another process works on it", NULL);
    s = open_store(&ctx, "use.db", STORE_READ);
    check_rows(s);
    store_close(&s);
}

static int set_up(void **state)
{
    (void)state;
    test_folder_init(&folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_folder_deinit(&folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writing_brings_it_forward_and_keeps_a_copy),
        cmocka_unit_test(an_earlier_copy_is_not_overwritten),
        cmocka_unit_test(reading_changes_nothing),
        cmocka_unit_test(a_new_file_has_the_same_tables),
        cmocka_unit_test(a_kill_on_the_way_loses_nothing),
        cmocka_unit_test(an_unfinished_run_is_left_behind),
        cmocka_unit_test(a_file_in_use_waits),
    };
    return cmocka_run_group_tests_name("migration", tests, set_up, tear_down);
}

/* tests/support/loop.c
 * Starts the program in folders of its own, and reads every row that it leaves. */
#include "tests/support/loop.h"

#include "store/store_impl.h"
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/faultline-loop-XXXXXX";
static char program[1024];

int test_loop_set_up(void **state)
{
    (void)state;
    struct test_device devices[16];
    (void)test_devices(devices, 16); /* points the loader at the software devices */
    assert_non_null(mkdtemp(folder));
    snprintf(program, sizeof program, "%s/faultline",
             getenv("FAULTLINE_BUILD") ? getenv("FAULTLINE_BUILD") : TEST_BUILD_DIR);
    return chdir(folder);
}

int test_loop_tear_down(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

const char *test_loop_program(void)
{
    return program;
}

pid_t test_loop_start(const char *line)
{
    char command[4200];
    const pid_t child = fork();
    if (child == 0) {
        setpgid(0, 0);
        snprintf(command, sizeof command, "exec %s %s", program, line);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    assert_true(child > 0);
    return child;
}

int test_loop_run(const char *line)
{
    int status;
    const pid_t child = test_loop_start(line);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void test_loop_enter(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
    assert_int_equal(chdir(path), 0);
}

void test_loop_show_error(void)
{
    char line[512];
    FILE *file = fopen("loop.err", "r");
    while (file && fgets(line, sizeof line, file))
        fprintf(stderr, "    %s", line);
    if (file)
        fclose(file);
}

void test_loop_run_well(const char *line)
{
    if (test_loop_run(line) == 0)
        return;
    test_loop_show_error();
    fail_msg("'%s' failed", line);
}

/* ---- rows ---- */

struct dump {
    struct store *store;
    FILE *out;
    const char *table;
    const struct test_left_out *left;
};

static rt_status append_row(void *user, const struct store_row *row)
{
    struct dump *d = user;
    fprintf(d->out, "%s: %s\n", d->table, store_row_text(row, 0));
    return RT_OK;
}

/* ?1 and ?2 of the query; null: none. */
static void query(struct dump *d, const char *sql, const char *first, const char *second,
                  store_row_fn *fn, void *user)
{
    const char *const args[] = { first, second, NULL };
    struct rt_ctx *ctx = d->store->ctx;
    if (store_query(d->store, sql, first ? args : NULL, fn, user) != RT_OK)
        fail_msg("%s: %s", sql, ctx->message);
}

static rt_status append_rows(void *user, const struct store_row *row)
{
    query(user, store_row_text(row, 0), NULL, NULL, append_row, user);
    return RT_OK;
}

/* SQL that writes the SQL of a table's rows: all columns but times and those left out, all
 * metrics but what the work cost. */
static const char rows_sql[] =
    "SELECT 'SELECT ' || group_concat('quote(\"' || name || '\")', '||''|''||') || ' "
    "FROM "
    "\"' || ?1 || '\"' || CASE ?1 WHEN 'metric' THEN ' WHERE name NOT IN (''tokens'', "
    "''tflop'') AND name NOT GLOB ''*_seconds''' ELSE '' END || ' ORDER BY 1' FROM "
    "pragma_table_info(?1) WHERE name NOT GLOB '*_[mu]s' AND name <> 'seconds' AND "
    "instr(?2, ' ' || name || ' ') = 0";

static rt_status append_table(void *user, const struct store_row *row)
{
    struct dump *d = user;
    d->table = store_row_text(row, 0);
    query(d, rows_sql, d->table, d->left->columns, append_rows, d);
    return RT_OK;
}

char *test_rows_without(const char *db, const struct test_left_out *left)
{
    struct rt_ctx ctx = { 0 };
    struct dump d = { .left = left };
    char *text = NULL;
    size_t size = 0;
    d.out = open_memstream(&text, &size);
    if (store_open(&ctx, db, STORE_READ, &d.store) != RT_OK)
        fail_msg("%s", ctx.message);
    query(&d,
          "SELECT name FROM sqlite_schema WHERE type = 'table' AND instr(?1, ' ' || name "
          "|| ' ') = 0 ORDER BY name",
          left->tables, NULL, append_table, &d);
    store_close(&d.store);
    fclose(d.out);
    return text;
}

/* An attempt is a process: there are as many as kills. */
char *test_rows_of(const char *db)
{
    static const struct test_left_out left = { " attempt ", "" };
    return test_rows_without(db, &left);
}

static rt_status append_line(void *user, const struct store_row *row)
{
    const struct dump *d = user;
    fprintf(d->out, "%s\n", store_row_text(row, 0));
    return RT_OK;
}

char *test_lines_of(const char *db, const char *sql)
{
    struct rt_ctx ctx = { 0 };
    struct dump d = { 0 };
    char *text = NULL;
    size_t size = 0;
    d.out = open_memstream(&text, &size);
    if (store_open(&ctx, db, STORE_READ, &d.store) != RT_OK)
        fail_msg("%s", ctx.message);
    query(&d, sql, NULL, NULL, append_line, &d);
    store_close(&d.store);
    fclose(d.out);
    return text;
}

static rt_status take_number(void *user, const struct store_row *row)
{
    *(double *)user = store_row_number(row, 0);
    return RT_OK;
}

double test_number_of(const char *db, const char *sql)
{
    struct rt_ctx ctx = { 0 };
    struct dump d = { 0 };
    double number = 0;
    if (store_open(&ctx, db, STORE_READ, &d.store) != RT_OK)
        fail_msg("%s", ctx.message);
    query(&d, sql, NULL, NULL, take_number, &number);
    store_close(&d.store);
    return number;
}

/* A row may be long: its beginning, and from where it differs. */
void test_same_rows(const char *a, const char *b)
{
    size_t at = 0, line = 0;
    if (strcmp(a, b) == 0)
        return;
    for (; a[at] == b[at]; at++)
        if (a[at] == '\n')
            line = at + 1;
    fail_msg("rows differ: '%.100s', after %zu bytes: '%.300s' and '%.300s'", a + line,
             at - line, a + at, b + at);
}

long test_number_so_far(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    long number = 0;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        number = (long)sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return number;
}

int test_answers_in(const char *path)
{
    return (int)test_number_so_far(path, "SELECT count(*) FROM generation");
}

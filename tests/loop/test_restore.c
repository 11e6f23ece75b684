/* The program as a user runs it: a one-minute plan of the whole loop, killed on the way
 * and run again, gives the same rows as an unbroken one, within the memory that is
 * promised; bad input gives the documented exit codes. FAULTLINE_KILLS: how many kills
 * (default 3), FAULTLINE_TEST_SEED: their moments. */
#include "store/store_impl.h"
#include "tests/support/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PEAK_KIB_MAX = 400 * 1024 }; /* of the whole demo; this plan is a part of it */

static char folder[] = "/tmp/faultline-loop-XXXXXX";
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

/* Starts the program with a shell's command line, in a process group of its own. */
static pid_t start(const char *line)
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

/* Its exit code when it ends by itself. */
static int run(const char *line)
{
    int status;
    const pid_t child = start(line);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The largest memory of any run so far. */
static long peak_kib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    return usage.ru_maxrss;
}

/* The same names in any folder, so that rows with paths in them can be compared. */
static void enter(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
    assert_int_equal(chdir(path), 0);
}

static void plan_line(char *line, size_t size)
{
    snprintf(
        line, size,
        "demo --device llvmpipe --validation --tune off --progress none -q "
        "--mine '%s/pipeline/demo/mine.jsonl[0:160]' "
        "--validate '%s/pipeline/demo/validate.jsonl[0:24]' "
        "--measure '%s/pipeline/demo/measure.jsonl[0:64]' --items 12 "
        "--recipes default,dpo --samples 2 --work work --store loop.db --out loop.html "
        ">loop.out 2>loop.err",
        TEST_SOURCE_DIR, TEST_SOURCE_DIR, TEST_SOURCE_DIR);
}

static void show_error(void)
{
    char line[512];
    FILE *file = fopen("loop.err", "r");
    while (file && fgets(line, sizeof line, file))
        fprintf(stderr, "    %s", line);
    if (file)
        fclose(file);
}

/* ---- rows ---- */

struct dump {
    struct store *store;
    FILE *out;
    const char *table;
};

static rt_status append_row(void *user, const struct store_row *row)
{
    struct dump *d = user;
    fprintf(d->out, "%s: %s\n", d->table, store_row_text(row, 0));
    return RT_OK;
}

static void query(struct dump *d, const char *sql, const char *arg, store_row_fn *fn,
                  void *user)
{
    const char *const args[] = { arg, NULL };
    struct rt_ctx *ctx = d->store->ctx;
    if (store_query(d->store, sql, arg ? args : NULL, fn, user) != RT_OK)
        fail_msg("%s: %s", sql, ctx->message);
}

static rt_status append_rows(void *user, const struct store_row *row)
{
    query(user, store_row_text(row, 0), NULL, append_row, user);
    return RT_OK;
}

/* SQL that writes the SQL of a table's rows: all columns but times, all metrics but what
 * the work cost. */
static const char rows_sql[] =
    "SELECT 'SELECT ' || group_concat('quote(\"' || name || '\")', '||''|''||') || ' "
    "FROM "
    "\"' || ?1 || '\"' || CASE ?1 WHEN 'metric' THEN ' WHERE name NOT IN (''tokens'', "
    "''tflop'') AND name NOT GLOB ''*_seconds''' ELSE '' END || ' ORDER BY 1' FROM "
    "pragma_table_info(?1) WHERE name NOT GLOB '*_[mu]s' AND name <> 'seconds'";

static rt_status append_table(void *user, const struct store_row *row)
{
    struct dump *d = user;
    d->table = store_row_text(row, 0);
    query(d, rows_sql, d->table, append_rows, d);
    return RT_OK;
}

/* Every row of every table, times and costs aside, as one text. */
static char *rows_of(const char *db)
{
    struct rt_ctx ctx = { 0 };
    struct dump d = { 0 };
    char *text = NULL;
    size_t size = 0;
    d.out = open_memstream(&text, &size);
    if (store_open(&ctx, db, STORE_READ, &d.store) != RT_OK)
        fail_msg("%s", ctx.message);
    query(
        &d,
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'attempt' ORDER "
        "BY name", /* an attempt is a process: there are as many as kills */
        NULL, append_table, &d);
    store_close(&d.store);
    fclose(d.out);
    return text;
}

static rt_status take_number(void *user, const struct store_row *row)
{
    *(double *)user = store_row_number(row, 0);
    return RT_OK;
}

static double number_of(const char *db, const char *sql)
{
    struct rt_ctx ctx = { 0 };
    struct dump d = { 0 };
    double number = 0;
    if (store_open(&ctx, db, STORE_READ, &d.store) != RT_OK)
        fail_msg("%s", ctx.message);
    query(&d, sql, NULL, take_number, &number);
    store_close(&d.store);
    return number;
}

/* Tokens generated for answers, over all attempts. */
static double tokens_of(const char *db)
{
    return number_of(db, "SELECT sum(value) FROM metric WHERE name = 'tokens'");
}

/* Runs of each kind whose work is seen, and is over. */
static void expect_ended(const char *db)
{
    static const char worked[] =
        "SELECT count(DISTINCT kind) FROM run JOIN attempt USING(run_id) WHERE kind IN "
        "('eval', 'locate', 'train')";
    assert_true(number_of(db, worked) == 3);
    assert_true(number_of(db, "SELECT count(*) FROM attempt WHERE ended_ms IS NULL") ==
                0);
}

static size_t count_lines(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void expect_same_rows(const char *a, const char *b)
{
    size_t at = 0, line = 0;
    if (strcmp(a, b) == 0)
        return;
    for (; a[at] == b[at]; at++)
        if (a[at] == '\n')
            line = at + 1;
    fail_msg("rows differ: '%.400s' and '%.400s'", a + line, b + line);
}

/* ---- kills ---- */

/* Starts the plan and kills it after `ms`; false if it had ended before. */
static bool run_and_kill(const char *line, long ms)
{
    const struct timespec pause = { ms / 1000, ms % 1000 * 1000000 };
    const pid_t child = start(line);
    int status;
    nanosleep(&pause, NULL);
    if (waitpid(child, &status, WNOHANG) == child)
        return false;
    kill(-child, SIGKILL);
    waitpid(child, &status, 0);
    return true;
}

/* One store, killed at random moments until it is done or `left` kills are used up, and
 * then run to its end. The kills that hit. */
static int killed_run(const char *line, long whole_ms, int left)
{
    int kills = 0;
    while (kills < left && run_and_kill(line, 50 + rand() % (whole_ms / 2)))
        kills++;
    if (run(line) != 0) {
        show_error();
        fail_msg("after %d kills the loop cannot go on", kills);
    }
    return kills;
}

static void a_killed_loop_ends_with_the_same_rows(void **state)
{
    (void)state;
    const char *wanted = getenv("FAULTLINE_KILLS"), *seed = getenv("FAULTLINE_TEST_SEED");
    const long kills = wanted ? strtol(wanted, NULL, 10) : 3;
    char line[3000], name[32] = "";
    long done = 0;
    plan_line(line, sizeof line);
    srand(seed ? (unsigned)strtoul(seed, NULL, 10) : 7);
    enter("whole");
    const uint64_t start_ns = rt_time_ns();
    if (run(line) != 0) {
        show_error();
        fail_msg("the loop failed");
    }
    const long whole_ms = (long)((rt_time_ns() - start_ns) / 1000000);
    char *whole = rows_of("loop.db");
    const double tokens = tokens_of("loop.db");
    printf("    unbroken: %zu rows, %ld ms, peak memory %ld MiB\n", count_lines(whole),
           whole_ms, peak_kib() / 1024);
    for (int round = 0; done < kills; round++) {
        snprintf(name, sizeof name, "broken-%d", round);
        enter(name);
        const int hit = killed_run(line, whole_ms, (int)(kills - done));
        char *broken = rows_of("loop.db");
        printf("    %s: %d kills, %zu rows, %.0f tokens for %.0f\n", name, hit,
               count_lines(broken), tokens_of("loop.db"), tokens);
        expect_same_rows(whole, broken);
        expect_ended("loop.db");
        assert_true(tokens > 0 && tokens_of("loop.db") >= tokens); /* some made twice */
        free(broken);
        done += hit;
    }
    free(whole);
    assert_true(peak_kib() <= PEAK_KIB_MAX);
    /* Done is done: the same command again generates nothing and writes the same page. */
    assert_int_equal(system("cp loop.html first.html"), 0);
    assert_int_equal(run(line), 0);
    expect_ended("loop.db");
    assert_int_equal(system("cmp loop.html first.html"), 0);
    assert_int_equal(chdir(folder), 0);
}

static void exit_codes_are_as_documented(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int code;
        const char *part; /* of the message */
    } cases[] = {
        { "nothing", 2, "no command" },
        { "quantize --bits 4", 2, "--model" },
        { "quantize --modle x", 2, "did you mean --model" },
        { "quantize --model . --bits 5 --out q", 2, "2, 3, 4 or 8" },
        { "quantize --model missing --bits 4 --out q", 4, "config.json" },
        { "tool logits --model missing --ids 1 --out x", 4, "config.json" },
        { "tool logits --model . --device moon --ids 1 --out x", 3, "moon" },
        { "eval --model missing --problems x", 4, "missing" },
        { "sql --store missing.db 'SELECT 1'", 7, "missing.db" },
        { "report --store missing.db", 7, "missing.db" },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        char line[512], message[2048] = "";
        snprintf(line, sizeof line, "%s >out.txt 2>err.txt", cases[i].line);
        const int code = run(line);
        FILE *file = fopen("err.txt", "r");
        const size_t n = fread(message, 1, sizeof message - 1, file);
        message[n] = '\0';
        fclose(file);
        if (code != cases[i].code || !strstr(message, cases[i].part))
            fail_msg("'%s' ends with %d: %s", cases[i].line, code, message);
    }
}

/* A plan that cannot be is refused before anything is measured. */
static void an_impossible_plan_is_refused_at_once(void **state)
{
    (void)state;
    static const struct {
        const char *options, *part; /* of the message */
    } cases[] = {
        { "--recipes default,best", "no recipe 'best'" },
        { "--recipes sft,default,sft", "'sft' is named twice" },
        { "--recipes ,", "names none" },
        { "--bits 8", "fewer than 8 bits" },
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        char line[2048], message[2048] = "";
        snprintf(line, sizeof line,
                 "restore --device ref --full %s/pipeline/demo "
                 "--mine '%s/pipeline/demo/mine.jsonl[0:1]' "
                 "--validate '%s/pipeline/demo/validate.jsonl[0:1]' --measure "
                 "'%s/pipeline/demo/measure.jsonl[0:1]' %s "
                 ">out.txt 2>err.txt",
                 TEST_SOURCE_DIR, TEST_SOURCE_DIR, TEST_SOURCE_DIR, TEST_SOURCE_DIR,
                 cases[i].options);
        const int code = run(line);
        FILE *file = fopen("err.txt", "r");
        const size_t n = fread(message, 1, sizeof message - 1, file);
        message[n] = '\0';
        fclose(file);
        if (code != 2 || !strstr(message, cases[i].part))
            fail_msg("'%s' ends with %d: %s", cases[i].options, code, message);
    }
}

static void no_driver_is_exit_code_3(void **state)
{
    (void)state;
    char line[1400];
    snprintf(line, sizeof line,
             "tool logits --model %s/pipeline/demo --ids 1 --out x >out.txt 2>err.txt",
             TEST_SOURCE_DIR);
    char command[3000];
    snprintf(command, sizeof command,
             "VK_ICD_FILENAMES=/nonexistent VK_DRIVER_FILES=/nonexistent "
             "%s %s",
             program, line);
    const int status = system(command);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 3);
    snprintf(line, sizeof line,
             "tool logits --device ref --model %s/pipeline/demo --ids 1 --out x >out.txt "
             "2>err.txt",
             TEST_SOURCE_DIR);
    assert_int_equal(run(line), 0); /* the twins need no driver */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_codes_are_as_documented),
        cmocka_unit_test(an_impossible_plan_is_refused_at_once),
        cmocka_unit_test(no_driver_is_exit_code_3),
        cmocka_unit_test(a_killed_loop_ends_with_the_same_rows),
    };
    return cmocka_run_group_tests_name("the loop", tests, set_up, tear_down);
}
